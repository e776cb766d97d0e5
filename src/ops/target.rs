//! How callers name one artifact: by key, by path or by number.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::catalog::{Catalog, CatalogError, NameOf, Selected};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::{Key, Kind};
use crate::model::layout::{self, Location};
use crate::model::name::{BasePath, DatasetName, NameError, RunName};
use crate::model::nearest::nearest;
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

/// The error for a target that the catalog does not have.
pub(crate) fn not_recorded(catalog: &Catalog, base: &Base, target: &Target) -> Error {
    Error::NotRecorded {
        what: match target {
            Target::Key(key) => key.to_string(),
            Target::Path(path) => path.display().to_string(),
            Target::Id(id) => format!("artifact {id}"),
        },
        path: match target {
            Target::Path(path) => Some(base.path().join(path)),
            Target::Key(_) | Target::Id(_) => None,
        },
        level_of: level_of(catalog, base, target),
        nearest: match target {
            Target::Path(path) => nearest_path(catalog, base, path),
            Target::Key(_) | Target::Id(_) => None,
        },
    }
}

/// The run of which something is recorded whose name is most similar; none if none is similar.
pub(crate) fn nearest_run(catalog: &Catalog, run: &RunName) -> Option<String> {
    let runs = catalog.names(NameOf::Run, "").ok()?;
    nearest(run.as_str(), runs.iter().map(String::as_str)).map(str::to_owned)
}

/// The recorded path, or folder of recorded ones, that is most similar to a path that is neither, or
/// the run; none if none is similar.
pub(crate) fn nearest_path(catalog: &Catalog, base: &Base, path: &Path) -> Option<String> {
    /// Artifacts of the run that are compared.
    const MOST: usize = 10_000;
    // What was removed from there was meant, and not what is like it.
    let place = location(base, path).ok();
    if place.is_some_and(|place| {
        catalog
            .removed_from(&place)
            .is_ok_and(|was| !was.is_empty())
    }) {
        return None;
    }
    let path = relative(base, path).ok()?;
    // What cannot be read is no answer; the error says what was asked for all the same.
    let runs = catalog.names(NameOf::Run, "").ok()?;
    let is_in = |run: &&String| {
        let rest = path.strip_prefix(run.as_str());
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let Some(run) = runs.iter().filter(is_in).max_by_key(|run| run.len()) else {
        let known = || runs.iter().map(String::as_str);
        let first = path.split('/').next().unwrap_or_default();
        let found = nearest(&path, known()).or_else(|| nearest(first, known()));
        return found.map(str::to_owned);
    };
    // In the folder of a run, the path from the base directory is often typed.
    let rest = path.get(run.len() + 1..).unwrap_or_default();
    if let Ok(place) = rest.parse::<BasePath>() {
        let below = Filter::default().below([place]).kinds(Kind::ALL);
        let mut is_known = false;
        let listed = catalog.list(&below, Timestamp(0), Selected::All, |_| {
            is_known = true;
            Ok::<_, CatalogError>(ControlFlow::Break(()))
        });
        if listed.is_ok() && is_known {
            return Some(rest.to_owned());
        }
    }
    let filter = Filter::default().runs([run.as_str()]).kinds(Kind::ALL);
    let mut paths = BTreeSet::new();
    let mut listed = 0;
    let listed = catalog.list(&filter, Timestamp(0), Selected::All, |artifact| {
        // As deep as what was typed, which may be a folder.
        let whole = artifact.location().path();
        let parts: Vec<&str> = whole.split('/').take(path.split('/').count()).collect();
        paths.insert(parts.join("/"));
        listed += 1;
        Ok::<_, CatalogError>(match listed < MOST {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    });
    listed.ok()?;
    nearest_of_paths(&path, &paths)
}

/// The one of these paths that is most like another; `None` if none is similar.
pub(crate) fn nearest_of_paths(path: &str, paths: &BTreeSet<String>) -> Option<String> {
    let typed: Vec<&str> = path.split('/').collect();
    // Long paths are alike by what they share, so only one component may differ, and not by its
    // number.
    let differing = |known: &str| {
        let known: Vec<&str> = known.split('/').collect();
        let mut pairs = typed
            .iter()
            .zip(&known)
            .filter(|(typed, known)| typed != known);
        let (typed_part, known_part) = pairs.next()?;
        let is_one = pairs.next().is_none() && typed.len() == known.len();
        let is_name = typed_part.parse::<i64>().is_err();
        // The ending of a container is alike in all of them.
        let stem = |part: &'_ str| {
            part.rsplit_once('.')
                .map_or(part.len(), |(stem, _)| stem.len())
        };
        let [typed_stem, known_stem] = [typed_part, known_part].map(|part| &part[..stem(part)]);
        (is_one && is_name && nearest(typed_stem, [known_stem]).is_some()).then_some(())
    };
    let alike = paths.iter().filter(|known| differing(known).is_some());
    nearest(path, alike.map(String::as_str)).map(str::to_owned)
}

/// The path of the pyramid that a target is a level of.
fn level_of(catalog: &Catalog, base: &Base, target: &Target) -> Option<String> {
    let place = match target {
        Target::Path(path) => location(base, path).ok()?,
        Target::Key(key) => layout::canonical_location(key),
        Target::Id(_) => return None,
    };
    let mut above = place.array.as_deref()?;
    // From the inside out, to the container, which can be a pyramid itself.
    loop {
        above = above.rsplit_once('/').map_or("", |(above, _)| above);
        let place = Location {
            container: place.container.clone(),
            array: (!above.is_empty()).then(|| above.to_owned()),
        };
        // What cannot be read is no answer; the error says what was asked for all the same.
        let found = catalog.at(&place).ok().flatten();
        if found.is_some_and(|artifact| !artifact.levels.is_empty()) {
            return Some(place.path());
        }
        if above.is_empty() {
            return None;
        }
    }
}
