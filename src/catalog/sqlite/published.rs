//! The published copy of a catalog, as far as its file tells: its name, its time.
//!
//! A copy says itself when it was made: the keeper appends a [`Stamp`] behind its pages, where
//! SQLite reads nothing. The times of the file would be those of whatever put it there, such as
//! `cp`. A copy of an older version has no stamp, and the time of its last operation counts.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use super::backup::LAST_OPERATION;
use super::connection;
use super::options::CatalogOptions;
use super::place::Place;
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
    /// Whether another process had the lock of those who publish for too long: it was named.
    pub(super) is_held: AtomicBool,
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
            is_held: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            looked: Mutex::new(None),
        }
    }
}

/// The bytes before the time at the end of a copy.
const MARK: &[u8; 16] = b"dalsegno made at";

/// The last bytes of a copy: when it was made.
pub(in crate::catalog) struct Stamp;

impl Stamp {
    /// Bytes of it.
    pub(in crate::catalog) const BYTES: u64 = 24;

    /// The bytes of a copy that is made now.
    pub(super) fn bytes(at: Timestamp) -> Vec<u8> {
        [&MARK[..], &at.0.to_be_bytes()].concat()
    }

    /// When a copy was made; `None` if it does not say.
    ///
    /// # Errors
    /// As the system gives them.
    pub(in crate::catalog) fn read(copy: &File) -> io::Result<Option<Timestamp>> {
        let Some(start) = copy.metadata()?.len().checked_sub(Self::BYTES) else {
            return Ok(None);
        };
        let (mut mark, mut time) = ([0; 16], [0; 8]);
        copy.read_exact_at(&mut mark, start)?;
        copy.read_exact_at(&mut time, start + mark.len() as u64)?;
        Ok((mark == *MARK).then(|| Timestamp(i64::from_be_bytes(time))))
    }
}

/// When the copy in a registry's folder was made, by what it says itself; `None` if there is none.
///
/// # Errors
/// [`CatalogError::Io`] if the system does not say.
pub fn published_at(folder: &Path) -> Result<Option<Timestamp>, CatalogError> {
    let path = folder.join(PUBLISHED_FILE);
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CatalogError::io("reading", &path, error)),
    };
    // A file that is no copy is refused when it is opened.
    Ok(Some(made_at(&path).unwrap_or_else(|| modified(&metadata))))
}

fn made_at(path: &Path) -> Option<Timestamp> {
    let place = Place::of(path).ok()?;
    let copy = place.open_beside("").ok()?;
    match Stamp::read(&copy).ok()? {
        Some(at) => Some(at),
        None => last_changed(&place),
    }
}

/// The time of the last operation of a copy.
fn last_changed(place: &Place) -> Option<Timestamp> {
    let copy = connection::open_published(place, &CatalogOptions::default()).ok()?;
    let last = copy.query_row(LAST_OPERATION, [], |row| row.get(1));
    last.ok().map(Timestamp)
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

/// When a file was written.
fn modified(metadata: &std::fs::Metadata) -> Timestamp {
    let nanos = metadata.mtime_nsec() / 1_000_000;
    Timestamp(metadata.mtime().saturating_mul(1000).saturating_add(nanos))
}
