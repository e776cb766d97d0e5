//! What a seal of a path is about if the catalog does not say it: the arrays on disk there.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::progress::Monitor;
use crate::ops::{inbox, target};
use crate::store::{self, Base, StorageError};

/// Lists the arrays at and below a path, relative to the base directory; none if it is no folder.
///
/// # Errors
/// [`Error::Storage`] if something there cannot be read, and as [`target::relative`].
fn arrays_at(base: &Base, path: &Path, monitor: &dyn Monitor) -> Result<Vec<String>, Error> {
    let place = target::relative(base, path)?;
    let listing = match store::list_container(base, Path::new(&place), monitor) {
        Ok(listing) => listing,
        Err(StorageError::NotAFolder { .. } | StorageError::Symlink { .. }) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error.into()),
    };
    let paths = listing
        .arrays
        .iter()
        .map(|array| Path::new(&place).join(array));
    // Names that are not UTF-8 are never recorded.
    let names = paths.filter_map(|path| {
        path.to_str()
            .map(|path| path.trim_end_matches('/').to_owned())
    });
    Ok(names.collect())
}

/// The keys of the arrays on disk at and below a path: those that notes in the inbox record there, else
/// those that the layout reads.
///
/// # Errors
/// As [`arrays_at`]; and if the inbox cannot be read.
pub(crate) fn keys_at(base: &Base, path: &Path, monitor: &dyn Monitor) -> Result<Vec<Key>, Error> {
    let arrays = arrays_at(base, path, monitor)?;
    if arrays.is_empty() {
        return Ok(Vec::new());
    }
    let mut noted: HashMap<String, Key> = inbox::noted_keys(base)?;
    let keys = arrays
        .into_iter()
        .filter_map(|array| match noted.remove(&array) {
            Some(key) => Some(key),
            None => layout::parse(&array).ok(),
        });
    Ok(keys.collect())
}

/// Lists the arrays on disk at and below a path that have no row.
///
/// # Errors
/// As [`arrays_at`]; [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn unrecorded_at(
    catalog: &Catalog,
    base: &Base,
    path: &Path,
    now: Timestamp,
    monitor: &dyn Monitor,
) -> Result<Vec<PathBuf>, Error> {
    let rows = target::at_or_below(catalog, base, path, now)?;
    let place = target::relative(base, path)?;
    let known: HashSet<String> = rows.iter().map(|row| row.location().path()).collect();
    // An artifact is meant itself, also if it is a container.
    if known.contains(&place) {
        return Ok(Vec::new());
    }
    let mut arrays = arrays_at(base, path, monitor)?;
    arrays.retain(|array| !known.contains(array) && layout::parse(array).is_ok());
    Ok(arrays
        .into_iter()
        .map(|array| base.path().join(array))
        .collect())
}
