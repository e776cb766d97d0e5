//! What was done.

use std::ops::ControlFlow;
use std::path::PathBuf;

use dalsegno::model::artifact::ArtifactId;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::operation::{Action, HistoryFilter, Operation};
use dalsegno::{Error, Registry, Result, Target};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PyRegistry;
use super::asking::in_words;
use crate::call::whole;
use crate::errors::argument;
use crate::values::{PyArtifact, plain};

/// An artifact, and whether it was so before an operation or after it.
type Seen = (String, PyArtifact);

/// Which operations of the history; times in milliseconds since 1970.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Which {
    action: Vec<String>,
    user: Vec<String>,
    since: Option<i64>,
    until: Option<i64>,
    run: Vec<String>,
    path: Vec<PathBuf>,
    /// Numbers of artifacts.
    id: Vec<i64>,
    /// Before the operation with this number.
    before: Option<i64>,
    limit: Option<u64>,
}

impl Which {
    /// The filter without the paths, and the paths.
    fn filter(self) -> PyResult<(HistoryFilter, Vec<PathBuf>)> {
        let parse = |text: &String| text.parse::<Action>().map_err(argument);
        let actions = self.action.iter().map(parse);
        let filter = HistoryFilter::default()
            .actions(actions.collect::<PyResult<Vec<_>>>()?)
            .users(self.user)
            .since(self.since.map(Timestamp))
            .until(self.until.map(Timestamp))
            .runs(self.run)
            .artifacts(self.id.into_iter().map(ArtifactId))
            .before(self.before)
            .most(self.limit);
        Ok((filter, self.path))
    }
}

/// The fields of an operation, and what it did in words.
fn shown<'py>(py: Python<'py>, operation: &Operation) -> PyResult<Bound<'py, PyAny>> {
    let fields = plain(py, operation)?;
    fields.set_item("what", operation.summary())?;
    if let Some(now) = operation.now {
        fields.get_item("now")?.set_item("words", now.to_string())?;
    }
    Ok(fields)
}

/// Those of some paths that an operation knows.
fn known(registry: &Registry, paths: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut known = Vec::with_capacity(paths.len());
    for path in paths {
        let one = std::slice::from_ref(&path);
        match registry.history_at(HistoryFilter::default(), one) {
            Ok(_) => known.push(path),
            Err(Error::NotRecorded { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(known)
}

#[pymethods]
impl PyRegistry {
    fn history<'py>(&self, py: Python<'py>, which: Which) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let (filter, paths) = which.filter()?;
            let by_ids = !filter.artifacts.is_empty();
            let operations = self.run(py, None, move |registry, _| {
                registry.require_runs(&Filter::default().runs(filter.runs.iter().cloned()))?;
                let mut operations = Vec::new();
                let mut filter = filter;
                if !paths.is_empty() {
                    let known = known(registry, paths)?;
                    // Nothing was ever done at any of them.
                    if known.is_empty() {
                        return Ok(Some(operations));
                    }
                    filter = registry.history_at(filter, &known)?;
                    if by_ids && !filter.below.is_empty() {
                        return Ok(None);
                    }
                }
                registry.history(&filter, |operation| {
                    operations.push(operation);
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(Some(operations))
            })?;
            let operations = operations.ok_or_else(|| {
                argument("an id and the path of a folder cannot be given together")
            })?;
            let rows = PyList::empty(py);
            for operation in &operations {
                rows.append(shown(py, operation)?)?;
            }
            Ok(rows.into_any())
        })
    }

    /// What the history does not know of what is asked, as sentences.
    fn unmatched_history(&self, py: Python<'_>, which: Which) -> PyResult<Vec<String>> {
        whole(py, || {
            let (filter, paths) = which.filter()?;
            self.run(py, None, move |registry, _| {
                let unmatched = registry.unmatched_history(&filter)?;
                let mut words: Vec<String> = unmatched
                    .iter()
                    .map(|one| in_words(registry, one))
                    .collect();
                for path in paths {
                    match registry.history_at(HistoryFilter::default(), &[path]) {
                        Err(error @ Error::NotRecorded { .. }) => words.push(error.to_string()),
                        found => drop(found?),
                    }
                }
                for id in filter.artifacts {
                    let mut is_known = false;
                    let of_one = HistoryFilter::default().artifacts([id]).most(Some(1));
                    registry.history(&of_one, |_| {
                        is_known = true;
                        Ok(ControlFlow::Break(()))
                    })?;
                    if !is_known {
                        words.push(registry.not_recorded(&Target::Id(id)).to_string());
                    }
                }
                Ok(words)
            })
        })
    }

    /// Gives an operation, and each artifact before or after it.
    fn operation<'py>(&self, py: Python<'py>, id: i64) -> PyResult<(Bound<'py, PyAny>, Vec<Seen>)> {
        whole(py, || {
            let (operation, images) =
                self.run(py, None, move |registry, _| registry.operation(id))?;
            let images = images.into_iter().map(|image| {
                let side = match image.side {
                    dalsegno::model::operation::Side::Before => "before",
                    dalsegno::model::operation::Side::After => "after",
                };
                (side.to_owned(), PyArtifact(image.artifact))
            });
            Ok((shown(py, &operation)?, images.collect()))
        })
    }

    fn check_history<'py>(
        &self,
        py: Python<'py>,
        noted: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            // Read first, so that a text that is no hash starts no work.
            let noted = noted.map(|text| text.parse().map_err(argument));
            let noted = noted.transpose()?;
            let report = self.run(py, None, move |registry, _| registry.check_history(noted))?;
            plain(py, &report)
        })
    }
}
