//! What else lies in a folder, beside arrays that are counted already.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, RawDir, fstat, statat};
use rustix::io::Errno;

use super::count::Tally;
use crate::model::progress::Monitor;
use crate::model::size::{ByteCount, Size};
use crate::store::base::Base;
use crate::store::dirs::open_folder;
use crate::store::error::StorageError;
use crate::store::look::{Notice, unreadable};

/// What was counted.
#[derive(Debug, Default)]
pub struct OthersCount {
    /// Lengths and number of files.
    pub size: Size,
    /// Bytes on disk of files and folders, a file with several links once.
    pub disk_bytes: ByteCount,
    /// Folders and files that could not be read.
    pub notices: Vec<Notice>,
}

/// Counts what is in folders, relative to the base directory, but for the paths that are counted
/// elsewhere, with all below them. Follows no links. A folder that is not there counts as empty.
///
/// # Errors
/// [`StorageError::Interrupted`] if the monitor cancels. What cannot be read is a finding.
pub fn count_others(
    base: &Base,
    folders: impl IntoIterator<Item = PathBuf>,
    is_counted: &dyn Fn(&Path) -> bool,
    monitor: &dyn Monitor,
) -> Result<OthersCount, StorageError> {
    let mut tally = Tally::default();
    let mut notices = Vec::new();
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    let mut open: Vec<PathBuf> = folders.into_iter().collect();
    while let Some(path) = open.pop() {
        if monitor.is_cancelled() {
            let path = base.path().to_path_buf();
            return Err(StorageError::Interrupted { path });
        }
        let counted = count_folder(base, &path, is_counted, &mut buffer, &mut tally, &mut open);
        if let Err(errno) = counted
            // Removed or replaced since its name was read.
            && !matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
        {
            notices.push(unreadable(base, &path, &errno.into()));
        }
    }
    Ok(OthersCount {
        size: tally.size(),
        disk_bytes: tally.disk_bytes(),
        notices,
    })
}

/// Counts one folder and its files; its folders are left to count.
fn count_folder(
    base: &Base,
    path: &Path,
    is_counted: &dyn Fn(&Path) -> bool,
    buffer: &mut [MaybeUninit<u8>],
    tally: &mut Tally,
    open: &mut Vec<PathBuf>,
) -> Result<(), Errno> {
    let folder = open_folder(base.as_fd(), path)?;
    tally.add_folder(&fstat(&folder)?);
    let mut entries = RawDir::new(&folder, buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let child = path.join(OsStr::from_bytes(name.to_bytes()));
        if is_counted(&child) {
            continue;
        }
        let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Removed since its name was read.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => open.push(child),
            kind => tally.add(kind, &stat),
        }
    }
    Ok(())
}
