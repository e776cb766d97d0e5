//! Unlinking what a removal left in the trash, and the empty folders that it left in its run.

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::layout;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase};
use crate::model::removal::{RemovalId, RemovalState};
use crate::store::{self, Base, EntryType, PurgeOptions, PurgeReport, Trash, TrashItem};

/// Removes folders below a run that are empty now, up to and including the container. Folders of
/// checkpoints stay. If the removal is cancelled, the remaining empty folders stay too: they do no
/// harm, and later another process may be about to write there.
pub(crate) fn drop_empty(
    catalog: &Catalog,
    base: &Base,
    items: &[TrashItem],
    monitor: &dyn Monitor,
) {
    let parents = items
        .iter()
        .filter(|item| item.entry_type == EntryType::Folder)
        .filter_map(|item| Some(item.path.rsplit_once('/')?.0));
    store::remove_empty_folders(base, parents, |path| match layout::split(path) {
        _ if monitor.is_cancelled() => true,
        // The name of a run may look like a checkpoint's.
        Ok(place) if place.is_checkpoint() => true,
        Ok(place) => place.array.is_none() && !matches!(catalog.at(&place), Ok(None)),
        Err(_) => true,
    });
}

/// Step 7: unlinks the data of a removal in state [`RemovalState::Purging`] and marks it as purged.
///
/// The report says that it is not done if another process purges it or the deadline passes.
///
/// # Errors
/// [`Error`] if the trash cannot be read or the catalog cannot be written. What cannot be unlinked
/// is in the report.
pub(crate) fn purge(
    catalog: &Catalog,
    base: &Base,
    id: &RemovalId,
    now: Timestamp,
    deadline: Option<std::time::Instant>,
    monitor: &dyn Monitor,
) -> Result<PurgeReport, Error> {
    let mut report = PurgeReport {
        is_done: true,
        ..PurgeReport::default()
    };
    if let Some(trash) = Trash::open(base)?
        && let Some(folder) = trash.folder(id)?
    {
        let Some(lock) = folder.lock()? else {
            return Ok(PurgeReport {
                is_done: false,
                ..report
            });
        };
        let total = catalog.removal(id)?.map(|removal| removal.total);
        let counted = total.filter(|total| total.uncounted == 0 && total.files > 0);
        let options = PurgeOptions {
            deadline,
            mean_bytes: counted.map_or(0, |total| total.bytes.0 / total.files),
        };
        folder.begin_purge()?;
        monitor.begin(Phase::Purge, counted.map(|total| total.files));
        report = store::purge(&folder, options, monitor)?;
        monitor.end();
        if report.is_done {
            report.is_done = trash.remove_folder(id)?;
        }
        drop(lock);
    }
    if report.is_done {
        catalog.change(NewOperation::new(Action::Purge, now), |change| {
            change
                .set_state(id, RemovalState::Purged, Some(now))
                .map_err(Error::from)
        })?;
    }
    Ok(report)
}
