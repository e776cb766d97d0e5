//! Refresh: brings the rows of a selection up to date with the disk.
//!
//! DaCapo asks for identifiers and never says that it wrote. A refresh looks for the data of rows
//! that are not known to be present, in parallel, one `statx` a row, and writes what it sees. A row
//! changes only if it is still as it was when its data was looked for: a refresh never overwrites
//! what another process wrote in the meantime.
//!
//! Locks: a write transaction for each batch, none while looking.

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde::Serialize;

use crate::catalog::{Catalog, ObservedRow, Seal, Selected};
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::observation::Observation;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase};
use crate::ops::gc::GcRequest;
use crate::store::{self, Base, Event, Expected, Look, Notice, WalkOptions};

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
}

impl RefreshOptions {
    /// Looks at the rows that are not known to be present, and counts nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            all: false,
            measure: false,
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
    /// What could not be read, by path; its rows are as before.
    pub findings: Vec<Notice>,
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
            return refresh(catalog, base, &filter, options, now, monitor);
        }
        Question::Gc(request) => request,
    };
    let mut report = RefreshReport::default();
    for selection in request.selections() {
        let filter = Filter {
            older_than: None,
            written_before: None,
            ..selection
        };
        // First whether each row's data is there at all, then the sizes that are unknown.
        for measure in [false, true] {
            let options = RefreshOptions {
                all: !measure,
                measure,
            };
            let seen = refresh(catalog, base, &filter, options, now, monitor)?;
            report.looked_at += seen.looked_at;
            report.present += seen.present;
            report.changed += seen.changed;
            report.findings.extend(seen.findings);
        }
    }
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
    let mut batch: Vec<Artifact> = Vec::new();
    let selected = if options.all || options.measure {
        Selected::All
    } else {
        Selected::Unseen
    };
    monitor.begin(Phase::Refresh, None);
    catalog.list(filter, now, selected, |artifact| {
        let wanted = options.all
            || artifact.state != State::Present
            || (options.measure
                && (artifact.size.is_none() || artifact.owner.is_none())
                && !artifact.key.kind().is_container());
        if wanted {
            batch.push(artifact);
        }
        if batch.len() >= BATCH {
            look_at(
                catalog,
                base,
                &mut batch,
                options.measure,
                now,
                monitor,
                &mut report,
            )?;
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    look_at(
        catalog,
        base,
        &mut batch,
        options.measure,
        now,
        monitor,
        &mut report,
    )?;
    monitor.end();
    report.findings.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(report)
}

fn look_at(
    catalog: &Catalog,
    base: &Base,
    batch: &mut Vec<Artifact>,
    measure: bool,
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
        measure,
        ..WalkOptions::default()
    };
    store::look_at(base, options, monitor, looks, |event| {
        match event {
            Event::Looked(id, seen) => {
                report.present += u64::from(seen.is_some());
                if let Some(artifact) = states.get(&id) {
                    notes.push(observed_row(artifact, seen, None));
                }
            }
            Event::Notice(finding) => report.findings.push(finding),
            Event::Found(..) => {}
        }
        Ok::<_, Error>(())
    })?;
    notes.retain(|note| note.seen.is_some() || note.state != State::Reserved);
    report.changed += catalog.observe(NewOperation::new(Action::Refresh, now), &notes)?;
    batch.clear();
    Ok(())
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
