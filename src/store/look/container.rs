//! Lists what is in a container, without descending into its arrays.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RawDir, statat};
use rustix::io::Errno;

use super::marker::{GROUP_METADATA, MarkerError, Memory, is_group_metadata};
use super::pyramid;
use crate::disk::is_registry;
use crate::model::progress::Monitor;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, is_unlinked, open_folder};
use crate::store::error::StorageError;
use crate::store::trash::TrashFolder;

/// What is in a container. Paths are relative to it and sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerListing {
    /// Its arrays, and folders whose metadata cannot be read; what is below these is listed too. An
    /// empty path if the container is an array itself.
    pub arrays: Vec<PathBuf>,
    /// Files that belong to no array and are not the metadata of a group.
    pub others: Vec<PathBuf>,
    /// Folders of other registries, called `.dalsegno`, which were not looked into.
    pub registries: Vec<PathBuf>,
}

/// Lists the container at `path`, relative to the base directory. Empty if there is none.
///
/// # Errors
/// - [`StorageError::Io`] if something cannot be read. It is not taken for absent: what is not
///   listed could be removed unseen.
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if the
///   path leads to no folder of the base directory.
/// - [`StorageError::Interrupted`] if the monitor cancels.
pub fn list_container(
    base: &Base,
    path: &Path,
    monitor: &dyn Monitor,
) -> Result<ContainerListing, StorageError> {
    match descend(base, path, IfAbsent::ReturnNone)? {
        Some(folder) => look(&folder, &base.path().join(path), Some(path), monitor),
        None => Ok(ContainerListing::default()),
    }
}

/// Lists a container that was moved to the trash.
///
/// # Errors
/// As [`list_container`].
pub fn list_trashed_container(
    folder: &TrashFolder,
    item: u32,
    monitor: &dyn Monitor,
) -> Result<ContainerListing, StorageError> {
    let path = folder.path.join(item.to_string());
    let folder = open_folder(&folder.fd, item.to_string())
        .map_err(|errno| StorageError::io("opening", &path, errno))?;
    // Where it was is not known here: the levels of a pyramid without metadata are listed one by
    // one, and lie in its folder all the same.
    look(&folder, &path, None, monitor)
}

/// Whether the folder at `path`, relative to the base directory, is an array or has metadata that
/// cannot be read.
///
/// # Errors
/// As [`list_container`].
pub fn is_array(base: &Base, path: &Path) -> Result<bool, StorageError> {
    let full = base.path().join(path);
    match descend(base, path, IfAbsent::ReturnNone)? {
        Some(folder) => Ok(role_of(&folder, Path::new("."), &full, Some(path))? != Role::Folder),
        None => Ok(false),
    }
}

/// Whether a folder of an item in the trash is an array or has metadata that cannot be read. `at`:
/// where it was, relative to the base directory.
///
/// # Errors
/// As [`list_container`].
pub fn is_trashed_array(
    folder: &TrashFolder,
    item: u32,
    part: &str,
    at: &Path,
) -> Result<bool, StorageError> {
    match folder.part(item, part)? {
        Some(inner) => Ok(role_of(&inner, Path::new("."), &folder.path, Some(at))? != Role::Folder),
        None => Ok(false),
    }
}

/// Whether the folder at `path`, relative to the base directory, has metadata of a group.
///
/// # Errors
/// As [`list_container`].
pub fn has_group_metadata(base: &Base, path: &Path) -> Result<bool, StorageError> {
    let Some(folder) = descend(base, path, IfAbsent::ReturnNone)? else {
        return Ok(false);
    };
    for name in GROUP_METADATA {
        match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => return Ok(true),
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let path = base.path().join(path).join(name);
                return Err(StorageError::io("reading", &path, errno));
            }
        }
    }
    Ok(false)
}

/// Whether a regular file of this name is the metadata of a group.
#[must_use]
pub fn is_group_file(name: &str) -> bool {
    GROUP_METADATA.contains(&name)
}

fn look(
    container: &OwnedFd,
    path: &Path,
    at: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<ContainerListing, StorageError> {
    let mut contents = ContainerListing::default();
    if role_of(container, Path::new("."), path, at)? == Role::Array {
        // What is below an array is part of it.
        contents.arrays.push(PathBuf::new());
        return Ok(contents);
    }
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        if monitor.is_cancelled() {
            let path = path.to_path_buf();
            return Err(StorageError::Interrupted { path });
        }
        let full = path.join(&relative);
        let reading = |errno: Errno| StorageError::io("reading", &full, errno);
        let name = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &relative
        };
        let folder = match open_folder(container, name) {
            Ok(folder) => folder,
            // Another process removed it since its name was read.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(reading(errno)),
        };
        let mut entries = RawDir::new(&folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                // Or while it is read.
                Err(Errno::NOENT) => break,
                Err(errno) => return Err(reading(errno)),
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || is_unlinked(name) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    // Some file systems give names without types.
                    match statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                        Err(Errno::NOENT) => continue,
                        Err(errno) => return Err(reading(errno)),
                    }
                }
                kind => kind,
            };
            let child = relative.join(OsStr::from_bytes(name));
            // What belongs to another registry is not for this one to judge.
            if is_registry(&folder, name, kind) {
                contents.registries.push(child);
            } else if kind == FileType::Directory {
                let name = Path::new(OsStr::from_bytes(name));
                let at = at.map(|at| at.join(&child));
                match role_of(&folder, name, &path.join(&child), at.as_deref())? {
                    Role::Array => contents.arrays.push(child),
                    Role::Folder => folders.push(child),
                    Role::Damaged => {
                        // Listed and looked into: it may be a group with arrays.
                        contents.arrays.push(child.clone());
                        folders.push(child);
                    }
                }
            } else if !is_group_metadata(name, kind) {
                contents.others.push(child);
            }
        }
    }
    contents.arrays.sort();
    contents.others.sort();
    contents.registries.sort();
    Ok(contents)
}

/// What a folder of a container is in it.
#[derive(PartialEq, Eq)]
enum Role {
    Array,
    Folder,
    /// Its metadata cannot be read: an array, or a group with arrays below.
    Damaged,
}

fn role_of(
    folder: &OwnedFd,
    name: &Path,
    path: &Path,
    at: Option<&Path>,
) -> Result<Role, StorageError> {
    match pyramid::probe(folder.as_fd(), name, at, Memory::default()) {
        Ok(Some(_)) => Ok(Role::Array),
        Ok(None) => Ok(Role::Folder),
        Err(MarkerError::Damaged(damaged)) if damaged.marker.is_pyramid() => Ok(Role::Array),
        Err(MarkerError::Damaged(_)) => Ok(Role::Damaged),
        // Removed since its name was read.
        Err(MarkerError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Role::Folder)
        }
        Err(MarkerError::Io(error)) => Err(StorageError::io("reading", path, error)),
    }
}
