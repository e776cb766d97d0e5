//! Scan: the way in for the trees that people already have.
//!
//! A scan walks the base directory in parallel and adopts every array that has no row, under the
//! key that [`layout::read`](crate::layout::read) guesses from its path; checkpoints too where that
//! kind is asked for. A row that is there keeps
//! its key and learns that its data is present. Scanning twice gives the same catalog. What cannot
//! be read or named is a finding, and never a row.
//!
//! Locks: a write transaction for each batch of arrays found, none while walking. With the lock it
//! looks once more whether each array is there: another process may have removed it since. A scan
//! that is killed has adopted whole batches; the next one goes on.

use std::path::Path;
use std::sync::mpsc;

use serde::Serialize;

use crate::catalog::{Catalog, Seen};
use crate::clock::Clock;
use crate::error::Error;
use crate::history::{Action, Doing};
use crate::key::{Key, Kind};
use crate::layout::{self, LayoutError, Location};
use crate::monitor::{Monitor, Phase};
use crate::size::Total;
use crate::storage::{self, Base, Event, Finding, FindingClass, Lacks, Sight, WalkOptions};

/// Arrays that one transaction takes in.
const BATCH: usize = 4096;
/// Arrays that are asked about together, whether they are there still.
const TOGETHER: usize = 128;

/// What to scan for, and how.
#[derive(Debug, Clone, Default)]
pub struct ScanOptions {
    /// Kinds to take in, as the layout reads them; empty for every kind but checkpoint.
    pub kinds: Vec<Kind>,
    /// How to walk. What to search for follows from the kinds.
    pub walk: WalkOptions,
}

impl From<WalkOptions> for ScanOptions {
    fn from(walk: WalkOptions) -> Self {
        Self {
            kinds: Vec::new(),
            walk,
        }
    }
}

impl ScanOptions {
    /// Whether this kind is to be taken in.
    #[must_use]
    pub fn wants(&self, kind: Kind) -> bool {
        if self.kinds.is_empty() {
            kind != Kind::Checkpoint
        } else {
            self.kinds.contains(&kind)
        }
    }

    /// Whether anything but checkpoints is to be taken in.
    #[must_use]
    pub fn wants_arrays(&self) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|kind| !kind.is_file())
    }
}

/// What a scan found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ScanReport {
    /// Arrays found.
    pub arrays: u64,
    /// Checkpoints found.
    pub checkpoints: u64,
    /// Arrays and checkpoints that had no row and have one now.
    pub adopted: u64,
    /// Rows that learned something: that their data is present, or its size.
    pub updated: u64,
    /// Bytes and files of what was found; arrays are uncounted without `--measure`.
    #[serde(flatten)]
    pub total: Total,
    /// What was noticed and left alone, by path.
    pub findings: Vec<Finding>,
}

/// Scans a base directory into its catalog.
///
/// # Errors
/// [`Error`] of the catalog; batches that were committed stay.
pub(crate) fn scan(
    catalog: &Catalog,
    base: &Base,
    clock: &dyn Clock,
    options: &ScanOptions,
    monitor: &dyn Monitor,
) -> Result<ScanReport, Error> {
    let mut report = ScanReport::default();
    let mut batch = Vec::new();
    monitor.begin(Phase::Scan, None);
    let walk = WalkOptions {
        arrays: options.wants_arrays(),
        checkpoints: options.wants(Kind::Checkpoint),
        ..options.walk
    };
    let walked = storage::walk(base, walk, monitor, |event| {
        match event {
            Event::Found(path, sight) => match read(&path) {
                Ok(key) if !options.wants(key.kind()) => {}
                Ok(key) => {
                    let is_file = key.kind().is_file();
                    report.arrays += u64::from(!is_file);
                    report.checkpoints += u64::from(is_file);
                    report.total.add(sight.size);
                    batch.push(Found {
                        location: layout::place(&key),
                        key,
                        sight,
                    });
                }
                Err(finding) => report.findings.push(finding),
            },
            Event::Finding(finding) => report.findings.push(finding),
            Event::Looked(..) => {}
        }
        if batch.len() >= BATCH {
            adopt(catalog, base, clock, &mut batch, &mut report)?;
        }
        Ok::<_, Error>(())
    });
    walked.and_then(|()| adopt(catalog, base, clock, &mut batch, &mut report))?;
    monitor.end();
    report
        .findings
        .sort_by(|a, b| (&a.path, a.class).cmp(&(&b.path, b.class)));
    Ok(report)
}

/// Reads the key of a path that a walk found.
pub(crate) fn read(path: &Path) -> Result<Key, Finding> {
    let Some(text) = path.to_str() else {
        return Err(Finding::new(
            FindingClass::Unnameable,
            path,
            "the path is not UTF-8",
        ));
    };
    layout::read(text).map_err(|error| {
        let class = match error {
            LayoutError::NoContainer { .. } => FindingClass::OutsideContainer,
            LayoutError::NoRun { .. } => FindingClass::OutsideRun,
            LayoutError::Name(_) => FindingClass::Unnameable,
        };
        Finding::new(class, path, error.to_string())
    })
}

/// What a walk found, and where it belongs.
struct Found {
    location: Location,
    key: Key,
    sight: Sight,
}

fn adopt(
    catalog: &Catalog,
    base: &Base,
    clock: &dyn Clock,
    batch: &mut Vec<Found>,
    report: &mut ScanReport,
) -> Result<(), Error> {
    if batch.is_empty() {
        return Ok(());
    }
    // In the order of places, so that the rows of a run lie together however the walk went.
    let mut ordered: Vec<&Found> = batch.iter().collect();
    ordered.sort_by(|a, b| a.location.cmp(&b.location));
    catalog.record(Doing::new(Action::Scan, clock.now()), |recorder| {
        std::thread::scope(|scope| {
            // Removed since it was seen: no removal is under way now, so these answers hold. They
            // are had beside the writing, which keeps others waiting.
            let (sender, answers) = mpsc::sync_channel(BATCH / TOGETHER);
            let asked = &ordered;
            scope.spawn(move || {
                let mut lacks = Lacks::of(base);
                let mut ask = |found: &&Found| lacks.ask(&found.location.path());
                asked
                    .chunks(TOGETHER)
                    .map(|together| together.iter().map(&mut ask).collect::<Vec<bool>>())
                    // Nobody takes an answer where the writing has failed.
                    .try_for_each(|answers| sender.send(answers))
            });
            for (found, is_gone) in ordered.iter().zip(answers.into_iter().flatten()) {
                if is_gone {
                    continue;
                }
                let sight = found.sight;
                let seen = Seen {
                    written_at: sight.written_at,
                    size: sight.size,
                    owner: sight.owner,
                };
                let (recorded, changed) = recorder.adopt_at(&found.key, &found.location, seen)?;
                report.adopted += u64::from(recorded.is_new);
                report.updated += u64::from(changed && !recorded.is_new);
            }
            Ok::<_, Error>(())
        })
    })?;
    batch.clear();
    Ok(())
}
