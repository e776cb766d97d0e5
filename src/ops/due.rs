//! What is due in the trash: purges that were interrupted, and removals whose time there is over.

use std::time::{Duration, Instant};

use crate::catalog::{Catalog, OpenRemoval};
use crate::error::Error;
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;
use crate::model::progress::{Monitor, Silent};
use crate::model::removal::{RemovalId, RemovalState};
use crate::ops::remove::{self, Purging};
use crate::store::{Base, ManifestItems, Trash};

/// An open, or a change, goes on with purges for this long; `trash empty` goes on until it is done.
const PURGE_FOR: Duration = Duration::from_secs(2);

/// Whether a removal is being purged, or its time in the trash is over.
pub(crate) fn is_due(open: &OpenRemoval, now: Timestamp) -> bool {
    open.state == RemovalState::Purging || open.purge_after.is_some_and(|time| time <= now)
}

/// What became of purges that were due.
#[derive(Debug, Default)]
pub(crate) struct Purged {
    /// Those that are done.
    pub(crate) done: Vec<RemovalId>,
    /// Why others are not, as text.
    pub(crate) problems: Vec<String>,
}

/// Purges these removals, as far as they are due, for a moment.
///
/// # Errors
/// [`Error`] if the catalog cannot be read or written. What cannot be purged is in the result.
pub(crate) fn purge_all(
    catalog: &Catalog,
    base: &Base,
    due: &[RemovalId],
    now: Timestamp,
) -> Result<Purged, Error> {
    let mut purged = Purged::default();
    // For all of them together: the open that purges has a command to answer.
    let deadline = Instant::now() + PURGE_FOR;
    for id in due {
        match purge_due(catalog, base, id, now, Some(deadline), &Silent) {
            Ok(true) => purged.done.push(id.clone()),
            Ok(false) => {}
            Err(error) if error.ends_all() => return Err(error),
            Err(error) => purged
                .problems
                .push(format!("removal {id}: {}", with_causes(&error))),
        }
    }
    Ok(purged)
}

/// Purges what was kept and is due now. A handle that stays open for long gets to it with each
/// removal.
///
/// # Errors
/// [`Error`] if the catalog cannot be read or written.
pub(crate) fn purge_expired(catalog: &Catalog, base: &Base, now: Timestamp) -> Result<(), Error> {
    let is_expired = |open: &OpenRemoval| open.state == RemovalState::Kept && is_due(open, now);
    let open = catalog.open_states()?.into_iter();
    let due: Vec<_> = open
        .filter(|(_, open)| is_expired(open))
        .map(|(id, _)| id)
        .collect();
    // What cannot be purged here is reported by the next open.
    purge_all(catalog, base, &due, now).map(drop)
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
    let purging = Purging {
        catalog,
        base,
        now,
        deadline,
        monitor,
    };
    // A killed removal may have left empty folders. What another user may have written names no
    // folders to remove.
    if let Some(items) = items_of(base, id)?
        && items.claim.is_own()
        && !items.keep_parents
    {
        remove::drop_empty(base, &items.items, monitor);
    }
    let report = remove::purge_if(&purging, id, |open| is_due(open, now))?;
    Ok(report.is_some_and(|report| report.is_done))
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
