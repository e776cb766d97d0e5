//! Plans for whole runs.
//!
//! A run goes or stays as a whole. Only artifacts that are pinned or the target of a best link are
//! apart: they stay, and the rest of their run may go.

use std::time::Duration;

use super::budget::Budget;
use super::inventory::{InventoryRow, InventoryRun, RunInventory, in_order, time_of};
use super::plan::{Decision, Plan, PlanError, PlanLine, Reason};
use super::policy::RunPolicy;
use super::rules::{Grounds, bound, in_use, span, unread};
use super::words::length;
use crate::model::clock::Timestamp;

/// Plans which runs of the inventory stay and which go, with a line for each of their artifacts.
///
/// # Errors
/// [`PlanError::Policy`] if [`RunPolicy::check`] refuses the policy, [`PlanError::Unmeasured`] if
/// it has a limit and a size is unknown, [`PlanError::FreeUnknown`] if `min-free` is set and the
/// inventory has no free bytes, [`PlanError::EveryRun`] if every run would go.
pub fn plan_runs(
    policy: &RunPolicy,
    inventory: &RunInventory,
    now: Timestamp,
) -> Result<Plan, PlanError> {
    policy.check()?;
    let artifacts = || inventory.runs.iter().flat_map(|run| &run.rows);
    let budget = Budget::new(
        &policy.limit,
        artifacts().map(|row| &row.artifact),
        &inventory.disk,
    )?;
    let mut runs: Vec<&InventoryRun> = inventory.runs.iter().collect();
    // Names break ties, so that the order of the inventory changes nothing.
    runs.sort_by(|a, b| b.newest.cmp(&a.newest).then_with(|| b.run.cmp(&a.run)));
    let of = runs.len() as u64;
    let mut judged: Vec<JudgedRun<'_>> = (1..)
        .zip(runs)
        .map(|(nth, run)| JudgedRun::new(policy, run, (nth, of), now))
        .collect();
    let min_free = budget.as_ref().and_then(Budget::free_goal);
    let mut unmet = Vec::new();
    let mut notices = Vec::new();
    match budget {
        None => {
            // Without limits every run goes that no rule keeps.
            for run in judged.iter_mut().filter(|run| run.is_undecided()) {
                run.decision = Decision::Remove;
                run.reasons = vec![run.not_kept()];
            }
        }
        Some(mut budget) => {
            // The newest run is first, and the oldest goes first.
            for run in judged.iter_mut().rev().filter(|run| run.is_undecided()) {
                run.reasons = budget.needs();
                if run.reasons.is_empty() {
                    let detail = "no rule keeps its run, and the limits are met with it";
                    run.reasons = vec![Reason::new("within-budget", detail)];
                    continue;
                }
                run.decision = Decision::Remove;
                // What pins or links bind stays, so it still counts.
                for row in run.rows.iter().filter(|row| held(row).is_empty()) {
                    budget.remove(&row.artifact);
                }
            }
            unmet = budget.unmet();
            notices = budget.notices();
        }
    }
    let mut lines: Vec<PlanLine> = judged
        .iter()
        .flat_map(|run| run.rows.iter().map(|row| run.line(row, now)))
        .collect();
    let is_kept = |line: &PlanLine| line.decision == Decision::Keep;
    // Without artifacts nothing can be emptied.
    if !policy.allow_empty_group && !lines.is_empty() && !lines.iter().any(is_kept) {
        let runs = judged.iter().filter(|run| !run.rows.is_empty()).count();
        return Err(PlanError::EveryRun { runs });
    }
    lines.sort_by(|a, b| in_order(&a.artifact, &b.artifact));
    Ok(Plan {
        lines,
        min_free,
        unmet,
        notices,
    })
}

/// A run while it is decided on.
struct JudgedRun<'a> {
    rows: Vec<&'a InventoryRow>,
    decision: Decision,
    /// Why it stays or goes; empty while it is undecided.
    reasons: Vec<Reason>,
    /// Grounds of the rules that do not keep it.
    missed: Vec<String>,
}

impl<'a> JudgedRun<'a> {
    fn new(
        policy: &RunPolicy,
        run: &'a InventoryRun,
        (nth, of): (u64, u64),
        now: Timestamp,
    ) -> Self {
        let mut rows: Vec<&InventoryRow> = run.rows.iter().collect();
        rows.sort_by(|a, b| in_order(&a.artifact, &b.artifact));
        let mut judged = Self {
            reasons: run_in_use(&rows, run.newest, now),
            rows,
            decision: Decision::Keep,
            missed: Vec::new(),
        };
        let age = run.newest.age_at(now);
        let aged = match age {
            Some(age) => format!("its newest artifact is {} old", span(age)),
            None => "its newest artifact is dated in the future".to_owned(),
        };
        // Without an age it is dated in the future, and stays.
        let is_within = |time: Duration| age.is_none_or(|age| age <= time);
        if let Some(older_than) = policy.older_than {
            judged.take(
                "older-than",
                length(older_than),
                is_within(older_than),
                &aged,
            );
        }
        if let Some(last) = policy.last {
            let grounds = Grounds::Nth {
                nth,
                of,
                end: "newest",
                what: "run",
            };
            judged.take(
                "keep-last",
                last.to_string(),
                nth <= last,
                &grounds.to_string(),
            );
        }
        if let Some(within) = policy.within {
            judged.take("keep-within", length(within), is_within(within), &aged);
        }
        judged
    }

    fn take(&mut self, rule: &'static str, setting: String, keeps: bool, detail: &str) {
        if keeps {
            self.reasons.push(Reason {
                rule,
                setting: Some(setting.into()),
                detail: detail.to_owned(),
            });
        } else if !self.missed.iter().any(|missed| missed == detail) {
            // `older-than` and `keep-within` find the same: it is said once.
            self.missed.push(detail.to_owned());
        }
    }

    fn is_undecided(&self) -> bool {
        self.reasons.is_empty()
    }

    fn not_kept(&self) -> Reason {
        let detail = format!("no rule keeps its run: {}", self.missed.join(", "));
        Reason::new("not-kept", detail)
    }

    fn line(&self, row: &InventoryRow, now: Timestamp) -> PlanLine {
        let mut reasons = held(row);
        let decision = if reasons.is_empty() {
            self.decision
        } else {
            Decision::Keep
        };
        // If it stays and its run goes, only what binds it is a reason to keep it.
        if decision == self.decision {
            reasons.extend(self.reasons.iter().cloned());
        }
        PlanLine {
            decision,
            reasons,
            age: time_of(&row.artifact).age_at(now),
            artifact: row.artifact.clone(),
        }
    }
}

/// What holds an artifact even if its run goes.
fn held(row: &InventoryRow) -> Vec<Reason> {
    let mut reasons = bound(row);
    reasons.extend(unread(row));
    reasons
}

/// Reasons to believe that a writer is at work on a run: an artifact is recent or in the future.
fn run_in_use(rows: &[&InventoryRow], newest: Timestamp, now: Timestamp) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for row in rows {
        // One artifact is enough to say it.
        for reason in in_use(&row.artifact, now) {
            if !reasons.iter().any(|known| known.rule == reason.rule) {
                let path = row.artifact.location().path();
                let detail = format!("its run is in use: {path} {}", reason.detail);
                reasons.push(Reason::new(reason.rule, detail));
            }
        }
    }
    if newest > now && !reasons.iter().any(|known| known.rule == "future") {
        let detail = format!("its run is in use: its newest artifact is of {newest}");
        reasons.push(Reason::new("future", detail));
    }
    reasons
}
