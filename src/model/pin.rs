//! Pins: a pin is a named reason to keep artifacts. What it binds is not removed until it is
//! unpinned.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::actor::Actor;
use crate::model::clock::Timestamp;
use crate::model::filter::IterationRange;
use crate::model::nearest::did_you_mean;

/// The longest name of a pin, in characters.
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

/// The text cannot name a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" cannot name a pin: names have 1 to {MOST_CHARACTERS} characters, no spaces, commas or \
     control characters, and do not begin with -",
    .0.escape_debug()
)]
#[non_exhaustive]
pub struct ParsePinNameError(pub String);

impl FromStr for PinName {
    type Err = ParsePinNameError;

    fn from_str(text: &str) -> Result<Self, ParsePinNameError> {
        // A comma separates pins in listings, and a leading `-` would make the name a flag.
        let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != ',';
        // Characters, as users count them: bytes would allow other scripts shorter names.
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

/// A pin cannot be made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PinError {
    /// The text cannot name a pin.
    #[error(transparent)]
    Name(#[from] ParsePinNameError),
    /// No pin has this name.
    #[error("there is no pin {name}{}", did_you_mean(.nearest.as_deref()))]
    Unknown {
        /// Its name.
        name: String,
        /// The most similar name of a pin, if one is similar.
        nearest: Option<String>,
    },
    /// A pin of this name exists with another reason.
    #[error("there is a pin {name} already, for another reason: {reason}")]
    Taken {
        /// Its name.
        name: String,
        /// Its reason.
        reason: String,
    },
    /// A reason is required to make a pin.
    #[error("the new pin {name} has no reason{}", did_you_mean(.nearest.as_deref()))]
    WithoutReason {
        /// Its name.
        name: String,
        /// The most similar pin, which needs none, if one is similar.
        nearest: Option<String>,
    },
    /// The selection is empty.
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

/// Iterations of one run, including what is recorded there later. Part of the history's format: see
/// [`detail`](crate::model::detail).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PinScope {
    /// Name of the run.
    pub run: String,
    /// First iteration; `None` for no lower end.
    #[serde(deserialize_with = "Option::deserialize")]
    pub first: Option<i64>,
    /// Last iteration; `None` for no upper end. If both ends are `None`, the whole run is bound,
    /// including artifacts without an iteration.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last: Option<i64>,
}

impl PinScope {
    /// Makes the scope of some iterations of a run, or of the whole run.
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

/// A pin, with what it binds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pin {
    /// Its name, which no other pin has.
    pub name: PinName,
    /// Why the artifacts are kept.
    pub reason: String,
    /// When it was made.
    pub pinned_at: Timestamp,
    /// Who made it.
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
