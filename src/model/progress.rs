//! Progress of long calls: the library reports to a [`Monitor`], which shows it or cancels the
//! call.

use std::fmt;
use std::sync::Arc;

/// A part of a call that may take long, and what its items are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Walking a base directory; items are arrays found.
    Scan,
    /// Looking for the data of rows; items are rows.
    Refresh,
    /// Counting bytes and files; items are arrays.
    Measure,
    /// Reading data in full; items are arrays.
    Read,
    /// Unlinking removed data; items are files.
    Purge,
    /// Checking the catalog's file and its history; nothing is counted.
    Check,
    /// Comparing rows with the disk; items are rows.
    Verify,
    /// Copying the catalog; nothing is counted.
    Backup,
    /// Migrating a catalog to a newer schema; nothing is counted.
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

/// Work done since the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Items of the phase.
    pub items: u64,
    /// Files seen.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// Receives progress, from several threads at once. Every method has a default that does nothing.
/// Programs may implement it: new methods get such a default too.
pub trait Monitor: Send + Sync {
    /// A phase begins; `items` is their number, if it is known.
    fn begin(&self, _phase: Phase, _items: Option<u64>) {}

    /// Work was done.
    fn advance(&self, _progress: Progress) {}

    /// The phase is over.
    fn end(&self) {}

    /// Whether the call should stop: it then ends at the next item, with an error whose code ends
    /// in `interrupted`. Called often, so it must be cheap.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Says whether the call of the current thread should stop. Called while it waits for its turn to
/// write, and every few thousand steps while it reads the catalog.
pub type Interrupt = Arc<dyn Fn() -> bool + Send + Sync>;

/// A monitor that shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {}
