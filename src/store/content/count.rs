//! Counting the bytes and files of an array, folder by folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, Stat};

use crate::model::array::{ChunkGrid, ChunkSet};
use crate::model::clock::Timestamp;
use crate::model::observation::Observation;
use crate::model::size::{ByteCount, Size};
use crate::store::look::{Event, disk_bytes, modified};

/// The files of one folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    pub(crate) chunks: u64,
    /// Newest modification time; `None` before anything was added.
    pub(crate) newest: Option<Timestamp>,
    /// Bytes on disk of the folder and of its files with a single link.
    disk: u64,
    /// Bytes on disk of files with several links, by device and inode.
    linked: HashMap<(u64, u64), u64>,
}

impl Tally {
    /// Counts an entry unless it is a folder.
    pub(crate) fn add(&mut self, kind: FileType, stat: &Stat) {
        if kind != FileType::Directory {
            self.files += 1;
            self.bytes += u64::try_from(stat.st_size).unwrap_or_default();
            self.date(stat);
            // A file with several links takes its space once, however many of them are in the
            // array.
            if stat.st_nlink > 1 {
                self.linked
                    .insert((stat.st_dev, stat.st_ino), disk_bytes(stat));
            } else {
                self.disk += disk_bytes(stat);
            }
        }
    }

    /// Takes in the modification time of an entry, or of the folder itself.
    pub(crate) fn date(&mut self, stat: &Stat) {
        self.newest = self.newest.max(Some(modified(stat)));
    }

    /// Counts the space of the folder itself.
    pub(crate) fn add_folder(&mut self, stat: &Stat) {
        self.disk += disk_bytes(stat);
    }

    pub(crate) fn disk_bytes(&self) -> ByteCount {
        ByteCount(self.disk + self.linked.values().sum::<u64>())
    }

    pub(crate) fn size(&self) -> Size {
        Size {
            bytes: ByteCount(self.bytes),
            files: self.files,
        }
    }
}

/// What is counted of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Only when it was last written.
    Times,
    /// Bytes, files and chunks.
    Files,
    /// These, and which chunks are there.
    Places,
}

/// Tells the chunks in one folder of an array from other files.
pub(crate) struct ChunksIn<'a> {
    grid: &'a ChunkGrid,
    /// The path of the last file, relative to the array; kept to reuse its memory.
    key: String,
    /// Length of the folder's part of it.
    above: usize,
    places: Option<Vec<u64>>,
}

impl ChunksIn<'_> {
    /// Whether a file of this name is a chunk.
    pub(crate) fn take(&mut self, name: &[u8]) -> bool {
        let Ok(name) = std::str::from_utf8(name) else {
            return false;
        };
        self.key.truncate(self.above);
        self.key.push_str(name);
        // Only places in the grid: other files may have numbers for names too.
        let place = self.grid.index_of(&self.key);
        if let (Some(places), Some(place)) = (&mut self.places, place) {
            places.push(place);
        }
        place.is_some()
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
    /// The array's folder, which paths of chunks are relative to, and its grid if it is known.
    top: PathBuf,
    grid: Option<ChunkGrid>,
    chunks: AtomicU64,
    /// The chunks that are there, if they are asked for.
    places: Option<Mutex<Vec<u64>>>,
    newest: AtomicI64,
    /// Whether files are counted, and not only dated by their folders.
    counts_files: bool,
    disk: AtomicU64,
    linked: Mutex<HashMap<(u64, u64), u64>>,
    /// Folders that are not counted yet.
    open: AtomicUsize,
    failed: AtomicBool,
}

impl Count {
    /// Starts the count of an array with this many folders to count.
    pub(crate) fn of(
        counted: CountOf,
        (sight, top): (Observation, PathBuf),
        folders: usize,
        what: Counted,
    ) -> Self {
        let counts_files = what != Counted::Times;
        let grid = sight.metadata.as_ref().and_then(|metadata| metadata.grid());
        // An array is as old as the newest of its metadata and its data.
        let newest = sight.written_at.0;
        Self {
            counted,
            bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            top,
            grid: grid.filter(|_| counts_files),
            chunks: AtomicU64::new(0),
            places: (what == Counted::Places).then(Mutex::default),
            newest: AtomicI64::new(newest),
            sight,
            counts_files,
            disk: AtomicU64::new(0),
            linked: Mutex::default(),
            open: AtomicUsize::new(folders),
            failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn add(&self, tally: &Tally) {
        // Relaxed, because `end` makes them visible to the last folder.
        self.files.fetch_add(tally.files, Ordering::Relaxed);
        self.bytes.fetch_add(tally.bytes, Ordering::Relaxed);
        self.chunks.fetch_add(tally.chunks, Ordering::Relaxed);
        if let Some(newest) = tally.newest {
            self.newest.fetch_max(newest.0, Ordering::Relaxed);
        }
        self.disk.fetch_add(tally.disk, Ordering::Relaxed);
        if !tally.linked.is_empty() {
            let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
            linked.extend(&tally.linked);
        }
    }

    /// What tells the chunks in one folder of the array from other files; `None` if that is not
    /// asked for or unknown.
    pub(crate) fn chunks_in(&self, folder: &Path) -> Option<ChunksIn<'_>> {
        let grid = self.grid.as_ref()?;
        let relative = folder.strip_prefix(&self.top).ok()?;
        let mut key = String::from(relative.to_str()?);
        if !key.is_empty() {
            key.push('/');
        }
        Some(ChunksIn {
            grid,
            above: key.len(),
            key,
            places: self.places.is_some().then(Vec::new),
        })
    }

    /// Adds the places of chunks.
    pub(crate) fn add_places(&self, found: Option<ChunksIn<'_>>) {
        if let (Some(places), Some(found)) = (&self.places, found.and_then(|found| found.places)) {
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            places.extend(found);
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
            chunks: self.chunks.load(Ordering::Relaxed),
            newest: Some(Timestamp(self.newest.load(Ordering::Relaxed))),
            disk: self.disk.load(Ordering::Relaxed),
            linked: std::mem::take(&mut self.linked.lock().unwrap_or_else(PoisonError::into_inner)),
        };
        let is_whole = !self.failed.load(Ordering::Relaxed);
        let size = (is_whole && self.counts_files).then(|| tally.size());
        // What could not be read may be newer.
        let newest = tally.newest.filter(|_| is_whole);
        let is_known = size.is_some() && self.grid.is_some();
        let mut sight = self.sight.clone().size(size).data_written_at(newest);
        sight.disk_bytes = size.map(|_| tally.disk_bytes());
        sight.chunks = is_known.then_some(tally.chunks);
        let places = self.places.as_ref().filter(|_| is_known);
        sight.chunk_set = places.and_then(|places| {
            let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
            ChunkSet::of(std::mem::take(&mut places))
        });
        Some(match &self.counted {
            CountOf::Found(path) => Event::Found(path.clone(), sight),
            CountOf::Known(id) => Event::Looked(*id, Some(sight)),
        })
    }
}
