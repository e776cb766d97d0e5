//! A plan: what stays and what goes, with the reasons.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::error::PolicyError;
use super::inventory::{GroupKey, in_order, takes_space};
use crate::model::artifact::Artifact;
use crate::model::size::Total;

/// What is to become of an artifact.
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
pub struct Reason {
    /// Stable name of the rule, one of [`RULES`](super::RULES).
    pub rule: &'static str,
    /// What the policy says after the name of the rule, such as `3`; none where it says nothing.
    #[serde(skip)]
    pub setting: Option<Arc<str>>,
    /// What the rule found, in words.
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
pub struct PlanLine {
    /// Whether it stays or goes.
    pub decision: Decision,
    /// Why: at least one, and for a kept artifact all of them.
    pub reasons: Vec<Reason>,
    /// How long ago it was written, or recorded; none in the future.
    #[serde(rename = "age_seconds", serialize_with = "seconds")]
    pub age: Option<Duration>,
    /// The artifact.
    #[serde(flatten)]
    pub artifact: Artifact,
}

fn seconds<S: Serializer>(age: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    age.map(|age| age.as_secs()).serialize(serializer)
}

/// How many artifacts, and what they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PlanSum {
    /// Number of artifacts, of any state, containers included.
    pub artifacts: u64,
    /// What the present ones take. Containers count nothing: the arrays in them do.
    pub size: Total,
}

impl PlanSum {
    /// Adds an artifact.
    pub fn add(&mut self, artifact: &Artifact) {
        self.artifacts += 1;
        if takes_space(artifact) {
            self.size.add(artifact.size);
        }
    }
}

/// What a plan keeps and what it removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct PlanTotals {
    /// What stays.
    pub kept: PlanSum,
    /// What goes.
    pub removed: PlanSum,
}

/// What stays and what goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    /// A line for each artifact, ordered by run, kind, dataset, iteration, parameters, path.
    pub lines: Vec<PlanLine>,
    /// Limits that are not met although all that may go does, in words.
    pub unmet: Vec<String>,
    /// What is to be looked at before the plan is carried out, in words.
    pub notices: Vec<String>,
}

impl Plan {
    /// Adds up what stays and what goes.
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

    /// The lines of what goes.
    pub fn removed(&self) -> impl Iterator<Item = &PlanLine> {
        self.lines
            .iter()
            .filter(|line| line.decision == Decision::Remove)
    }

    /// The lines of what stays.
    pub fn kept(&self) -> impl Iterator<Item = &PlanLine> {
        self.lines
            .iter()
            .filter(|line| line.decision == Decision::Keep)
    }

    /// Makes one plan of several. An artifact that stands in several stays where one of them keeps
    /// it, with the reasons of those that do.
    #[must_use]
    pub fn merge(plans: impl IntoIterator<Item = Self>) -> Self {
        let mut lines: BTreeMap<_, PlanLine> = BTreeMap::new();
        let (mut unmet, mut notices) = (Vec::new(), Vec::new());
        for plan in plans {
            notices.extend(plan.notices);
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
                if known.decision == line.decision {
                    for reason in line.reasons {
                        if !known.reasons.contains(&reason) {
                            known.reasons.push(reason);
                        }
                    }
                } else if line.decision == Decision::Keep {
                    *known = line;
                }
            }
        }
        let mut lines: Vec<PlanLine> = lines.into_values().collect();
        lines.sort_by(|a, b| in_order(&a.artifact, &b.artifact));
        Self {
            lines,
            unmet,
            notices,
        }
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The policy makes no sense.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// All that a group has would go.
    #[error("nothing would be left of {}", some(groups))]
    EmptiesGroup {
        /// The groups.
        groups: Vec<GroupKey>,
    },
    /// Every run that was given would go as a whole.
    #[error("nothing would be left of all {runs} runs that were selected")]
    EveryRun {
        /// How many runs.
        runs: usize,
    },
    /// A limit is to be held, and the sizes of some artifacts are unknown.
    #[error(
        "the size is unknown of {}; a limit cannot be held without it",
        some(&paths.iter().map(|path| path.display()).collect::<Vec<_>>())
    )]
    Unmeasured {
        /// Their folders.
        paths: Vec<PathBuf>,
    },
    /// Space is to be kept free, and how much is free is unknown.
    #[error("min-free cannot be held: how much is free on the file system is unknown")]
    FreeUnknown,
}

impl PlanError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Policy(error) => error.code(),
            Self::EmptiesGroup { .. } | Self::EveryRun { .. } => "plan-empties-group",
            Self::Unmeasured { .. } => "plan-unmeasured",
            Self::FreeUnknown => "plan-free-unknown",
        }
    }
}

/// The first few of a list, and how many more there are.
fn some<T: fmt::Display>(all: &[T]) -> String {
    const SHOWN: usize = 5;
    let mut text = all
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if all.len() > SHOWN {
        text += &format!("; and {} more", all.len() - SHOWN);
    }
    text
}
