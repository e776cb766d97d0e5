//! Mounts of other file systems: a rename cannot cross them, and nothing on them is deleted.

use std::path::{Path, PathBuf};

use crate::store::base::Base;
use crate::store::error::StorageError;

/// Mount points below the base directory, relative to the base directory.
///
/// # Errors
/// [`StorageError::Io`] if the list of mounts cannot be read. If there is no `/proc`, the result is
/// empty.
pub fn mounts_below(base: &Base) -> Result<Vec<PathBuf>, StorageError> {
    let list = Path::new("/proc/self/mountinfo");
    let text = match std::fs::read_to_string(list) {
        Ok(text) => text,
        // Without /proc mounts are unknown; the purge still refuses folders on another device.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StorageError::io("reading", list, error)),
    };
    let real = base
        .path()
        .canonicalize()
        .map_err(|error| StorageError::io("finding", base.path(), error))?;
    let points = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape_mount);
    Ok(points
        .filter_map(|point| point.strip_prefix(&real).map(Path::to_path_buf).ok())
        .collect())
}

/// Undoes the octal escapes of `/proc/self/mountinfo`: space, tab, end of line, backslash.
pub(crate) fn unescape_mount(text: &str) -> PathBuf {
    let mut text = text.to_owned();
    for (escaped, plain) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        text = text.replace(escaped, plain);
    }
    text.into()
}
