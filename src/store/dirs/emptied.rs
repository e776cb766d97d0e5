//! Whether this process may unlink what is in a folder, found out without trying.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Access, AtFlags, Dir, FileType, Stat, accessat, fstat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::descend::open_folder;

const STICKY: u32 = 0o1000;
/// The rights of an owner that are needed to unlink.
const OWNER_EMPTIES: u32 = 0o300;

/// Whether this process may empty the folder `name`, whose `stat` is given. True for all but
/// folders. One of this user that its mode lets empty costs no system call.
pub(crate) fn may_empty_in(parent: &OwnedFd, name: &CStr, stat: &Stat) -> bool {
    let me = geteuid();
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let is_own = stat.st_uid == me.as_raw() && stat.st_mode & OWNER_EMPTIES == OWNER_EMPTIES;
    if !is_folder || is_own || me.is_root() {
        return true;
    }
    match open_folder(parent, name) {
        Ok(folder) => may_empty(&folder, usize::MAX).is_ok(),
        // What cannot be listed cannot be emptied; any other error says nothing about rights.
        Err(errno) => !matches!(errno, Errno::ACCESS | Errno::PERM),
    }
}

/// Checks that this process may unlink in a folder. An empty one needs no permission. `most`: names
/// of a sticky folder that are looked at.
///
/// # Errors
/// What the system would say.
pub(crate) fn may_empty(folder: &OwnedFd, most: usize) -> Result<(), Errno> {
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    // EACCESS asks for the effective user, who is the one that unlinks.
    let denied = match accessat(folder, c".", wanted, AtFlags::EACCESS) {
        // In a sticky folder only the owner of a name unlinks it.
        Ok(()) => foreign_in_sticky(folder, most).then_some(Errno::PERM),
        Err(errno) => Some(errno),
    };
    match denied {
        Some(errno) if !is_empty(folder) => Err(errno),
        _ => Ok(()),
    }
}

fn foreign_in_sticky(folder: &OwnedFd, most: usize) -> bool {
    let me = geteuid();
    let is_sticky =
        |stat: Stat| stat.st_mode & STICKY != 0 && stat.st_uid != me.as_raw() && !me.is_root();
    fstat(folder).is_ok_and(is_sticky) && {
        let mine = |name: &CStr| {
            let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|stat| stat.st_uid == me.as_raw())
        };
        let names = open_folder(folder.as_fd(), ".").and_then(Dir::new);
        names.is_ok_and(|names| {
            names.filter_map(Result::ok).take(most).any(|entry| {
                !matches!(entry.file_name().to_bytes(), b"." | b"..") && !mine(entry.file_name())
            })
        })
    }
}

fn is_empty(folder: &OwnedFd) -> bool {
    let names = open_folder(folder.as_fd(), ".").and_then(Dir::new);
    names.is_ok_and(|names| {
        names.into_iter().all(|entry| {
            entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
        })
    })
}
