//! What the rules decide on: rows of the catalog with their scores and best links.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::request::{GcRequest, GcRules, selection};
use super::times::Times;
use crate::catalog::{Catalog, ScoreQuery, Selected};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::filter::{Except, Filter, Pattern};
use crate::model::key::Kind;
use crate::model::name::RunName;
use crate::model::nearest::nearest;
use crate::retention::NamedPolicy;
use crate::retention::{
    Disk, Inventory, InventoryRow, InventoryRun, InventoryScore, Metric, MinFree, PartsByRun, Plan,
    Policy, PolicyError, RunInventory,
};
use crate::store::{self, Base};

/// Scores by run and iteration.
type ScoresByIteration = HashMap<(RunName, i64), Arc<[InventoryScore]>>;

/// Reads inventories for a request.
pub(super) struct Reader<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) request: &'a GcRequest,
    pub(super) now: Timestamp,
    /// When data was last written, as far as it was looked at.
    pub(super) times: &'a Times,
}

impl Reader<'_> {
    fn select(&self, filter: &Filter) -> Result<Vec<Artifact>, Error> {
        let mut artifacts = Vec::new();
        self.catalog
            .list(filter, self.now, Selected::All, |artifact| {
                artifacts.push(artifact);
                Ok::<_, Error>(ControlFlow::Continue(()))
            })?;
        Ok(artifacts)
    }

    /// Everything that the rules decide on.
    pub(super) fn selected(&self) -> Result<Vec<Artifact>, Error> {
        let mut artifacts = Vec::new();
        for selection in self.request.selections() {
            artifacts.extend(self.select(&selection)?);
        }
        Ok(artifacts)
    }

    /// Inventory for the policy of one kind, within the request's filter.
    pub(super) fn named_inventory(
        &self,
        named: &NamedPolicy,
        policy: &Policy,
    ) -> Result<Inventory, Error> {
        let of = Filter {
            runs: named.runs.clone(),
            datasets: named.datasets.clone(),
            ..Filter::default()
        };
        // Kinds that stay with the best are only decided here if they have rules of their own:
        // without rules they may not go at all.
        let mut kinds = policy.select.kinds.clone();
        let best = policy.keep.best.iter().flat_map(|best| &best.with);
        kinds.extend(best.filter(|with| named.kinds.iter().any(|(kind, _)| kind == *with)));
        let mut inventory = self.inventory(&of, policy, &kinds)?;
        // Policy and request may both have patterns of runs, and a filter is one list of them, any
        // of which matches: so their rows are intersected.
        if !self.request.of.is_all() {
            let asked: HashSet<ArtifactId> = self
                .select(&Filter {
                    kinds,
                    ..self.request.of.clone()
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

    pub(super) fn inventory(
        &self,
        of: &Filter,
        policy: &Policy,
        kinds: &[Kind],
    ) -> Result<Inventory, Error> {
        let selection = Filter {
            kinds: kinds.to_vec(),
            states: match policy.select.damaged {
                true => vec![State::Damaged],
                // Rules do not count what is damaged, and the plan says that it stays.
                false => vec![State::Present, State::Damaged],
            },
            ..selection(of, policy)
        };
        let mut artifacts = Vec::new();
        self.catalog
            .list(&selection, self.now, Selected::All, |mut artifact| {
                // Its metadata cannot be read, whatever its row says: no rule counts it.
                if self.times.losses.is_unread(artifact.id) {
                    artifact.state = State::Damaged;
                }
                // Rules decide on arrays; a container goes if all that is in it goes.
                if !artifact.key.kind().is_container() {
                    artifacts.push(artifact);
                }
                Ok::<_, Error>(ControlFlow::Continue(()))
            })?;
        let metric = policy.keep.best.as_ref().map(|best| &best.metric);
        let scores = self.scores_of(&selection, metric)?;
        let of_groups = Filter {
            kinds: selection.kinds.clone(),
            datasets: of.datasets.clone(),
            // Excepted parameters stay: their group is not emptied.
            except: Except {
                parameters: Vec::new(),
                ..of.except.clone()
            },
            ..of.of_runs()
        };
        let groups = self.catalog.groups(&of_groups, self.now)?;
        let mut rows = self.rows(artifacts, &scores)?;
        self.leave_out_younger(&selection, &mut rows);
        Ok(Inventory {
            rows,
            groups,
            disk: self.disk(policy.limit.min_free)?,
            parts: self.parts(of)?,
        })
    }

    /// Keeps the newest complete iteration of each run that a plan would leave without any.
    pub(super) fn keep_complete(&self, plan: &mut Plan) -> Result<(), Error> {
        // If nothing goes, no run loses anything, and the query is spared.
        if plan.removed().next().is_none() {
            return Ok(());
        }
        let of = match &self.request.rules {
            GcRules::Named(named) => Filter::default().runs(named.runs.clone()),
            _ => self.request.of.of_runs(),
        };
        plan.keep_complete(&self.parts(&of)?);
        Ok(())
    }

    /// The parts of runs; what looks found to have lost data is not whole.
    fn parts(&self, of: &Filter) -> Result<PartsByRun, Error> {
        let mut parts = self.catalog.parts(of, self.now)?;
        self.times.losses.mark(&mut parts);
        Ok(parts)
    }

    pub(super) fn run_inventory(&self) -> Result<RunInventory, Error> {
        let mut newest = BTreeMap::new();
        // A run is as new as its newest artifact of any kind, selected or not.
        let every_kind = Filter {
            kinds: Kind::ALL.to_vec(),
            ..self.request.of.of_runs()
        };
        self.catalog.runs(&every_kind, self.now, |run| {
            newest.insert(run.run, run.last_written_at);
            Ok::<_, Error>(())
        })?;
        let artifacts = self.select(&self.request.of)?;
        let mut runs: Vec<InventoryRun> = Vec::new();
        let mut rows = self.rows(artifacts, &ScoresByIteration::new())?;
        self.leave_out_younger(&self.request.of, &mut rows);
        for row in rows {
            let run = row.artifact.key.run();
            let time = row.artifact.last_written_at();
            // Rows are sorted by run.
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
        // Only this limit needs to know the disk.
        let min_free = match &self.request.rules {
            GcRules::Runs(policy) => policy.limit.min_free,
            _ => None,
        };
        Ok(RunInventory {
            runs,
            disk: self.disk(min_free)?,
        })
    }

    /// Leaves out what was selected by the age of its metadata, and has younger data.
    fn leave_out_younger(&self, selection: &Filter, rows: &mut Vec<InventoryRow>) {
        if let Some(cutoff) = selection.cutoff_at(self.now) {
            rows.retain(|row| row.artifact.last_written_at() < cutoff);
        }
    }

    /// What the limit needs to know of the disk.
    fn disk(&self, min_free: Option<MinFree>) -> Result<Disk, Error> {
        let disk = Disk::default().keep(self.request.keep);
        let Some(min_free) = min_free else {
            return Ok(disk);
        };
        let size = match min_free {
            MinFree::Percent(_) => Some(store::disk_size(self.base)?),
            // A number of bytes is the same on a file system of any size.
            _ => None,
        };
        let free = store::free_bytes(self.base)?;
        // As far as it was counted.
        let trash = self.catalog.trash_bytes()?.0;
        Ok(disk.free(free).size(size).trash(trash))
    }

    fn scores_of(
        &self,
        selection: &Filter,
        metric: Option<&Metric>,
    ) -> Result<ScoresByIteration, Error> {
        let Some(metric) = metric else {
            return Ok(ScoresByIteration::new());
        };
        let of = Filter {
            iterations: selection.iterations.clone(),
            ..selection.of_runs()
        };
        // Scores have neither kind nor age: only runs and iterations of the selection narrow them.
        let metrics = [Pattern::from(metric.name())];
        let query = ScoreQuery {
            of,
            metrics: &metrics,
        };
        let mut scores: HashMap<(RunName, i64), Vec<InventoryScore>> = HashMap::new();
        self.catalog.scores(&query, |score| {
            // The query is by pattern, which may match more than this metric.
            if score.metric.as_str() == metric.name() {
                let at = (score.run, score.iteration);
                scores.entry(at).or_default().push(InventoryScore {
                    dataset: score.dataset.map(|name| name.to_string()),
                    parameters: score.parameters.map(|text| text.to_string()),
                    value: score.value,
                });
            }
            Ok::<_, Error>(())
        })?;
        // What has no score is kept: with a mistyped metric everything would be, without a word.
        if scores.is_empty() {
            self.check_metric(metric)?;
        }
        let shared = |(at, scores): (_, Vec<InventoryScore>)| (at, scores.into());
        Ok(scores.into_iter().map(shared).collect())
    }

    /// Refuses a metric that no score of the registry has, because it is probably mistyped.
    ///
    /// # Errors
    /// [`PolicyError::MetricUnknown`] with the nearest known one.
    fn check_metric(&self, metric: &Metric) -> Result<(), Error> {
        let known = self.catalog.scored_metrics()?;
        if known.iter().any(|known| known == metric.name()) {
            return Ok(());
        }
        let nearest = nearest(metric.name(), known.iter().map(String::as_str));
        Err(PolicyError::MetricUnknown {
            name: metric.name().to_owned(),
            nearest: nearest.map(str::to_owned),
            known,
        }
        .into())
    }

    /// The highest iteration of the checkpoints of each run that artifacts have checkpoints of,
    /// whether it is selected or not.
    fn newest_checkpoints(&self, artifacts: &[Artifact]) -> Result<HashMap<RunName, i64>, Error> {
        let is_checkpoint = |artifact: &Artifact| artifact.key.kind() == Kind::Checkpoint;
        let mut newest: HashMap<RunName, i64> = HashMap::new();
        // Spares most plans the query: they are not about checkpoints.
        if !artifacts.iter().any(is_checkpoint) {
            return Ok(newest);
        }
        let checkpoints = Filter {
            runs: self.request.of.runs.clone(),
            kinds: vec![Kind::Checkpoint],
            states: vec![State::Present],
            ..Filter::default()
        };
        for artifact in self.select(&checkpoints)? {
            if let Some(iteration) = artifact.key.iteration() {
                let highest = newest
                    .entry(artifact.key.run().clone())
                    .or_insert(iteration);
                *highest = iteration.max(*highest);
            }
        }
        Ok(newest)
    }

    /// Adds scores and best links to artifacts.
    fn rows(
        &self,
        artifacts: Vec<Artifact>,
        scores: &ScoresByIteration,
    ) -> Result<Vec<InventoryRow>, Error> {
        let runs: BTreeSet<&RunName> = artifacts.iter().map(|known| known.key.run()).collect();
        let mut links: HashMap<(RunName, i64), Vec<String>> = HashMap::new();
        let mut closed: HashSet<RunName> = HashSet::new();
        if !self.request.ignore_best_links {
            for run in runs {
                let found = match store::best_links(self.base, run.as_str()) {
                    // All of the run stays: what its links bind is unknown to this user.
                    Err(error) if error.is_permission() => {
                        closed.insert(run.clone());
                        continue;
                    }
                    // A link that cannot be read ends the plan: what it binds is unknown then.
                    found => found?,
                };
                for link in found {
                    let names = links.entry((run.clone(), link.iteration)).or_default();
                    if !names.contains(&link.name) {
                        names.push(link.name);
                    }
                }
            }
        }
        let newest = self.newest_checkpoints(&artifacts)?;
        let row = |mut artifact: Artifact| {
            self.request.counts.apply(&mut artifact);
            let at = artifact.newest_iteration();
            let is_newest_checkpoint = artifact.key.kind() == Kind::Checkpoint
                && at.is_some()
                && newest.get(artifact.key.run()).copied() == at;
            let at = at.map(|iteration| (artifact.key.run().clone(), iteration));
            let mut best_links: Vec<String> = Vec::new();
            // Without links, which is common, no name is copied.
            let held = artifact.held_iterations().filter(|_| !links.is_empty());
            for iteration in held {
                let of_iteration = links.get(&(artifact.key.run().clone(), iteration));
                for name in of_iteration.into_iter().flatten() {
                    if !best_links.contains(name) {
                        best_links.push(name.clone());
                    }
                }
            }
            let is_older = |held: &i64| Some(*held) != artifact.newest_iteration();
            let older = artifact.held_iterations().filter(is_older);
            let scores_of = |held| {
                let place = (artifact.key.run().clone(), held);
                Some((held, Arc::clone(scores.get(&place)?)))
            };
            let older_scores = older.filter_map(scores_of).collect();
            let mut row = InventoryRow {
                best_links,
                older_scores,
                scores: at
                    .as_ref()
                    .and_then(|at| scores.get(at))
                    .cloned()
                    .unwrap_or_default(),
                is_newest_checkpoint,
                pinned_elsewhere: None,
                is_unread: closed.contains(artifact.key.run())
                    || self.times.losses.is_unread(artifact.id),
                artifact,
            };
            self.times.date(&mut row);
            self.times.elsewhere.mark(&mut row);
            row
        };
        Ok(artifacts.into_iter().map(row).collect())
    }
}
