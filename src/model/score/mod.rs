//! Scores: what was measured of an iteration, and how scores are read from text.

mod import;
mod unknown;
mod value;

pub use import::{ImportError, parse};
pub use unknown::UnknownName;
pub(crate) use unknown::{ScoredNames, all_unknown};
pub use value::{MetricName, ParseMetricNameError, Score, ScoreValue, parse_value};
