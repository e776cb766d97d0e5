//! How callers name one artifact: by key, by path or by number.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, CatalogError, Selected};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::name::{BasePath, DatasetName, NameError};
use crate::store::{self, Base};

/// How an artifact is named: by key, path or number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// By its key.
    Key(Key),
    /// By its path, absolute or relative to the base directory.
    Path(PathBuf),
    /// By its number in the catalog.
    Id(ArtifactId),
}

/// Reads a path, absolute or relative to the base directory, as a place below it.
///
/// # Errors
/// [`Error::OutsideBase`] if it is not below the base directory, [`Error::Name`] or
/// [`Error::Layout`] if it cannot be the path of an artifact.
pub(crate) fn location(base: &Base, path: &Path) -> Result<Location, Error> {
    Ok(layout::split(&relative(base, path)?)?)
}

/// Reads a path, absolute or relative to the base directory, as one relative to it.
///
/// # Errors
/// [`Error::OutsideBase`] if it is not below the base directory, [`Error::Name`] if it is not UTF-8
/// or cannot be the path of a run or of anything in one.
pub(crate) fn relative(base: &Base, path: &Path) -> Result<String, Error> {
    let outside = || Error::OutsideBase {
        path: path.to_owned(),
        base: base.path().to_path_buf(),
    };
    let relative = match path.strip_prefix(base.path()) {
        Ok(relative) => relative,
        Err(_) if path.is_absolute() => return Err(outside()),
        Err(_) => path,
    };
    let text = relative.to_str().ok_or_else(|| NameError::NotUnicode {
        what: "path",
        name: store::escape(relative.as_os_str()),
    })?;
    // The rules for names of datasets also keep `..` and empty components out.
    let name: DatasetName = text.parse()?;
    Ok(name.as_str().to_owned())
}

/// Reads a path, absolute or relative to the base directory, as one of a filter.
///
/// # Errors
/// As [`relative`], and [`Error::Name`] if it leads into the registry's own folder.
pub(crate) fn base_path(base: &Base, path: &Path) -> Result<BasePath, Error> {
    Ok(relative(base, path)?.parse::<BasePath>()?)
}

/// Finds the artifact that a target names; `None` if the catalog has no such row.
///
/// # Errors
/// As [`location`], and [`Error::Catalog`].
pub(crate) fn find(
    catalog: &Catalog,
    base: &Base,
    target: &Target,
) -> Result<Option<Artifact>, Error> {
    Ok(match target {
        Target::Key(key) => {
            let found = catalog.at(&layout::canonical_location(key))?;
            // Several keys can have one path, and the row there may be of another.
            found.filter(|artifact| artifact.key == *key)
        }
        Target::Path(path) => catalog.at(&location(base, path)?)?,
        Target::Id(id) => catalog.by_id(*id)?,
    })
}

/// Finds the artifact at a path; `None` if the catalog has no such row, or nothing can be recorded
/// there because it is the path of a run.
///
/// # Errors
/// As [`relative`], and [`Error::Catalog`].
pub(crate) fn exact(
    catalog: &Catalog,
    base: &Base,
    path: &Path,
) -> Result<Option<Artifact>, Error> {
    match location(base, path) {
        Ok(place) => Ok(catalog.at(&place)?),
        Err(Error::Layout(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finds the artifact at a path or, if there is none, those below it.
///
/// # Errors
/// As [`base_path`], and [`Error::Catalog`].
pub(crate) fn at_or_below(
    catalog: &Catalog,
    base: &Base,
    path: &Path,
    now: Timestamp,
) -> Result<Vec<Artifact>, Error> {
    let place = base_path(base, path)?;
    if let Some(artifact) = exact(catalog, base, path)? {
        return Ok(vec![artifact]);
    }
    let mut found = Vec::new();
    let below = Filter::default().below([place]);
    catalog.list(&below, now, Selected::All, |artifact| {
        found.push(artifact);
        Ok::<_, CatalogError>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}
