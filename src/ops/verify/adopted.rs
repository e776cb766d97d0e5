//! Runs that were renamed by hand and scanned before the catalog was repaired: the old rows are
//! missing, and those that the scan made at the new path lack pins, scores and seals.
//!
//! Certain rather than complete: the missing arrays are by path and time those of one other run;
//! its rows come from scans, later ones, without pins and seals; and the files of metadata are
//! those that the old rows are about, not copies of them.

use std::path::Path;
use std::time::Duration;

use super::lost::{Arrays, below};
use crate::catalog::{Catalog, CatalogError};
use crate::error::Error;
use crate::model::artifact::{Artifact, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::layout;
use crate::store::{self, Base};

/// How long after its contents a file of metadata may last change by a writer that renames it to
/// its place. A copy that keeps times changes when it is made.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// Where to look for the runs that missing ones have become.
pub(super) struct Adopted<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) now: Timestamp,
}

impl Adopted<'_> {
    /// The one run that has the data of the run `old` and rows of a scan. `rows`: all in the folder
    /// of the old run.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be read.
    pub(super) fn new_name(&self, old: &str, rows: &[Artifact]) -> Result<Option<String>, Error> {
        let Some(first) = rows.iter().find(|row| is_missing_array(row)) else {
            return Ok(None);
        };
        let relative = below(old, &first.location().path());
        let mut runs = Vec::new();
        self.catalog.runs(&Filter::default(), self.now, |run| {
            runs.push(run.run);
            Ok::<_, Error>(())
        })?;
        let mut names = Vec::new();
        for run in runs.into_iter().filter(|run| run != old) {
            // One lookup of the first array spares a listing of most runs.
            let Ok(key) = layout::parse(&format!("{run}/{relative}")) else {
                continue;
            };
            let there = match self.catalog.at(&layout::canonical_location(&key)) {
                Ok(row) => row,
                Err(CatalogError::Row { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let is_like =
                |row: Artifact| row.origin == Origin::Scanned && row.written_at == first.written_at;
            if there.is_some_and(is_like)
                && self.are_one(old, &run, rows, &self.catalog.in_container(&run)?)
            {
                names.push(run);
            }
        }
        // Of two possible names neither is certain.
        Ok(match names.len() {
            1 => names.pop(),
            _ => None,
        })
    }

    /// Whether rows at the new path are about the data of the old rows, and bind nothing.
    pub(super) fn are_one(
        &self,
        old: &str,
        new: &str,
        rows: &[Artifact],
        there: &[Artifact],
    ) -> bool {
        let is_without_data = |row: &Artifact| {
            matches!(row.state, State::Missing | State::Reserved)
                && self.base.is_absent(&row.location().path())
        };
        let is_plain = |row: &Artifact| {
            row.state == State::Present
                && row.origin == Origin::Scanned
                && row.sealed_at.is_none()
                && row.pins.is_empty()
        };
        if !rows.iter().all(is_without_data) || !there.iter().all(is_plain) {
            return false;
        }
        let arrays = |folder: &str, rows: &[Artifact]| -> Arrays {
            let arrays = rows.iter().filter(|row| is_array(row));
            let arrays = arrays.filter(|row| row.state != State::Reserved);
            arrays
                .map(|row| (below(folder, &row.location().path()), row.written_at))
                .collect()
        };
        let gone = arrays(old, rows);
        let first_there = there.iter().map(|row| row.recorded_at).min();
        !gone.is_empty()
            && gone == arrays(new, there)
            && rows.iter().filter(|row| is_missing_array(row)).all(|row| {
                let path = format!("{new}/{}", below(old, &row.location().path()));
                let changed = store::changed_at(self.base, Path::new(&path));
                let written = row.written_at.map(|at| at.plus(WRITTEN_WITHIN));
                // A rename of a folder above leaves this time as it was when the row was made.
                changed.is_some_and(|at| at <= row.recorded_at || Some(at) <= written)
                    && first_there > Some(row.recorded_at)
            })
    }
}

fn is_array(row: &Artifact) -> bool {
    let kind = row.key.kind();
    !kind.is_container() && !kind.is_file()
}

pub(super) fn is_missing_array(row: &Artifact) -> bool {
    row.state == State::Missing && is_array(row)
}
