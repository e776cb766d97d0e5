//! The criteria by which DaCapo's evaluators score, and which of their values are better.
//!
//! Source: `higher_is_better` in `dacapo/experiments/tasks/evaluators/` of DaCapo, files
//! `binary_segmentation_evaluation_scores.py` and `instance_evaluation_scores.py`.

use crate::model::nearest;

/// Criteria of which a higher value is better.
const HIGHER: [&str; 8] = [
    "dice",
    "f1_score",
    "f1_score_with_tolerance",
    "jaccard",
    "precision",
    "precision_with_tolerance",
    "recall",
    "recall_with_tolerance",
];

/// Criteria of which a lower value is better.
const LOWER: [&str; 15] = [
    "false_discovery_rate",
    "false_negative_rate",
    "false_negative_rate_with_tolerance",
    "false_positive_rate",
    "false_positive_rate_with_tolerance",
    "hausdorff",
    "mean_false_distance",
    "mean_false_distance_clipped",
    "mean_false_negative_distance",
    "mean_false_negative_distance_clipped",
    "mean_false_positive_distance",
    "mean_false_positive_distance_clipped",
    "voi",
    "voi_merge",
    "voi_split",
];

/// The criterion of DaCapo that is most like a name that is none, if one is; with the channel.
pub(super) fn nearest(name: &str) -> Option<String> {
    let (channel, criterion) = split(name);
    let known = HIGHER.iter().chain(&LOWER).copied();
    nearest::nearest(criterion, known).map(|known| format!("{channel}{known}"))
}

/// Splits a name behind its channel and `__`; the channel may be empty.
fn split(name: &str) -> (&str, &str) {
    match name.rfind("__") {
        Some(at) if at > 0 => name.split_at(at + 2),
        _ => ("", name),
    }
}

/// Whether higher values of a criterion of DaCapo are better; `None` if DaCapo has no such name.
///
/// Evaluators of several channels put the channel before the criterion: `mito__voi`.
pub(super) fn higher_is_better(name: &str) -> Option<bool> {
    let (_, criterion) = split(name);
    if HIGHER.contains(&criterion) {
        Some(true)
    } else if LOWER.contains(&criterion) {
        Some(false)
    } else {
        None
    }
}
