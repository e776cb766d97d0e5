//! Policies: what may go, what must stay, and how much may be left.
//!
//! [`Policy`] decides on artifacts, [`RunPolicy`] on whole runs. `Display` writes a policy as it is
//! typed, without the dashes of flags: `older-than 14d, keep-last 3, max-size 465.7 GiB`. Plan
//! files and reasons in the history hold this text.

use std::fmt;
use std::time::Duration;

use super::metric::Metric;
use super::min_free::MinFree;
use super::words::{joined, length};
use crate::model::artifact::State;
use crate::model::filter::IterationRange;
use crate::model::key::Kind;
use crate::model::size::ByteCount;

/// Rules for artifacts: what may go, what stays, and how much of the rest may stay.
///
/// `Display` writes the age that is selected, the keep rules and the limits. The iterations and
/// kinds that are selected are not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Policy {
    /// What may be removed at all.
    pub select: SelectRules,
    /// What stays.
    pub keep: KeepRules,
    /// How much of the rest may stay.
    pub limit: Limits,
    /// Whether a plan may remove everything that a group has.
    pub allow_empty_group: bool,
}

/// What the caller selected; an artifact must fit every part.
///
/// A plan does not select by it, since its inventory holds selected artifacts only. Rules are
/// checked against it, and its kinds say what `keep-best` ranks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SelectRules {
    /// Only artifacts that are older than this.
    pub older_than: Option<Duration>,
    /// Only these iterations; empty means any.
    pub iterations: Vec<IterationRange>,
    /// Only these kinds, as the user named them; empty if the user named none.
    pub kinds: Vec<Kind>,
    /// Only arrays whose metadata cannot be read: these go, and nothing else. Such a policy has no
    /// rules that keep and no limits.
    pub damaged: bool,
}

/// Rules that keep; what one of them keeps stays. They compare the selected artifacts of one run,
/// kind and dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeepRules {
    /// `keep-last`: this many of the highest iterations.
    pub last: Option<u64>,
    /// `keep-first`: this many of the lowest iterations.
    pub first: Option<u64>,
    /// `keep-every`: iterations that are divisible by this.
    pub every: Option<u64>,
    /// `keep-iterations`: these iterations.
    pub iterations: Vec<i64>,
    /// `keep-within`: what was written within this time, or recorded if it was never written.
    pub within: Option<Duration>,
    /// `keep-best`: what has the best scores.
    pub best: Option<KeepBest>,
}

/// The rule `keep-best`.
///
/// It ranks outputs, or the kinds that the selection names. What is ranked is the score: artifacts
/// that share one, because it is for a whole iteration, count once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepBest {
    /// How many scores are kept of each run, kind and dataset.
    pub count: u64,
    /// The metric that ranks them.
    pub metric: Metric,
    /// Kinds that stay together with the ranked artifacts that stay: predictions, checkpoints.
    ///
    /// If the selection names kinds, no other rule and no limit of the policy applies to these, and
    /// a plan may empty their groups: merge it with the plan of their own policy.
    pub with: Vec<Kind>,
}

/// Limits on what is left of the selection. What no rule keeps goes, oldest first, until all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// `max-size`: at most this many bytes.
    pub max_bytes: Option<u64>,
    /// `max-files`: at most this many files.
    pub max_files: Option<u64>,
    /// `min-free`: at least this much free space on the file system.
    pub min_free: Option<MinFree>,
}

/// Rules for whole runs.
///
/// `Display` writes `whole runs, older-than 90d, keep-last 5`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RunPolicy {
    /// Only runs whose newest artifact is older than this may go.
    pub older_than: Option<Duration>,
    /// Keeps this many of the runs with the newest artifacts.
    pub last: Option<u64>,
    /// Keeps runs whose newest artifact was written within this time.
    pub within: Option<Duration>,
    /// How much may be left.
    pub limit: Limits,
    /// Whether a plan may remove every run that is selected.
    pub allow_empty_group: bool,
}

/// A rule that is set, and its value as text.
pub(super) type Setting = (&'static str, String);

impl SelectRules {
    /// Whether an iteration is selected by its number, rather than by a range.
    pub(super) fn names(&self, iteration: Option<i64>) -> bool {
        // As `5` or `5..5`: a wider range has the iteration without naming it.
        let is_it = |range: &IterationRange| range.first == iteration && range.last == iteration;
        iteration.is_some() && self.iterations.iter().any(is_it)
    }
}

impl KeepRules {
    /// Whether it has no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Compared as a whole, so that a new rule counts without a line here.
        *self == Self::default()
    }

    /// Whether `keep-best` is its only rule.
    pub(super) fn is_only_best(&self) -> bool {
        let others = Self {
            best: None,
            ..self.clone()
        };
        self.best.is_some() && others.is_empty()
    }

    /// The rules that are set.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let iterations = (!self.iterations.is_empty()).then(|| joined(&self.iterations, ","));
        let best = self.best.as_ref().map(ToString::to_string);
        let rules = [
            ("keep-last", number(self.last)),
            ("keep-first", number(self.first)),
            ("keep-every", number(self.every)),
            ("keep-iterations", iterations),
            ("keep-within", self.within.map(length)),
            ("keep-best", best),
        ];
        set(rules)
    }
}

impl Limits {
    /// Whether it has no limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits that are set, with their numbers on a file system of this size.
    pub(super) fn values(&self, disk_size: u64) -> impl Iterator<Item = (&'static str, u64)> {
        // `Budget` pairs these with `settings`, which keeps their order.
        [
            (MAX_SIZE, self.max_bytes),
            (MAX_FILES, self.max_files),
            (
                MIN_FREE,
                self.min_free.map(|least| least.bytes_of(disk_size)),
            ),
        ]
        .into_iter()
        .filter_map(|(rule, value)| Some((rule, value?)))
    }

    /// The limits that are set.
    pub(super) fn settings(&self) -> Vec<Setting> {
        set([
            (
                MAX_SIZE,
                self.max_bytes.map(|most| ByteCount(most).to_string()),
            ),
            (MAX_FILES, self.max_files.map(|most| most.to_string())),
            (MIN_FREE, self.min_free.map(|least| least.to_string())),
        ])
    }
}

/// Name of the limit on bytes.
pub(super) const MAX_SIZE: &str = "max-size";
/// Name of the limit on files.
pub(super) const MAX_FILES: &str = "max-files";
/// Name of the limit on free space.
pub(super) const MIN_FREE: &str = "min-free";

fn set<const N: usize>(rules: [(&'static str, Option<String>); N]) -> Vec<Setting> {
    let rules = rules.into_iter();
    rules
        .filter_map(|(rule, value)| Some((rule, value?)))
        .collect()
}

/// Writes `keep-last 3, max-files 10`.
fn write_settings(f: &mut fmt::Formatter<'_>, settings: Vec<Setting>) -> fmt::Result {
    let texts: Vec<String> = settings
        .into_iter()
        .map(|(rule, value)| format!("{rule} {value}"))
        .collect();
    f.write_str(&texts.join(", "))
}

impl fmt::Display for KeepBest {
    /// Writes `3 voi:min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.count, self.metric)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let damaged = self.select.damaged.then(|| State::Damaged.to_string());
        let older_than = self.select.older_than.map(length);
        let mut settings = set([("state", damaged), ("older-than", older_than)]);
        settings.extend(self.keep.settings());
        settings.extend(self.limit.settings());
        write_settings(f, settings)
    }
}

impl fmt::Display for RunPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = set([
            ("older-than", self.older_than.map(length)),
            ("keep-last", self.last.map(|count| count.to_string())),
            ("keep-within", self.within.map(length)),
        ]);
        settings.extend(self.limit.settings());
        // First, so that a plan for runs cannot be taken for one for artifacts.
        f.write_str("whole runs")?;
        if !settings.is_empty() {
            f.write_str(", ")?;
        }
        write_settings(f, settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::RULES;

    const DAY: Duration = Duration::from_secs(86_400);

    fn every_rule() -> Policy {
        Policy {
            select: SelectRules {
                older_than: Some(14 * DAY),
                ..SelectRules::default()
            },
            keep: KeepRules {
                last: Some(3),
                first: Some(2),
                every: Some(1000),
                iterations: vec![1500, -7],
                within: Some(DAY / 2),
                best: Some(KeepBest {
                    count: 3,
                    metric: "voi:min".parse().unwrap(),
                    with: vec![Kind::Checkpoint],
                }),
            },
            limit: Limits {
                max_bytes: Some(500_000_000_000),
                max_files: Some(10),
                min_free: Some(MinFree::Bytes(1 << 40)),
            },
            allow_empty_group: true,
        }
    }

    #[test]
    fn a_policy_is_written_as_it_is_typed() {
        let policy = every_rule();
        assert_eq!(
            policy.to_string(),
            "older-than 14d, keep-last 3, keep-first 2, keep-every 1000, keep-iterations 1500,-7, \
             keep-within 12h, keep-best 3 voi:min, max-size 465.7 GiB, max-files 10, min-free 1.0 TiB"
        );
        let runs = RunPolicy {
            older_than: policy.select.older_than,
            last: Some(5),
            within: Some(DAY),
            limit: policy.limit,
            allow_empty_group: false,
        };
        assert_eq!(
            runs.to_string(),
            "whole runs, older-than 14d, keep-last 5, keep-within 1d, max-size 465.7 GiB, \
             max-files 10, min-free 1.0 TiB"
        );
        assert_eq!(RunPolicy::default().to_string(), "whole runs");
        assert_eq!(Policy::default().to_string(), "");
    }

    #[test]
    fn each_setting_is_a_rule_that_reasons_name() {
        let policy = every_rule();
        let settings = [policy.keep.settings(), policy.limit.settings()].concat();
        assert_eq!(settings.len(), 9);
        for (rule, _) in settings {
            assert!(RULES.contains(&rule), "{rule}");
        }
    }
}
