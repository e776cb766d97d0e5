//! Policies: what may go, what must stay, and how much may be left.
//!
//! [`Policy::check`] refuses what would do nothing, or not what it says, as every plan does
//! first: a rule that never decides anything hides a mistake.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::model::filter::IterationRange;
use crate::model::key::Kind;
use crate::model::score::MetricName;
use crate::model::size::ByteCount;

/// One set of rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// What may be removed at all.
    pub select: SelectRules,
    /// What stays.
    pub keep: KeepRules,
    /// How much of the rest may stay.
    pub limit: Limits,
    /// Whether a plan may remove all that a group has.
    pub allow_empty_group: bool,
}

/// What the caller selected, anded. Plans do not select by it: rules are checked against it, and
/// its kinds say what `keep-best` ranks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectRules {
    /// Only what is older.
    pub older_than: Option<Duration>,
    /// Only these iterations; empty is any.
    pub iterations: Vec<IterationRange>,
    /// Only these kinds, as the user named them; empty where none was named.
    pub kinds: Vec<Kind>,
}

/// Rules that keep, ored. They look at the selected artifacts of one run, kind and dataset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeepRules {
    /// Those of the highest iterations, this many.
    pub last: Option<u64>,
    /// Those of the lowest iterations, this many.
    pub first: Option<u64>,
    /// Those whose iteration is divisible by this.
    pub every: Option<u64>,
    /// Those of these iterations.
    pub iterations: Vec<i64>,
    /// Those that are no older, by the time they were written, else recorded.
    pub within: Option<Duration>,
    /// Those with the best scores.
    pub best: Option<KeepBest>,
}

/// The rule `keep-best`.
///
/// It ranks outputs, or the kinds that the selection names. What is ranked is the score: artifacts
/// that share one, because it is for a whole iteration, count once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepBest {
    /// How many are kept of each run, kind and dataset.
    pub count: u64,
    /// What they are the best by.
    pub metric: Metric,
    /// Kinds that stay with the ranked artifacts that stay: predictions, checkpoints. Where the
    /// selection names kinds, no other rule of the policy is about these, nor any limit, and plans
    /// may empty their groups: merge the plan with that of their own policy.
    pub with: Vec<Kind>,
}

/// A metric, and which of its values are good. Reads `voi:min`, `f1:max`, and `f1` as `f1:max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Name, without `:`.
    pub name: String,
    /// Which end is good.
    pub direction: Direction,
}

/// Which values of a metric are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

/// Limits on what is left of the selection; what no rule keeps goes, oldest first, until all hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Bytes, at most.
    pub max_bytes: Option<u64>,
    /// Files, at most.
    pub max_files: Option<u64>,
    /// Free bytes of the file system, at least.
    pub min_free: Option<u64>,
}

/// Rules for whole runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunPolicy {
    /// Only runs whose newest artifact is older.
    pub older_than: Option<Duration>,
    /// Keeps the runs with the newest artifacts, this many.
    pub last: Option<u64>,
    /// Keeps the runs whose newest artifact is no older.
    pub within: Option<Duration>,
    /// How much may be left.
    pub limit: Limits,
    /// Whether every run that is given may go.
    pub allow_empty_group: bool,
}

/// Why a policy was refused: what, why, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It has neither a keep rule nor a limit.
    #[error(
        "the policy has no rule: older-than, iterations and kinds only select what may go; add \
         what is to stay, such as keep-last 1, or a limit, such as max-size 500GB"
    )]
    Empty,
    /// It has no rule for runs.
    #[error(
        "the policy for runs has no rule: write which runs may go, such as older-than 90d, which \
         are to stay, such as keep-last 5, or a limit, such as max-size 500GB"
    )]
    EmptyRuns,
    /// A number is 0.
    #[error("{rule} 0 {why}; leave it out, or give more")]
    Zero {
        /// The rule.
        rule: &'static str,
        /// What 0 would do.
        why: &'static str,
    },
    /// Every iteration is divisible by 1.
    #[error("keep-every 1 keeps every iteration, so nothing could go; write keep-every 2 or more")]
    EveryIteration,
    /// A named iteration is kept by `keep-every` already.
    #[error(
        "keep-iterations {iteration} changes nothing: keep-every {every} keeps it; leave it out"
    )]
    IterationKept {
        /// The iteration.
        iteration: i64,
        /// What it is divisible by.
        every: u64,
    },
    /// A named iteration is not selected.
    #[error(
        "keep-iterations {iteration} keeps nothing: only the iterations {selected} are selected; \
         leave it out, or select it"
    )]
    IterationNotSelected {
        /// The iteration.
        iteration: i64,
        /// The ranges that are.
        selected: String,
    },
    /// An iteration is named twice.
    #[error("keep-iterations names {iteration} twice; write it once")]
    IterationTwice {
        /// The iteration.
        iteration: i64,
    },
    /// `keep-within` keeps only what is not selected.
    #[error(
        "keep-within {} keeps nothing: only what is older than {} is selected; give a longer time, \
         or leave it out",
        length(*.within), length(*.older_than)
    )]
    WithinNotSelected {
        /// What is kept.
        within: Duration,
        /// What is selected.
        older_than: Duration,
    },
    /// A kind does not belong to a ranked artifact.
    #[error(
        "keep-best with {kind} keeps nothing: only prediction and checkpoint go with an output"
    )]
    WithApart {
        /// The kind.
        kind: Kind,
    },
    /// A kind is ranked itself.
    #[error(
        "keep-best with {kind} changes nothing: {kind} is selected by name, so it is ranked by its \
         own scores; leave it out there, or name it among the kinds no longer"
    )]
    WithRanked {
        /// The kind.
        kind: Kind,
    },
    /// A metric cannot be read.
    #[error("\"{}\" is no metric: {why}; write NAME:min or NAME:max, such as voi:min", .text.escape_debug())]
    Metric {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl PolicyError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::EmptyRuns => "policy-empty",
            Self::Zero { .. } => "policy-zero",
            Self::EveryIteration
            | Self::IterationKept { .. }
            | Self::IterationNotSelected { .. }
            | Self::IterationTwice { .. }
            | Self::WithinNotSelected { .. }
            | Self::WithApart { .. }
            | Self::WithRanked { .. } => "policy-useless-rule",
            Self::Metric { .. } => "policy-metric",
        }
    }
}

impl Policy {
    /// Checks that every rule can decide something.
    ///
    /// # Errors
    /// [`PolicyError`], the first that is found.
    pub fn check(&self) -> Result<(), PolicyError> {
        let keep = &self.keep;
        if keep.is_empty() && self.limit.is_empty() {
            return Err(PolicyError::Empty);
        }
        keep.check_numbers()?;
        self.limit.check()?;
        check_within(keep.within, self.select.older_than)?;
        for (at, &iteration) in keep.iterations.iter().enumerate() {
            if keep.iterations[..at].contains(&iteration) {
                return Err(PolicyError::IterationTwice { iteration });
            }
            if let Some(every) = keep.every.filter(|&every| divisible(iteration, every)) {
                return Err(PolicyError::IterationKept { iteration, every });
            }
            let ranges = &self.select.iterations;
            if !ranges.is_empty() && !ranges.iter().any(|range| contains(range, iteration)) {
                return Err(PolicyError::IterationNotSelected {
                    iteration,
                    selected: listed(ranges),
                });
            }
        }
        match &keep.best {
            Some(best) => best.check(&self.select.kinds),
            None => Ok(()),
        }
    }
}

impl KeepRules {
    /// Whether it has no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `keep-best` is its only rule.
    pub(super) fn is_only_best(&self) -> bool {
        self.best.is_some()
            && Self {
                best: None,
                ..self.clone()
            }
            .is_empty()
    }

    fn check_numbers(&self) -> Result<(), PolicyError> {
        let nothing = "keeps nothing";
        let zero = |rule, why| Err(PolicyError::Zero { rule, why });
        if self.last == Some(0) {
            return zero("keep-last", nothing);
        }
        if self.first == Some(0) {
            return zero("keep-first", nothing);
        }
        match self.every {
            Some(0) => return zero("keep-every", "means nothing: no number is divisible by 0"),
            Some(1) => return Err(PolicyError::EveryIteration),
            _ => {}
        }
        if self.within == Some(Duration::ZERO) {
            return zero("keep-within", nothing);
        }
        if self.best.as_ref().is_some_and(|best| best.count == 0) {
            return zero("keep-best", nothing);
        }
        Ok(())
    }
}

impl KeepBest {
    fn check(&self, named: &[Kind]) -> Result<(), PolicyError> {
        self.metric.check()?;
        for &kind in &self.with {
            if !matches!(kind, Kind::Prediction | Kind::Checkpoint) {
                return Err(PolicyError::WithApart { kind });
            }
            if named.contains(&kind) {
                return Err(PolicyError::WithRanked { kind });
            }
        }
        Ok(())
    }
}

impl Limits {
    /// Whether it limits nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The limits that are set: rule, value, and the value in words.
    pub(super) fn settings(&self) -> Vec<(&'static str, u64, String)> {
        let bytes = |value: u64| ByteCount(value).to_string();
        [
            (
                "max-size",
                self.max_bytes.map(|value| (value, bytes(value))),
            ),
            (
                "max-files",
                self.max_files.map(|value| (value, value.to_string())),
            ),
            ("min-free", self.min_free.map(|value| (value, bytes(value)))),
        ]
        .into_iter()
        .filter_map(|(rule, value)| value.map(|(value, words)| (rule, value, words)))
        .collect()
    }

    fn check(&self) -> Result<(), PolicyError> {
        let everything = "would leave nothing that no rule keeps";
        for (rule, value, _) in self.settings() {
            if value == 0 {
                let why = match rule {
                    "min-free" => "means nothing: it always holds",
                    _ => everything,
                };
                return Err(PolicyError::Zero { rule, why });
            }
        }
        Ok(())
    }
}

impl RunPolicy {
    /// Checks that every rule can decide something.
    ///
    /// # Errors
    /// [`PolicyError`], the first that is found.
    pub fn check(&self) -> Result<(), PolicyError> {
        let has_rule = self.older_than.is_some() || self.last.is_some() || self.within.is_some();
        if !has_rule && self.limit.is_empty() {
            return Err(PolicyError::EmptyRuns);
        }
        let zero = |rule, why| Err(PolicyError::Zero { rule, why });
        if self.older_than == Some(Duration::ZERO) {
            return zero("older-than", "means nothing: every run is older");
        }
        if self.last == Some(0) {
            return zero("keep-last", "keeps nothing");
        }
        if self.within == Some(Duration::ZERO) {
            return zero("keep-within", "keeps nothing");
        }
        self.limit.check()?;
        check_within(self.within, self.older_than)
    }
}

fn check_within(within: Option<Duration>, older_than: Option<Duration>) -> Result<(), PolicyError> {
    match (within, older_than) {
        (Some(within), Some(older_than)) if within <= older_than => {
            Err(PolicyError::WithinNotSelected { within, older_than })
        }
        _ => Ok(()),
    }
}

/// Whether an iteration is divisible; 0 is, and negative ones are as their positive.
pub(super) fn divisible(iteration: i64, every: u64) -> bool {
    every != 0 && i128::from(iteration).rem_euclid(i128::from(every)) == 0
}

fn contains(range: &IterationRange, iteration: i64) -> bool {
    range.first.is_none_or(|first| first <= iteration)
        && range.last.is_none_or(|last| iteration <= last)
}

/// A length of time as people write it, such as `90d` or `1d 12h`. Reads back as it was.
pub(crate) fn length(time: Duration) -> String {
    let mut seconds = time.as_secs();
    let mut parts = Vec::new();
    for (unit, of_unit) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= of_unit {
            parts.push(format!("{}{unit}", seconds / of_unit));
            seconds %= of_unit;
        }
    }
    let rest = Duration::from_nanos(time.subsec_nanos().into());
    if !rest.is_zero() || parts.is_empty() {
        parts.push(humantime::format_duration(rest).to_string());
    }
    parts.join(" ")
}

/// Values in words, with commas.
pub(super) fn listed<T: fmt::Display>(values: &[T]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Metric {
    /// Checks the name.
    fn check(&self) -> Result<(), PolicyError> {
        let why = if self.name.trim().is_empty() {
            "its name is empty"
        } else if self.name.contains(':') {
            "its name has a ':'"
        } else if self.name.chars().any(char::is_control) {
            "its name has a control character"
        } else if self.name.parse::<MetricName>().is_err() {
            "no score can have this name"
        } else {
            return Ok(());
        };
        Err(PolicyError::Metric {
            text: self.to_string(),
            why,
        })
    }
}

impl FromStr for Metric {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let refused = |why| PolicyError::Metric {
            text: text.to_owned(),
            why,
        };
        let (name, direction) = match text.rsplit_once(':') {
            None => (text, Direction::Max),
            Some((name, "min")) => (name, Direction::Min),
            Some((name, "max")) => (name, Direction::Max),
            Some(_) => return Err(refused("after the ':' stands neither min nor max")),
        };
        let metric = Self {
            name: name.to_owned(),
            direction,
        };
        metric.check().map_err(|error| match error {
            PolicyError::Metric { why, .. } => refused(why),
            other => other,
        })?;
        Ok(metric)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Min => "min",
            Direction::Max => "max",
        };
        write!(f, "{}:{direction}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_read_what_they_write() {
        for text in ["voi:min", "f1:max", "pr auc:max"] {
            assert_eq!(text.parse::<Metric>().unwrap().to_string(), text);
        }
        assert_eq!("f1".parse::<Metric>().unwrap().to_string(), "f1:max");
    }

    #[test]
    fn what_is_no_metric_is_refused_with_the_text_as_given() {
        let cases = [
            ("", "empty"),
            (":min", "empty"),
            (" :max", "empty"),
            ("voi:", "neither min nor max"),
            ("voi:best", "neither min nor max"),
            ("a:b:min", "has a ':'"),
            ("vo\ni", "control character"),
            ("voi=1:min", "no score can have this name"),
        ];
        for (text, why) in cases {
            let error = text.parse::<Metric>().unwrap_err();
            assert_eq!(error.code(), "policy-metric", "{text:?}");
            let message = error.to_string();
            assert!(message.contains(why), "{message}");
            assert!(
                message.starts_with(&format!("\"{}\"", text.escape_debug())),
                "{message}"
            );
        }
    }

    #[test]
    fn lengths_of_time_read_back_as_they_were() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (90 * 86_400_000_000_000, "90d"),
            (129_605_000_000_000, "1d 12h 5s"),
            (60_001_000_000, "1m 1ms"),
        ];
        for (nanoseconds, text) in cases {
            let time = Duration::from_nanos(nanoseconds);
            assert_eq!(length(time), text);
            assert_eq!(humantime::parse_duration(text), Ok(time));
        }
    }

    #[test]
    fn negative_iterations_are_divisible_too() {
        for iteration in [0, 1000, -1000, i64::MIN] {
            assert!(divisible(iteration, 8), "{iteration}");
        }
        assert!(!divisible(-7, 8));
        assert!(!divisible(i64::MAX, u64::MAX));
    }
}
