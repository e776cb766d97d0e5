//! Lists the trash and empties it.

use std::time::Duration;

use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::progress::Monitor;
use crate::model::removal::{Removal, RemovalId, RemovalState};
use crate::ops::recover;
use crate::ops::remove::{Purging, purge_if};
use crate::store::{Base, PurgeReport};

/// What emptying the trash did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct EmptyReport {
    /// Removals that are purged completely.
    pub purged: Vec<RemovalId>,
    /// Removals that are not: something could not be unlinked, or another process purges them.
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

/// What of the trash is purged.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Emptied<'a> {
    /// All of it, or what was removed longer ago; and purges that were interrupted.
    OlderThan(Option<Duration>),
    /// These removals.
    Removals(&'a [RemovalId]),
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
    recover::settle_pending(catalog, base, now, None)?;
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
            return Err(Error::NoRemoval { id: id.to_string() });
        }
    }
    for removal in removals {
        let is_meant = match what {
            Emptied::Removals(ids) => ids.contains(&removal.id),
            // What is being unlinked cannot be restored any more, so it goes on at any age.
            Emptied::OlderThan(age) => {
                removal.state != RemovalState::Kept
                    || age.is_none_or(|age| removal.removed_at < now.minus(age))
            }
        };
        if !is_meant {
            continue;
        }
        let Some(purge) = purge_if(&purging, &removal.id, |_| true)? else {
            continue;
        };
        let list = if purge.is_done {
            &mut report.purged
        } else {
            &mut report.left
        };
        list.push(removal.id);
        report.purge.merge(purge);
    }
    Ok(report)
}
