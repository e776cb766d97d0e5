//! The entries that move to the trash and back: the folder of an array or container, or the file of
//! a checkpoint. Each is known by its device and inode, and by when it was made: file systems use
//! the number of an inode again at once.
//!
//! No entry is reached through a symbolic link, and a link is not an entry.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, makedev, statat, statx};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, device_of, open_folder};
use crate::store::error::StorageError;

/// What is asked of an entry.
const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// Identifies a folder or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryId {
    /// Number of the device. It may change at a reboot.
    pub device: u64,
    /// Number of the inode on that device.
    pub inode: u64,
    /// When it was made, seconds and nanoseconds since 1970. `None` if its file system does not
    /// say, as NFS, or if it is known from a manifest.
    #[serde(skip)]
    pub born: Option<(i64, u32)>,
}

impl EntryId {
    /// Whether two looks saw the same thing. If one of them does not know when it was made, the
    /// number of the inode decides.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let was_made_again = self.born.zip(other.born).is_some_and(|(a, b)| a != b);
        (self.device, self.inode) == (other.device, other.inode) && !was_made_again
    }
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryType {
    /// A folder with everything in it.
    #[default]
    Folder,
    /// A regular file; it may have other names, as a hard link has.
    File,
}

impl EntryType {
    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        *self == Self::Folder
    }
}

/// Whether a symbolic link leads to nothing: data that git-annex has not fetched, or that is lost.
pub(crate) fn is_dangling(folder: &OwnedFd, name: &CStr) -> bool {
    // What may not be looked at may be there.
    matches!(
        statat(folder, name, AtFlags::empty()),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
    )
}

/// Identifies the folder or file at `path`, relative to the base directory. `None` if nothing is
/// there.
///
/// # Errors
/// - [`StorageError::Symlink`] if a component of the path is a symbolic link.
/// - [`StorageError::NotAFolder`], [`StorageError::NotAFile`] if it is not of this type.
/// - [`StorageError::OtherDevice`] if it is on another file system than the base directory.
/// - [`StorageError::Io`] if it cannot be read.
pub fn entry_at(
    base: &Base,
    path: &Path,
    entry_type: EntryType,
) -> Result<Option<EntryId>, StorageError> {
    let full = base.path().join(path);
    if entry_type == EntryType::Folder {
        return match descend(base, path, IfAbsent::ReturnNone)? {
            Some(folder) => id_of(&folder, &full).map(Some),
            None => Ok(None),
        };
    }
    let (parent, name) = split(path);
    let Some(folder) = descend(base, parent, IfAbsent::ReturnNone)? else {
        return Ok(None);
    };
    // Not opened: a FIFO in its place would block, and a move needs no right to read.
    let stat = match statx(&folder, name, AtFlags::SYMLINK_NOFOLLOW, WANTED) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(StorageError::io("reading", &full, errno)),
    };
    let entry = of_stat(&stat);
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        // A file can be a mount point too.
        FileType::RegularFile if entry.device != device_of(folder.as_fd(), &full)? => {
            Err(StorageError::OtherDevice { path: full })
        }
        FileType::RegularFile => Ok(Some(entry)),
        FileType::Symlink => Err(StorageError::Symlink { path: full }),
        _ => Err(StorageError::NotAFile { path: full }),
    }
}

/// Identifies the entry with this name in an open folder. `None` if there is none of this type.
pub(crate) fn identify(
    folder: &OwnedFd,
    name: &str,
    entry_type: EntryType,
    path: &Path,
) -> Result<Option<EntryId>, StorageError> {
    match entry_type {
        EntryType::Folder => match open_folder(folder, name) {
            Ok(folder) => id_of(&folder, path).map(Some),
            // Another type of file has the name.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(StorageError::io("opening", path, errno)),
        },
        EntryType::File => match statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, WANTED) {
            Ok(stat) => {
                let file_type = FileType::from_raw_mode(stat.stx_mode.into());
                let is_file = file_type == FileType::RegularFile;
                Ok(is_file.then(|| of_stat(&stat)))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(StorageError::io("reading", path, errno)),
        },
    }
}

fn id_of(folder: &OwnedFd, path: &Path) -> Result<EntryId, StorageError> {
    statx(folder, "", AtFlags::EMPTY_PATH, WANTED)
        .map(|stat| of_stat(&stat))
        .map_err(|errno| StorageError::io("reading", path, errno))
}

fn of_stat(stat: &Statx) -> EntryId {
    EntryId {
        device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        born: birth(stat),
    }
}

/// When a file was made; `None` if its file system does not know.
pub(crate) fn born(folder: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Option<(i64, u32)> {
    birth(&statx(folder, name, flags, StatxFlags::BTIME).ok()?)
}

fn birth(stat: &Statx) -> Option<(i64, u32)> {
    // Asked for is not given: the mask of the answer says whether the file system knows it.
    let knows = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    knows.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec))
}

/// Splits a path into the path of its folder, and its name in that.
pub(crate) fn split(path: &Path) -> (&Path, &OsStr) {
    (
        path.parent().unwrap_or(Path::new("")),
        path.file_name().unwrap_or_default(),
    )
}
