//! A selection of artifacts, the same for every query.
//!
//! The parts of a filter are anded; the values of one part are ored; an empty part selects all.
//! A filter is a value: the catalog turns it into bound SQL.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::artifact::State;
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::name::{self, NameError};

/// A pattern for names: `*` and `?` as in a shell, and `[…]` for one of several characters.
///
/// `*` also matches `/`. Where the catalog knows the name that a pattern spells, the pattern means
/// that name and no other, so names with brackets, such as `run [a]`, select themselves alone
/// without quoting, and a removal by name takes nothing else along. The catalog knows every name
/// under which anything was ever recorded, also what was removed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can match other names than the one that it spells, where that one is unknown.
    ///
    /// Never with a NUL, which no name has: SQLite reads a glob up to the first, so that `run*`
    /// and whatever comes after a NUL would match like `run*`.
    #[must_use]
    pub fn is_glob(&self) -> bool {
        self.0.contains(['*', '?', '[']) && !self.0.contains('\0')
    }
}

impl<T: Into<String>> From<T> for Pattern {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// A range of iterations, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IterationRange {
    /// First iteration; none is the lowest.
    pub first: Option<i64>,
    /// Last iteration; none is the highest.
    pub last: Option<i64>,
}

impl From<i64> for IterationRange {
    fn from(iteration: i64) -> Self {
        Self {
            first: Some(iteration),
            last: Some(iteration),
        }
    }
}

/// A text that is no range of iterations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseRangeError {
    /// An end is no integer.
    #[error("{0}; write N, A..B, A.. or ..B, both ends included")]
    End(#[from] NameError),
    /// The first is above the last, or both are missing.
    #[error("\"{}\" selects no iteration; write N, A..B, A.. or ..B, both ends included", .0.escape_debug())]
    Empty(String),
}

impl FromStr for IterationRange {
    type Err = ParseRangeError;

    /// Reads `1000`, `1000..2000`, `1000..` or `..2000`.
    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let Some((first, last)) = text.split_once("..") else {
            return Ok(name::parse_iteration(text)?.into());
        };
        let end = |text: &str| match text {
            "" => Ok(None),
            text => name::parse_iteration(text).map(Some),
        };
        let range = Self {
            first: end(first)?,
            last: end(last)?,
        };
        match (range.first, range.last) {
            (None, None) => Err(ParseRangeError::Empty(text.to_owned())),
            (Some(first), Some(last)) if first > last => {
                Err(ParseRangeError::Empty(text.to_owned()))
            }
            _ => Ok(range),
        }
    }
}

impl fmt::Display for IterationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |n: Option<i64>| n.map_or(String::new(), |n| n.to_string());
        match (self.first, self.last) {
            (Some(first), Some(last)) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{}..{}", end(first), end(last)),
        }
    }
}

/// A selection of artifacts; the default selects every one but checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Runs.
    pub runs: Vec<Pattern>,
    /// Kinds. Checkpoints are selected only where they are named here: an empty list selects every
    /// other kind.
    pub kinds: Vec<Kind>,
    /// Iterations; artifacts without one are selected only where this is empty.
    pub iterations: Vec<IterationRange>,
    /// Datasets and indices.
    pub datasets: Vec<Pattern>,
    /// Parameters and criteria.
    pub parameters: Vec<Pattern>,
    /// States.
    pub states: Vec<State>,
    /// Written longer ago than this, or recorded longer ago if no data was seen. The age is
    /// counted back from the moment at which the catalog is queried.
    pub older_than: Option<Duration>,
    /// Written before this moment, or recorded before it if no data was seen.
    pub written_before: Option<Timestamp>,
    /// Only what a pin of the catalog binds.
    pub pinned: bool,
    /// Numbers of the users whose the data is; where nobody looked, nobody's.
    pub owners: Vec<u32>,
    /// At least this many bytes; artifacts of unknown size are not selected.
    pub min_bytes: Option<u64>,
}

impl Filter {
    /// The same without what a look at the disk may change: state, age, owner, size. What is looked
    /// at before a question is answered is this, or what was just written would not be found.
    #[must_use]
    pub fn without_observed(&self) -> Self {
        Self {
            states: Vec::new(),
            older_than: None,
            written_before: None,
            owners: Vec::new(),
            min_bytes: None,
            ..self.clone()
        }
    }

    /// The moment before which an artifact must have been written or recorded, if the filter asks
    /// for age at `now`: the earlier of [`older_than`](Self::older_than), counted back from `now`,
    /// and [`written_before`](Self::written_before).
    #[must_use]
    pub fn cutoff_at(&self, now: Timestamp) -> Option<Timestamp> {
        let by_age = self.older_than.map(|age| now.minus(age));
        by_age.into_iter().chain(self.written_before).min()
    }

    /// Whether it names nothing, and so selects every artifact but checkpoints.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_age_and_moment_is_the_cutoff() {
        let now = Timestamp(10_000);
        let cutoff = |older_than: Option<u64>, written_before: Option<i64>| {
            let filter = Filter {
                older_than: older_than.map(Duration::from_millis),
                written_before: written_before.map(Timestamp),
                ..Filter::default()
            };
            filter.cutoff_at(now).map(|cutoff| cutoff.0)
        };
        assert_eq!(cutoff(None, None), None);
        assert_eq!(cutoff(Some(1_000), None), Some(9_000));
        assert_eq!(cutoff(None, Some(8_000)), Some(8_000));
        assert_eq!(cutoff(Some(1_000), Some(8_000)), Some(8_000));
        assert_eq!(cutoff(Some(3_000), Some(8_000)), Some(7_000));
    }

    #[test]
    fn ranges_read_what_they_write() {
        for text in ["1000", "1..2", "9000..", "..9900", "-5..-1"] {
            assert_eq!(text.parse::<IterationRange>().unwrap().to_string(), text);
        }
        for text in ["", "..", "2..1", "a", "1..b", "1...2", "1-2"] {
            assert!(text.parse::<IterationRange>().is_err(), "{text}");
        }
    }
}
