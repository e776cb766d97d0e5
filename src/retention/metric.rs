//! The metric of `keep-best`, and which of its values are good.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::criteria;
use super::error::PolicyError;
use crate::model::score::MetricName;

/// A metric and the direction in which its values get better.
///
/// Reads `voi:min` and `iou:max`. A criterion of DaCapo's evaluators needs no direction: `voi` is
/// `voi:min`, `f1_score` is `f1_score:max`, `mito__voi` is `mito__voi:min`.
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

impl Metric {
    /// What to say of a direction that is not the one by which DaCapo scores; `None` if it is, or
    /// if DaCapo has no such criterion. The direction is used as it was given.
    pub(super) fn against_dacapo(&self) -> Option<String> {
        let is_higher = criteria::higher_is_better(&self.name)?;
        let (better, direction) = match is_higher {
            true => ("higher", Direction::Max),
            false => ("lower", Direction::Min),
        };
        (direction != self.direction).then(|| {
            format!(
                "keep-best goes by {self}, but in DaCapo {better} values of {} are better; write \
                 {} to go by that",
                self.name, self.name
            )
        })
    }
}

/// Why no metric can have a name, if so.
fn refusal(name: &str) -> Option<&'static str> {
    // Each fault that is easily made has words of its own.
    if name.trim().is_empty() {
        Some("its name is empty")
    } else if name.contains(':') {
        Some("its name has a ':'")
    } else if name.chars().any(char::is_control) {
        Some("its name has a control character")
    // What is left, such as a `=` or too many characters.
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
        // From the right, so that in `a:b:min` the name is refused and not the direction.
        let (name, direction) = match text.rsplit_once(':') {
            None => {
                let direction = criteria::higher_is_better(text).map(|is_higher| match is_higher {
                    true => Direction::Max,
                    false => Direction::Min,
                });
                (text, direction)
            }
            Some((name, "min")) => (name, Some(Direction::Min)),
            Some((name, "max")) => (name, Some(Direction::Max)),
            Some(_) => return Err(refused("neither min nor max follows the ':'")),
        };
        if let Some(why) = refusal(name) {
            return Err(refused(why));
        }
        match direction {
            Some(direction) => Ok(Self {
                name: name.to_owned(),
                direction,
            }),
            // Never guessed: by the wrong direction, the best would go.
            None => Err(PolicyError::MetricDirection {
                name: name.to_owned(),
                nearest: criteria::nearest(name),
            }),
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
        for text in ["voi:min", "f1:max", "pr auc:max", "voi:max"] {
            assert_eq!(text.parse::<Metric>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_direction_of_a_criterion_of_dacapo_is_known() {
        let known = [
            ("voi", "voi:min"),
            ("voi_split", "voi_split:min"),
            ("f1_score", "f1_score:max"),
            ("hausdorff", "hausdorff:min"),
            ("recall_with_tolerance", "recall_with_tolerance:max"),
            ("mito__voi", "mito__voi:min"),
            ("a__b__jaccard", "a__b__jaccard:max"),
        ];
        for (text, metric) in known {
            assert_eq!(text.parse::<Metric>().unwrap().to_string(), metric);
        }
    }

    #[test]
    fn another_direction_is_never_guessed() {
        for text in ["f1", "loss", "VOI", "my_voi", "__voi", "voi__x"] {
            let error = text.parse::<Metric>().unwrap_err();
            assert_eq!(error.code(), "policy-metric", "{text:?}");
            let message = error.to_string();
            assert!(message.contains(&format!("{text}:min")), "{message}");
            assert!(message.contains(&format!("{text}:max")), "{message}");
        }
    }

    #[test]
    fn a_name_that_is_like_a_criterion_is_answered_with_it() {
        for (text, meant) in [
            ("voii", "did you mean voi?"),
            ("VOI", "did you mean voi?"),
            ("F1_Score", "did you mean f1_score?"),
            ("mito__VOI", "did you mean mito__voi?"),
            ("hausdorf", "did you mean hausdorff?"),
        ] {
            let message = text.parse::<Metric>().unwrap_err().to_string();
            assert!(message.contains(meant), "{message}");
        }
        for text in ["accuracy", "xyz", "psnr"] {
            let message = text.parse::<Metric>().unwrap_err().to_string();
            assert!(!message.contains("did you mean"), "{message}");
        }
    }

    #[test]
    fn a_direction_against_dacapo_s_is_used_and_named() {
        let said = |text: &str| text.parse::<Metric>().unwrap().against_dacapo();
        for text in [
            "f1_score",
            "f1_score:max",
            "voi:min",
            "psnr:min",
            "mito__voi",
        ] {
            assert_eq!(said(text), None, "{text}");
        }
        let better = |text: &str| said(text).unwrap();
        assert!(better("f1_score:min").contains("higher values of f1_score are better"));
        assert!(better("mito__voi:max").contains("lower values of mito__voi are better"));
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
