//! What a purge is asked for, and what it did.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

/// Why the base directory of another registry is not emptied.
pub(super) const INNER_REGISTRY: &str =
    "it is the base directory of another registry, which stays: move it out of the trash with mv";

/// Failures that are named; further ones are counted.
const MOST_FAILURES: usize = 100;

/// How to purge.
#[derive(Debug, Clone, Copy, Default)]
pub struct PurgeOptions {
    /// When to stop, done or not.
    pub deadline: Option<Instant>,
    /// Mean bytes of a file, for the progress; 0 if it is unknown. A `stat` of each file would cost
    /// as much as unlinking it.
    pub mean_bytes: u64,
}

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PurgeReport {
    /// Files that were unlinked.
    pub files: u64,
    /// Folders that were removed.
    pub folders: u64,
    /// Path of what could not be unlinked, and the reason; at most a hundred.
    pub failures: Vec<(PathBuf, String)>,
    /// Number of failures.
    pub failed: u64,
    /// Folders that were moved up within their item.
    #[serde(skip)]
    pub(crate) moved: u64,
    /// Whether nothing is left.
    pub is_done: bool,
}

impl PurgeReport {
    /// Whether everything is as it was.
    pub(crate) fn is_untouched(&self) -> bool {
        self.files + self.folders + self.moved == 0
    }

    /// Adds the report of another folder. The sum is done if both are.
    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.folders += other.folders;
        self.failures.extend(other.failures);
        // The rest is in `failed`, as a number.
        self.failures.truncate(MOST_FAILURES);
        self.failed += other.failed;
        self.moved += other.moved;
        self.is_done &= other.is_done;
    }

    pub(crate) fn fail(&mut self, path: PathBuf, reason: String) {
        self.failed += 1;
        if self.failures.len() < MOST_FAILURES {
            self.failures.push((path, reason));
        }
    }
}
