//! Carrying a planned removal out: what comes before and after its transaction.
//!
//! Before: the daily backup of the catalog, and purging what is due. On a full disk the removal has
//! the reserve beside the catalog, because even deleting rows needs space in the log.

use std::collections::HashMap;
use std::path::PathBuf;

use super::context::Removing;
use super::foreign::of_other_runs;
use super::moved::Moved;
use super::plan::{PlannedItem, RemovalPlan};
use super::protection::Protection;
use super::report::{BackupFailure, RemovalReport, RemoveOptions};
use super::transaction;
use crate::catalog::{Catalog, CatalogError};
use crate::error::Error;
use crate::model::artifact::State;
use crate::model::causes::with_causes;
use crate::model::progress::Silent;
use crate::ops::held::Held;
use crate::ops::room::with_room;
use crate::ops::{due, twins};
use crate::store::StorageError;

/// Returns the artifacts of a plan that a pin or a best link binds, also under the name that their
/// run had before a rename by hand, and the items that hold such data without a row, that another
/// registry lies in, that are another run's by their times, whose data was renamed by hand, that
/// lie in a removal which was interrupted, or that this user may not move, or not unlink whole if they are not kept. Changes nothing.
///
/// # Errors
/// [`Error`] if a best link or the catalog cannot be read.
pub(crate) fn protected(
    on: &Removing<'_>,
    plan: &RemovalPlan,
    options: &RemoveOptions,
) -> Result<Vec<(PathBuf, Error)>, Error> {
    let (catalog, base) = (on.catalog, on.base);
    let look_for = on.look_for(options.keep);
    let options = RemoveOptions {
        // The rows are compared with themselves, and the disk is compared when it is carried out.
        unchanged: false,
        ..options.clone()
    };
    let mut protection = Protection::new(base, &options);
    let mut elsewhere = match options.force_pinned {
        true => HashMap::new(),
        false => catalog.view_pins(|view| twins::pinned_elsewhere(base, view, plan.artifacts()))?,
    };
    let held_back = Held::of(catalog, base)?;
    let mut protected = Vec::new();
    let all = plan.items.iter();
    let all = all.flat_map(|item| item.artifacts.iter().map(move |artifact| (item, artifact)));
    for (item, artifact) in all {
        let checked = match elsewhere.remove(&artifact.id) {
            Some(error) => Err(error),
            None => protection.check(artifact, artifact),
        };
        let path = artifact.location().path();
        let checked = checked.and_then(|()| match artifact.state {
            State::Reserved => Ok(()),
            _ => held_back.refusal(base, &path).map_or(Ok(()), Err),
        });
        match checked.map_err(|error| transaction::explained(base, item, error)) {
            Ok(()) => {}
            Err(
                error @ (Error::Pinned { .. }
                | Error::PinnedElsewhere { .. }
                | Error::BestLinked { .. }
                // What this user may not open is refused or skipped, and the rest can go.
                | Error::Storage(StorageError::NotMovable { .. })),
            ) => protected.push((artifact.path(), error)),
            Err(error) => return Err(error),
        }
    }
    let mut held = transaction::kept_inside(base, plan, look_for, &Silent)?;
    if !options.force_pinned {
        let mut moved = Moved::new(base, plan, |item| held.contains_key(&item.path));
        held.extend(of_other_runs(catalog, base, plan, &mut moved, &Silent)?);
    }
    for item in &plan.items {
        if held.contains_key(&item.path) {
            continue;
        }
        let error = match transaction::unmovable(base, item) {
            None => unknown_bound(catalog, &mut protection, item)?,
            error => error,
        };
        held.extend(error.map(|error| (item.path.clone(), error)));
    }
    // What the artifacts of an item say already is not said of it again.
    let is_new = |path: &str| {
        let path = base.path().join(path);
        !protected.iter().any(|(one, _)| one.starts_with(&path))
    };
    held.retain(|path, _| is_new(path));
    let held = plan.items.iter().filter_map(|item| {
        let error = held.remove(&item.path)?;
        Some((base.path().join(&item.path), error))
    });
    protected.extend(held);
    Ok(protected)
}

/// The error of an item in which a pin or a best link binds something without a row.
///
/// # Errors
/// [`Error`] if the catalog or a best link cannot be read.
fn unknown_bound(
    catalog: &Catalog,
    protection: &mut Protection<'_>,
    item: &PlannedItem,
) -> Result<Option<Error>, Error> {
    match catalog.view_pins(|view| protection.check_unknown(view, item)) {
        Ok(()) => Ok(None),
        Err(
            error @ (Error::Pinned { .. }
            | Error::PinnedElsewhere { .. }
            | Error::BestLinked { .. }),
        ) => Ok(Some(error)),
        // The removal itself refuses what cannot be listed.
        Err(Error::Storage(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Backs the catalog up, then removes.
///
/// # Errors
/// As [`remove_backed_up`], and if the backup finds the catalog damaged.
pub(crate) fn carry_out(
    on: &Removing<'_>,
    plan: &RemovalPlan,
    options: &RemoveOptions,
) -> Result<RemovalReport, Error> {
    // Nothing goes, so there is nothing to save before.
    let backup_failed = match plan.items.is_empty() {
        true => None,
        false => back_up_first(on)?,
    };
    let mut report = remove_backed_up(on, plan, options)?;
    report.backup_failed = backup_failed;
    Ok(report)
}

/// Makes the backup that is due before a removal. A backup that fails is reported and does not stop
/// the removal: freeing space may be just what makes room for the next one.
///
/// # Errors
/// [`Error::NoFolder`]; [`Error::Catalog`] if the catalog is damaged or cannot be changed at all.
pub(crate) fn back_up_first(on: &Removing<'_>) -> Result<Option<BackupFailure>, Error> {
    on.require_folder()?;
    match on.catalog.back_up_daily(on.now, on.monitor) {
        Ok(_) => Ok(None),
        Err(
            // With the first nothing may be removed; with the others the removal would fail too.
            error @ (CatalogError::Damaged { .. }
            | CatalogError::ReadOnly { .. }
            | CatalogError::AtKeeper { .. }
            | CatalogError::Forked { .. }),
        ) => Err(error.into()),
        Err(error) => Ok(Some(BackupFailure {
            code: error.code(),
            reason: with_causes(&error),
        })),
    }
}

/// Removes without a backup.
///
/// # Errors
/// [`Error`] if anything cannot be removed, except what `keep_going` leaves out; then everything is
/// as before.
pub(crate) fn remove_backed_up(
    on: &Removing<'_>,
    plan: &RemovalPlan,
    options: &RemoveOptions,
) -> Result<RemovalReport, Error> {
    on.require_folder()?;
    let result = with_room(on.catalog, || transaction::remove(on, plan, options));
    if result.is_ok() {
        // A handle that stays open for days opens nothing that would purge what is due. The removal
        // is done, and what cannot be purged now is the next one's.
        let _ = due::purge_expired(on.catalog, on.base, on.now);
    }
    // Also after a removal that failed: another process may have freed space.
    on.catalog.keep_reserve();
    result
}
