//! Options and report of a removal.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::causes::with_causes;
use crate::model::removal::{RemovalId, TrashKeep};
use crate::model::size::{Size, Total, as_others};
use crate::store::{PurgeReport, StaleList};

/// Options of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RemoveOptions {
    /// Reason for the history.
    pub reason: Option<String>,
    /// How long the data can be restored.
    pub keep: TrashKeep,
    /// Skip what cannot be removed, instead of removing nothing.
    pub keep_going: bool,
    /// Remove even what a pin or a best link binds, what is another run's by its time, and rows whose
    /// data was renamed by hand.
    pub force_pinned: bool,
    /// Remove even what a best link of DaCapo binds.
    pub ignore_best_links: bool,
    /// Refuse what was written or recorded again since it was planned.
    pub unchanged: bool,
    /// Leave the folders that the removal empties, as DaCapo does.
    pub keep_parents: bool,
}

impl RemoveOptions {
    /// Sets the reason for the history.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Sets how long the data can be restored.
    #[must_use]
    pub fn keep(mut self, keep: TrashKeep) -> Self {
        self.keep = keep;
        self
    }

    /// Sets whether to skip what cannot be removed.
    #[must_use]
    pub fn keep_going(mut self, keep_going: bool) -> Self {
        self.keep_going = keep_going;
        self
    }

    /// Sets whether to remove even what a pin or a best link binds.
    #[must_use]
    pub fn force_pinned(mut self, force_pinned: bool) -> Self {
        self.force_pinned = force_pinned;
        self
    }

    /// Sets whether to remove even what a best link of DaCapo binds.
    #[must_use]
    pub fn ignore_best_links(mut self, ignore_best_links: bool) -> Self {
        self.ignore_best_links = ignore_best_links;
        self
    }

    /// Sets whether to refuse what was written or recorded again since it was planned.
    #[must_use]
    pub fn unchanged(mut self, unchanged: bool) -> Self {
        self.unchanged = unchanged;
        self
    }

    /// Sets whether to leave the folders that the removal empties.
    #[must_use]
    pub fn keep_parents(mut self, keep_parents: bool) -> Self {
        self.keep_parents = keep_parents;
        self
    }
}

/// An artifact that was left out of a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Skipped {
    /// Its absolute path.
    pub path: PathBuf,
    /// Stable code of the error.
    pub code: &'static str,
    /// The reason, as text.
    pub reason: String,
}

impl Skipped {
    pub(crate) fn new(path: PathBuf, error: &Error) -> Self {
        Self {
            path,
            code: error.code(),
            reason: with_causes(error),
        }
    }
}

/// Why the catalog could not be backed up before a removal, which went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupFailure {
    /// Stable code of the error.
    pub code: &'static str,
    /// The reason, as text.
    pub reason: String,
}

/// What a removal did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemovalReport {
    /// Id of the removal; `None` if nothing was removed.
    pub removal: Option<RemovalId>,
    /// Artifacts that were removed.
    pub artifacts: Vec<Artifact>,
    /// Paths of removed artifacts that were present by their rows and had no data.
    pub missing: Vec<PathBuf>,
    /// Artifacts that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// Number of renames.
    pub moved: u64,
    /// Bytes and files of what is gone, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
    /// Bytes and files that went and that no artifact has, as the plan counted them; `None` if it
    /// did not count all of them.
    #[serde(flatten, serialize_with = "as_others")]
    pub others: Option<Size>,
    /// What the purge did; `None` if the data is kept in the trash.
    pub purge: Option<PurgeReport>,
    /// Consolidated metadata that could not be written, and still lists what is gone: zarr reads
    /// that as fill values.
    pub stale_lists: Vec<StaleList>,
    /// Why the backup that was due failed, if it did.
    pub backup_failed: Option<BackupFailure>,
}
