//! The wire between long work in the library and whoever shows its progress.

use std::fmt;
use std::sync::Arc;

/// A stretch of work that may last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Walking a base directory; items are arrays found.
    Scan,
    /// Looking for the data of rows; items are rows.
    Refresh,
    /// Counting bytes and files; items are arrays.
    Measure,
    /// Reading data in full; items are arrays.
    Read,
    /// Unlinking; items are files.
    Purge,
    /// Checking the catalog's file and its history; nothing is counted.
    Check,
    /// Comparing rows with the disk; items are rows.
    Verify,
    /// Copying the catalog; nothing is counted.
    Backup,
    /// Bringing a catalog to a newer version; nothing is counted.
    Migrate,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Scan => "scanning",
            Self::Refresh => "refreshing",
            Self::Measure => "measuring",
            Self::Read => "reading",
            Self::Purge => "purging",
            Self::Check => "checking the catalog",
            Self::Verify => "comparing",
            Self::Backup => "backing up the catalog",
            Self::Migrate => "migrating the catalog",
        })
    }
}

/// What has been done since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Items of the phase.
    pub items: u64,
    /// Files seen.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// Receives progress. Called from several threads at once.
pub trait Monitor: Send + Sync {
    /// A phase begins; `items` where their number is known.
    fn begin(&self, _phase: Phase, _items: Option<u64>) {}

    /// Work was done.
    fn advance(&self, _progress: Progress) {}

    /// The phase is over.
    fn end(&self) {}

    /// Whether the work is to end at its next boundary, with an error whose code ends in
    /// `interrupted`. Asked often.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Says whether the call that the asking thread is in is to end: asked while it waits for its turn
/// to write, and now and then while it reads the catalog.
pub type Interrupt = Arc<dyn Fn() -> bool + Send + Sync>;

/// A monitor that shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {}
