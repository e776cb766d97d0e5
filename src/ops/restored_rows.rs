//! Rows of what a restore that was interrupted had brought back already, and whether what a removal
//! took is at its old place.

use std::path::Path;

use super::remove::{self, manifest};
use super::twins;
use crate::catalog::{Catalog, Change};
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::removal::RemovalId;
use crate::model::words;
use crate::store::{Base, TrashFolder, TrashItem, entry_at};

/// Whether the data of an artifact that was removed is at its old path, by its time: something else
/// may have been written there since. Of a container, and of what has no time, anything counts.
pub(super) fn is_back(base: &Base, row: &Artifact) -> bool {
    match has_time(row) {
        true => twins::is_at_home(base, row),
        false => !base.is_absent(&row.location().path()),
    }
}

/// Whether an item of a removal is at its old path with all that it held, by the times of its
/// artifacts; by its inode if none of them has a time.
pub(super) fn is_item_back(base: &Base, item: &TrashItem, rows: &[&Artifact]) -> bool {
    let mut dated = rows.iter().filter(|row| has_time(row)).peekable();
    if dated.peek().is_some() {
        return dated.all(|row| twins::is_at_home(base, row));
    }
    let found = entry_at(base, Path::new(&item.path), item.entry_type);
    // A device may have another number since a reboot.
    matches!(found, Ok(Some(found)) if found.inode == item.entry.inode)
}

/// Where the data of a removal is that has nothing in the trash.
pub(super) enum Whereabouts {
    /// At its old place, or its manifest does not say what it was.
    InPlace,
    /// Some of it is gone: which, in words.
    Gone(String),
    /// What is at a place has another time: it was written since.
    Written,
}

/// Where the data of a removal is that has nothing in the trash, by the times of its artifacts.
///
/// # Errors
/// [`Error`] if the manifest cannot be read.
pub(super) fn whereabouts(
    catalog: &Catalog,
    base: &Base,
    folder: &TrashFolder,
) -> Result<Whereabouts, Error> {
    let text = folder.manifest_text()?;
    let taken = text.as_deref().and_then(manifest::read);
    let Some(taken) = taken.filter(|taken| taken.fault().is_none()) else {
        return Ok(Whereabouts::InPlace);
    };
    let rows = taken.artifacts.iter().filter(|row| row.item.is_some());
    let rows = rows.map(|row| row.artifact(catalog));
    let changed: Vec<Artifact> = rows
        .filter(|row| had_data(row) && !is_back(base, row))
        .collect();
    let paths = changed.iter().map(|row| row.location().path());
    let mut gone = paths.filter(|path| base.is_absent(path));
    let Some(first) = gone.next() else {
        return Ok(match changed.is_empty() {
            true => Whereabouts::InPlace,
            false => Whereabouts::Written,
        });
    };
    let more = match gone.count() {
        0 => String::new(),
        more => format!(", and {} more", words::number(more as u64)),
    };
    let first = base.path().join(first);
    Ok(Whereabouts::Gone(format!("{}{more}", first.display())))
}

/// Whether a row says when data that is at its path was written.
fn has_time(row: &Artifact) -> bool {
    had_data(row) && row.written_at.is_some() && !row.key.kind().is_container()
}

/// Whether there was data when an artifact was removed.
pub(super) fn had_data(row: &Artifact) -> bool {
    !matches!(row.state, State::Reserved | State::Missing)
}

/// Whether an artifact at or below a path has a row.
pub(super) fn has_row(change: &Change<'_>, path: &str) -> Result<bool, Error> {
    let place = remove::checked_item(path, |_| true)?;
    let rows = match &place.array {
        None => change.in_container(&place.container)?,
        Some(array) => {
            let mut rows = change.below_array(&place.container, array)?;
            rows.extend(change.at(&place)?);
            rows
        }
    };
    Ok(!rows.is_empty())
}

/// Ends the restore of an item whose path has a row again: its former rows come back beside those
/// that are new. Those of what had been deleted in the trash by hand come back as missing.
pub(super) fn complete_restore(
    (base, change): (&Base, &Change<'_>),
    id: &RemovalId,
    rows: &[Artifact],
    now: Timestamp,
) -> Result<(), Error> {
    let is_there = |row: &&Artifact| !had_data(row) || !base.is_absent(&row.location().path());
    let (there, lost): (Vec<&Artifact>, Vec<&Artifact>) = rows.iter().partition(is_there);
    let lost: Vec<Artifact> = lost.into_iter().cloned().collect();
    change.reinstate_lost_artifacts(id, &lost, now)?;
    for row in there {
        match change.at(&row.location())? {
            None => change.reinstate(id, row.id, now)?,
            Some(at) if matches!(at.state, State::Reserved | State::Missing) => {
                change.reinstate_over(id, row, now)?;
            }
            Some(_) => change.mark_restored(id, row.id, now)?,
        }
    }
    Ok(())
}

/// The artifacts of an item of a note, or of the part of it that is meant, that the catalog has in
/// the trash.
pub(super) fn rows_of(
    change: &Change<'_>,
    id: &RemovalId,
    item: &TrashItem,
) -> Result<Vec<Artifact>, Error> {
    let mut rows = change.of_item(id, item.item)?;
    if item.part.is_some() {
        rows.retain(|row| Path::new(&row.location().path()).starts_with(&item.path));
    }
    Ok(rows)
}
