//! Recovery: every open for writing makes catalog and disk agree again after a crash.
//!
//! It compares the folders of the trash with the open removals of the catalog. If they agree, which
//! is nearly always, it takes no lock. Otherwise it waits for the turn to write, so that a removal
//! in flight has ended, compares again within the transaction, and settles:
//!
//! | in the trash | in the catalog | so |
//! |---|---|---|
//! | folder | no removal | a removal was killed before its commit: every item goes back |
//! | folder whose unlinking has begun | no removal | another catalog removed it: it is reported |
//! | folder with a note `restoring.json` | removal kept, item not restored | a restore was killed before its commit: the item goes into the trash again |
//! | the same | item restored, or removal over | the note is dropped |
//! | folder | removal being purged, or kept and due | the purge goes on, for a moment |
//! | no folder | removal being purged | it is marked as purged |
//! | folder | removal over | what is left of the folder is dropped |
//! | folder with something in it | removal purged | the purge goes on: its unlinking was not yet durable when the power went |
//!
//! If an item's old path is occupied again, the item stays in the trash as a kept removal: both
//! remain. A folder with items whose manifest cannot be read is left alone and reported: deleting
//! fails closed.
//!
//! Every step can be repeated: recovery may be killed at any point, and several processes may run
//! it at once.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::catalog::{Catalog, CatalogError, Change, OpenRemoval};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Silent};
use crate::model::removal::{RemovalId, RemovalState};
use crate::ops::remove;
use crate::store::{
    Base, DirtyFolders, EntryType, ManifestItems, Trash, TrashFolder, TrashItem, entry_at,
};

/// An open goes on with a purge for this long; `trash empty` goes on until it is done.
const PURGE_AT_OPEN: Duration = Duration::from_secs(2);

/// What a recovery found and did.
#[derive(Debug, Default)]
pub struct Recovery {
    /// Removals and restores that were undone.
    pub undone: Vec<RemovalId>,
    /// Removals whose purge was finished.
    pub purged: Vec<RemovalId>,
    /// What could not be settled, as text.
    pub problems: Vec<String>,
}

/// What recovery has to settle, as seen without a lock.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pending {
    /// Folders in the trash that the catalog has no open removal for, or with a restore in them.
    pub unsettled: Vec<RemovalId>,
    /// Removals that are being purged, or are due.
    pub due: Vec<RemovalId>,
    /// What lies in the trash under names that are no removal's.
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
    let mut pending = Pending {
        strangers,
        ..Pending::default()
    };
    for id in folders {
        let is_open = open.iter().any(|(known, _)| *known == id);
        let is_restoring = || {
            let folder = trash.folder(&id)?;
            folder.map_or(Ok(false), |folder| folder.is_restoring())
        };
        // What cannot be looked at is unsettled: settling it says why.
        if !is_open || is_restoring().unwrap_or(true) {
            pending.unsettled.push(id);
        }
    }
    pending.due = open
        .into_iter()
        .filter(|(_, open)| is_due(open, now))
        .map(|(id, _)| id)
        .collect();
    Ok(pending)
}

fn is_due(open: &OpenRemoval, now: Timestamp) -> bool {
    open.state == RemovalState::Purging || open.purge_after.is_some_and(|time| time <= now)
}

/// Settles what is pending; `reason` is for the history.
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
    let mut recovery = Recovery::default();
    let mut pending = pending(catalog, base, now)?;
    let mut unsettled = Vec::new();
    for id in &pending.unsettled {
        match settle(catalog, base, id, now, reason) {
            Ok(Settled::Undone) => recovery.undone.push(id.clone()),
            Ok(Settled::Nothing) => {}
            Ok(Settled::Due) => pending.due.push(id.clone()),
            Ok(Settled::Problem(problem)) => recovery.problems.push(problem),
            Err(error) if error.ends_all() => return Err(error),
            Err(error) => {
                unsettled.push(id);
                recovery.problems.push(format!("removal {id}: {error}"));
            }
        }
    }
    let deadline = Instant::now() + PURGE_AT_OPEN;
    for id in &pending.due {
        // What may still have to come back into the trash is not purged around it.
        if unsettled.contains(&id) {
            continue;
        }
        match purge_due(catalog, base, id, now, Some(deadline), &Silent) {
            Ok(true) => recovery.purged.push(id.clone()),
            Ok(false) => {}
            Err(error) if error.ends_all() => return Err(error),
            Err(error) => recovery.problems.push(format!("removal {id}: {error}")),
        }
    }
    Ok(recovery)
}

/// Settles what a crash of another process left since the registry was opened.
///
/// # Errors
/// [`CatalogError::ReadOnly`], and as [`recover`].
pub(crate) fn settle_before_change(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
) -> Result<Recovery, Error> {
    if catalog.is_read_only() {
        let path = catalog.path().to_path_buf();
        return Err(CatalogError::ReadOnly { path }.into());
    }
    recover(catalog, base, now, None)
}

/// Purges a removal that is due. Says whether nothing is left.
pub(crate) fn purge_due(
    catalog: &Catalog,
    base: &Base,
    id: &RemovalId,
    now: Timestamp,
    deadline: Option<Instant>,
    monitor: &dyn Monitor,
) -> Result<bool, Error> {
    let is_purging = catalog.change(NewOperation::new(Action::Purge, now), |change| {
        let Some(open) = change.removal(id)? else {
            return Ok(false);
        };
        if open.state == RemovalState::Kept && is_due(&open, now) {
            change.set_state(id, RemovalState::Purging, None)?;
        }
        Ok::<_, Error>(open.state == RemovalState::Purging || is_due(&open, now))
    })?;
    if !is_purging {
        return Ok(false);
    }
    catalog.sync_log()?;
    if let Some(items) = items_of(base, id)? {
        remove::drop_empty(catalog, base, &items.items, monitor);
    }
    Ok(remove::purge(catalog, base, id, now, deadline, monitor)?.is_done)
}

fn items_of(base: &Base, id: &RemovalId) -> Result<Option<ManifestItems>, Error> {
    let Some(trash) = Trash::open(base)? else {
        return Ok(None);
    };
    let Some(folder) = trash.folder(id)? else {
        return Ok(None);
    };
    Ok(folder.manifest()?)
}

enum Settled {
    Undone,
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
    catalog.forget_failed_commits()?;
    let operation = NewOperation {
        reason,
        ..NewOperation::new(Action::Recover, now)
    };
    catalog.change(operation, |change| {
        let Some(folder) = trash.folder(id)? else {
            return Ok(Settled::Nothing);
        };
        match change.removal(id)? {
            None => roll_back_removal(base, change, &trash, &folder, id, now),
            Some(open) if open.state == RemovalState::Kept => {
                roll_back_restore(base, change, &folder, id)
            }
            Some(open) if open.state == RemovalState::Purging => Ok(Settled::Nothing),
            Some(open) => match trash.remove_folder(id)? {
                true => Ok(Settled::Nothing),
                // Nothing syncs what a purge unlinks: a power cut brings some of it back.
                false if open.state == RemovalState::Purged => {
                    change.set_state(id, RemovalState::Purging, None)?;
                    Ok(Settled::Due)
                }
                false => Ok(Settled::Problem(format!(
                    "{} has something in it, though removal {id} is over; it is left alone",
                    folder.path().display()
                ))),
            },
        }
    })
}

fn roll_back_removal(
    base: &Base,
    change: &Change<'_>,
    trash: &Trash,
    folder: &TrashFolder,
    id: &RemovalId,
    now: Timestamp,
) -> Result<Settled, Error> {
    let present = folder.items()?;
    if present.is_empty() {
        trash.remove_folder(id)?;
        return Ok(Settled::Undone);
    }
    let Some(items) = folder.manifest()? else {
        return Ok(Settled::Problem(format!(
            "{} has no manifest that can be read; what lies in it is left alone",
            folder.path().display()
        )));
    };
    if folder.is_purging()? {
        return Ok(Settled::Problem(format!(
            "the catalog has no removal {}, whose purge has begun; it is left alone",
            folder.path().display()
        )));
    }
    // Looked at before anything moves: a manifest is input too.
    let taken = folder.manifest_text()?;
    let taken = taken.as_deref().and_then(remove::manifest::read);
    if let Some(fault) = taken.and_then(|taken| taken.fault()) {
        return Ok(Settled::Problem(format!(
            "{} has a manifest that makes no sense: {fault}; it is left alone",
            folder.path().display()
        )));
    }
    let mut here = Vec::new();
    for item in &items.items {
        remove::checked_location(&item.path)?;
        if !folder.has(item.item)? {
            continue;
        }
        if folder.identify(item.item, item.entry_type)?.is_none() {
            let form = match item.entry_type {
                EntryType::Folder => "folder",
                EntryType::File => "regular file",
            };
            return Ok(Settled::Problem(format!(
                "{}/{} is no {form}; what lies beside it is left alone",
                folder.path().display(),
                item.item
            )));
        }
        here.push(item);
    }
    let mut dirty = DirtyFolders::default();
    let mut occupied = Vec::new();
    for item in here {
        if !folder.put_back(base, item, &mut dirty)? {
            occupied.push(item);
        }
    }
    folder.sync_dirty(&dirty)?;
    folder.sync()?;
    if occupied.is_empty() {
        if trash.remove_folder(id)? {
            return Ok(Settled::Undone);
        }
        return Ok(Settled::Problem(format!(
            "{} has something in it that its manifest does not name; it is left alone",
            folder.path().display()
        )));
    }
    let reason = "undone after a crash; its old place is occupied";
    let open = OpenRemoval {
        state: RemovalState::Kept,
        purge_after: None,
    };
    change.begin_removal(id, now, change.actor(), Some(reason), &open)?;
    for item in occupied {
        change.add_item(id, item.item, &item.path)?;
        let place = remove::checked_location(&item.path)?;
        let artifacts = match &place.array {
            None => change.in_container(&place.container)?,
            Some(_) => change.at(&place)?.into_iter().collect(),
        };
        for artifact in artifacts {
            change.copy_to_removal(id, artifact.id, Some(item.item))?;
        }
    }
    Ok(Settled::Undone)
}

fn roll_back_restore(
    base: &Base,
    change: &Change<'_>,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<Settled, Error> {
    let Some(items) = folder.restoring()? else {
        // The note was never whole, so nothing was moved.
        folder.end_restoring()?;
        return Ok(Settled::Nothing);
    };
    let mut dirty = DirtyFolders::default();
    let mut is_undone = false;
    for item in &items.items {
        remove::checked_location(&item.path)?;
        // A note is input too: what it may take is what the catalog says was on its way back.
        if change.path_of_item(id, item.item)?.as_ref() != Some(&item.path) {
            return Ok(Settled::Problem(format!(
                "{} has a note of a restore that does not fit removal {id}; it is left alone",
                folder.path().display()
            )));
        }
    }
    for item in &items.items {
        if !change.is_in_trash(id, item.item)? || folder.has(item.item)? {
            continue;
        }
        // Only the thing that was on its way back; anything else at this path is not ours.
        // By its inode: the device of a file system may have another number after a reboot, and
        // it is that of the base directory, or looking had failed.
        let found = match entry_at(base, Path::new(&item.path), item.entry_type)? {
            Some(found) if found.inode == item.entry.inode => found,
            _ => continue,
        };
        let item = TrashItem {
            entry: found,
            ..item.clone()
        };
        folder.take(base, &item, &mut dirty)?;
        is_undone = true;
    }
    folder.sync()?;
    folder.sync_dirty(&dirty)?;
    folder.end_restoring()?;
    Ok(if is_undone {
        Settled::Undone
    } else {
        Settled::Nothing
    })
}
