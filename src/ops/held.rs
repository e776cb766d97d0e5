//! Data that lies in a removal which was interrupted and which recovery leaves to its owner.
//!
//! Until the owner, or root, writes next, nothing is at its path, and it is not gone: its rows are
//! neither marked as missing nor removed, and no run gets its name. Otherwise the data would come
//! back without them.
//!
//! A manifest is input: any user may have written one. It counts if those who may have written it
//! may write in the folder that the item goes back to, see [`Claim`](crate::store::Claim), and for
//! rows at whose path nothing is: live data is held up by none. A name of a run is held up only if
//! nothing of another user is at the path of the item: so no more than the writer could hold up by
//! making a folder there.
//!
//! Looks into as many folders as recovery does, and into none if the trash holds nothing unsettled.

use std::collections::HashSet;
use std::path::Path;

use crate::catalog::{Catalog, Change, OpenRemoval};
use crate::error::Error;
use crate::model::removal::RemovalId;
use crate::ops::recover::MOST_OF_OTHERS;
use crate::ops::remove::{checked_item, manifest};
use crate::store::{Base, StorageError, Trash, TrashFolder};

/// The items of interrupted removals.
#[derive(Debug, Default)]
pub(crate) struct Held {
    items: Vec<HeldItem>,
}

/// An item of an interrupted removal.
#[derive(Debug)]
struct HeldItem {
    path: String,
    removal: RemovalId,
    /// Name of the user whose removal it is.
    owner: String,
    /// Whether nothing of another user is at its path.
    is_free: bool,
}

impl Held {
    /// Looks without a transaction: a removal in flight counts as one that was interrupted.
    ///
    /// # Errors
    /// [`Error`] if the catalog or the trash cannot be read.
    pub(crate) fn of(catalog: &Catalog, base: &Base) -> Result<Self, Error> {
        Self::look(
            base,
            || Ok(catalog.open_states()?),
            |id| Ok(catalog.removal(id)?.is_some()),
        )
    }

    /// Looks within a transaction, which no removal in flight has beside it.
    ///
    /// # Errors
    /// As [`Held::of`].
    pub(crate) fn within(change: &Change<'_>, base: &Base) -> Result<Self, Error> {
        Self::look(
            base,
            || Ok(change.open_states()?),
            |id| Ok(change.removal(id)?.is_some()),
        )
    }

    fn look(
        base: &Base,
        open: impl FnOnce() -> Result<Vec<(RemovalId, OpenRemoval)>, Error>,
        is_known: impl Fn(&RemovalId) -> Result<bool, Error>,
    ) -> Result<Self, Error> {
        let mut held = Self::default();
        let Some(trash) = Trash::open(base)? else {
            return Ok(held);
        };
        let mut folders = trash.list()?.0;
        if folders.is_empty() {
            return Ok(held);
        }
        let open = open()?.into_iter();
        let open: HashSet<RemovalId> = open.map(|(id, _)| id).collect();
        folders.retain(|id| !open.contains(id));
        let mut others = 0;
        for id in folders {
            if is_known(&id)? {
                continue;
            }
            // One that cannot be opened names nothing.
            let Ok(Some(folder)) = trash.folder(&id) else {
                continue;
            };
            if !folder.is_own().unwrap_or(false) {
                others += 1;
                if others > MOST_OF_OTHERS {
                    continue;
                }
            }
            // What cannot be read does not come back either.
            if let Ok(items) = believed(base, &id, &folder) {
                held.items.extend(items);
            }
        }
        Ok(held)
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether a path lies in one of these removals, and nothing is there.
    pub(crate) fn has(&self, base: &Base, path: &str) -> bool {
        self.item_of(base, path).is_some()
    }

    /// The error of data whose rows are to go, or whose folder is to be moved, and that lies in one
    /// of these removals.
    pub(crate) fn refusal(&self, base: &Base, path: &str) -> Option<Error> {
        let item = self.item_of(base, path)?;
        Some(item.refusal(base, path))
    }

    /// The error of a run that one of these removals took, or took something of.
    pub(crate) fn refusal_of_run(&self, base: &Base, run: &str) -> Option<Error> {
        let of_run = |item: &&HeldItem| item.is_free && Path::new(&item.path).starts_with(run);
        match self.item_of(base, run) {
            Some(item) => Some(item.refusal(base, run)),
            None => {
                let item = self.items.iter().find(of_run)?;
                Some(item.refusal(base, &item.path))
            }
        }
    }

    fn item_of(&self, base: &Base, path: &str) -> Option<&HeldItem> {
        let is_in = |item: &&HeldItem| Path::new(path).starts_with(&item.path);
        let item = self.items.iter().find(is_in)?;
        base.is_absent(path).then_some(item)
    }
}

impl HeldItem {
    fn refusal(&self, base: &Base, path: &str) -> Error {
        let Self { removal, owner, .. } = self;
        let why = format!(
            "{LIES}{removal} of {owner}{INTERRUPTED}; it comes back with the \
             next command of {owner}, or of root, that writes, such as: dalsegno scan"
        );
        StorageError::not_movable(&base.path().join(path), &why).into()
    }
}

/// What the reason begins with that [`HeldItem::refusal`] gives, before the removal and its owner.
const LIES: &str = "it lies in removal ";

/// What follows the owner in it.
const INTERRUPTED: &str = ", which was interrupted";

/// The user whose interrupted removal holds the data that an error is about; `None` of any other
/// error.
#[cfg(feature = "cli")]
pub(crate) fn owner_of(error: &Error) -> Option<&str> {
    let Error::Storage(StorageError::NotMovable { why, .. }) = error else {
        return None;
    };
    let (_, owner) = why.strip_prefix(LIES)?.split_once(" of ")?;
    owner.split_once(INTERRUPTED).map(|(owner, _)| owner)
}

/// The items of a folder that recovery by root would move back.
fn believed(base: &Base, id: &RemovalId, folder: &TrashFolder) -> Result<Vec<HeldItem>, Error> {
    // Of what is being unlinked nothing comes back, and a rename has no items.
    if folder.is_purging()? || folder.is_renaming()? || folder.is_empty()? {
        return Ok(Vec::new());
    }
    let (Some(items), Some(text)) = (folder.manifest()?, folder.manifest_text()?) else {
        return Ok(Vec::new());
    };
    let taken = manifest::read(&text);
    if taken.as_ref().is_some_and(|taken| taken.fault().is_some()) {
        return Ok(Vec::new());
    }
    let mut held = Vec::new();
    for item in &items.items {
        let has_run = |run: &str| {
            let taken = taken.as_ref();
            taken.is_some_and(|taken| taken.has_run(item.item, run))
        };
        if checked_item(&item.path, has_run).is_err() || !folder.has(item.item)? {
            continue;
        }
        let claim = folder.claim(&item.item.to_string(), Some((item, &items.claim)))?;
        if folder.is_believed(base, item, &claim)? {
            held.push(HeldItem {
                path: item.path.clone(),
                removal: id.clone(),
                owner: folder.owner()?,
                is_free: folder.is_place_theirs(base, item, &claim)?,
            });
        }
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "cli")]
    use super::*;

    #[test]
    #[cfg(feature = "cli")]
    fn the_owner_is_read_from_the_error() {
        let base = Base::open(Path::new("/")).unwrap();
        let item = HeldItem {
            path: "mito/validation.zarr".to_owned(),
            removal: "20261122-221517-07be3e".parse().unwrap(),
            owner: "anna".to_owned(),
            is_free: true,
        };
        let error = item.refusal(&base, "mito/validation.zarr/1");
        assert_eq!(owner_of(&error), Some("anna"));
        let other = StorageError::not_movable(base.path(), "the file system refuses it");
        assert_eq!(owner_of(&other.into()), None);
    }
}
