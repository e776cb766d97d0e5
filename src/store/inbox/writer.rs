//! Appending notes to the inbox.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, FlockOperation, OFlags, fcntl_setfl, fdatasync, flock, fstat, ftruncate, statat,
};
use rustix::io::{Errno, write};

use super::{INBOX, MAX_BYTES, SUFFIX};
use crate::disk;
use crate::model::name::REGISTRY_DIR;
use crate::store::base::Base;
use crate::store::dirs::{open_error, open_folder};
use crate::store::error::StorageError;

/// How long a process waits for the lock on its own file. Readers hold it for moments; for one
/// that keeps it, there is another file.
const PATIENCE: Duration = Duration::from_millis(200);
const NAP: Duration = Duration::from_millis(2);

/// How often a line is tried in a new file.
const TRIES: usize = 3;

/// Appends lines to the file of one process in the inbox. The file is made with the first line.
#[derive(Debug)]
pub struct InboxWriter {
    /// What the names of its files begin with: host and process.
    stem: String,
    open: Option<Open>,
}

/// A file that lines are appended to.
#[derive(Debug)]
struct Open {
    folder: OwnedFd,
    file: OwnedFd,
    name: String,
    path: PathBuf,
}

/// Whether lines were written, or need another file, and why.
enum Append {
    Written,
    OtherFile(Errno),
}

impl InboxWriter {
    /// Makes a writer for a process. Touches nothing.
    #[must_use]
    pub fn new(host: &str, pid: u32) -> Self {
        // Only what `is_note_file` lets pass.
        let fits = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
        let host: String = host.chars().filter(fits).take(64).collect();
        Self {
            stem: format!("{host}-{pid}"),
            open: None,
        }
    }

    /// Appends lines, each of which ends in a newline, and syncs them. If the file cannot be written
    /// any more, as after a network file system lost its lock, they go into a new one: then the old
    /// one may have them too, and folding them twice is as once.
    ///
    /// # Errors
    /// [`StorageError`] if there is no registry's folder, or the lines cannot be written. The file
    /// then holds nothing of them, or a rest that does not count.
    pub fn append(&mut self, base: &Base, lines: &[u8]) -> Result<(), StorageError> {
        let mut errno = Errno::AGAIN;
        for _ in 0..TRIES {
            let open = match self.open.take() {
                Some(open) => open,
                None => Open::create(base, &self.stem)?,
            };
            match open.append(lines)? {
                Append::Written => {
                    self.open = Some(open);
                    return Ok(());
                }
                Append::OtherFile(why) => errno = why,
            }
        }
        let path = base.path().join(REGISTRY_DIR).join(INBOX);
        Err(StorageError::io("writing to", &path, errno))
    }
}

impl Open {
    fn create(base: &Base, stem: &str) -> Result<Self, StorageError> {
        let folder = inbox(base)?;
        let random = uuid::Uuid::new_v4().simple().to_string();
        let name = format!("{stem}-{}{SUFFIX}", &random[..16]);
        let path = base.path().join(REGISTRY_DIR).join(INBOX).join(&name);
        let file = disk::make_own_file(&folder, &*name)
            .and_then(|file| fcntl_setfl(&file, OFlags::APPEND).map(|()| file))
            .map_err(|errno| StorageError::io("making", &path, errno))?;
        // Without this, a power cut might take the name, and the notes with it.
        let _ = rustix::fs::fsync(&folder);
        Ok(Self {
            folder,
            file,
            name,
            path,
        })
    }

    fn append(&self, lines: &[u8]) -> Result<Append, StorageError> {
        if !self.lock() {
            // Another process keeps its lock.
            return Ok(Append::OtherFile(Errno::AGAIN));
        }
        let appended = self.append_locked(lines);
        let _ = flock(&self.file, FlockOperation::Unlock);
        appended
    }

    fn append_locked(&self, lines: &[u8]) -> Result<Append, StorageError> {
        let at = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let (own, named) = match (fstat(&self.file), at) {
            (Ok(own), Ok(named)) => (own, named),
            (Err(errno), _) | (_, Err(errno)) => return Ok(Append::OtherFile(errno)),
        };
        let size = u64::try_from(own.st_size).unwrap_or(u64::MAX);
        // Half of what is read, so that no lines take a file beyond that. Or it was folded.
        if (named.st_dev, named.st_ino) != (own.st_dev, own.st_ino) || size >= MAX_BYTES / 2 {
            return Ok(Append::OtherFile(Errno::AGAIN));
        }
        let errno = match write(&self.file, lines) {
            Ok(written) if written == lines.len() => match fdatasync(&self.file) {
                // A file system without syncs has no more to give.
                Ok(()) | Err(Errno::INVAL) => return Ok(Append::Written),
                Err(errno) => errno,
            },
            Ok(_) => Errno::NOSPC,
            Err(errno) => errno,
        };
        // A part of a line is not a note; without its end it would spoil the next one.
        let _ = ftruncate(&self.file, size);
        match errno {
            // On a network file system, another host unlinked it, or the server lost the lock on
            // it: a new file can be written.
            Errno::STALE | Errno::IO => Ok(Append::OtherFile(errno)),
            errno => Err(StorageError::io("writing to", &self.path, errno)),
        }
    }

    /// Takes the lock. True also on a file system without locks: its files are never unlinked.
    fn lock(&self) -> bool {
        let start = Instant::now();
        loop {
            match flock(&self.file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return true,
                Err(Errno::WOULDBLOCK) if start.elapsed() < PATIENCE => std::thread::sleep(NAP),
                Err(Errno::WOULDBLOCK) => return false,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }
}

/// Opens the inbox, and makes it if the registry's folder is there: without that folder there is no
/// registry, and one is made whole or not at all.
fn inbox(base: &Base) -> Result<OwnedFd, StorageError> {
    let path = base.path().join(REGISTRY_DIR);
    let dir = open(base.as_fd(), REGISTRY_DIR, &path)?;
    let path = path.join(INBOX);
    match disk::make_folder(&dir, INBOX) {
        Ok(_) => drop(rustix::fs::fsync(&dir)),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(StorageError::io("making", &path, errno)),
    }
    open(dir.as_fd(), INBOX, &path)
}

fn open(
    parent: std::os::fd::BorrowedFd<'_>,
    name: &str,
    path: &Path,
) -> Result<OwnedFd, StorageError> {
    open_folder(parent, name).map_err(|errno| open_error(parent, name.as_ref(), path, errno))
}
