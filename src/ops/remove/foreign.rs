//! Data that is another run's by its time: a run was renamed by hand to the name of another one.
//! And data that is gone, by the same look, and lives on under another name: see `moved`.
//!
//! A pin binds the row under the name that the run had, and not what is here now. So such data is
//! removed after its rows followed it, or by force.

use std::collections::HashMap;

use super::moved::Moved;
use super::plan::{PlannedItem, RemovalPlan};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::progress::{Monitor, Phase};
use crate::ops::{refresh, twins};
use crate::store::{self, Base, Event, StorageError, WalkOptions};

/// The errors of items with data of another run, or whose data was renamed by hand, by their paths.
/// One look at the metadata of each array, by several threads; `moved` looks for what is gone.
///
/// # Errors
/// [`Error`] if the catalog cannot be read, or the monitor cancels.
pub(super) fn of_other_runs(
    catalog: &Catalog,
    base: &Base,
    plan: &RemovalPlan,
    moved: &mut Moved<'_>,
    monitor: &dyn Monitor,
) -> Result<HashMap<String, Error>, Error> {
    let rows: HashMap<i64, (&PlannedItem, &Artifact)> = plan
        .items
        .iter()
        .flat_map(|item| {
            item.artifacts
                .iter()
                .map(move |row| (row.id.0, (item, row)))
        })
        // Containers have no time to compare.
        .filter(|(_, (_, row))| !row.key.kind().is_container())
        .collect();
    let mut errors = HashMap::new();
    // Right after a training no row has a time: its containers are not asked about row by row.
    let mut owners = twins::Owners::new(catalog, base);
    if rows.is_empty() {
        return Ok(errors);
    }
    monitor.begin(Phase::Verify, Some(rows.len() as u64));
    let mut gone = Vec::new();
    let looks = rows.values().map(|(_, row)| refresh::look(row)).collect();
    store::look_at(base, WalkOptions::default(), monitor, looks, |event| {
        // What cannot be read is the removal's own checks' to refuse.
        let Event::Looked(id, seen) = event else {
            return Ok(());
        };
        let Some(&(item, row)) = rows.get(&id) else {
            return Ok(());
        };
        let Some(seen) = seen else {
            gone.push((item, row));
            return Ok(());
        };
        let owner = match row.written_at {
            Some(_) => twins::owner(catalog, base, row, seen.written_at)?,
            None => owners.of(row, seen.written_at)?,
        };
        if let Some(owner) = owner {
            errors
                .entry(item.path.clone())
                .or_insert(Error::OfAnotherRun {
                    path: row.path(),
                    owner: owner.path(),
                });
        }
        Ok::<_, Error>(())
    })?;
    monitor.end();
    // A look that was cut short has not seen all.
    if monitor.is_cancelled() {
        let path = base.path().to_path_buf();
        return Err(StorageError::Interrupted { path }.into());
    }
    for (item, error) in moved.find(gone, |place| catalog.at(place))? {
        errors.entry(item.path.clone()).or_insert(error);
    }
    Ok(errors)
}
