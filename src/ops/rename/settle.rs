//! Settling a rename that a crash interrupted.

use std::collections::BTreeSet;
use std::path::Path;

use crate::catalog::{CatalogError, Change, Exchange, RunContents};
use crate::error::Error;
use crate::model::artifact::{Artifact, Origin};
use crate::model::clock::Timestamp;
use crate::model::detail::RunRenamed;
use crate::model::name::RunName;
use crate::store::{self, Base, EntryType, RenameNote, StorageError, TrashFolder};

/// What became of a rename.
pub(crate) enum RenameState {
    /// It was committed, or never begun: its note can go.
    Over,
    /// The folder has its old name again: the note can go.
    Undone,
    /// The rows have the new name, too: the note can go once that is committed.
    Completed,
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
    now: Timestamp,
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
    let interrupted = Interrupted {
        base,
        change,
        note: &note,
        names: (&from, &to),
    };
    let (old, new) = (change.run_contents(&from)?, change.run_contents(&to)?);
    if !old.artifacts.iter().any(|row| interrupted.was_there(row)) {
        return Ok(RenameState::Over);
    }
    if !new
        .artifacts
        .iter()
        .all(|row| interrupted.is_of_scan_since(row))
    {
        return Ok(RenameState::Over);
    }
    folder.check_rename_back(base, &note, &claim)?;
    // What a scan saw under the new name since stays there.
    if new.artifacts.is_empty() && store::rename_folder(base, to.as_str(), from.as_str(), entry)? {
        // The crash may have come after the lists above it were given the new name.
        let groups: Vec<String> = listed(base, &to).into_iter().collect();
        let names = [from.as_str(), to.as_str()];
        store::rename_in_lists(base, folder.path(), &groups, names, &claim);
        return Ok(RenameState::Undone);
    }
    if interrupted.complete(&old, &new, now)? {
        let renames = [[from.as_str(), to.as_str()]];
        store::exchange_in_lists(base, folder.path(), &listed(base, &from), &renames, &claim);
        return Ok(RenameState::Completed);
    }
    Ok(RenameState::Problem(format!(
        "the rename of run {from} to {to} was interrupted, and {from} is there again; both are \
         kept: see dalsegno verify"
    )))
}

/// The groups whose lists name what is in the folder of a run. What cannot be read is found by
/// `verify`.
fn listed(base: &Base, run: &RunName) -> BTreeSet<String> {
    let found = store::listed_in(base, [run.as_str()]).unwrap_or_default();
    found.into_values().flatten().collect()
}

/// A rename that was not committed, and whose folder has the new name.
struct Interrupted<'a> {
    base: &'a Base,
    change: &'a Change<'a>,
    note: &'a RenameNote,
    names: (&'a RunName, &'a RunName),
}

impl Interrupted<'_> {
    /// Whether a row was there when the rename began, and so is about what was renamed.
    fn was_there(&self, row: &Artifact) -> bool {
        self.note.last_row.is_none_or(|last| row.id <= last)
    }

    /// Whether a row is one that a scan made since, and binds nothing.
    fn is_of_scan_since(&self, row: &Artifact) -> bool {
        row.origin == Origin::Scanned
            && row.pins.is_empty()
            && row.sealed_at.is_none()
            && self.note.last_row.is_some_and(|last| row.id > last)
    }

    /// Completes it: other data has the old name by now, and rows, scores and pins belong to the
    /// folder that was renamed. What was recorded since has the old name. Says whether it was done.
    fn complete(
        &self,
        old: &RunContents,
        new: &RunContents,
        now: Timestamp,
    ) -> Result<bool, Error> {
        // What binds the new name would be mixed with what binds the old one.
        if new.scores > 0 || new.scopes > 0 {
            return Ok(false);
        }
        let (from, to) = self.names;
        let mut exchange = Exchange::default();
        for row in old.artifacts.iter().filter(|row| self.was_there(row)) {
            let Some(Ok(run)) = crate::catalog::renamed(row.key.run(), from, to) else {
                return Ok(false);
            };
            let after = Artifact {
                key: row.key.clone().with_run(run),
                ..row.clone()
            };
            exchange.rows.push((row.clone(), after));
        }
        // A note is input: it moves rows only to where data of theirs is.
        if !self.has_data(&exchange)? {
            return Ok(false);
        }
        for (_, after) in &exchange.rows {
            let place = after.location();
            let there = new.artifacts.iter().find(|row| row.location() == place);
            exchange.replaced.extend(there.cloned());
        }
        let renamed = RunRenamed {
            rename: self.note.rename.clone(),
            from: from.clone(),
            to: to.clone(),
            scores: 0,
            scopes: 0,
        };
        let by = self.note.at;
        let change = self.change;
        match change.complete_rename(renamed, old, &exchange, by, now)? {
            true => Ok(true),
            // An error, so that nothing of it is committed.
            false => Err(CatalogError::Damaged {
                path: self.base.path().to_path_buf(),
                detail: format!("rows of run {from} cannot be given to run {to}"),
            }
            .into()),
        }
    }

    /// Whether the data of at least one row is at its new path, by its time. Rows without a time
    /// say nothing: if there are only such, the answer is yes.
    fn has_data(&self, exchange: &Exchange) -> Result<bool, Error> {
        let mut has_time = false;
        for (_, after) in &exchange.rows {
            let kind = after.key.kind();
            let Some(written_at) = after.written_at.filter(|_| !kind.is_container()) else {
                continue;
            };
            has_time = true;
            let path = after.location().path();
            match store::written_at(self.base, Path::new(&path), kind) {
                Ok(seen) if seen == Some(written_at) => return Ok(true),
                // Damaged metadata has no time.
                Ok(_) | Err(StorageError::DamagedMetadata { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(!has_time)
    }
}
