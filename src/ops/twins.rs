//! Whose data is at the path of a row: its own, or that of a run that was renamed by hand.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::catalog::{Catalog, PinView};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::size::ByteCount;
use crate::store::{self, Base};

/// Arrays of a container that were written again, after which its rows are not asked about any
/// more: in a folder with the name of another, all data is that of the other.
const MOST_MISSES: u32 = 16;

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
    // A row that never had data has no time: what is at its path may have come there by a rename.
    if kind.is_container() || row.written_at == Some(written_at) {
        return Ok(None);
    }
    let twins = catalog.twins(row, written_at)?;
    let path = row.location().path();
    let is_owner = |twin: &Artifact| may_own(base, twin, &path) && !is_at_home(base, twin);
    Ok(twins.into_iter().find(is_owner))
}

/// Tells for many rows whose data is at their paths.
pub(crate) struct Owners<'a> {
    catalog: &'a Catalog,
    base: &'a Base,
    /// Arrays that were written again and are no other row's, by container.
    misses: HashMap<String, u32>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(catalog: &'a Catalog, base: &'a Base) -> Self {
        Self {
            catalog,
            base,
            misses: HashMap::new(),
        }
    }

    /// As [`owner`].
    ///
    /// # Errors
    /// As [`owner`].
    pub(crate) fn of(
        &mut self,
        row: &Artifact,
        written_at: Timestamp,
    ) -> Result<Option<Artifact>, Error> {
        if row.written_at == Some(written_at) {
            return Ok(None);
        }
        let misses = self.misses.entry(row.location().container).or_default();
        if *misses >= MOST_MISSES {
            return Ok(None);
        }
        let owner = owner(self.catalog, self.base, row, written_at)?;
        *misses += u32::from(owner.is_none());
        Ok(owner)
    }
}

/// The error that refuses a word about data that is another row's.
pub(crate) fn refusal(row: &Artifact, owner: &Artifact) -> Error {
    Error::OfAnotherRun {
        path: row.path(),
        owner: owner.path(),
    }
}

/// Finds the artifacts whose data is that of a pinned row whose own place is without it: the pin
/// does not bind the row that a scan made where the data is. Gives the errors that refuse them.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn pinned_elsewhere<'a>(
    base: &Base,
    pins: &PinView<'_>,
    artifacts: impl Iterator<Item = &'a Artifact>,
) -> Result<HashMap<ArtifactId, Error>, Error> {
    let mut refused = HashMap::new();
    let runs = pins.pinned_runs()?;
    if runs.is_empty() {
        return Ok(refused);
    }
    for row in artifacts {
        let kind = row.key.kind();
        if kind.is_container() {
            continue;
        }
        let path = row.location().path();
        // What is gone or cannot be read is the business of the other checks.
        let Ok(Some(written_at)) = store::written_at(base, Path::new(&path), kind) else {
            continue;
        };
        let twins = pins.pinned_twins(row, written_at, &runs)?;
        if let Some(error) = owned_by(base, &path, twins) {
            refused.insert(row.id, error);
        }
    }
    Ok(refused)
}

/// Finds the same artifacts for a plan, and gives the paths of their pinned rows. One statement
/// reads these, however many artifacts there are.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn pinned_rows_of<'a>(
    catalog: &Catalog,
    base: &Base,
    artifacts: impl Iterator<Item = &'a Artifact>,
    now: Timestamp,
) -> Result<HashMap<ArtifactId, String>, Error> {
    let mut owners = HashMap::new();
    if !catalog.view_pins(|pins| pins.has_pins())? {
        return Ok(owners);
    }
    let mut kinds = BTreeSet::new();
    let mut due: HashMap<(String, Timestamp), Vec<(ArtifactId, String)>> = HashMap::new();
    for row in artifacts {
        let kind = row.key.kind();
        if kind.is_container() {
            continue;
        }
        let path = row.location().path();
        // What is gone or cannot be read is the business of the other checks.
        let written_at = store::written_at(base, Path::new(&path), kind);
        let in_run = path.strip_prefix(row.key.run().as_str());
        if let (Ok(Some(written_at)), Some(in_run)) = (written_at, in_run) {
            kinds.insert(kind);
            let alike = due.entry((in_run.to_owned(), written_at)).or_default();
            alike.push((row.id, path));
        }
    }
    if due.is_empty() {
        return Ok(owners);
    }
    // The disk is asked after the listing, so that no transaction waits for it.
    let mut found = Vec::new();
    catalog.each_pinned_place(&Vec::from_iter(kinds), now, |place| {
        let alike = due.get(&(place.in_run.clone(), place.written_at));
        for (id, path) in alike.into_iter().flatten() {
            if *path != place.path {
                found.push((*id, path, place.clone()));
            }
        }
        Ok::<_, Error>(())
    })?;
    for (id, path, place) in found {
        if has_bytes(base, place.kind, place.bytes, path)
            && !is_written_at(base, &place.path, place.kind, place.written_at)
        {
            owners.entry(id).or_insert(place.path);
        }
    }
    Ok(owners)
}

/// The same for what has no row: paths relative to the base directory, of arrays and files that go
/// with a folder of the run. Gives the first error.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn unknown_pinned_elsewhere(
    base: &Base,
    pins: &PinView<'_>,
    run: &RunName,
    paths: impl Iterator<Item = String>,
) -> Result<Option<Error>, Error> {
    let runs = pins.pinned_runs()?;
    if runs.is_empty() {
        return Ok(None);
    }
    for path in paths {
        // What is no path of an artifact has no row in another run either.
        let (Ok(key), Ok(place)) = (layout::parse(&path), layout::split(&path)) else {
            continue;
        };
        let Ok(Some(written_at)) = store::written_at(base, Path::new(&path), key.kind()) else {
            continue;
        };
        let twins = pins.pinned_at_place(run, &place, written_at, &runs)?;
        if let Some(error) = owned_by(base, &path, twins) {
            return Ok(Some(error));
        }
    }
    Ok(None)
}

/// The error of data that is that of a pinned row, if it is.
fn owned_by(base: &Base, path: &str, twins: Vec<Artifact>) -> Option<Error> {
    let is_owner = |twin: &Artifact| may_own(base, twin, path) && !is_at_home(base, twin);
    let owner = twins.into_iter().find(is_owner)?;
    Some(Error::PinnedElsewhere {
        path: base.path().join(path),
        owner: owner.location().path(),
        pins: owner.pins.join(", "),
    })
}

/// Whether what is at a path, of the time that a row says, has the row's size too. Compared for
/// files only: an array would have to be counted.
pub(crate) fn may_own(base: &Base, row: &Artifact, path: &str) -> bool {
    has_bytes(base, row.key.kind(), row.size.map(|size| size.bytes), path)
}

fn has_bytes(base: &Base, kind: Kind, bytes: Option<ByteCount>, path: &str) -> bool {
    match bytes.filter(|_| kind.is_file()) {
        Some(bytes) => store::file_bytes(base, Path::new(path)) == Some(bytes),
        None => true,
    }
}

/// Whether the data of a row is in its place, by its time. What cannot be read is not.
pub(crate) fn is_at_home(base: &Base, row: &Artifact) -> bool {
    let is_there = |at| is_written_at(base, &row.location().path(), row.key.kind(), at);
    row.written_at.is_some_and(is_there)
}

/// Whether what is at a path was written at a time.
fn is_written_at(base: &Base, path: &str, kind: Kind, at: Timestamp) -> bool {
    let seen = store::written_at(base, Path::new(path), kind);
    seen.is_ok_and(|seen| seen == Some(at))
}
