//! Refresh: brings the rows of a selection up to date with the disk.
//!
//! DaCapo asks for identifiers and never says that it wrote. A refresh looks for the data of rows
//! that are not known to be present, in parallel, one `statx` a row, and writes what it sees. A row
//! changes only if it is still as it was when its data was looked for: a refresh never overwrites
//! what another process wrote in the meantime.
//!
//! A seal is the writer's word, and the evidence of what was lost since: a look does not void it.
//! If what was seen contradicts a seal, the data is looked at once more, because the look may be
//! older than the seal. Other counts are reported, and seal, counts and hash stay. Metadata that
//! was written again voids the seal, which is reported too.
//!
//! Locks: a write transaction for each batch, none while looking.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::catalog::{Catalog, Observed, ObservedRow, Seal, Selected, Share};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::observation::Observation;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase, Silent};
use crate::model::words;
use crate::ops::gc::GcRequest;
use crate::ops::gone;
use crate::ops::grown::{self, CountsNow};
use crate::ops::held::Held;
use crate::ops::room::with_room_before;
use crate::ops::twins;
use crate::store::{self, Base, Event, Expected, Look, Notice, NoticeClass, WalkOptions};

/// Rows that are looked at together.
const BATCH: usize = 16_384;

/// Which rows of a selection a refresh looks at, and how closely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RefreshOptions {
    /// Also rows that are known to be present: they may have gone.
    pub all: bool,
    /// Count bytes and files of what it looks at, and of present rows whose size or owner is
    /// unknown.
    pub measure: bool,
    /// Also rows that are sealed and present: their data may not be as it was sealed.
    pub sealed: bool,
    /// Also whether the data of present rows is still there at all, at one system call a row. Of a
    /// selection with more than 16,384 rows only the containers are looked for.
    pub gone: bool,
}

impl RefreshOptions {
    /// Looks at the rows that are not known to be present, and counts nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            all: false,
            measure: false,
            sealed: false,
            gone: false,
        }
    }

    /// Sets whether to look at rows that are known to be present too.
    #[must_use]
    pub const fn all(mut self, all: bool) -> Self {
        self.all = all;
        self
    }

    /// Sets whether to count bytes and files.
    #[must_use]
    pub const fn measure(mut self, measure: bool) -> Self {
        self.measure = measure;
        self
    }

    /// Sets whether to look for what has gone.
    #[must_use]
    pub const fn gone(mut self, gone: bool) -> Self {
        self.gone = gone;
        self
    }

    /// Sets whether to look at sealed rows too.
    #[must_use]
    pub const fn sealed(mut self, sealed: bool) -> Self {
        self.sealed = sealed;
        self
    }
}

/// A question that is to be answered from a catalog that knows the disk as it is now.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Question<'a> {
    /// A listing or sum of what a filter selects, and how closely to look.
    Selection(&'a Filter, RefreshOptions),
    /// A plan of garbage collection: its rules need to know what is gone, and sizes.
    Gc(&'a GcRequest),
}

/// What a refresh saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RefreshReport {
    /// Rows looked at.
    pub looked_at: u64,
    /// Rows looked at whose data is there.
    pub present: u64,
    /// Rows that changed.
    pub changed: u64,
    /// Arrays and checkpoints of the selection that are recorded and whose data is gone.
    pub gone: u64,
    /// Whether the selection was so large that of present rows only the containers were looked for.
    #[serde(skip)]
    pub only_containers: bool,
    /// What could not be read, and sealed data that is not as it was sealed, by path: `notices` in
    /// JSON.
    pub notices: Vec<Notice>,
    /// What is there of sealed arrays that do not have what they were sealed with.
    #[serde(skip)]
    pub counts: CountsNow,
}

impl RefreshReport {
    /// Adds what another look saw.
    fn add(&mut self, seen: Self) {
        self.looked_at += seen.looked_at;
        self.present += seen.present;
        self.changed += seen.changed;
        self.notices.extend(seen.notices);
        self.counts.extend(seen.counts);
    }

    /// Sorts the notices, which threads report in any order. Each stays once: data may be looked
    /// at first and counted afterwards.
    fn sort_notices(&mut self) {
        let notices = &mut self.notices;
        notices.sort_by(|a, b| (&a.path, a.class, &a.detail).cmp(&(&b.path, b.class, &b.detail)));
        notices.dedup();
    }
}

/// Refreshes, and measures, what a question needs before it is answered. What the look itself may
/// change, such as age and state, does not limit where it looks.
///
/// # Errors
/// As [`refresh`].
pub(crate) fn refresh_for(
    catalog: &Catalog,
    base: &Base,
    question: Question<'_>,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<RefreshReport, Error> {
    let request = match question {
        Question::Selection(filter, options) => {
            let filter = filter.without_observed();
            let mut report = RefreshReport::default();
            if options.gone {
                // First: what is gone is not to be counted.
                let suspects = gone::suspects(catalog, base, &filter, now)?;
                report.only_containers = suspects.only_containers;
                report.add(refresh_rows(catalog, base, &suspects.rows, now, monitor)?);
            }
            report.add(refresh(catalog, base, &filter, options, now, monitor)?);
            report.gone = catalog.count_missing(&filter, now)?;
            report.sort_notices();
            return Ok(report);
        }
        Question::Gc(request) => request,
    };
    let mut report = RefreshReport::default();
    // A policy has a selection for each of its kinds.
    for selection in request.selections() {
        let filter = Filter {
            older_than: None,
            written_before: None,
            written_since: None,
            ..selection
        };
        // First whether each row's data is there at all, then the sizes that are unknown.
        for measure in [false, true] {
            let options = RefreshOptions {
                all: !measure,
                measure,
                ..RefreshOptions::default()
            };
            let look = || refresh(catalog, base, &filter, options, now, monitor);
            let share = if measure { Share::Half } else { Share::All };
            match with_room_before(catalog, share, look) {
                Ok(seen) => report.add(seen),
                // Sizes only inform: a rule that needs one refuses what has none.
                Err(error) if measure && error.is_full() && !catalog.spares_reserve() => {}
                Err(error) => return Err(error),
            }
        }
        // Limits sum what stays too.
        if request.has_limit() {
            let count = || recount(catalog, base, &filter, now, monitor);
            report.add(with_room_before(catalog, Share::All, count)?);
        }
    }
    report.sort_notices();
    Ok(report)
}

/// Counts again what has grown of a selection since it was counted.
fn recount(
    catalog: &Catalog,
    base: &Base,
    filter: &Filter,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<RefreshReport, Error> {
    let how = BatchOptions {
        measure: true,
        marks_missing: true,
    };
    let mut report = RefreshReport::default();
    let mut batch: Vec<Artifact> = Vec::new();
    let mut look = |batch: &mut Vec<Artifact>| {
        let mut grown = grown::grown(catalog, base, std::mem::take(batch))?;
        look_at(catalog, base, &mut grown, how, now, monitor, &mut report)
    };
    monitor.begin(Phase::Measure, None);
    catalog.list(filter, now, Selected::All, |artifact| {
        if artifact.state == State::Present {
            batch.push(artifact);
        }
        if batch.len() >= BATCH {
            look(&mut batch)?;
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    look(&mut batch)?;
    monitor.end();
    Ok(report)
}

/// Looks for the data of a selection and writes what it sees into the rows.
///
/// # Errors
/// [`Error`] if the catalog cannot be written; batches that were committed stay.
pub(crate) fn refresh(
    catalog: &Catalog,
    base: &Base,
    filter: &Filter,
    options: RefreshOptions,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<RefreshReport, Error> {
    let mut report = RefreshReport::default();
    let how = BatchOptions {
        measure: options.measure,
        marks_missing: true,
    };
    let mut batch: Vec<Artifact> = Vec::new();
    // A present row is looked at only on request. The others have an index of their own, which
    // stays small in a catalog of any size.
    let selected = if options.all || options.measure || options.sealed {
        Selected::All
    } else {
        Selected::Unseen
    };
    monitor.begin(Phase::Refresh, None);
    catalog.list(filter, now, selected, |artifact| {
        let wanted = options.all
            || artifact.state != State::Present
            || (options.sealed && artifact.sealed_at.is_some())
            || (options.measure
                && (artifact.size.is_none()
                    || artifact.owner.is_none()
                    || artifact.disk_bytes.is_none()
                    || has_uncounted_chunks(&artifact))
                && !artifact.key.kind().is_container());
        if wanted {
            batch.push(artifact);
        }
        // In the middle of the listing, which shows the catalog as it was when it began.
        if batch.len() >= BATCH {
            look_at(catalog, base, &mut batch, how, now, monitor, &mut report)?;
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    look_at(catalog, base, &mut batch, how, now, monitor, &mut report)?;
    monitor.end();
    report.sort_notices();
    Ok(report)
}

/// Whether its chunks could be counted and were not: its files were counted before its metadata
/// was known.
fn has_uncounted_chunks(artifact: &Artifact) -> bool {
    artifact.chunks_there.is_none() && artifact.state == State::Present && artifact.grid().is_some()
}

/// Looks for the data of these artifacts, whatever their rows say, and counts those that were not
/// counted yet, or have grown since, if the options ask for it. Rows whose data is gone stay as they are.
///
/// # Errors
/// As [`refresh`].
pub(crate) fn refresh_artifacts(
    catalog: &Catalog,
    base: &Base,
    artifacts: &[Artifact],
    options: RefreshOptions,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<RefreshReport, Error> {
    let mut report = RefreshReport::default();
    // A removal reports which of them had no data left, by their rows.
    let how = |measure| BatchOptions {
        measure,
        marks_missing: false,
    };
    monitor.begin(Phase::Refresh, Some(artifacts.len() as u64));
    for batch in artifacts.chunks(BATCH) {
        let mut batch = batch.to_vec();
        look_at(
            catalog,
            base,
            &mut batch,
            how(false),
            now,
            monitor,
            &mut report,
        )?;
    }
    monitor.end();
    if !options.measure {
        return Ok(report);
    }
    let mut rows = Vec::with_capacity(artifacts.len());
    for artifact in artifacts {
        // Read again: the look above may have found that more of them are present.
        let row = catalog.by_id(artifact.id)?;
        rows.extend(row.filter(|row| row.state.has_data() && !row.key.kind().is_container()));
    }
    let (mut uncounted, counted): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.size.is_none());
    uncounted.extend(grown::grown(catalog, base, counted)?);
    monitor.begin(Phase::Measure, Some(uncounted.len() as u64));
    for batch in uncounted.chunks(BATCH) {
        let mut batch = batch.to_vec();
        look_at(
            catalog,
            base,
            &mut batch,
            how(true),
            now,
            monitor,
            &mut report,
        )?;
    }
    monitor.end();
    report.sort_notices();
    Ok(report)
}

/// Looks for the data of rows that are known to be present. Those whose data is gone or damaged
/// become so: what was to be kept is then not kept by them.
///
/// # Errors
/// As [`refresh`].
pub(crate) fn refresh_rows(
    catalog: &Catalog,
    base: &Base,
    rows: &[Artifact],
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<RefreshReport, Error> {
    let how = BatchOptions {
        measure: false,
        marks_missing: true,
    };
    let mut report = RefreshReport::default();
    for batch in rows.chunks(BATCH) {
        let mut batch = batch.to_vec();
        look_at(catalog, base, &mut batch, how, now, monitor, &mut report)?;
    }
    report.sort_notices();
    Ok(report)
}

/// How a batch is looked at.
#[derive(Clone, Copy)]
struct BatchOptions {
    measure: bool,
    /// Whether rows whose data is gone become missing.
    marks_missing: bool,
}

fn look_at(
    catalog: &Catalog,
    base: &Base,
    batch: &mut Vec<Artifact>,
    how: BatchOptions,
    now: Timestamp,
    monitor: &dyn Monitor,
    report: &mut RefreshReport,
) -> Result<(), Error> {
    let states: HashMap<i64, &Artifact> = batch
        .iter()
        .map(|artifact| (artifact.id.0, artifact))
        .collect();
    let looks = batch.iter().map(look).collect();
    let mut notes = Vec::with_capacity(batch.len());
    report.looked_at += batch.len() as u64;
    let options = WalkOptions {
        measure: how.measure,
        began: Some(now),
        ..WalkOptions::default()
    };
    store::look_at(base, options, monitor, looks, |event| {
        match event {
            Event::Looked(id, seen) => {
                report.present +=
                    u64::from(seen.as_ref().is_some_and(|seen| seen.damage.is_none()));
                if let Some(artifact) = states.get(&id) {
                    notes.push(observed_row(artifact, seen, None));
                }
            }
            Event::Notice(finding) => report.notices.push(finding),
            Event::Found(..) => {}
        }
        Ok::<_, Error>(())
    })?;
    // A reserved row without data stays reserved: its writer may not have begun.
    notes
        .retain(|note| note.seen.is_some() || (how.marks_missing && note.state != State::Reserved));
    let is_lost = |note: &ObservedRow| note.seen.is_none() && note.state != State::Missing;
    if notes.iter().any(is_lost) {
        let held = Held::of(catalog, base)?;
        let is_held = |note: &ObservedRow| {
            let row = states.get(&note.id.0);
            row.is_some_and(|row| held.has(base, &row.location().path()))
        };
        notes.retain(|note| held.is_empty() || !is_lost(note) || !is_held(note));
    }
    let operation = NewOperation::new(Action::Refresh, now);
    let Observed {
        changed,
        contradicted,
    } = catalog.observe(operation, &notes)?;
    report.changed += changed;
    // Outside the transaction above, so that no other process waits while this looks.
    let again = look_again(catalog, base, operation, &contradicted, how.measure)?;
    report.changed += again.changed;
    report.notices.extend(again.notices);
    report.counts.extend(again.counts);
    batch.clear();
    Ok(())
}

/// What a second look at sealed data found.
#[derive(Debug, Default)]
pub(crate) struct LookedAgain {
    /// Rows that changed.
    pub(crate) changed: u64,
    /// What is not as it was sealed.
    pub(crate) notices: Vec<Notice>,
    /// What is there of what keeps its seal all the same.
    pub(crate) counts: CountsNow,
}

/// Looks once more at data that looked otherwise than it was sealed, or like that of another run.
/// Only what contradicts the seal that a row had before this look, and still has, is reported, and
/// what is the data of another.
///
/// # Errors
/// [`Error`] if the catalog cannot be read or written.
pub(crate) fn look_again(
    catalog: &Catalog,
    base: &Base,
    operation: NewOperation<'_>,
    contradicted: &[ArtifactId],
    measure: bool,
) -> Result<LookedAgain, Error> {
    let mut again = LookedAgain::default();
    let mut rows = HashMap::new();
    for id in contradicted {
        let row = catalog.by_id(*id)?;
        rows.extend(row.map(|row| (id.0, row)));
    }
    if rows.is_empty() {
        return Ok(again);
    }
    let options = WalkOptions {
        measure,
        places: true,
        ..WalkOptions::default()
    };
    let looks = rows.values().map(look).collect();
    let mut sights = Vec::new();
    // Without progress: the look before has counted these items already.
    store::look_at(base, options, &Silent, looks, |event| {
        match event {
            Event::Looked(id, Some(seen)) => sights.push((id, seen)),
            Event::Notice(finding) => again.notices.push(finding),
            // What is gone by now is for the next refresh: a removal may be under way.
            Event::Looked(_, None) | Event::Found(..) => {}
        }
        Ok::<_, Error>(())
    })?;
    // What is another row's data changes neither row: that is for a verification.
    let mut own = Vec::with_capacity(sights.len());
    for (id, seen) in sights {
        let Some(row) = rows.get(&id) else {
            continue;
        };
        match twins::owner(catalog, base, row, seen.written_at)? {
            Some(owner) => again.notices.push(moved(row, &owner)),
            None => own.push((row, seen)),
        }
    }
    catalog.record(operation, |recorder| {
        for (row, seen) in own {
            // Another process wrote the row meanwhile, perhaps with a new seal.
            if recorder.artifact(row.id)?.as_ref() != Some(row) {
                continue;
            }
            let finding = match seen.damage {
                Some(_) => None,
                None => contradiction(row, &seen),
            };
            let is_changed = match finding.as_ref().map(|finding| finding.class) {
                // Only metadata that was written again voids a seal. Other differences may be
                // losses, and the seal is the evidence of what was there.
                Some(NoticeClass::Rewritten) => recorder.observe_changed(row, Some(&seen))?,
                _ if seen.damage.is_some() || row.sealed_at.is_none() => {
                    recorder.observe(row, Some(&seen))?
                }
                _ => {
                    again.counts.add(row, &seen);
                    recorder.observe_sealed(row, Some(&seen))?
                }
            };
            again.changed += u64::from(is_changed);
            again.notices.extend(finding);
        }
        Ok::<_, Error>(())
    })?;
    Ok(again)
}

/// Says that the data at a row's path is that of another row.
fn moved(row: &Artifact, owner: &Artifact) -> Notice {
    let owner = owner.location().path();
    Notice::new(
        NoticeClass::Moved,
        Path::new(&row.location().path()),
        format!("by its time it is the data of {owner}; neither row has changed"),
    )
}

/// What of sealed data is not as it was sealed.
fn contradiction(row: &Artifact, seen: &Observation) -> Option<Notice> {
    row.sealed_at?;
    let (class, detail) = match (row.size, seen.size) {
        (Some(counted), Some(size)) if counted != size || seen.has_other_chunks_than(row) => {
            let lost = match seen.lost_parts_of(row) {
                Some(lost) => format!(": {lost}"),
                None => String::new(),
            };
            let seen = size;
            let class = match counted.files == seen.files && counted != seen {
                true => NoticeClass::ChangedSize,
                false => NoticeClass::ChangedFiles,
            };
            let (counted, seen) = (words::exact(counted), words::exact(seen));
            (
                class,
                format!("was sealed with {counted}; now {seen}{lost}; its seal stays"),
            )
        }
        // Before the time, which is that of the newest level: it may be the one that has gone.
        _ if let Some(lost) = seen.lost_levels_of(row) => (
            NoticeClass::ChangedFiles,
            format!("was sealed whole; now {lost}; its seal stays"),
        ),
        _ if row.written_at != Some(seen.written_at) => (
            NoticeClass::Rewritten,
            format!(
                "was written again at {}, after its seal: the seal is void",
                seen.written_at
            ),
        ),
        _ => return None,
    };
    Some(Notice::new(
        class,
        Path::new(&row.location().path()),
        detail,
    ))
}

/// How to look for the data of an artifact.
pub(crate) fn look(artifact: &Artifact) -> Look {
    Look {
        id: artifact.id.0,
        path: artifact.location().path().into(),
        expected: subject(artifact.key.kind()),
    }
}

/// What data of a kind is.
pub(crate) fn subject(kind: Kind) -> Expected {
    if kind.is_container() {
        Expected::Container
    } else if kind.is_file() {
        Expected::File
    } else {
        Expected::Array
    }
}

/// The observation of an artifact whose data was looked for.
pub(crate) fn observed_row(
    artifact: &Artifact,
    seen: Option<Observation>,
    seal: Option<Seal>,
) -> ObservedRow {
    ObservedRow {
        id: artifact.id,
        state: artifact.state,
        seen,
        seal,
    }
}
