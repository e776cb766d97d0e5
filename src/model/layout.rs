//! The layout below the base directory, both ways: key to path, and path to key for a scan.
//!
//! The layout is DaCapo's own (`LocalArrayStore`), to the letter:
//!
//! | kind | container | array in it |
//! |---|---|---|
//! | `prediction` | `{run}/validation.zarr`, or another | `{iteration}/{dataset}/prediction` |
//! | `output` | `{run}/validation.zarr`, or another | `{iteration}/{dataset}/output/{parameters}` |
//! | `input-raw` | `{run}/validation.zarr` | `inputs/[{index}/]raw` |
//! | `input-gt` | `{run}/validation.zarr` | `inputs/[{index}/]gt` |
//! | `best` | `{run}/validation.zarr` | `[{index}/]{criterion}` |
//! | `snapshot` | `{run}/snapshot.zarr` | `[{iteration}/]{dataset}` |
//! | `array` | `{run}/{container}` | `{dataset}`, or the container itself |
//! | `checkpoint` | `{run}/checkpoints` | `iterations/{iteration}` |
//!
//! A checkpoint is one file outside of any container. The folder `checkpoints`, which also holds
//! DaCapo's links to the best checkpoints, takes the part of the container.
//!
//! A run may have its validations in N5, or in a folder whose name says no format: what lies there
//! as in `validation.zarr` is a prediction or an output, and the container is part of its key. So
//! the same array in two containers has two keys. Without a container a key means
//! `validation.zarr`.
//!
//! # Ambiguous paths
//! A key has one path, but several keys can share a path, because names may hold `/`. Parsing a
//! path guesses by these rules, in this order:
//!
//! 1. The container is the last component called `validation.zarr` or `snapshot.zarr`, else the
//!    last one that ends in `.zarr`, `.n5`, `.zarr3` or `.zr3`. The run is in front of it. So the
//!    first component is the container only if no other component is one and the path is not that
//!    of a checkpoint, which ends in `/checkpoints/iterations/` and an integer. If no component is a
//!    container, the container is the last folder called `validation` that is in front of an integer
//!    and not the first component, else the second component.
//! 2. In any container but `snapshot.zarr`, below an integer: a path that ends in `/prediction` is
//!    a prediction; else the last `/output/` separates dataset and parameters. Else it is an
//!    `array`, in `validation.zarr` only if its path has three components or more. In containers
//!    of other names every other path is an `array` too.
//! 3. In `validation.zarr`, below `inputs`: a path that ends in `raw` or `gt` is an input.
//! 4. Everything else in `validation.zarr` is a best array; its last component is the criterion.
//! 5. In `snapshot.zarr`, a leading integer is the iteration.
//!
//! So these keys are parsed as other keys than they were recorded as: an output with parameters
//! `prediction` or `…/prediction`; parameters with a component `output` that is not their last; a
//! criterion with `/`; a best array whose path looks like an input, or starts with an integer and
//! has three components; a snapshot without iteration whose dataset starts with an integer and has
//! two components; names with a component that looks like a container; a checkpoint of a run with
//! such a component that is not its first; an array whose path looks like a prediction, an output
//! or a checkpoint; in a container without an ending, a run with `/` or a name with a folder
//! `validation` in front of an integer. [`round_trips`] says for any key whether a scan parses
//! it back. In the catalog a recorded key always replaces a guessed one. The catalog finds keys by
//! their [`canonical_location`], which is the same for all keys that share a path.

use crate::model::key::Key;
pub use crate::model::name::VALIDATION_CONTAINER;
use crate::model::name::{self, ContainerName, DatasetName, NameError, Parameters, RunName};

/// Name of the folder of a run's validations whose name says no format.
const PLAIN_VALIDATIONS: &str = "validation";
/// Name of the container of a run's snapshots.
pub const SNAPSHOT_CONTAINER: &str = "snapshot.zarr";
/// Name of the folder of a run's checkpoints and of the links to the best ones.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";
/// Name of the folder in [`CHECKPOINTS_FOLDER`] that holds the checkpoints.
pub const CHECKPOINT_ITERATIONS: &str = "iterations";

/// The path of an artifact relative to the base directory, split at its container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Location {
    /// Path of the container, components joined by `/`; of a checkpoint, path of the folder
    /// `checkpoints`.
    pub container: String,
    /// Path in the container; `None` if the artifact is the container itself.
    pub array: Option<String>,
}

impl Location {
    /// Whether it is the location of a checkpoint, whose `container` is a plain folder.
    #[must_use]
    pub fn is_checkpoint(&self) -> bool {
        let is_one = |array: &str| {
            let iteration = array
                .strip_prefix(CHECKPOINT_ITERATIONS)
                .and_then(|rest| rest.strip_prefix('/'));
            iteration.is_some_and(|text| name::parse_iteration(text).is_ok())
        };
        self.array.as_deref().is_some_and(is_one) && is_checkpoints(&self.container)
    }

    /// The whole path relative to the base directory.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.array {
            Some(array) => [&self.container, array.as_str()].join("/"),
            None => self.container.clone(),
        }
    }
}

/// The path belongs to no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The path is too short: arrays lie in the folder of a run, or in a container in it.
    #[error("\"{}\" is not in the folder of a run", .path.escape_debug())]
    NoContainer {
        /// The path.
        path: String,
    },
    /// The container lies in the base directory itself, not in the folder of a run.
    #[error("\"{}\" is in a container outside any run", .path.escape_debug())]
    NoRun {
        /// The path.
        path: String,
    },
    /// A component breaks the rules for names.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl LayoutError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoContainer { .. } => "layout-no-container",
            Self::NoRun { .. } => "layout-no-run",
            Self::Name(error) => error.code(),
        }
    }

    /// The path, if the error is about a whole path.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::NoContainer { path } | Self::NoRun { path } => Some(path),
            Self::Name(_) => None,
        }
    }
}

/// Gives the location of a key.
#[must_use]
pub fn locate(key: &Key) -> Location {
    // Every row that is read is located: joining takes a fraction of the time of `format!`.
    let in_container = |container: &str, array: Option<String>| Location {
        container: [key.run().as_str(), container].join("/"),
        array,
    };
    let validation = |array| in_container(VALIDATION_CONTAINER, Some(array));
    let of_validations = |container| -> &str {
        Option::as_ref(container).map_or(VALIDATION_CONTAINER, ContainerName::as_str)
    };
    let indexed = |index: &Option<DatasetName>, tail: &str| match index {
        Some(index) => format!("{index}/{tail}"),
        None => tail.to_owned(),
    };
    match key {
        Key::Prediction {
            iteration,
            dataset,
            container,
            ..
        } => {
            let array = [&iteration.to_string(), dataset.as_str(), "prediction"].join("/");
            in_container(of_validations(container), Some(array))
        }
        Key::Output {
            iteration,
            dataset,
            parameters,
            container,
            ..
        } => {
            let iteration = iteration.to_string();
            let (dataset, parameters) = (dataset.as_str(), parameters.as_str());
            let array = [&iteration, dataset, "output", parameters].join("/");
            in_container(of_validations(container), Some(array))
        }
        Key::InputRaw { index, .. } => validation(format!("inputs/{}", indexed(index, "raw"))),
        Key::InputGt { index, .. } => validation(format!("inputs/{}", indexed(index, "gt"))),
        Key::Best {
            criterion, index, ..
        } => validation(indexed(index, criterion.as_str())),
        Key::Snapshot {
            iteration, dataset, ..
        } => {
            let array = match iteration {
                Some(iteration) => format!("{iteration}/{dataset}"),
                None => dataset.to_string(),
            };
            in_container(SNAPSHOT_CONTAINER, Some(array))
        }
        Key::SnapshotContainer { .. } => in_container(SNAPSHOT_CONTAINER, None),
        Key::ValidationContainer { .. } => in_container(VALIDATION_CONTAINER, None),
        Key::Array {
            container, dataset, ..
        } => in_container(
            container.as_str(),
            dataset.as_ref().map(ToString::to_string),
        ),
        Key::Checkpoint { iteration, .. } => in_container(
            CHECKPOINTS_FOLDER,
            Some(format!("{CHECKPOINT_ITERATIONS}/{iteration}")),
        ),
    }
}

/// Gives the location that the path of a key has by itself: keys that share a path share it.
///
/// The path is that of [`locate`]. Only a name with a component that looks like a container makes
/// the two split the path at different components.
#[must_use]
pub fn canonical_location(key: &Key) -> Location {
    let location = locate(key);
    // A located path always has a container or is that of a checkpoint, so `split` succeeds.
    split(&location.path()).unwrap_or(location)
}

/// Whether this is the [`canonical_location`] of a key. Takes less time than comparing with it.
#[must_use]
pub fn is_canonical_location(key: &Key, container: &str, array: &str) -> bool {
    let located = locate(key);
    let is_located =
        located.container == container && located.array.as_deref().unwrap_or_default() == array;
    // Both locations are the same unless a name holds the end of a container's name or the name of
    // the folder of checkpoints. That is rare, and ruling it out saves splitting the path.
    let may_part = |text: &str| {
        let mut ends = name::CONTAINER_ENDINGS.iter().chain([&CHECKPOINTS_FOLDER]);
        ends.any(|end| text.contains(end))
    };
    let has_ending = is_container(container);
    let is_plain =
        has_ending && !key.kind().is_file() && !may_part(array) && !may_part(key.run().as_str());
    if is_located && is_plain {
        return true;
    }
    let place = canonical_location(key);
    place.container == container && place.array.as_deref().unwrap_or_default() == array
}

/// Whether parsing the path of a key gives the same key.
#[must_use]
pub fn round_trips(key: &Key) -> bool {
    parse(&locate(key).path()).as_ref() == Ok(key)
}

/// Splits a path relative to the base directory behind its container, or behind the folder
/// `checkpoints` if it is the path of a checkpoint.
///
/// # Errors
/// [`LayoutError::NoContainer`] if the path has one component, and that is no container.
pub fn split(path: &str) -> Result<Location, LayoutError> {
    let known = |component: &str| matches!(component, VALIDATION_CONTAINER | SNAPSHOT_CONTAINER);
    let mut last_known = None;
    let mut last = None;
    // A container that is the first component has no run in front of it: the last choice.
    let mut outside = None;
    let mut end = 0;
    for (index, component) in path.split('/').enumerate() {
        end += component.len();
        if index == 0 {
            outside = name::is_container_name(component).then_some(end);
        } else if known(component) {
            last_known = Some(end);
        } else if name::is_container_name(component) {
            last = Some(end);
        }
        // The slash behind the component.
        end += 1;
    }
    let checkpoints = || checkpoints_end(path);
    // The order of rule 1 in the module's header.
    let named = last_known.or(last).or_else(checkpoints).or(outside);
    let Some(end) = named.or_else(|| plain_end(path)) else {
        return Err(LayoutError::NoContainer {
            path: path.to_owned(),
        });
    };
    // Completion in a shell leaves a slash at the end.
    let array = path[end..].trim_matches('/');
    Ok(Location {
        container: path[..end].to_owned(),
        array: (!array.is_empty()).then(|| array.to_owned()),
    })
}

/// Whether a group at a place may be an artifact: a pyramid, whose arrays are its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PyramidPlace {
    /// No: it is a container of runs' arrays, or lies outside of containers and runs.
    Never,
    /// If its metadata says so.
    IfSaid,
    /// Also if just its arrays are called like levels: the layout expects an array here.
    Expected,
}

/// Says whether a group at this path, relative to the base directory, may be a pyramid.
#[must_use]
pub(crate) fn pyramid_place(path: &str) -> PyramidPlace {
    let is_integer = |text: &str| name::parse_iteration(text).is_ok();
    match parse(path) {
        Ok(
            Key::Prediction { .. }
            | Key::Output { .. }
            | Key::InputRaw { .. }
            | Key::InputGt { .. },
        ) => PyramidPlace::Expected,
        // The folder of an iteration, or of a dataset in it, holds artifacts of their own.
        Ok(Key::Best {
            criterion, index, ..
        }) if is_integer(criterion.as_str())
            || index
                .as_ref()
                .is_some_and(|index| is_integer(index.as_str())) =>
        {
            PyramidPlace::Never
        }
        Ok(Key::Snapshot {
            iteration: None,
            dataset,
            ..
        }) if is_integer(dataset.as_str()) => PyramidPlace::Never,
        Ok(Key::Best { .. } | Key::Snapshot { .. }) => PyramidPlace::Expected,
        Ok(Key::Array { dataset, .. }) => match dataset {
            Some(_) => PyramidPlace::Expected,
            // The container is a group anyway, so the names of its arrays prove nothing.
            None => PyramidPlace::IfSaid,
        },
        Ok(_) | Err(_) => PyramidPlace::Never,
    }
}

/// Whether the layout has an array at this path, and no group.
#[must_use]
pub(crate) fn is_place_of_array(path: &str) -> bool {
    // An array that just has a name may be a group in its container as well.
    !matches!(parse(path), Ok(Key::Array { .. })) && pyramid_place(path) == PyramidPlace::Expected
}

/// Whether an array at this path may hold several iterations, as DaCapo's snapshots do.
#[must_use]
pub(crate) fn may_hold_iterations(path: &str) -> bool {
    // A scan asks this of each array, and most paths have the name nowhere.
    path.contains(SNAPSHOT_CONTAINER)
        && path
            .split('/')
            .any(|component| component == SNAPSHOT_CONTAINER)
}

/// Whether a scan looks for checkpoints in a folder, given relative to the base directory.
#[must_use]
pub fn holds_checkpoints(folder: &str) -> bool {
    // Any integer will do: the question is about the folder alone.
    split(&format!("{folder}/0")).is_ok_and(|place| place.is_checkpoint())
}

/// Whether a path is the folder `checkpoints` of a run, that of its iterations, or in that.
#[must_use]
pub(crate) fn is_in_checkpoints(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let at = parts.iter().rposition(|part| *part == CHECKPOINTS_FOLDER);
    match at.map(|at| (at, &parts[at + 1..])) {
        Some((1.., [])) => true,
        Some((1.., [iterations, ..])) => *iterations == CHECKPOINT_ITERATIONS,
        _ => false,
    }
}

fn is_checkpoints(container: &str) -> bool {
    container
        .rsplit_once('/')
        .is_some_and(|(_, last)| last == CHECKPOINTS_FOLDER)
}

/// The offset behind the folder `checkpoints` in the path of a checkpoint; `None` for other paths.
fn checkpoints_end(path: &str) -> Option<usize> {
    let (folder, iteration) = path.rsplit_once('/')?;
    name::parse_iteration(iteration).ok()?;
    let (checkpoints, iterations) = folder.rsplit_once('/')?;
    let (run, last) = checkpoints.rsplit_once('/')?;
    // Not at the top of the base directory: the run in front must have a name.
    let is_one =
        iterations == CHECKPOINT_ITERATIONS && last == CHECKPOINTS_FOLDER && !run.is_empty();
    is_one.then_some(checkpoints.len())
}

/// The offset behind the container in a path that names none by its ending; `None` for a path of
/// one component.
fn plain_end(path: &str) -> Option<usize> {
    let path = path.trim_end_matches('/');
    let (run, rest) = path.split_once('/')?;
    let mut end = run.len() + 1;
    let mut validations = None;
    let mut components = rest.split('/').peekable();
    while let Some(component) = components.next() {
        end += component.len();
        let is_iteration = |next: &&str| name::parse_iteration(next).is_ok();
        if component == PLAIN_VALIDATIONS && components.peek().is_some_and(is_iteration) {
            validations = Some(end);
        }
        // The slash behind the component.
        end += 1;
    }
    let second = || run.len() + 1 + rest.find('/').unwrap_or(rest.len());
    Some(validations.unwrap_or_else(second))
}

/// Whether the folder at a path is a container by its ending.
#[must_use]
pub(crate) fn is_container(path: &str) -> bool {
    name::is_container_name(path.rsplit('/').next().unwrap_or_default())
}

/// Whether a walk looks at every folder below a folder of this name as at one in a container.
#[must_use]
pub(crate) fn is_container_folder(component: &str) -> bool {
    component == PLAIN_VALIDATIONS || name::is_container_name(component)
}

/// Guesses the key of a path relative to the base directory, as a scan does.
///
/// # Errors
/// [`LayoutError::NoContainer`] or [`LayoutError::NoRun`] if the path is in no container or in no
/// run, [`LayoutError::Name`] if a part of it is not a valid name.
pub fn parse(path: &str) -> Result<Key, LayoutError> {
    parse_at(path, &split(path)?)
}

/// Does the same as [`parse`] for a path that [`split`] has split.
///
/// # Errors
/// Those of [`parse`], but for [`LayoutError::NoContainer`].
pub fn parse_at(path: &str, location: &Location) -> Result<Key, LayoutError> {
    let Some((run, container)) = location.container.rsplit_once('/') else {
        return Err(LayoutError::NoRun {
            path: path.to_owned(),
        });
    };
    let run: RunName = run.parse()?;
    let array = match &location.array {
        Some(array) => Some(array.parse::<DatasetName>()?),
        None => None,
    };
    match (container, array) {
        (VALIDATION_CONTAINER, None) => Ok(Key::ValidationContainer { run }),
        (SNAPSHOT_CONTAINER, None) => Ok(Key::SnapshotContainer { run }),
        (VALIDATION_CONTAINER, Some(array)) => read_validation(run, array),
        (SNAPSHOT_CONTAINER, Some(array)) => read_snapshot(run, array),
        (CHECKPOINTS_FOLDER, Some(array)) if location.is_checkpoint() => {
            let (_, iteration) = array.as_str().rsplit_once('/').unwrap_or_default();
            let iteration = name::parse_iteration(iteration)?;
            Ok(Key::Checkpoint { run, iteration })
        }
        (other, dataset) => {
            let container: ContainerName = other.parse()?;
            let parts = dataset.as_ref().map(|array| read_iteration(array.as_str()));
            match parts.transpose()?.flatten() {
                Some(parts) => Ok(parts.key(run, Some(container))),
                None => Ok(Key::Array {
                    run,
                    container,
                    dataset,
                }),
            }
        }
    }
}

/// What the path of a prediction or an output in its container says.
struct IterationPath {
    iteration: i64,
    dataset: DatasetName,
    /// Parameters of an output; `None` if it is a prediction.
    parameters: Option<Parameters>,
}

impl IterationPath {
    fn key(self, run: RunName, container: Option<ContainerName>) -> Key {
        let Self {
            iteration,
            dataset,
            parameters,
        } = self;
        match parameters {
            None => Key::Prediction {
                run,
                iteration,
                dataset,
                container,
            },
            Some(parameters) => Key::Output {
                run,
                iteration,
                dataset,
                parameters,
                container,
            },
        }
    }
}

/// Reads a path in a container by rule 2; `None` if it is neither a prediction nor an output.
fn read_iteration(array: &str) -> Result<Option<IterationPath>, LayoutError> {
    let Some((head, tail)) = array.split_once('/') else {
        return Ok(None);
    };
    let Ok(iteration) = name::parse_iteration(head) else {
        return Ok(None);
    };
    let (dataset, parameters) = if let Some(dataset) = tail.strip_suffix("/prediction") {
        (dataset, None)
    // The last one, by rule 2: a component of a dataset may be called `output` too.
    } else if let Some((dataset, parameters)) = tail.rsplit_once("/output/") {
        (dataset, Some(parameters.parse()?))
    } else {
        return Ok(None);
    };
    Ok(Some(IterationPath {
        iteration,
        dataset: dataset.parse()?,
        parameters,
    }))
}

fn read_snapshot(run: RunName, array: DatasetName) -> Result<Key, LayoutError> {
    // Rule 5. A snapshot array may have no iteration, so other names are datasets.
    if let Some((head, dataset)) = array.as_str().split_once('/')
        && let Ok(iteration) = name::parse_iteration(head)
    {
        return Ok(Key::Snapshot {
            run,
            iteration: Some(iteration),
            dataset: dataset.parse()?,
        });
    }
    Ok(Key::Snapshot {
        run,
        iteration: None,
        dataset: array,
    })
}

fn read_validation(run: RunName, array: DatasetName) -> Result<Key, LayoutError> {
    // Rules 2 to 4 of the module's header, in their order.
    let Some((head, tail)) = array.as_str().split_once('/') else {
        return Ok(Key::Best {
            run,
            criterion: array.as_str().parse()?,
            index: None,
        });
    };
    if let Some(parts) = read_iteration(array.as_str())? {
        return Ok(parts.key(run, None));
    }
    // Two components, such as `5/voi`, fall through: a best array with an integer as index.
    if name::parse_iteration(head).is_ok() && tail.contains('/') {
        let container = VALIDATION_CONTAINER.parse()?;
        return Ok(Key::Array {
            run,
            container,
            dataset: Some(array),
        });
    }
    if head == "inputs" {
        let (index, last) = match tail.rsplit_once('/') {
            Some((index, last)) => (Some(index.parse()?), last),
            None => (None, tail),
        };
        match last {
            "raw" => return Ok(Key::InputRaw { run, index }),
            "gt" => return Ok(Key::InputGt { run, index }),
            _ => {}
        }
    }
    // By rule 4; an index may have several components.
    let (index, criterion) = match array.as_str().rsplit_once('/') {
        Some((index, criterion)) => (Some(index.parse()?), criterion.parse::<Parameters>()?),
        None => (None, array.as_str().parse()?),
    };
    Ok(Key::Best {
        run,
        criterion,
        index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind run iteration dataset parameters` of the reading, `-` for none.
    fn reading(path: &str) -> String {
        match parse(path) {
            Ok(key) => format!(
                "{} {} {} {} {}",
                key.kind(),
                key.run(),
                key.iteration().map_or("-".to_owned(), |n| n.to_string()),
                key.dataset().map_or("-", DatasetName::as_str),
                key.parameters().map_or("-", Parameters::as_str),
            ),
            Err(error) => error.code().to_owned(),
        }
    }

    #[test]
    fn paths_read_as_documented() {
        for (path, expected) in [
            ("r/validation.zarr/1/d/prediction", "prediction r 1 d -"),
            ("r/validation.zarr/1/a/b/prediction", "prediction r 1 a/b -"),
            ("r/validation.zarr/-1/d/output/p", "output r -1 d p"),
            (
                "r/validation.zarr/1/a/output/output/p",
                "output r 1 a/output p",
            ),
            (
                "r/validation.zarr/1/a/output/prediction",
                "prediction r 1 a/output -",
            ),
            (
                "r/validation.zarr/1/output/prediction",
                "prediction r 1 output -",
            ),
            ("r/validation.zarr/1/prediction", "best r - 1 prediction"),
            ("r/validation.zarr/1/d/other", "array r - 1/d/other -"),
            ("r/validation.zarr/0/voi", "best r - 0 voi"),
            ("r/validation.zarr/7", "best r - - 7"),
            ("r/validation.zarr/voi", "best r - - voi"),
            ("r/validation.zarr/a/b/voi", "best r - a/b voi"),
            (
                "r/validation.zarr/007/d/prediction",
                "best r - 007/d prediction",
            ),
            ("r/validation.zarr/inputs/raw", "input-raw r - - -"),
            ("r/validation.zarr/inputs/a/b/gt", "input-gt r - a/b -"),
            ("r/validation.zarr/inputs/x", "best r - inputs x"),
            ("r/snapshot.zarr/volumes/raw", "snapshot r - volumes/raw -"),
            (
                "r/snapshot.zarr/10/volumes/raw",
                "snapshot r 10 volumes/raw -",
            ),
            ("r/snapshot.zarr/10", "snapshot r - 10 -"),
            ("r/snapshot.zarr", "snapshot-container r - - -"),
            ("r/validation.zarr", "validation-container r - - -"),
            ("a/b/validation.zarr/1/d/prediction", "prediction a/b 1 d -"),
            (
                "r.zarr/validation.zarr/1/d/prediction",
                "prediction r.zarr 1 d -",
            ),
            (
                "r/validation.zarr/1/x.zarr/prediction",
                "prediction r 1 x.zarr -",
            ),
            (
                "validation.zarr/snapshot.zarr/raw",
                "snapshot validation.zarr - raw -",
            ),
            ("r/other.n5/a/b", "array r - a/b -"),
            ("r/other.zarr", "array r - - -"),
            ("r/other.zr3/a/b", "array r - a/b -"),
            ("r/other.zarr3", "array r - - -"),
            (
                "x.zr3/validation.zarr/1/d/prediction",
                "prediction x.zr3 1 d -",
            ),
            ("r/.zr3/x", "array r - x -"),
            ("r/data/x", "array r - x -"),
            ("r/data", "array r - - -"),
            ("r/data/", "array r - - -"),
            ("data", "layout-no-container"),
            ("r/validation.n5/1/d/prediction", "prediction r 1 d -"),
            ("r/validation.n5/1/d/output/p", "output r 1 d p"),
            ("r/x.zr3/1/a/b/prediction", "prediction r 1 a/b -"),
            ("r/validation.n5/1/d", "array r - 1/d -"),
            ("r/validation.n5/inputs/raw", "array r - inputs/raw -"),
            ("r/validation/1/d/prediction", "prediction r 1 d -"),
            ("r/validation/1/d/output/p", "output r 1 d p"),
            ("a/b/validation/1/d/prediction", "prediction a/b 1 d -"),
            (
                "validation/validation/1/d/prediction",
                "prediction validation 1 d -",
            ),
            (
                "validation/1/d/prediction",
                "array validation - d/prediction -",
            ),
            ("r/other/1/d/prediction", "prediction r 1 d -"),
            (
                "a/b/other/1/d/prediction",
                "array a - other/1/d/prediction -",
            ),
            (
                "r/snapshot.zarr/1/d/prediction",
                "snapshot r 1 d/prediction -",
            ),
            ("r/checkpoints/iterations/5", "checkpoint r 5 - -"),
            ("a/b/checkpoints/iterations/-5", "checkpoint a/b -5 - -"),
            ("r.zarr/checkpoints/iterations/5", "checkpoint r.zarr 5 - -"),
            (
                "checkpoints/iterations/1/checkpoints/iterations/2",
                "checkpoint checkpoints/iterations/1 2 - -",
            ),
            (
                "a/r.zarr/checkpoints/iterations/5",
                "array a - checkpoints/iterations/5 -",
            ),
            (
                "r/validation.zarr/checkpoints/iterations/5",
                "best r - checkpoints/iterations 5",
            ),
            ("r/checkpoints/iterations/007", "array r - iterations/007 -"),
            (
                "r/checkpoints/iterations/5.tmp",
                "array r - iterations/5.tmp -",
            ),
            ("r/checkpoints/iterations", "array r - iterations -"),
            ("r/checkpoints/5", "array r - 5 -"),
            (
                "r/checkpoints/validation/loss",
                "array r - validation/loss -",
            ),
            ("r/x/iterations/5", "array r - iterations/5 -"),
            ("checkpoints/iterations/5", "array checkpoints - 5 -"),
            ("r.zarr/checkpoints/iterations/05", "layout-no-run"),
            (".dalsegno/checkpoints/iterations/5", "name-reserved"),
            ("validation.zarr/1/d/prediction", "layout-no-run"),
            ("r/.zarr/x", "array r - x -"),
            (".dalsegno/trash/validation.zarr/x", "name-reserved"),
            ("../r/validation.zarr/1/d/prediction", "name-dot-dot"),
            ("r/validation.zarr/1/../prediction", "name-dot-dot"),
            ("r/validation.zarr/1/a\tb/prediction", "name-control"),
        ] {
            assert_eq!(reading(path), expected, "{path}");
        }
    }
}
