//! A verification under way: what its parts share, and their order.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::finding::{VerifyClass, VerifyFinding, VerifyReport};
use super::lost::{Lost, StrayArray};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::observation::Observation;
use crate::model::progress::{Monitor, Phase, Progress};
use crate::ops::left_alone;
use crate::ops::recover;
use crate::ops::refresh;
use crate::store::{
    self, Base, Event, Hashed, Look, Notice, NoticeClass, ReadError, StorageError, Trash,
    WalkOptions,
};

/// Rows, or arrays found, that are looked at together.
pub(super) const BATCH: usize = 4096;

/// How closely to look. `quick` wins over `measure` and `read_data`.
///
/// Always: whether data is there, of the right type, and when its metadata was written; the size of
/// a checkpoint; the catalog's file; the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct VerifyOptions {
    /// Compare the size of every array that was ever counted; without, of the sealed ones only.
    pub measure: bool,
    /// Read the data of sealed rows that have a content hash and an unchanged size, and compare the
    /// hashes.
    pub read_data: bool,
    /// Compare no size that takes a walk through an array, and leave the history alone.
    pub quick: bool,
    /// Let SQLite compare rows with indices too, which reads the whole file more than once.
    pub indices: bool,
    /// Number of threads; `None` means a default for the machine.
    pub threads: Option<usize>,
}

impl VerifyOptions {
    /// Compares what costs no more than a look at each row, and the sizes of sealed arrays.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            measure: false,
            read_data: false,
            quick: false,
            indices: false,
            threads: None,
        }
    }

    /// Sets whether to compare the size of every array that was ever counted.
    #[must_use]
    pub const fn measure(mut self, measure: bool) -> Self {
        self.measure = measure;
        self
    }

    /// Sets whether to read data and compare content hashes.
    #[must_use]
    pub const fn read_data(mut self, read_data: bool) -> Self {
        self.read_data = read_data;
        self
    }

    /// Sets whether to leave out sizes that need a walk, and the history.
    #[must_use]
    pub const fn quick(mut self, quick: bool) -> Self {
        self.quick = quick;
        self
    }

    /// Sets whether SQLite compares rows with indices too.
    #[must_use]
    pub const fn indices(mut self, indices: bool) -> Self {
        self.indices = indices;
        self
    }

    /// Sets the number of threads; `None` means a default for the machine.
    #[must_use]
    pub const fn threads(mut self, threads: Option<usize>) -> Self {
        self.threads = threads;
        self
    }
}

/// When catalog and disk are compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ComparedAt {
    pub(crate) now: Timestamp,
    /// When the published copy was made that is compared; `None` if it is the catalog itself.
    pub(crate) copied_at: Option<Timestamp>,
}

/// Compares catalog and disk.
///
/// # Errors
/// [`Error`] if the catalog or the trash cannot be read at all.
pub(crate) fn verify(
    catalog: &Catalog,
    base: &Base,
    times: ComparedAt,
    filter: &Filter,
    options: VerifyOptions,
    monitor: &dyn Monitor,
) -> Result<VerifyReport, Error> {
    let mut verify = Verify {
        catalog,
        base,
        now: times.now,
        copied_at: times.copied_at,
        filter,
        options,
        monitor,
        report: VerifyReport {
            is_complete: true,
            ..VerifyReport::default()
        },
        lost: Lost::default(),
        found: Vec::new(),
    };
    // First, because rows of a damaged file prove nothing.
    let is_sound = verify.check_catalog()?;
    verify.check_inbox();
    let looked = verify
        .check_trash()
        .and_then(|()| verify.check_rows())
        .and_then(|()| verify.check_tree())
        .and_then(|()| verify.sum_up());
    match looked {
        // The check of the file may have reported the damage already.
        Err(error) if error.code() == "catalog-damaged" => {
            verify.report.is_complete = false;
            if is_sound {
                verify.catalog_damaged(error.to_string());
            }
        }
        looked => looked?,
    }
    let mut report = verify.report;
    if !is_sound || !report.is_complete {
        // A repair from a damaged catalog would make it worse.
        report
            .findings
            .iter_mut()
            .for_each(|found| found.repair = None);
    }
    tidy(&mut report);
    Ok(report)
}

/// Drops what is reported twice, and sorts.
fn tidy(report: &mut VerifyReport) {
    // A folder that cannot be read covers everything below it.
    let unreadable: BTreeSet<String> = report
        .findings
        .iter()
        .filter(|found| found.class == VerifyClass::Unreadable)
        .map(|found| found.path.clone())
        .collect();
    let is_below = |path: &str| {
        let mut above = Path::new(path).ancestors().skip(1);
        above.any(|above| {
            above
                .to_str()
                .is_some_and(|above| unreadable.contains(above))
        })
    };
    report
        .findings
        .retain(|found| found.class != VerifyClass::Unreadable || !is_below(&found.path));
    report.findings.sort_by(|a, b| {
        (a.class, &a.path, a.artifact, &a.detail).cmp(&(b.class, &b.path, b.artifact, &b.detail))
    });
    report.findings.dedup();
    report
        .notices
        .sort_by(|a, b| (&a.path, a.class).cmp(&(&b.path, b.class)));
    report.notices.dedup();
    // What a row says of a damaged array, the walk need not say too.
    let damaged: BTreeSet<&str> = report
        .findings
        .iter()
        .filter(|found| found.class == VerifyClass::DamagedMetadata)
        .map(|found| found.path.as_str())
        .collect();
    report.notices.retain(|notice| {
        notice.class != NoticeClass::DamagedMetadata || !damaged.contains(notice.path.as_str())
    });
    report.is_complete &= unreadable.is_empty();
}

/// A verification under way.
pub(super) struct Verify<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) now: Timestamp,
    /// When the published copy was made that is compared.
    pub(super) copied_at: Option<Timestamp>,
    pub(super) filter: &'a Filter,
    pub(super) options: VerifyOptions,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) report: VerifyReport,
    /// Rows without data, for the summaries.
    pub(super) lost: Lost,
    /// Arrays without a row, for the summaries.
    pub(super) found: Vec<StrayArray>,
}

impl Verify<'_> {
    pub(super) fn find(&mut self, finding: VerifyFinding) {
        self.report.findings.push(finding);
    }

    pub(super) fn catalog_damaged(&mut self, detail: String) {
        self.find(VerifyFinding {
            class: VerifyClass::CatalogDamaged,
            path: store::escape(self.catalog.path().as_os_str()),
            artifact: None,
            detail,
            repair: None,
            follows: None,
        });
    }

    /// Checks the file of the catalog and its history. Says whether the file is sound.
    pub(super) fn check_catalog(&mut self) -> Result<bool, Error> {
        self.monitor.begin(Phase::Check, None);
        let check = self.catalog.check_integrity(self.options.indices)?;
        let is_sound = check.damage.is_empty();
        for detail in check.damage.into_iter().chain(check.dangling) {
            self.catalog_damaged(detail);
        }
        // In a damaged file the chain breaks too, and the damage is the finding.
        if is_sound && !self.options.quick {
            let chain = self.catalog.check_chain(None)?;
            self.report.operations = Some(chain.operations);
            if let Some(broken) = chain.broken {
                self.find(VerifyFinding {
                    class: VerifyClass::HistoryBroken,
                    path: store::escape(self.catalog.path().as_os_str()),
                    artifact: None,
                    detail: format!("operation {}: {}", broken.operation, broken.detail),
                    repair: None,
                    follows: None,
                });
            }
        }
        self.monitor.end();
        Ok(is_sound)
    }

    /// Takes what a walk or a look noticed.
    pub(super) fn notice(&mut self, finding: Notice) {
        if finding.class == NoticeClass::Unreadable {
            // Data that disappeared meanwhile is no finding. An escaped path is not the name on
            // disk, so it cannot be looked up; an empty one is the base directory itself.
            let is_askable = !finding.path.is_empty() && !finding.path.contains('\\');
            if is_askable && self.base.is_absent(&finding.path) {
                return;
            }
            self.find(VerifyFinding {
                class: VerifyClass::Unreadable,
                path: match finding.path.is_empty() {
                    true => ".".to_owned(),
                    false => finding.path,
                },
                artifact: None,
                detail: finding.detail,
                repair: None,
                follows: None,
            });
        } else {
            self.report.notices.push(finding);
        }
    }

    pub(super) fn unreadable(&mut self, path: &str, error: &StorageError) {
        let path = Path::new(path);
        // In the words of the walk, so that one folder is one finding.
        self.notice(match error {
            StorageError::Io { source, .. } => store::unreadable(self.base, path, source),
            error => Notice::new(NoticeClass::Unreadable, path, error.to_string()),
        });
    }

    pub(super) fn walk_options(&self, measure: bool) -> WalkOptions<'_> {
        let defaults = WalkOptions::default();
        WalkOptions {
            measure,
            // Data behind a link is a finding: no removal could take it.
            links: true,
            threads: self.options.threads.unwrap_or(defaults.threads),
            ..defaults
        }
    }

    /// Looks at paths. What is not in the result could not be read, and is a finding or a notice.
    pub(super) fn look(
        &mut self,
        looks: Vec<Look>,
        measure: bool,
    ) -> Result<HashMap<i64, Option<Observation>>, Error> {
        self.look_closely(looks, measure, false)
    }

    /// The same; `places` asks which chunks are there of what is counted.
    pub(super) fn look_closely(
        &mut self,
        looks: Vec<Look>,
        measure: bool,
        places: bool,
    ) -> Result<HashMap<i64, Option<Observation>>, Error> {
        let options = WalkOptions {
            places,
            ..self.walk_options(measure)
        };
        let (mut sights, mut noticed) = (HashMap::new(), Vec::new());
        store::look_at(self.base, options, self.monitor, looks, |event| {
            match event {
                Event::Looked(id, sight) => drop(sights.insert(id, sight)),
                Event::Notice(finding) => noticed.push(finding),
                Event::Found(..) => {}
            }
            Ok::<_, Error>(())
        })?;
        // Only now, because the look borrows all that its callback needs.
        noticed.into_iter().for_each(|finding| self.notice(finding));
        Ok(sights)
    }

    /// Reads data; gives what could be read, or what of it has changed meanwhile. What is not in
    /// the result could not be read, and is a finding.
    pub(super) fn read(
        &mut self,
        rows: &[&Artifact],
    ) -> Result<HashMap<i64, Result<Hashed, PathBuf>>, Error> {
        let looks = rows
            .iter()
            .map(|artifact| refresh::look(artifact))
            .collect();
        let (mut contents, mut noticed) = (HashMap::new(), Vec::new());
        if rows.is_empty() {
            return Ok(contents);
        }
        let (threads, monitor) = (self.options.threads, self.monitor);
        monitor.begin(Phase::Read, Some(rows.len() as u64));
        store::hash(self.base, threads, monitor, looks, |id, content| {
            monitor.advance(Progress {
                items: 1,
                ..Progress::default()
            });
            match content {
                Ok(content) => drop(contents.insert(id, Ok(content))),
                Err(ReadError::Changed(path)) => drop(contents.insert(id, Err(path))),
                Err(ReadError::Unreadable(path, detail)) => {
                    noticed.push(Notice::new(NoticeClass::Unreadable, &path, detail));
                }
            }
            Ok::<_, Error>(())
        })?;
        // Back to the phase that reading has interrupted.
        monitor.begin(Phase::Verify, None);
        noticed.into_iter().for_each(|finding| self.notice(finding));
        Ok(contents)
    }

    /// Whether to compare the contents of an artifact, if its size is as counted.
    pub(super) fn reads(&self, artifact: &Artifact) -> bool {
        self.options.read_data
            && !self.options.quick
            && artifact.state == State::Present
            && artifact.content_hash.is_some()
    }

    /// Whether the size of an artifact's data is to be compared by a walk through it.
    pub(super) fn measures(&self, artifact: &Artifact) -> bool {
        !self.options.quick
            && !artifact.key.kind().is_container()
            && artifact.size.is_some()
            && (self.options.measure || artifact.sealed_at.is_some())
    }
}

/// What lies in removals and restores that are not over, as paths relative to the base directory.
pub(super) struct InFlight(BTreeSet<String>);

impl InFlight {
    pub(super) fn read(catalog: &Catalog, base: &Base, now: Timestamp) -> Result<Self, Error> {
        let mut paths = BTreeSet::new();
        let unsettled = recover::pending(catalog, base, now)?.unsettled;
        if unsettled.is_empty() {
            return Ok(Self(paths));
        }
        let Some(trash) = Trash::open(base)? else {
            return Ok(Self(paths));
        };
        for id in &unsettled {
            // What is left alone is not in flight; checking the trash reports it.
            let Ok(Some(folder)) = trash.folder(id) else {
                continue;
            };
            if left_alone::reason(catalog, base, id, &folder)?.is_none()
                && let (Ok(removed), Ok(restored)) = (folder.manifest(), folder.restoring())
            {
                // Both notes, because a removal and a restore each name what they move.
                let items = removed.into_iter().chain(restored);
                paths.extend(items.flat_map(|items| items.items).map(|item| item.path));
            }
        }
        Ok(Self(paths))
    }

    pub(super) fn covers(&self, path: &str) -> bool {
        let mut above = Path::new(path).ancestors();
        !self.0.is_empty()
            && above.any(|above| above.to_str().is_some_and(|above| self.0.contains(above)))
    }
}
