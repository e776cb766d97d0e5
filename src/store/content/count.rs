//! Counting the bytes and files of an array, folder by folder.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use rustix::fs::{FileType, Stat};

use crate::model::clock::Timestamp;
use crate::model::observation::Observation;
use crate::model::size::{ByteCount, Size};
use crate::store::look::{Event, modified};

/// The files of one folder.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    /// Newest modification time; `None` before anything was added.
    pub(crate) newest: Option<Timestamp>,
}

impl Tally {
    /// Counts an entry unless it is a folder.
    pub(crate) fn add(&mut self, kind: FileType, stat: &Stat) {
        if kind != FileType::Directory {
            self.files += 1;
            self.bytes += u64::try_from(stat.st_size).unwrap_or_default();
            self.date(stat);
        }
    }

    /// Takes in the modification time of an entry, or of the folder itself.
    pub(crate) fn date(&mut self, stat: &Stat) {
        self.newest = self.newest.max(Some(modified(stat)));
    }

    pub(crate) fn size(self) -> Size {
        Size {
            bytes: ByteCount(self.bytes),
            files: self.files,
        }
    }
}

/// The array that is counted: found by a walk, or known to the caller by an id.
pub(crate) enum CountOf {
    Found(PathBuf),
    Known(i64),
}

/// The count of an array, shared by the tasks that count its folders.
pub(crate) struct Count {
    counted: CountOf,
    sight: Observation,
    bytes: AtomicU64,
    files: AtomicU64,
    newest: AtomicI64,
    /// Whether files are counted, and not only dated by their folders.
    counts_files: bool,
    /// Folders that are not counted yet.
    open: AtomicUsize,
    failed: AtomicBool,
}

impl Count {
    /// Starts the count of an array with this many folders to count.
    pub(crate) fn of(
        counted: CountOf,
        sight: Observation,
        folders: usize,
        counts_files: bool,
    ) -> Self {
        Self {
            counted,
            sight,
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            newest: AtomicI64::new(sight.written_at.0),
            counts_files,
            open: AtomicUsize::new(folders),
            failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn add(&self, tally: Tally) {
        self.files.fetch_add(tally.files, Ordering::Relaxed);
        self.bytes.fetch_add(tally.bytes, Ordering::Relaxed);
        if let Some(newest) = tally.newest {
            self.newest.fetch_max(newest.0, Ordering::Relaxed);
        }
    }

    /// Adds folders to count; before the folder that they are in ends.
    pub(crate) fn grow(&self, folders: usize) {
        self.open.fetch_add(folders, Ordering::Relaxed);
    }

    /// Notes that something could not be counted: the size is then unknown.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Ends one folder. The last one returns the event of the array.
    pub(crate) fn end(&self) -> Option<Event> {
        // AcqRel: the last folder sees what all others have added.
        if self.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        let tally = Tally {
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            newest: Some(Timestamp(self.newest.load(Ordering::Relaxed))),
        };
        let is_whole = !self.failed.load(Ordering::Relaxed);
        let size = (is_whole && self.counts_files).then(|| tally.size());
        let newest = tally.newest.filter(|_| is_whole);
        let sight = self.sight.size(size).data_written_at(newest);
        Some(match &self.counted {
            CountOf::Found(path) => Event::Found(path.clone(), sight),
            CountOf::Known(id) => Event::Looked(*id, Some(sight)),
        })
    }
}
