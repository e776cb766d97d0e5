//! Removing, and back.

use std::path::PathBuf;

use dalsegno::model::name::{NameError, RunName};
use dalsegno::model::removal::{Removal, RemovalId};
use dalsegno::{Error, RemoveOptions, RenameOptions, RestoreTarget, Target};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::PyRegistry;
use crate::ask::{self, Asked, Kept, SelectionArguments};
use crate::call::whole;
use crate::errors::{argument, raise};
use crate::values::{artifacts, plain};

/// How to remove.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct RemovalArguments {
    reason: Option<String>,
    keep: Option<Kept>,
    keep_going: bool,
    force_pinned: bool,
    ignore_best_links: bool,
    keep_parents: bool,
}

/// The fields of an outcome, with its artifacts as objects.
fn with_artifacts<'py>(
    py: Python<'py>,
    report: &impl serde::Serialize,
    list: Vec<dalsegno::model::artifact::Artifact>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = plain(py, report)?.cast_into::<PyDict>()?;
    dict.set_item("artifacts", artifacts(py, list)?)?;
    Ok(dict)
}

#[pymethods]
impl PyRegistry {
    fn remove<'py>(
        &self,
        py: Python<'py>,
        targets: Option<Vec<(Asked, bool)>>,
        selection: Option<SelectionArguments>,
        whole_run: Option<String>,
        how: RemovalArguments,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        whole(py, || {
            let mut options = RemoveOptions::default()
                .keep(ask::keep(how.keep)?)
                .keep_going(how.keep_going)
                .force_pinned(how.force_pinned)
                .ignore_best_links(how.ignore_best_links)
                .keep_parents(how.keep_parents);
            options.reason = how.reason;
            // Before the call, so that a bad name raises its own error and starts no work.
            let whole_run: Option<RunName> = whole_run
                .map(|name| name.parse())
                .transpose()
                .map_err(|error: NameError| raise(py, &Error::from(error)))?;
            let filter = selection
                .map(|selection| self.filter(py, selection))
                .transpose()?;
            let targets = targets.unwrap_or_default();
            let targets = targets.into_iter();
            let targets: Vec<(Target, bool)> = targets
                .map(|(asked, is_path)| (asked.target(), is_path))
                .collect();
            let mut report = self.run(py, progress.as_ref(), move |registry, watch| {
                // Planned and carried out in one call; the transaction checks every row again.
                let mut plan = if let Some(run) = &whole_run {
                    registry.plan_run_removal(run)?
                } else if let Some(filter) = &filter {
                    registry.plan_removal(registry.to_remove_selected(filter)?)?
                } else {
                    // All targets together, so that one transaction takes them.
                    let mut chosen = Vec::new();
                    for target in &targets {
                        chosen.extend(match target {
                            // An identifier means just its array; a path also a folder.
                            (Target::Path(path), true) => registry.to_remove_at(path)?,
                            (target, _) => registry.to_remove(target)?,
                        });
                    }
                    registry.plan_removal(chosen)?
                };
                registry.count_others(&mut plan, watch)?;
                registry.remove_planned(&plan, &options, watch)
            })?;
            // Taken out, so that they become objects and not dictionaries first.
            let removed = std::mem::take(&mut report.artifacts);
            with_artifacts(py, &report, removed)
        })
    }

    fn restore<'py>(
        &self,
        py: Python<'py>,
        removal: Option<String>,
        path: Option<PathBuf>,
        selection: Option<SelectionArguments>,
        last: bool,
        dry_run: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        whole(py, || {
            // The Python side passes just one of them, and a text as both an id and a path.
            let target = match (removal.map(|id| id.parse()), path, selection) {
                (Some(Ok(id)), ..) => RestoreTarget::Removal(id),
                (_, Some(path), _) => RestoreTarget::Path(path),
                (Some(Err(error)), None, _) => return Err(argument(error)),
                (None, None, Some(selection)) => {
                    RestoreTarget::Filter(selection.filter(py, &self.base)?)
                }
                (None, None, None) => return Err(argument("nothing was named to restore")),
            };
            let target = match last {
                true => RestoreTarget::Last(Box::new(target)),
                false => target,
            };
            let mut report = self.run(py, None, move |registry, _| {
                let of = match &target {
                    RestoreTarget::Last(target) => target,
                    target => target,
                };
                if let RestoreTarget::Filter(filter) = of {
                    registry.require_runs(filter)?;
                }
                match dry_run {
                    true => registry.plan_restore(std::slice::from_ref(&target)),
                    false => registry.restore(&target),
                }
            })?;
            let restored = std::mem::take(&mut report.artifacts);
            with_artifacts(py, &report, restored)
        })
    }

    fn rename_run<'py>(
        &self,
        py: Python<'py>,
        run: String,
        to: String,
        dry_run: bool,
        active: bool,
        reason: Option<String>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let name = |text: String| -> PyResult<RunName> {
                text.parse()
                    .map_err(|error: NameError| raise(py, &Error::from(error)))
            };
            let (run, to) = (name(run)?, name(to)?);
            let options = RenameOptions::default().active(active).reason(reason);
            // One of two calls: a dry run never reaches the rename.
            let report = self.run(py, None, move |registry, _| match dry_run {
                true => registry.plan_rename(&run, &to),
                false => registry.rename_run(&run, &to, &options),
            })?;
            plain(py, &report)
        })
    }

    fn trash<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let (removals, others): (Vec<Removal>, _) = self.run(py, None, |registry, watch| {
                Ok((registry.trash()?, registry.trash_others(watch)?))
            })?;
            let list = PyList::empty(py);
            for removal in removals {
                let size = others.get(&removal.id).and_then(Option::as_ref);
                let size = size.map(|others| others.size);
                let fields = plain(py, &removal)?;
                fields.set_item("other_bytes", size.map(|size| size.bytes.0))?;
                fields.set_item("other_files", size.map(|size| size.files))?;
                list.append(fields)?;
            }
            Ok(list.into_any())
        })
    }

    fn removal<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let id: RemovalId = id.parse().map_err(argument)?;
            let removal = self.quick(py, |registry| registry.removal(&id))?;
            let fields = plain(py, &removal)?;
            if removal.is_some() {
                // Only a look at the trash counts these.
                fields.set_item("other_bytes", py.None())?;
                fields.set_item("other_files", py.None())?;
            }
            Ok(fields)
        })
    }

    fn empty_trash<'py>(
        &self,
        py: Python<'py>,
        removals: Option<Vec<String>>,
        older_than: Option<f64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        whole(py, || {
            let older_than = older_than.map(ask::seconds).transpose()?;
            let removals = removals.map(|texts| {
                let id = |text: String| text.parse::<RemovalId>().map_err(argument);
                texts.into_iter().map(id).collect::<PyResult<Vec<_>>>()
            });
            let removals = removals.transpose()?;
            let report = self.run(
                py,
                progress.as_ref(),
                move |registry, watch| match removals {
                    Some(removals) => registry.purge_removals(&removals, watch),
                    None => registry.empty_trash(older_than, watch),
                },
            )?;
            plain(py, &report)
        })
    }

    /// None is the newest that can be undone.
    fn undo<'py>(&self, py: Python<'py>, id: Option<i64>) -> PyResult<Bound<'py, PyDict>> {
        whole(py, || {
            let mut report = self.run(py, None, move |registry, _| match id {
                Some(id) => registry.undo(id),
                None => registry.undo_last(),
            })?;
            let back = std::mem::take(&mut report.artifacts);
            with_artifacts(py, &report, back)
        })
    }
}
