//! A plan: which artifacts stay and which go, with the reasons.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::complete::{PartsByRun, RunParts};
use super::error::PolicyError;
use super::inventory::{GroupKey, freed_by, in_order, takes_space};
use super::min_free::MinFree;
use crate::model::artifact::Artifact;
use crate::model::key::Key;
use crate::model::name::RunName;
use crate::model::size::{ByteCount, Total};
use crate::model::words;

/// Whether an artifact stays or goes. Exhaustive: there will be no third answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
}

/// Why an artifact stays or goes. `Display` writes `keep-last 3: 2nd newest of 9 iterations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reason {
    /// Stable name of the rule, one of [`RULES`](super::RULES).
    pub rule: &'static str,
    /// The value that the policy gives the rule, such as `3`; `None` for guards.
    #[serde(skip)]
    pub setting: Option<Arc<str>>,
    /// What the rule found, such as `2nd newest of 9 iterations`.
    pub detail: String,
}

impl Reason {
    pub(super) fn new(rule: &'static str, detail: impl Into<String>) -> Self {
        Self {
            rule,
            setting: None,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.setting {
            Some(setting) => write!(f, "{} {setting}: {}", self.rule, self.detail),
            None => write!(f, "{}: {}", self.rule, self.detail),
        }
    }
}

/// An artifact of a plan. Serializes to `decision reasons age_seconds` and the artifact's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlanLine {
    /// Whether it stays or goes.
    pub decision: Decision,
    /// Why: at least one reason; for an artifact that stays, all of them.
    pub reasons: Vec<Reason>,
    /// Time since it was written, or recorded if it was never written; `None` if that is in the
    /// future. Serialized in whole seconds.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Option<Duration>,
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
}

impl PlanLine {
    /// Whether the artifact goes.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.decision == Decision::Remove
    }
}

fn seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs()).serialize(serializer)
}

/// A number of artifacts and their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlanSum {
    /// Number of artifacts, of any state, containers included.
    pub artifacts: u64,
    /// Size of those that have data. Containers count as nothing, since their arrays count.
    pub size: Total,
    /// Bytes that they take on disk, or their lengths if these were never counted: what removing
    /// them frees. `None` if none of them was counted.
    pub disk_bytes: Option<ByteCount>,
}

impl Default for PlanSum {
    fn default() -> Self {
        Self {
            artifacts: 0,
            size: Total::default(),
            // Of no artifact this is known.
            disk_bytes: Some(ByteCount(0)),
        }
    }
}

impl PlanSum {
    /// Adds an artifact.
    pub fn add(&mut self, artifact: &Artifact) {
        self.artifacts += 1;
        if takes_space(artifact) {
            self.size.add(artifact.size);
            let disk = self.disk_bytes.unwrap_or_default().0;
            let disk = ByteCount(disk.saturating_add(freed_by(artifact).0));
            self.disk_bytes = self.size.is_known().then_some(disk);
        }
    }
}

/// Sums over the lines of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PlanTotals {
    /// What stays.
    pub kept: PlanSum,
    /// What goes.
    pub removed: PlanSum,
}

/// What the limit `min-free` came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FreeGoal {
    /// The limit in words, such as `931.3 GiB` or `10 % of 1.8 TiB`.
    pub setting: String,
    /// How many bytes must be free.
    pub bytes: ByteCount,
}

impl FreeGoal {
    /// Whether the limit is a percentage of the file system.
    #[must_use]
    pub fn is_share(&self) -> bool {
        self.setting != self.bytes.to_string()
    }
}

impl fmt::Display for FreeGoal {
    /// Writes `10 % of 1.8 TiB, which is 184.3 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.setting)?;
        match self.is_share() {
            true => write!(f, ", which is {}", self.bytes),
            false => Ok(()),
        }
    }
}

/// Which artifacts stay and which go. A value: [`Plan`] removes nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// A line for each artifact, ordered by run, kind, dataset, iteration, parameters, path.
    pub lines: Vec<PlanLine>,
    /// What the limit `min-free` came to; `None` if it is not set. Of several policies, the most.
    pub min_free: Option<FreeGoal>,
    /// Limits that are exceeded even if everything goes that may, one sentence each.
    pub unmet: Vec<String>,
    /// What to check before the plan is carried out, one sentence each.
    pub notices: Vec<String>,
}

impl Plan {
    /// Adds up the lines that stay and the lines that go.
    #[must_use]
    pub fn totals(&self) -> PlanTotals {
        let mut totals = PlanTotals::default();
        for line in &self.lines {
            match line.decision {
                Decision::Keep => totals.kept.add(&line.artifact),
                Decision::Remove => totals.removed.add(&line.artifact),
            }
        }
        totals
    }

    /// The lines that go.
    pub fn removed(&self) -> impl Iterator<Item = &PlanLine> {
        self.lines
            .iter()
            .filter(|line| line.decision == Decision::Remove)
    }

    /// The lines that stay.
    pub fn kept(&self) -> impl Iterator<Item = &PlanLine> {
        self.lines
            .iter()
            .filter(|line| line.decision == Decision::Keep)
    }

    /// Keeps the newest complete iteration of each run that the plan would leave with predictions
    /// or outputs but without a complete iteration.
    pub(crate) fn keep_complete(&mut self, runs: &PartsByRun) {
        let mut gone: BTreeMap<&RunName, Vec<&Key>> = BTreeMap::new();
        for line in self.removed() {
            let key = &line.artifact.key;
            gone.entry(key.run()).or_default().push(key);
        }
        let rescued: BTreeMap<RunName, i64> = gone
            .into_iter()
            .filter_map(|(run, keys)| {
                // None if the run keeps a complete iteration, or loses all that it has.
                let last = runs.get(run)?.last_complete_without(keys.into_iter())?;
                Some((run.clone(), last))
            })
            .collect();
        for line in &mut self.lines {
            let key = &line.artifact.key;
            if let (Decision::Remove, Some(iteration)) =
                (line.decision, RunParts::iteration_of(key))
                // All that would go of that iteration, or it would not be complete.
                && rescued.get(key.run()) == Some(&iteration)
            {
                line.decision = Decision::Keep;
                line.reasons = vec![Reason::new(
                    "last-complete",
                    format!("{iteration} would be the last complete iteration to go"),
                )];
            }
        }
    }

    /// Merges plans. An artifact that several plans have stays if one of them keeps it, with the
    /// reasons of those that do.
    #[must_use]
    pub fn merge(plans: impl IntoIterator<Item = Self>) -> Self {
        let mut lines: BTreeMap<_, PlanLine> = BTreeMap::new();
        let (mut unmet, mut notices) = (Vec::new(), Vec::new());
        let mut min_free: Option<FreeGoal> = None;
        for plan in plans {
            // Several plans may have the same metric.
            for text in plan.notices {
                if !notices.contains(&text) {
                    notices.push(text);
                }
            }
            let bytes = |goal: &Option<FreeGoal>| goal.as_ref().map(|goal| goal.bytes);
            // The first of equals stays.
            if bytes(&plan.min_free) > bytes(&min_free) {
                min_free = plan.min_free;
            }
            // Several plans may miss the same limit.
            for text in plan.unmet {
                if !unmet.contains(&text) {
                    unmet.push(text);
                }
            }
            for line in plan.lines {
                let Some(known) = lines.get_mut(&line.artifact.id) else {
                    lines.insert(line.artifact.id, line);
                    continue;
                };
                // The same answer from both: the reasons add up.
                if known.decision == line.decision {
                    for reason in line.reasons {
                        if !known.reasons.contains(&reason) {
                            known.reasons.push(reason);
                        }
                    }
                // What one plan keeps stays; why another would let it go does not matter then.
                } else if line.decision == Decision::Keep {
                    *known = line;
                }
            }
        }
        let mut lines: Vec<PlanLine> = lines.into_values().collect();
        // In the order of every plan; the map was sorted by number.
        lines.sort_by(|a, b| in_order(&a.artifact, &b.artifact));
        Self {
            lines,
            min_free,
            unmet,
            notices,
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The policy is refused.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A group would lose all of its artifacts.
    #[error("nothing would be left of {}", first_few(groups))]
    EmptiesGroup {
        /// The groups.
        groups: Vec<GroupKey>,
    },
    /// A run that has a complete iteration would be left without one.
    #[error(
        "{iteration} is the last complete iteration of {run} that the plan leaves; plan again with \
         allow-incomplete to remove it"
    )]
    LeavesIncomplete {
        /// The run.
        run: RunName,
        /// The iteration.
        iteration: i64,
    },
    /// Every run of the inventory would go.
    #[error("nothing would be left of all {} that were selected", words::count(*.runs, "run"))]
    EveryRun {
        /// Number of runs.
        runs: usize,
    },
    /// The policy has a limit, and the sizes of some artifacts are unknown.
    #[error(
        "the size is unknown of {}; a limit cannot be held without it",
        first_few(&paths.iter().map(|path| path.display()).collect::<Vec<_>>())
    )]
    Unmeasured {
        /// Their folders.
        paths: Vec<PathBuf>,
    },
    /// The policy has `min-free`, and the free space is unknown.
    #[error("min-free cannot be held: the free space of the file system is unknown")]
    FreeUnknown,
    /// `min-free` is a percentage, and the size of the file system is unknown.
    #[error(
        "min-free {min_free} cannot be held: the file system does not say how large it is; write a \
         number of bytes, such as min-free 1TB"
    )]
    DiskSizeUnknown {
        /// The limit.
        min_free: MinFree,
    },
}

impl PlanError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::EmptiesGroup { .. } | Self::EveryRun { .. } | Self::LeavesIncomplete { .. } => {
                "plan-empties-group"
            }
            Self::Unmeasured { .. } => "plan-unmeasured",
            Self::FreeUnknown | Self::DiskSizeUnknown { .. } => "plan-free-unknown",
        }
    }
}

/// Lists the first few values, and says how many more there are.
fn first_few<T: fmt::Display>(all: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut text = all
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if all.len() > SHOWN {
        let more = words::number((all.len() - SHOWN) as u64);
        text += &format!("; and {more} more");
    }
    text
}
