//! What a rename does, and what speaks against it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::catalog::{Catalog, RunContents};
use crate::error::Error;
use crate::model::artifact::Origin;
use crate::model::clock::Timestamp;
use crate::model::name::{RunName, is_container_name};
use crate::model::progress::Silent;
use crate::model::removal::RemovalId;
use crate::ops::held::Held;
use crate::ops::inner::{self, RegistriesAround};
use crate::ops::near;
use crate::store::{self, Base, EntryId, EntryType, LookFor, StaleList};

/// Data that is younger than this may still be written.
const RECENT: Duration = Duration::from_secs(60 * 60);

/// How a run is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RenameOptions {
    /// Renames a run that was written to within the last hour: a training that goes on makes its
    /// old folder again.
    pub active: bool,
    /// Why; kept in the history.
    pub reason: Option<String>,
}

impl RenameOptions {
    /// Sets whether a run that was written to within the last hour is renamed.
    #[must_use]
    pub fn active(mut self, active: bool) -> Self {
        self.active = active;
        self
    }

    /// Sets the reason.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<Option<String>>) -> Self {
        self.reason = reason.into();
        self
    }
}

/// What a rename does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RenameReport {
    /// The old name.
    pub run: RunName,
    /// The new name.
    pub to: RunName,
    /// Number of artifacts that get another path.
    pub artifacts: u64,
    /// Number of scores that go along.
    pub scores: u64,
    /// Number of runs and iterations that pins bind and that go along. Pins of single artifacts
    /// bind them as before.
    pub scopes: u64,
    /// Number of items in the trash that keep the old name.
    pub in_trash: u64,
    /// The removals that these items are of. While they are in the trash, no run can be renamed to
    /// the old name.
    pub removals: Vec<RemovalId>,
    /// Number of DaCapo's links to checkpoints that name the old path.
    pub links: u64,
    /// DaCapo's own files of the run, which keep the old name: relative to the base directory.
    pub left: Vec<PathBuf>,
    /// When data was last written or recorded, if that was within the last hour.
    pub active_at: Option<Timestamp>,
    /// Consolidated metadata above the run that could not be written, and still lists the old name.
    pub stale_lists: Vec<StaleList>,
}

/// A rename that nothing speaks against.
pub(super) struct CheckedRename {
    pub(super) contents: RunContents,
    pub(super) entry: EntryId,
    pub(super) report: RenameReport,
}

/// Says what a rename does. Changes nothing.
///
/// # Errors
/// As `rename`, but that a run that is written to is no error.
pub(crate) fn plan(
    catalog: &Catalog,
    base: &Base,
    now: Timestamp,
    from: &RunName,
    to: &RunName,
) -> Result<RenameReport, Error> {
    let contents = catalog.run_contents(from)?;
    // What the new name has already: nothing of it may be replaced.
    let taken = catalog.run_contents(to)?;
    let above = above(to, |folder| Ok(catalog.in_container(folder)?))?;
    require_not_held(&Held::of(catalog, base)?, base, (from, to))?;
    let checked = check(base, now, from, to, contents, &taken, above);
    Ok(checked.map_err(|error| named(catalog, from, error))?.report)
}

/// An error with the name of a run that is most like one that is not recorded.
pub(super) fn named(catalog: &Catalog, from: &RunName, mut error: Error) -> Error {
    if let Error::NotRecorded { nearest, .. } = &mut error {
        *nearest = near::nearest_run(catalog, from);
    }
    error
}

/// The first folder above a name that holds a recorded container or array.
pub(super) fn above<T>(
    to: &RunName,
    mut in_container: impl FnMut(&str) -> Result<Vec<T>, Error>,
) -> Result<bool, Error> {
    for folder in Path::new(to.as_str()).ancestors().skip(1) {
        let Some(folder) = folder.to_str().filter(|folder| !folder.is_empty()) else {
            continue;
        };
        // Only a container has artifacts directly: the folder of a run has containers.
        if is_container_name(folder) {
            return Ok(!in_container(folder)?.is_empty());
        }
    }
    Ok(false)
}

/// Refuses a rename of a run, or to the name of one, that a removal which was interrupted took
/// something of: it comes back under that name.
pub(super) fn require_not_held(
    held: &Held,
    base: &Base,
    (from, to): (&RunName, &RunName),
) -> Result<(), Error> {
    let mut refused = [to, from].into_iter();
    let refused = refused.find_map(|run| held.refusal_of_run(base, run.as_str()));
    refused.map_or(Ok(()), Err)
}

/// Checks names, rows and disk.
pub(super) fn check(
    base: &Base,
    now: Timestamp,
    from: &RunName,
    to: &RunName,
    contents: RunContents,
    taken: &RunContents,
    is_in_container: bool,
) -> Result<CheckedRename, Error> {
    let refuse = |by| {
        Err(Error::RunTaken {
            run: to.to_string(),
            by,
            removals: Vec::new(),
        })
    };
    if contents.artifacts.is_empty() {
        return Err(Error::NotRecorded {
            what: format!("run {from}"),
            path: None,
            is_run: false,
            inside: 0,
            level_of: None,
            nearest: None,
            near_iterations: None,
            only_checkpoints: false,
        });
    }
    if from == to {
        return refuse("the run itself");
    }
    let is_inside = |inner: &RunName, outer: &RunName| {
        Path::new(inner.as_str()).starts_with(Path::new(outer.as_str()))
    };
    // A folder cannot be moved into itself.
    if is_inside(to, from) || is_inside(from, to) {
        return refuse("a folder that one of the two names is in");
    }
    if is_in_container {
        return refuse("a container above it");
    }
    if !taken.artifacts.is_empty() {
        return refuse("recorded artifacts");
    }
    // Scores and pins may come before any array, and would mix with those of this run.
    if taken.scores > 0 || taken.scopes > 0 {
        return refuse("scores or pins");
    }
    // A restore would bring it back into the renamed run.
    if taken.kept > 0 {
        return Err(Error::RunTaken {
            run: to.to_string(),
            by: "something in the trash",
            removals: taken.removals.clone(),
        });
    }
    if !base.is_absent(to.as_str()) {
        return refuse("something on disk");
    }
    let path = Path::new(from.as_str());
    let full = base.path().join(path);
    // A folder that may not be opened is named, with whose it is.
    let closed = |error| store::not_openable(base, path, error);
    let mounts = store::mounts_below(base)?;
    // Before its folder is opened: of one that is mounted that is refused in other words.
    if let Some(mount) = mounts.iter().find(|mount| mount.starts_with(path)) {
        let path = base.path().join(mount);
        return Err(Error::MountPoint { path });
    }
    let found = store::entry_at(base, path, EntryType::Folder).map_err(closed)?;
    let Some(entry) = found else {
        return Err(Error::RunFolderGone { path: full });
    };
    store::require_movable(base, path, EntryType::Folder)?;
    // What is in another registry has rows there, and that may know its base directory by its path.
    let mut around = RegistriesAround::default();
    around.check(base, path).map_err(|error| match error {
        Error::Storage(error) => closed(error).into(),
        error => error,
    })?;
    around.check(base, Path::new(to.as_str()))?;
    let folders = [from.as_str()].into_iter();
    let inside = store::look_inside(base, folders, LookFor::Registries, &Silent);
    inner::check_below(base, path, &inside.map_err(closed)?.registries)?;
    let report = RenameReport {
        run: from.clone(),
        to: to.clone(),
        artifacts: contents.artifacts.len() as u64,
        scores: contents.scores,
        scopes: contents.scopes,
        in_trash: contents.kept,
        removals: contents.removals.clone(),
        links: store::links_into(base, from.as_str()).map_err(closed)?,
        left: left(base, from),
        active_at: active_at(&contents, now),
        stale_lists: Vec::new(),
    };
    Ok(CheckedRename {
        contents,
        entry,
        report,
    })
}

/// When a run was last written to, if that was within the last hour.
fn active_at(contents: &RunContents, now: Timestamp) -> Option<Timestamp> {
    let times = contents.artifacts.iter().flat_map(|artifact| {
        // A scan records what may have been there for long.
        let recorded = (artifact.origin == Origin::Recorded).then_some(artifact.recorded_at);
        [recorded, artifact.written_at]
    });
    let last = times.flatten().max()?;
    (last.plus(RECENT) > now).then_some(last)
}

/// DaCapo's own files of a run.
fn left(base: &Base, run: &RunName) -> Vec<PathBuf> {
    // DaCapo keeps these by the name of the run. They are its own, so they are only named.
    [
        format!("configs/runs/{run}.yaml"),
        format!("stats/training_stats/{run}"),
        format!("stats/validation_scores/{run}"),
    ]
    .into_iter()
    .filter(|path| !base.is_absent(path))
    .map(PathBuf::from)
    .collect()
}
