//! Looks into what is to be moved: for the folders of other registries, whose data has rows there,
//! and for folders that this user may not empty.
//!
//! A folder without subfolders has two links on most file systems, so it takes one `stat` and is
//! not read: a look at flat arrays costs a `stat` each. A file system that does not count so gives
//! one link, and its folders are read.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RawDir, statat};

use super::marker::modified;
use crate::disk::{is_registry, stat_below};
use crate::model::clock::Timestamp;
use crate::model::progress::Monitor;
use crate::store::base::Base;
use crate::store::dirs::{FolderHandles, FolderRef, may_empty_in, may_have_folders};
use crate::store::error::StorageError;
use crate::store::workers;

/// What lies in folders that are to be moved. Paths are relative to the base directory, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inside {
    /// Base directories of other registries. What is in one is not looked at.
    pub registries: Vec<PathBuf>,
    /// Folders, below the given ones, that are not empty and in which this user may not unlink.
    pub closed: Vec<PathBuf>,
}

/// What one `stat` says of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FolderTimes {
    /// When something was last made, renamed or unlinked in it.
    pub written_at: Timestamp,
    /// Whether folders may be in it: they have times of their own.
    pub may_have_folders: bool,
}

/// Looks when something was last made in the folder at `path`, relative to the base directory. `None`
/// if there is none, or it cannot be looked at.
#[must_use]
pub fn folder_times(base: &Base, path: &Path) -> Option<FolderTimes> {
    let stat = stat_below(base, path).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then(|| FolderTimes {
        written_at: modified(&stat),
        may_have_folders: may_have_folders(&stat),
    })
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookFor {
    /// Other registries: what is moved is not unlinked.
    Registries,
    /// Also folders that this user may not empty. For a folder of this user that costs nothing, for
    /// one of another user two system calls.
    Closed,
}

enum Found {
    Registry(PathBuf),
    Closed(PathBuf),
}

/// Looks into folders, whose paths are relative to the base directory.
///
/// Registries in what this user may not read are left out: a purge cannot empty it either, and
/// looks by itself.
///
/// # Errors
/// [`StorageError::Interrupted`] if the monitor cancels.
pub fn look_inside<'a>(
    base: &Base,
    folders: impl Iterator<Item = &'a str>,
    look_for: LookFor,
    monitor: &dyn Monitor,
) -> Result<Inside, StorageError> {
    let is_deep = |path: &&str| stat_below(base, *path).is_ok_and(|stat| may_have_folders(&stat));
    let tasks: Vec<FolderRef> = folders
        .filter(is_deep)
        .map(|path| FolderRef::below_base(PathBuf::from(path)))
        .collect();
    let mut found = Inside::default();
    // Most removals are of flat arrays: for them no thread is started.
    if tasks.is_empty() {
        return Ok(found);
    }
    let handles = FolderHandles::below(base);
    workers::run(
        workers::default_threads(),
        tasks,
        || vec![MaybeUninit::uninit(); 32 << 10],
        |place: FolderRef, buffer: &mut Vec<_>, more, sender| {
            if monitor.is_cancelled() {
                return Err(workers::Stopped);
            }
            let Ok(fd) = handles.open(&place) else {
                return Ok(());
            };
            let mut names = Vec::new();
            let mut entries = RawDir::new(&fd, buffer);
            while let Some(Ok(entry)) = entries.next() {
                let name = entry.file_name();
                let is_other = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
                if !is_other || matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                if is_registry(&fd, name.to_bytes(), entry.file_type()) {
                    return sender.send(Found::Registry(place.path));
                }
                names.push(name.to_owned());
            }
            let mut closed = Vec::new();
            names.retain(|name| {
                let stat = statat(&fd, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW);
                let Ok(stat) = stat else { return false };
                if look_for == LookFor::Closed && !may_empty_in(&fd, name, &stat) {
                    let name = OsStr::from_bytes(name.to_bytes());
                    closed.push(place.path.join(name));
                }
                may_have_folders(&stat)
            });
            for path in closed {
                sender.send(Found::Closed(path))?;
            }
            let parent = handles.keep(fd);
            more.extend(names.iter().map(|name| {
                let name = OsStr::from_bytes(name.to_bytes());
                handles.subfolder(place.path.join(name), &parent)
            }));
            Ok(())
        },
        |one| {
            match one {
                Found::Registry(path) => found.registries.push(path),
                Found::Closed(path) => found.closed.push(path),
            }
            Ok::<_, StorageError>(())
        },
    )?;
    // A look that was cut short has not seen all.
    if monitor.is_cancelled() {
        let path = base.path().to_path_buf();
        return Err(StorageError::Interrupted { path });
    }
    found.registries.sort();
    found.closed.sort();
    Ok(found)
}
