//! Whose the folder or file is that this user may not open, in words.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, FileType, OFlags, Stat, accessat};
use rustix::io::Errno;
use rustix::process::{geteuid, getuid};

use super::entry::EntryType;
use super::movable::{not_put_back, require_movable, require_writable, share};
use crate::disk::{open_below, stat_below, whose};
use crate::model::causes::with_causes;
use crate::model::name::REGISTRY_DIR;
use crate::store::base::Base;
use crate::store::error::StorageError;

/// The first part of a path, relative to the base directory, that this user may not open or read.
/// `None` if there is none, or if it cannot be found out.
fn closed(base: &Base, path: &Path) -> Option<(PathBuf, Stat)> {
    // `access` asks for the real user, whose rights are not those of this process then.
    if getuid() != geteuid() {
        return None;
    }
    let mut parts: Vec<&Path> = path.ancestors().collect();
    // From the outside: what is below a closed folder cannot be asked about.
    parts.reverse();
    for part in parts {
        let name = match part.as_os_str().is_empty() {
            true => Path::new("."),
            false => part,
        };
        let stat = stat_below(base, name).ok()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return None;
        }
        let is_folder = kind == FileType::Directory;
        let needed = match (part == path, is_folder) {
            // Names below a folder can be asked for without listing it.
            (false, _) => Access::EXEC_OK,
            (true, true) => Access::READ_OK | Access::EXEC_OK,
            (true, false) => Access::READ_OK,
        };
        // By the folder above, so that no link on the way is followed.
        let (above, last) = match name.parent() {
            Some(above) if !above.as_os_str().is_empty() => (above, Path::new(name.file_name()?)),
            _ => (Path::new("."), name),
        };
        let above = open_below(base, above, OFlags::PATH | OFlags::DIRECTORY);
        match above.and_then(|above| accessat(above, last, needed, AtFlags::empty())) {
            Ok(()) => {}
            Err(Errno::ACCESS) => return Some((part.to_path_buf(), stat)),
            Err(_) => return None,
        }
    }
    None
}

/// Says whose the folder or file is that keeps this user from reading a path, relative to the base
/// directory, and what its owner can type. `None` if permissions do not.
pub(crate) fn why_unreadable(base: &Base, path: &Path) -> Option<String> {
    let (closed, stat) = closed(base, path)?;
    let whose = whose(&stat);
    let share = share(base, &closed, &stat);
    let mut why = if closed == path {
        format!("it {whose}, and this user may not read it")
    } else {
        let closed = base.path().join(closed);
        let closed = closed.display();
        format!("it is in {closed}, which {whose}, and this user may not open that")
    };
    if let Some(share) = share {
        why += &format!("; {share}");
    }
    Some(why)
}

/// Refuses what this user may not move from the trash, where it is at `trashed`, to a path: both
/// relative to the base directory. If the rights cannot be read, moving it decides.
///
/// # Errors
/// - [`StorageError::NotMovable`] if this user may not.
/// - [`StorageError::Io`] and the like if one of the two cannot be looked at.
pub fn require_put_back(
    base: &Base,
    path: &Path,
    trashed: &Path,
    entry_type: EntryType,
) -> Result<(), StorageError> {
    require_writable(base, path)
        .and_then(|()| require_movable(base, trashed, entry_type))
        .map_err(|error| why_stays(base, path, trashed, error))
}

/// Makes an error about permissions into the one that says why what is at `trashed` in the trash
/// does not go back to a path: whose the folder is that is in the way. Any other error stays as it
/// is.
#[must_use]
pub fn why_stays(base: &Base, path: &Path, trashed: &Path, error: StorageError) -> StorageError {
    if !error.is_permission() {
        return error;
    }
    let error = match not_put_back(base, path, Some(trashed), error) {
        error @ StorageError::NotMovable { .. } => error,
        error => {
            let at = error.path().strip_prefix(base.path());
            let about = match at.is_ok_and(|at| at.starts_with(REGISTRY_DIR)) {
                true => trashed,
                false => path,
            };
            explain_closed(base, about, error)
        }
    };
    let full = base.path().join(path);
    match error {
        StorageError::NotMovable {
            path: named,
            why,
            share,
        } => StorageError::NotMovable {
            why: match named.starts_with(base.path().join(REGISTRY_DIR)) {
                true => format!("in the trash {why}"),
                false => why,
            },
            path: full,
            share,
        },
        // Whose it is cannot be found out.
        error => StorageError::not_movable(&full, &with_causes(&error)),
    }
}

/// Says whose the folder is that this user may not open, of an error about data at `path`, relative
/// to the base directory, that is to be moved. Other errors stay as they are.
#[must_use]
pub fn explain_closed(base: &Base, path: &Path, error: StorageError) -> StorageError {
    if !matches!(error, StorageError::Io { .. }) || !error.is_permission() {
        return error;
    }
    let at = error.path().strip_prefix(base.path()).unwrap_or(path);
    let Some((closed, stat)) = closed(base, at) else {
        return error;
    };
    let named = base.path().join(&closed);
    let (named, whose) = (named.display(), whose(&stat));
    let refused = "and this user may not open";
    let why = if closed == path {
        format!("it {whose}, {refused} it")
    } else if path.starts_with(&closed) {
        format!("it is in {named}, which {whose}, {refused} that")
    } else if closed.starts_with(path) {
        format!("{named} is in it, which {whose}, {refused} that")
    } else {
        // Such as the folder of its run's best links.
        format!("it depends on {named}, which {whose}, {refused} that")
    };
    StorageError::NotMovable {
        path: base.path().join(path),
        why,
        share: share(base, &closed, &stat),
    }
}
