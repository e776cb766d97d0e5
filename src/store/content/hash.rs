//! Reading data in full: the content hash of arrays and checkpoints.
//!
//! The threads share the folders and files of all artifacts, and the parts of large files: one
//! array of many small files, one of a few large files, and many arrays each keep all threads busy.
//! Memory holds a buffer for each thread and, for the arrays that are being read, the paths and
//! hashes of their files. About as many arrays are being read as there are threads.
//!
//! Below the folder of an artifact no symbolic link is followed: each folder is opened from its
//! parent's descriptor. An array that holds a link has data elsewhere, and no hash. If the inode,
//! size or times of a file differ before and after it was read, the file has changed, and so has
//! the artifact.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use blake3::hazmat::{self, ChainingValue, HasherExt, Mode as HashMode};
use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Stat, fstat, statat};
use rustix::io::{Errno, pread, retry_on_intr};

use crate::disk::open_below;
use crate::model::content::{ContentHash, Entry, EntryKind};
use crate::model::progress::{Monitor, Progress};
use crate::model::size::{ByteCount, Size};
use crate::store::base::Base;
use crate::store::dirs::{is_dangling, is_unlinked, open_folder};
use crate::store::error::StorageError;
use crate::store::look::{Expected, Look};
use crate::store::workers::{self, Stopped};

/// Files of a folder that one task reads.
const FILES: usize = 64;
/// A file larger than this is a task of its own.
const SMALL: u64 = 1 << 20;
/// What one task reads of a large file: a power of two, so that it is a subtree of BLAKE3's tree.
const PART: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;

/// An artifact that was read in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// Hash of its content.
    pub hash: ContentHash,
    /// Bytes and files that were read.
    pub size: Size,
}

/// Why an artifact could not be read in full. Paths are relative to the base directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// Something changed or was removed while it was read.
    Changed(PathBuf),
    /// Something cannot be read; the reason.
    Unreadable(PathBuf, String),
}

/// Reads artifacts in full and gives the id of each look, with the hash, to `emit`, on this thread.
/// The monitor gets files and bytes as they are read.
///
/// # Errors
/// - What `emit` returns; reading then ends.
/// - [`StorageError::Interrupted`] if the monitor cancels.
pub fn hash<E: From<StorageError>>(
    base: &Base,
    threads: Option<usize>,
    monitor: &dyn Monitor,
    looks: Vec<Look>,
    mut emit: impl FnMut(i64, Result<Hashed, ReadError>) -> Result<(), E>,
) -> Result<(), E> {
    let reading = Reading { base, monitor };
    let buffers = || Buffers {
        names: vec![MaybeUninit::uninit(); 32 << 10],
        data: vec![0; BUFFER],
    };
    workers::run(
        threads.unwrap_or_else(workers::default_threads),
        // The pool does the last task first.
        looks.into_iter().rev().map(HashTask::Whole).collect(),
        buffers,
        |task, buffers: &mut Buffers, more, sender| {
            if monitor.is_cancelled() {
                return Err(Stopped);
            }
            reading.perform(task, buffers, more, sender)
        },
        |(id, content)| emit(id, content),
    )?;
    // Some looks had no event: the caller must not take that for all there is.
    if monitor.is_cancelled() {
        let path = base.path().to_path_buf();
        return Err(StorageError::Interrupted { path }.into());
    }
    Ok(())
}

struct Reading<'a> {
    base: &'a Base,
    monitor: &'a dyn Monitor,
}

struct Buffers {
    names: Vec<MaybeUninit<u8>>,
    data: Vec<u8>,
}

type HashSender = workers::Sender<(i64, Result<Hashed, ReadError>)>;

enum HashTask {
    Whole(Look),
    Piece(Arc<Whole>, Piece),
}

/// A piece of an artifact; folders are relative to it.
enum Piece {
    Folder(PathBuf),
    Files(Arc<Path>, Vec<OsString>),
    Part(Arc<Large>, usize),
}

/// An artifact that is being read by several tasks.
struct Whole {
    id: i64,
    /// Relative to the base directory.
    path: PathBuf,
    /// Its folder; the base directory if it is a file.
    root: OwnedFd,
    is_file: bool,
    entries: Mutex<Vec<Entry>>,
    bytes: AtomicU64,
    open: AtomicUsize,
    has_failed: AtomicBool,
    failure: Mutex<Option<ReadError>>,
}

/// A file that is read in parts.
struct Large {
    folder: Arc<Path>,
    name: OsString,
    stamp: Stamp,
    parts: Mutex<Vec<ChainingValue>>,
    left: AtomicUsize,
}

/// Identifies a file and its state.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// Why one of the calls to the system failed.
enum Failed {
    Changed,
    Unreadable(String),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        match errno {
            // The entry is not the one that was listed.
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE => Self::Changed,
            errno => Self::Unreadable(std::io::Error::from(errno).to_string()),
        }
    }
}

impl Stamp {
    /// `None` if it is not a regular file.
    fn of(stat: &Stat) -> Option<Self> {
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let nanoseconds = |part: u64| i64::try_from(part).unwrap_or_default();
        is_file.then(|| Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            written: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
        })
    }

    fn parts(&self) -> usize {
        usize::try_from(self.size.div_ceil(PART)).unwrap_or(usize::MAX)
    }
}

impl Whole {
    /// Notes the first failure; the rest of the artifact is not read.
    fn fail(&self, path: &Path, failed: Failed) {
        let path = match path.as_os_str().is_empty() {
            true => self.path.clone(),
            false => self.path.join(path),
        };
        let failure = match failed {
            Failed::Changed => ReadError::Changed(path),
            Failed::Unreadable(detail) => ReadError::Unreadable(path, detail),
        };
        self.has_failed.store(true, Ordering::Relaxed);
        lock(&self.failure).get_or_insert(failure);
    }

    fn add(&self, folder: &Path, name: &OsStr, content: [u8; 32], bytes: u64) {
        let path = match self.is_file {
            true => PathBuf::new(),
            false => folder.join(name),
        };
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        lock(&self.entries).push(Entry {
            path: path.as_os_str().as_bytes().into(),
            kind: EntryKind::File,
            content,
        });
    }

    /// Opens a folder of it, component by component.
    fn folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        // From the root each time: keeping folders open would take a descriptor for each.
        let mut folder = open_folder(&self.root, ".")?;
        for name in path {
            folder = open_folder(&folder, name)?;
        }
        Ok(folder)
    }

    fn content(&self) -> Result<Hashed, ReadError> {
        if let Some(failure) = lock(&self.failure).take() {
            return Err(failure);
        }
        let entries = std::mem::take(&mut *lock(&self.entries));
        Ok(Hashed {
            size: Size {
                bytes: ByteCount(self.bytes.load(Ordering::Relaxed)),
                files: entries.len() as u64,
            },
            hash: ContentHash::of(entries),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_file(folder: &OwnedFd, name: &OsStr) -> Result<(OwnedFd, Stamp), Failed> {
    // The file may have been replaced by a pipe or device: opening it must neither block nor act.
    let file = open_below(
        folder,
        name,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
    )?;
    let stamp = Stamp::of(&fstat(&file)?).ok_or(Failed::Changed)?;
    Ok((file, stamp))
}

impl Reading<'_> {
    fn perform(
        &self,
        task: HashTask,
        buffers: &mut Buffers,
        more: &mut Vec<HashTask>,
        sender: &HashSender,
    ) -> Result<(), Stopped> {
        let (whole, piece) = match task {
            HashTask::Whole(look) => {
                let id = look.id;
                match self.begin(look) {
                    Ok(begun) => begun,
                    Err(failure) => return sender.send((id, Err(failure))),
                }
            }
            HashTask::Piece(whole, piece) => (whole, piece),
        };
        // After a failure, the other pieces are only counted down.
        if !whole.has_failed.load(Ordering::Relaxed) {
            let mut pieces = Vec::new();
            self.read(&whole, piece, buffers, &mut pieces);
            // Counted before this piece ends, so that `open` reaches 0 only with the last piece.
            whole.open.fetch_add(pieces.len(), Ordering::Relaxed);
            // The pool does the last task first.
            let pieces = pieces.into_iter().rev();
            more.extend(pieces.map(|piece| HashTask::Piece(Arc::clone(&whole), piece)));
        }
        // AcqRel, so that the last piece sees what all others have added.
        if whole.open.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let content = whole.content();
        sender.send((whole.id, content))
    }

    /// Opens an artifact, as a look does, and returns its first piece.
    fn begin(&self, look: Look) -> Result<(Arc<Whole>, Piece), ReadError> {
        let is_file = look.expected == Expected::File;
        let opened = match is_file {
            true => open_folder(self.base, "."),
            false => open_folder(self.base, &look.path),
        };
        let root = opened.map_err(|errno| match errno {
            // The catalog says that it is there, so it went meanwhile.
            Errno::NOENT => ReadError::Changed(look.path.clone()),
            errno => {
                let detail = std::io::Error::from(errno).to_string();
                ReadError::Unreadable(look.path.clone(), detail)
            }
        })?;
        let piece = match is_file {
            true => Piece::Files(
                Path::new("").into(),
                vec![look.path.clone().into_os_string()],
            ),
            false => Piece::Folder(PathBuf::new()),
        };
        let whole = Whole {
            id: look.id,
            path: look.path,
            root,
            is_file,
            entries: Mutex::default(),
            bytes: AtomicU64::new(0),
            open: AtomicUsize::new(1),
            has_failed: AtomicBool::new(false),
            failure: Mutex::default(),
        };
        Ok((Arc::new(whole), piece))
    }

    fn read(&self, whole: &Whole, piece: Piece, buffers: &mut Buffers, more: &mut Vec<Piece>) {
        // The path of an artifact that is a file is in `whole` already.
        let name_of = |folder: &Path, name: &OsStr| match whole.is_file {
            true => PathBuf::new(),
            false => folder.join(name),
        };
        match piece {
            Piece::Folder(path) => {
                if let Err((name, failed)) = list(whole, &path, &mut buffers.names, more) {
                    whole.fail(&path.join(name), failed);
                }
            }
            Piece::Files(path, names) => {
                let folder = match whole.folder(&path) {
                    Ok(folder) => folder,
                    Err(errno) => return whole.fail(&path, errno.into()),
                };
                for name in names {
                    let done = self.file(whole, &folder, &path, &name, buffers, more);
                    if let Err(failed) = done {
                        return whole.fail(&name_of(&path, &name), failed);
                    }
                }
            }
            Piece::Part(large, number) => {
                if let Err(failed) = self.part(whole, &large, number, buffers) {
                    whole.fail(&name_of(&large.folder, &large.name), failed);
                }
            }
        }
    }

    fn file(
        &self,
        whole: &Whole,
        folder: &OwnedFd,
        path: &Arc<Path>,
        name: &OsStr,
        buffers: &mut Buffers,
        more: &mut Vec<Piece>,
    ) -> Result<(), Failed> {
        let (file, stamp) = open_file(folder, name)?;
        if stamp.size > SMALL {
            let parts = stamp.parts();
            let large = Arc::new(Large {
                folder: Arc::clone(path),
                name: name.to_owned(),
                stamp,
                parts: Mutex::new(vec![[0; 32]; parts]),
                left: AtomicUsize::new(parts),
            });
            // A large file is read by all threads: one alone would be the last to end.
            more.extend((0..parts).map(|number| Piece::Part(Arc::clone(&large), number)));
            return Ok(());
        }
        let mut hasher = blake3::Hasher::new();
        self.feed(&mut hasher, &file, &stamp, 0, stamp.size, buffers)?;
        whole.add(path, name, hasher.finalize().into(), stamp.size);
        self.advance(1, 0);
        Ok(())
    }

    /// Reads one part of a large file. The last part to be read makes the hash of the file.
    fn part(
        &self,
        whole: &Whole,
        large: &Large,
        number: usize,
        buffers: &mut Buffers,
    ) -> Result<(), Failed> {
        let folder = whole.folder(&large.folder)?;
        let (file, stamp) = open_file(&folder, &large.name)?;
        // Each part opens the file again: all must be of one version.
        if stamp != large.stamp {
            return Err(Failed::Changed);
        }
        let from = number as u64 * PART;
        let length = PART.min(stamp.size - from);
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(from);
        self.feed(&mut hasher, &file, &stamp, from, length, buffers)?;
        // The only part is the root of the tree itself.
        let is_only = stamp.size <= PART;
        let value = match is_only {
            true => hasher.finalize().into(),
            false => hasher.finalize_non_root(),
        };
        if let Some(part) = lock(&large.parts).get_mut(number) {
            *part = value;
        }
        if large.left.fetch_sub(1, Ordering::AcqRel) > 1 {
            return Ok(());
        }
        let content = match is_only {
            true => value,
            false => root(&lock(&large.parts), stamp.size),
        };
        whole.add(&large.folder, &large.name, content, stamp.size);
        self.advance(1, 0);
        Ok(())
    }

    /// Hashes a stretch of a file, and checks that the file is as it was when it was opened.
    fn feed(
        &self,
        hasher: &mut blake3::Hasher,
        file: &OwnedFd,
        stamp: &Stamp,
        from: u64,
        length: u64,
        buffers: &mut Buffers,
    ) -> Result<(), Failed> {
        let (mut at, end) = (from, from + length);
        while at < end {
            let most = usize::try_from(end - at).unwrap_or(usize::MAX);
            let buffer = buffers.data.get_mut(..most.min(BUFFER)).unwrap_or_default();
            let count = retry_on_intr(|| pread(file, &mut *buffer, at))?;
            // Nothing read: the file is shorter than when it was opened.
            let read = buffer.get(..count).filter(|read| !read.is_empty());
            hasher.update(read.ok_or(Failed::Changed)?);
            at += count as u64;
            self.advance(0, count as u64);
        }
        // After the read, so that a change during it shows.
        match Stamp::of(&fstat(file)?) {
            Some(now) if now == *stamp => Ok(()),
            _ => Err(Failed::Changed),
        }
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.monitor.advance(Progress {
            items: 0,
            files,
            bytes,
        });
    }
}

/// Lists a folder of an artifact. An error names the entry that it is about.
fn list(
    whole: &Whole,
    path: &Path,
    buffer: &mut [MaybeUninit<u8>],
    more: &mut Vec<Piece>,
) -> Result<(), (PathBuf, Failed)> {
    let here = |errno: Errno| (PathBuf::new(), errno.into());
    let folder = whole.folder(path).map_err(here)?;
    let shared: Arc<Path> = path.into();
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut entries = RawDir::new(&folder, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(here)?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if matches!(name.as_bytes(), b"." | b"..") || is_unlinked(name.as_bytes()) {
            continue;
        }
        let mut kind = entry.file_type();
        // Some file systems give names without types.
        if kind == FileType::Unknown {
            let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|errno| (name.into(), errno.into()))?;
            kind = FileType::from_raw_mode(stat.st_mode);
        }
        let refused = match kind {
            FileType::Directory => {
                folders.push(Piece::Folder(path.join(name)));
                continue;
            }
            FileType::RegularFile => None,
            FileType::Symlink if is_dangling(&folder, entry.file_name()) => Some(
                "a symbolic link that leads to nothing, so the data is not here: fetch it, \
                 such as with: git annex get, then git annex unlock; or seal without hash",
            ),
            FileType::Symlink => Some(
                "a symbolic link; links are not followed, so the data that it leads to has no \
                 hash: put the data in its place, such as with: git annex unlock; or seal without \
                 hash",
            ),
            _ => Some("a pipe, socket or device, which has no content"),
        };
        if let Some(detail) = refused {
            return Err((name.into(), Failed::Unreadable(detail.to_owned())));
        }
        files.push(name.to_owned());
        if files.len() == FILES {
            more.push(Piece::Files(
                Arc::clone(&shared),
                std::mem::take(&mut files),
            ));
        }
    }
    if !files.is_empty() {
        more.push(Piece::Files(shared, files));
    }
    more.append(&mut folders);
    Ok(())
}

/// The hash of a file of `length` bytes, more than one part, from those of its parts.
fn root(parts: &[ChainingValue], length: u64) -> [u8; 32] {
    let (left, right) = halves(parts, length);
    hazmat::merge_subtrees_root(&left, &right, HashMode::Hash).into()
}

fn halves(parts: &[ChainingValue], length: u64) -> (ChainingValue, ChainingValue) {
    // BLAKE3 splits at a power of two, and so does `PART`: no part is ever cut.
    let left = hazmat::left_subtree_len(length);
    let middle = usize::try_from(left / PART).unwrap_or(usize::MAX);
    let (first, last) = parts.split_at(middle.min(parts.len()));
    (subtree(first, left), subtree(last, length - left))
}

fn subtree(parts: &[ChainingValue], length: u64) -> ChainingValue {
    if let [] | [_] = parts {
        return parts.first().copied().unwrap_or_default();
    }
    let (left, right) = halves(parts, length);
    hazmat::merge_subtrees_non_root(&left, &right, HashMode::Hash)
}
