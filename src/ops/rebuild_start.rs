//! What a rebuild begins with: a backup, the published copy of a catalog elsewhere, or the damaged
//! catalog itself if only its header is. Which of two is newer, and what a new catalog would lack.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::backup::{self, Backup, LastOperation};
use crate::catalog::{self, CatalogError, Mended, MendedCopy};
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;

/// A backup that a rebuild did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedBackup {
    /// Path of the backup.
    pub path: PathBuf,
    /// Why it cannot be used, with its causes.
    pub reason: String,
}

/// Whether the error is about this backup, so that an older one may still be good.
pub(super) fn is_its_own(error: &CatalogError) -> bool {
    let is_another = matches!(
        error,
        CatalogError::Mismatch { .. } | CatalogError::TooNew { .. }
    );
    is_another || error.is_damage() || error.is_unreadable()
}

/// What a rebuild begins with.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) backup: Backup,
    /// The file that is read: of the published copy, a private copy.
    pub(super) file: PathBuf,
    pub(super) last: Option<LastOperation>,
}

impl Start {
    pub(super) fn of(backup: Backup, last: Option<LastOperation>) -> Self {
        Self {
            file: backup.path.clone(),
            backup,
            last,
        }
    }

    /// Whether this has operations that `other` lacks, and `other` none that this lacks; or, if
    /// they went different ways, as after a rebuild, whether this was changed later.
    pub(super) fn is_newer_than(&self, other: &Self, now: Timestamp) -> Result<bool, CatalogError> {
        let (Some(own), Some(others)) = (self.last, other.last) else {
            return Ok(self.last.is_some());
        };
        if backup::holds(&other.file, own)? {
            return Ok(false);
        }
        // By the operations first: a clock may have been wrong.
        Ok(backup::holds(&self.file, others)? || (own.at > others.at && own.at <= now))
    }
}

/// The published copy, as a rebuild finds it.
pub(super) enum PublishedCopy {
    Missing,
    Refused(RefusedBackup),
    Sound(Start),
}

impl PublishedCopy {
    /// Whether a catalog that begins with `start` lacks operations of the copy, as far as anything
    /// tells.
    pub(super) fn is_lost_by(&self, start: Option<&Start>) -> Result<bool, CatalogError> {
        match (self, start) {
            (Self::Missing, _) => Ok(false),
            (Self::Refused(copy), Some(start)) => Ok(start.backup.path != copy.path),
            (Self::Refused(_), None) => Ok(true),
            (Self::Sound(copy), start) => match (copy.last, start) {
                (None, _) => Ok(false),
                (Some(_), None) => Ok(true),
                // Tables without a history.
                (Some(_), Some(Start { last: None, .. })) => Ok(true),
                (Some(last), Some(start)) => Ok(!backup::holds(&start.file, last)?),
            },
        }
    }
}

/// Checks that a backup is sound and of this registry; gives its last change.
pub(super) fn check(
    path: &Path,
    registry: Option<&str>,
) -> Result<Option<LastOperation>, CatalogError> {
    let checked = backup::check(path)?;
    match registry {
        Some(expected) if expected != checked.registry => Err(CatalogError::Mismatch {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: checked.registry,
        }),
        _ => Ok(checked.last),
    }
}

/// The damaged catalog itself, if only its header is damaged: then it and its log lack nothing.
/// `chosen` is what the rebuild would begin with otherwise. What cannot be used is added to
/// `refused`.
pub(super) fn mended(
    path: &Path,
    base: &Path,
    registry: Option<&str>,
    chosen: Option<&Start>,
    refused: &mut Vec<RefusedBackup>,
) -> Result<Option<(Start, MendedCopy)>, CatalogError> {
    let mut refuse = |reason: String| {
        let path = path.to_owned();
        refused.push(RefusedBackup { path, reason });
    };
    let donor = chosen.map(|start| &*start.file);
    let copy = match catalog::mend_header(path, base, donor)? {
        Mended::Copy(copy) => copy,
        Mended::Refused(why) => {
            refuse(format!("its header is damaged, and more: {why}"));
            return Ok(None);
        }
        Mended::NoNeed => {
            // Without one, a backup may have all that the catalog had.
            if catalog::has_log(path) {
                refuse(
                    "its log may hold changes that are in no backup, and was moved with it unread"
                        .to_owned(),
                );
            }
            return Ok(None);
        }
    };
    let file = copy.file();
    let last = match check(&file, registry) {
        Ok(last) => last,
        Err(error) => {
            // The private copy is gone when this is read.
            let copy = file.display().to_string();
            refuse(with_causes(&error).replace(&copy, &path.display().to_string()));
            return Ok(None);
        }
    };
    let start = Start {
        backup: Backup {
            path: path.to_owned(),
            at: last.map(|last| last.at).unwrap_or_default(),
        },
        file,
        last,
    };
    Ok(Some((start, copy)))
}
