//! Why a policy is refused.

use std::time::Duration;

use super::words::length;
use crate::model::key::Kind;
use crate::model::nearest::did_you_mean;

/// Why a policy is refused: what is wrong, why, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It has neither a keep rule nor a limit.
    #[error(
        "the policy has no rule: older-than, iterations and kinds only select what may go; add \
         what should stay, such as keep-last 1, or a limit, such as max-size 500GB"
    )]
    Empty,
    /// It selects what is damaged, which no rule compares, and has rules.
    #[error(
        "rules and limits apply only to arrays that can be read; with state damaged, leave out the \
         rules and limits"
    )]
    RulesForDamaged,
    /// It has no rule for runs.
    #[error(
        "the policy for runs has no rule: write which runs may go, such as older-than 90d, which \
         should stay, such as keep-last 5, or a limit, such as max-size 500GB"
    )]
    EmptyRuns,
    /// A rule has the value 0.
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
    /// `keep-every` keeps a named iteration already.
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
        /// The ranges that are selected.
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
    /// Artifacts of this kind do not belong to a ranked artifact.
    #[error(
        "keep-best with {kind} keeps nothing: only prediction and checkpoint go with an output"
    )]
    WithApart {
        /// The kind.
        kind: Kind,
    },
    /// The kind is ranked by its own scores.
    #[error(
        "keep-best with {kind} changes nothing: {kind} is selected by name, so it is ranked by its \
         own scores; leave it out of keep-best, or do not select its kind by name"
    )]
    WithRanked {
        /// The kind.
        kind: Kind,
    },
    /// The filter of a request selects by what the rules select by.
    #[error(
        "the filter of the request selects by {part}, which is left to the rules: select by {part} \
         in the policy"
    )]
    FilterIgnored {
        /// The part of the filter.
        part: &'static str,
    },
    /// A metric cannot be read.
    #[error(
        "\"{}\" is not a metric: {why}; write NAME:min or NAME:max, such as voi:min",
        .text.escape_debug()
    )]
    Metric {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Whether lower or higher values of a metric are better is unknown.
    #[error(
        "whether lower or higher values of {name} are better is unknown: it is not a criterion of \
         DaCapo; {}write {name}:min if lower is better, {name}:max if higher is",
        meant(.nearest.as_deref())
    )]
    #[non_exhaustive]
    MetricDirection {
        /// The name.
        name: String,
        /// The most similar criterion of DaCapo, if one is similar.
        nearest: Option<String>,
    },
    /// No score of the registry has the metric.
    #[error("no score has the metric {name}{}", known_metrics(.nearest.as_deref(), known))]
    MetricUnknown {
        /// The name.
        name: String,
        /// The most similar metric that scores have, if one is similar.
        nearest: Option<String>,
        /// Every metric that scores have.
        known: Vec<String>,
    },
}

/// Asks whether a criterion of DaCapo was meant.
fn meant(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}? Else "),
        None => String::new(),
    }
}

/// What to write instead of a metric that no score has.
fn known_metrics(nearest: Option<&str>, known: &[String]) -> String {
    match (nearest, known) {
        (Some(nearest), _) => did_you_mean(Some(nearest)),
        (None, []) => ": nothing has scores; record some with dalsegno score".to_owned(),
        (None, known) => format!("; scores have {}", known.join(", ")),
    }
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
            | Self::WithRanked { .. }
            | Self::RulesForDamaged
            | Self::FilterIgnored { .. } => "policy-useless-rule",
            Self::Metric { .. } | Self::MetricDirection { .. } | Self::MetricUnknown { .. } => {
                "policy-metric"
            }
        }
    }
}
