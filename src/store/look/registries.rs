//! Finds the folders of other registries in what is to be moved: their data has rows there.
//!
//! A folder without subfolders has two links on most file systems, so it takes one `stat` and is
//! not read: a look at flat arrays costs a `stat` each. A file system that does not count so gives
//! one link, and its folders are read.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{AtFlags, FileType, RawDir, statat};

use crate::disk::{is_registry, stat_below};
use crate::model::progress::Monitor;
use crate::store::base::Base;
use crate::store::dirs::{FolderHandles, FolderRef, may_have_folders};
use crate::store::error::StorageError;
use crate::store::workers;

/// Returns the base directories of other registries at and below these folders, sorted; all paths
/// are relative to the base directory. What is in one is not looked at.
///
/// What this user may not read is left out: a purge cannot empty it either, and looks by itself.
///
/// # Errors
/// [`StorageError::Interrupted`] if the monitor cancels.
pub fn registries_below<'a>(
    base: &Base,
    folders: impl Iterator<Item = &'a str>,
    monitor: &dyn Monitor,
) -> Result<Vec<PathBuf>, StorageError> {
    let is_deep = |path: &&str| stat_below(base, *path).is_ok_and(|stat| may_have_folders(&stat));
    let tasks: Vec<FolderRef> = folders
        .filter(is_deep)
        .map(|path| FolderRef::below_base(PathBuf::from(path)))
        .collect();
    let mut found = Vec::new();
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
                    return sender.send(place.path);
                }
                names.push(name.to_owned());
            }
            names.retain(|name| {
                statat(&fd, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| may_have_folders(&stat))
            });
            let parent = handles.keep(fd);
            more.extend(names.iter().map(|name| {
                let name = OsStr::from_bytes(name.to_bytes());
                handles.subfolder(place.path.join(name), &parent)
            }));
            Ok(())
        },
        |path| {
            found.push(path);
            Ok::<_, StorageError>(())
        },
    )?;
    // A look that was cut short has not seen all.
    if monitor.is_cancelled() {
        let path = base.path().to_path_buf();
        return Err(StorageError::Interrupted { path });
    }
    found.sort();
    Ok(found)
}
