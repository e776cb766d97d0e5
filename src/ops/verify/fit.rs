//! Whether the data of a folder's rows is at another path: a run or container that was renamed.
//!
//! By relative path and time, and by the files themselves: a rename of a folder above leaves the
//! time of their last change as it was when the row was made, and a copy does not. Whether rows say
//! that their data is present or missing makes no difference.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use super::lost::{below, is_seen_array};
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::artifact::{Artifact, Origin, State};
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::name::RunName;
use crate::ops::scan;
use crate::ops::twins;
use crate::store::{self, Base};

/// How long after its contents a file of metadata may last change by a writer that renames it to
/// its place. A copy that keeps times changes when it is made.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);

/// The rows of a run, or of a container.
pub(super) struct FolderRows {
    pub(super) folder: String,
    /// Its name, if it is a run.
    pub(super) run: Option<RunName>,
    /// Without those of other runs in its folder.
    pub(super) rows: Vec<Artifact>,
}

impl FolderRows {
    /// `rows`: all in the folder.
    pub(super) fn new(folder: &str, mut rows: Vec<Artifact>) -> Self {
        let run = folder.parse::<RunName>().ok();
        let run = run.filter(|run| rows.iter().any(|row| row.key.run() == run));
        if let Some(run) = &run {
            rows.retain(|row| row.key.run() == run);
        }
        Self {
            folder: folder.to_owned(),
            run,
            rows,
        }
    }

    /// The key of a row in the folder of another name.
    fn key_in(&self, new: &str, row: &Artifact) -> Option<Key> {
        if self.run.is_some() {
            return Some(row.key.clone().with_run(new.parse().ok()?));
        }
        // A container: its new path says what its arrays are, as for a scan.
        let path = format!("{new}/{}", below(&self.folder, &row.location().path()));
        // Nothing is below the container itself.
        let path = path.trim_end_matches('/');
        let key = scan::read(Path::new(path)).ok()?;
        (layout::canonical_location(&key).path() == path).then_some(key)
    }
}

/// The rows of a folder at another path, where their data is.
pub(super) struct Fit {
    /// Number of arrays that are there.
    pub(super) arrays: usize,
    /// How many of them a scan took for new ones.
    pub(super) adopted: usize,
    /// Whether the files are those that the rows are about.
    pub(super) is_proven: bool,
    /// Rows, as they are and as they become.
    pub(super) rows: Vec<(Artifact, Artifact)>,
    /// Rows of scans that are about this data, and bind nothing.
    pub(super) replaced: Vec<Artifact>,
    /// Rows of other data at the paths, and whether each may be dropped.
    pub(super) occupants: Vec<(Artifact, bool)>,
}

impl Fit {
    /// Whether the rows of another folder are those that scans made of this data, and bind nothing.
    pub(super) fn is_copied_by(&self, other: &Self) -> bool {
        let rows: HashMap<String, &Artifact> = self
            .rows
            .iter()
            .map(|(before, after)| (after.location().path(), before))
            .collect();
        other.rows.iter().all(|(before, after)| {
            let row = rows.get(&after.location().path());
            let is_about_this = row.is_some_and(|row| is_later_copy_of(before, row));
            let is_free = before.pins.is_empty() && before.sealed_at.is_none();
            is_about_this || is_free && !is_seen_array(before)
        })
    }

    /// A row at one of the paths that neither moves nor may be dropped.
    pub(super) fn blocked_by(&self, moving: &HashSet<i64>) -> Option<&Artifact> {
        let mut occupants = self.occupants.iter();
        let found = occupants.find(|(row, is_free)| !is_free && !moving.contains(&row.id.0));
        found.map(|(row, _)| row)
    }
}

/// Whether the data of a folder's rows, and none of it elsewhere, is in the folder `new`.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(super) fn fit(
    base: &Base,
    old: &FolderRows,
    new: &str,
    mut at: impl FnMut(&Location) -> Result<Option<Artifact>, CatalogError>,
) -> Result<Option<Fit>, Error> {
    let mut fit = Fit {
        arrays: 0,
        adopted: 0,
        is_proven: true,
        rows: Vec::new(),
        replaced: Vec::new(),
        occupants: Vec::new(),
    };
    for row in &old.rows {
        let Some(key) = old.key_in(new, row) else {
            return Ok(None);
        };
        let place = layout::canonical_location(&key);
        let Some(is_there) = is_there(base, row, &place.path()) else {
            return Ok(None);
        };
        let is_array = is_seen_array(row);
        let is_proven = is_there && (!is_array || is_same_file(base, row, &place.path()));
        if is_there && is_array {
            fit.arrays += 1;
            fit.is_proven &= is_proven;
        }
        match at(&place) {
            Ok(None) => {}
            // A scan took the data for new when it lay elsewhere, and it is back where it was.
            Ok(Some(other)) if is_there && is_later_copy_of(row, &other) => return Ok(None),
            Ok(Some(other)) => {
                let is_free = other.pins.is_empty() && other.sealed_at.is_none();
                // A row that says that this data is gone is about it all the same.
                let is_of_this = matches!(other.state, State::Present | State::Missing)
                    && is_there
                    && other.written_at == row.written_at;
                if !is_of_this {
                    let is_free = is_free && !is_seen_array(&other);
                    fit.occupants.push((other, is_free));
                } else if is_free
                    && other.origin == Origin::Scanned
                    && is_proven
                    && (other.recorded_at, other.id) > (row.recorded_at, row.id)
                {
                    fit.adopted += usize::from(is_array);
                    fit.replaced.push(other);
                } else {
                    return Ok(None);
                }
            }
            Err(CatalogError::Row { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let state = match is_there {
            true => State::Present,
            false => row.state,
        };
        let after = Artifact {
            key,
            state,
            ..row.clone()
        };
        fit.rows.push((row.clone(), after));
    }
    Ok((fit.arrays > 0).then_some(fit))
}

/// Whether a row is one that a scan made of the data of an older row, and binds nothing.
pub(super) fn is_later_copy_of(row: &Artifact, other: &Artifact) -> bool {
    row.origin == Origin::Scanned
        && row.pins.is_empty()
        && row.sealed_at.is_none()
        && row.written_at == other.written_at
        && (row.recorded_at, row.id) > (other.recorded_at, other.id)
}

/// Whether the data of a row is at another path; `None` if that path is not the row's.
fn is_there(base: &Base, row: &Artifact, path: &str) -> Option<bool> {
    let kind = row.key.kind();
    if kind.is_container() || row.state == State::Reserved {
        return Some(false);
    }
    if twins::is_at_home(base, row) {
        return None;
    }
    let there = store::written_at(base, Path::new(path), kind);
    if row.state == State::Damaged || (kind.is_file() && there.is_err()) {
        return Some(false);
    }
    let there = there.ok()?;
    if row.written_at.is_some() && there == row.written_at {
        return Some(true);
    }
    // What was missing before the rename is so still. A lost checkpoint says nothing of arrays.
    let may_lack = row.state == State::Missing && there.is_none() || kind.is_file();
    may_lack.then_some(false)
}

/// Whether the metadata files at a path are those that a row was made of, and no copies.
fn is_same_file(base: &Base, row: &Artifact, path: &str) -> bool {
    // A rename of a folder above leaves this time as it was when the row was made.
    let latest = match row.origin {
        Origin::Scanned => Some(row.recorded_at),
        // A row that was recorded is older than its data.
        Origin::Recorded => row.written_at.map(|at| at.plus(WRITTEN_WITHIN)),
    };
    let changed = store::changed_at(base, Path::new(path));
    changed.is_some_and(|at| at <= row.recorded_at || Some(at) <= latest)
}
