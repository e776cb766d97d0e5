//! The folders above the old path of an item.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Dir, fstat, fsync};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::claim::{Claim, Intent};
use super::folder_attributes::FolderForms;
use crate::disk;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, device_of, open_error, open_folder};
use crate::store::error::StorageError;

/// Checks that the claimants can write in the folder of an old path, or in the lowest folder above
/// it that exists.
///
/// # Errors
/// As [`open_parent`].
pub(super) fn check(
    base: &Base,
    item: &Path,
    claim: &Claim,
    trash: &Path,
) -> Result<(), StorageError> {
    // The lowest folder that exists is where the first new one would be made.
    for above in item.ancestors().skip(1) {
        if let Some(found) = descend(base, above, IfAbsent::ReturnNone)? {
            let path = base.path().join(above);
            return claim.check(found.as_fd(), Intent::Add, &path, trash);
        }
    }
    Ok(())
}

/// Opens the folder at `path` below the base directory, and makes it and the folders above it if
/// they do not exist. The claimants must be able to write in the folder, or in the lowest one that
/// exists: they are checked on the descriptor that is then used.
///
/// # Errors
/// - [`StorageError::Untrusted`] if a claimant may not write there.
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`],
///   [`StorageError::Outside`] if the path leads elsewhere.
/// - [`StorageError::Io`] if a folder cannot be opened or made.
pub(super) fn open_parent(
    base: &Base,
    path: &Path,
    claim: &Claim,
    forms: &FolderForms,
    trash: &Path,
) -> Result<OwnedFd, StorageError> {
    let check = |folder: &OwnedFd, walked: &Path| {
        let path = base.path().join(walked);
        claim.check(folder.as_fd(), Intent::Add, &path, trash)
    };
    if let Some(folder) = descend(base, path, IfAbsent::ReturnNone)?
        && !(forms.is_open_to_others(path) && is_half_made(&folder, path, base)?)
    {
        check(&folder, path)?;
        return Ok(folder);
    }
    let mut walked = PathBuf::new();
    let mut folder = open_folder(base.as_fd(), ".")
        .map_err(|errno| StorageError::io("opening", base.path(), errno))?;
    let device = device_of(folder.as_fd(), base.path())?;
    // A folder that was made here is as good as the one that it was made in.
    let mut is_checked = false;
    for component in path.components() {
        if !matches!(component, Component::Normal(_)) {
            return Err(StorageError::Outside {
                path: base.path().join(path),
            });
        }
        let name = component.as_os_str();
        let full = base.path().join(&walked).join(name);
        let mut opened = open_folder(&folder, name);
        if opened.as_ref().is_err_and(|errno| *errno == Errno::NOENT) {
            if !is_checked {
                check(&folder, &walked)?;
            }
            // For all who may write in the folder around it, whatever the umask.
            match disk::make_folder(&folder, name) {
                Ok(made) => {
                    is_checked = true;
                    if is_new(&made).unwrap_or(false) {
                        forms.give(made.as_fd(), &walked.join(name), claim);
                    }
                }
                Err(Errno::EXIST) => is_checked = false,
                Err(errno) => return Err(StorageError::io("making", &full, errno)),
            }
            // Data that is moved in here is acknowledged: its parent must be as durable.
            fsync(&folder).map_err(|errno| StorageError::io("syncing", &full, errno))?;
            opened = open_folder(&folder, name);
        } else {
            is_checked = false;
            let walked = walked.join(name);
            // A restore that was killed made it, and did not come to open it to others.
            if let Ok(found) = &opened
                && forms.is_open_to_others(&walked)
                && is_half_made(found, &walked, base)?
            {
                check(&folder, walked.parent().unwrap_or(Path::new("")))?;
                forms.give(found.as_fd(), &walked, claim);
            }
        }
        folder = opened.map_err(|errno| open_error(folder.as_fd(), name, &full, errno))?;
        if is_checked {
            is_checked =
                is_new(&folder).map_err(|errno| StorageError::io("reading", &full, errno))?;
        }
        walked.push(name);
        if device_of(folder.as_fd(), &full)? != device {
            return Err(StorageError::OtherDevice { path: full });
        }
    }
    if !is_checked {
        check(&folder, path)?;
    }
    Ok(folder)
}

/// Whether a folder is as [`disk::make_folder`] leaves it if it is killed: of this user, for no
/// others, with nothing in it.
fn is_half_made(folder: &OwnedFd, path: &Path, base: &Base) -> Result<bool, StorageError> {
    let is_private = |folder| Ok(fstat(folder)?.st_mode & 0o777 == 0o700 && is_new(folder)?);
    is_private(folder)
        .map_err(|errno: Errno| StorageError::io("reading", &base.path().join(path), errno))
}

/// Whether a folder is one that this process has just made: another may have taken its place.
fn is_new(folder: &OwnedFd) -> Result<bool, Errno> {
    if fstat(folder)?.st_uid != geteuid().as_raw() {
        return Ok(false);
    }
    for entry in Dir::new(open_folder(folder, ".")?)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
