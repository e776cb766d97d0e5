//! Unlinking what a removal left in the trash, and the empty folders that it left in its run.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use crate::catalog::{Catalog, OpenRemoval};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::layout;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase};
use crate::model::removal::{RemovalId, RemovalState};
use crate::store::{
    self, Base, EntryType, PurgeOptions, PurgeReport, StorageError, Trash, TrashFolder, TrashItem,
};

/// Removes folders in containers that are empty now. Containers stay, and so do folders of
/// checkpoints. If the removal is cancelled, the remaining empty folders stay too: they do no harm,
/// and later another process may be about to write there.
pub(crate) fn drop_empty(base: &Base, items: &[TrashItem], monitor: &dyn Monitor) {
    let parents = items
        .iter()
        .filter(|item| item.entry_type == EntryType::Folder)
        .filter_map(|item| Some(item.path.rsplit_once('/')?.0));
    let containers: HashSet<String> = items
        .iter()
        .filter_map(|item| Some(layout::split(&item.path).ok()?.container))
        .collect();
    store::remove_empty_folders(base, parents, |path| match layout::split(path) {
        _ if monitor.is_cancelled() => true,
        // The name of a run may look like a checkpoint's, or like that of an array in a container
        // without an ending: only what is in the container of an item is emptied.
        Ok(place) => {
            place.is_checkpoint() || place.array.is_none() || !containers.contains(&place.container)
        }
        // What can be no path of an artifact is not ours to remove.
        Err(_) => true,
    });
}

/// Step 7: unlinks the data of a removal in state [`RemovalState::Purging`] and marks it as purged.
///
/// The report says that it is not done if another process purges it or the deadline passes. If
/// nothing was unlinked yet, and not even one file can be, the removal is kept from then on and can
/// be restored. `kept`: the lock of a removal that was kept until now.
///
/// # Errors
/// [`Error`] if the trash cannot be read or the catalog cannot be written. What cannot be unlinked
/// is in the report.
pub(crate) fn purge(
    catalog: &Catalog,
    base: &Base,
    id: &RemovalId,
    now: Timestamp,
    deadline: Option<Instant>,
    kept: Option<OwnedFd>,
    monitor: &dyn Monitor,
) -> Result<PurgeReport, Error> {
    let mut report = PurgeReport {
        is_done: true,
        ..PurgeReport::default()
    };
    let set_state = |state, ended_at| {
        catalog.change(NewOperation::new(Action::Purge, now), |change| {
            change.set_state(id, state, ended_at).map_err(Error::from)
        })
    };
    if let Some(trash) = Trash::open(base)?
        && let Some(folder) = trash.folder(id)?
    {
        // Of several processes one purges it, and the others leave that to it.
        let lock = match kept {
            Some(lock) => Some(lock),
            None => folder.lock()?,
        };
        let removal = match lock {
            Some(lock) => catalog.removal(id)?.map(|removal| (lock, removal)),
            None => None,
        };
        // Another process may have taken it back before it let the lock go.
        let Some((lock, removal)) =
            removal.filter(|(_, removal)| removal.state == RemovalState::Purging)
        else {
            return Ok(PurgeReport {
                is_done: false,
                ..report
            });
        };
        let total = removal.total;
        // A bar needs the whole count, or none.
        let counted = (total.uncounted == 0 && total.files > 0).then_some(total);
        let options = PurgeOptions {
            deadline,
            mean_bytes: counted.map_or(0, |total| total.bytes.0 / total.files),
        };
        let manifest = folder.manifest()?;
        // Before the first unlink: recovery never puts back a folder whose purge has begun.
        let is_whole = folder.begin_purge()?;
        monitor.begin(Phase::Purge, counted.map(|total| total.files));
        report = store::purge(&folder, manifest.as_ref(), options, monitor)?;
        monitor.end();
        if report.is_done {
            report.is_done = trash.remove_folder(id)?;
        } else if is_whole && report.failed > 0 && report.is_untouched() {
            // Nothing is lost yet, so it can still be restored.
            folder.take_back_purge()?;
            set_state(RemovalState::Kept, None)?;
        }
        drop(lock);
    }
    // Also if there is no folder: an earlier purge was killed before it could mark the removal.
    if report.is_done {
        set_state(RemovalState::Purged, Some(now))?;
    }
    Ok(report)
}

/// Purges a removal that may still be kept, if `is_wanted`. `None` if it is over or not wanted.
///
/// A kept one whose data may not be unlinked stays as it is, and the report names what is in the
/// way.
///
/// # Errors
/// As [`purge`].
pub(crate) fn purge_if(
    on: &Purging<'_>,
    id: &RemovalId,
    is_wanted: impl Fn(&OpenRemoval) -> bool,
) -> Result<Option<PurgeReport>, Error> {
    let Purging {
        catalog,
        base,
        now,
        deadline,
        monitor,
    } = *on;
    let state = || -> Result<_, Error> { Ok(catalog.removal(id)?.map(|removal| removal.state)) };
    let mut lock = None;
    if state()? == Some(RemovalState::Kept)
        && let Some(trash) = Trash::open(base)?
        && let Some(folder) = trash.folder(id)?
    {
        // Before the state changes: what this user may not unlink stays restorable.
        let checked = folder.manifest();
        let checked = checked.and_then(|manifest| store::check_purge(&folder, manifest.as_ref()));
        if let Err(error) = checked {
            let mut report = PurgeReport::default();
            let (path, reason) = in_the_way(base, error);
            report.fail(path, reason);
            return Ok(Some(report));
        }
        lock = folder.lock()?;
        // A process that purges it has said so by now; any user who may open the folder can lock it.
        if lock.is_none() && state()? == Some(RemovalState::Kept) {
            let mut report = PurgeReport::default();
            let reason = "another process has locked this folder; nothing of it was unlinked";
            report.fail(folder.path().to_path_buf(), reason.to_owned());
            return Ok(Some(report));
        }
    }
    let found = catalog.change(NewOperation::new(Action::Purge, now), |change| {
        let Some(open) = change.removal(id)?.filter(&is_wanted) else {
            return Ok(None);
        };
        if open.state == RemovalState::Kept {
            change.set_state(id, RemovalState::Purging, None)?;
        }
        Ok::<_, Error>(Some(open.state))
    })?;
    match found {
        // The commit above was durable, so every earlier commit is durable too.
        Some(RemovalState::Kept) => {}
        Some(RemovalState::Purging) => catalog.sync_log()?,
        _ => return Ok(None),
    }
    let kept = lock.filter(|_| found == Some(RemovalState::Kept));
    purge(catalog, base, id, now, deadline, kept, monitor).map(Some)
}

/// Why this user may not unlink the data of a removal; `None` if nothing that can be found out
/// beforehand is in the way.
pub(crate) fn refused_purge(base: &Base, folder: &TrashFolder) -> Option<String> {
    let checked = folder.manifest();
    let checked = checked.and_then(|manifest| store::check_purge(folder, manifest.as_ref()));
    let (path, reason) = in_the_way(base, checked.err()?);
    Some(format!("{} cannot be unlinked: {reason}", path.display()))
}

/// The path of what keeps a purge from beginning, and the reason.
fn in_the_way(base: &Base, error: StorageError) -> (PathBuf, String) {
    let path = error.path().to_owned();
    let is_permission = error.is_permission();
    let reason = match error {
        StorageError::Untrusted { why, .. } => why,
        StorageError::Io { source, .. } => match store::whose_rights(base, &path) {
            Some(whose) if is_permission => format!("{source}; {whose}"),
            _ => source.to_string(),
        },
        error => error.to_string(),
    };
    (path, reason)
}

/// Context of a purge.
#[derive(Clone, Copy)]
pub(crate) struct Purging<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) base: &'a Base,
    pub(crate) now: Timestamp,
    /// When to stop, done or not.
    pub(crate) deadline: Option<Instant>,
    pub(crate) monitor: &'a dyn Monitor,
}
