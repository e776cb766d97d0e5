//! Deleting a folder below the base directory, by descriptors, without following a symbolic link.
//!
//! Every component is opened from its parent's descriptor with `O_NOFOLLOW`, so a folder that is
//! swapped for a link while this runs is refused, not followed. Folders on another device (a mount
//! point inside an array) are refused before anything in them is touched.

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, fstat, openat, statat, unlinkat};
use rustix::io::Errno;

use super::{Base, StorageError};
use crate::size::{ByteCount, Size};

/// What became of a folder that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It was deleted, with this many bytes and files.
    Deleted(Size),
    /// There was nothing.
    WasMissing,
}

/// Deletes the folder at `path`, relative to the base directory, with everything in it.
///
/// # Errors
/// [`StorageError`] where a component is a symbolic link or no folder, where it reaches into
/// another file system, or where the system refuses; what was not reached yet stays.
pub fn remove_tree(base: &Base, path: &Path) -> Result<Gone, StorageError> {
    let full = |path: &Path| base.path().join(path);
    let device = |fd: &OwnedFd, path: &Path| {
        fstat(fd)
            .map(|stat| stat.st_dev)
            .map_err(|errno| StorageError::io("reading", &full(path), errno))
    };
    let base_device = fstat(base.as_fd())
        .map_err(|errno| StorageError::io("reading", base.path(), errno))?
        .st_dev;
    let mut parent: Option<OwnedFd> = None;
    let mut fd: Option<OwnedFd> = None;
    let mut walked = PathBuf::new();
    for component in path.components() {
        parent = fd.take();
        walked.push(component);
        let from = parent.as_ref().map_or(base.as_fd(), AsFd::as_fd);
        let opened = open_folder(from, component.as_os_str());
        let opened = match opened {
            Ok(opened) => opened,
            Err(Errno::NOENT) => return Ok(Gone::WasMissing),
            Err(errno @ (Errno::NOTDIR | Errno::LOOP)) => {
                let kind = statat(from, component.as_os_str(), AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| FileType::from_raw_mode(stat.st_mode));
                return Err(match kind {
                    Ok(FileType::Symlink) => StorageError::Symlink {
                        path: full(&walked),
                    },
                    Ok(_) => StorageError::NotAFolder {
                        path: full(&walked),
                    },
                    Err(_) => StorageError::io("opening", &full(&walked), errno),
                });
            }
            Err(errno) => return Err(StorageError::io("opening", &full(&walked), errno)),
        };
        if device(&opened, &walked)? != base_device {
            return Err(StorageError::OtherDevice {
                path: full(&walked),
            });
        }
        fd = Some(opened);
    }
    let (Some(fd), Some(name)) = (fd, path.file_name()) else {
        return Err(StorageError::NotAFolder { path: full(path) });
    };
    let mut size = Size::default();
    empty(&fd, base_device, &full(path), &mut size)?;
    let from = parent.as_ref().map_or(base.as_fd(), AsFd::as_fd);
    unlinkat(from, name, AtFlags::REMOVEDIR)
        .map_err(|errno| StorageError::io("deleting", &full(path), errno))?;
    Ok(Gone::Deleted(size))
}

fn open_folder(parent: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Deletes everything in a folder.
fn empty(fd: &OwnedFd, device: u64, path: &Path, size: &mut Size) -> Result<(), StorageError> {
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    // Deleting while reading may skip entries on some file systems: read again until none is left.
    loop {
        let mut names: Vec<std::ffi::CString> = Vec::new();
        let reading = |errno: Errno| StorageError::io("reading", path, errno);
        let again = open_folder(fd, ".").map_err(reading)?;
        let mut entries = RawDir::new(again, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(reading)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            delete(fd, &name, device, path, size)?;
        }
    }
}

fn delete(
    folder: &OwnedFd,
    name: &CStr,
    device: u64,
    path: &Path,
    size: &mut Size,
) -> Result<(), StorageError> {
    let full = || path.join(OsStr::from_bytes(name.to_bytes()));
    let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(StorageError::io("reading", &full(), errno)),
    };
    let result = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        if stat.st_dev != device {
            return Err(StorageError::OtherDevice { path: full() });
        }
        let child = open_folder(folder, name)
            .map_err(|errno| StorageError::io("opening", &full(), errno))?;
        empty(&child, device, &full(), size)?;
        unlinkat(folder, name, AtFlags::REMOVEDIR)
    } else {
        let bytes = ByteCount(u64::try_from(stat.st_size).unwrap_or_default());
        size.add(Size { bytes, files: 1 });
        unlinkat(folder, name, AtFlags::empty())
    };
    match result {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(StorageError::io("deleting", &full(), errno)),
    }
}
