//! What was deleted by hand within an item of the trash, which goes back by one rename all the same:
//! its rows must not say that it is there. What was put back into the trash since gets its rows back.

use std::ffi::OsStr;
use std::path::Path;

use super::parts::{Item, Move, WayBack, joined};
use crate::catalog::RemovalView;
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
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

/// Artifacts of an item, which was at `path`, that a restore found lost and that are in it again, with
/// their own times: their rows are missing. What cannot be looked at is taken for others.
pub(super) fn put_back(
    view: &RemovalView<'_>,
    (id, folder): (&RemovalId, &TrashFolder),
    (item, path): (u32, &str),
) -> Result<Vec<Artifact>, Error> {
    let mut rows = Vec::new();
    for was in view.missing_of_item(id, item)? {
        let location = was.location();
        // A row that has followed its data to another path is about that.
        let row = view.at(&location)?;
        if row.is_none_or(|row| row.id != was.id || row.state != State::Missing) {
            continue;
        }
        let at = location.path();
        let at = Path::new(&at);
        let (Ok(part), kind) = (at.strip_prefix(path), was.key.kind()) else {
            continue;
        };
        let is_it = match was.written_at.filter(|_| !kind.is_container()) {
            Some(written_at) => store::trashed_written_at(folder, item, part, at, kind)
                .is_ok_and(|found| found == Some(written_at)),
            None => store::is_in_trash(folder, item, part, at, kind).unwrap_or(false),
        };
        if is_it && had_data(&was) {
            rows.push(was);
        }
    }
    Ok(rows)
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
