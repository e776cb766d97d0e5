//! Carrying a plan out, batch by batch.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;

use serde::Serialize;

use super::batches::{batches, leave_occupied};
use super::file::PlanFile;
use super::losses::Losses;
use crate::catalog::{Catalog, Selected};
use crate::error::Error;
use crate::model::artifact::{ArtifactId, State};
use crate::model::clock::Clock;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::{Key, Kind};
use crate::model::name::RunName;
use crate::model::removal::{RemovalId, TrashKeep};
use crate::model::size::Total;
use crate::ops::refresh;
use crate::ops::remove::{self, BackupFailure, RemovalReport, RemoveOptions, Removing, Skipped};
use crate::ops::room::with_room;
use crate::ops::written;
use crate::retention::PlanError;
use crate::store::{PurgeReport, StaleList};

/// How a plan is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GcOptions {
    /// Reason for the history; by default the plan's id and its rules.
    pub reason: Option<String>,
    /// How long the data can be restored.
    pub keep: TrashKeep,
}

impl GcOptions {
    /// Sets the reason for the history.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Sets how long the data can be restored.
    #[must_use]
    pub fn keep(mut self, keep: TrashKeep) -> Self {
        self.keep = keep;
        self
    }

    fn removing(&self, plan: &PlanFile) -> RemoveOptions {
        let reason = || format!("gc, plan {}: {}", plan.id, plan.policy);
        RemoveOptions {
            reason: Some(self.reason.clone().unwrap_or_else(reason)),
            keep: self.keep,
            // What changed since the plan stays, and must not hold up the rest.
            keep_going: true,
            force_pinned: false,
            ignore_best_links: plan.ignore_best_links,
            unchanged: true,
            keep_parents: false,
        }
    }
}

/// What carrying out a plan did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct GcReport {
    /// Id of the plan.
    pub plan: String,
    /// Its removals, in their order.
    pub removals: Vec<RemovalId>,
    /// Number of artifacts that are gone.
    pub artifacts: u64,
    /// Bytes and files of what is gone, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
    /// Number of artifacts whose data was missing.
    pub missing: u64,
    /// Artifacts that were left out, and why.
    pub skipped: Vec<Skipped>,
    /// Consolidated metadata that could not be written, and still lists what is gone.
    pub stale_lists: Vec<StaleList>,
    /// What the purges did; `None` if the data is kept in the trash.
    pub purge: Option<PurgeReport>,
    /// Why the backup that was due failed, if it did.
    pub backup_failed: Option<BackupFailure>,
}

impl GcReport {
    fn add(&mut self, removal: RemovalReport) {
        self.removals.extend(removal.removal);
        self.artifacts += removal.artifacts.len() as u64;
        self.total.merge(removal.total);
        self.missing += removal.missing.len() as u64;
        self.skipped.extend(removal.skipped);
        self.stale_lists.extend(removal.stale_lists);
        if let Some(purge) = removal.purge {
            match &mut self.purge {
                Some(all) => all.merge(purge),
                None => self.purge = Some(purge),
            }
        }
    }
}

/// Refuses a plan that does not fit this registry.
///
/// # Errors
/// [`Error::PlanElsewhere`] if another registry made it, [`Error::PlanOutdated`] if something was
/// restored since.
fn check(catalog: &Catalog, plan: &PlanFile) -> Result<(), Error> {
    let registry = catalog.registry_id()?;
    if plan.registry != registry {
        return Err(Error::PlanElsewhere {
            id: plan.id.clone(),
            registry: plan.registry.clone(),
        });
    }
    // What was restored is wanted again: a plan from before the restore would remove it once more.
    let restores = catalog.restores()?;
    if restores != plan.restores {
        return Err(Error::PlanOutdated {
            id: plan.id.clone(),
            restored_at: restores.1.unwrap_or(plan.made_at),
        });
    }
    Ok(())
}

/// The plan without the iterations that became the last complete ones of their runs since it was
/// made; these are skipped.
fn still_complete<'a>(
    on: &Removing<'_>,
    plan: &'a PlanFile,
    skipped: &mut Vec<Skipped>,
) -> Result<Cow<'a, PlanFile>, Error> {
    if plan.allow_incomplete || plan.items.is_empty() {
        return Ok(Cow::Borrowed(plan));
    }
    // An iteration that the plan leaves complete may have been removed or damaged since.
    let mut gone: BTreeMap<&RunName, Vec<&Key>> = BTreeMap::new();
    for item in &plan.items {
        gone.entry(item.key.run()).or_default().push(&item.key);
    }
    // What stays in place of what goes may have been damaged since.
    let of_runs = Filter {
        runs: gone.keys().map(|run| Pattern::from(run.as_str())).collect(),
        kinds: vec![Kind::Prediction, Kind::Output],
        ..Filter::default()
    };
    let going: HashSet<ArtifactId> = plan.items.iter().map(|item| item.id).collect();
    let mut staying = Vec::new();
    on.catalog
        .list(&of_runs, on.now, Selected::All, |artifact| {
            if artifact.state == State::Present && !going.contains(&artifact.id) {
                staying.push(artifact);
            }
            Ok::<_, Error>(ControlFlow::Continue(()))
        })?;
    // Only the rows matter here; notices are for the next refresh that a user asks for.
    with_room(on.catalog, || {
        refresh::refresh_rows(on.catalog, on.base, &staying, on.now, on.monitor)
    })?;
    // A sealed array's row says what was sealed, whatever became of it.
    let mut losses = Losses::default();
    while losses.look_at(on.catalog, on.base, &gone, BTreeSet::new(), on.now)? {}
    let mut parts = on.catalog.parts(&of_runs, on.now)?;
    losses.mark(&mut parts);
    let last: BTreeMap<&RunName, i64> = gone
        .into_iter()
        .filter_map(|(run, keys)| {
            let last = parts.get(run)?.last_complete_without(keys.into_iter())?;
            Some((run, last))
        })
        .collect();
    if last.is_empty() {
        return Ok(Cow::Borrowed(plan));
    }
    let mut left = plan.clone();
    left.items.retain(|item| {
        let run = item.key.run();
        // Only these make an iteration complete; inputs and best arrays of it may go.
        let is_part = matches!(item.key.kind(), Kind::Prediction | Kind::Output);
        let iteration = last.get(run).copied().filter(|_| is_part);
        let stays = iteration.is_some() && item.key.iteration() == iteration;
        if let (true, Some(iteration)) = (stays, iteration) {
            let run = run.clone();
            let error = Error::from(PlanError::LeavesIncomplete { run, iteration });
            skipped.push(Skipped::new(item.artifact(on.base).path(), &error));
        }
        !stays
    });
    Ok(Cow::Owned(left))
}

/// Carries a plan out, batch by batch; `each` sees the report after every batch. What was pinned,
/// written or recorded again since the plan was made stays, and is in the report.
///
/// # Errors
/// [`Error::PlanElsewhere`], [`Error::PlanOutdated`]; and [`Error`] if a batch fails as a whole, or
/// the monitor cancels: then it is as before, and the batches before it are done.
pub(crate) fn apply(
    on: &Removing<'_>,
    clock: &dyn Clock,
    plan: &PlanFile,
    options: &GcOptions,
    mut each: impl FnMut(&GcReport),
) -> Result<GcReport, Error> {
    check(on.catalog, plan)?;
    let removing = options.removing(plan);
    let mut report = GcReport {
        plan: plan.id.clone(),
        ..GcReport::default()
    };
    let plan = &still_complete(on, plan, &mut report.skipped)?;
    let batches = batches(on.catalog, on.base, plan, &removing, &mut report.skipped)?;
    let counts = plan.counts();
    let mut batches = batches.into_iter().peekable();
    if batches.peek().is_some() {
        // Once for all batches: a backup that fails would cost the same time again each time.
        report.backup_failed = remove::back_up_first(on)?;
    }
    for mut chosen in batches {
        if on.monitor.is_cancelled() {
            return Err(remove::cancelled(on.catalog));
        }
        // A run of batches may last for hours: each removal has its own time.
        let on = Removing {
            now: clock.now(),
            ..*on
        };
        // The plan may be old, and each batch comes after what the ones before it took.
        written::leave_out_rewritten(on.base, &mut chosen, &mut report.skipped)?;
        let mut removal = remove::plan(
            on.catalog,
            on.base,
            remove::Containers::Emptied,
            chosen.clone(),
            on.monitor,
        )?;
        // Only the removal's own plan, which lists the containers, knows of unknown files in them.
        if leave_occupied(on.base, &removal, &mut chosen, &mut report.skipped) {
            removal = remove::plan(
                on.catalog,
                on.base,
                remove::Containers::Emptied,
                chosen,
                on.monitor,
            )?;
        }
        removal.count_as(&counts);
        report.add(remove::remove_backed_up(&on, &removal, &removing)?);
        each(&report);
    }
    Ok(report)
}
