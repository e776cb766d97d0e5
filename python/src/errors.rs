//! Errors of the library as exceptions of Python: message, code, path and hint.

use std::error::Error as _;

use dalsegno::Error;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The exception of an error: `dalsegno.errors` has a class for each code.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    let module = py.import("dalsegno.errors")?;
    let made = module.getattr("_make")?.call1((
        error.code(),
        message,
        error.path().map(|path| path.to_path_buf()),
        error.hint(),
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
