//! The published copy of a catalog, as far as its file tells: its name, its time.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use crate::catalog::error::CatalogError;
use crate::model::clock::Timestamp;

/// Name of the copy in the registry's folder.
pub const PUBLISHED_FILE: &str = "published.sqlite3";

/// What a handle on the keeper knows of the published copy.
pub(super) struct Publisher {
    /// The registry's folder.
    pub(super) folder: PathBuf,
    /// Whether this handle has committed anything since it last published the catalog.
    pub(super) has_written: AtomicBool,
    /// Whether this handle has changed what the copy must have when the call or command ends.
    pub(super) is_owed: AtomicBool,
    /// Whether a call to publish failed: it said so, and the end of the handle says nothing more.
    pub(super) has_failed: AtomicBool,
    /// When this handle last looked whether a copy is due.
    pub(super) looked: Mutex<Option<Timestamp>>,
}

impl Publisher {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            has_written: AtomicBool::new(false),
            is_owed: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            looked: Mutex::new(None),
        }
    }
}

/// When the copy in a registry's folder was made; `None` if there is none.
///
/// # Errors
/// [`CatalogError::Io`] if the system does not say.
pub fn published_at(folder: &Path) -> Result<Option<Timestamp>, CatalogError> {
    let path = folder.join(PUBLISHED_FILE);
    match path.symlink_metadata() {
        // The keeper set this time to when it made the copy.
        Ok(metadata) => Ok(Some(modified(&metadata))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CatalogError::io("reading", &path, error)),
    }
}

/// Names the host that published a copy in what is wrong with the copy.
#[must_use]
pub fn published_by(error: CatalogError, host: &str) -> CatalogError {
    match error {
        CatalogError::Damaged { path, detail } => CatalogError::Damaged {
            path,
            detail: format!("{detail}; it is the copy that host {host} published"),
        },
        error => error,
    }
}

/// When the keeper made a copy with this metadata.
pub(in crate::catalog) fn modified(metadata: &std::fs::Metadata) -> Timestamp {
    let nanos = metadata.mtime_nsec() / 1_000_000;
    Timestamp(metadata.mtime().saturating_mul(1000).saturating_add(nanos))
}
