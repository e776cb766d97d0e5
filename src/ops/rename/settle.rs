//! Settling a rename that a crash interrupted.

use std::path::Path;

use crate::catalog::{CatalogError, Change};
use crate::error::Error;
use crate::model::name::RunName;
use crate::store::{self, Base, EntryType, StorageError, TrashFolder};

/// What became of a rename.
pub(crate) enum RenameState {
    /// It was committed, or never begun: its note can go.
    Over,
    /// The folder has its old name again: the note can go.
    Undone,
    /// It is left alone, for this reason; the note stays if it says so.
    Problem(String),
}

/// Settles the rename whose note is in a folder of the trash; the caller has the write lock.
///
/// # Errors
/// [`Error`] if the note, the catalog or the folder cannot be read, or the folder not be renamed.
pub(crate) fn settle(
    base: &Base,
    change: &Change<'_>,
    folder: &TrashFolder,
) -> Result<RenameState, Error> {
    // A note that was never whole was not followed by a rename.
    let Some((note, claim)) = folder.renaming()? else {
        return Ok(RenameState::Over);
    };
    let names = note.from.parse::<RunName>().ok();
    let Some((from, to)) = names.zip(note.to.parse::<RunName>().ok()) else {
        return Ok(RenameState::Problem(format!(
            "{} has a note of a rename that makes no sense; it is left alone",
            folder.path().display()
        )));
    };
    if change.is_rename(note.operation, &note.rename)? {
        return Ok(RenameState::Over);
    }
    let path = Path::new(to.as_str());
    let found = match store::entry_at(base, path, EntryType::Folder) {
        Ok(found) => found,
        Err(StorageError::Symlink { .. } | StorageError::NotAFolder { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    // By its inode: the device of a file system may have another number after a reboot.
    let Some(entry) = found.filter(|found| found.inode == note.entry.inode) else {
        return Ok(RenameState::Over);
    };
    let has_rows = |run: &RunName| -> Result<bool, CatalogError> {
        Ok(!change.run_contents(run)?.artifacts.is_empty())
    };
    if has_rows(&to)? || !has_rows(&from)? {
        return Ok(RenameState::Over);
    }
    folder.check_rename_back(base, &note, &claim)?;
    if store::rename_folder(base, to.as_str(), from.as_str(), entry)? {
        // The crash may have come after the lists above it were given the new name.
        let listed = store::listed_in(base, [to.as_str()]).unwrap_or_default();
        let groups = listed.into_values().next().unwrap_or_default();
        let names = [from.as_str(), to.as_str()];
        store::rename_in_lists(base, folder.path(), &groups, names, &claim);
        return Ok(RenameState::Undone);
    }
    Ok(RenameState::Problem(format!(
        "the rename of run {from} to {to} was interrupted, and {from} is there again; both are kept"
    )))
}
