//! The registry as Python's own module sees it: plain arguments in, objects and dictionaries out.
//! `dalsegno/registry.py` gives it the face that people use.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use dalsegno::artifact::Origin;
use dalsegno::catalog::{DuGroup, ScoreQuery};
use dalsegno::clock::Timestamp;
use dalsegno::filter::Pattern;
use dalsegno::history::{Action, HistoryFilter};
use dalsegno::key::Kind;
use dalsegno::removals::{Removal, RemovalId};
use dalsegno::scores::Score;
use dalsegno::storage::WalkOptions;
use dalsegno::{
    Error, LocalArrayIdentifier, PinTarget, RebuildOptions, RefreshOptions, Registry,
    RemoveOptions, RestoreTarget, Result, ScanOptions, SealOptions, Target, VerifyOptions,
};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::ask::{self, Asked, Columns, Kept, Selection};
use crate::call::{How, Shared, Watch, quick, run};
use crate::errors::{argument, raise};
use crate::values::{PyArtifact, artifacts, plain};

/// One base directory and its catalog.
#[pyclass(frozen, name = "Registry", module = "dalsegno._native", weakref)]
pub(crate) struct PyRegistry {
    pub(crate) shared: Arc<Shared>,
    base: PathBuf,
    catalog_path: PathBuf,
    is_read_only: bool,
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
        self.shared.check()?;
        let shared = Arc::clone(&self.shared);
        run(py, progress, move |watch| {
            let registry = shared.get()?;
            work(&registry, watch)
        })
    }

    /// Runs what is over at once.
    fn quick<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&Registry) -> Result<T> + Send,
    ) -> PyResult<T> {
        self.shared.check()?;
        quick(py, || work(&*self.shared.get()?))
    }
}

/// The fields of an outcome, with its artifacts as objects.
fn with_artifacts<'py>(
    py: Python<'py>,
    report: &impl serde::Serialize,
    list: Vec<dalsegno::artifact::Artifact>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = plain(py, report)?.cast_into::<PyDict>()?;
    dict.set_item("artifacts", artifacts(py, list)?)?;
    Ok(dict)
}

/// A score, as the Python side writes it down.
#[derive(FromPyObject)]
struct Measured(String, String, Option<String>, Option<String>, String, f64);

/// A score, as the Python side reads it.
type Told = (String, i64, Option<String>, Option<String>, String, f64);

/// An artifact, and whether it was so before an operation or after it.
type Seen = (String, PyArtifact);

/// How to verify.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Verifying {
    measure: bool,
    quick: bool,
    indices: bool,
    read_data: bool,
    repair: bool,
}

/// How to remove.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Removing {
    reason: Option<String>,
    keep: Option<Kept>,
    keep_going: bool,
    force_pinned: bool,
    ignore_best_links: bool,
}

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
    limit: Option<u64>,
}

fn score_of(py: Python<'_>, measured: Measured) -> PyResult<Score> {
    let Measured(run, iteration, dataset, parameters, metric, value) = measured;
    let refused = |error: dalsegno::name::NameError| raise(py, &Error::from(error));
    Ok(Score {
        run: run.parse().map_err(refused)?,
        iteration: dalsegno::name::parse_iteration(&iteration).map_err(refused)?,
        dataset: dataset
            .map(|text| text.parse())
            .transpose()
            .map_err(refused)?,
        parameters: parameters
            .map(|text| text.parse())
            .transpose()
            .map_err(refused)?,
        metric: metric.parse().map_err(argument)?,
        value,
    })
}

fn texts(ids: &[RemovalId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn kinds(texts: &[String]) -> PyResult<Vec<Kind>> {
    let parse = |text: &String| text.parse().map_err(argument);
    texts.iter().map(parse).collect()
}

fn pin_target(
    selection: Option<Selection>,
    chosen: Option<Vec<Py<PyArtifact>>>,
) -> PyResult<Option<PinTarget>> {
    match (selection, chosen) {
        (_, Some(chosen)) => Ok(Some(PinTarget::Artifacts(ask::artifacts_of(chosen)))),
        (Some(selection), None) => Ok(Some(PinTarget::Filter(selection.filter()?))),
        (None, None) => Ok(None),
    }
}

#[pymethods]
impl PyRegistry {
    #[new]
    #[pyo3(signature = (base, create, read_only, catalog, single_host, lock_timeout))]
    fn new(
        py: Python<'_>,
        base: PathBuf,
        create: bool,
        read_only: bool,
        catalog: Option<PathBuf>,
        single_host: bool,
        lock_timeout: f64,
    ) -> PyResult<Self> {
        let mut how = How {
            base,
            catalog,
            read_only,
            single_host,
            lock_timeout: ask::seconds(lock_timeout)?,
        };
        let asked = how.clone();
        let (registry, was_made) = run(py, None, move |_| match create && !asked.read_only {
            true => asked.options().create(&asked.base),
            false => Ok((asked.options().open(&asked.base)?, false)),
        })?;
        // Whoever changes the working directory later still means this one.
        how.base = registry.base().to_path_buf();
        if let Some(catalog) = &mut how.catalog {
            *catalog = registry.catalog_path().to_path_buf();
        }
        Ok(Self {
            base: how.base.clone(),
            catalog_path: registry.catalog_path().to_path_buf(),
            is_read_only: registry.is_read_only(),
            notice: registry.notice(),
            was_made,
            recovery: (
                texts(&registry.recovery().undone),
                texts(&registry.recovery().purged),
                registry.recovery().problems.clone(),
            ),
            shared: Shared::new(how, registry),
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

    #[getter]
    fn notice(&self) -> Option<&'static str> {
        self.notice
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

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.shared.close());
    }

    fn id(&self, py: Python<'_>) -> PyResult<String> {
        self.quick(py, Registry::id)
    }

    fn policies(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.quick(py, |registry| {
            Ok(registry.policies().keys().cloned().collect())
        })
    }

    fn record(&self, py: Python<'_>, key: Columns) -> PyResult<PyArtifact> {
        let key = key.key(py)?;
        // What is recorded already takes no lock, and so no thread that could wait for one.
        let known = self.quick(py, |registry| registry.get(&Target::Key(key.clone())))?;
        if let Some(known) = known
            && known.origin == Origin::Recorded
        {
            return Ok(PyArtifact(known));
        }
        let recorded = self.run(py, None, move |registry, _| registry.record(&key))?;
        Ok(PyArtifact(recorded.artifact))
    }

    fn record_many<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<Columns>,
    ) -> PyResult<Bound<'py, PyList>> {
        let keys = keys.into_iter().map(|key| key.key(py));
        let keys = keys.collect::<PyResult<Vec<_>>>()?;
        let recorded = self.run(py, None, move |registry, _| registry.record_many(&keys))?;
        artifacts(py, recorded.into_iter().map(|recorded| recorded.artifact))
    }

    fn record_identifier(
        &self,
        py: Python<'_>,
        container: PathBuf,
        dataset: String,
    ) -> PyResult<PyArtifact> {
        let identifier = LocalArrayIdentifier { container, dataset };
        let recorded = self.run(py, None, move |registry, _| {
            registry.record_identifier(&identifier)
        })?;
        Ok(PyArtifact(recorded.artifact))
    }

    fn get(&self, py: Python<'_>, target: Asked) -> PyResult<Option<PyArtifact>> {
        let target = target.target();
        let found = self.quick(py, |registry| registry.get(&target))?;
        Ok(found.map(PyArtifact))
    }

    fn run_names(&self, py: Python<'_>, runs: Vec<String>) -> PyResult<Vec<String>> {
        let runs: Vec<Pattern> = runs.into_iter().map(Pattern::from).collect();
        self.run(py, None, move |registry, _| registry.run_names(&runs))
    }

    fn select<'py>(&self, py: Python<'py>, selection: Selection) -> PyResult<Bound<'py, PyList>> {
        let filter = selection.filter()?;
        let found = self.run(py, None, move |registry, _| registry.select(&filter))?;
        artifacts(py, found)
    }

    fn iterations<'py>(
        &self,
        py: Python<'py>,
        selection: Selection,
    ) -> PyResult<Bound<'py, PyAny>> {
        let filter = selection.filter()?;
        let rows = self.run(py, None, move |registry, _| {
            let mut rows = Vec::new();
            registry.iterations(&filter, |row| {
                rows.push(row);
                Ok(())
            })?;
            Ok(rows)
        })?;
        plain(py, &rows)
    }

    fn runs<'py>(&self, py: Python<'py>, selection: Selection) -> PyResult<Bound<'py, PyAny>> {
        let filter = selection.filter()?;
        let rows = self.run(py, None, move |registry, _| {
            let mut rows = Vec::new();
            registry.runs(&filter, |row| {
                rows.push(row);
                Ok(())
            })?;
            Ok(rows)
        })?;
        plain(py, &rows)
    }

    fn du<'py>(
        &self,
        py: Python<'py>,
        selection: Selection,
        by: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        let filter = selection.filter()?;
        let group = match by {
            "run" => DuGroup::Run,
            "kind" => DuGroup::Kind,
            "iteration" => DuGroup::Iteration,
            "dataset" => DuGroup::Dataset,
            "owner" => DuGroup::Owner,
            other => {
                return Err(argument(format!(
                    "disk use is summed by run, kind, iteration, dataset or owner, not by {other:?}"
                )));
            }
        };
        let rows = self.run(py, None, move |registry, _| registry.du(&filter, group))?;
        plain(py, &rows)
    }

    fn refresh<'py>(
        &self,
        py: Python<'py>,
        selection: Selection,
        all: bool,
        measure: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let filter = selection.filter()?;
        let options = RefreshOptions { all, measure };
        let report = self.run(py, progress.as_ref(), move |registry, watch| {
            registry.refresh(&filter, options, watch)
        })?;
        plain(py, &report)
    }

    fn seal<'py>(
        &self,
        py: Python<'py>,
        chosen: Vec<Py<PyArtifact>>,
        hash: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let chosen = ask::artifacts_of(chosen);
        let options = SealOptions {
            hash,
            threads: None,
        };
        let sealed = self.run(py, progress.as_ref(), move |registry, watch| {
            registry.seal_many(&chosen, options, watch)?;
            let mut sealed = Vec::new();
            for artifact in chosen {
                sealed.extend(registry.get(&Target::Id(artifact.id))?);
            }
            Ok(sealed)
        })?;
        artifacts(py, sealed)
    }

    fn unseal(&self, py: Python<'_>, chosen: Vec<Py<PyArtifact>>) -> PyResult<u64> {
        let chosen = ask::artifacts_of(chosen);
        self.run(py, None, move |registry, _| registry.unseal(&chosen))
    }

    fn scan<'py>(
        &self,
        py: Python<'py>,
        kind: Vec<String>,
        measure: bool,
        threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let defaults = WalkOptions::default();
        let options = ScanOptions {
            kinds: kinds(&kind)?,
            walk: WalkOptions {
                measure,
                threads: threads.unwrap_or(defaults.threads).clamp(1, 256),
                ..defaults
            },
        };
        let report = self.run(py, progress.as_ref(), move |registry, watch| {
            registry.scan(options, watch)
        })?;
        plain(py, &report)
    }

    /// Gives the findings, and what a repair did if one was asked for.
    fn verify<'py>(
        &self,
        py: Python<'py>,
        selection: Selection,
        how: Verifying,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let filter = selection.filter()?;
        let repair = how.repair;
        let options = VerifyOptions {
            measure: how.measure,
            quick: how.quick,
            indices: how.indices,
            read_data: how.read_data,
            threads: None,
        };
        let (report, repaired) = self.run(py, progress.as_ref(), move |registry, watch| {
            let report = registry.verify(&filter, options, watch)?;
            let repaired = if repair {
                Some(registry.repair(&report.findings, watch)?)
            } else {
                None
            };
            Ok((report, repaired))
        })?;
        Ok((plain(py, &report)?, plain(py, &repaired)?))
    }

    fn remove<'py>(
        &self,
        py: Python<'py>,
        targets: Option<Vec<Asked>>,
        selection: Option<Selection>,
        how: Removing,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let default = self.quick(py, |registry| Ok(registry.default_keep()))?;
        let options = RemoveOptions {
            reason: how.reason,
            keep: ask::keep(how.keep, default)?,
            keep_going: how.keep_going,
            force_pinned: how.force_pinned,
            ignore_best_links: how.ignore_best_links,
            unchanged: false,
        };
        let filter = selection.map(Selection::filter).transpose()?;
        let targets = targets.unwrap_or_default();
        let targets: Vec<Target> = targets.into_iter().map(Asked::target).collect();
        let mut report = self.run(py, progress.as_ref(), move |registry, watch| {
            if let Some(filter) = &filter {
                return registry.remove_many(filter, &options, watch);
            }
            let mut chosen = Vec::new();
            for target in &targets {
                chosen.extend(registry.choose(target)?);
            }
            let plan = registry.plan_removal(chosen)?;
            registry.remove_planned(&plan, &options, watch)
        })?;
        let removed = std::mem::take(&mut report.artifacts);
        with_artifacts(py, &report, removed)
    }

    fn restore<'py>(
        &self,
        py: Python<'py>,
        removal: Option<String>,
        path: Option<PathBuf>,
        selection: Option<Selection>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let target = match (removal, path, selection) {
            (Some(id), ..) => RestoreTarget::Removal(id.parse().map_err(argument)?),
            (None, Some(path), _) => RestoreTarget::Path(path),
            (None, None, Some(selection)) => RestoreTarget::Filter(selection.filter()?),
            (None, None, None) => return Err(argument("nothing was named to restore")),
        };
        let mut report = self.run(py, None, move |registry, _| registry.restore(&target))?;
        let restored = std::mem::take(&mut report.artifacts);
        with_artifacts(py, &report, restored)
    }

    fn trash<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let removals: Vec<Removal> = self.run(py, None, |registry, _| registry.trash())?;
        plain(py, &removals)
    }

    fn removal<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyAny>> {
        let id: RemovalId = id.parse().map_err(argument)?;
        let removal = self.quick(py, |registry| registry.removal(&id))?;
        plain(py, &removal)
    }

    fn empty_trash<'py>(
        &self,
        py: Python<'py>,
        older_than: Option<f64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let older_than = older_than.map(ask::seconds).transpose()?;
        let report = self.run(py, progress.as_ref(), move |registry, watch| {
            registry.empty_trash(older_than, watch)
        })?;
        plain(py, &report)
    }

    fn pin<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        reason: Option<String>,
        selection: Option<Selection>,
        chosen: Option<Vec<Py<PyArtifact>>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = pin_name(py, name)?;
        let target = pin_target(selection, chosen)?.ok_or_else(|| argument("nothing to pin"))?;
        let change = self.run(py, None, move |registry, _| {
            registry.pin(&name, reason.as_deref(), &target)
        })?;
        plain(py, &change)
    }

    fn unpin<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        selection: Option<Selection>,
        chosen: Option<Vec<Py<PyArtifact>>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let name = pin_name(py, name)?;
        let target = pin_target(selection, chosen)?;
        let change = self.run(py, None, move |registry, _| {
            registry.unpin(&name, target.as_ref())
        })?;
        plain(py, &change)
    }

    fn pins<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let pins = self.run(py, None, |registry, _| registry.pins())?;
        plain(py, &pins)
    }

    fn score(&self, py: Python<'_>, scores: Vec<Measured>) -> PyResult<Vec<bool>> {
        let scores = scores.into_iter().map(|score| score_of(py, score));
        let scores = scores.collect::<PyResult<Vec<_>>>()?;
        self.run(py, None, move |registry, _| registry.score(&scores))
    }

    fn unscore(&self, py: Python<'_>, scores: Vec<Measured>) -> PyResult<u64> {
        let scores = scores.into_iter().map(|score| score_of(py, score));
        let scores = scores.collect::<PyResult<Vec<_>>>()?;
        self.run(py, None, move |registry, _| registry.unscore(&scores))
    }

    fn scores(
        &self,
        py: Python<'_>,
        selection: Selection,
        metric: Vec<String>,
    ) -> PyResult<Vec<Told>> {
        let of = selection.filter()?;
        let metrics: Vec<Pattern> = metric.into_iter().map(Pattern::from).collect();
        self.run(py, None, move |registry, _| {
            let query = ScoreQuery {
                of,
                metrics: &metrics,
            };
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
    }

    fn history<'py>(&self, py: Python<'py>, which: Which) -> PyResult<Bound<'py, PyAny>> {
        let parse = |text: &String| text.parse::<Action>().map_err(argument);
        let filter = HistoryFilter {
            actions: which.action.iter().map(parse).collect::<PyResult<_>>()?,
            users: which.user,
            since: which.since.map(Timestamp),
            until: which.until.map(Timestamp),
            runs: which.run.into_iter().map(Pattern::from).collect(),
            artifacts: Vec::new(),
            most: which.limit,
        };
        let path = which.path;
        let operations = self.run(py, None, move |registry, _| {
            let mut operations = Vec::new();
            let mut filter = filter;
            if let Some(path) = path {
                filter.artifacts = registry.artifacts_ever_at(&path)?;
                if filter.artifacts.is_empty() {
                    return Ok(operations);
                }
            }
            registry.history(&filter, |operation| {
                operations.push(operation);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(operations)
        })?;
        plain(py, &operations)
    }

    /// Gives an operation, and each artifact before or after it.
    fn operation<'py>(&self, py: Python<'py>, id: i64) -> PyResult<(Bound<'py, PyAny>, Vec<Seen>)> {
        let (operation, images) = self.run(py, None, move |registry, _| registry.operation(id))?;
        let images = images.into_iter().map(|image| {
            let side = match image.side {
                dalsegno::history::Side::Before => "before",
                dalsegno::history::Side::After => "after",
            };
            (side.to_owned(), PyArtifact(image.artifact))
        });
        Ok((plain(py, &operation)?, images.collect()))
    }

    fn check_history<'py>(
        &self,
        py: Python<'py>,
        noted: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let noted = noted.map(|text| text.parse().map_err(argument));
        let noted = noted.transpose()?;
        let report = self.run(py, None, move |registry, _| registry.check_history(noted))?;
        plain(py, &report)
    }

    fn undo<'py>(&self, py: Python<'py>, id: i64) -> PyResult<Bound<'py, PyDict>> {
        let mut report = self.run(py, None, move |registry, _| registry.undo(id))?;
        let back = std::mem::take(&mut report.artifacts);
        with_artifacts(py, &report, back)
    }
}

/// Makes the catalog of a base directory anew; gives what that did.
#[pyfunction]
pub(crate) fn _rebuild<'py>(
    py: Python<'py>,
    base: PathBuf,
    catalog: Option<PathBuf>,
    force: bool,
    lock_timeout: f64,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let how = How {
        base,
        catalog,
        read_only: false,
        single_host: false,
        lock_timeout: ask::seconds(lock_timeout)?,
    };
    let options = RebuildOptions {
        force,
        ..RebuildOptions::default()
    };
    let report = run(py, progress.as_ref(), move |watch| {
        let (_, report) = how.options().rebuild(&how.base, &options, watch)?;
        Ok(report)
    })?;
    plain(py, &report)
}

fn pin_name(py: Python<'_>, name: &str) -> PyResult<dalsegno::pins::PinName> {
    name.parse().map_err(|error: dalsegno::pins::NotAPinName| {
        let error = dalsegno::pins::PinError::from(error);
        raise(
            py,
            &Error::from(dalsegno::catalog::CatalogError::from(error)),
        )
    })
}

/// Runs the command line with these arguments, the first one its name; gives its exit code.
#[pyfunction]
pub(crate) fn _main(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> PyResult<u8> {
    let run = std::panic::AssertUnwindSafe(|| dalsegno::cli::status(arguments));
    py.detach(|| std::panic::catch_unwind(run))
        .map_err(|_| PyOSError::new_err("dalsegno ended with an internal error"))
}
