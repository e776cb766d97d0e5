//! Pins and scores, and what the inbox takes for a catalog on another host.

use std::path::PathBuf;
use std::sync::Arc;

use dalsegno::model::artifact::Artifact;
use dalsegno::model::clock::{Clock as _, SystemClock};
use dalsegno::model::filter::{Filter, Pattern};
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::name::{DatasetName, Parameters};
use dalsegno::model::note::{Note, ScoreNote};
use dalsegno::model::score::{Score, UnknownName};
use dalsegno::{
    Error, Inbox, LocalArrayIdentifier, PinSelection, Registry, Result, ScoreQuery, SealOptions,
    Target,
};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PyRegistry;
use super::asking::in_words;
use crate::ask::{self, Asked, KeyColumns, SelectionArguments};
use crate::call::{Shared, whole};
use crate::errors::{argument, raise};
use crate::inbox::PyInbox;
use crate::values::{NOTED, PyArtifact, artifacts, plain};

/// A score, as the Python side writes it down.
#[derive(FromPyObject)]
pub(crate) struct Measured(String, String, Option<String>, Option<String>, String, f64);

/// An unknown name: run, part, name, and the nearest that the run has.
type Unknown = (String, &'static str, String, Option<String>);

/// A score, as the Python side reads it.
type ScoreColumns = (String, i64, Option<String>, Option<String>, String, f64);

pub(crate) fn score_of(py: Python<'_>, measured: Measured) -> PyResult<Score> {
    let Measured(run, iteration, dataset, parameters, metric, value) = measured;
    // A name that breaks the rules raises the library's error with its code.
    let refused = |error: dalsegno::model::name::NameError| raise(py, &Error::from(error));
    let run = run.parse().map_err(refused)?;
    // As text, because integers of Python have no limit.
    let iteration = dalsegno::model::name::parse_iteration(&iteration).map_err(refused)?;
    let dataset: Option<DatasetName> = dataset
        .map(|text| text.parse())
        .transpose()
        .map_err(refused)?;
    let parameters: Option<Parameters> = parameters
        .map(|text| text.parse())
        .transpose()
        .map_err(refused)?;
    let metric = metric.parse().map_err(argument)?;
    let score = Score::new(run, iteration, metric, value);
    Ok(score.dataset(dataset).parameters(parameters))
}

/// What recording a key gives on a host without the catalog.
fn expected(shared: &Shared, key: Key) -> Result<Artifact> {
    match shared.with(|registry| registry.record(&key)) {
        Ok(known) => Ok(known.artifact),
        // A path is a function of its key: neither the catalog nor its copy is needed.
        Err(Error::Catalog(_)) => {
            let now = SystemClock.now();
            Ok(Artifact::new(NOTED, key, now, shared.how.base.as_path()))
        }
        Err(refused) => Err(refused),
    }
}

/// The key to note for a target.
fn key_to_note(shared: &Shared, inbox: &Inbox, asked: &Asked) -> Result<Key> {
    let target = asked.target();
    match shared.with(|registry| registry.key_to_note(inbox, &target)) {
        // The copy cannot be read: only a number needs it.
        Err(error @ Error::Catalog(_)) => match asked {
            Asked::Artifact(artifact) => Ok(artifact.get().0.key.clone()),
            Asked::Path(path) => inbox.key_at(path),
            Asked::Id(_) => Err(error),
        },
        found => found,
    }
}

fn pin_name(py: Python<'_>, name: &str) -> PyResult<dalsegno::model::pin::PinName> {
    name.parse()
        .map_err(|error: dalsegno::model::pin::ParsePinNameError| {
            // Wrapped as the library wraps it, so that the exception has its code.
            let error = dalsegno::model::pin::PinError::from(error);
            raise(py, &Error::from(dalsegno::CatalogError::from(error)))
        })
}

/// What a pin is about, as the Python side names it.
enum Named {
    Selected(Box<Filter>),
    /// Each with whether it is a path, which may be that of a folder.
    Each(Vec<(Target, bool)>),
}

impl Named {
    fn read(
        py: Python<'_>,
        registry: &PyRegistry,
        selection: Option<SelectionArguments>,
        targets: Option<Vec<(Asked, bool)>>,
    ) -> PyResult<Option<Self>> {
        Ok(match (selection, targets) {
            (_, Some(targets)) => {
                let targets = targets.into_iter();
                let targets = targets.map(|(asked, is_path)| (asked.target(), is_path));
                Some(Self::Each(targets.collect()))
            }
            (Some(selection), None) => {
                Some(Self::Selected(Box::new(registry.filter(py, selection)?)))
            }
            // Nothing is named: an unpin takes this as the whole pin, a pin refuses it.
            (None, None) => None,
        })
    }

    fn find(self, registry: &Registry) -> Result<PinSelection> {
        let targets = match self {
            Self::Selected(filter) => return Ok(PinSelection::Filter(*filter)),
            Self::Each(targets) => targets,
        };
        let exact = |(target, is_path): (Target, bool)| match (target, is_path) {
            // An identifier means just its array; a path also a folder.
            (target @ Target::Path(_), false) => match registry.get(&target)? {
                Some(artifact) => Ok(Target::Id(artifact.id)),
                None => Err(registry.not_recorded(&target)),
            },
            (target, _) => Ok(target),
        };
        let targets = targets.into_iter().map(exact).collect::<Result<Vec<_>>>()?;
        registry.to_pin(&targets)
    }
}

#[pymethods]
impl PyRegistry {
    fn pin<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        reason: Option<String>,
        selection: Option<SelectionArguments>,
        targets: Option<Vec<(Asked, bool)>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let name = pin_name(py, name)?;
            let named = Named::read(py, self, selection, targets)?
                .ok_or_else(|| argument("nothing to pin"))?;
            let change = self.run(py, None, move |registry, _| {
                registry.pin(&name, reason.as_deref(), &named.find(registry)?)
            })?;
            plain(py, &change)
        })
    }

    fn unpin<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        selection: Option<SelectionArguments>,
        targets: Option<Vec<(Asked, bool)>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let name = pin_name(py, name)?;
            let named = Named::read(py, self, selection, targets)?;
            let change = self.run(py, None, move |registry, _| {
                let target = named.map(|named| named.find(registry)).transpose()?;
                registry.unpin(&name, target.as_ref())
            })?;
            plain(py, &change)
        })
    }

    fn pins<'py>(
        &self,
        py: Python<'py>,
        selection: Option<SelectionArguments>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let filter = selection.map(|selection| self.filter(py, selection));
            let filter = filter.transpose()?;
            let pins = self.run(py, None, move |registry, _| match &filter {
                Some(filter) => registry.pins_on(filter),
                None => registry.pins(),
            })?;
            plain(py, &pins)
        })
    }

    fn score(&self, py: Python<'_>, scores: Vec<Measured>) -> PyResult<Vec<bool>> {
        whole(py, || {
            // All are read before any is recorded, so a bad one leaves nothing behind.
            let scores = scores.into_iter().map(|score| score_of(py, score));
            let scores = scores.collect::<PyResult<Vec<_>>>()?;
            self.change(py, move |registry| registry.score(&scores))
        })
    }

    /// The artifacts of keys on a host without the catalog: as the copy has them, else as recording
    /// makes them, without a number.
    fn noted<'py>(&self, py: Python<'py>, keys: Vec<KeyColumns>) -> PyResult<Bound<'py, PyList>> {
        whole(py, || {
            let keys = keys.into_iter().map(|key| key.key(py));
            let keys = keys.collect::<PyResult<Vec<_>>>()?;
            let found = self.noting(py, None, move |shared, _| {
                let artifact = |key| expected(shared, key);
                keys.into_iter().map(artifact).collect::<Result<Vec<_>>>()
            })?;
            artifacts(py, found)
        })
    }

    /// The same for the array of an identifier.
    fn noted_identifier(
        &self,
        py: Python<'_>,
        inbox: Py<PyInbox>,
        container: PathBuf,
        dataset: String,
    ) -> PyResult<PyArtifact> {
        whole(py, || {
            let identifier = LocalArrayIdentifier { container, dataset };
            let inbox = Arc::clone(&inbox.get().0);
            let found = self.noting(py, None, move |shared, _| {
                match shared.with(|registry| registry.record_identifier(&identifier)) {
                    Ok(known) => Ok(known.artifact),
                    Err(Error::Catalog(_)) => {
                        // An earlier note may have another key for this path.
                        let key = inbox.key_at(identifier.path())?;
                        expected(shared, key)
                    }
                    Err(refused) => Err(refused),
                }
            })?;
            Ok(PyArtifact(found))
        })
    }

    /// Leaves notes that artifacts were recorded.
    fn note_records(
        &self,
        py: Python<'_>,
        inbox: Py<PyInbox>,
        artifacts: Vec<Py<PyArtifact>>,
    ) -> PyResult<()> {
        whole(py, || {
            let artifacts = ask::artifacts_of(artifacts);
            let inbox = Arc::clone(&inbox.get().0);
            self.noting(py, None, move |_, _| {
                inbox.note_many(
                    artifacts
                        .into_iter()
                        .map(|artifact| Note::Record(artifact.key)),
                )
            })
        })
    }

    /// Leaves notes of scores.
    fn note_scores(
        &self,
        py: Python<'_>,
        inbox: Py<PyInbox>,
        scores: Vec<Measured>,
    ) -> PyResult<()> {
        whole(py, || {
            let scores = scores.into_iter().map(|score| score_of(py, score));
            let scores = scores.collect::<PyResult<Vec<_>>>()?;
            let inbox = Arc::clone(&inbox.get().0);
            self.noting(py, None, move |_, _| {
                inbox.note_many(scores.iter().map(ScoreNote::from).map(Note::Score))
            })
        })
    }

    /// Looks at data, and leaves notes that it is whole. Gives the artifacts as the copy has them.
    fn note_seals<'py>(
        &self,
        py: Python<'py>,
        inbox: Py<PyInbox>,
        targets: Vec<Asked>,
        hash: bool,
        complete: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        whole(py, || {
            let options = SealOptions::new().hash(hash).complete(complete);
            let inbox = Arc::clone(&inbox.get().0);
            let known = self.noting(py, progress.as_ref(), move |shared, watch| {
                let keys = targets
                    .iter()
                    .map(|target| key_to_note(shared, &inbox, target))
                    .collect::<Result<Vec<_>>>()?;
                inbox.seal(&keys, options, watch)?;
                let known = |registry: &Registry| {
                    let of = |key| registry.get(&Target::Key(key));
                    let known = keys.into_iter().map(of).collect::<Result<Vec<_>>>()?;
                    Ok(known.into_iter().flatten().collect())
                };
                match shared.with(known) {
                    // The seals are noted; without the copy there are no rows to give.
                    Err(Error::Catalog(_)) => Ok(Vec::new()),
                    known => known,
                }
            })?;
            artifacts(py, known)
        })
    }

    /// Leaves a note that data is not whole; with `if_written`, only if something is at its path.
    /// Gives the path.
    fn note_failed(
        &self,
        py: Python<'_>,
        inbox: Py<PyInbox>,
        target: Asked,
        if_written: bool,
    ) -> PyResult<PathBuf> {
        whole(py, || {
            let inbox = Arc::clone(&inbox.get().0);
            self.noting(py, None, move |shared, _| {
                let key = key_to_note(shared, &inbox, &target)?;
                let path = inbox.base().join(layout::locate(&key).path());
                inbox.fail(key, if_written)?;
                Ok(path)
            })
        })
    }

    /// Refuses scores if nothing is recorded of any of their runs.
    fn require_scored_run(&self, py: Python<'_>, scores: Vec<Measured>) -> PyResult<()> {
        whole(py, || {
            let scores = scores.into_iter().map(|score| score_of(py, score));
            let scores = scores.collect::<PyResult<Vec<_>>>()?;
            self.run(py, None, move |registry, _| {
                registry.require_scored_run(&scores)
            })
        })
    }

    /// Names in scores of which nothing is recorded, in words.
    fn unknown_names(&self, py: Python<'_>, scores: Vec<Measured>) -> PyResult<Vec<Unknown>> {
        whole(py, || {
            let scores = scores.into_iter().map(|score| score_of(py, score));
            let scores = scores.collect::<PyResult<Vec<_>>>()?;
            let found = self.run(py, None, move |registry, _| registry.unknown_names(&scores))?;
            let plain =
                |name: UnknownName| (name.run.to_string(), name.part, name.name, name.nearest);
            Ok(found.into_iter().map(plain).collect())
        })
    }

    fn unscore(&self, py: Python<'_>, scores: Vec<Measured>) -> PyResult<u64> {
        whole(py, || {
            let scores = scores.into_iter().map(|score| score_of(py, score));
            let scores = scores.collect::<PyResult<Vec<_>>>()?;
            self.run(py, None, move |registry, _| registry.unscore(&scores))
        })
    }

    /// What a query of scores names in vain, as sentences.
    fn unmatched_scores(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
        metric: Vec<String>,
    ) -> PyResult<Vec<String>> {
        whole(py, || {
            let of = self.filter(py, selection)?;
            let metrics: Vec<Pattern> = metric.into_iter().map(Pattern::from).collect();
            self.run(py, None, move |registry, _| {
                let query = ScoreQuery::new(of).metrics(&metrics);
                let unmatched = registry.unmatched_scores(&query)?;
                Ok(unmatched
                    .iter()
                    .map(|one| in_words(registry, one))
                    .collect())
            })
        })
    }

    fn scores(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
        metric: Vec<String>,
    ) -> PyResult<Vec<ScoreColumns>> {
        whole(py, || {
            let of = self.filter(py, selection)?;
            let metrics: Vec<Pattern> = metric.into_iter().map(Pattern::from).collect();
            self.run(py, None, move |registry, _| {
                let query = ScoreQuery::new(of).metrics(&metrics);
                // Plain values: the objects are made by the Python side.
                let mut scores = Vec::new();
                registry.scores(&query, |score| {
                    scores.push((
                        score.run.to_string(),
                        score.iteration,
                        score.dataset.map(|name| name.to_string()),
                        score.parameters.map(|text| text.to_string()),
                        score.metric.to_string(),
                        score.value,
                    ));
                    Ok(())
                })?;
                Ok(scores)
            })
        })
    }
}
