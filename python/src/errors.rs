//! Errors of the library as exceptions of Python: message, code, path and hint.

use dalsegno::{Error, Hint, with_causes};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The exception of an error: `dalsegno.errors` has a class for each code.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    // If the exception cannot be made, the error that prevented it is raised.
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    // Exceptions are classes of the Python side, which knows how to make one of a code.
    let module = py.import("dalsegno.errors")?;
    let made = module.getattr("_of_library")?.call1((
        error.code(),
        with_causes(error),
        error.path().map(|path| path.to_path_buf()),
        error.hint().map(Hint::as_str),
        match error {
            Error::OfAnotherUser { host, .. } => host.as_deref(),
            _ => None,
        },
    ))?;
    Ok(PyErr::from_value(made))
}

/// The exception of an argument that cannot be read.
pub(crate) fn argument(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Every code that an error can have.
#[pyfunction]
pub(crate) fn error_codes() -> Vec<&'static str> {
    Error::CODES.to_vec()
}

/// Every hint that an error can have, by name.
#[pyfunction]
pub(crate) fn hint_names() -> Vec<&'static str> {
    Hint::ALL.iter().map(|hint| hint.as_str()).collect()
}
