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

/// Whether something that would be lost is in the place of an item of a removal of which all had come
/// back: it was put back into the trash by hand.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read.
pub(crate) fn is_put_back(
    base: &Base,
    view: &RemovalView<'_>,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<bool, Error> {
    let is_item = |name: &str| {
        let number = name.parse().ok();
        // What cannot be asked is none: it is left alone.
        number.is_some_and(|number| matches!(view.path_of_item(id, number), Ok(Some(_))))
    };
    let items = folder.strangers(|name| !is_item(name), 1)?;
    Ok(!items.is_empty() && !is_nothing(base, view, folder, id)?)
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
