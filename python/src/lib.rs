//! The native half of the Python package `dalsegno`: `dalsegno._native`.
//!
//! | module | what |
//! |---|---|
//! | `registry`, `gc` | the calls |
//! | `inbox` | what needs no catalog |
//! | `values` | identifiers and artifacts as objects, everything else as dictionaries |
//! | `ask` | what callers ask for |
//! | `call` | threads, the GIL, signals, fork, panics |
//! | `errors` | exceptions |
//!
//! The public API is in `package/dalsegno`, in Python.

mod ask;
mod call;
mod errors;
mod gc;
mod inbox;
mod registry;
mod values;

use pyo3::prelude::*;

/// The native half of dalsegno.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<registry::PyRegistry>()?;
    module.add_class::<gc::PyPlan>()?;
    module.add_class::<inbox::PyInbox>()?;
    module.add_function(wrap_pyfunction!(inbox::base_path, module)?)?;
    module.add_function(wrap_pyfunction!(inbox::identifier, module)?)?;
    module.add_class::<values::PyArtifact>()?;
    module.add_class::<values::ArrayIdentifier>()?;
    module.add_class::<values::ContainerIdentifier>()?;
    module.add_function(wrap_pyfunction!(values::_artifact, module)?)?;
    module.add_function(wrap_pyfunction!(gc::_plan_gc, module)?)?;
    module.add_function(wrap_pyfunction!(gc::_apply, module)?)?;
    module.add_function(wrap_pyfunction!(gc::_metric, module)?)?;
    module.add_function(wrap_pyfunction!(registry::_main, module)?)?;
    module.add_function(wrap_pyfunction!(registry::_rebuild, module)?)?;
    module.add_function(wrap_pyfunction!(ask::parse_duration, module)?)?;
    module.add_function(wrap_pyfunction!(ask::parse_time, module)?)?;
    module.add_function(wrap_pyfunction!(ask::parse_size, module)?)?;
    module.add_function(wrap_pyfunction!(errors::error_codes, module)?)?;
    module.add_function(wrap_pyfunction!(errors::hint_names, module)?)?;
    // By no name that is handed out: only what is built for development has it.
    #[cfg(debug_assertions)]
    module.setattr("_stumble", wrap_pyfunction!(call::_stumble, module)?)?;
    module.add_function(wrap_pyfunction!(call::_before_fork, module)?)?;
    module.add_function(wrap_pyfunction!(call::_after_fork_in_parent, module)?)?;
    module.add_function(wrap_pyfunction!(call::_after_fork_in_child, module)?)?;
    Ok(())
}
