//! Removing the folders that a removal left empty.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, unlinkat};
use rustix::io::Errno;

use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::StorageError;

/// Removes folders that a removal left empty: each of `paths`, and the folders above it that become
/// empty by that, unless `keep` is true for one. Never removes a folder that has something in it.
///
/// Folders at the top of the base directory stay, and so do folders that cannot be removed: an
/// empty folder does no harm.
pub fn remove_empty_folders<'a>(
    base: &Base,
    paths: impl IntoIterator<Item = &'a str>,
    keep: impl Fn(&str) -> bool,
) {
    // The deepest first: each is tried once, after all folders in it.
    let by_depth = |path: &'a str| (Reverse(path.split('/').count()), path);
    let mut folders: BTreeSet<_> = paths.into_iter().map(by_depth).collect();
    // Siblings come one after the other, so their parent is opened once.
    let mut opened: Option<(&str, OwnedFd)> = None;
    while let Some((_, path)) = folders.pop_first() {
        // Top folders, and what has no parent in the base directory: paths come from manifests.
        let split = path
            .rsplit_once('/')
            .filter(|(parent, _)| !parent.is_empty());
        let Some((parent, name)) = split.filter(|_| !keep(path)) else {
            continue;
        };
        if opened.as_ref().is_none_or(|(open, _)| *open != parent) {
            opened = match descend(base, Path::new(parent), IfAbsent::ReturnNone) {
                Ok(Some(folder)) => Some((parent, folder)),
                // Gone as well: then those above it are tried.
                Ok(None) => None,
                Err(_) => continue,
            };
        }
        // A folder that is gone was removed before a crash: those above it may still be there.
        let is_gone = opened.as_ref().is_none_or(|(_, folder)| {
            let removed = unlinkat(folder, name, AtFlags::REMOVEDIR);
            matches!(removed, Ok(()) | Err(Errno::NOENT))
        });
        if is_gone {
            folders.insert(by_depth(parent));
        }
    }
}

/// Whether a folder is at a path, relative to the base directory, and nothing is in it.
///
/// # Errors
/// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if the
///   path leads to no folder of the base directory.
/// - [`StorageError::Io`] if it cannot be read.
pub fn is_empty_folder(base: &Base, path: &Path) -> Result<bool, StorageError> {
    let Some(folder) = descend(base, path, IfAbsent::ReturnNone)? else {
        return Ok(false);
    };
    let reading = |errno: Errno| StorageError::io("reading", &base.path().join(path), errno);
    let names = open_folder(&folder, ".")
        .and_then(Dir::new)
        .map_err(reading)?;
    for entry in names {
        if !matches!(entry.map_err(reading)?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
