//! The registry as Python's own module sees it: plain arguments in, objects and dictionaries out.
//! `dalsegno/registry.py` gives it the face that people use.
//!
//! | module | what |
//! |---|---|
//! | `asking` | recording, looking, asking, sealing |
//! | `removing` | removing, the trash, undoing |
//! | `noting` | pins and scores |
//! | `history` | what was done |

mod asking;
mod history;
mod noting;
mod removing;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use dalsegno::model::filter::Filter;
use dalsegno::model::removal::RemovalId;
use dalsegno::{CatalogError, Error, LostPlace, RebuildOptions, Registry, Result};
use pyo3::prelude::*;

pub(crate) use self::noting::{Measured, score_of};
use crate::ask::{self, SelectionArguments};
use crate::call::{OpenArguments, Shared, Watch, quick, run, whole};
use crate::errors::raise;
use crate::values::plain;

/// One base directory and its catalog.
#[pyclass(frozen, name = "Registry", module = "dalsegno._native", weakref)]
pub(crate) struct PyRegistry {
    pub(crate) shared: Arc<Shared>,
    pub(crate) base: PathBuf,
    catalog_path: PathBuf,
    is_read_only: bool,
    keeper: Option<String>,
    /// The host that has the catalog, if that was asked to be changed here.
    elsewhere: Option<Elsewhere>,
    notice: Option<&'static str>,
    was_made: bool,
    recovery: (Vec<String>, Vec<String>, Vec<String>),
}

impl PyRegistry {
    /// Runs what may last.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        progress: Option<&Py<PyAny>>,
        work: impl FnOnce(&Registry, &Watch) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        // Checked on the caller's thread, so that a closed registry starts no work.
        self.shared.check()?;
        let shared = Arc::clone(&self.shared);
        run(py, progress, move |watch| {
            shared.with(|registry| work(registry, watch))
        })
    }

    /// Runs a change that the inbox has a note for. On a host without the catalog it is refused as
    /// such, whatever is wrong with the published copy.
    fn change<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Registry) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let elsewhere = self.elsewhere.clone();
        self.noting(py, None, move |shared, _| {
            shared.with(work).map_err(|error| match (elsewhere, error) {
                (Some(elsewhere), Error::Catalog(_)) => elsewhere.refusal(),
                (_, error) => error,
            })
        })
    }

    /// Runs what leaves notes for the host that has the catalog. That needs no open registry, and
    /// so no published copy.
    fn noting<T: Send + 'static>(
        &self,
        py: Python<'_>,
        progress: Option<&Py<PyAny>>,
        work: impl FnOnce(&Shared, &Watch) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        self.shared.check()?;
        let shared = Arc::clone(&self.shared);
        run(py, progress, move |watch| work(&shared, watch))
    }

    /// Runs what is over at once.
    fn quick<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Registry) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.shared.check()?;
        quick(py, || self.shared.with(work))
    }

    /// The filter that a selection makes. Paths of runs in it name these, as on the command line.
    pub(crate) fn filter(&self, py: Python<'_>, selection: SelectionArguments) -> PyResult<Filter> {
        let mut filter = selection.filter(py, &self.base)?;
        let mut names = filter.runs.iter().chain(&filter.except.runs);
        let is_path = names.any(|name| name.as_str().contains('/'));
        if filter.below.is_empty() && !is_path {
            return Ok(filter);
        }
        let places = std::mem::take(&mut filter.below);
        self.quick(py, move |registry| {
            registry.require_runs(&filter)?;
            match places.is_empty() {
                true => Ok(filter),
                false => registry.narrowed(filter, &places),
            }
        })
    }
}

impl PyRegistry {
    /// The registry of a host without the catalog while its published copy cannot be opened: what
    /// leaves notes goes on, and each question tries to open the copy.
    fn without_copy(mut how: OpenArguments, base: PathBuf, elsewhere: Elsewhere) -> Self {
        how.read_only = true;
        how.keeper = false;
        how.base.clone_from(&base);
        Self {
            base,
            catalog_path: elsewhere.path.clone(),
            is_read_only: true,
            keeper: Some(elsewhere.host.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
            elsewhere: Some(elsewhere),
            notice: None,
            was_made: false,
            recovery: Default::default(),
            shared: Shared::new(how, None),
        }
    }
}

/// What opening gave.
enum Opened {
    /// A registry, and whether it was made.
    Here(Registry, bool),
    /// The published copy, which is only read.
    Copy(Registry, Elsewhere),
    /// The base directory: the published copy cannot be opened.
    NoCopy(PathBuf, Elsewhere),
}

/// What stands for the host that has a catalog, if nothing names it.
const UNKNOWN: &str = "unknown";

/// Where the catalog is, on a host that does not have it.
#[derive(Clone)]
struct Elsewhere {
    path: PathBuf,
    host: Option<String>,
    here: String,
    lost: Option<LostPlace>,
}

impl Elsewhere {
    fn refusal(&self) -> Error {
        let Self {
            path,
            host,
            here,
            lost,
        } = self.clone();
        let refusal = CatalogError::AtKeeper {
            path,
            host,
            here,
            lost,
        };
        refusal.into()
    }
}

fn texts(ids: &[RemovalId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

#[pymethods]
impl PyRegistry {
    #[new]
    #[pyo3(signature = (
        base, create, read_only, catalog, single_host, shared, keeper, lock_timeout
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "Python passes each option by itself"
    )]
    fn new(
        py: Python<'_>,
        base: PathBuf,
        create: bool,
        read_only: bool,
        catalog: Option<PathBuf>,
        single_host: bool,
        shared: bool,
        keeper: bool,
        lock_timeout: f64,
    ) -> PyResult<Self> {
        whole(py, || {
            let mut how = OpenArguments {
                base,
                catalog,
                read_only,
                single_host,
                shared,
                keeper,
                lock_timeout: ask::seconds(lock_timeout)?,
            };
            let asked = how.clone();
            let opened = run(py, None, move |_| {
                // A registry that is only read is never made.
                // Nor is one whose catalog is only to be on another host from now on.
                let is_there = || asked.base.join(".dalsegno").is_dir();
                let creates = create || asked.keeper && is_there();
                let opened = match creates && !asked.read_only {
                    true => asked.options().create(&asked.base),
                    false => asked.options().open(&asked.base).map(|open| (open, false)),
                };
                let elsewhere = match opened {
                    Err(Error::Catalog(CatalogError::AtKeeper {
                        path,
                        host,
                        here,
                        lost,
                    })) => Elsewhere {
                        path,
                        host,
                        here,
                        lost,
                    },
                    opened => return opened.map(|(registry, made)| Opened::Here(registry, made)),
                };
                // On a host without the catalog, questions are answered from its copy.
                match asked.options().read_only(true).open(&asked.base) {
                    Ok(copy) => Ok(Opened::Copy(copy, elsewhere)),
                    // Without it, notes can be left all the same.
                    Err(Error::Catalog(_)) => {
                        let base = dalsegno::base_path(&asked.base)?;
                        Ok(Opened::NoCopy(base, elsewhere))
                    }
                    Err(error) => Err(error),
                }
            })?;
            let (registry, was_made, elsewhere) = match opened {
                Opened::Here(registry, was_made) => (registry, was_made, None),
                Opened::Copy(registry, elsewhere) => (registry, false, Some(elsewhere)),
                Opened::NoCopy(base, elsewhere) => {
                    return Ok(Self::without_copy(how, base, elsewhere));
                }
            };
            // Whenever it is opened again, after a fork for example, the copy is read again.
            how.read_only |= registry.published().is_ok_and(|copy| copy.is_some());
            how.keeper = false;
            // Absolute from here on, because the working directory may change.
            how.base = registry.base().to_path_buf();
            // Only if it was given: else the base directory says where its catalog is.
            if let Some(catalog) = &mut how.catalog {
                *catalog = registry.catalog_path().to_path_buf();
            }
            Ok(Self {
                base: how.base.clone(),
                catalog_path: registry.catalog_path().to_path_buf(),
                is_read_only: registry.is_read_only(),
                keeper: registry.keeper().map(str::to_owned),
                elsewhere,
                notice: registry.notice(),
                was_made,
                // As text: ids of removals are plain strings in Python.
                recovery: (
                    texts(&registry.recovery().undone),
                    texts(&registry.recovery().purged),
                    registry.recovery().problems.clone(),
                ),
                shared: Shared::new(how, Some(registry)),
            })
        })
    }

    /// Refuses a change that no note can carry, on a host without the catalog. Called before the
    /// published copy is opened, which does not matter then.
    fn require_here(&self, py: Python<'_>) -> PyResult<()> {
        whole(py, || match &self.elsewhere {
            Some(elsewhere) => Err(raise(py, &elsewhere.refusal())),
            None => Ok(()),
        })
    }

    #[getter]
    fn base(&self) -> PathBuf {
        self.base.clone()
    }

    #[getter]
    fn catalog_path(&self) -> PathBuf {
        self.catalog_path.clone()
    }

    #[getter]
    fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// The host that has the catalog, if a published copy is read.
    #[getter]
    fn keeper(&self) -> Option<String> {
        self.keeper.clone()
    }

    #[getter]
    fn notice(&self) -> Option<&'static str> {
        self.notice
    }

    /// The published copy that is read, as a dictionary; `None` if it is the catalog itself.
    fn published<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let published = self.quick(py, Registry::published)?;
            plain(py, &published)
        })
    }

    /// Publishes a copy; gives when it was made, or `None` if another process published meanwhile.
    fn publish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let at = self.run(py, None, |registry, _| registry.publish())?;
            plain(py, &at)
        })
    }

    #[getter]
    fn was_made(&self) -> bool {
        self.was_made
    }

    #[getter]
    fn closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Removals that opening undid, removals that it purged, and what it could not settle.
    #[getter]
    fn recovery(&self) -> (Vec<String>, Vec<String>, Vec<String>) {
        self.recovery.clone()
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        whole(py, || {
            // Without the GIL: a call that opens the registry holds its lock, and may be logging.
            py.detach(|| self.shared.close());
            Ok(())
        })
    }

    fn id(&self, py: Python<'_>) -> PyResult<String> {
        whole(py, || self.quick(py, Registry::id))
    }

    fn policies(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        whole(py, || {
            self.quick(py, |registry| {
                Ok(registry.policies().keys().cloned().collect())
            })
        })
    }
}

/// Rebuilds the catalog of a base directory, and returns what that did.
#[pyfunction]
pub(crate) fn _rebuild<'py>(
    py: Python<'py>,
    base: PathBuf,
    catalog: Option<PathBuf>,
    force: bool,
    lock_timeout: f64,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    whole(py, || {
        let how = OpenArguments {
            base,
            catalog,
            read_only: false,
            // These matter only if a registry is made.
            single_host: false,
            shared: false,
            keeper: false,
            lock_timeout: ask::seconds(lock_timeout)?,
        };
        let options = RebuildOptions::default().force(force);
        let report = run(py, progress.as_ref(), move |watch| {
            let (_, report) = how.options().rebuild(&how.base, &options, watch)?;
            Ok(report)
        })?;
        plain(py, &report)
    })
}

/// Runs the command line with these arguments, the first one its name; gives its exit code.
#[pyfunction]
pub(crate) fn _main(py: Python<'_>, arguments: Vec<OsString>) -> PyResult<u8> {
    quick(py, || {
        // Not on a thread of its own: the command line ends at Ctrl-C by itself.
        Ok(dalsegno::cli::status(arguments))
    })
}
