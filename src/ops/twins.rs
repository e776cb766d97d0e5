//! Whose data is at the path of a row: its own, or that of a run that was renamed by hand.

use std::collections::HashMap;
use std::path::Path;

use crate::catalog::{Catalog, Change};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::store::{self, Base};

/// The row of another run whose data is, by its time, at the path of a row and not at its own.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn owner(
    catalog: &Catalog,
    base: &Base,
    row: &Artifact,
    written_at: Timestamp,
) -> Result<Option<Artifact>, Error> {
    let kind = row.key.kind();
    if kind.is_container() || kind.is_file() || row.written_at.is_none_or(|at| at == written_at) {
        return Ok(None);
    }
    let twins = catalog.twins(row, written_at)?;
    Ok(twins.into_iter().find(|twin| !is_at_home(base, twin)))
}

/// Finds the artifacts whose data is that of a pinned row whose own place is without it: the pin
/// does not bind the row that a scan made where the data is. Gives the errors that refuse them.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn pinned_elsewhere<'a>(
    base: &Base,
    change: &Change<'_>,
    artifacts: impl Iterator<Item = &'a Artifact>,
) -> Result<HashMap<ArtifactId, Error>, Error> {
    let mut refused = HashMap::new();
    let runs = change.pinned_runs()?;
    if runs.is_empty() {
        return Ok(refused);
    }
    for row in artifacts {
        let kind = row.key.kind();
        if kind.is_container() || kind.is_file() {
            continue;
        }
        let path = row.location().path();
        // What is gone or cannot be read is the business of the other checks.
        let Ok(Some(written_at)) = store::written_at(base, Path::new(&path), kind) else {
            continue;
        };
        let twins = change.pinned_twins(row, written_at, &runs)?;
        if let Some(owner) = twins.into_iter().find(|twin| !is_at_home(base, twin)) {
            let error = Error::PinnedElsewhere {
                path: row.path(),
                owner: owner.location().path(),
                pins: owner.pins.join(", "),
            };
            refused.insert(row.id, error);
        }
    }
    Ok(refused)
}

/// Whether the data of a row is in its place, by its time. What cannot be read is not.
pub(crate) fn is_at_home(base: &Base, row: &Artifact) -> bool {
    let path = row.location().path();
    let seen = store::written_at(base, Path::new(&path), row.key.kind());
    row.written_at.is_some() && seen.is_ok_and(|seen| seen == row.written_at)
}
