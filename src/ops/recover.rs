//! Recovery: every open for writing makes catalog and disk agree again after a crash.
//!
//! It compares the folders of the trash with the open removals of the catalog. If they agree, which
//! is nearly always, it takes no lock. Otherwise it waits for the turn to write, so that a removal
//! in flight has ended, compares again within the transaction, and settles:
//!
//! | in the trash | in the catalog | so |
//! |---|---|---|
//! | folder | no removal | a removal was killed before its commit: every item goes back |
//! | folder with a note `renaming.json` | no removal | a rename was killed; [`rename`] settles it |
//! | folder whose unlinking has begun | no removal | another catalog removed it: it is reported |
//! | the same, with nothing in it | no removal | it is dropped |
//! | folder with `restoring.json` | removal kept, item back at its path | its restore is completed |
//! | the same | removal kept, item in the folder | it stays in the trash |
//! | the same | item restored, or removal over | the note is dropped |
//! | folder | removal being purged, or kept and due | the purge goes on, for a moment |
//! | no folder | removal being purged | it is marked as purged |
//! | folder | removal over | what is left of the folder is dropped |
//! | folder with something in it | removal purged | the purge goes on: a power cut undid unlinks |
//!
//! If an item's old path is occupied again, the item stays in the trash as a kept removal: both
//! remain. A folder with items whose manifest cannot be read is left alone and reported: deleting
//! fails closed.
//!
//! The trash and the catalog are input: other users may write there. Data moves or is unlinked only
//! in folders where every user who may have put it there may write; see
//! [`Claim`](crate::store::Claim). The rest is left to its owner and reported. What has a row is
//! never moved.
//!
//! A change of removals looks once more, within its own transaction: see [`change_settled`].
//!
//! Every step can be repeated: recovery may be killed at any point, and several processes may run
//! it at once.

use std::collections::HashSet;
use std::path::Path;

use crate::catalog::{Catalog, CatalogError, Change, OpenRemoval};
use crate::error::Error;
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;
use crate::model::operation::{Action, NewOperation};
use crate::model::removal::{RemovalId, RemovalState};
use crate::model::shell::shell_word;
use crate::model::words;
use crate::ops::due::{self, is_due};
use crate::ops::remove;
use crate::ops::rename::{self, RenameState};
use crate::ops::rest;
use crate::ops::restored_rows::{self, Whereabouts, complete_restore, has_row, rows_of};
use crate::store::{
    self, Base, Claim, DirtyFolders, EntryType, FolderForms, ManifestItems, StorageError, Trash,
    TrashFolder, TrashItem, entry_at,
};

/// The reason of a removal that keeps what recovery could not put back.
pub(crate) const OCCUPIED: &str = "undone after a crash; its old place is occupied";

/// Most folders of other users that one recovery looks into.
pub(crate) const MOST_OF_OTHERS: usize = 16;

/// What a recovery found and did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// Removals that were undone, and restores that were completed as far as data was back.
    pub undone: Vec<RemovalId>,
    /// Removals whose purge was finished.
    pub purged: Vec<RemovalId>,
    /// Number of notes of the inbox that were folded into the catalog.
    pub folded: u64,
    /// What could not be settled, as text.
    pub problems: Vec<String>,
}

/// What recovery has to settle, as seen without a lock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Pending {
    /// Folders in the trash that the catalog has no open removal for, or with a restore in them.
    pub unsettled: Vec<RemovalId>,
    /// Removals that are being purged, or are due.
    pub due: Vec<RemovalId>,
    /// Entries of the trash whose names are not those of removals.
    pub strangers: Vec<String>,
}

impl Pending {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unsettled.is_empty() && self.due.is_empty()
    }
}

/// Finds what recovery has to settle. Changes nothing.
///
/// # Errors
/// [`Error`] if the trash or the catalog cannot be read.
pub(crate) fn pending(catalog: &Catalog, base: &Base, now: Timestamp) -> Result<Pending, Error> {
    let open = catalog.open_states()?;
    let Some(trash) = Trash::open(base)? else {
        let due = open
            .into_iter()
            .filter(|(_, open)| is_due(open, now))
            .map(|(id, _)| id);
        return Ok(Pending {
            due: due.collect(),
            ..Pending::default()
        });
    };
    let (folders, strangers) = trash.list()?;
    Ok(Pending {
        unsettled: unsettled(&trash, folders, &open),
        due: open
            .into_iter()
            .filter(|(_, open)| is_due(open, now))
            .map(|(id, _)| id)
            .collect(),
        strangers,
    })
}

/// The folders that the catalog has no open removal for, or with a note of a restore.
fn unsettled(
    trash: &Trash,
    folders: Vec<RemovalId>,
    open: &[(RemovalId, OpenRemoval)],
) -> Vec<RemovalId> {
    let open: HashSet<&RemovalId> = open.iter().map(|(id, _)| id).collect();
    let is_restoring = |id: &RemovalId| {
        let folder = trash.folder(id)?;
        folder.map_or(Ok(false), |folder| folder.is_restoring())
    };
    // What cannot be looked at is unsettled: settling it says why.
    let is_unsettled = |id: &RemovalId| !open.contains(id) || is_restoring(id).unwrap_or(true);
    folders.into_iter().filter(is_unsettled).collect()
}

/// Whether something that is no folder is in the place of the trash, as another user can put there.
pub(crate) fn is_no_trash(error: &Error) -> bool {
    matches!(
        error,
        Error::Storage(StorageError::Symlink { .. } | StorageError::NotAFolder { .. })
    )
}

/// Settles what is pending and goes on with purges; `reason` is for the history.
///
/// # Errors
/// [`Error`] if the catalog cannot be written or the trash cannot be read. What cannot be settled
/// is in the result.
pub(crate) fn recover(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
    reason: Option<&str>,
) -> Result<Recovery, Error> {
    let (mut recovery, due) = settle_pending(catalog, base, now, reason)?;
    let purged = due::purge_all(catalog, base, &due, now)?;
    recovery.purged = purged.done;
    recovery.problems.extend(purged.problems);
    Ok(recovery)
}

/// Settles what is pending, and unlinks nothing. Also gives the removals that are to be purged.
///
/// # Errors
/// As [`recover`].
pub(crate) fn settle_pending(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
    reason: Option<&str>,
) -> Result<(Recovery, Vec<RemovalId>), Error> {
    let mut recovery = Recovery::default();
    let mut pending = match pending(catalog, base, now) {
        // A recording needs no trash, so it goes on; a removal opens the trash itself and fails.
        Err(error) if is_no_trash(&error) => {
            recovery.problems.push(format!(
                "{error}; nothing in the trash is settled until it is moved away"
            ));
            return Ok((recovery, Vec::new()));
        }
        found => found?,
    };
    let mut unsettled = HashSet::new();
    let (mut others, mut passed_over) = (0, 0);
    for id in pending.unsettled {
        // Each may have a long manifest, and any number of them takes a moment to make.
        if !is_own(base, &id) {
            others += 1;
            if others > MOST_OF_OTHERS {
                passed_over += 1;
                unsettled.insert(id);
                continue;
            }
        }
        let settled = settle(catalog, base, &id, now, reason).and_then(|settled| match settled {
            // A restore of which all had come back is over now, and its folder goes.
            Settled::Undone => {
                settle(catalog, base, &id, now, reason)?;
                Ok(Settled::Undone)
            }
            settled => Ok(settled),
        });
        match settled {
            Ok(Settled::Undone) => recovery.undone.push(id),
            Ok(Settled::Occupied(what)) => {
                recovery.undone.push(id);
                recovery.problems.push(what);
            }
            Ok(Settled::Renamed | Settled::Completed | Settled::Nothing) => {}
            Ok(Settled::Due) => pending.due.push(id),
            Ok(Settled::Problem(problem)) => recovery.problems.push(problem),
            Err(error) if error.ends_all() => return Err(error),
            Err(error) => {
                recovery
                    .problems
                    .push(format!("removal {id}: {}", with_causes(&error)));
                unsettled.insert(id);
            }
        }
    }
    recovery.problems.extend(self::passed_over(passed_over));
    // What may still have to come back into the trash is not purged around it.
    pending.due.retain(|id| !unsettled.contains(id));
    Ok((recovery, pending.due))
}

/// Says that folders of other users were not looked into, and who can settle them.
pub(crate) fn passed_over(count: usize) -> Option<String> {
    (count > 0).then(|| {
        format!(
            "{} more folders of other users in the trash were not looked into; the next command of \
             an owner that writes looks into those of that owner",
            words::number(count as u64)
        )
    })
}

/// Whether a removal's folder belongs to root or this user.
pub(crate) fn is_own(base: &Base, id: &RemovalId) -> bool {
    let is_own = || -> Result<bool, StorageError> {
        let folder = Trash::open(base)?.map_or(Ok(None), |trash| trash.folder(id))?;
        // A folder that is gone meanwhile has no manifest to read.
        folder.map_or(Ok(true), |folder| folder.is_own())
    };
    is_own().unwrap_or(false)
}

/// Goes on with purges, and settles nothing.
///
/// # Errors
/// As [`recover`].
#[cfg(feature = "cli")]
pub(crate) fn purge_pending(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
) -> Result<Recovery, Error> {
    let mut recovery = Recovery::default();
    // The usual case costs one query.
    if !catalog
        .open_states()?
        .iter()
        .any(|(_, open)| is_due(open, now))
    {
        return Ok(recovery);
    }
    let mut pending = match pending(catalog, base, now) {
        // It was said when the registry was opened.
        Err(error) if is_no_trash(&error) => return Ok(recovery),
        found => found?,
    };
    let unsettled: HashSet<RemovalId> = pending.unsettled.into_iter().collect();
    pending.due.retain(|id| !unsettled.contains(id));
    let purged = due::purge_all(catalog, base, &pending.due, now)?;
    recovery.purged = purged.done;
    recovery.problems = purged.problems;
    Ok(recovery)
}

/// Runs a change of removals on a registry in which nothing is unsettled.
///
/// The transaction of the change looks for what a crash left. It holds the turn to write, so no
/// removal is in flight. If it finds something, it is rolled back unchanged, the rest is settled,
/// and the change runs again. So a process that was killed while this one waited for its turn is
/// noticed too.
///
/// # Errors
/// Whatever `change` returns, and as [`settle_pending`].
pub(crate) fn change_settled<T>(
    catalog: &Catalog,
    base: &Base,
    operation: NewOperation<'_>,
    mut change: impl FnMut(&Change<'_>) -> Result<T, Error>,
) -> Result<T, Error> {
    let settled = catalog.change(operation, |on| {
        if has_unsettled(on, base)? {
            return Err(Stop::Unsettled);
        }
        change(on).map_err(Stop::Failed)
    });
    match settled {
        Ok(value) => return Ok(value),
        Err(Stop::Failed(error)) => return Err(error),
        Err(Stop::Unsettled) => {}
    }
    settle_pending(catalog, base, operation.at, None)?;
    // What could not be settled stays as it is: it does not hinder this change.
    catalog.change(operation, change)
}

/// Why a change was rolled back.
enum Stop {
    /// Something is to be settled first.
    Unsettled,
    Failed(Error),
}

impl From<CatalogError> for Stop {
    fn from(error: CatalogError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

fn has_unsettled(change: &Change<'_>, base: &Base) -> Result<bool, Stop> {
    let Some(trash) = Trash::open(base)? else {
        return Ok(false);
    };
    let folders = trash.list()?.0;
    // The usual case costs one listing and no query.
    if folders.is_empty() {
        return Ok(false);
    }
    Ok(!unsettled(&trash, folders, &change.open_states()?).is_empty())
}

enum Settled {
    /// Data is back at its path: a removal was undone, or a restore completed.
    Undone,
    /// The same, but for what stays in the trash.
    Occupied(String),
    /// A run has its old name again.
    Renamed,
    /// A run has its new name; its note goes once that is committed.
    Completed,
    Nothing,
    /// It is to be purged.
    Due,
    Problem(String),
}

/// Settles one folder of the trash, with the write lock held.
fn settle(
    catalog: &Catalog,
    base: &Base,
    id: &RemovalId,
    now: Timestamp,
    reason: Option<&str>,
) -> Result<Settled, Error> {
    let Some(trash) = Trash::open(base)? else {
        return Ok(Settled::Nothing);
    };
    // A failed COMMIT of this process may still be in the log and become valid after a crash, when
    // its data is back in place already.
    catalog.forget_failed_commits()?;
    let operation = NewOperation {
        reason,
        ..NewOperation::new(Action::Recover, now)
    };
    let settled = catalog.change(operation, |change| {
        let Some(folder) = trash.folder(id)? else {
            return Ok(Settled::Nothing);
        };
        if folder.is_renaming()? && change.removal(id)?.is_none() {
            return settle_rename(base, change, (&trash, &folder), id, now);
        }
        match change.removal(id)? {
            None => roll_back_removal((catalog, base), change, &trash, &folder, id, now),
            Some(open) if open.state == RemovalState::Kept => {
                settle_restore(base, change, &folder, id, now)
            }
            // The purge takes the rest.
            Some(open) if open.state == RemovalState::Purging => Ok(Settled::Nothing),
            // Restored or purged: its folder should be empty.
            Some(open) => match drop_folder((base, change), &trash, &folder, id, open.state)? {
                true => Ok(Settled::Nothing),
                // Nothing syncs what a purge unlinks: a power cut brings some of it back.
                false if open.state == RemovalState::Purged => {
                    change.set_state(id, RemovalState::Purging, None)?;
                    Ok(Settled::Due)
                }
                false => Ok(Settled::Problem(format!(
                    "removal {id}: {}",
                    left_of_restored(folder.path())
                ))),
            },
        }
    })?;
    match settled {
        Settled::Completed => drop(trash.remove_folder(id)?),
        // Until the commit, the note alone says that what is at a place is what was removed.
        Settled::Undone => {
            if let Some(folder) = trash.folder(id)?
                && folder.is_restoring()?
            {
                folder.end_restoring()?;
            }
        }
        _ => {}
    }
    Ok(settled)
}

/// Says of the folder of a removal that was restored as a whole that something is in it.
pub(crate) fn left_of_restored(folder: &Path) -> String {
    let path = shell_word(&folder.display().to_string());
    format!(
        "{} has something in it, though the removal was restored, so it is left alone; if it was \
         lost and put back here, move it to its old place, where the next look at the disk finds \
         it; look with: ls -lR {path}",
        folder.display()
    )
}

/// Removes the folder of a removal that is over; false if something is in it.
fn drop_folder(
    (base, change): (&Base, &Change<'_>),
    trash: &Trash,
    folder: &TrashFolder,
    id: &RemovalId,
    state: RemovalState,
) -> Result<bool, Error> {
    // Folders whose parts came back.
    if state == RemovalState::Restored {
        rest::drop_nothing(base, &change.view(), folder, id)?;
    }
    Ok(trash.remove_folder(id)?)
}

/// Returns why recovery leaves a folder that the catalog does not know to its owner; `None` if it
/// settles it. Changes nothing.
///
/// # Errors
/// [`Error`] if the folder cannot be read.
pub(crate) fn refusal(base: &Base, folder: &TrashFolder) -> Result<Option<String>, Error> {
    let found = match folder.manifest() {
        Ok(found) => found,
        Err(
            error @ (StorageError::Untrusted { .. }
            | StorageError::NotAFile { .. }
            | StorageError::Symlink { .. }),
        ) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let Some(items) = found else {
        return Ok(None);
    };
    for item in &items.items {
        // Neither is moved, so neither needs a right to be.
        if remove::checked_item(&item.path, |_| true).is_err() || !folder.has(item.item)? {
            continue;
        }
        let claim = folder.claim(&item.item.to_string(), Some((item, &items.claim)))?;
        match folder.check_way_back(base, item, &claim) {
            Ok(()) => {}
            Err(error @ StorageError::Untrusted { .. }) => return Ok(Some(error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn settle_rename(
    base: &Base,
    change: &Change<'_>,
    (trash, folder): (&Trash, &TrashFolder),
    id: &RemovalId,
    now: Timestamp,
) -> Result<Settled, Error> {
    match rename::settle(base, change, folder, now)? {
        RenameState::Over => {
            trash.remove_folder(id)?;
            Ok(Settled::Nothing)
        }
        RenameState::Undone => {
            trash.remove_folder(id)?;
            Ok(Settled::Renamed)
        }
        RenameState::Completed => Ok(Settled::Completed),
        RenameState::Problem(problem) => {
            trash.remove_folder(id)?;
            Ok(Settled::Problem(problem))
        }
    }
}

/// Settles a folder without items, of a removal that the catalog does not know: it was killed
/// before its first rename, or all that it had moved went back. Or that was unlinked, after the
/// commit of another catalog.
fn settle_empty(
    catalog: &Catalog,
    base: &Base,
    trash: &Trash,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<Settled, Error> {
    let items = folder.manifest();
    if let Ok(Some(items)) = &items {
        // The data is back, and the lists above it may not be: a kill can come between.
        mend_lists(base, folder, items)?;
    }
    let is_purging = folder.is_purging()?;
    let found = match &items {
        Ok(Some(_)) if !is_purging => restored_rows::whereabouts(catalog, base, folder)?,
        _ => Whereabouts::InPlace,
    };
    trash.remove_folder(id)?;
    Ok(match (items, found) {
        (_, Whereabouts::Gone(what)) => Settled::Problem(format!(
            "removal {id} was interrupted, and is not in the trash any more; what it took is gone \
             from its place too: {what}"
        )),
        (Ok(_), Whereabouts::InPlace) if !is_purging => Settled::Undone,
        // What is no manifest, or of data that was written since, says of none that it is back.
        _ => Settled::Nothing,
    })
}

fn roll_back_removal(
    (catalog, base): (&Catalog, &Base),
    change: &Change<'_>,
    trash: &Trash,
    folder: &TrashFolder,
    id: &RemovalId,
    now: Timestamp,
) -> Result<Settled, Error> {
    if folder.is_empty()? {
        return settle_empty(catalog, base, trash, folder, id);
    }
    let Some(items) = folder.manifest()? else {
        return Ok(Settled::Problem(format!(
            "{} has no manifest that can be read; what lies in it is left alone",
            folder.path().display()
        )));
    };
    // Unlinking begins after a commit, so the rows were in another catalog.
    if folder.is_purging()? {
        return Ok(Settled::Problem(format!(
            "the catalog has no removal {}, whose purge has begun; it is left alone",
            folder.path().display()
        )));
    }
    // Looked at before anything moves: a manifest is input too.
    let taken = folder.manifest_text()?;
    let taken = taken.as_deref().and_then(remove::manifest::read);
    if let Some(fault) = taken.as_ref().and_then(remove::manifest::Taken::fault) {
        return Ok(Settled::Problem(format!(
            "{} has a manifest that makes no sense: {fault}; it is left alone",
            folder.path().display()
        )));
    }
    let mut here = Vec::new();
    let has_run = |item: u32, run: &str| {
        let taken = taken.as_ref();
        taken.is_some_and(|taken| taken.has_run(item, run))
    };
    for item in &items.items {
        remove::checked_item(&item.path, |run| has_run(item.item, run))?;
        if !folder.has(item.item)? {
            continue;
        }
        if folder.identify(item.item, item.entry_type)?.is_none() {
            let form = match item.entry_type {
                EntryType::Folder => "folder",
                EntryType::File => "regular file",
            };
            return Ok(Settled::Problem(format!(
                "{}/{} is not a {form}; what lies beside it is left alone",
                folder.path().display(),
                item.item
            )));
        }
        here.push(item);
    }
    // Folders above that are gone meanwhile are made as they were.
    let forms = FolderForms::new(items.folders.iter().cloned());
    let mut dirty = DirtyFolders::default();
    let mut occupied = Vec::new();
    let mut refused = None;
    for item in here {
        let claim = folder.claim(&item.item.to_string(), Some((item, &items.claim)))?;
        match folder.put_back(base, item, &claim, &forms, &mut dirty) {
            Ok(true) => {}
            Ok(false) => occupied.push(item),
            Err(error @ StorageError::Untrusted { .. }) => refused = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    // Where the data went first: a power cut in between leaves two names, never none.
    folder.sync_dirty(&dirty)?;
    folder.sync()?;
    mend_lists(base, folder, &items)?;
    // Reported only now: what could go back is to be durable, and listed again.
    if let Some(error) = refused {
        return Err(error.into());
    }
    if occupied.is_empty() {
        if trash.remove_folder(id)? {
            return Ok(Settled::Undone);
        }
        return Ok(Settled::Problem(format!(
            "{} has something in it that its manifest does not name; it is left alone",
            folder.path().display()
        )));
    }
    let open = OpenRemoval {
        state: RemovalState::Kept,
        purge_after: None,
    };
    change.begin_removal(id, now, change.actor(), Some(OCCUPIED), &open)?;
    let first = occupied.first().map_or("", |item| item.path.as_str());
    let what = format!(
        "removal {id} was interrupted, and something new is at the place of {}{}: what it took from \
         there stays in the trash until it is restored",
        base.path().join(first).display(),
        match occupied.len() {
            1 => String::new(),
            all => format!(" and of {} more", words::number(all as u64 - 1)),
        }
    );
    for item in occupied {
        change.add_item(id, item.item, &item.path)?;
        let place = remove::checked_item(&item.path, |_| true)?;
        // The rows never left the catalog; the removal gets copies, so that it says what it holds.
        let artifacts = match &place.array {
            None => change.in_container(&place.container)?,
            Some(_) => change.at(&place)?.into_iter().collect(),
        };
        let held = taken.as_ref().map(|taken| taken.paths_in(item.item));
        for artifact in artifacts {
            let path = artifact.location().path();
            // What was recorded there since is not in the trash.
            if held.as_ref().is_none_or(|held| held.contains(&path)) {
                change.copy_to_removal(id, artifact.id, Some(item.item))?;
            }
        }
    }
    Ok(Settled::Occupied(what))
}

/// Makes the consolidated metadata that lists these items agree with the disk. What cannot be
/// written is found by `verify`.
fn mend_lists(base: &Base, folder: &TrashFolder, items: &ManifestItems) -> Result<(), Error> {
    let mut by_claim: Vec<(Claim, Vec<TrashItem>)> = Vec::new();
    for item in items.items.iter().filter(|item| item.is_listed()) {
        let claim = folder.claim(&item.item.to_string(), Some((item, &items.claim)))?;
        // Each list is written with the rights of those who may have put its items there.
        match by_claim.iter_mut().find(|(known, _)| *known == claim) {
            Some((_, items)) => items.push(item.clone()),
            None => by_claim.push((claim, vec![item.clone()])),
        }
    }
    for (claim, items) in by_claim {
        store::mend_lists(base, folder.path(), &items, &claim);
    }
    Ok(())
}

fn settle_restore(
    base: &Base,
    change: &Change<'_>,
    folder: &TrashFolder,
    id: &RemovalId,
    now: Timestamp,
) -> Result<Settled, Error> {
    let Some(items) = folder.restoring()? else {
        // The note was never whole, so nothing was moved.
        folder.end_restoring()?;
        return Ok(Settled::Nothing);
    };
    for item in &items.items {
        remove::checked_item(&item.path, |_| true)?;
        // A note is input too: what it may take is what the catalog says was on its way back.
        let path = change.path_of_item(id, item.item)?;
        let path = path.map(|path| match &item.part {
            Some(part) => format!("{path}/{part}"),
            None => path,
        });
        if path.as_ref() != Some(&item.path) {
            return Ok(Settled::Problem(format!(
                "{} has a note of a restore that does not fit removal {id}; it is left alone",
                folder.path().display()
            )));
        }
    }
    let mut dirty = DirtyFolders::default();
    let mut is_settled = false;
    // The metadata of a group has no row: it goes the way of what the same note names beside it.
    let mut rows = Vec::with_capacity(items.items.len());
    for item in &items.items {
        rows.push(rows_of(change, id, item)?);
    }
    let is_over = rows.iter().all(Vec::is_empty);
    for (item, rows) in items.items.iter().zip(&rows) {
        if is_over || (rows.is_empty() && item.part.is_none()) {
            continue;
        }
        if folder.holds(item)? {
            // On a file system without atomic renames the restore may have been killed between its
            // link and its unlink: then the file has two names.
            if !has_row(change, &item.path)? {
                let claim = folder.claim(&item.item.to_string(), Some((item, &items.claim)))?;
                folder.take_second_name(base, item, &claim, &mut dirty)?;
            }
            continue;
        }
        // Only the thing that was on its way back; anything else at this path is not ours.
        // By its inode: the device of a file system may have another number after a reboot, and
        // it is that of the base directory, or looking had failed.
        let found = entry_at(base, Path::new(&item.path), item.entry_type)?;
        if found.is_none_or(|found| found.inode != item.entry.inode) {
            continue;
        }
        // It stays, because a training may have written into it since.
        is_settled = true;
        complete_restore((base, change), id, rows, now)?;
        if item.part.is_none() {
            change.mark_item_restored(id, item.item, now)?;
        }
    }
    folder.sync_with(&dirty)?;
    folder.sync_dirty(&dirty)?;
    if is_settled {
        // As in a restore: the renames of the process that was killed.
        folder.sync_dirty(&DirtyFolders::everywhere())?;
    }
    mend_lists(base, folder, &items)?;
    if change.left(id)? == 0 && folder.is_hollow()? {
        change.set_state(id, RemovalState::Restored, Some(now))?;
    }
    if is_settled {
        // The rest was to come back too.
        change.keep_until_emptied(id)?;
        return Ok(Settled::Undone);
    }
    folder.end_restoring()?;
    Ok(Settled::Nothing)
}
