//! Scan: adopts the arrays of trees that exist already.
//!
//! A scan walks the base directory in parallel and adopts every array that has no row, under the
//! key that [`layout::parse`](crate::model::layout::parse) reads from its path; checkpoints too if
//! that kind is selected. A row that exists keeps its key and becomes present. Scanning twice gives
//! the same catalog. What cannot be read, or has a name that breaks the rules, is reported and gets
//! no row. What contradicts a seal is looked at again, as [`refresh`] does. A scan of single runs
//! walks their folders only; runs that a pattern names are found by a walk of everything.
//!
//! Locks: a write transaction for each batch of arrays, no lock while walking. Another process may
//! have removed an array since it was seen. Every removal writes an operation, so if others have
//! written one since the walk began, each array is looked at once more with the lock held. A scan
//! that is killed has adopted whole batches; the next one goes on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};

use serde::Serialize;

use crate::catalog::{AdoptCounts, Catalog, LevelsNote, ScannedArtifact};
use crate::disk::{LooksLike, looks_like, registry_above, registry_below};
use crate::error::Error;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Clock;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::{Key, Kind};
use crate::model::layout::{self, LayoutError, Location};
use crate::model::name::{BasePath, RunName};
use crate::model::observation::Damage;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase, Silent};
use crate::model::size::Total;
use crate::ops::gone::{self, RowSet};
use crate::ops::refresh::{self, RefreshReport};
use crate::store::{
    self, AbsenceCheck, Base, Event, Notice, NoticeClass, StorageError, WalkOptions,
};

/// Arrays that one transaction adopts.
const BATCH: usize = 4096;
/// Arrays that are handed to the catalog together.
const ROWS_PER_CALL: usize = 128;

/// What to scan for, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Kinds to adopt, as the layout reads them; empty means every kind except checkpoint.
    pub kinds: Vec<Kind>,
    /// Whether to count bytes and files of the arrays.
    pub measure: bool,
    /// Most threads to start, at least one; `None` means a default for the machine.
    pub threads: Option<usize>,
    /// Runs to walk, by name or pattern; empty means everything in the base directory.
    pub runs: Vec<Pattern>,
}

impl ScanOptions {
    /// Sets the kinds to adopt; none means every kind except checkpoint.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets whether to count bytes and files of the arrays.
    #[must_use]
    pub fn measure(mut self, measure: bool) -> Self {
        self.measure = measure;
        self
    }

    /// Sets the most threads to start; `None` means a default for the machine.
    #[must_use]
    pub fn threads(mut self, threads: Option<usize>) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the runs to walk, by name or pattern; none means everything in the base directory.
    #[must_use]
    pub fn runs<P: Into<Pattern>>(mut self, runs: impl IntoIterator<Item = P>) -> Self {
        self.runs = Pattern::list(runs);
        self
    }

    /// What the scan is about.
    #[must_use]
    pub fn filter(&self) -> Filter {
        Filter::default()
            .kinds(self.kinds.iter().copied())
            .runs(self.runs.iter().cloned())
    }

    /// How to walk for these kinds.
    pub(crate) fn walk(&self) -> WalkOptions<'static> {
        let defaults = WalkOptions::default();
        WalkOptions {
            measure: self.measure,
            threads: self.threads.unwrap_or(defaults.threads),
            arrays: self.wants_arrays(),
            checkpoints: self.wants(Kind::Checkpoint),
            ..defaults
        }
    }

    /// Whether the scan adopts this kind.
    #[must_use]
    pub fn wants(&self, kind: Kind) -> bool {
        if self.kinds.is_empty() {
            kind != Kind::Checkpoint
        } else {
            self.kinds.contains(&kind)
        }
    }

    /// Whether the scan adopts anything except checkpoints.
    #[must_use]
    pub fn wants_arrays(&self) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|kind| !kind.is_file())
    }
}

/// The run at a path, the one that it is in, or those in a folder of runs, by what is on disk.
pub(crate) fn run_at(base: &Base, path: &BasePath) -> Pattern {
    let place = path.as_str();
    let looks = |place: &str| looks_like(&base.path().join(place));
    let ends = place.match_indices('/').map(|(end, _)| end);
    let above = ends.chain([place.len()]).map(|end| &place[..end]);
    let run = above
        .into_iter()
        .find(|above| matches!(looks(above), LooksLike::Run(_)));
    match (run, looks(place)) {
        (Some(run), _) => run.into(),
        // The runs in a folder have its name before theirs.
        (None, LooksLike::Base(_)) => format!("{place}/*").as_str().into(),
        (None, _) => place.into(),
    }
}

/// What a scan found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct ScanReport {
    /// Arrays found whose metadata can be read.
    pub arrays: u64,
    /// Arrays found whose metadata cannot be read, and that have a row.
    pub damaged: u64,
    /// Checkpoints found.
    pub checkpoints: u64,
    /// Arrays, damaged ones too, and checkpoints that got a row.
    pub adopted: u64,
    /// Rows that changed: their state, size, time or owner.
    pub updated: u64,
    /// Rows of single levels that became part of their pyramid's row.
    pub levels: u64,
    /// Arrays and checkpoints of the scanned kinds that are recorded and whose data is gone.
    pub gone: u64,
    /// Bytes and files of what was found; arrays are uncounted without `--measure`.
    #[serde(flatten)]
    pub total: Total,
    /// If nothing is recorded and all arrays lie outside runs, the folder that most likely holds
    /// the runs: one above with a registry, one below with one, or the one that this looks like a
    /// run of.
    pub likely_base: Option<PathBuf>,
    /// What was noticed and left alone, by path: `notices` in JSON.
    pub notices: Vec<Notice>,
}

/// Scans a base directory into its catalog.
///
/// # Errors
/// [`Error`] if the catalog cannot be written; batches that were committed stay.
pub(crate) fn scan(
    catalog: &Catalog,
    base: &Base,
    clock: &dyn Clock,
    options: &ScanOptions,
    monitor: &dyn Monitor,
) -> Result<ScanReport, Error> {
    // Before the walk: an operation after this one may have removed what the walk saw.
    let mut next = catalog.next_operation()?;
    let last_before = catalog.last_row()?;
    let known = catalog.known_arrays()?;
    let walk = WalkOptions {
        known: Some(&known),
        began: Some(clock.now()),
        ..options.walk()
    };
    monitor.begin(Phase::Scan, None);
    // Found and read on another thread, so that this one does nothing but write.
    let (mut report, taken_in) = std::thread::scope(|scope| {
        // Room for one: the finder is at most a batch ahead, whatever the disk can read.
        let (sender, batches) = mpsc::sync_channel(1);
        let finder = scope.spawn(move || find((catalog, base), (options, walk), monitor, &sender));
        let mut adopted = AdoptCounts::default();
        let mut taken_in = TakenIn::default();
        for batch in batches {
            adopted += adopt((catalog, base, clock), &mut next, &batch, &mut taken_in)?;
        }
        let found = finder
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let report = ScanReport {
            damaged: adopted.damaged,
            adopted: adopted.new,
            updated: adopted.updated,
            levels: adopted.levels,
            ..found
        };
        Ok::<_, Error>((report, taken_in))
    })?;
    let TakenIn {
        contradicted,
        notes,
        found,
    } = taken_in;
    let notes = notes.into_iter().map(|LevelsNote { path, detail }| {
        Notice::new(NoticeClass::Levels, Path::new(&path), detail)
    });
    report.notices.extend(notes);
    if !contradicted.is_empty() {
        let operation = NewOperation::new(Action::Scan, clock.now());
        let measure = options.measure;
        let again = refresh::look_again(catalog, base, operation, &contradicted, measure)?;
        report.updated += again.changed;
        report.notices.extend(again.notices);
    }
    let filter = options.filter();
    let unfound = look_for_unfound((catalog, base, clock), &filter, last_before, &found)?;
    report.updated += unfound.changed;
    report.notices.extend(unfound.notices);
    report.gone = catalog.count_missing(&filter, clock.now())?;
    report
        .notices
        .sort_by(|a, b| (&a.path, a.class).cmp(&(&b.path, b.class)));
    // Whatever is recorded here was recorded on purpose.
    if last_before == ArtifactId(0) && options.runs.is_empty() {
        report.likely_base = likely_base(base, &report);
    }
    monitor.end();
    Ok(report)
}

/// The folder that most likely was meant, if all arrays that a scan found lie outside runs.
fn likely_base(base: &Base, report: &ScanReport) -> Option<PathBuf> {
    let is_outside = |found: &Notice| {
        matches!(
            found.class,
            NoticeClass::OutsideRun | NoticeClass::OutsideContainer
        )
    };
    let found = report.arrays + report.damaged + report.checkpoints;
    if found > 0 || !report.notices.iter().any(is_outside) {
        return None;
    }
    let path = base.path();
    let near = registry_above(path).or_else(|| registry_below(path));
    near.or_else(|| match looks_like(path) {
        // Its runs may have nothing but checkpoints.
        LooksLike::Base(_) => None,
        LooksLike::InContainer(container) => {
            let run = container.parent()?;
            run.parent().map(Path::to_path_buf)
        }
        LooksLike::Run(_) | LooksLike::Empty | LooksLike::Other => {
            path.parent().map(Path::to_path_buf)
        }
    })
}

/// Looks for rows with data that the walk did not find, and makes those missing whose data has
/// gone. Rows after `last_before` are younger than the walk.
fn look_for_unfound(
    (catalog, base, clock): (&Catalog, &Base, &dyn Clock),
    filter: &Filter,
    last_before: ArtifactId,
    found: &RowSet,
) -> Result<RefreshReport, Error> {
    let mut unfound = Vec::new();
    catalog.each_with_data(filter, clock.now(), |id| {
        if id <= last_before && !found.has(id) {
            unfound.push(id);
        }
        Ok::<_, Error>(())
    })?;
    let mut report = RefreshReport::default();
    for ids in unfound.chunks(BATCH) {
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            rows.extend(catalog.by_id(*id)?);
        }
        // What cannot be looked at was reported by the walk, and what is there at its path, such as
        // chunks without metadata, is for a verification to judge.
        let absent = gone::absent(base, rows);
        let seen = refresh::refresh_rows(catalog, base, &absent, clock.now(), &Silent)?;
        report.changed += seen.changed;
        report.notices.extend(seen.notices);
    }
    Ok(report)
}

/// The folders of the runs that a filter names, for a walk; the base directory if it names none, or
/// names them by a pattern.
pub(crate) fn run_folders(filter: &Filter) -> Vec<PathBuf> {
    if filter.runs.is_empty() || filter.runs.iter().any(Pattern::is_glob) {
        return vec![PathBuf::new()];
    }
    // A text that breaks the rules of names is the name of no run.
    let names = filter.runs.iter();
    let names = names.filter_map(|pattern| pattern.as_str().parse::<RunName>().ok());
    outermost(names.map(|name| name.as_str().into()).collect())
}

/// Those paths that lie in none of the others, each once.
pub(crate) fn outermost(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort_unstable();
    // Sorted by components, a folder comes directly before what lies in it.
    paths.dedup_by(|path, before| path.starts_with(before));
    paths
}

/// Which runs a scan takes in.
struct WantedRuns<'a> {
    catalog: &'a Catalog,
    filter: Filter,
    known: HashMap<RunName, bool>,
}

impl WantedRuns<'_> {
    fn has(&mut self, run: &RunName) -> Result<bool, Error> {
        if self.filter.runs.is_empty() {
            return Ok(true);
        }
        if let Some(&is_wanted) = self.known.get(run) {
            return Ok(is_wanted);
        }
        // Patterns are matched by the catalog; one query a run is enough.
        let is_wanted = self.catalog.selects_run(&self.filter, run.as_str())?;
        self.known.insert(run.clone(), is_wanted);
        Ok(is_wanted)
    }

    /// Whether a finding is about one of these runs. What could not be read may be one of them.
    fn concern(&mut self, finding: &Notice) -> Result<bool, Error> {
        if self.filter.runs.is_empty() || finding.class.is_unread() {
            return Ok(true);
        }
        for above in Path::new(&finding.path).ancestors() {
            let run = above.to_str().and_then(|text| text.parse().ok());
            if let Some(run) = run
                && self.has(&run)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Walks, and hands over what is to be adopted, in batches. Returns what was found.
fn find(
    (catalog, base): (&Catalog, &Base),
    (options, walk): (&ScanOptions, WalkOptions<'_>),
    monitor: &dyn Monitor,
    sender: &SyncSender<Vec<ScannedArtifact>>,
) -> Result<ScanReport, Error> {
    let mut wanted = WantedRuns {
        catalog,
        filter: options.filter(),
        known: HashMap::new(),
    };
    let starts = run_folders(&wanted.filter);
    let mut report = ScanReport::default();
    let mut batch = Vec::new();
    let hand_over = |mut batch: Vec<ScannedArtifact>| {
        // In the order of paths, so that the rows of a run are together whatever the threads did.
        batch.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        // The receiver is gone only if writing has failed; that error is reported.
        sender.send(batch).map_err(|_| StorageError::Interrupted {
            path: base.path().to_path_buf(),
        })
    };
    store::walk_from(base, &starts, walk, monitor, |event| {
        match event {
            Event::Found(path, seen) => match read_at(&path) {
                Ok((key, _)) if !options.wants(key.kind()) || !wanted.has(key.run())? => {}
                // A container whose group has damaged metadata is there all the same.
                Ok((key, _)) if seen.damage.is_some() && key.kind().is_container() => {}
                Ok((key, location)) => {
                    let is_file = key.kind().is_file();
                    if seen.damage.is_none() {
                        report.arrays += u64::from(!is_file);
                        report.checkpoints += u64::from(is_file);
                    }
                    if seen.damage != Some(Damage::OfArrayOrGroup) {
                        report.total.add(seen.size);
                    }
                    batch.push(ScannedArtifact {
                        key,
                        location,
                        seen,
                    });
                }
                // The damage is reported already, and groups need no name.
                Err(_) if seen.damage.is_some() => {}
                Err(finding) if wanted.concern(&finding)? => report.notices.push(finding),
                Err(_) => {}
            },
            Event::Notice(finding) if wanted.concern(&finding)? => report.notices.push(finding),
            Event::Notice(_) | Event::Looked(..) => {}
        }
        if batch.len() >= BATCH {
            hand_over(std::mem::take(&mut batch))?;
        }
        Ok::<_, Error>(())
    })?;
    if !batch.is_empty() {
        hand_over(batch)?;
    }
    report
        .notices
        .sort_by(|a, b| (&a.path, a.class).cmp(&(&b.path, b.class)));
    Ok(report)
}

/// Reads the key of a path that a walk found.
pub(crate) fn read(path: &Path) -> Result<Key, Notice> {
    read_at(path).map(|(key, _)| key)
}

/// Reads the key of a path that a walk found, and its location.
fn read_at(path: &Path) -> Result<(Key, Location), Notice> {
    let Some(text) = path.to_str() else {
        return Err(Notice::new(
            NoticeClass::Unnameable,
            path,
            "the path is not UTF-8",
        ));
    };
    let read = |text| {
        let location = layout::split(text)?;
        Ok((layout::parse_at(text, &location)?, location))
    };
    let (key, location) = read(text).map_err(|error: LayoutError| {
        let class = match error {
            LayoutError::NoContainer { .. } => NoticeClass::OutsideContainer,
            LayoutError::NoRun { .. } => NoticeClass::OutsideRun,
            LayoutError::Name(_) => NoticeClass::Unnameable,
        };
        Notice::new(class, path, error.to_string())
    })?;
    // A walk gives no path with an empty component, which a key would drop.
    debug_assert_eq!(location, layout::canonical_location(&key));
    Ok((key, location))
}

/// What a scan keeps of the rows that it takes in.
#[derive(Default)]
struct TakenIn {
    /// Sealed rows whose data was found otherwise than it was sealed.
    contradicted: Vec<ArtifactId>,
    notes: Vec<LevelsNote>,
    /// Rows that were there before.
    found: RowSet,
}

/// Adopts a batch, and notes what to know of its rows. `next` is the number of the next
/// operation if only this scan writes any.
fn adopt(
    (catalog, base, clock): (&Catalog, &Base, &dyn Clock),
    next: &mut i64,
    batch: &[ScannedArtifact],
    taken_in: &mut TakenIn,
) -> Result<AdoptCounts, Error> {
    let operation = NewOperation::new(Action::Scan, clock.now());
    let (is_alone, adopted) = catalog.record(operation, |recorder| {
        let mut adopted = AdoptCounts::default();
        let mut known = Vec::new();
        let is_alone = recorder.operation() == *next;
        let mut take_in = |found: &[&ScannedArtifact]| {
            adopted += recorder.adopt_all(found)?;
            Ok::<_, Error>(())
        };
        if is_alone {
            let mut rest = Vec::with_capacity(batch.len());
            for found in batch {
                // No row has changed since these were read; a count would be news to them.
                match found.seen.known_row.filter(|_| found.seen.size.is_none()) {
                    Some(row) => known.push(row),
                    None => rest.push(found),
                }
            }
            rest.chunks(ROWS_PER_CALL).try_for_each(&mut take_in)?;
        } else {
            // The lock is held, so no removal is under way and these answers stay true. They are
            // read beside the writing, to hold the lock for less time.
            std::thread::scope(|scope| {
                let (sender, answers) = mpsc::sync_channel(BATCH / ROWS_PER_CALL);
                scope.spawn(move || {
                    let mut absence = AbsenceCheck::new(base);
                    let mut is_there =
                        |found: &&ScannedArtifact| !absence.is_absent(&found.location.path());
                    batch
                        .chunks(ROWS_PER_CALL)
                        .map(|together| together.iter().filter(&mut is_there).collect())
                        // The receiver is gone only if writing has failed.
                        .try_for_each(|there: Vec<_>| sender.send(there))
                });
                answers.into_iter().try_for_each(|there| take_in(&there))
            })?;
        }
        taken_in.contradicted.extend(recorder.take_contradicted());
        taken_in.notes.extend(recorder.take_level_notes());
        taken_in.found.extend(known);
        taken_in.found.extend(recorder.take_found());
        Ok::<_, Error>((is_alone, adopted))
    })?;
    *next += i64::from(is_alone && adopted.is_any_changed());
    Ok(adopted)
}
