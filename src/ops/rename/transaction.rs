//! The transaction of a rename, and renaming back if a step fails.

use std::path::Path;

use super::plan::{self, RenameOptions, RenameReport};
use crate::catalog::Change;
use crate::error::Error;
use crate::model::name::RunName;
use crate::model::operation::{Action, NewOperation};
use crate::model::removal::RemovalId;
use crate::ops::held::Held;
use crate::ops::recover;
use crate::ops::remove::Removing;
use crate::store::{self, Claim, EntryId, RenameNote, StaleList, Trash};

/// What was done on disk, to be undone if a later step fails.
#[derive(Default)]
struct RenameDone {
    /// The folder that may have been renamed.
    renamed: Option<EntryId>,
    /// Groups above it whose consolidated metadata lists what is in it.
    listed_in: Vec<String>,
    /// Whether only the commit is left.
    is_committing: bool,
}

/// Renames a run.
///
/// # Errors
/// Nothing has changed then:
/// - [`Error::NotRecorded`], [`Error::RunFolderGone`] if the run has no rows or no folder.
/// - [`Error::RunTaken`] if the new name is taken, on disk, in the catalog or in the trash.
/// - [`Error::RunActive`] if data was written within the last hour, unless the options allow it.
/// - [`Error::MountPoint`], [`Error::InnerRegistry`] if the folder cannot be moved.
pub(crate) fn rename(
    on: &Removing<'_>,
    from: &RunName,
    to: &RunName,
    options: &RenameOptions,
) -> Result<RenameReport, Error> {
    on.require_folder()?;
    let trash = Trash::open_or_create(on.base)?;
    let id = RemovalId::new(on.now, uuid::Uuid::new_v4().as_fields().0);
    let operation = NewOperation {
        action: Action::Rename,
        at: on.now,
        reason: options.reason.as_deref(),
    };
    let mut done = RenameDone::default();
    let renamed = recover::change_settled(on.catalog, on.base, operation, |change| {
        let report = rename_within(on, change, &trash, &id, (from, to), options, &mut done)?;
        done.is_committing = true;
        Ok(report)
    });
    if renamed.is_err() && !rename_back(on, from, to, &done) {
        // The note stays for recovery.
        return renamed;
    }
    // If this fails, the next open for writing drops it.
    let _ = trash.remove_folder(&id);
    renamed.map_err(|error| plan::named(on.catalog, from, error))
}

/// Steps 2 to 5.
fn rename_within(
    on: &Removing<'_>,
    change: &Change<'_>,
    trash: &Trash,
    id: &RemovalId,
    (from, to): (&RunName, &RunName),
    options: &RenameOptions,
    done: &mut RenameDone,
) -> Result<RenameReport, Error> {
    let contents = change.run_contents(from)?;
    let taken = change.run_contents(to)?;
    let above = plan::above(to, |folder| Ok(change.in_container(folder)?))?;
    plan::require_not_held(&Held::within(change, on.base)?, on.base, (from, to))?;
    let checked = plan::check(on.base, on.now, from, to, contents, &taken, above)?;
    if let (false, Some(written)) = (options.active, checked.report.active_at) {
        return Err(Error::RunActive {
            run: from.to_string(),
            written,
        });
    }
    let folder = trash.create_folder(id)?;
    folder.check_device(on.base)?;
    folder.write_renaming(&RenameNote {
        rename: id.clone(),
        from: from.to_string(),
        to: to.to_string(),
        operation: change.number(),
        at: Some(on.now),
        last_row: Some(change.last_row()?),
        entry: checked.entry,
    })?;
    // The note is durable before the rename: after a crash recovery needs it.
    trash.sync()?;
    // Rows before data: one that cannot be written fails the rename with the folder in place.
    change.rename_run(id, &checked.contents, from, to, on.now)?;
    if on.monitor.is_cancelled() {
        return Err(crate::ops::remove::cancelled(on.catalog));
    }
    let mut listed = store::listed_in(on.base, [from.as_str()])?;
    done.listed_in = listed.remove(from.as_str()).unwrap_or_default();
    // Recorded first: a rename whose sync fails is undone like a complete one.
    done.renamed = Some(checked.entry);
    match store::rename_folder(on.base, from.as_str(), to.as_str(), checked.entry)? {
        true => {
            let mut report = checked.report;
            // Before COMMIT: until then recovery looks at these lists.
            report.stale_lists = rename_in_lists(on, folder.path(), done, from, to);
            Ok(report)
        }
        false => {
            // Nothing was moved, so nothing is to be moved back.
            done.renamed = None;
            Err(Error::RunTaken {
                run: to.to_string(),
                by: "something on disk",
                removals: Vec::new(),
            })
        }
    }
}

/// Gives the folder the name that it has on disk in the lists of the groups above it.
fn rename_in_lists(
    on: &Removing<'_>,
    trash: &Path,
    done: &RenameDone,
    from: &RunName,
    to: &RunName,
) -> Vec<StaleList> {
    let names = [from.as_str(), to.as_str()];
    store::rename_in_lists(on.base, trash, &done.listed_in, names, &Claim::own())
}

/// Renames the folder back after a failure. Says whether it is where it was.
fn rename_back(on: &Removing<'_>, from: &RunName, to: &RunName, done: &RenameDone) -> bool {
    let Some(entry) = done.renamed else {
        return true;
    };
    // A COMMIT that failed may still be in the log and could become valid after a crash. The folder
    // goes back only once that is ruled out.
    if done.is_committing && on.catalog.forget_failed_commits().is_err() {
        return false;
    }
    match store::entry_at(on.base, to.as_str().as_ref(), store::EntryType::Folder) {
        Ok(Some(found)) if found == entry => {
            let is_back = store::rename_folder(on.base, to.as_str(), from.as_str(), entry);
            // A list that cannot be written is found by `verify`; the run has its old name.
            rename_in_lists(on, on.base.path(), done, from, to);
            is_back.unwrap_or(false)
        }
        // The folder never came to have the new name.
        Ok(_) => true,
        Err(_) => false,
    }
}
