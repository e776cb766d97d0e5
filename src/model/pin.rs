//! Pins as values: a named reason to keep artifacts, and what it binds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::actor::Actor;
use crate::model::clock::Timestamp;
use crate::model::filter::IterationRange;

/// Characters that the name of a pin may have at most.
const MOST_CHARACTERS: usize = 100;

/// The name of a pin, such as `figure-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PinName(String);

impl From<PinName> for String {
    fn from(name: PinName) -> Self {
        name.0
    }
}

impl TryFrom<String> for PinName {
    type Error = ParsePinNameError;

    fn try_from(text: String) -> Result<Self, ParsePinNameError> {
        text.parse()
    }
}

impl PinName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that cannot name a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" cannot name a pin: names have 1 to {MOST_CHARACTERS} characters, no spaces, commas or \
     control characters, and do not begin with -",
    .0.escape_debug()
)]
pub struct ParsePinNameError(pub String);

impl FromStr for PinName {
    type Err = ParsePinNameError;

    fn from_str(text: &str) -> Result<Self, ParsePinNameError> {
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
        let count = text.chars().count();
        if (1..=MOST_CHARACTERS).contains(&count)
            && text.chars().all(fits)
            && !text.starts_with('-')
        {
            return Ok(Self(text.to_owned()));
        }
        Err(ParsePinNameError(text.to_owned()))
    }
}

/// What can go wrong with a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// A name is none.
    #[error(transparent)]
    Name(#[from] ParsePinNameError),
    /// There is no pin of this name.
    #[error("there is no pin {name}")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// A pin of this name is there for another reason.
    #[error("there is a pin {name} already, for another reason: {reason}")]
    Taken {
        /// Its name.
        name: String,
        /// Its reason.
        reason: String,
    },
    /// A new pin has no reason.
    #[error("the new pin {name} has no reason")]
    WithoutReason {
        /// Its name.
        name: String,
    },
    /// What was selected for a pin is nothing.
    #[error("nothing is selected that the pin {name} could bind")]
    BindsNothing {
        /// Its name.
        name: String,
    },
}

impl PinError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "pin-name",
            Self::Unknown { .. } => "no-pin",
            Self::Taken { .. } => "pin-taken",
            Self::WithoutReason { .. } => "pin-without-reason",
            Self::BindsNothing { .. } => "pin-binds-nothing",
        }
    }
}

/// Iterations of one run, with whatever is recorded there later. Part of the history's format: see
/// [`detail`](crate::model::detail).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinScope {
    /// Run.
    pub run: String,
    /// First iteration; none is the lowest.
    #[serde(deserialize_with = "Option::deserialize")]
    pub first: Option<i64>,
    /// Last iteration; none is the highest. Where both are none, the whole run is bound, also what
    /// has no iteration.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last: Option<i64>,
}

impl PinScope {
    /// The scope of a whole run, or of some of its iterations.
    #[must_use]
    pub fn new(run: &str, iterations: Option<IterationRange>) -> Self {
        Self {
            run: run.to_owned(),
            first: iterations.and_then(|range| range.first),
            last: iterations.and_then(|range| range.last),
        }
    }
}

impl fmt::Display for PinScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.first, self.last);
        match (first, last) {
            (None, None) => write!(f, "{}", self.run),
            (Some(one), Some(last)) if one == last => write!(f, "{}, iteration {one}", self.run),
            _ => write!(
                f,
                "{}, iterations {}",
                self.run,
                IterationRange { first, last }
            ),
        }
    }
}

/// A pin: what it binds is kept until it is taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Name.
    pub name: PinName,
    /// Why.
    pub reason: String,
    /// When.
    pub pinned_at: Timestamp,
    /// Who.
    #[serde(flatten)]
    pub actor: Actor,
    /// Runs and iterations that it binds.
    pub scopes: Vec<PinScope>,
    /// Number of artifacts that it binds one by one.
    pub artifacts: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_what_they_write() {
        for text in ["figure-3", "a", "paper/2026:x", "ü"] {
            assert_eq!(text.parse::<PinName>().unwrap().to_string(), text);
        }
        for text in ["", "a b", "a,b", "-a", "a\n", &"x".repeat(101)] {
            assert!(text.parse::<PinName>().is_err(), "{text:?}");
        }
    }
}
