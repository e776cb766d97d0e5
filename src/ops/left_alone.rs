//! Folders in the trash that no recovery settles: why, for `doctor`, `verify`, `trash list` and the
//! warnings of queries.

use std::ffi::OsStr;
use std::path::Path;

use super::recover::{MOST_OF_OTHERS, is_own, left_of_restored, passed_over, pending, refusal};
use super::remove::refused_purge;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;
use crate::model::removal::{RemovalId, RemovalState};
use crate::model::shell::shell_word;
use crate::store::{Base, StorageError, Trash, TrashFolder};

/// Most removals that are due, or being purged, whose folders are looked into.
const MOST_DUE: usize = 16;

/// What recovery leaves to its owners.
#[derive(Debug, Default)]
pub(crate) struct LeftAlone {
    /// Why, a sentence for each folder.
    pub(crate) reasons: Vec<String>,
    /// Folders of other users that recovery does not look into, because there are too many.
    pub(crate) passed_over: usize,
}

impl LeftAlone {
    /// The number of its folders.
    #[cfg(feature = "cli")]
    pub(crate) fn count(&self) -> usize {
        self.reasons.len() + self.passed_over
    }

    /// A sentence for each folder, and one for what is passed over.
    pub(crate) fn sentences(mut self) -> Vec<String> {
        self.reasons.extend(passed_over(self.passed_over));
        self.reasons
    }
}

/// Returns what recovery leaves to its owners: it looks into as many folders as recovery does.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read.
pub(crate) fn left_alone(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
) -> Result<LeftAlone, Error> {
    let mut found = LeftAlone::default();
    let Some(trash) = Trash::open(base)? else {
        return Ok(found);
    };
    let mut others = 0;
    for id in pending(catalog, base, now)?.unsettled {
        // For each a manifest is read, and other users can put any number of them there.
        if !is_own(base, &id) {
            others += 1;
            if others > MOST_OF_OTHERS {
                found.passed_over += 1;
                continue;
            }
        }
        let why = match trash.folder(&id) {
            Ok(Some(folder)) => reason(catalog, base, &id, &folder)?,
            Ok(None) => None,
            Err(error) => Some(unreadable(&error)),
        };
        let why = why.map(|why| format!("removal {id}: {why}"));
        found.reasons.extend(why);
    }
    Ok(found)
}

/// Says of removals that are being unlinked, or whose time in the trash is over, why this user may
/// not unlink them, a sentence each.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read.
pub(crate) fn not_unlinkable(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
) -> Result<Vec<String>, Error> {
    let Some(trash) = Trash::open(base)? else {
        return Ok(Vec::new());
    };
    let due = pending(catalog, base, now)?.due.into_iter();
    let refused = due.take(MOST_DUE).filter_map(|id| {
        // The check of the trash names a folder that cannot be opened.
        let folder = trash.folder(&id).ok()??;
        let why = refused_purge(base, &folder)?;
        Some(format!("removal {id}: {why}"))
    });
    Ok(refused.collect())
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
    // Recovery removes an empty one, whatever its notes are.
    if matches!(folder.is_empty(), Ok(true)) && catalog.removal(id)?.is_none() {
        return Ok((!folder.may_remove()).then(|| {
            format!(
                "{0} is empty, and this user may not remove it; its owner, or root, can, with: \
                 rm -r {1}",
                folder.path().display(),
                shell_word(&folder.path().display().to_string())
            )
        }));
    }
    let state = catalog.removal(id)?.map(|removal| removal.state);
    if state == Some(RemovalState::Restored) {
        return match folder.is_hollow() {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(left_of_restored(folder.path()))),
            Err(error) => Ok(Some(unreadable(&error))),
        };
    }
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

/// Says that a folder is left alone because it cannot be read, and what to type.
pub(crate) fn unreadable(error: &StorageError) -> String {
    let is_folder = |path: &&Path| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.parse::<RemovalId>().is_ok())
    };
    // What cannot be read may be a file in it.
    let folder = error.path().ancestors().find(is_folder);
    format!(
        "{}, so it is left alone; its owner, or root, can {}",
        with_causes(error),
        look_and_move(folder.unwrap_or(error.path()))
    )
}

/// What to do about a folder that no command settles.
fn look_and_move(folder: &Path) -> String {
    let path = shell_word(&folder.display().to_string());
    format!("check what it holds with: ls -lR {path}; and move it away with: mv {path} FOLDER")
}

/// Says of a folder that no removal of the catalog has why recovery cannot tell what it was.
fn unexplained(folder: &TrashFolder) -> Result<Option<String>, Error> {
    // An empty one is removed, and one of a rename has a note instead of a manifest.
    if folder.is_empty()? || folder.is_renaming()? || folder.manifest()?.is_some() {
        return Ok(None);
    }
    Ok(Some(format!(
        "{} has no manifest that can be read, so it is left alone; {}",
        folder.path().display(),
        look_and_move(folder.path())
    )))
}
