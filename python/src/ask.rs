//! What callers ask for, read from Python: selections, keys, targets, times.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno::model::artifact::{Artifact, ArtifactId};
use dalsegno::model::clock::{self, Timestamp};
use dalsegno::model::filter::{Except, Filter, Pattern};
use dalsegno::model::key::{Key, KeyParts, Kind};
use dalsegno::model::name::{self, BasePath, DatasetName, Parameters};
use dalsegno::model::removal::TrashKeep;
use dalsegno::model::size::ByteCount;
use dalsegno::{Error, Target};
use pyo3::prelude::*;

use crate::errors::{argument, raise};
use crate::values::{NOTED, PyArtifact};

/// A selection, as the Python side writes it down.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct SelectionArguments {
    run: Vec<String>,
    /// Paths, absolute or relative to the base directory.
    below: Vec<PathBuf>,
    kind: Vec<String>,
    iteration: Vec<String>,
    dataset: Vec<String>,
    parameters: Vec<String>,
    state: Vec<String>,
    /// Least age, in seconds.
    older_than: Option<f64>,
    /// Milliseconds since 1970.
    written_before: Option<i64>,
    /// Milliseconds since 1970.
    written_since: Option<i64>,
    exclude_run: Vec<String>,
    exclude_kind: Vec<String>,
    exclude_dataset: Vec<String>,
    exclude_parameters: Vec<String>,
    pinned: bool,
    owner: Vec<u32>,
    min_bytes: Option<u64>,
}

fn patterns(texts: Vec<String>) -> Vec<Pattern> {
    texts.into_iter().map(Pattern::from).collect()
}

fn parsed<T: std::str::FromStr>(texts: &[String]) -> PyResult<Vec<T>>
where
    T::Err: std::fmt::Display,
{
    // A `ValueError`, which is Python's own for an argument that cannot be read.
    let parse = |text: &String| text.parse().map_err(argument);
    texts.iter().map(parse).collect()
}

impl SelectionArguments {
    /// The filter that it makes in a base directory.
    pub(crate) fn filter(self, py: Python<'_>, base: &Path) -> PyResult<Filter> {
        let below = |path: PathBuf| {
            let relative = path.strip_prefix(base).unwrap_or(&path).to_string_lossy();
            let parsed = relative.parse::<BasePath>();
            parsed.map_err(|error| raise(py, &Error::from(error)))
        };
        let below: PyResult<Vec<BasePath>> = self.below.into_iter().map(below).collect();
        Ok(Filter::default()
            .below(below?)
            .kinds(parsed(&self.kind)?)
            .iterations(parsed(&self.iteration)?)
            .states(parsed(&self.state)?)
            .runs(patterns(self.run))
            .datasets(patterns(self.dataset))
            .parameters(patterns(self.parameters))
            .older_than(self.older_than.map(seconds).transpose()?)
            .written_before(self.written_before.map(Timestamp))
            .written_since(self.written_since.map(Timestamp))
            .except(
                Except::default()
                    .kinds(parsed(&self.exclude_kind)?)
                    .runs(patterns(self.exclude_run))
                    .datasets(patterns(self.exclude_dataset))
                    .parameters(patterns(self.exclude_parameters)),
            )
            .pinned(self.pinned)
            .owners(self.owner)
            .min_bytes(self.min_bytes))
    }
}

/// The columns of a key, as text.
#[derive(FromPyObject)]
pub(crate) struct KeyColumns(
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

impl KeyColumns {
    /// Reads kind, run, iteration, dataset, parameters and container.
    pub(crate) fn key(self, py: Python<'_>) -> PyResult<Key> {
        let Self(kind, run, iteration, dataset, parameters, container) = self;
        let kind: Kind = kind.parse().map_err(argument)?;
        // A name that breaks the rules raises the library's error with its code, as in a call of
        // Rust.
        let refused = |error: name::NameError| raise(py, &Error::from(error));
        let run = run.parse().map_err(refused)?;
        // As text, because integers of Python have no limit; the library's parser refuses large
        // ones.
        let iteration = iteration.as_deref().map(name::parse_iteration);
        let iteration = iteration.transpose().map_err(refused)?;
        let dataset = dataset.as_deref().map(str::parse::<DatasetName>);
        let dataset = dataset.transpose().map_err(refused)?;
        let parameters = parameters.as_deref().map(str::parse::<Parameters>);
        let parameters = parameters.transpose().map_err(refused)?;
        let container = container.as_deref().map(str::parse);
        let container = container.transpose().map_err(refused)?;
        let parts = KeyParts::default()
            .iteration(iteration)
            .dataset(dataset)
            .parameters(parameters)
            .container(container);
        Key::from_parts(kind, run, parts).map_err(argument)
    }
}

/// An artifact, its number, or its path.
#[derive(FromPyObject)]
pub(crate) enum Asked {
    Artifact(Py<PyArtifact>),
    Id(i64),
    Path(PathBuf),
}

impl Asked {
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Artifact(artifact) => match &artifact.get().0 {
                // Noted for another host, so it has no number yet.
                noted if noted.id == NOTED => Target::Key(noted.key.clone()),
                known => Target::Id(known.id),
            },
            Self::Id(id) => Target::Id(ArtifactId(*id)),
            Self::Path(path) => Target::Path(path.clone()),
        }
    }
}

pub(crate) fn artifacts_of(artifacts: Vec<Py<PyArtifact>>) -> Vec<Artifact> {
    // Copies: Python's objects stay as they are and may be used again.
    let of = |artifact: Py<PyArtifact>| artifact.get().0.clone();
    artifacts.into_iter().map(of).collect()
}

/// Seconds as a length of time.
pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    // Refuses NaN, infinity and negative numbers, at which `from_secs_f64` panics.
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| argument(format!("{seconds:?} seconds is not a length of time")))
}

/// How long removed data is kept.
#[derive(Clone, Copy, FromPyObject)]
pub(crate) enum Kept {
    /// Until the trash is emptied, or not at all. Tried first, because a `bool` is a number too.
    Always(bool),
    /// For this many seconds.
    For(f64),
}

/// Reads how long removed data is kept.
pub(crate) fn keep(kept: Option<Kept>) -> PyResult<TrashKeep> {
    Ok(match kept {
        None => TrashKeep::Configured,
        Some(Kept::Always(true)) => TrashKeep::UntilEmptied,
        Some(Kept::Always(false)) => TrashKeep::No,
        Some(Kept::For(length)) => TrashKeep::For(seconds(length)?),
    })
}

/// Reads a length of time such as `14d` or `1d 12h`; gives seconds.
#[pyfunction]
pub(crate) fn parse_duration(text: &str) -> PyResult<f64> {
    clock::parse_duration(text)
        .map(|length| length.as_secs_f64())
        .map_err(argument)
}

/// Reads a time in RFC 3339, or a day, which is its first moment in UTC; gives milliseconds since
/// 1970.
#[pyfunction]
pub(crate) fn parse_time(text: &str) -> PyResult<i64> {
    text.parse::<Timestamp>()
        .map(|time| time.0)
        .map_err(argument)
}

/// Reads a number of bytes such as `500GB` or `1.5TiB`.
#[pyfunction]
pub(crate) fn parse_size(text: &str) -> PyResult<u64> {
    text.parse::<ByteCount>()
        .map(|size| size.0)
        .map_err(argument)
}
