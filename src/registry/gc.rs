//! Garbage collection: the face of retention and of its protocol.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Registry;
use crate::catalog::ScoreQuery;
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;
use crate::model::name::RunName;
use crate::model::progress::Monitor;
use crate::model::removal::RemovalId;
use crate::ops::gc::{self, GcOptions, GcPlan, GcReport, GcRequest, GcRules, PlanFile};
use crate::ops::remove::cancelled;
use crate::retention::{
    self, Explanation, Inventory, InventoryRow, InventoryRun, InventoryScore, Metric, NamedPolicy,
    Plan, Policy, RunInventory,
};
use crate::store;

/// What of a run and an iteration was measured.
type Scores = HashMap<(RunName, i64), Arc<[InventoryScore]>>;

impl Registry {
    /// The policies that the configuration names.
    #[must_use]
    pub fn policies(&self) -> &BTreeMap<String, NamedPolicy> {
        &self.policies
    }

    /// What a request looks at, to be refreshed before it is answered: a plan trusts what the
    /// catalog knows of the data.
    #[must_use]
    pub fn gc_selection(&self, request: &GcRequest) -> Vec<Filter> {
        match &request.rules {
            GcRules::Policy(policy) => vec![self.selection(&request.of, policy)],
            GcRules::Named(named) => {
                let of = Filter {
                    runs: named.runs.clone(),
                    datasets: named.datasets.clone(),
                    ..Filter::default()
                };
                let selection = |(_, policy): &(Kind, Policy)| self.selection(&of, policy);
                named.kinds.iter().map(selection).collect()
            }
            GcRules::Runs(_) => vec![request.of.clone()],
        }
    }

    /// What a policy decides on.
    fn selection(&self, of: &Filter, policy: &Policy) -> Filter {
        Filter {
            kinds: policy.select.kinds.clone(),
            iterations: policy.select.iterations.clone(),
            older_than: policy.select.older_than,
            states: Vec::new(),
            ..of.clone()
        }
    }

    /// Plans what may go. Removes nothing, and looks at no data but the best links of DaCapo: see
    /// [`Registry::refresh`] and [`Registry::gc_selection`].
    ///
    /// # Errors
    /// [`Error::Retention`] where the policy is refused, sizes are unknown that a limit needs, or a
    /// group would be emptied.
    pub fn plan_gc(&self, request: &GcRequest) -> Result<GcPlan> {
        let now = self.clock.now();
        let plan = match &request.rules {
            GcRules::Policy(policy) => {
                policy.check()?;
                let inventory =
                    self.inventory(request, &request.of, policy, &policy.select.kinds)?;
                retention::plan(policy, &inventory, now)?
            }
            GcRules::Named(named) => self.plan_named(request, named)?,
            GcRules::Runs(policy) => {
                policy.check()?;
                let inventory = self.run_inventory(request)?;
                let mut plan = retention::plan_runs(policy, &inventory, now)?;
                gc::hold_containers(&self.catalog, &mut plan)?;
                plan
            }
        };
        let random = uuid::Uuid::new_v4().as_fields().0;
        let id = RemovalId::new(now, random).to_string();
        let file = gc::file_of(&self.catalog, &plan, request, id, now)?;
        Ok(GcPlan { plan, file })
    }

    fn plan_named(&self, request: &GcRequest, named: &NamedPolicy) -> Result<Plan> {
        let mut plans = Vec::new();
        for (_, policy) in &named.kinds {
            let inventory = self.named_inventory(request, named, policy)?;
            plans.push(retention::plan(policy, &inventory, self.clock.now())?);
        }
        Ok(Plan::merge(plans))
    }

    /// What one kind's policy decides on, within what the request asks about.
    fn named_inventory(
        &self,
        request: &GcRequest,
        named: &NamedPolicy,
        policy: &Policy,
    ) -> Result<Inventory> {
        let of = Filter {
            runs: named.runs.clone(),
            datasets: named.datasets.clone(),
            ..Filter::default()
        };
        // What stays along with the best is decided here only where it has rules of its own: else
        // nobody said that it may go.
        let mut kinds = policy.select.kinds.clone();
        let best = policy.keep.best.iter().flat_map(|best| &best.with);
        kinds.extend(best.filter(|with| named.kinds.iter().any(|(kind, _)| kind == *with)));
        let mut inventory = self.inventory(request, &of, policy, &kinds)?;
        if !request.of.is_all() {
            let asked: HashSet<ArtifactId> = self
                .select(&Filter {
                    kinds,
                    ..request.of.clone()
                })?
                .into_iter()
                .map(|artifact| artifact.id)
                .collect();
            inventory
                .rows
                .retain(|row| asked.contains(&row.artifact.id));
        }
        Ok(inventory)
    }

    /// Tells of one artifact what every rule of a request says. None where the request does not
    /// select it, or asks about whole runs.
    ///
    /// # Errors
    /// As [`Registry::plan_gc`].
    pub fn explain_gc(&self, request: &GcRequest, id: ArtifactId) -> Result<Option<Explanation>> {
        let now = self.clock.now();
        match &request.rules {
            GcRules::Policy(policy) => {
                policy.check()?;
                let inventory =
                    self.inventory(request, &request.of, policy, &policy.select.kinds)?;
                Ok(retention::explain(policy, &inventory, now, id)?)
            }
            GcRules::Named(named) => {
                let mut told: Option<Explanation> = None;
                for (_, policy) in &named.kinds {
                    let inventory = self.named_inventory(request, named, policy)?;
                    let next = retention::explain(policy, &inventory, now, id)?;
                    match (&mut told, next) {
                        (Some(told), Some(next)) => told.verdicts.extend(next.verdicts),
                        (None, next) => told = next,
                        (Some(_), None) => {}
                    }
                }
                // What one kind's rules let go, another's may keep along with its best.
                if let Some(told) = &mut told {
                    told.decide_by(&self.plan_named(request, named)?);
                }
                Ok(told)
            }
            GcRules::Runs(_) => Ok(None),
        }
    }

    fn inventory(
        &self,
        request: &GcRequest,
        of: &Filter,
        policy: &Policy,
        kinds: &[Kind],
    ) -> Result<Inventory> {
        let selection = Filter {
            kinds: kinds.to_vec(),
            states: vec![State::Present],
            ..self.selection(of, policy)
        };
        let mut artifacts = Vec::new();
        self.list(&selection, |artifact| {
            if !artifact.key.kind().is_container() {
                artifacts.push(artifact);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let metric = policy.keep.best.as_ref().map(|best| &best.metric);
        let scores = self.scores_of(&selection, metric)?;
        let of_groups = Filter {
            runs: of.runs.clone(),
            kinds: selection.kinds.clone(),
            datasets: of.datasets.clone(),
            ..Filter::default()
        };
        let groups = self.catalog.groups(&of_groups, self.clock.now())?;
        Ok(Inventory {
            rows: self.rows(request, artifacts, &scores)?,
            groups,
            free_bytes: self.free_bytes(policy.limit.min_free)?,
        })
    }

    fn run_inventory(&self, request: &GcRequest) -> Result<RunInventory> {
        let mut newest = BTreeMap::new();
        let every_kind = Filter {
            runs: request.of.runs.clone(),
            kinds: Kind::ALL.to_vec(),
            ..Filter::default()
        };
        self.runs(&every_kind, |run| {
            newest.insert(run.run, run.last_written_at);
            Ok(())
        })?;
        let artifacts = self.select(&request.of)?;
        let mut runs: Vec<InventoryRun> = Vec::new();
        for row in self.rows(request, artifacts, &Scores::new())? {
            let run = row.artifact.key.run();
            let time = row.artifact.written_at.unwrap_or(row.artifact.recorded_at);
            // Rows come run by run.
            match runs.last_mut().filter(|last| last.run == *run) {
                Some(last) => {
                    last.newest = last.newest.max(time);
                    last.rows.push(row);
                }
                None => runs.push(InventoryRun {
                    run: run.clone(),
                    newest: newest.get(run.as_str()).copied().unwrap_or(time).max(time),
                    rows: vec![row],
                }),
            }
        }
        let min_free = match &request.rules {
            GcRules::Runs(policy) => policy.limit.min_free,
            _ => None,
        };
        Ok(RunInventory {
            runs,
            free_bytes: self.free_bytes(min_free)?,
        })
    }

    fn free_bytes(&self, min_free: Option<u64>) -> Result<Option<u64>> {
        match min_free {
            Some(_) => Ok(Some(store::free_bytes(&self.base)?)),
            None => Ok(None),
        }
    }

    fn scores_of(&self, selection: &Filter, metric: Option<&Metric>) -> Result<Scores> {
        let Some(metric) = metric else {
            return Ok(Scores::new());
        };
        let of = Filter {
            runs: selection.runs.clone(),
            iterations: selection.iterations.clone(),
            ..Filter::default()
        };
        let metrics = [Pattern::from(metric.name())];
        let query = ScoreQuery {
            of,
            metrics: &metrics,
        };
        let mut scores: HashMap<(RunName, i64), Vec<InventoryScore>> = HashMap::new();
        self.scores(&query, |score| {
            // A pattern may match other names; a metric is one.
            if score.metric.as_str() == metric.name() {
                let at = (score.run, score.iteration);
                scores.entry(at).or_default().push(InventoryScore {
                    dataset: score.dataset.map(|name| name.to_string()),
                    parameters: score.parameters.map(|text| text.to_string()),
                    value: score.value,
                });
            }
            Ok(())
        })?;
        let shared = |(at, scores): (_, Vec<InventoryScore>)| (at, scores.into());
        Ok(scores.into_iter().map(shared).collect())
    }

    /// Artifacts with what the rules must know of them.
    fn rows(
        &self,
        request: &GcRequest,
        artifacts: Vec<Artifact>,
        scores: &Scores,
    ) -> Result<Vec<InventoryRow>> {
        let runs: BTreeSet<&RunName> = artifacts.iter().map(|known| known.key.run()).collect();
        let mut links: HashMap<(RunName, i64), Vec<String>> = HashMap::new();
        if !request.ignore_best_links {
            for run in runs {
                for link in store::best_links(&self.base, run.as_str())? {
                    let names = links.entry((run.clone(), link.iteration)).or_default();
                    if !names.contains(&link.name) {
                        names.push(link.name);
                    }
                }
            }
        }
        let row = |artifact: Artifact| {
            let at = artifact.key.iteration();
            let at = at.map(|iteration| (artifact.key.run().clone(), iteration));
            InventoryRow {
                best_links: at
                    .as_ref()
                    .and_then(|at| links.get(at))
                    .cloned()
                    .unwrap_or_default(),
                scores: at
                    .as_ref()
                    .and_then(|at| scores.get(at))
                    .cloned()
                    .unwrap_or_default(),
                artifact,
            }
        };
        Ok(artifacts.into_iter().map(row).collect())
    }

    /// Carries a plan out, batch by batch; `each` is told of every batch when it is done. What was
    /// pinned, written or recorded anew since the plan was made stays, and is in the report.
    ///
    /// # Errors
    /// [`Error::PlanElsewhere`], [`Error::PlanOutdated`]; and [`Error`] where a batch fails as a
    /// whole, or the monitor cancels: then it is as before, and the batches before it are done.
    pub fn apply_gc(
        &self,
        plan: &PlanFile,
        options: &GcOptions,
        monitor: &dyn Monitor,
        mut each: impl FnMut(&GcReport),
    ) -> Result<GcReport> {
        gc::check(&self.catalog, plan)?;
        let removing = options.removing(plan);
        let mut report = GcReport {
            plan: plan.id.clone(),
            ..GcReport::default()
        };
        let batches = gc::batches(
            &self.catalog,
            &self.base,
            plan,
            &removing,
            &mut report.skipped,
        )?;
        let mut batches = batches.into_iter().peekable();
        if batches.peek().is_some() {
            // Once: one that cannot be made costs as much for every batch.
            report.backup_failed = self.back_up_first(monitor)?;
        }
        for mut chosen in batches {
            if monitor.is_cancelled() {
                return Err(cancelled(&self.catalog));
            }
            let mut removal = self.plan_watched(chosen.clone(), monitor)?;
            if gc::leave_occupied(&self.base, &removal, &mut chosen, &mut report.skipped) {
                removal = self.plan_watched(chosen, monitor)?;
            }
            report.add(self.remove_backed_up(&removal, &removing, monitor)?);
            each(&report);
        }
        Ok(report)
    }
}

impl From<retention::PolicyError> for Error {
    fn from(error: retention::PolicyError) -> Self {
        Self::Retention(error.into())
    }
}
