//! Rows of what a restore that was interrupted had brought back already.

use std::path::Path;

use super::remove;
use crate::catalog::Change;
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::removal::RemovalId;
use crate::store::TrashItem;

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
/// that are new.
pub(super) fn complete_restore(
    change: &Change<'_>,
    id: &RemovalId,
    rows: &[Artifact],
    now: Timestamp,
) -> Result<(), Error> {
    for row in rows {
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
