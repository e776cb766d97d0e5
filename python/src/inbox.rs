//! What needs no catalog: paths of keys, and notes in the inbox.

use std::path::PathBuf;
use std::sync::Arc;

use dalsegno::model::clock::Timestamp;
use dalsegno::model::note::{Note, ScoreNote};
use dalsegno::{Error, Inbox, LocalArrayIdentifier, LocalContainerIdentifier};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;

use crate::ask::KeyColumns;
use crate::call::{quick, whole};
use crate::errors::raise;
use crate::registry::{Measured, score_of};
use crate::values::{ArrayIdentifier, ContainerIdentifier, plain};

/// The absolute path of a base directory, whether it exists or not.
#[pyfunction]
pub(crate) fn base_path(py: Python<'_>, base: PathBuf) -> PyResult<PathBuf> {
    whole(py, || {
        dalsegno::base_path(&base).map_err(|error| raise(py, &Error::from(error)))
    })
}

/// The identifier of a key's array or container below a base directory that is absolute. Reads
/// neither disk nor catalog.
#[pyfunction]
pub(crate) fn identifier(py: Python<'_>, base: PathBuf, key: KeyColumns) -> PyResult<Py<PyAny>> {
    whole(py, || {
        let key = key.key(py)?;
        match key.kind().is_container() {
            true => ContainerIdentifier(LocalContainerIdentifier::of(&base, &key)).into_py_any(py),
            false => ArrayIdentifier(LocalArrayIdentifier::of(&base, &key)).into_py_any(py),
        }
    })
}

/// The inbox of a base directory.
#[pyclass(frozen, name = "Inbox", module = "dalsegno._native")]
pub(crate) struct PyInbox(pub(crate) Arc<Inbox>);

#[pymethods]
impl PyInbox {
    #[new]
    fn new(py: Python<'_>, base: PathBuf) -> PyResult<Self> {
        whole(py, || {
            // On this thread: opening looks at the base directory only.
            let inbox = quick(py, || Inbox::open(&base))?;
            Ok(Self(Arc::new(inbox)))
        })
    }

    /// Leaves a note that a key was recorded, at this many milliseconds since 1970.
    fn record(&self, py: Python<'_>, key: KeyColumns, at: i64) -> PyResult<()> {
        whole(py, || {
            let note = Note::Record(key.key(py)?);
            let inbox = Arc::clone(&self.0);
            // On this thread: a note takes no lock of the catalog, only a few system calls.
            quick(py, move || inbox.note_at(Timestamp(at), note))
        })
    }

    /// Leaves a note of a score, at this many milliseconds since 1970.
    fn score(&self, py: Python<'_>, score: Measured, at: i64) -> PyResult<()> {
        whole(py, || {
            let note = Note::Score(ScoreNote::from(&score_of(py, score)?));
            let inbox = Arc::clone(&self.0);
            quick(py, move || inbox.note_at(Timestamp(at), note))
        })
    }

    /// What is in the inbox.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let state = quick(py, || self.0.state())?;
            plain(py, &state)
        })
    }
}
