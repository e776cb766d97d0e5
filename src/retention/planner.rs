//! Plans for artifacts.
//!
//! Rows are sorted once, so that each group is a range of them, and facts about rows are found
//! group by group. [`plan`] and [`explain`] ask the same rules, so they cannot disagree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use serde::Serialize;

use super::best::{self, Standing};
use super::budget::Budget;
use super::inventory::{GroupKey, Inventory, InventoryRow, in_order, oldest_first, time_of};
use super::plan::{Decision, Plan, PlanError, PlanLine, Reason};
use super::policy::Policy;
use super::rules::{Facts, RECENT, Rule, guards, guards_of_damaged};
use crate::model::artifact::{ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::name::RunName;

/// Plans which artifacts of the inventory stay and which go, with a reason for each.
///
/// # Errors
/// [`PlanError::Policy`] if [`Policy::check`] refuses the policy, [`PlanError::Unmeasured`] if it
/// has a limit and a size is unknown, [`PlanError::FreeUnknown`] if `min-free` is set and the
/// inventory has no free bytes, [`PlanError::EmptiesGroup`] if a group would lose all of its
/// artifacts.
pub fn plan(policy: &Policy, inventory: &Inventory, now: Timestamp) -> Result<Plan, PlanError> {
    Planner::new(policy, inventory, now)?.plan()
}

/// Gives the verdict of every rule on one artifact; `None` if the inventory does not have it.
///
/// # Errors
/// As [`plan`].
pub fn explain(
    policy: &Policy,
    inventory: &Inventory,
    now: Timestamp,
    id: ArtifactId,
) -> Result<Option<Explanation>, PlanError> {
    let planner = Planner::new(policy, inventory, now)?;
    let mut damaged = planner.damaged.iter();
    // No rule compares it with others, so the rest need not be planned.
    if let Some(row) = damaged.find(|row| row.artifact.id == id) {
        return Ok(Some(planner.explain_damaged(row)));
    }
    let plan = planner.plan_whole()?;
    Ok(planner.explain(plan, id))
}

/// Whether an artifact stays or goes, and the verdict of every rule of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// Its line of the plan.
    #[serde(flatten)]
    pub line: PlanLine,
    /// The verdict of each rule and limit of the policy.
    pub verdicts: Vec<RuleVerdict>,
    /// Its group.
    pub group: GroupKey,
    /// Number of artifacts of the group that stay.
    pub group_kept: u64,
    /// Number of artifacts of the group that go.
    pub group_removed: u64,
}

impl Explanation {
    /// Takes the decision, its reasons and the group's numbers from a merged plan, in which another
    /// policy may keep what this one lets go.
    pub(crate) fn decide_by(&mut self, plan: &Plan) {
        let of_group = |line: &&PlanLine| GroupKey::from(&line.artifact.key) == self.group;
        let removed = plan.removed().filter(of_group).count();
        let kept = plan.kept().filter(of_group).count();
        (self.group_kept, self.group_removed) = (kept as u64, removed as u64);
        let id = self.line.artifact.id;
        if let Some(line) = plan.lines.iter().find(|line| line.artifact.id == id) {
            self.line = line.clone();
        }
    }
}

/// The verdict of one rule on one artifact. `Display` writes `keep-last 3: no, it is the 5th newest
/// of 9 iterations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RuleVerdict {
    /// Name of the rule or limit.
    pub rule: &'static str,
    /// The value that the policy gives the rule, such as `3`.
    pub setting: String,
    /// Whether the rule keeps the artifact, or the limit lets it stay.
    pub keeps: bool,
    /// Why, as the rest of a sentence.
    pub detail: String,
}

impl fmt::Display for RuleVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = if self.keeps { "yes" } else { "no" };
        write!(
            f,
            "{} {}: {answer}, {}",
            self.rule, self.setting, self.detail
        )
    }
}

/// The iterations that count as complete, of the runs of which not all do.
struct CountedIterations<'a> {
    runs: HashMap<&'a RunName, BTreeSet<i64>>,
}

impl<'a> CountedIterations<'a> {
    fn new(inventory: &'a Inventory) -> Self {
        let runs = inventory.parts.iter().filter_map(|(run, parts)| {
            let counted = parts.counted();
            (!parts.are_all(&counted)).then_some((run, counted))
        });
        Self {
            runs: runs.collect(),
        }
    }

    /// Whether some iterations of its run do not count. Only predictions and outputs are asked.
    fn differs(&self, row: &InventoryRow) -> bool {
        let key = &row.artifact.key;
        matches!(key.kind(), Kind::Prediction | Kind::Output) && self.runs.contains_key(key.run())
    }

    fn counts(&self, row: &InventoryRow) -> bool {
        let key = &row.artifact.key;
        match (self.runs.get(key.run()), key.iteration()) {
            (Some(counted), Some(iteration)) if self.differs(row) => counted.contains(&iteration),
            _ => true,
        }
    }
}

struct Planner<'a> {
    policy: &'a Policy,
    inventory: &'a Inventory,
    now: Timestamp,
    rules: Vec<Rule<'a>>,
    /// In the order of the plan.
    facts: Vec<Facts<'a>>,
    groups: Vec<Range<usize>>,
    /// What no rule compares, because its metadata cannot be read.
    damaged: Vec<&'a InventoryRow>,
}

impl<'a> Planner<'a> {
    fn new(
        policy: &'a Policy,
        inventory: &'a Inventory,
        now: Timestamp,
    ) -> Result<Self, PlanError> {
        // A policy that was made in code has not been checked yet.
        policy.check()?;
        let in_state = |state: State| {
            let rows = inventory.rows.iter();
            rows.filter(move |row| row.artifact.state == state)
        };
        let damaged = in_state(State::Damaged)
            // A container is judged by its arrays, whatever its own metadata is like.
            .filter(|row| !row.artifact.key.kind().is_container())
            .collect();
        // A policy for what is damaged has no rules that could keep the rest.
        let mut rows: Vec<&InventoryRow> = match policy.select.damaged {
            true => Vec::new(),
            // Of what is reserved or missing there is no data to decide on.
            false => in_state(State::Present).collect(),
        };
        // A total order, so that the order of the inventory changes nothing.
        rows.sort_by(|a, b| in_order(&a.artifact, &b.artifact));
        let mut groups = Vec::new();
        let mut start = 0;
        for range in rows.chunk_by(|a, b| same_group(a, b)) {
            groups.push(start..start + range.len());
            start += range.len();
        }
        let standings = match &policy.keep.best {
            Some(best) => best::standings(best, &policy.select.kinds, &rows, &groups, &|_| true),
            // No rule asks for it then.
            None => vec![Standing::Apart; rows.len()],
        };
        let counted = CountedIterations::new(inventory);
        // A second ranking of complete iterations alone: a best one among them stays although an
        // incomplete one ranks above it.
        let complete_standings = match &policy.keep.best {
            Some(best) if !counted.runs.is_empty() => {
                let counts = |row: &InventoryRow| counted.counts(row);
                let kinds = &policy.select.kinds;
                let standings = best::standings(best, kinds, &rows, &groups, &counts);
                standings.into_iter().map(Some).collect()
            }
            _ => vec![None; rows.len()],
        };
        let mut complete_places = Vec::with_capacity(rows.len());
        let mut places = Vec::with_capacity(rows.len());
        for group in &groups {
            // Rows without an iteration sort first and get no place.
            let iterations = || {
                rows[group.clone()]
                    .chunk_by(|a, b| a.artifact.newest_iteration() == b.artifact.newest_iteration())
            };
            let of = iterations()
                .filter(|rows| rows[0].artifact.newest_iteration().is_some())
                .count() as u64;
            // Rows of a chunk share run, kind and iteration, so the first one is asked for all.
            let is_counted =
                |rows: &[&InventoryRow]| counted.differs(rows[0]) && counted.counts(rows[0]);
            let complete_of = iterations().filter(|rows| is_counted(rows)).count() as u64;
            let mut nth = 0;
            let mut complete_nth = 0;
            for rows in iterations() {
                complete_nth += u64::from(is_counted(rows));
                let place = is_counted(rows).then_some((complete_nth, complete_of));
                complete_places.extend(std::iter::repeat_n(place, rows.len()));
                nth += u64::from(rows[0].artifact.newest_iteration().is_some());
                places.extend(std::iter::repeat_n((nth, of), rows.len()));
            }
        }
        let named = &policy.select.kinds;
        let with = policy.keep.best.as_ref().map_or(&[][..], |best| &best.with);
        // Without named kinds every kind is the policy's own.
        let is_guest =
            |kind: Kind| !named.is_empty() && !named.contains(&kind) && with.contains(&kind);
        let facts = rows
            .into_iter()
            .zip(places)
            .zip(standings)
            .zip(complete_places.into_iter().zip(complete_standings))
            .map(
                |(((row, (nth, of)), standing), (complete, complete_standing))| Facts {
                    row,
                    nth,
                    of,
                    complete,
                    complete_standing,
                    age: time_of(&row.artifact).age_at(now),
                    standing,
                    is_guest: is_guest(row.artifact.key.kind()),
                },
            )
            .collect();
        Ok(Self {
            policy,
            inventory,
            now,
            rules: Rule::all(&policy.keep),
            facts,
            groups,
            damaged,
        })
    }

    /// The plan, with what is damaged.
    fn plan(&self) -> Result<Plan, PlanError> {
        let mut plan = self.plan_whole()?;
        if !self.damaged.is_empty() {
            let damaged = self.damaged.iter().map(|row| self.damaged_line(row));
            plan.lines.extend(damaged);
            // No place among the facts was kept for them.
            plan.lines
                .sort_by(|a, b| in_order(&a.artifact, &b.artifact));
        }
        Ok(plan)
    }

    /// The line of an artifact that is damaged: it goes only if such artifacts are selected.
    fn damaged_line(&self, row: &InventoryRow) -> PlanLine {
        let mut reasons = guards_of_damaged(row, self.now);
        let is_asked = self.policy.select.damaged;
        let goes = is_asked && reasons.is_empty();
        let detail = match is_asked {
            true => "its metadata cannot be read",
            false => "its metadata cannot be read; with --state damaged such arrays go",
        };
        // If it was asked for and stays, a guard has given the reason; what may not be read is not
        // known to be damaged.
        if goes || !(is_asked || row.is_unread) {
            reasons.push(Reason::new("damaged", detail));
        }
        PlanLine {
            decision: match goes {
                true => Decision::Remove,
                false => Decision::Keep,
            },
            reasons,
            age: time_of(&row.artifact).age_at(self.now),
            artifact: row.artifact.clone(),
        }
    }

    /// The plan of what is not damaged, in the order of the facts.
    fn plan_whole(&self) -> Result<Plan, PlanError> {
        // Guests count for the limits of their own policy.
        let own = self.facts.iter().filter(|facts| !facts.is_guest);
        let own = own
            .map(|facts| facts.row)
            .chain(self.damaged.iter().copied());
        let artifacts = own.map(|row| &row.artifact);
        let budget = Budget::new(&self.policy.limit, artifacts, &self.inventory.disk)?;
        // First what guards and keep rules say; limits see only what they leave open.
        let mut lines: Vec<PlanLine> = self.facts.iter().map(|facts| self.kept(facts)).collect();
        let mut open: Vec<usize> = (0..lines.len())
            .filter(|&at| lines[at].reasons.is_empty())
            .collect();
        let min_free = budget.as_ref().and_then(Budget::free_goal);
        let mut unmet = Vec::new();
        let mut of_trash = Vec::new();
        // Without limits everything that no rule keeps goes. So does a guest: limits are those of
        // its own policy.
        open.retain(|&at| {
            let facts = &self.facts[at];
            let goes = budget.is_none() || facts.is_guest;
            if goes {
                lines[at].decision = Decision::Remove;
                lines[at].reasons = vec![self.not_kept(facts)];
            }
            !goes
        });
        if let Some(mut budget) = budget {
            // Limits take the oldest first, and stop as soon as all of them hold.
            open.sort_by(|&a, &b| oldest_first(&lines[a].artifact, &lines[b].artifact));
            for at in open {
                let line = &mut lines[at];
                // Asked before each artifact: the one before may have met the limits.
                let needs = budget.needs();
                if needs.is_empty() {
                    line.reasons = vec![Reason::new(
                        "within-budget",
                        "no rule keeps it, and the limits are met with it",
                    )];
                } else {
                    budget.remove(&line.artifact);
                    line.decision = Decision::Remove;
                    line.reasons = needs;
                }
            }
            unmet = budget.unmet();
            of_trash = budget.notices();
        }
        // After the limits, which may empty a group too.
        if !self.policy.allow_empty_group {
            self.check_groups(&lines)?;
        }
        let best = self.policy.keep.best.as_ref();
        let mut notices = Vec::from_iter(best.and_then(|best| best.metric.against_dacapo()));
        notices.extend(self.notices(&lines));
        notices.extend(self.kept_in_vain());
        notices.extend(of_trash);
        Ok(Plan {
            lines,
            min_free,
            unmet,
            notices,
        })
    }

    /// Notices about groups that lose an artifact which was written after their highest iteration.
    ///
    /// A run whose name is used again starts at low iterations, and `keep-last` would then keep the
    /// old training and remove the new one. See [`started_again`] for what shows that.
    fn notices(&self, lines: &[PlanLine]) -> Vec<String> {
        let mut notices = self.newest_goes(lines);
        if self.policy.keep.last.is_none() {
            return notices;
        }
        for group in &self.groups {
            let lines = &lines[group.clone()];
            let removed = lines
                .iter()
                .filter(|line| line.decision == Decision::Remove)
                .max_by_key(|line| time_of(&line.artifact));
            if let Some(removed) = removed
                && let Some(iteration) = removed.artifact.newest_iteration()
                && let Some((newer, highest)) = started_again(lines)
                && newer.contains(&iteration)
            {
                notices.push(format!(
                    "{}: iteration {iteration}, which would go, was written after iteration \
                     {highest}, the highest; was the run's name used again?",
                    GroupKey::from(&removed.artifact.key)
                ));
            }
        }
        notices
    }

    /// Notices about iterations that are to be kept, and that nothing which is selected has: the
    /// number is probably mistyped.
    fn kept_in_vain(&self) -> impl Iterator<Item = String> {
        let rows = &self.inventory.rows;
        let is_of = |row: &InventoryRow, iteration: i64| {
            let artifact = &row.artifact;
            artifact.key.iteration() == Some(iteration) || artifact.iterations.contains(&iteration)
        };
        let is_in_vain = move |iteration: &&i64| {
            !rows.is_empty() && !rows.iter().any(|row| is_of(row, **iteration))
        };
        let named = self.policy.keep.iterations.iter().filter(is_in_vain);
        named.map(|iteration| {
            format!(
                "keep-iterations {iteration} keeps nothing: nothing of iteration {iteration} is \
                 selected"
            )
        })
    }

    /// Notices about groups of which `keep-best` lets the newest iteration go.
    fn newest_goes(&self, lines: &[PlanLine]) -> Vec<String> {
        let Some(best) = &self.policy.keep.best else {
            return Vec::new();
        };
        let mut notices = Vec::new();
        for group in &self.groups {
            let lines = &lines[group.clone()];
            let Some(last) = lines
                .last()
                .and_then(|line| line.artifact.newest_iteration())
            else {
                continue;
            };
            let of_last = |line: &&PlanLine| line.artifact.newest_iteration() == Some(last);
            // Every artifact of it goes: one that stays would still show the iteration.
            if lines.iter().filter(of_last).all(PlanLine::is_removed) {
                notices.push(format!(
                    "{}: keep-best {best} lets the newest iteration go: {last}; add keep-last 1 to \
                     keep it",
                    GroupKey::from(&lines[0].artifact.key)
                ));
            }
        }
        notices
    }

    fn rules_for(&self, facts: &Facts<'a>) -> impl Iterator<Item = &Rule<'a>> {
        self.rules.iter().filter(|rule| rule.is_for(facts))
    }

    /// The line of an artifact with every reason to keep it; without reasons if nothing keeps it.
    fn kept(&self, facts: &Facts<'a>) -> PlanLine {
        let mut reasons = guards(self.policy, facts, self.now);
        for rule in self.rules_for(facts) {
            if let (true, grounds) = rule.judge(facts) {
                reasons.push(rule.reason(&grounds));
            }
        }
        PlanLine {
            decision: Decision::Keep,
            reasons,
            age: facts.age,
            artifact: facts.row.artifact.clone(),
        }
    }

    fn not_kept(&self, facts: &Facts<'a>) -> Reason {
        let mut detail = String::from("no rule keeps it");
        for (at, rule) in self.rules_for(facts).enumerate() {
            detail += if at == 0 { ": " } else { ", " };
            detail += &rule.judge(facts).1.to_string();
        }
        Reason::new("not-kept", detail)
    }

    fn check_groups(&self, lines: &[PlanLine]) -> Result<(), PlanError> {
        let mut emptied = Vec::new();
        for group in &self.groups {
            // Whether a group of guests may be emptied is for their own policy to say.
            if self.facts[group.start].is_guest {
                continue;
            }
            let lines = &lines[group.clone()];
            if lines.iter().any(|line| line.decision == Decision::Keep) {
                continue;
            }
            let key = GroupKey::from(&lines[0].artifact.key);
            // Artifacts that are not selected stay, so the group is not emptied.
            // Groups that the inventory does not count have only what is selected.
            let in_all = self.inventory.groups.get(&key).copied();
            if in_all.is_none_or(|in_all| in_all <= lines.len() as u64) {
                emptied.push(key);
            }
        }
        if emptied.is_empty() {
            Ok(())
        } else {
            Err(PlanError::EmptiesGroup { groups: emptied })
        }
    }

    /// Explains what becomes of an artifact that no rule decides on. Its group is what is damaged.
    fn explain_damaged(&self, row: &InventoryRow) -> Explanation {
        let group = GroupKey::from(&row.artifact.key);
        let of_group = |row: &&&InventoryRow| GroupKey::from(&row.artifact.key) == group;
        let of_group = self.damaged.iter().filter(of_group);
        let (removed, kept): (Vec<_>, Vec<_>) = of_group
            .map(|row| self.damaged_line(row))
            .partition(PlanLine::is_removed);
        Explanation {
            line: self.damaged_line(row),
            verdicts: Vec::new(),
            group_kept: kept.len() as u64,
            group_removed: removed.len() as u64,
            group,
        }
    }

    fn explain(&self, mut plan: Plan, id: ArtifactId) -> Option<Explanation> {
        // Lines are in the order of the facts, so an index is good for both.
        let at = plan.lines.iter().position(|line| line.artifact.id == id)?;
        let group = self.groups.iter().find(|group| group.contains(&at))?;
        let in_group = &plan.lines[group.clone()];
        let removed = in_group
            .iter()
            .filter(|line| line.decision == Decision::Remove)
            .count();
        let group_kept = (in_group.len() - removed) as u64;
        // The order is not needed any more.
        let line = plan.lines.swap_remove(at);
        let facts = &self.facts[at];
        let mut verdicts: Vec<RuleVerdict> = self
            .rules_for(facts)
            .map(|rule| {
                let (keeps, grounds) = rule.judge(facts);
                RuleVerdict {
                    rule: rule.name,
                    setting: rule.setting.to_string(),
                    keeps,
                    detail: grounds.sentence(),
                }
            })
            .collect();
        let limits = match facts.is_guest {
            true => Vec::new(),
            false => self.policy.limit.settings(),
        };
        // A size is in the setting already.
        let share = plan.min_free.as_ref().filter(|goal| goal.is_share());
        for (rule, mut setting) in limits {
            let (keeps, detail) = limit_verdict(&line, rule);
            if let ("min-free", Some(goal)) = (rule, share) {
                setting = format!("{setting} ({})", goal.bytes);
            }
            verdicts.push(RuleVerdict {
                rule,
                setting,
                keeps,
                detail,
            });
        }
        Some(Explanation {
            group: GroupKey::from(&line.artifact.key),
            line,
            verdicts,
            group_kept,
            group_removed: removed as u64,
        })
    }
}

fn limit_verdict(line: &PlanLine, rule: &str) -> (bool, String) {
    let own = line.reasons.iter().find(|reason| reason.rule == rule);
    let detail = match (line.decision, own) {
        // A reason with its name says that this limit took it.
        (_, Some(reason)) => return (false, reason.detail.clone()),
        (Decision::Remove, None) => "it is met with it",
        (Decision::Keep, None) => match line.reasons.as_slice() {
            // It stays because the limits hold with it, and for no other reason.
            [only] if only.rule == "within-budget" => "it is met with it",
            _ => "limits take nothing that a rule keeps",
        },
    };
    (true, detail.to_owned())
}

/// The iterations of a second training in a group whose lines are sorted by iteration, and the
/// highest iteration of the first; `None` if nothing shows that there were two.
///
/// Copied data is as old as the copy, in the order of the copy, so later times alone show nothing.
/// A second training leaves its lowest iterations later than the highest one of the first, without
/// an older one among them. Besides this, a caller recorded one of them after the highest was
/// written, or there are several, written in their order, over an hour after the highest.
fn started_again(lines: &[PlanLine]) -> Option<(BTreeSet<i64>, i64)> {
    let mut times: BTreeMap<i64, Timestamp> = BTreeMap::new();
    for line in lines {
        if let Some(iteration) = line.artifact.newest_iteration() {
            let time = time_of(&line.artifact);
            let newest = times.entry(iteration).or_insert(time);
            *newest = time.max(*newest);
        }
    }
    let (&highest, &last) = times.last_key_value()?;
    let is_newer = |(_, time): &(&i64, &Timestamp)| **time > last;
    let newer: Vec<(i64, Timestamp)> = times
        .iter()
        .take_while(is_newer)
        .map(|(iteration, time)| (*iteration, *time))
        .collect();
    if times.iter().filter(is_newer).count() > newer.len() {
        return None;
    }
    let first = newer.iter().map(|(_, time)| *time).min()?;
    let iterations: BTreeSet<i64> = newer.iter().map(|(iteration, _)| *iteration).collect();
    let is_recorded = |line: &PlanLine| {
        let iteration = line.artifact.newest_iteration();
        line.artifact.origin == Origin::Recorded
            && line.artifact.recorded_at > last
            && iteration.is_some_and(|iteration| iterations.contains(&iteration))
    };
    let in_order = newer.is_sorted_by(|(_, a), (_, b)| a < b);
    let is_apart = newer.len() > 1 && in_order && first.minus(RECENT) > last;
    (is_apart || lines.iter().any(is_recorded)).then_some((iterations, highest))
}

fn same_group(a: &InventoryRow, b: &InventoryRow) -> bool {
    let (a, b) = (&a.artifact.key, &b.artifact.key);
    a.run() == b.run() && a.kind() == b.kind() && a.dataset() == b.dataset()
}
