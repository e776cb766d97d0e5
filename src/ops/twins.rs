//! Whose data is at the path of a row: its own, or that of a run that was renamed by hand.

use std::path::Path;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::Artifact;
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

/// Whether the data of a row is in its place, by its time. What cannot be read is not.
pub(crate) fn is_at_home(base: &Base, row: &Artifact) -> bool {
    let path = row.location().path();
    let seen = store::written_at(base, Path::new(&path), row.key.kind());
    row.written_at.is_some() && seen.is_ok_and(|seen| seen == row.written_at)
}
