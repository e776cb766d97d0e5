//! Folders in the trash that no recovery settles: why, for `doctor`, `verify`, `trash list` and the
//! warnings of queries.

use super::recover::{MOST_OF_OTHERS, pending, refusal};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;
use crate::model::removal::RemovalId;
use crate::store::{Base, StorageError, Trash, TrashFolder};

/// Returns why recovery leaves folders in the trash to their owners, a sentence each.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read.
pub(crate) fn left_alone(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let mut reasons = Vec::new();
    let Some(trash) = Trash::open(base)? else {
        return Ok(reasons);
    };
    for id in pending(catalog, base, now)?.unsettled {
        // For each a manifest is read, and other users can put any number of them there.
        if reasons.len() == MOST_OF_OTHERS {
            break;
        }
        let why = match trash.folder(&id) {
            Ok(Some(folder)) => reason(catalog, base, &id, &folder)?,
            Ok(None) => None,
            Err(error) => Some(unreadable(&error)),
        };
        reasons.extend(why.map(|why| format!("removal {id}: {why}")));
    }
    Ok(reasons)
}

/// Says why recovery leaves a folder in the trash to its owner; `None` if it settles it.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn reason(
    catalog: &Catalog,
    base: &Base,
    id: &RemovalId,
    folder: &TrashFolder,
) -> Result<Option<String>, Error> {
    let found = refusal(base, folder).and_then(|refused| match refused {
        None if catalog.removal(id)?.is_none() => unexplained(folder),
        refused => Ok(refused),
    });
    match found {
        // Any user may have put it there, and it must not stop a look at the rest.
        Err(Error::Storage(error)) => Ok(Some(unreadable(&error))),
        found => found,
    }
}

/// Says that a folder is left alone because it cannot be read.
pub(crate) fn unreadable(error: &StorageError) -> String {
    format!(
        "{}, so it is left alone; its owner, or root, can check what it holds, and move it away",
        with_causes(error)
    )
}

/// Says of a folder that no removal of the catalog has why recovery cannot tell what it was.
fn unexplained(folder: &TrashFolder) -> Result<Option<String>, Error> {
    // An empty one is removed, and one of a rename has a note instead of a manifest.
    if folder.is_empty()? || folder.is_renaming()? || folder.manifest()?.is_some() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} has no manifest that can be read, so it is left alone; check what it holds, and move \
         it away by hand",
        folder.path().display()
    )))
}
