//! Links among the checkpoints of a run that name a path in the run.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, readlinkat, statat};
use rustix::io::Errno;

use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::StorageError;

/// Counts the symbolic links below `<run>/checkpoints` that name an absolute path in the run's
/// folder: they dangle once the folder has another name. No link is followed.
///
/// # Errors
/// [`StorageError::Io`] if a folder cannot be read.
pub fn links_into(base: &Base, run: &str) -> Result<u64, StorageError> {
    let path = Path::new(run).join("checkpoints");
    let into = base.path().join(run);
    let Some(top) = descend(base, &path, IfAbsent::ReturnNone)? else {
        return Ok(0);
    };
    let mut count = 0;
    let mut folders = vec![PathBuf::from(".")];
    while let Some(relative) = folders.pop() {
        let here = base.path().join(&path).join(&relative);
        let reading = |errno: Errno| StorageError::io("reading", &here, errno);
        let folder = match open_folder(&top, &relative) {
            Ok(folder) => folder,
            // Removed or replaced since its name was read.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            Err(errno) => return Err(reading(errno)),
        };
        for entry in Dir::read_from(&folder).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
            let kind = match entry.file_type() {
                FileType::Unknown => statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |stat| {
                        FileType::from_raw_mode(stat.st_mode)
                    }),
                kind => kind,
            };
            match kind {
                FileType::Directory if matches!(name.to_str(), Some("." | "..")) => {}
                FileType::Directory => folders.push(relative.join(name)),
                FileType::Symlink => {
                    // One that is gone by now names nothing.
                    let target = readlinkat(&folder, name, Vec::new()).unwrap_or_default();
                    let target = Path::new(std::ffi::OsStr::from_bytes(target.to_bytes()));
                    count += u64::from(target.starts_with(&into));
                }
                _ => {}
            }
        }
    }
    Ok(count)
}
