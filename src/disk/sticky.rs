//! Folders with the sticky bit, in which only its owner may replace or unlink a file.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::fstat;
use rustix::io::Errno;

use crate::model::shell::shell_word;

const STICKY: u32 = 0o1000;

/// The error of a file in a folder that was to be replaced, moved or unlinked, with the sticky bit
/// of that folder if it is the cause. `path`: that of the folder.
pub(crate) fn or_sticky(folder: impl AsFd, path: &Path, errno: Errno) -> io::Error {
    let error = io::Error::from(errno);
    let is_sticky = || fstat(folder).is_ok_and(|stat| stat.st_mode & STICKY != 0);
    if errno != Errno::PERM || !is_sticky() {
        return error;
    }
    let text = format!(
        "{error}; {} has the sticky bit, so only the owner of a file in it may do this; its owner, \
         or root, takes the bit away with: chmod -t {}",
        path.display(),
        shell_word(&path.display().to_string())
    );
    io::Error::new(error.kind(), text)
}
