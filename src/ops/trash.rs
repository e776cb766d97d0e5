//! Lists the trash and empties it.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::catalog::{Catalog, KeptItem};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::layout;
use crate::model::name::REGISTRY_DIR;
use crate::model::nearest::nearest;
use crate::model::progress::Monitor;
use crate::model::removal::{Removal, RemovalId, RemovalState};
use crate::ops::others::OtherUse;
use crate::ops::recover;
use crate::ops::remove::{Purging, purge_if};
use crate::ops::room::with_room;
use crate::store::{self, Base, OthersCount, PurgeReport};

/// What emptying the trash did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct EmptyReport {
    /// Removals that are purged completely.
    pub purged: Vec<RemovalId>,
    /// Removals that are not: something could not be unlinked, another process purges them, or the
    /// monitor cancelled.
    pub left: Vec<RemovalId>,
    /// What was unlinked, and what could not be.
    pub purge: PurgeReport,
}

/// Returns the removals whose data is in the trash, oldest first.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn removals(catalog: &Catalog) -> Result<Vec<Removal>, Error> {
    let mut removals = catalog.open_removals()?;
    // Not by id alone: its time has a resolution of a second.
    removals.sort_by(|a, b| (a.removed_at, &a.id).cmp(&(b.removed_at, &b.id)));
    Ok(removals)
}

/// Artifacts of a removal up to which its other data is looked for: each row is read for that.
const MOST_ARTIFACTS: u64 = 100_000;

/// Counts what lies in the trash of each removal beside its artifacts: checkpoints, logs and the
/// like, which went with the folder of a run or with a container. `None` for a removal that is being
/// purged, in which something could not be read, or that has very many artifacts.
///
/// # Errors
/// [`Error`] if the catalog cannot be read, or the monitor cancels.
pub(crate) fn others(
    catalog: &Catalog,
    base: &Base,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<RemovalId, Option<OtherUse>>, Error> {
    let mut found = BTreeMap::new();
    for removal in removals(catalog)? {
        let is_few = removal.artifacts <= MOST_ARTIFACTS;
        // What is being unlinked changes while it is counted.
        let is_countable = is_few && removal.state == RemovalState::Kept;
        found.insert(removal.id, is_countable.then(OtherUse::default));
    }
    let mut items = Vec::new();
    catalog.kept_items(|item| {
        items.push(item);
        Ok::<_, Error>(())
    })?;
    for item in &items {
        let Some(sum) = found.get_mut(&item.removal) else {
            continue;
        };
        let Some(others) = sum else { continue };
        match of_item(catalog, base, item, monitor)? {
            Some(count) => others.merge(count),
            None => *sum = None,
        }
    }
    Ok(found)
}

/// The same of an item.
fn of_item(
    catalog: &Catalog,
    base: &Base,
    item: &KeptItem,
    monitor: &dyn Monitor,
) -> Result<Option<OthersCount>, Error> {
    let folder = Path::new(REGISTRY_DIR)
        .join("trash")
        .join(item.removal.as_str())
        .join(item.item.to_string());
    let mut counted = HashSet::new();
    for artifact in catalog.view_removals(|view| view.of_item(&item.removal, item.item))? {
        let path = layout::locate(&artifact.key).path();
        // The size of a container is that of its arrays.
        if let Ok(below) = Path::new(&path).strip_prefix(&item.path)
            && !artifact.key.kind().is_container()
        {
            counted.insert(folder.join(below));
        }
    }
    // An array or a checkpoint by itself.
    if counted.contains(&folder) {
        return Ok(Some(OthersCount::default()));
    }
    let is_counted = |path: &Path| counted.contains(path);
    let count = store::count_others(base, [folder], &is_counted, monitor)?;
    Ok(count.notices.is_empty().then_some(count))
}

/// What of the trash is purged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Emptied<'a> {
    /// All of it, or what was removed longer ago or is past its own time; and purges that were
    /// interrupted.
    OlderThan(Option<Duration>),
    /// These removals.
    Removals(&'a [RemovalId]),
}

/// The error of an id that no removal has, with the most similar one of a removal in the trash.
pub(crate) fn no_removal(catalog: &Catalog, id: &RemovalId) -> Error {
    Error::NoRemoval {
        id: id.to_string(),
        nearest: nearest_id(catalog, id.to_string().as_str()),
    }
}

/// The id of a removal in the trash of which a text is the start, or that differs in a few
/// characters. Ids of one day are alike in most, so that being similar is not enough.
pub(crate) fn nearest_id(catalog: &Catalog, typed: &str) -> Option<String> {
    /// Characters in which a mistyped id differs.
    const MOST: usize = 3;
    /// Characters of the day, by which alone no removal is meant.
    const DAY: usize = 9;
    // What cannot be read is no answer; the error says what was asked for all the same.
    let ids = removals(catalog).ok()?.into_iter();
    let ids: Vec<String> = ids.map(|removal| removal.id.to_string()).collect();
    let is_meant = |id: &&String| {
        typed.len() > DAY && id.starts_with(typed) || strsim::levenshtein(typed, id) <= MOST
    };
    nearest(typed, ids.iter().filter(is_meant).map(String::as_str)).map(str::to_owned)
}

/// Purges the trash, or a part of it.
///
/// # Errors
/// [`Error::NoRemoval`] if a removal that is named is not in the trash; nothing is purged then. Any
/// other [`Error`] if the trash cannot be read or the catalog fails.
pub(crate) fn empty_trash(
    catalog: &Catalog,
    base: &Base,
    what: Emptied<'_>,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<EmptyReport, Error> {
    // First: data of a restore that was killed must be in the trash again, or back for good. Again,
    // although opening the registry did this: a handle may stay open for days.
    with_room(catalog, || {
        recover::settle_pending(catalog, base, now, None).map(drop)
    })?;
    let mut report = EmptyReport::default();
    report.purge.is_done = true;
    let purging = Purging {
        catalog,
        base,
        now,
        deadline: None,
        monitor,
    };
    let removals = removals(catalog)?;
    if let Emptied::Removals(ids) = what {
        let is_there = |id: &RemovalId| removals.iter().any(|removal| removal.id == *id);
        if let Some(id) = ids.iter().find(|id| !is_there(id)) {
            return Err(no_removal(catalog, id));
        }
    }
    for removal in removals {
        let is_meant = match what {
            Emptied::Removals(ids) => ids.contains(&removal.id),
            // What is being unlinked cannot be restored any more, so it goes on at any age.
            Emptied::OlderThan(age) => {
                let is_due = removal.purge_after.is_some_and(|time| time <= now);
                removal.state != RemovalState::Kept
                    // As after each command that changed something.
                    || is_due
                    || age.is_none_or(|age| removal.removed_at < now.minus(age))
            }
        };
        if !is_meant {
            continue;
        }
        // Before the state changes: the rest can still be restored.
        if monitor.is_cancelled() {
            report.purge.is_done = false;
            report.left.push(removal.id);
            continue;
        }
        let purge = with_room(catalog, || purge_if(&purging, &removal.id, |_| true));
        let Some(purge) = purge? else { continue };
        let list = if purge.is_done {
            &mut report.purged
        } else {
            &mut report.left
        };
        list.push(removal.id);
        report.purge.merge(purge);
        // With what was freed.
        catalog.keep_reserve();
    }
    Ok(report)
}
