//! What is left of a removal in the trash when all of its artifacts are back.

use crate::catalog::RemovalView;
use crate::error::Error;
use crate::model::removal::RemovalId;
use crate::store::{Base, Redundant, TrashFolder};

/// Whether the rest of a removal can be unlinked without loss: it holds only folders, and metadata
/// of groups that is also at its old place with the same bytes.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read.
pub(crate) fn is_nothing(
    base: &Base,
    view: &RemovalView<'_>,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<bool, Error> {
    Ok(folder.is_hollow()? || redundant(base, view, folder, id)?.is_some())
}

/// Unlinks the rest of a removal of which everything is back, if that loses nothing.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read, or something cannot be unlinked.
pub(crate) fn drop_nothing(
    base: &Base,
    view: &RemovalView<'_>,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<(), Error> {
    if folder.is_hollow()? {
        folder.drop_hollow()?;
    } else if let Some(rest) = redundant(base, view, folder, id)? {
        folder.drop_redundant(&rest)?;
    }
    Ok(())
}

fn redundant(
    base: &Base,
    view: &RemovalView<'_>,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<Option<Redundant>, Error> {
    let place = |number| view.path_of_item(id, number).ok().flatten();
    Ok(folder.redundant(base, &place)?)
}
