//! A score and its parts.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::name::{DatasetName, Parameters, RunName};

/// The name of a metric, such as `voi`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct MetricName(String);

impl From<MetricName> for String {
    fn from(name: MetricName) -> Self {
        name.0
    }
}

impl TryFrom<String> for MetricName {
    type Error = ParseMetricNameError;

    fn try_from(text: String) -> Result<Self, ParseMetricNameError> {
        text.parse()
    }
}

impl MetricName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The text cannot name a metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" cannot name a metric: names have 1 to 200 characters, no = or : and no control \
     characters",
    .0.escape_debug()
)]
#[non_exhaustive]
pub struct ParseMetricNameError(pub String);

impl FromStr for MetricName {
    type Err = ParseMetricNameError;

    fn from_str(text: &str) -> Result<Self, ParseMetricNameError> {
        let fits = |c: char| !c.is_control() && c != '=' && c != ':';
        let is_name = (1..=200).contains(&text.chars().count())
            && text.chars().all(fits)
            // With spaces at its ends, a name would look like another.
            && text.trim() == text;
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        Err(ParseMetricNameError(text.to_owned()))
    }
}

/// A value that was measured of an iteration, or of one dataset or parameter set of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Score {
    /// Name of the run.
    pub run: RunName,
    /// Iteration of the training.
    pub iteration: i64,
    /// Dataset; `None` if the score is of all datasets.
    pub dataset: Option<DatasetName>,
    /// Parameters; `None` if the score is of all parameter sets.
    pub parameters: Option<Parameters>,
    /// Name of what was measured.
    pub metric: MetricName,
    /// The value; may be infinite or NaN, which are text in JSON.
    #[serde(serialize_with = "value")]
    pub value: f64,
}

impl Score {
    /// Makes a score of all datasets and parameter sets of an iteration.
    #[must_use]
    pub fn new(run: RunName, iteration: i64, metric: MetricName, value: f64) -> Self {
        Self {
            run,
            iteration,
            dataset: None,
            parameters: None,
            metric,
            value,
        }
    }

    /// Sets the dataset that it was measured on.
    #[must_use]
    pub fn dataset(mut self, dataset: impl Into<Option<DatasetName>>) -> Self {
        self.dataset = dataset.into();
        self
    }

    /// Sets the parameters that it was measured with.
    #[must_use]
    pub fn parameters(mut self, parameters: impl Into<Option<Parameters>>) -> Self {
        self.parameters = parameters.into();
        self
    }
}

/// The value of a score in the history. NaN equals NaN here, so that details can be compared.
///
/// Serializes to a number, or to the texts `NaN`, `inf` and `-inf`: JSON has no such numbers.
#[derive(Debug, Clone, Copy)]
pub struct ScoreValue(pub f64);

impl ScoreValue {
    /// Not a number.
    pub const NAN: Self = Self(f64::NAN);
}

/// Writes the number as JSON does, `2.0` with its point.
impl fmt::Display for ScoreValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match serde_json::Number::from_f64(self.0) {
            Some(number) => number.fmt(f),
            None => self.0.fmt(f),
        }
    }
}

impl PartialEq for ScoreValue {
    fn eq(&self, other: &Self) -> bool {
        // NaN is NaN: a score that stays one has not changed.
        self.0 == other.0 || (self.0.is_nan() && other.0.is_nan())
    }
}

impl Eq for ScoreValue {}

impl Serialize for ScoreValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        value(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for ScoreValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum NumberOrText {
            Number(f64),
            Text(String),
        }
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(number) => Ok(Self(number)),
            // Other texts are refused: reading and writing again would change the text of a detail.
            NumberOrText::Text(text) => match text.as_str() {
                "NaN" => Ok(Self(f64::NAN)),
                "inf" => Ok(Self(f64::INFINITY)),
                "-inf" => Ok(Self(f64::NEG_INFINITY)),
                _ => Err(serde::de::Error::custom(format!(
                    "\"{text}\" is not a score"
                ))),
            },
        }
    }
}

/// Parses a value: a number, `nan`, `inf` or `-inf`. `None` for other text, and for a number that
/// is so large that it would become infinite.
#[must_use]
pub fn parse_value(text: &str) -> Option<f64> {
    let text = text.trim();
    let value: f64 = text.parse().ok()?;
    // `1e999` parses as infinity; only a text that names it means it.
    let is_named = text.to_ascii_lowercase().contains("inf");
    (!value.is_infinite() || is_named).then_some(value)
}

fn value<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else {
        // JSON has no such numbers, so they are text.
        serializer.collect_str(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_read_what_they_write() {
        for text in ["voi", "voi split", "f1/2"] {
            assert_eq!(text.parse::<MetricName>().unwrap().to_string(), text);
        }
        for text in ["", " a", "a=b", "a:min", "a\t"] {
            assert!(text.parse::<MetricName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_text_in_json() {
        let score = |value| Score {
            run: "r".parse().unwrap(),
            iteration: 5,
            dataset: None,
            parameters: None,
            metric: "voi".parse().unwrap(),
            value,
        };
        let json = |value| serde_json::to_string(&score(value)).unwrap();
        assert!(json(0.5).ends_with(r#""metric":"voi","value":0.5}"#));
        assert!(json(f64::NAN).ends_with(r#""value":"NaN"}"#));
        assert!(json(f64::INFINITY).ends_with(r#""value":"inf"}"#));
    }
}
