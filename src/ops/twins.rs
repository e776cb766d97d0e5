//! Whose data is at the path of a row: its own, or that of a run that was renamed by hand.

use std::collections::HashMap;
use std::path::Path;

use crate::catalog::{Catalog, PinView, PinnedPlace};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::layout;
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

/// Data that a removal is about.
pub(crate) struct Given<'a, T> {
    /// What it is called by.
    of: T,
    path: String,
    kind: Kind,
    /// Its row, if it has one.
    row: Option<&'a Artifact>,
}

impl<T> Given<'_, T> {
    /// Whether what is at its path, of this time, may have been another row's when that was recorded.
    /// Data that a row has had since then is its own, unless it is at the same place in another run:
    /// many files may have one time, as those of an archive do.
    fn may_be_of(&self, place: &PinnedPlace) -> bool {
        self.row.is_none_or(|row| {
            let in_run = self.path.strip_prefix(row.key.run().as_str());
            if in_run.is_some_and(|in_run| place.path.ends_with(in_run)) {
                return true;
            }
            let is_later = row.origin == Origin::Scanned
                && (row.recorded_at, row.id) > (place.recorded_at, place.id);
            is_later || row.written_at != Some(place.written_at)
        })
    }
}

/// Finds what is, by its time, the data of a pinned row whose own place is without it: a folder
/// above it, or the array itself, was renamed by hand, and the pin binds the old name. Gives for
/// each the place of that row. One statement reads these places, and only if there is a pin.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn of_pinned_rows<'a, T>(
    base: &Base,
    pins: &PinView<'_>,
    given: impl Iterator<Item = Given<'a, T>>,
) -> Result<Vec<(T, String, PinnedPlace)>, Error> {
    if !pins.has_pins()? {
        return Ok(Vec::new());
    }
    let mut due: HashMap<Timestamp, Vec<Given<'a, T>>> = HashMap::new();
    for one in given {
        // What is gone or cannot be read is the business of the other checks.
        if !one.kind.is_container()
            && let Ok(Some(written_at)) = store::written_at(base, Path::new(&one.path), one.kind)
        {
            due.entry(written_at).or_default().push(one);
        }
    }
    let mut places: Vec<PinnedPlace> = Vec::new();
    if !due.is_empty() {
        pins.each_pinned_place(|place| {
            if due.contains_key(&place.written_at) {
                places.push(place);
            }
        })?;
    }
    let mut found = Vec::new();
    for place in places {
        let alike = due.get_mut(&place.written_at);
        let (mut fits, mut at_home) = (Vec::new(), false);
        for (number, one) in alike.iter().flat_map(|all| all.iter()).enumerate() {
            at_home |= one.path == place.path;
            if one.kind.is_file() == place.kind.is_file()
                && one.may_be_of(&place)
                && has_bytes(base, place.kind, place.bytes, &one.path)
            {
                fits.push(number);
            }
        }
        // The disk is asked last, and once a place.
        if at_home
            || fits.is_empty()
            || is_written_at(base, &place.path, place.kind, place.written_at)
        {
            continue;
        }
        let Some(alike) = alike else { continue };
        for number in fits.into_iter().rev() {
            let one = alike.swap_remove(number);
            found.push((one.of, one.path, place.clone()));
        }
    }
    Ok(found)
}

/// The errors that refuse the artifacts whose data is that of a pinned row.
///
/// # Errors
/// As [`of_pinned_rows`].
pub(crate) fn pinned_elsewhere<'a>(
    base: &Base,
    pins: &PinView<'_>,
    artifacts: impl Iterator<Item = &'a Artifact>,
) -> Result<HashMap<ArtifactId, Error>, Error> {
    let found = of_pinned_rows(base, pins, artifacts.map(given))?;
    found
        .into_iter()
        .map(|(id, path, place)| Ok((id, refused(base, pins, &path, &place)?)))
        .collect()
}

/// The same for what has no row: paths relative to the base directory, of arrays and files that go
/// with a folder. Gives the first error.
///
/// # Errors
/// As [`of_pinned_rows`].
pub(crate) fn unknown_pinned_elsewhere(
    base: &Base,
    pins: &PinView<'_>,
    paths: impl Iterator<Item = String>,
) -> Result<Option<Error>, Error> {
    let given = paths.map(|path| {
        // What no artifact is named like may be an array all the same.
        let kind = layout::parse(&path).map_or(Kind::Array, |key| key.kind());
        Given {
            of: (),
            path,
            kind,
            row: None,
        }
    });
    let found = of_pinned_rows(base, pins, given)?;
    let first = found.first();
    first
        .map(|((), path, place)| refused(base, pins, path, place))
        .transpose()
}

/// A row as data that a removal is about.
pub(crate) fn given(row: &Artifact) -> Given<'_, ArtifactId> {
    Given {
        of: row.id,
        path: row.location().path(),
        kind: row.key.kind(),
        row: Some(row),
    }
}

fn refused(
    base: &Base,
    pins: &PinView<'_>,
    path: &str,
    place: &PinnedPlace,
) -> Result<Error, Error> {
    Ok(Error::PinnedElsewhere {
        path: base.path().join(path),
        owner: place.path.clone(),
        pins: pins.pins_of_row(place.id)?.join(", "),
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
