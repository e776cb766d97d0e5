//! Scores: what was measured of an iteration, and how scores are read from text.

mod import;
mod value;

pub use import::{ImportError, parse};
pub use value::{MetricName, ParseMetricNameError, Score, ScoreValue, parse_value};
