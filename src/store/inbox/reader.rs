//! Reading the inbox, and taking away what was folded.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, fsync, openat, renameat,
    statat, unlinkat,
};
use rustix::io::{Errno, pread};

use super::{INBOX, MAX_BYTES, REFUSED, is_note_file, refused_name};
use crate::model::name::REGISTRY_DIR;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_error, open_folder};
use crate::store::error::StorageError;

/// How many names are tried for a file that is set aside.
const MOST_NAMES: usize = 1_000;

/// The inbox of a base directory, held open.
#[derive(Debug)]
pub struct InboxFolder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What is in the inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InboxListing {
    /// Files with notes, sorted.
    pub files: Vec<String>,
    /// Names of other entries, sorted.
    pub strangers: Vec<String>,
    /// Whether there is more: the listing has a limit.
    pub is_cut: bool,
}

/// A file of the inbox that was read.
#[derive(Debug)]
pub struct InboxFile {
    file: OwnedFd,
    /// Its name.
    pub name: String,
    /// uid of its owner, who wrote it; `None` if others may write it too.
    pub owner: Option<u32>,
    /// What it holds.
    pub content: Vec<u8>,
    /// Whether no writer can have been in the middle of a line.
    pub is_settled: bool,
    /// Number of bytes that were read.
    pub end: u64,
}

/// What became of a file whose notes are folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// It is unlinked.
    Unlinked,
    /// It is in the folder of refused files, under this name.
    SetAside(String),
    /// It is where it was: more was appended, or another process has its lock.
    Left,
}

impl InboxFolder {
    /// Opens the inbox; `None` if there is none.
    ///
    /// # Errors
    /// [`StorageError`] if it is not a folder, or cannot be opened.
    pub fn open(base: &Base) -> Result<Option<Self>, StorageError> {
        Self::at(base, Path::new(INBOX))
    }

    /// Opens the folder of refused files; `None` if there is none.
    ///
    /// # Errors
    /// As [`InboxFolder::open`].
    pub fn open_refused(base: &Base) -> Result<Option<Self>, StorageError> {
        Self::at(base, &Path::new(INBOX).join(REFUSED))
    }

    fn at(base: &Base, name: &Path) -> Result<Option<Self>, StorageError> {
        let path = Path::new(REGISTRY_DIR).join(name);
        let fd = descend(base, &path, IfAbsent::ReturnNone)?;
        Ok(fd.map(|fd| Self {
            fd,
            path: base.path().join(path),
        }))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Lists up to `most` entries.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn list(&self, most: usize) -> Result<InboxListing, StorageError> {
        let reading = |errno: Errno| StorageError::io("reading", &self.path, errno);
        // Opened again: listings of one descriptor share their position.
        let fd = open_folder(&self.fd, ".").map_err(reading)?;
        let mut listing = InboxListing::default();
        for entry in rustix::fs::Dir::new(fd).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if matches!(name.as_str(), "." | ".." | REFUSED) {
                continue;
            }
            // Other users may put any number of entries there.
            if listing.files.len() + listing.strangers.len() >= most {
                listing.is_cut = true;
                break;
            }
            match is_note_file(&name) {
                true => listing.files.push(name),
                false => listing.strangers.push(name),
            }
        }
        listing.files.sort_unstable();
        listing.strangers.sort_unstable();
        Ok(listing)
    }

    /// Whether a file is there, whatever it is.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        // Only ENOENT proves that it is absent.
        let found = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        !matches!(found, Err(Errno::NOENT))
    }

    /// Reads a file. `None` if it is gone.
    ///
    /// # Errors
    /// - [`StorageError::NotAFile`] if it is not a regular file, or has another name too.
    /// - [`StorageError::Io`] if it is too large, or cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<InboxFile>, StorageError> {
        let path = self.path.join(name);
        let io = |operation, errno: Errno| StorageError::io(operation, &path, errno);
        // NONBLOCK: a FIFO that was put there must not make this wait.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        // A lock needs a file open for writing on some file systems; reading does not.
        let opened = openat(&self.fd, name, OFlags::RDWR | flags, Mode::empty());
        let file = match opened {
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
                openat(&self.fd, name, OFlags::RDONLY | flags, Mode::empty())
            }
            opened => opened,
        };
        let file = match file {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                return Err(StorageError::NotAFile { path });
            }
            Err(errno) => {
                return Err(open_error(self.fd.as_fd(), name.as_ref(), &path, errno));
            }
        };
        // Read without the lock too: what is complete is a note, and a half line waits.
        let is_locked = try_lock(&file);
        let stat = fstat(&file).map_err(|errno| io("reading", errno))?;
        let is_regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        // A second name: its owner may never have put it here.
        if !is_regular || stat.st_nlink > 1 {
            return Err(StorageError::NotAFile { path });
        }
        let size = size_of(&stat);
        if size > MAX_BYTES {
            return Err(io("reading", Errno::FBIG));
        }
        let content = read_all(&file, size).map_err(|errno| io("reading", errno))?;
        if is_locked {
            let _ = flock(&file, FlockOperation::Unlock);
        }
        Ok(Some(InboxFile {
            file,
            name: name.to_owned(),
            owner: (stat.st_mode & 0o022 == 0).then_some(stat.st_uid),
            end: content.len() as u64,
            content,
            is_settled: is_locked,
        }))
    }

    /// Unlinks a file that was read, or sets it aside, unless more was appended meanwhile or
    /// another process has its lock.
    ///
    /// # Errors
    /// As [`InboxFolder::set_aside`]; [`StorageError::Io`] if it cannot be unlinked.
    pub fn finish(&self, read: &InboxFile, is_refused: bool) -> Result<Finished, StorageError> {
        let path = self.path.join(&read.name);
        if !try_lock(&read.file) {
            return Ok(Finished::Left);
        }
        // By now another file may have the name; that one is left alone.
        let at = statat(&self.fd, &read.name, AtFlags::SYMLINK_NOFOLLOW);
        let finished = match (fstat(&read.file), at) {
            (Ok(own), Ok(named))
                if (own.st_dev, own.st_ino) == (named.st_dev, named.st_ino)
                    && size_of(&own) == read.end =>
            {
                match is_refused {
                    true => self.move_to_refused(&read.name, refused_name(&read.name)),
                    false => unlinkat(&self.fd, &read.name, AtFlags::empty())
                        .map(|()| Finished::Unlinked)
                        .map_err(|errno| crate::disk::or_sticky(&self.fd, &self.path, errno))
                        .map_err(|error| StorageError::io("deleting", &path, error)),
                }
            }
            _ => Ok(Finished::Left),
        };
        let _ = flock(&read.file, FlockOperation::Unlock);
        finished
    }

    /// Moves an entry to the folder of refused files, under its own name unless that is taken
    /// there.
    ///
    /// # Errors
    /// - [`StorageError::Symlink`] or [`StorageError::NotAFolder`] if that folder is not one.
    /// - [`StorageError::Io`] if the entry cannot be moved.
    pub fn set_aside(&self, name: &str) -> Result<Finished, StorageError> {
        self.move_to_refused(name, name.to_owned())
    }

    fn move_to_refused(&self, name: &str, mut to: String) -> Result<Finished, StorageError> {
        let path = self.path.join(REFUSED);
        let io = |operation, errno: Errno| StorageError::io(operation, &path, errno);
        match crate::disk::make_folder(&self.fd, REFUSED).map(drop) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(io("making", errno)),
        }
        let refused = open_folder(&self.fd, REFUSED)
            .map_err(|errno| open_error(self.fd.as_fd(), REFUSED.as_ref(), &path, errno))?;
        // Nothing is replaced. A name is taken if a refused file was put back as a copy.
        let mut tries = 0;
        while !matches!(
            statat(&refused, &*to, AtFlags::SYMLINK_NOFOLLOW),
            Err(Errno::NOENT)
        ) {
            tries += 1;
            if tries > MOST_NAMES {
                return Err(io("moving a file to", Errno::EXIST));
            }
            to = refused_name(&to);
        }
        renameat(&self.fd, name, &refused, &*to)
            .map_err(|errno| crate::disk::or_sticky(&self.fd, &self.path, errno))
            .map_err(|error| StorageError::io("moving a file to", &path, error))?;
        // If this move is lost, the row of the file keeps it from being folded twice.
        let _ = fsync(&refused);
        Ok(Finished::SetAside(to))
    }

    /// Makes durable what was unlinked and moved.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the sync fails.
    pub fn sync(&self) -> Result<(), StorageError> {
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }
}

/// Takes the lock if it is free. False also on a file system without locks.
fn try_lock(file: &OwnedFd) -> bool {
    flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(u64::MAX)
}

fn read_all(file: &OwnedFd, size: u64) -> Result<Vec<u8>, Errno> {
    let mut content = vec![0; usize::try_from(size).unwrap_or_default()];
    let mut filled = 0;
    while filled < content.len() {
        match pread(file, &mut content[filled..], filled as u64) {
            // Its writer has cut off a part of a line meanwhile.
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    content.truncate(filled);
    Ok(content)
}
