//! Whether the data of a folder's rows is at another path: a run or container that was renamed.
//!
//! By relative path and time, and by the files themselves: a rename of a folder above leaves the
//! time of their last change as it was when the row was made, and a copy does not. Whether rows say
//! that their data is present or missing makes no difference.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::lost::{below, is_seen_array};
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::name::RunName;
use crate::model::words;
use crate::ops::scan;
use crate::ops::twins;
use crate::store::{self, Base};

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
    pub(super) fn key_in(&self, new: &str, row: &Artifact) -> Option<Key> {
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

/// The rows of a folder at another path, where their data is, or most of it.
pub(super) struct Fit {
    /// Number of arrays that are there, by their times.
    pub(super) arrays: usize,
    /// Rows of arrays of which other data is at the path, or none.
    pub(super) changed: Vec<ArtifactId>,
    /// Places of rows that have their own data by its time. They were updated from data of other
    /// rows if these get their places.
    pub(super) at_home: Vec<String>,
    /// How many of them a scan took for new ones.
    pub(super) adopted: usize,
    /// Whether the files are those that the rows are about.
    pub(super) is_proven: bool,
    /// Rows, as they are and as they become.
    pub(super) rows: Vec<(Artifact, Artifact)>,
    /// Rows of scans that are about this data, and bind nothing. A seal of one goes to the row that
    /// replaces it.
    pub(super) replaced: Vec<Artifact>,
    /// Pins that bind such rows under their new names only. No row follows before they are gone.
    pub(super) pins: BTreeSet<String>,
    /// Rows of other data at the paths, and whether each may be dropped.
    pub(super) occupants: Vec<(Artifact, bool)>,
}

impl Fit {
    /// Number of arrays of the rows.
    pub(super) fn all(&self) -> usize {
        self.arrays + self.changed.len()
    }

    /// Whether most of the arrays are there, and certainly these.
    pub(super) fn is_most(&self) -> bool {
        self.changed.is_empty() || self.is_proven && self.arrays > self.changed.len()
    }

    /// The arrays that are there, in words.
    pub(super) fn counted(&self) -> String {
        match self.changed.is_empty() {
            true => words::count(self.arrays, "array"),
            false => format!(
                "{} of {}",
                words::number(self.arrays as u64),
                words::count(self.all(), "array")
            ),
        }
    }

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
            // Written again on the way, or since.
            let is_changed = row.is_some_and(|row| {
                self.changed.contains(&row.id)
                    && before.origin == Origin::Scanned
                    && (before.recorded_at, before.id) > (row.recorded_at, row.id)
            });
            is_about_this || is_free && (is_changed || !is_seen_array(before))
        })
    }

    /// A row at one of the paths that neither moves nor may be dropped.
    pub(super) fn blocked_by(&self, moving: &HashSet<i64>) -> Option<&Artifact> {
        let mut occupants = self.occupants.iter();
        let found = occupants.find(|(row, is_free)| !is_free && !moving.contains(&row.id.0));
        found.map(|(row, _)| row)
    }
}

/// What is at another path of a row.
enum There {
    /// The data of the row, by its time.
    Own,
    /// Nothing that the row would have at its own path either.
    Lacking,
    /// Data with another time, or none.
    Other {
        written_at: Option<Timestamp>,
        /// Whether the row has its own data, by its time.
        is_at_home: bool,
    },
}

/// Which of the data of a folder's rows is in the folder `new`; `None` if it is none of it, or data
/// is in its place that the rows were recorded for.
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
        changed: Vec::new(),
        at_home: Vec::new(),
        adopted: 0,
        is_proven: true,
        rows: Vec::new(),
        replaced: Vec::new(),
        pins: BTreeSet::new(),
        occupants: Vec::new(),
    };
    let changed = store::renamed_at(base, Path::new(new));
    // Rows of scans about what was written again there.
    let mut rewritten = Vec::new();
    for row in &old.rows {
        let key = match old.key_in(new, row) {
            Some(key) => key,
            // The container has no row of its own under a name that is none of DaCapo's.
            None if row.key.kind().is_container() => continue,
            None => return Ok(None),
        };
        let place = layout::canonical_location(&key);
        let Some(there) = there(base, row, &place.path()) else {
            return Ok(None);
        };
        let is_there = matches!(there, There::Own);
        let is_array = is_seen_array(row);
        let is_proven = is_there
            && (!is_array
                || twins::may_be_renamed_since(row, changed)
                    && twins::is_same_file(base, row, &place.path()));
        if is_there && is_array {
            fit.arrays += 1;
            fit.is_proven &= is_proven;
        }
        let mut sealed = None;
        match at(&place) {
            Ok(None) => {}
            // A scan took the data for new when it lay elsewhere, and it is back where it was.
            Ok(Some(other)) if is_there && is_later_copy_of(row, &other) => return Ok(None),
            Ok(Some(other)) => {
                // A pin of the whole run binds both.
                let pins = other.pins.iter().filter(|pin| !row.pins.contains(pin));
                let pins: Vec<String> = pins.cloned().collect();
                let is_free = pins.is_empty() && other.sealed_at.is_none();
                let is_later = other.origin == Origin::Scanned
                    && (other.recorded_at, other.id) > (row.recorded_at, row.id);
                // A row that says that this data is gone is about it all the same.
                let is_of_this = matches!(other.state, State::Present | State::Missing)
                    && is_there
                    && other.written_at == row.written_at;
                let is_of_other = match there {
                    There::Other { written_at, .. } => {
                        written_at.is_some() && other.written_at == written_at
                            || written_at.is_none() && other.written_at == row.written_at
                    }
                    There::Own | There::Lacking => false,
                };
                if is_of_other && is_later && is_free {
                    rewritten.push(other);
                } else if !is_of_this {
                    let is_free = is_free && !is_seen_array(&other);
                    fit.occupants.push((other, is_free));
                } else if is_later && is_proven {
                    fit.pins.extend(pins);
                    fit.adopted += usize::from(is_array);
                    sealed = Some(other.clone()).filter(|other| other.sealed_at.is_some());
                    fit.replaced.push(other);
                } else {
                    return Ok(None);
                }
            }
            Err(CatalogError::Row { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut after = Artifact { key, ..row.clone() };
        match there {
            There::Own => {
                after.state = State::Present;
                if let (None, Some(sealed)) = (after.sealed_at, sealed) {
                    after = sealed_as(after, sealed);
                }
            }
            There::Lacking => {}
            There::Other {
                written_at,
                is_at_home,
            } => {
                fit.changed.push(row.id);
                if is_at_home {
                    fit.at_home.push(row.location().path());
                }
                if written_at.is_some() {
                    after = written_again(after, written_at);
                }
            }
        }
        fit.rows.push((row.clone(), after));
    }
    // A scan saw these with the data that moved, or later: they are not those of another run.
    let since = fit.replaced.iter().map(|row| row.recorded_at).min();
    for other in rewritten {
        match since.is_some_and(|since| other.recorded_at >= since) {
            true => {
                fit.adopted += 1;
                fit.replaced.push(other);
            }
            false => fit.occupants.push((other, false)),
        }
    }
    Ok((fit.arrays > 0).then_some(fit))
}

/// A row whose data was written again: what was counted and sealed is of other data.
fn written_again(row: Artifact, written_at: Option<Timestamp>) -> Artifact {
    Artifact {
        state: State::Present,
        written_at,
        size: None,
        disk_bytes: None,
        chunks_there: None,
        sealed_at: None,
        content_hash: None,
        sealed_chunks: None,
        data_written_at: None,
        ..row
    }
}

/// A row with the seal that was given to the same data under its new name.
fn sealed_as(row: Artifact, sealed: Artifact) -> Artifact {
    Artifact {
        size: sealed.size,
        disk_bytes: sealed.disk_bytes,
        chunks_there: sealed.chunks_there,
        sealed_at: sealed.sealed_at,
        content_hash: sealed.content_hash,
        sealed_chunks: sealed.sealed_chunks,
        data_written_at: sealed.data_written_at,
        ..row
    }
}

/// Whether a row is one that a scan made of the data of an older row, and binds nothing.
pub(super) fn is_later_copy_of(row: &Artifact, other: &Artifact) -> bool {
    row.origin == Origin::Scanned
        && row.pins.is_empty()
        && row.sealed_at.is_none()
        && row.written_at == other.written_at
        && (row.recorded_at, row.id) > (other.recorded_at, other.id)
}

/// What is at another path of a row; `None` if that path is not the row's.
fn there(base: &Base, row: &Artifact, path: &str) -> Option<There> {
    let kind = row.key.kind();
    if kind.is_container() || row.state == State::Reserved {
        return Some(There::Lacking);
    }
    let there = store::written_at(base, Path::new(path), kind);
    let is_at_home = twins::is_at_home(base, row);
    if is_at_home {
        // It may have been updated from what is in its place now, but not if it was recorded since
        // the data at the other path was written.
        let written_at = there.ok().flatten()?;
        let is_older = row.origin == Origin::Scanned || row.recorded_at <= written_at;
        let is_other = is_older && !kind.is_file() && row.written_at != Some(written_at);
        return is_other.then_some(There::Other {
            written_at: Some(written_at),
            is_at_home,
        });
    }
    if row.state == State::Damaged || (kind.is_file() && there.is_err()) {
        return Some(There::Lacking);
    }
    let written_at = there.unwrap_or_default();
    if row.written_at.is_some() && written_at == row.written_at {
        return Some(There::Own);
    }
    // What was missing before the rename is so still. A lost checkpoint says nothing of arrays.
    let may_lack = row.state == State::Missing && written_at.is_none() || kind.is_file();
    Some(match may_lack {
        true => There::Lacking,
        false => There::Other {
            written_at,
            is_at_home,
        },
    })
}
