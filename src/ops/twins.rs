//! Whose data is at the path of a row: its own, or that of a run that was renamed by hand.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::{Catalog, CatalogError, PinView, PinnedPlace};
use crate::error::Error;
use crate::model::array::ArrayMetadata;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::layout;
use crate::model::size::ByteCount;
use crate::store::{self, Base, StorageError};

/// Arrays of a container that were written again, after which its rows are not asked about any
/// more: in a folder with the name of another, all data is that of the other.
const MOST_MISSES: u32 = 16;
/// Older rows of a container that are in their places, or of other files, after which its other
/// rows are taken for such too.
const MOST_OTHERS: u32 = 2;
/// Containers of each of which [`MOST_MISSES`] rows are looked up among older ones, and in which
/// older rows are looked at. Of each further one, a single row is looked up, which asks about every
/// container of the catalog.
const MOST_CONTAINERS: usize = 64;
/// How long after its contents a file of metadata may last change by a writer that renames it to
/// its place. A copy that keeps times changes when it is made.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// How much older than the clock the times are that a file system gives.
const CLOCK_STEP: Duration = Duration::from_millis(10);

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
    if twins.is_empty() {
        return Ok(None);
    }
    let path = row.location().path();
    let (at_home, away): (Vec<_>, Vec<_>) = twins
        .into_iter()
        .partition(|twin| may_be_at_home(base, twin));
    for twin in away {
        if !may_own(base, &twin, &path) {
            continue;
        }
        // Of a time that many arrays have, as in an unpacked archive, it is no sign by itself: the
        // files must be those that the twin had, in a folder that was renamed since.
        let is_it =
            was_renamed(base, row, &twin) || (at_home.is_empty() && !catalog.shares_time(&twin)?);
        if is_it {
            return Ok(Some(twin));
        }
    }
    Ok(None)
}

/// Whether the files at the path of a row are those that another row was made of, in a folder that
/// was renamed since.
fn was_renamed(base: &Base, row: &Artifact, twin: &Artifact) -> bool {
    is_same_file(base, twin, &row.location().path())
        && folders_above(row, twin).any(|new| {
            let changed = store::renamed_at(base, Path::new(&new));
            may_be_renamed_since(twin, changed)
        })
}

/// Tells for many rows whose data is at their paths.
pub(crate) struct Owners<'a> {
    catalog: &'a Catalog,
    base: &'a Base,
    /// Arrays that were written again and are no other row's, by container.
    misses: HashMap<String, u32>,
    /// Arrays that are as their rows say and were looked for among older rows, by container.
    looked_up: HashMap<String, u32>,
    /// Older rows that are no owners, by container.
    others: HashMap<String, u32>,
    /// Older rows that were read.
    #[cfg(test)]
    read: usize,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(catalog: &'a Catalog, base: &'a Base) -> Self {
        Self {
            catalog,
            base,
            misses: HashMap::new(),
            looked_up: HashMap::new(),
            others: HashMap::new(),
            #[cfg(test)]
            read: 0,
        }
    }

    /// The first of some rows, each with the time of the data at its path, whose data is another
    /// row's, and that row.
    ///
    /// # Errors
    /// As [`owner`].
    pub(crate) fn first<'r>(
        &mut self,
        mut seen: Vec<(&'r Artifact, Timestamp)>,
    ) -> Result<Option<(&'r Artifact, Artifact)>, Error> {
        // What a folder had when it was renamed is older than what was written there since. So the
        // few rows of each container that are looked up are those of the oldest data.
        seen.sort_by_key(|(row, written_at)| {
            let is_as_known = row.written_at == Some(*written_at);
            is_as_known.then_some((*written_at, row.id))
        });
        for (row, written_at) in seen {
            if let Some(owner) = self.of(row, written_at)? {
                return Ok(Some((row, owner)));
            }
        }
        Ok(None)
    }

    /// As [`owner`]. Also the older row whose data, by its time and the files themselves, a scan
    /// made this row of: its run or container was renamed by hand.
    ///
    /// # Errors
    /// As [`owner`].
    pub(crate) fn of(
        &mut self,
        row: &Artifact,
        written_at: Timestamp,
    ) -> Result<Option<Artifact>, Error> {
        let container = row.location().container;
        if row.written_at == Some(written_at) {
            let kind = row.key.kind();
            let is_array = !kind.is_container() && !kind.is_file();
            let most = match self.looked_up.len() < MOST_CONTAINERS {
                true => MOST_MISSES,
                false => 1,
            };
            let looked_up = self.looked_up.entry(container).or_default();
            if !is_array || row.origin != Origin::Scanned || *looked_up >= most {
                return Ok(None);
            }
            *looked_up += 1;
            return self.renamed(row);
        }
        let misses = self.misses.entry(container).or_default();
        if *misses >= MOST_MISSES {
            return Ok(None);
        }
        let owner = owner(self.catalog, self.base, row, written_at)?;
        *misses += u32::from(owner.is_none());
        Ok(owner)
    }

    /// The older row that is not in its place and whose data is at the path of a row.
    fn renamed(&mut self, row: &Artifact) -> Result<Option<Artifact>, Error> {
        for (id, container) in self.catalog.older_twins(row)? {
            let is_known = self.others.contains_key(&container);
            if !is_known && self.others.len() >= MOST_CONTAINERS {
                // All files have one time: that says nothing.
                continue;
            }
            let others = self.others.entry(container).or_default();
            if *others >= MOST_OTHERS {
                continue;
            }
            #[cfg(test)]
            {
                self.read += 1;
            }
            let twin = match self.catalog.by_id(id) {
                Ok(twin) => twin,
                // Its own path and key disagree, so it says nothing of other paths.
                Err(CatalogError::Row { .. }) => None,
                Err(error) => return Err(error.into()),
            };
            let is_owner = |twin: &Artifact| {
                !may_be_at_home(self.base, twin) && was_renamed(self.base, row, twin)
            };
            match twin.filter(is_owner) {
                Some(twin) => return Ok(Some(twin)),
                None => *others += 1,
            }
        }
        Ok(None)
    }
}

/// The folders of a row that may have been renamed from those of another: its container, and its
/// run if both are at the same place in their runs.
fn folders_above(row: &Artifact, other: &Artifact) -> impl Iterator<Item = String> {
    let below = |row: &Artifact| {
        let path = row.location().path();
        let below = path.strip_prefix(row.key.run().as_str());
        below.map(str::to_owned)
    };
    let is_same_place = below(row).is_some() && below(row) == below(other);
    let run = is_same_place.then(|| row.key.run().to_string());
    [Some(row.location().container), run].into_iter().flatten()
}

/// Whether the metadata files at a path are those that a row was made of, and no copies.
pub(crate) fn is_same_file(base: &Base, row: &Artifact, path: &str) -> bool {
    // A rename of a folder above leaves this time as it was when the row was made.
    let latest = match row.origin {
        Origin::Scanned => Some(row.recorded_at),
        // A row that was recorded is older than its data.
        Origin::Recorded => row.written_at.map(|at| at.plus(WRITTEN_WITHIN)),
    };
    let changed = store::changed_at(base, Path::new(path));
    changed.is_some_and(|at| at <= row.recorded_at || Some(at) <= latest)
}

/// Whether a folder, by when it last changed, may have got its name after a row was made. If not,
/// both were there then: the files of an unpacked archive may have one time, in all of its runs.
pub(crate) fn may_be_renamed_since(row: &Artifact, changed: Option<Timestamp>) -> bool {
    changed.is_some_and(|at| at.plus(CLOCK_STEP) >= row.recorded_at)
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

/// What metadata says, by its number.
type Metadata = HashMap<i64, Option<Arc<ArrayMetadata>>>;

impl<T> Given<'_, T> {
    /// Whether it is what a row says of its data, and not only of the same time: many files may
    /// have one time. A rename by hand keeps more. Data that was renamed may have grown since it
    /// was counted, and a row may be of other data than is at its path now; then it says nothing.
    fn is_like(
        &self,
        pins: &PinView<'_>,
        place: &PinnedPlace,
        known: &mut Metadata,
    ) -> Result<bool, CatalogError> {
        if self.kind.is_file() != place.kind.is_file() {
            return Ok(false);
        }
        // Its name, its folder, or what it is to DaCapo: of a row whose run, iteration, dataset or
        // container was renamed one of them stays, and so it does if only the array was.
        let split = |path: &'_ str| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            [folder.to_owned(), name.to_owned()]
        };
        let ([folder, name], [old_folder, old_name]) = (split(&self.path), split(&place.path));
        if self.kind != place.kind && name != old_name && folder != old_folder {
            return Ok(false);
        }
        let of_this_data = |row: &&Artifact| row.written_at == Some(place.written_at);
        let Some(row) = self.row.filter(of_this_data) else {
            return Ok(true);
        };
        if let (Some(now), Some(then)) = (row.size, place.size)
            && (now.files < then.files || (now.files == then.files && now.bytes != then.bytes))
        {
            return Ok(false);
        }
        let (Some(now), Some(number)) = (&row.metadata, place.metadata) else {
            return Ok(true);
        };
        let then = match known.entry(number) {
            Entry::Occupied(then) => then.into_mut(),
            Entry::Vacant(free) => free.insert(pins.metadata(number)?),
        };
        Ok(then.as_ref().is_none_or(|then| then == now))
    }

    /// Whether what is at its path, of this time, may have been another row's when that was
    /// recorded. Data that a row has had since then is its own, unless it is at the same place in
    /// another run: many files may have one time, as those of an archive do.
    fn may_be_of(&self, pins: &PinView<'_>, place: &PinnedPlace) -> Result<bool, CatalogError> {
        let Some(row) = self.row else {
            return Ok(true);
        };
        if place.is_earlier {
            // In a tree of one time a row has that time from the first on; data that was moved to
            // its path came later.
            return Ok(row.recorded_at > place.recorded_at
                || row.written_at != Some(place.written_at)
                || pins.had_other_time(row.id, place.written_at)?);
        }
        let in_run = self.path.strip_prefix(row.key.run().as_str());
        if in_run.is_some_and(|in_run| place.path.ends_with(in_run)) {
            return Ok(true);
        }
        let is_later = row.origin == Origin::Scanned
            && (row.recorded_at, row.id) > (place.recorded_at, place.id);
        Ok(is_later || row.written_at != Some(place.written_at))
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
    let mut known = Metadata::new();
    for place in places {
        let alike = due.get_mut(&place.written_at);
        let (mut fits, mut at_home) = (Vec::new(), false);
        for (number, one) in alike.iter().flat_map(|all| all.iter()).enumerate() {
            at_home |= one.path == place.path;
            if one.is_like(pins, &place, &mut known)?
                && one.may_be_of(pins, &place)?
                && has_bytes(
                    base,
                    place.kind,
                    place.size.map(|size| size.bytes),
                    &one.path,
                )
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

/// Whether the data of a row is in its place, by its time, or this user may not look there: what
/// cannot be read is not gone.
fn may_be_at_home(base: &Base, row: &Artifact) -> bool {
    let path = row.location().path();
    match store::written_at(base, Path::new(&path), row.key.kind()) {
        Ok(seen) => seen.is_some() && seen == row.written_at,
        Err(StorageError::Io { source, .. }) => source.kind() == ErrorKind::PermissionDenied,
        Err(_) => false,
    }
}

/// Whether what is at a path was written at a time.
fn is_written_at(base: &Base, path: &str, kind: Kind, at: Timestamp) -> bool {
    let seen = store::written_at(base, Path::new(path), kind);
    seen.is_ok_and(|seen| seen == Some(at))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::catalog::CatalogOptions;
    use crate::model::filter::Filter;
    use crate::model::progress::Silent;
    use crate::{Registry, ScanOptions};

    /// As an archive is unpacked: all files have one time, so each row has a twin in every run.
    #[test]
    fn rows_of_one_time_are_looked_up_some_of_each_container() {
        const RUNS: usize = 12;
        let folder = tempfile::tempdir().unwrap();
        for run in 0..RUNS {
            for iteration in 0..40 {
                let path = format!("{run}/validation.zarr/{iteration}/v/prediction");
                let array = folder.path().join(path);
                fs::create_dir_all(&array).unwrap();
                fs::write(array.join(".zarray"), "{}").unwrap();
                let file = File::open(array.join(".zarray")).unwrap();
                file.set_modified(UNIX_EPOCH).unwrap();
            }
        }
        let registry = Registry::create(folder.path()).unwrap();
        registry.scan(ScanOptions::default(), &Silent).unwrap();
        let rows = registry.select(&Filter::default()).unwrap();
        assert_eq!(rows.len(), 40 * RUNS);
        let path = folder.path().join(".dalsegno/catalog.sqlite3");
        let options = CatalogOptions::default();
        let catalog = Catalog::open(&path, folder.path(), None, options).unwrap();
        let base = Base::open(folder.path()).unwrap();
        let mut owners = Owners::new(&catalog, &base);
        let seen = rows.iter().map(|row| (row, row.written_at.unwrap()));
        assert_eq!(owners.first(seen.collect()).unwrap(), None);
        // One statement for each of these.
        let looked_up: u32 = owners.looked_up.values().sum();
        assert_eq!(looked_up, MOST_MISSES * 12);
        assert!(
            owners.read <= MOST_OTHERS as usize * RUNS,
            "{}",
            owners.read
        );
    }
}
