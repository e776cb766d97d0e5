//! Folders in the trash that no recovery settles: why, for `doctor` and the warnings of queries.

use super::recover::{MOST_OF_OTHERS, pending, refusal};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::store::{Base, Trash, TrashFolder};

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
        let refused = match trash.folder(&id) {
            Ok(Some(folder)) => match refusal(base, &folder)? {
                None if catalog.removal(&id)?.is_none() => unexplained(&folder)?,
                refused => refused,
            },
            Ok(None) => None,
            Err(error) => Some(error.to_string()),
        };
        reasons.extend(refused.map(|why| format!("removal {id}: {why}")));
    }
    Ok(reasons)
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
