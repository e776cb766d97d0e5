//! Planning: what a request keeps and removes, and why.

use std::collections::HashMap;
use std::path::Path;

use super::file::{PlanFile, file_of};
use super::inventory::Reader;
use super::losses::Losses;
use super::request::{GcRequest, GcRules};
use super::times::Times;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::layout;
use crate::model::removal::RemovalId;
use crate::ops::unmatched;
use crate::retention::{
    self, Decision, Explanation, NamedPolicy, Plan, PlanError, PlanLine, PlanSum, Policy, Reason,
};
use crate::store::Base;

/// A plan with its file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GcPlan {
    /// What stays, what goes, and the reasons.
    pub plan: Plan,
    /// What goes, to be carried out or saved.
    pub file: PlanFile,
}

impl GcPlan {
    /// The line of the artifact at a path relative to the base directory.
    #[must_use]
    pub fn line_at(&self, path: &Path) -> Option<&PlanLine> {
        let is_it = |line: &&PlanLine| Path::new(&line.artifact.location().path()) == path;
        self.plan.lines.iter().find(is_it)
    }
}

/// Plans what may go. Removes nothing. Of what would go it looks at when the data was last written,
/// and of what stays in its place whether sealed arrays are as they were sealed; besides this and
/// DaCapo's best links it looks at no data.
///
/// # Errors
/// [`Error::Retention`] if the policy is refused, sizes are unknown that a limit needs, or a group
/// would be emptied.
pub(crate) fn plan(
    catalog: &Catalog,
    base: &Base,
    request: &GcRequest,
    now: Timestamp,
) -> Result<GcPlan, Error> {
    request.check()?;
    unmatched::require_known_exclusions(catalog, &request.of, now)?;
    let (_, plan) = plan_until_looked_at((catalog, base), request, now)?;
    // In the form of a removal's: ids of plans sort by time too.
    let random = uuid::Uuid::new_v4().as_fields().0;
    let id = RemovalId::new(now, random).to_string();
    let file = file_of(catalog, &plan, request, id, now)?;
    Ok(GcPlan { plan, file })
}

/// Plans until everything that goes was looked at, and what rules keep as complete.
fn plan_until_looked_at(
    (catalog, base): (&Catalog, &Base),
    request: &GcRequest,
    now: Timestamp,
) -> Result<(Times, Plan), Error> {
    let mut times = Times::default();
    times.losses = Losses::of_unread(catalog, base, request, now)?;
    loop {
        let reader = Reader {
            catalog,
            base,
            request,
            now,
            times: &times,
        };
        let plan = match plan_once(&reader) {
            // With what is in use, a group may not be empty.
            Err(error) if empties(&error) => {
                let selected = reader.selected()?;
                let looked = times.look_at_all(base, &selected)?;
                let pinned = times
                    .elsewhere
                    .look_at_all((catalog, base), selected.iter())?;
                match looked || pinned {
                    true => continue,
                    false => return Err(error),
                }
            }
            plan => plan?,
        };
        if times.look(base, &plan)? || times.elsewhere.look((catalog, base), &plan)? {
            continue;
        }
        // An iteration that rules keep as complete may have lost chunks since it was sealed.
        if !times.losses.look(catalog, base, &plan, now)? {
            return Ok((times, plan));
        }
    }
}

/// Whether a plan was refused for what it would leave.
fn empties(error: &Error) -> bool {
    matches!(
        error,
        Error::Retention(PlanError::EmptiesGroup { .. } | PlanError::EveryRun { .. })
    )
}

/// Plans by what is known of times.
fn plan_once(reader: &Reader<'_>) -> Result<Plan, Error> {
    let request = reader.request;
    let mut plan = match &request.rules {
        GcRules::Policy(policy) => {
            policy.check()?;
            let inventory = reader.inventory(&request.of, policy, &policy.select.kinds)?;
            retention::plan(policy, &inventory, reader.now)?
        }
        GcRules::Named(named) => plan_named(reader, named)?,
        GcRules::Runs(policy) => {
            policy.check()?;
            let inventory = reader.run_inventory()?;
            let mut plan = retention::plan_runs(policy, &inventory, reader.now)?;
            hold_containers(reader.catalog, &mut plan)?;
            plan
        }
    };
    // Not before every kind is planned: an iteration is complete by all of its parts.
    if !request.allows_incomplete() {
        reader.keep_complete(&mut plan)?;
    }
    Ok(plan)
}

fn plan_named(reader: &Reader<'_>, named: &NamedPolicy) -> Result<Plan, Error> {
    // What one kind frees is free for the others: they share the file system, and so one budget.
    // Kinds whose rules do not depend on it come first.
    let mut kinds: Vec<&(Kind, Policy)> = named.kinds.iter().collect();
    kinds.sort_by_key(|(_, policy)| policy.limit.min_free.is_some());
    let mut plans: Vec<Plan> = Vec::new();
    let mut freed: u64 = 0;
    for (at, (kind, policy)) in kinds.iter().enumerate() {
        let mut inventory = reader.named_inventory(named, policy)?;
        let free = &mut inventory.disk.free;
        *free = free.map(|free| free.saturating_add(freed));
        let mut plan = retention::plan(policy, &inventory, reader.now)?;
        let mut own = PlanSum::default();
        // What stays with the best of another kind is decided by its own rules.
        for line in plan.removed() {
            if line.artifact.key.kind() == *kind {
                own.add(&line.artifact);
            }
        }
        freed = freed.saturating_add(own.disk_bytes.unwrap_or_default().0);
        // A later kind may yet free enough.
        if kinds[at + 1..]
            .iter()
            .any(|(_, next)| next.limit.min_free == policy.limit.min_free)
        {
            plan.unmet.retain(|text| !text.starts_with("min-free"));
        }
        plans.push(plan);
    }
    Ok(Plan::merge(plans))
}

/// Explains what every rule of a request says of one artifact; `None` if the request does not
/// select it, or asks about whole runs.
///
/// # Errors
/// As [`plan`].
pub(crate) fn explain(
    catalog: &Catalog,
    base: &Base,
    request: &GcRequest,
    id: ArtifactId,
    now: Timestamp,
) -> Result<Option<Explanation>, Error> {
    request.check()?;
    if matches!(request.rules, GcRules::Runs(_)) {
        return Ok(None);
    }
    let (mut times, _) = plan_until_looked_at((catalog, base), request, now)?;
    // The plan looks only at what goes, and the one that is asked about may stay.
    if let Some(artifact) = catalog.by_id(id)? {
        let artifact = [artifact];
        times.look_at_all(base, &artifact)?;
        times
            .elsewhere
            .look_at_all((catalog, base), artifact.iter())?;
    }
    let reader = &Reader {
        catalog,
        base,
        request,
        now,
        times: &times,
    };
    match &request.rules {
        GcRules::Policy(policy) => {
            policy.check()?;
            let inventory = reader.inventory(&request.of, policy, &policy.select.kinds)?;
            let mut explanation = retention::explain(policy, &inventory, now, id)?;
            if let Some(explanation) = &mut explanation
                && !request.allows_incomplete()
            {
                // Verdicts are by rule; whether the artifact goes depends on the rest of the plan
                // too.
                let mut plan = retention::plan(policy, &inventory, now)?;
                reader.keep_complete(&mut plan)?;
                explanation.decide_by(&plan);
            }
            Ok(explanation)
        }
        GcRules::Named(named) => {
            let mut explanation: Option<Explanation> = None;
            for (_, policy) in &named.kinds {
                let inventory = reader.named_inventory(named, policy)?;
                let next = retention::explain(policy, &inventory, now, id)?;
                match (&mut explanation, next) {
                    (Some(explanation), Some(next)) => explanation.verdicts.extend(next.verdicts),
                    (None, next) => explanation = next,
                    (Some(_), None) => {}
                }
            }
            // What one kind's rules let go, another's may keep along with its best.
            if let Some(explanation) = &mut explanation {
                let mut plan = plan_named(reader, named)?;
                if !request.allows_incomplete() {
                    reader.keep_complete(&mut plan)?;
                }
                explanation.decide_by(&plan);
            }
            Ok(explanation)
        }
        // Rules for whole runs have no verdict on one artifact.
        GcRules::Runs(_) => Ok(None),
    }
}

/// Keeps every container of a plan in which a recorded artifact stays.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
fn hold_containers(catalog: &Catalog, plan: &mut Plan) -> Result<(), Error> {
    let container = |line: &PlanLine| layout::canonical_location(&line.artifact.key).container;
    let mut going: HashMap<String, usize> = HashMap::new();
    let mut staying: HashMap<String, Vec<Reason>> = HashMap::new();
    // All lines are counted first: a container may come before what is in it.
    for line in &plan.lines {
        match line.decision {
            Decision::Remove => *going.entry(container(line)).or_default() += 1,
            Decision::Keep => {
                let reasons = staying.entry(container(line)).or_default();
                for reason in &line.reasons {
                    if !reasons.contains(reason) {
                        reasons.push(reason.clone());
                    }
                }
            }
        }
    }
    for line in &mut plan.lines {
        if line.decision == Decision::Keep || !line.artifact.key.kind().is_container() {
            continue;
        }
        let path = container(line);
        let count = going.get(&path).copied().unwrap_or_default();
        let reasons = match staying.remove(&path) {
            Some(reasons) => reasons,
            // The container may also hold rows that the request did not select; one too many is
            // enough.
            None if catalog.count_in_container(&path, count + 1)? > count => vec![Reason {
                rule: "no-rule",
                setting: None,
                detail: "something is recorded in it that was not selected".to_owned(),
            }],
            None => continue,
        };
        line.decision = Decision::Keep;
        line.reasons = reasons;
    }
    Ok(())
}
