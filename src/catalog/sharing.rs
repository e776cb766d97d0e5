//! A catalog outside the base directory, and the group that shares the base directory.
//!
//! What is made in `.dalsegno` takes its mode and group from that folder. A catalog elsewhere takes
//! them from the folder around it, and one that was copied there has those of the copy. So the file
//! is given to the group, and the user hears what keeps the group out that only they can change.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Gid, Mode, Stat, fchmod, fchown, fstat};

use super::binding::binding_of;
use super::error::CatalogError;
use super::sqlite::registry_dir::RegistryDir;
use crate::disk::{Access, Folder, group_name, open_file, whose};
use crate::model::shell::shell_word;

/// The group's rights to read and write a file.
const FILE: u32 = 0o060;
/// The group's rights to make files in a folder.
const FOLDER: u32 = 0o070;

/// The group that may write in `.dalsegno`; `None` if no group may.
fn group(folder: &RegistryDir) -> Result<Option<u32>, CatalogError> {
    let dir = folder.dir();
    let found = dir
        .symlink_metadata()
        .map_err(|error| CatalogError::io("reading", &dir, error))?;
    Ok((found.mode() & 0o020 != 0).then_some(found.gid()))
}

/// The group that shares `.dalsegno`, in words: `group "lab" (gid 1001)`; `None` if no group does.
#[must_use]
#[cfg(feature = "cli")]
pub fn shared_with(folder: &RegistryDir) -> Option<String> {
    let group = group(folder).ok()??;
    let name = group_name(group);
    Some(match name == group.to_string() {
        true => format!("group {group}"),
        false => format!("group \"{name}\" (gid {group})"),
    })
}

/// Gives a catalog that this user owns to the group that shares `.dalsegno`. What cannot be given
/// stays as it is: [`closed_to_group`] says so.
///
/// # Errors
/// [`CatalogError::Io`] if the catalog or `.dalsegno` cannot be looked at.
pub(super) fn give(folder: &RegistryDir, path: &Path) -> Result<(), CatalogError> {
    let Some(group) = group(folder)? else {
        return Ok(());
    };
    let (Some(around), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let io = |error| CatalogError::io("reading", path, error);
    let file = Folder::open(around)
        .and_then(|around| open_file(&around, name, Access::Read))
        .map_err(io)?;
    let found = fstat(&file).map_err(|errno| io(errno.into()))?;
    // A link in the place of another user's file is refused above; a second name is here.
    if opens(&found, group, FILE) || found.st_nlink > 1 {
        return Ok(());
    }
    let has_group =
        found.st_gid == group || fchown(&file, None, Some(Gid::from_raw(group))).is_ok();
    if has_group {
        let mode = found.st_mode & 0o7777 | FILE;
        let _ = fchmod(&file, Mode::from_raw_mode(mode));
    }
    Ok(())
}

/// Whether a group, or everybody, has these rights of a group.
fn opens(found: &Stat, group: u32, rights: u32) -> bool {
    let all = rights >> 3;
    (found.st_gid == group && found.st_mode & rights == rights) || found.st_mode & all == all
}

/// What keeps the group that shares `.dalsegno` from writing a catalog outside of it, with what its
/// owner types; `None` if nothing does, or if it cannot be looked at.
pub fn closed_to_group(folder: &RegistryDir, path: &Path) -> Option<String> {
    let group = group(folder).ok()??;
    let around = path.parent()?;
    let (of_folder, of_file) = (rustix::fs::stat(around).ok()?, rustix::fs::stat(path).ok()?);
    let closed = match (
        opens(&of_folder, group, FOLDER),
        opens(&of_file, group, FILE),
    ) {
        (true, true) => return None,
        (false, _) => format!("its folder {} {}", around.display(), whose(&of_folder)),
        (true, false) => format!("it {}", whose(&of_file)),
    };
    let name = group_name(group);
    let quoted = |path: &Path| shell_word(&path.display().to_string());
    // Who may write the last one could bind the catalog to another base directory.
    let (dir, file, bound) = (quoted(around), quoted(path), quoted(&binding_of(path)));
    Some(format!(
        "members of group {name} cannot write the catalog {}: {closed}; its owner lets them with: \
         chgrp {name} {dir} {file}* && chmod g+rwxs {dir} && chmod g+rw {file}* && chmod g-w {bound}",
        path.display()
    ))
}
