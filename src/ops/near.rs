//! What is recorded that is most like a name or path of which nothing is.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use crate::catalog::{Catalog, CatalogError, NameOf, Selected};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::key::Kind;
use crate::model::layout::{self, Location};
use crate::model::name::{BasePath, RunName};
use crate::model::nearest::nearest;
use crate::ops::target::{Target, base_path, location, relative};
use crate::ops::unscanned::{self, OnDisk};
use crate::store::Base;

/// Artifacts below a folder whose names are compared.
const MOST: usize = 10_000;

/// What is most like a path of which nothing is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Near {
    /// A recorded path, a folder of recorded ones, or a run.
    pub(crate) path: Option<String>,
    /// If it is the iteration that is not there: `iterations near 1100: 1000, 2000`.
    pub(crate) iterations: Option<String>,
}

impl Near {
    fn path(path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            iterations: None,
        }
    }
}

/// The error for a target that the catalog does not have.
pub(crate) fn not_recorded(catalog: &Catalog, base: &Base, target: &Target) -> Error {
    let is_run = match target {
        Target::Path(path) => is_run(catalog, base, path),
        Target::Key(_) | Target::Id(_) => false,
    };
    let inside = match target {
        Target::Path(path) if !is_run => inside(catalog, base, path),
        Target::Path(_) | Target::Key(_) | Target::Id(_) => 0,
    };
    let near = match target {
        // What is in a folder is named by the call that lists it.
        Target::Path(path) if !is_run && inside == 0 => near_path(catalog, base, path),
        Target::Path(_) | Target::Key(_) | Target::Id(_) => Near::default(),
    };
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
        is_run,
        inside,
        level_of: level_of(catalog, base, target),
        nearest: near.path,
        near_iterations: near.iterations.map(String::into_boxed_str),
        only_checkpoints: match target {
            Target::Path(path) => has_only_checkpoints(base, path),
            Target::Key(_) | Target::Id(_) => false,
        },
    }
}

/// Whether a path is that of a run of which something is recorded. What cannot be read is no
/// answer.
pub(crate) fn is_run(catalog: &Catalog, base: &Base, path: &Path) -> bool {
    let Ok(name) = relative(base, path) else {
        return false;
    };
    let known = catalog.names(NameOf::Run, &name).unwrap_or_default();
    known.contains(&name)
}

/// Number of artifacts that are recorded below a path. What cannot be read is no answer.
fn inside(catalog: &Catalog, base: &Base, path: &Path) -> u32 {
    let Ok(place) = base_path(base, path) else {
        return 0;
    };
    let below = Filter::default().below([place]);
    let counts = catalog.count_of_runs(&below, Timestamp(0));
    let all: u64 = counts.unwrap_or_default().values().sum();
    all.try_into().unwrap_or(u32::MAX)
}

/// The error for a run of which nothing is recorded.
pub(crate) fn run_not_recorded(catalog: &Catalog, run: &RunName) -> Error {
    Error::NotRecorded {
        what: format!("run {run}"),
        path: None,
        is_run: false,
        inside: 0,
        level_of: None,
        nearest: nearest_run(catalog, run),
        near_iterations: None,
        only_checkpoints: false,
    }
}

/// Whether checkpoints are on disk at a path, that of a run or of its checkpoints, and no array.
/// What cannot be read is no answer.
fn has_only_checkpoints(base: &Base, path: &Path) -> bool {
    let Ok(path) = relative(base, path) else {
        return false;
    };
    match layout::is_in_checkpoints(&path) {
        true => !base.is_absent(&path),
        false => matches!(
            unscanned::on_disk(base, &path),
            Ok(Some(OnDisk::Checkpoints))
        ),
    }
}

/// The run of which something is recorded whose name is most similar; none if none is similar.
pub(crate) fn nearest_run(catalog: &Catalog, run: &RunName) -> Option<String> {
    let runs = catalog.names(NameOf::Run, "").ok()?;
    run_like(run.as_str(), runs.iter().map(String::as_str)).map(str::to_owned)
}

/// The run whose name is most similar. A path in a run, or in one that is similar, means that.
pub(crate) fn run_like<'a>(
    name: &str,
    runs: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let above = runs.clone().filter(|run| is_below(name, run));
    above
        .max_by_key(|run| run.len())
        .or_else(|| nearest(name, runs.clone()))
        .or_else(|| nearest(name.split('/').next()?, runs))
}

fn is_below(path: &str, run: &str) -> bool {
    let rest = path.strip_prefix(run);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// The recorded path, or folder of recorded ones, that is most similar to a path that is neither,
/// or the run; or the iterations next to the one that is not there. Nothing if nothing is similar.
pub(crate) fn near_path(catalog: &Catalog, base: &Base, path: &Path) -> Near {
    // What was removed from there was meant, and not what is like it.
    let was = location(base, path).map(|place| catalog.removed_from(&place));
    if matches!(was, Ok(Ok(was)) if !was.is_empty()) {
        return Near::default();
    }
    // What cannot be read is no answer; the error says what was asked for all the same.
    let (Ok(path), Ok(runs)) = (relative(base, path), catalog.names(NameOf::Run, "")) else {
        return Near::default();
    };
    search(catalog, &path, &runs).unwrap_or_default()
}

fn search(catalog: &Catalog, path: &str, runs: &[String]) -> Option<Near> {
    let known = || runs.iter().map(String::as_str);
    let in_run = known()
        .filter(|run| is_below(path, run))
        .max_by_key(|run| run.len());
    let (run, rest) = match in_run {
        Some(run) => (run, path.get(run.len() + 1..)?),
        None => match run_above(path, known()) {
            Some(found) => found,
            None => return run_like(path, known()).map(Near::path),
        },
    };
    // In the folder of a run, the path from the base directory is often typed.
    if in_run.is_some() && is_known(catalog, rest)? {
        return Some(Near::path(rest));
    }
    // What is found if something below the run is like nothing there.
    let only_run = || in_run.is_none().then(|| Near::path(run));
    let mut at = run.to_owned();
    let mut is_typed = in_run.is_some();
    for part in rest.split('/') {
        let next = format!("{at}/{part}");
        if is_known(catalog, &next)? {
            at = next;
            continue;
        }
        let beside = Beside::read(catalog, &at)?;
        if let Ok(iteration) = part.parse::<i64>()
            && !beside.iterations.is_empty()
        {
            // Of a run that may be meant, only what is surely there is named.
            return match is_typed {
                true => Some(Near {
                    path: None,
                    iterations: Some(beside.near(catalog, run, iteration)?),
                }),
                false => Some(Near::path(at)),
            };
        }
        match beside.like(part) {
            Some(like) => {
                at = format!("{at}/{like}");
                is_typed = false;
            }
            None => return only_run(),
        }
    }
    Some(Near::path(at))
}

/// A run that the beginning of a path is like, and the rest of the path.
fn run_above<'a, 'p>(
    path: &'p str,
    runs: impl Iterator<Item = &'a str>,
) -> Option<(&'a str, &'p str)> {
    let typed: Vec<&str> = path.split('/').collect();
    let is_like = |run: &&str| {
        let parts: Vec<&str> = run.split('/').collect();
        let mut pairs = parts.iter().zip(&typed);
        parts.len() < typed.len() && pairs.all(|(known, typed)| is_alike(typed, known))
    };
    let depth = |run: &str| run.split('/').count();
    let like: Vec<&str> = runs.filter(is_like).collect();
    let deepest = like.iter().map(|run| depth(run)).max()?;
    let head = typed.get(..deepest)?.join("/");
    let like = like.into_iter().filter(|run| depth(run) == deepest);
    let run = nearest(&head, like)?;
    Some((run, path.get(head.len() + 1..)?))
}

/// Whether a component of a path may be a mistyped one. The ending of a container is alike in all
/// of them, and another number is another iteration.
fn is_alike(typed: &str, known: &str) -> bool {
    let stem = |part: &'_ str| {
        let end = part.rsplit_once('.').map(|(stem, _)| stem.len());
        end.unwrap_or(part.len())
    };
    let [typed_stem, known_stem] = [typed, known].map(|part| &part[..stem(part)]);
    typed == known || (typed.parse::<i64>().is_err() && nearest(typed_stem, [known_stem]).is_some())
}

/// The one of these names that a component of a path is most like.
fn part_like<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike: Vec<&str> = known.filter(|known| is_alike(typed, known)).collect();
    nearest(typed, alike.iter().copied()).or_else(|| alike.first().copied())
}

/// Whether anything is recorded at a path or below it; none if the catalog cannot be read.
pub(crate) fn is_known(catalog: &Catalog, path: &str) -> Option<bool> {
    let Ok(place) = path.parse::<BasePath>() else {
        return Some(false);
    };
    let mut is_known = false;
    each_below(catalog, place, |_| {
        is_known = true;
        ControlFlow::Break(())
    })?;
    Some(is_known)
}

fn each_below(
    catalog: &Catalog,
    place: BasePath,
    mut each: impl FnMut(Artifact) -> ControlFlow<()>,
) -> Option<()> {
    let below = Filter::default().below([place]).kinds(Kind::ALL);
    let listed = catalog.list(&below, Timestamp(0), Selected::All, |artifact| {
        Ok::<_, CatalogError>(each(artifact))
    });
    listed.ok()
}

/// The names in a folder that artifacts are recorded in or below.
#[derive(Default)]
struct Beside {
    names: BTreeSet<String>,
    /// Those that are iterations.
    iterations: BTreeSet<i64>,
    /// Whether all artifacts were read.
    is_whole: bool,
}

impl Beside {
    fn read(catalog: &Catalog, folder: &str) -> Option<Self> {
        let mut beside = Self::default();
        let mut left = MOST;
        each_below(catalog, folder.parse().ok()?, |artifact| {
            let path = artifact.location().path();
            let name = path.get(folder.len() + 1..).unwrap_or_default();
            let name = name.split('/').next().unwrap_or_default();
            if let (Ok(number), Some(iteration)) = (name.parse::<i64>(), artifact.key.iteration())
                && number == iteration
            {
                beside.iterations.insert(iteration);
            }
            if !name.is_empty() {
                beside.names.insert(name.to_owned());
            }
            left -= 1;
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        })?;
        beside.is_whole = left > 0;
        Some(beside)
    }

    fn like(&self, part: &str) -> Option<&str> {
        part_like(part, self.names.iter().map(String::as_str))
    }

    /// The iterations on both sides of one that is not there.
    fn near(&self, catalog: &Catalog, run: &str, iteration: i64) -> Option<String> {
        let beside = match self.is_whole {
            true => {
                let below = self.iterations.range(..iteration).next_back();
                let above = self.iterations.range(iteration..).next();
                below.into_iter().chain(above).copied().collect()
            }
            false => {
                let one = IterationRange::from(iteration);
                catalog
                    .iterations_beside(&one, &[Pattern::from(run)])
                    .ok()?
            }
        };
        let beside: Vec<String> = beside.iter().map(ToString::to_string).collect();
        Some(format!(
            "iterations near {iteration}: {}",
            beside.join(", ")
        ))
    }
}

/// The one of these paths that is most like another, component by component; `None` if none is
/// similar.
pub(crate) fn nearest_of_paths(path: &str, paths: &BTreeSet<String>) -> Option<String> {
    let typed: Vec<&str> = path.split('/').collect();
    let is_like = |known: &&String| {
        let known: Vec<&str> = known.split('/').collect();
        let mut pairs = typed.iter().zip(&known);
        typed.len() == known.len() && pairs.all(|(typed, known)| is_alike(typed, known))
    };
    let alike = paths.iter().filter(is_like);
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
