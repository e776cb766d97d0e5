//! Getting to a folder below the base directory without following a symbolic link.
//!
//! Every component is opened from its parent's descriptor with `O_NOFOLLOW`. So a folder that is
//! swapped for a link in the meantime is refused, and an open folder stays the same folder. One
//! call of `openat2` does all of that at once and is tried first. If it fails, the path is walked,
//! which finds the component that is at fault.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat2, statat,
};
use rustix::io::Errno;

use crate::disk::{self, RegistryPlace};
use crate::model::name::REGISTRY_DIR;
use crate::store::base::Base;
use crate::store::error::StorageError;

/// Opens a folder by its name, or by a path of names, never through a symbolic link.
pub(crate) fn open_folder(
    parent: impl AsFd,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    disk::open_below(parent, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// What to do if a component of a path does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfAbsent {
    ReturnNone,
    Create,
}

/// Opens the folder at `path` below the base directory. `None` if it, or a folder above it, does
/// not exist.
///
/// # Errors
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`] if a component is one.
/// - [`StorageError::OtherDevice`] if a component is on another file system than the base
///   directory.
/// - [`StorageError::Outside`] if the path has a `..` or is absolute.
/// - [`StorageError::Io`] if a component cannot be opened or created.
pub(crate) fn descend(
    base: &Base,
    path: &Path,
    absent: IfAbsent,
) -> Result<Option<OwnedFd>, StorageError> {
    if let Some(folder) = descend_at_once(base, path) {
        return Ok(Some(folder));
    }
    let mut folder = open_folder(base.as_fd(), ".")
        .map_err(|errno| StorageError::io("opening", base.path(), errno))?;
    let device = device_of(folder.as_fd(), base.path())?;
    let mut walked = PathBuf::new();
    for component in path.components() {
        walked.push(component);
        if !matches!(component, Component::Normal(_)) {
            return Err(StorageError::Outside {
                path: base.path().join(path),
            });
        }
        let name = component.as_os_str();
        let mut opened = open_folder(&folder, name);
        if opened.as_ref().is_err_and(|errno| *errno == Errno::NOENT) {
            match absent {
                IfAbsent::ReturnNone => return Ok(None),
                IfAbsent::Create => {
                    // Folders of the registry are for its group; those of runs follow the umask.
                    let is_registry = walked.starts_with(REGISTRY_DIR);
                    let made = match is_registry && walked != Path::new(REGISTRY_DIR) {
                        true => disk::make_folder(&folder, name).map(drop),
                        false => mkdirat(&folder, name, Mode::from_raw_mode(0o777)),
                    };
                    match made {
                        // EXIST: another process made it meanwhile.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => {
                            return Err(StorageError::io(
                                "making",
                                &base.path().join(&walked),
                                errno,
                            ));
                        }
                    }
                    // Data that is moved in here is acknowledged: its parent must be as durable.
                    rustix::fs::fsync(&folder).map_err(|errno| {
                        StorageError::io("syncing", &base.path().join(&walked), errno)
                    })?;
                    opened = open_folder(&folder, name);
                }
            }
        }
        folder = opened
            .map_err(|errno| open_error(folder.as_fd(), name, &base.path().join(&walked), errno))?;
        // A rename cannot leave the file system, and nothing beyond it is deleted.
        if device_of(folder.as_fd(), &walked)? != device {
            return Err(StorageError::OtherDevice {
                path: base.path().join(&walked),
            });
        }
    }
    Ok(Some(folder))
}

/// Opens the folder at `path` in one call; `None` if that fails for any reason.
fn descend_at_once(base: &Base, path: &Path) -> Option<OwnedFd> {
    let is_plain = |component| matches!(component, Component::Normal(_));
    if path.as_os_str().is_empty() || !path.components().all(is_plain) {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let folder = openat2(base.as_fd(), path, flags, Mode::empty(), resolve).ok()?;
    // NO_XDEV lets btrfs subvolumes pass, and renames do not leave them: compare devices as well.
    let device = |fd: BorrowedFd<'_>| fstat(fd).ok().map(|stat| stat.st_dev);
    (device(folder.as_fd())? == device(base.as_fd())?).then_some(folder)
}

/// The error of a folder that could not be opened, by what is in its place.
pub(crate) fn open_error(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    errno: Errno,
) -> StorageError {
    let path = path.to_owned();
    if matches!(errno, Errno::NOTDIR | Errno::LOOP) {
        match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
            .map(|stat| FileType::from_raw_mode(stat.st_mode))
        {
            Ok(FileType::Symlink) => return StorageError::Symlink { path },
            // It was exchanged since; only the system's answer is known.
            Ok(FileType::Directory) | Err(_) => {}
            Ok(_) => return StorageError::NotAFolder { path },
        }
    }
    StorageError::io("opening", &path, errno)
}

/// The device of the file system that a folder is on.
pub(crate) fn device_of(folder: BorrowedFd<'_>, path: &Path) -> Result<u64, StorageError> {
    fstat(folder)
        .map(|stat| stat.st_dev)
        .map_err(|errno| StorageError::io("reading", path, errno))
}

/// Whether a file is a folder that may have subfolders. Each subfolder is a link to the one above,
/// so a folder without any has two links. File systems that do not count so give one.
pub(crate) fn may_have_folders(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_nlink != 2
}

/// Whether a folder, which may have subfolders, is the base directory of a registry. True if the
/// system does not say: then it must stay.
pub(crate) fn holds_registry(folder: impl AsFd) -> bool {
    match disk::registry_in(folder, Path::new("")) {
        Ok(place) => place == RegistryPlace::Folder,
        // ACCESS: in a folder that may not be searched nothing can be unlinked either, and the purge
        // says so by itself. STALE: another host has just deleted it.
        Err(errno) => !matches!(errno, Errno::ACCESS | Errno::STALE),
    }
}
