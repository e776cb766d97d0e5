//! What was done.

use std::ops::ControlFlow;
use std::path::PathBuf;

use dalsegno::Error;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::operation::{Action, HistoryFilter};
use pyo3::prelude::*;

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
    path: Option<PathBuf>,
    /// Before the operation with this number.
    before: Option<i64>,
    limit: Option<u64>,
}

impl Which {
    /// The filter without the path, and the path.
    fn filter(self) -> PyResult<(HistoryFilter, Option<PathBuf>)> {
        let parse = |text: &String| text.parse::<Action>().map_err(argument);
        let actions = self.action.iter().map(parse);
        let filter = HistoryFilter::default()
            .actions(actions.collect::<PyResult<Vec<_>>>()?)
            .users(self.user)
            .since(self.since.map(Timestamp))
            .until(self.until.map(Timestamp))
            .runs(self.run)
            .before(self.before)
            .most(self.limit);
        Ok((filter, self.path))
    }
}

#[pymethods]
impl PyRegistry {
    fn history<'py>(&self, py: Python<'py>, which: Which) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let (filter, path) = which.filter()?;
            let operations = self.run(py, None, move |registry, _| {
                let mut operations = Vec::new();
                let mut filter = filter;
                if let Some(path) = path {
                    filter = match registry.history_at(filter, &[path]) {
                        Ok(filter) => filter,
                        // Nothing was ever done there.
                        Err(Error::NotRecorded { .. }) => return Ok(operations),
                        Err(error) => return Err(error),
                    };
                }
                registry.history(&filter, |operation| {
                    operations.push(operation);
                    Ok(ControlFlow::Continue(()))
                })?;
                Ok(operations)
            })?;
            plain(py, &operations)
        })
    }

    /// What the history does not know of what is asked, as sentences.
    fn unmatched_history(&self, py: Python<'_>, which: Which) -> PyResult<Vec<String>> {
        whole(py, || {
            let (filter, path) = which.filter()?;
            self.run(py, None, move |registry, _| {
                let unmatched = registry.unmatched_history(&filter)?;
                let mut words: Vec<String> = unmatched.iter().map(in_words).collect();
                if let Some(path) = path {
                    match registry.history_at(HistoryFilter::default(), &[path]) {
                        Err(error @ Error::NotRecorded { .. }) => words.push(error.to_string()),
                        found => drop(found?),
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
            Ok((plain(py, &operation)?, images.collect()))
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
