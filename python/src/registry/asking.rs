//! Recording, looking and asking.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::str::FromStr;

use dalsegno::DuGroup;
use dalsegno::model::artifact::Origin;
use dalsegno::model::filter::{Except, Filter, Pattern};
use dalsegno::model::order::{Order, SortKey};
use dalsegno::{
    LocalArrayIdentifier, OnDisk, Question, RefreshOptions, Registry, RestoreTarget, Result,
    ScanOptions, SealOptions, SummaryOptions, Target, Unmatched, VerifyOptions,
};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::PyRegistry;
use crate::ask::{self, Asked, KeyColumns, SelectionArguments};
use crate::call::whole;
use crate::errors::{argument, raise};
use crate::values::{PyArtifact, artifacts, plain};

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

/// Reads an order; none if rows keep the usual one.
fn order<K: FromStr>(sort: Option<&str>, reverse: bool) -> PyResult<Option<Order<K>>>
where
    K::Err: Display,
{
    let by = sort
        .map(|text| text.parse().map_err(argument))
        .transpose()?;
    Ok(by.map(|by| Order::new(by).reverse(reverse)))
}

/// At most so many of the rows that `list` gives.
fn collected<R>(
    limit: Option<u64>,
    list: impl FnOnce(&mut dyn FnMut(R) -> Result<ControlFlow<()>>) -> Result<()>,
) -> Result<Vec<R>> {
    let mut rows = Vec::new();
    let mut left = limit;
    if left == Some(0) {
        return Ok(rows);
    }
    list(&mut |row| {
        rows.push(row);
        left = left.map(|left| left - 1);
        Ok(match left {
            Some(0) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    })?;
    Ok(rows)
}

/// Why a name matches nothing, and the call that takes in what is on disk of it.
pub(super) fn in_words(registry: &Registry, one: &Unmatched) -> String {
    let scan = match one.on_disk {
        Some(OnDisk::Arrays) => Some("scan()"),
        Some(OnDisk::Checkpoints) => Some("scan(kind='checkpoint')"),
        _ => None,
    };
    let (target, call) = match one.part {
        "run" => (
            RestoreTarget::Filter(Filter::default().runs([one.name.as_str()])),
            format!("restore(run={:?})", one.name),
        ),
        "path" => (
            RestoreTarget::Path((&one.name).into()),
            format!("restore({:?})", one.name),
        ),
        _ => (RestoreTarget::Filter(Filter::default()), String::new()),
    };
    let removed = match call.is_empty() {
        true => 0,
        // What cannot be read is no answer.
        false => registry
            .restorable(&target)
            .map_or(0, |removed| removed.len()),
    };
    if removed == 0 {
        let them = match one.on_disk {
            Some(OnDisk::Checkpoints) => "them",
            _ => "it",
        };
        return scan.map_or(one.to_string(), |scan| {
            format!("{one}; take {them} in with {scan}")
        });
    }
    let (first, beside) = one.around_trash();
    let (artifacts, them) = match removed {
        1 => ("1 artifact of it is".to_owned(), "it"),
        many => (format!("{many} artifacts of it are"), "them"),
    };
    let mut words = format!("{first}; {artifacts} in the trash; restore {them} with {call}");
    if let (Some(beside), Some(scan)) = (beside, scan) {
        words.push_str(&format!("; {beside}; take them in with {scan}"));
    }
    words
}

#[pymethods]
impl PyRegistry {
    fn record(&self, py: Python<'_>, key: KeyColumns) -> PyResult<PyArtifact> {
        whole(py, || {
            let key = key.key(py)?;
            // What is recorded already takes no lock, and so no thread that could wait for one.
            let known = match self.elsewhere {
                None => self.quick(py, |registry| registry.get(&Target::Key(key.clone())))?,
                Some(_) => None,
            };
            if let Some(known) = known
                && known.origin == Origin::Recorded
            {
                return Ok(PyArtifact(known));
            }
            let recorded = self.change(py, move |registry| registry.record(&key))?;
            Ok(PyArtifact(recorded.artifact))
        })
    }

    fn record_many<'py>(
        &self,
        py: Python<'py>,
        keys: Vec<KeyColumns>,
    ) -> PyResult<Bound<'py, PyList>> {
        whole(py, || {
            let keys = keys.into_iter().map(|key| key.key(py));
            // All keys are read first, so that a bad one starts no transaction.
            let keys = keys.collect::<PyResult<Vec<_>>>()?;
            let recorded = self.change(py, move |registry| registry.record_many(&keys))?;
            artifacts(py, recorded.into_iter().map(|recorded| recorded.artifact))
        })
    }

    fn record_identifier(
        &self,
        py: Python<'_>,
        container: PathBuf,
        dataset: String,
    ) -> PyResult<PyArtifact> {
        whole(py, || {
            let identifier = LocalArrayIdentifier { container, dataset };
            let recorded =
                self.change(py, move |registry| registry.record_identifier(&identifier))?;
            Ok(PyArtifact(recorded.artifact))
        })
    }

    /// The artifact at a path or, if there is none, those below it.
    fn at<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyList>> {
        whole(py, || {
            let found = self.run(py, None, move |registry, _| registry.at(&path))?;
            artifacts(py, found)
        })
    }

    fn get(&self, py: Python<'_>, target: Asked) -> PyResult<Option<PyArtifact>> {
        whole(py, || {
            let target = target.target();
            // One row is read at once and needs no thread.
            let found = self.quick(py, |registry| registry.get(&target))?;
            Ok(found.map(PyArtifact))
        })
    }

    /// The error for what is not recorded, with the nearest that is.
    fn not_recorded(&self, py: Python<'_>, target: Asked) -> PyResult<Py<PyAny>> {
        whole(py, || {
            let target = target.target();
            let error = self.quick(py, |registry| Ok(registry.not_recorded(&target)))?;
            Ok(raise(py, &error).into_value(py).into_any())
        })
    }

    /// Refuses a selection and an order that cannot be read.
    #[pyo3(signature = (selection, sort = None))]
    fn check(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
        sort: Option<String>,
    ) -> PyResult<()> {
        self.shared.check()?;
        whole(py, || {
            order::<SortKey>(sort.as_deref(), false)?;
            selection.filter(py, &self.base).map(drop)
        })
    }

    /// Why a selection matches nothing, or which of its names do not, and which metrics no score
    /// has: sentences, and none if all of it is recorded.
    #[pyo3(signature = (selection, metrics = Vec::new()))]
    fn unmatched(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
        metrics: Vec<String>,
    ) -> PyResult<Vec<String>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let metrics: Vec<Pattern> = metrics.into_iter().map(Pattern::from).collect();
            self.run(py, None, move |registry, _| {
                let of_metrics = registry.unmatched_metrics(&metrics)?;
                let of_metrics = of_metrics.iter().map(|one| in_words(registry, one));
                // Without a name in it, nothing can be mistyped, and nothing is a good answer.
                let named = [
                    filter.runs.len(),
                    filter.below.len(),
                    filter.datasets.len(),
                    filter.parameters.len(),
                ];
                let named = named
                    .into_iter()
                    .chain([filter.kinds.len(), filter.iterations.len()]);
                if named.sum::<usize>() == 0 {
                    return Ok(of_metrics.collect());
                }
                let unmatched = registry.unmatched(&filter)?;
                let mut words: Vec<String> = unmatched
                    .iter()
                    .map(|one| in_words(registry, one))
                    .collect();
                if words.is_empty() && !registry.names_any(&filter)? {
                    words.push("nothing that is recorded matches the selection".to_owned());
                }
                words.extend(of_metrics);
                Ok(words)
            })
        })
    }

    /// The names that a selection leaves out and that nothing recorded has, as sentences.
    fn unmatched_exclusions(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
    ) -> PyResult<Vec<String>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            if filter.except == Except::default() {
                return Ok(Vec::new());
            }
            self.run(py, None, move |registry, _| {
                let unmatched = registry.unmatched_exclusions(&filter)?;
                Ok(unmatched.iter().map(ToString::to_string).collect())
            })
        })
    }

    /// The runs that a selection names, by themselves or by their paths; of others all.
    fn run_names(&self, py: Python<'_>, selection: SelectionArguments) -> PyResult<Vec<String>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            self.run(py, None, move |registry, _| {
                registry.run_names(&filter.runs)
            })
        })
    }

    /// The artifacts of a selection in an order, at most so many.
    #[pyo3(signature = (selection, sort = None, reverse = false, limit = None))]
    fn select<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        sort: Option<String>,
        reverse: bool,
        limit: Option<u64>,
    ) -> PyResult<Bound<'py, PyList>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let order = order::<SortKey>(sort.as_deref(), reverse)?;
            // Objects are made after the call, because that needs the GIL.
            let found = self.run(py, None, move |registry, _| {
                collected(limit, |each| match &order {
                    Some(order) => registry.list_by(&filter, order, each),
                    None => registry.list(&filter, each),
                })
            })?;
            artifacts(py, found)
        })
    }

    /// How many artifacts of a selection each run has.
    fn counts(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
    ) -> PyResult<BTreeMap<String, u64>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            self.run(py, None, move |registry, _| registry.count_of_runs(&filter))
        })
    }

    fn iterations<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        sort: Option<String>,
        reverse: bool,
        limit: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let options = SummaryOptions::default().order(order(sort.as_deref(), reverse)?);
            let options = options.pinned(true);
            let rows = self.run(py, None, move |registry, _| {
                // Collected without the GIL, and passed to Python at once.
                collected(limit, |each| {
                    registry.iterations_by(&filter, &options, each)
                })
            })?;
            plain(py, &rows)
        })
    }

    fn runs<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        sort: Option<String>,
        reverse: bool,
        limit: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let options = SummaryOptions::default().order(order(sort.as_deref(), reverse)?);
            let options = options.pinned(true);
            let rows = self.run(py, None, move |registry, _| {
                collected(limit, |each| registry.runs_by(&filter, &options, each))
            })?;
            plain(py, &rows)
        })
    }

    fn du<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        by: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            // The words of the command line.
            let group = match by {
                "run" => DuGroup::Run,
                "kind" => DuGroup::Kind,
                "iteration" => DuGroup::Iteration,
                "dataset" => DuGroup::Dataset,
                "owner" => DuGroup::Owner,
                other => {
                    return Err(argument(format!(
                        "disk use is summed by run, kind, iteration, dataset or owner, not by \
                         {other:?}"
                    )));
                }
            };
            let rows = self.run(py, None, move |registry, _| registry.du(&filter, group))?;
            plain(py, &rows)
        })
    }

    fn refresh<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        all: bool,
        measure: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let options = RefreshOptions::new()
                .all(all)
                .measure(measure)
                // Only a count finds losses in sealed data.
                .sealed(measure);
            let report = self.run(py, progress.as_ref(), move |registry, watch| {
                registry.refresh(&filter, options, watch)
            })?;
            plain(py, &report)
        })
    }

    fn refresh_for(
        &self,
        py: Python<'_>,
        selection: SelectionArguments,
        measure: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<u64> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let options = RefreshOptions::new().measure(measure).gone(true);
            self.run(py, progress.as_ref(), move |registry, watch| {
                let question = Question::Selection(&filter, options);
                registry
                    .refresh_for(question, watch)
                    .map(|report| report.gone)
            })
        })
    }

    fn seal<'py>(
        &self,
        py: Python<'py>,
        chosen: Vec<Py<PyArtifact>>,
        hash: bool,
        complete: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        whole(py, || {
            let chosen = ask::artifacts_of(chosen);
            let options = SealOptions::new().hash(hash).complete(complete);
            let sealed = self.run(py, progress.as_ref(), move |registry, watch| {
                registry.seal_many(&chosen, options, watch)?;
                // Read again: sealing changed the rows.
                let mut sealed = Vec::new();
                for artifact in chosen {
                    sealed.extend(registry.get(&Target::Id(artifact.id))?);
                }
                Ok(sealed)
            })?;
            artifacts(py, sealed)
        })
    }

    fn unseal(&self, py: Python<'_>, chosen: Vec<Py<PyArtifact>>) -> PyResult<u64> {
        whole(py, || {
            let chosen = ask::artifacts_of(chosen);
            self.run(py, None, move |registry, _| registry.unseal(&chosen))
        })
    }

    fn scan<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        measure: bool,
        threads: Option<usize>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let filter = selection.filter(py, &self.base)?;
            let named = Filter::default().runs(filter.runs.iter().cloned());
            let options = ScanOptions::default()
                .kinds(filter.kinds)
                .measure(measure)
                // The range of the command line.
                .threads(threads.map(|threads| threads.clamp(1, 256)));
            let report = self.run(py, progress.as_ref(), move |registry, watch| {
                registry.require_runs(&named)?;
                let runs = match filter.below.is_empty() {
                    true => filter.runs,
                    // What is on disk at a path decides, as nothing of it may be recorded yet.
                    false => registry.runs_to_scan(&filter.below),
                };
                registry.scan(options.runs(runs), watch)
            })?;
            plain(py, &report)
        })
    }

    /// Gives the findings, and what a repair did if one was asked for.
    fn verify<'py>(
        &self,
        py: Python<'py>,
        selection: SelectionArguments,
        how: Verifying,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        whole(py, || {
            let filter = self.filter(py, selection)?;
            let repair = how.repair;
            let options = VerifyOptions::new()
                .measure(how.measure)
                .quick(how.quick)
                .indices(how.indices)
                .read_data(how.read_data);
            let (report, repaired) = self.run(py, progress.as_ref(), move |registry, watch| {
                // Repaired in the same call, so that nothing comes between the findings and their
                // repair.
                let report = registry.verify(&filter, options, watch)?;
                let repaired = if repair {
                    Some(registry.repair(&report.findings, watch)?)
                } else {
                    None
                };
                Ok((report, repaired))
            })?;
            Ok((plain(py, &report)?, plain(py, &repaired)?))
        })
    }
}
