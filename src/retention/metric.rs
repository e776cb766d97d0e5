//! The metric of `keep-best`, and which of its values are good.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::PolicyError;
use crate::model::score::MetricName;

/// A metric and the direction in which its values get better. Reads `voi:min`, `f1:max`, and `f1`
/// as `f1:max`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    name: String,
    direction: Direction,
}

/// Which values of a metric are the best. Exhaustive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The lowest.
    Min,
    /// The highest.
    Max,
}

impl Metric {
    /// Makes a metric.
    ///
    /// # Errors
    /// [`PolicyError::Metric`] if no score can have the name.
    pub fn new(name: &str, direction: Direction) -> Result<Self, PolicyError> {
        let metric = Self {
            name: name.to_owned(),
            direction,
        };
        match refusal(name) {
            None => Ok(metric),
            Some(why) => Err(PolicyError::Metric {
                text: metric.to_string(),
                why,
            }),
        }
    }

    /// The name, without `:`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which values are the best.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.direction
    }
}

/// Why no metric can have a name, if so.
fn refusal(name: &str) -> Option<&'static str> {
    if name.trim().is_empty() {
        Some("its name is empty")
    } else if name.contains(':') {
        Some("its name has a ':'")
    } else if name.chars().any(char::is_control) {
        Some("its name has a control character")
    } else if name.parse::<MetricName>().is_err() {
        Some("no score can have this name")
    } else {
        None
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
            Some(_) => return Err(refused("neither min nor max follows the ':'")),
        };
        match refusal(name) {
            None => Ok(Self {
                name: name.to_owned(),
                direction,
            }),
            Some(why) => Err(refused(why)),
        }
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

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
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
}
