//! What is at a path where data should be and was not found.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RawDir, statat};
use rustix::io::Errno;

use super::marker::{MarkerError, Memory, is_group_metadata};
use super::pyramid;
use crate::disk::stat_below;
use crate::store::base::Base;
use crate::store::dirs::{is_unlinked, open_folder};
use crate::store::error::StorageError;

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathState {
    /// Nothing is there.
    Nothing,
    /// A folder that holds only folders, metadata of groups, and arrays.
    Folder,
    /// A folder that holds files that belong to no array, such as chunks whose metadata is gone.
    Chunks,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A socket, a device, a named pipe.
    Special,
}

/// Finds out what is at `path`, relative to the base directory. A folder is searched for the first
/// file that belongs to no array.
///
/// # Errors
/// [`StorageError::Io`] if something cannot be read. It is not taken for absent.
pub fn path_state(base: &Base, path: &Path) -> Result<PathState, StorageError> {
    let full = base.path().join(path);
    let stat = match stat_below(base, path) {
        Ok(stat) => stat,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(PathState::Nothing),
        Err(errno) => return Err(StorageError::io("reading", &full, errno)),
    };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => match open_folder(base.as_fd(), path) {
            Ok(folder) if holds_chunks(&folder, &full)? => PathState::Chunks,
            Ok(_) => PathState::Folder,
            // Removed or replaced since the call above.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => PathState::Nothing,
            Err(errno) => return Err(StorageError::io("opening", &full, errno)),
        },
        FileType::RegularFile => PathState::File,
        FileType::Symlink => PathState::Symlink,
        _ => PathState::Special,
    })
}

fn holds_chunks(top: &OwnedFd, path: &Path) -> Result<bool, StorageError> {
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    let mut folders = vec![PathBuf::from(".")];
    while let Some(relative) = folders.pop() {
        let full = path.join(&relative);
        let reading = |errno: Errno| StorageError::io("reading", &full, errno);
        let folder = match open_folder(top, &relative) {
            Ok(folder) => folder,
            // Removed or replaced since its name was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(reading(errno)),
        };
        let mut entries = RawDir::new(&folder, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || is_unlinked(name) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    // Some file systems give names without types.
                    let stat = statat(&folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW);
                    FileType::from_raw_mode(stat.map_err(reading)?.st_mode)
                }
                kind => kind,
            };
            let name = OsStr::from_bytes(name);
            if kind != FileType::Directory {
                if !is_group_metadata(name.as_bytes(), kind) {
                    return Ok(true);
                }
                continue;
            }
            match pyramid::probe(folder.as_fd(), Path::new(name), None, Memory::default()) {
                Ok(None) => folders.push(relative.join(name)),
                // An array of its own, damaged or not: its chunks are not those of `path`.
                Ok(Some(_)) | Err(MarkerError::Damaged(_)) => {}
                Err(MarkerError::Io(error)) => {
                    return Err(StorageError::io("reading", &full.join(name), error));
                }
            }
        }
    }
    Ok(false)
}
