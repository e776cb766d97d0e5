//! Plans of what may go, and carrying them out.

use std::time::Duration;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::retention::{
    Decision, Direction, KeepBest, KeepRules, Limits, Metric, MinFree, PlanLine, Policy, RunPolicy,
    SelectRules,
};
use dalsegno::{Error, Question};
use dalsegno::{GcOptions, GcPlan, GcRequest, GcRules, PlanFile};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::ask::{self, Kept, SelectionArguments};
use crate::call::whole;
use crate::errors::{argument, raise};
use crate::registry::PyRegistry;
use crate::values::{PyArtifact, plain};

/// The rules of a plan, as the Python side writes them down.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct RuleArguments {
    policy: Option<String>,
    runs: bool,
    /// Least age, in seconds.
    older_than: Option<f64>,
    keep_last: Option<u64>,
    keep_first: Option<u64>,
    keep_every: Option<u64>,
    keep_iterations: Vec<i64>,
    /// Greatest age that is kept, in seconds.
    keep_within: Option<f64>,
    keep_best: Option<u64>,
    metric: Option<String>,
    best_with: Vec<String>,
    max_size: Option<u64>,
    max_files: Option<u64>,
    /// Bytes, or text such as `1TB` or `10%`.
    min_free: Option<Free>,
    /// Only what is damaged.
    damaged: bool,
    allow_empty_group: bool,
    allow_incomplete: bool,
    ignore_best_links: bool,
    keep: Option<Kept>,
    /// The selection in words.
    words: String,
}

/// How much must be free.
#[derive(FromPyObject)]
enum Free {
    Bytes(u64),
    Text(String),
}

impl Free {
    fn limit(&self) -> PyResult<MinFree> {
        match self {
            Self::Bytes(bytes) => Ok(MinFree::Bytes(*bytes)),
            Self::Text(text) => text.parse().map_err(argument),
        }
    }
}

impl RuleArguments {
    fn best(&self, py: Python<'_>) -> PyResult<Option<KeepBest>> {
        match (self.keep_best, &self.metric) {
            (Some(count), Some(metric)) => {
                let metric = metric.parse::<Metric>();
                let with = self.best_with.iter();
                let metric = metric.map_err(|error| raise(py, &Error::from(error)))?;
                let with = with.map(|kind| kind.parse().map_err(argument));
                let with: Vec<Kind> = with.collect::<PyResult<_>>()?;
                Ok(Some(KeepBest::new(count, metric).with(with)))
            }
            (None, None) if self.best_with.is_empty() => Ok(None),
            // Half of a rule would keep nothing, and the plan would remove more than was meant.
            _ => Err(argument(
                "keep_best and metric go together; best_with goes with both",
            )),
        }
    }

    /// What is asked for, of this selection. The named policy is looked up later.
    fn request(&self, py: Python<'_>, filter: Filter) -> PyResult<GcRequest> {
        let length = |seconds: Option<f64>| seconds.map(ask::seconds).transpose();
        let (older_than, within): (Option<Duration>, _) =
            (length(self.older_than)?, length(self.keep_within)?);
        let mut limit = Limits::default();
        limit.max_bytes = self.max_size;
        limit.max_files = self.max_files;
        limit.min_free = self.min_free.as_ref().map(Free::limit).transpose()?;
        // Only plans for whole runs filter by kind; in a policy, the kinds are one of its rules.
        let kinds = if self.runs {
            filter.kinds.clone()
        } else {
            Vec::new()
        };
        // The words of the command line, so that plans made by both can be compared.
        let mut words: Vec<String> = Vec::new();
        if let Some(name) = &self.policy {
            words.push(format!("policy {name}"));
        }
        // Of runs alone, the paths are names of runs.
        if self.runs && !filter.below.is_empty() {
            return Err(argument(
                "below is the path of a run if whole_runs is given, because that decides on whole \
                 runs",
            ));
        }
        let rules = if self.runs {
            let mut policy = RunPolicy::default()
                .limit(limit)
                .allow_empty_group(self.allow_empty_group);
            policy.older_than = older_than;
            policy.last = self.keep_last;
            policy.within = within;
            words.push(policy.to_string());
            GcRules::Runs(policy)
        } else {
            let mut select = SelectRules::default()
                .iterations(filter.iterations)
                .kinds(filter.kinds);
            select.older_than = older_than;
            select.damaged = self.damaged;
            let mut keep = KeepRules::default().iterations(self.keep_iterations.iter().copied());
            keep.last = self.keep_last;
            keep.first = self.keep_first;
            keep.every = self.keep_every;
            keep.within = within;
            keep.best = self.best(py)?;
            let policy = Policy::default()
                .select(select)
                .keep(keep)
                .limit(limit)
                .allow_empty_group(self.allow_empty_group);
            words.push(policy.to_string());
            GcRules::Policy(policy)
        };
        words.push(self.words.clone());
        // An empty part would leave a comma behind.
        words.retain(|part| !part.is_empty());
        // Without iterations and age, which are rules; kinds too, except for whole runs.
        Ok(GcRequest::new(
            Filter::default()
                .runs(filter.runs)
                .below(filter.below)
                .datasets(filter.datasets)
                .parameters(filter.parameters)
                .owners(filter.owners)
                .written_before(filter.written_before)
                .written_since(filter.written_since)
                .except(filter.except)
                .kinds(kinds),
            rules,
        )
        .ignore_best_links(self.ignore_best_links)
        .keep(ask::keep(self.keep)?)
        .allow_incomplete(self.allow_incomplete)
        .words(words.join(", ")))
    }
}

/// A plan: what stays, what goes, and why.
#[pyclass(frozen, name = "Plan", module = "dalsegno._native")]
pub(crate) struct PyPlan {
    plan: GcPlan,
}

fn lines<'py>(
    py: Python<'py>,
    lines: impl Iterator<Item = &'py PlanLine>,
) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for line in lines {
        let dict = PyDict::new(py);
        dict.set_item("artifact", PyArtifact(line.artifact.clone()))?;
        dict.set_item("removed", line.decision == Decision::Remove)?;
        let reasons: Vec<String> = line.reasons.iter().map(ToString::to_string).collect();
        dict.set_item("reasons", reasons)?;
        dict.set_item("age_seconds", line.age.map(|age| age.as_secs_f64()))?;
        list.append(dict)?;
    }
    Ok(list)
}

#[pymethods]
impl PyPlan {
    #[getter]
    fn id(&self) -> &str {
        &self.plan.file.id
    }

    /// A plan for these rules.
    #[getter]
    fn policy(&self) -> &str {
        &self.plan.file.policy
    }

    /// All lines in their order; or with `most` at most so many, those that go first.
    #[pyo3(signature = (most=None))]
    fn lines<'py>(slf: &'py Bound<'py, Self>, most: Option<usize>) -> PyResult<Bound<'py, PyList>> {
        whole(slf.py(), || {
            let all = &slf.get().plan.plan.lines;
            let Some(most) = most else {
                return lines(slf.py(), all.iter());
            };
            let goes = |line: &&PlanLine| line.decision == Decision::Remove;
            let stays = all.iter().filter(|line| !goes(line));
            lines(slf.py(), all.iter().filter(goes).chain(stays).take(most))
        })
    }

    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || plain(py, &self.plan.plan.totals()))
    }

    /// How many bytes must be free.
    #[getter]
    fn min_free(&self) -> Option<u64> {
        let goal = self.plan.plan.min_free.as_ref();
        goal.map(|goal| goal.bytes.0)
    }

    #[getter]
    fn unmet(&self) -> Vec<String> {
        self.plan.plan.unmet.clone()
    }

    #[getter]
    fn notices(&self) -> Vec<String> {
        self.plan.plan.notices.clone()
    }

    /// The plan as a file that `dalsegno gc --apply` carries out.
    fn text(&self, py: Python<'_>) -> PyResult<String> {
        whole(py, || {
            self.plan.file.text().map_err(|error| raise(py, &error))
        })
    }
}

#[pyfunction]
#[pyo3(signature = (registry, rules, selection, refresh, progress))]
pub(crate) fn _plan_gc(
    py: Python<'_>,
    registry: &Bound<'_, PyRegistry>,
    rules: RuleArguments,
    selection: SelectionArguments,
    refresh: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<PyPlan> {
    whole(py, || {
        let registry = registry.get();
        let filter = registry.filter(py, selection)?;
        // Kept, because the request moves the kinds into its rules and a named policy needs them
        // too.
        let (asked, excepted) = (filter.kinds.clone(), filter.except.kinds.clone());
        let mut request = rules.request(py, filter)?;
        let named = rules.policy;
        if let Some(name) = &named {
            // Asked of the registry, which read the policies when it was opened.
            let known = registry.run(py, None, |registry, _| Ok(registry.policies().clone()))?;
            let Some(policy) = known.get(name) else {
                let known: Vec<&str> = known.keys().map(String::as_str).collect();
                let known = match known.is_empty() {
                    true => "config.toml defines none".to_owned(),
                    false => format!("there are: {}", known.join(", ")),
                };
                return Err(argument(format!("there is no policy {name:?}; {known}")));
            };
            let mut policy = policy.clone();
            // Narrows only: a kind without rules of its own is never added.
            if !asked.is_empty() || !excepted.is_empty() {
                let is_named = |kind: &Kind| asked.is_empty() || asked.contains(kind);
                policy
                    .kinds
                    .retain(|(kind, _)| is_named(kind) && !excepted.contains(kind));
                if policy.kinds.is_empty() {
                    return Err(argument(format!(
                        "the policy {name:?} has no rules for these kinds"
                    )));
                }
            }
            request.rules = GcRules::Named(policy);
        }
        // One call for both, so that a fork cannot close the registry between the look and the
        // plan.
        let plan = registry.run(py, progress.as_ref(), move |registry, watch| {
            let request = match refresh {
                true => {
                    let report = registry.refresh_for(Question::Gc(&request), watch)?;
                    request.unread(&report.notices).counts(&report.counts)
                }
                false => request,
            };
            registry.plan_gc(&request)
        })?;
        Ok(PyPlan { plan })
    })
}

/// Name and direction, `min` or `max`, of a metric such as `voi:min`.
#[pyfunction]
pub(crate) fn _metric(py: Python<'_>, text: &str) -> PyResult<(String, &'static str)> {
    whole(py, || {
        let metric = text.parse::<Metric>();
        let metric = metric.map_err(|error| raise(py, &Error::from(error)))?;
        let direction = match metric.direction() {
            Direction::Min => "min",
            Direction::Max => "max",
        };
        Ok((metric.name().to_owned(), direction))
    })
}

/// Carries a plan, or the text of one, out.
#[pyfunction]
#[pyo3(signature = (registry, plan, reason, keep, progress))]
pub(crate) fn _apply<'py>(
    py: Python<'py>,
    registry: &Bound<'py, PyRegistry>,
    plan: &str,
    reason: Option<String>,
    keep: Option<Kept>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    whole(py, || {
        let registry = registry.get();
        let plan = PlanFile::parse(plan).map_err(|error| raise(py, &error))?;
        let mut options = GcOptions::default().keep(ask::keep(keep)?);
        options.reason = reason;
        let report = registry.run(py, progress.as_ref(), move |registry, watch| {
            // Progress comes through the watch; reports of single batches are not shown in Python.
            registry.apply_gc(&plan, &options, watch, |_| {})
        })?;
        plain(py, &report)
    })
}
