//! Folders that a removal left empty.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend};

/// Takes away folders that a removal left empty: each of `paths`, and those above it that become
/// empty by that, unless `keep` says to leave one. Never a folder with anything in it.
pub fn remove_empty_folders<'a>(
    base: &Base,
    paths: impl IntoIterator<Item = &'a str>,
    keep: impl Fn(&str) -> bool,
) {
    // The deepest first: so each is tried once, when whatever lay in it has been.
    let place = |path: &'a str| (Reverse(path.split('/').count()), path);
    let mut folders: BTreeSet<_> = paths.into_iter().map(place).collect();
    // Of folders side by side the parent is opened once.
    let mut opened: Option<(&str, OwnedFd)> = None;
    while let Some((_, path)) = folders.pop_first() {
        // Nothing of the base directory itself, whatever a manifest says.
        let split = path
            .rsplit_once('/')
            .filter(|(parent, _)| !parent.is_empty());
        let Some((parent, name)) = split.filter(|_| !keep(path)) else {
            continue;
        };
        if opened.as_ref().is_none_or(|(open, _)| *open != parent) {
            opened = match descend(base, Path::new(parent), IfAbsent::ReturnNone) {
                Ok(Some(folder)) => Some((parent, folder)),
                Ok(None) => None,
                Err(_) => continue,
            };
        }
        // What is gone already went before a crash: those above it may still be there.
        let is_gone = opened.as_ref().is_none_or(|(_, folder)| {
            let removed = unlinkat(folder, name, AtFlags::REMOVEDIR);
            matches!(removed, Ok(()) | Err(Errno::NOENT))
        });
        if is_gone {
            folders.insert(place(parent));
        }
    }
}
