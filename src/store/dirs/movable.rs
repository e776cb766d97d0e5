//! Whether this process may move an entry out of its folder, asked before anything is moved.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid};
use rustix::fs::{Access, AtFlags, FileType, Stat, accessat, fstat, statat};
use rustix::io::Errno;
use rustix::process::{geteuid, getuid};

use super::entry::{EntryType, split};
use crate::disk::{group_name, stat_below, whose};
use crate::model::name::REGISTRY_DIR;
use crate::model::words;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::{Share, StorageError};

const STICKY: u32 = 0o1000;

/// Refuses a path at which this process may not make anything, by its rights on the lowest folder
/// above that exists. If the rights cannot be read, the path passes: making it decides.
///
/// # Errors
/// - [`StorageError::NotMovable`] if it may not, or [`StorageError::Io`] if no user may.
/// - [`StorageError::Io`] if the folder cannot be opened.
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if the
///   path leads elsewhere.
pub fn require_writable(base: &Base, path: &Path) -> Result<(), StorageError> {
    // `access` asks for the real user; a program that runs as another one finds out by trying.
    if getuid() != geteuid() {
        return Ok(());
    }
    for above in path.ancestors().skip(1) {
        // What is not there is made, so the next folder above decides.
        let Some(folder) = descend(base, above, IfAbsent::ReturnNone)? else {
            continue;
        };
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let asked = accessat(&folder, ".", access, AtFlags::empty());
        return match asked {
            Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => {
                let full = base.path().join(path);
                let error = StorageError::io("moving back to", &full, errno);
                Err(not_put_back(base, path, None, error))
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
/// - [`StorageError::NotMovable`] if it may not; [`StorageError::Io`] if the folder above cannot be
///   opened.
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
    let refuse = |what: &str, (at, stat): (&Path, Option<Stat>), why: &str| {
        Err(StorageError::NotMovable {
            path: base.path().join(path),
            why: match &stat {
                Some(stat) => format!("{what} {}, and {why}", whose(stat)),
                None => why.to_owned(),
            },
            share: stat.and_then(|stat| share(base, at, &stat)),
        })
    };
    let folder = match descend(base, parent, IfAbsent::ReturnNone) {
        Ok(Some(folder)) => folder,
        Ok(None) => return Ok(()),
        Err(error) if error.is_permission() => return Err(not_openable(base, path, error)),
        Err(error) => return Err(error),
    };
    let denied = |name: &std::ffi::OsStr, access| {
        let asked = accessat(&folder, name, access, AtFlags::empty()).err();
        // Any other error says nothing about rights: the rename decides.
        asked.filter(|errno| matches!(*errno, Errno::ACCESS | Errno::PERM))
    };
    // PERM, and not ACCESS: no right is missing, and none would help.
    let immutable = || {
        let why = "the file system refuses it to every user; see what lsattr says";
        Err(StorageError::not_movable(&base.path().join(path), why))
    };
    let above = fstat(&folder).ok();
    match denied(".".as_ref(), Access::WRITE_OK | Access::EXEC_OK) {
        None => {}
        Some(Errno::PERM) => return immutable(),
        Some(_) => {
            let why = "this user may not write there";
            return refuse("the folder above it", (parent, above), why);
        }
    }
    let entry = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW).ok();
    if entry_type == EntryType::Folder {
        match denied(name, Access::WRITE_OK) {
            None => {}
            Some(Errno::PERM) => return immutable(),
            Some(_) => return refuse("it", (path, entry), "this user may not write in it"),
        }
    }
    if let (Some(above), Some(entry)) = (above, entry) {
        let user = geteuid();
        // 0 is root, who may always.
        let owners = [0, above.st_uid, entry.st_uid];
        if above.st_mode & STICKY != 0 && !owners.contains(&user.as_raw()) {
            let why = format!(
                "it {}, and out of a sticky folder no other user may move it",
                whose(&entry)
            );
            return Err(StorageError::not_movable(&base.path().join(path), &why));
        }
    }
    Ok(())
}

/// Makes an error about a folder that this user may not open, on the way to what was to be moved or
/// below it, into the one that says whose that folder is. Any other error stays as it is.
pub fn not_openable(base: &Base, path: &Path, error: StorageError) -> StorageError {
    let is_named = matches!(error, StorageError::NotMovable { .. });
    if is_named || !error.is_permission() {
        return error;
    }
    // It may lie far from the entry, so that is what is named.
    let closed = error.path();
    let at = closed.strip_prefix(base.path()).unwrap_or(closed);
    let stat = stat_below(base, at).ok();
    let what = match () {
        () if at == path => "it".to_owned(),
        () if at.starts_with(path) => format!("{} in it", closed.display()),
        () => format!("it is in {}, which", closed.display()),
    };
    let why = "this user may not open that";
    StorageError::NotMovable {
        path: base.path().join(path),
        why: match &stat {
            Some(stat) => format!("{what} {}, and {why}", whose(stat)),
            None => why.to_owned(),
        },
        share: stat.and_then(|stat| share(base, at, &stat)),
    }
}

/// The error of data, at `path`, that holds folders which this user may not empty, at least one:
/// moved, it could not be unlinked whole. Paths are relative to the base directory.
pub fn not_emptied(base: &Base, path: &Path, closed: &[PathBuf]) -> StorageError {
    let first = closed.first().map_or(path, PathBuf::as_path);
    let named = base.path().join(first);
    let stat = |path: &Path| stat_below(base, path).ok();
    let stat_of_first = stat(first);
    let mut why = format!("it could not be unlinked whole: {} in it", named.display());
    if let Some(stat) = &stat_of_first {
        why += &format!(" {}", whose(stat));
        why += match stat.st_mode & STICKY {
            0 => ", and this user may not write in that",
            _ => ", and out of a sticky folder no other user may unlink",
        };
    } else {
        why += " is one in which this user may not unlink";
    }
    if let more @ 1.. = closed.len().saturating_sub(1) {
        let more = words::count(more, "more folder");
        why += &format!("; the same holds of {more}");
    }
    let is_sticky = |stat: &Stat| stat.st_mode & STICKY != 0;
    let share = stat_of_first
        .filter(|stat| !is_sticky(stat))
        .and_then(|stat_of_first| {
            let mut share = share(base, first, &stat_of_first)?;
            // One command for all of them, if it is their owner's.
            let is_theirs = |stat: Stat| stat.st_uid == stat_of_first.st_uid;
            if share.folder == named && stat(path).is_some_and(is_theirs) {
                share.folder = base.path().join(path);
            }
            Some(share)
        });
    StorageError::NotMovable {
        path: base.path().join(path),
        why,
        share,
    }
}

/// Makes an error about data that this user may not move back to a path into the one that says whose
/// the folder is that is in the way: the lowest one above the path, or what is moved, in the trash.
/// Any other error stays as it is.
pub fn not_put_back(
    base: &Base,
    path: &Path,
    trashed: Option<&Path>,
    error: StorageError,
) -> StorageError {
    if !matches!(error, StorageError::Io { .. }) || !error.is_permission() {
        return error;
    }
    let look = |at: &Path| {
        let folder = match at.as_os_str().is_empty() {
            true => open_folder(base, ".").ok(),
            false => descend(base, at, IfAbsent::ReturnNone).ok().flatten(),
        }?;
        let stat = fstat(&folder).ok()?;
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let asked = accessat(&folder, ".", access, AtFlags::EACCESS);
        Some((at.to_path_buf(), stat, asked == Err(Errno::ACCESS)))
    };
    let above = path.ancestors().skip(1).find_map(look);
    let trashed = trashed.into_iter().flat_map(|at| at.ancestors().take(2));
    let mut asked = above.into_iter().chain(trashed.filter_map(look));
    let refused = asked.find(|(_, _, is_refused)| *is_refused);
    let Some((at, stat, _)) = refused else {
        return error;
    };
    StorageError::NotMovable {
        path: base.path().join(path),
        why: format!(
            "{} {}, and this user may not write there",
            base.path().join(&at).display(),
            whose(&stat)
        ),
        share: share(base, &at, &stat),
    }
}

/// Says whose a folder or file is in which this user may not do something, and what its owner can
/// type; `None` if it cannot be looked at. The path may be absolute.
pub fn whose_rights(base: &Base, path: &Path) -> Option<String> {
    let path = path.strip_prefix(base.path()).unwrap_or(path);
    let stat = match path.as_os_str().is_empty() {
        true => fstat(base),
        false => stat_below(base, path),
    };
    let stat = stat.ok()?;
    let mut text = format!("it {}", whose(&stat));
    if stat.st_mode & STICKY != 0 {
        text += ", and out of a sticky folder no other user may move or unlink anything";
    } else if let Some(share) = share(base, path, &stat) {
        text += &format!("; {share}");
    }
    Some(text)
}

/// What its owner can give to the group of the base directory, so that this user may read and move
/// it: the folder of the run, if it is the same owner's, else what they own. `None` if this user is
/// not in that group: then it would not help.
pub(super) fn share(base: &Base, path: &Path, stat: &Stat) -> Option<Share> {
    if Uid::from_raw(stat.st_uid) == Uid::effective() {
        return Some(Share {
            folder: base.path().join(path),
            group: None,
            whose: "u",
        });
    }
    // In the trash, the item of a removal: `.dalsegno/trash/<removal>/<item>`.
    let depth = if path.starts_with(REGISTRY_DIR) { 4 } else { 1 };
    let run: PathBuf = path.components().take(depth).collect();
    let of_run = stat_below(base, &run).ok()?;
    let of_base = fstat(base).ok()?;
    if !is_in_group(of_base.st_gid) {
        return None;
    }
    // What another user owns, the owner of the entry cannot give. The registry's folder is no run.
    let folder = match of_run.st_uid == stat.st_uid && run != Path::new(REGISTRY_DIR) {
        true => &run,
        false => path,
    };
    // As far as is seen: of what is below a closed folder, nothing is.
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let needed = if is_folder { 0o700 } else { 0o600 };
    let is_closed_to_owner = stat.st_mode & needed != needed;
    Some(Share {
        folder: base.path().join(folder),
        group: (stat.st_gid != of_base.st_gid).then(|| group_name(of_base.st_gid)),
        whose: if is_closed_to_owner { "ug" } else { "g" },
    })
}

/// Whether this process has the rights of a group. What cannot be found out counts as no.
fn is_in_group(gid: u32) -> bool {
    let gid = Gid::from_raw(gid);
    gid == Gid::effective() || nix::unistd::getgroups().is_ok_and(|groups| groups.contains(&gid))
}
