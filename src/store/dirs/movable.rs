//! Whether this process may move an entry out of its folder, asked before anything is moved.

use std::path::Path;

use rustix::fs::{Access, AtFlags, accessat, fstat, statat};
use rustix::io::Errno;
use rustix::process::{geteuid, getuid};

use super::entry::{EntryType, split};
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend};
use crate::store::error::StorageError;

const STICKY: u32 = 0o1000;

/// Refuses a path where this process may make nothing: in the folder above it, or in the lowest one
/// above that exists. What cannot be found out is not an error: making it decides.
///
/// # Errors
/// - [`StorageError::Io`] if it may not, or the folder cannot be opened.
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if the
///   path leads elsewhere.
pub fn require_writable(base: &Base, path: &Path) -> Result<(), StorageError> {
    if getuid() != geteuid() {
        return Ok(());
    }
    for above in path.ancestors().skip(1) {
        let Some(folder) = descend(base, above, IfAbsent::ReturnNone)? else {
            continue;
        };
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let asked = accessat(&folder, ".", access, AtFlags::empty());
        return match asked {
            Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                let path = base.path().join(path);
                Err(StorageError::io("moving back to", &path, errno))
            }
            _ => Ok(()),
        };
    }
    Ok(())
}

/// Refuses an entry that this process may not move to another folder. A rename takes a name out of
/// the folder above, and changes what `..` means in a folder that is moved: both must be writable.
/// Out of a sticky folder only the owner of the entry or of the folder may move.
///
/// What cannot be found out is not an error: the rename itself decides.
///
/// # Errors
/// - [`StorageError::Io`] if it may not, or the folder above cannot be opened.
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if the
///   path leads elsewhere.
pub fn require_movable(
    base: &Base,
    path: &Path,
    entry_type: EntryType,
) -> Result<(), StorageError> {
    // `access` asks for the real user; a program that runs as another one asks the rename.
    if getuid() != geteuid() {
        return Ok(());
    }
    let (parent, name) = split(path);
    let Some(folder) = descend(base, parent, IfAbsent::ReturnNone)? else {
        return Ok(());
    };
    let refuse = |why| Err(StorageError::not_movable(&base.path().join(path), why));
    let may = |name: &std::ffi::OsStr, access| {
        let asked = accessat(&folder, name, access, AtFlags::empty());
        // Any other error says nothing about rights: the rename decides.
        !matches!(asked, Err(Errno::ACCESS | Errno::PERM))
    };
    // EXEC: without it, no name in the folder can be reached.
    if !may(".".as_ref(), Access::WRITE_OK | Access::EXEC_OK) {
        return refuse("this user may not write in the folder above it");
    }
    if entry_type == EntryType::Folder && !may(name, Access::WRITE_OK) {
        return refuse("this user may not write in it");
    }
    if let (Ok(above), Ok(entry)) = (
        fstat(&folder),
        statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW),
    ) {
        let user = geteuid();
        // 0 is root, who may always.
        let owners = [0, above.st_uid, entry.st_uid];
        if above.st_mode & STICKY != 0 && !owners.contains(&user.as_raw()) {
            return refuse("it is another user's, in a sticky folder");
        }
    }
    Ok(())
}
