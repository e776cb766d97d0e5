//! How a removal is asked for, and what it reports.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::removal::{RemovalId, TrashKeep};
use crate::model::size::Total;
use crate::store::PurgeReport;

/// How to remove.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// Why; is remembered.
    pub reason: Option<String>,
    /// How long the data can be restored.
    pub keep: TrashKeep,
    /// Leave out what cannot be removed, rather than removing nothing.
    pub keep_going: bool,
    /// Remove also what a pin or a best link binds.
    pub force_pinned: bool,
    /// Remove also what a best link of DaCapo binds.
    pub ignore_best_links: bool,
    /// Refuse what was written or recorded anew since it was planned.
    pub unchanged: bool,
}

/// An artifact that was left out of a removal.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// Its absolute path.
    pub path: PathBuf,
    /// Stable code of the error.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

impl Skipped {
    pub(crate) fn new(path: PathBuf, error: &Error) -> Self {
        Self {
            path,
            code: error.code(),
            reason: error.to_string(),
        }
    }
}

/// Why the catalog could not be backed up before a removal, which went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupFailure {
    /// Stable code of the error.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

/// What a removal did.
#[derive(Debug, Serialize)]
pub struct RemovalReport {
    /// Its id; none where nothing was removed.
    pub removal: Option<RemovalId>,
    /// Artifacts that are gone.
    pub artifacts: Vec<Artifact>,
    /// Paths of those that were thought present and whose data was missing.
    pub missing: Vec<PathBuf>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Renames that it took.
    pub moved: u64,
    /// Bytes and files of what is gone, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
    /// What the purge did; none where the data is kept in the trash.
    pub purge: Option<PurgeReport>,
    /// Why the catalog could not be backed up before, where that was due.
    pub backup_failed: Option<BackupFailure>,
}
