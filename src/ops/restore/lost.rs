//! What was deleted by hand within an item of the trash, which goes back by one rename all the same:
//! its rows must not say that it is there.

use std::ffi::OsStr;
use std::path::Path;

use super::parts::{Item, Move, WayBack, joined};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::removal::RemovalId;
use crate::ops::restored_rows::had_data;
use crate::store::{self, EntryType, TrashFolder, TrashItem};

/// Parts the artifacts of an item, which was at `path`, into those that are in it and those that had
/// data and are not in it any more. What cannot be looked at is taken for there.
pub(super) fn part_lost(
    folder: &TrashFolder,
    (item, path): (u32, &str),
    rows: Vec<Artifact>,
) -> (Vec<Artifact>, Vec<Artifact>) {
    rows.into_iter().partition(|row| {
        let at = row.location().path();
        let at = Path::new(&at);
        let part = at.strip_prefix(path).unwrap_or(Path::new(""));
        !had_data(row) || store::is_in_trash(folder, item, part, at, row.key.kind()).unwrap_or(true)
    })
}

impl Item<'_> {
    /// Whether artifacts are asked for, and each of them is lost.
    pub(super) fn is_all_lost(&self) -> bool {
        self.lost.iter().any(|row| self.is_wanted(row))
            && !self.rows.iter().any(|row| self.is_wanted(row))
    }
}

impl WayBack {
    /// Adds artifacts that are not in their item any more.
    pub(super) fn add_lost_rows<'a>(
        &mut self,
        removal: &RemovalId,
        rows: impl Iterator<Item = &'a Artifact>,
    ) {
        for row in rows {
            let (path, removal) = (row.path(), removal.clone());
            self.skip(path.clone(), Error::LostInTrash { path, removal });
            self.lost_rows.push(row.clone());
        }
    }

    /// If all that is asked for is lost, leaves the folders that it was in: it may have been moved
    /// away for a moment.
    ///
    /// # Errors
    /// [`Error`] if they cannot be read.
    pub(super) fn leave_shells(&mut self, folder: Option<&TrashFolder>) -> Result<(), Error> {
        let Some(folder) = folder.filter(|_| self.rows.is_empty() && !self.lost_rows.is_empty())
        else {
            return Ok(());
        };
        for Move { item, .. } in &self.moves {
            if !is_shell(folder, item)? {
                return Ok(());
            }
        }
        self.moves.clear();
        Ok(())
    }
}

/// Whether nothing but folders and metadata of groups is left of an item, or of a part of one.
fn is_shell(folder: &TrashFolder, item: &TrashItem) -> Result<bool, Error> {
    if !item.entry_type.is_folder() {
        let name = Path::new(&item.path).file_name();
        return Ok(name
            .and_then(OsStr::to_str)
            .is_some_and(store::is_group_file));
    }
    let mut parts = vec![item.part.clone().unwrap_or_default()];
    while let Some(part) = parts.pop() {
        for entry in folder.entries(item.item, &part)? {
            match entry.entry_type {
                Some(EntryType::Folder) => parts.push(joined(&part, &entry.name)),
                Some(EntryType::File) if store::is_group_file(&entry.name) => {}
                _ => return Ok(false),
            }
        }
    }
    Ok(true)
}
