//! Filters: which artifacts a call is about, the same for every query.
//!
//! An artifact must match every part of a filter, and one of the values of each part; an empty part
//! matches everything. The catalog turns a filter into SQL with bound values.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::artifact::State;
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::name::{self, BasePath, NameError};
pub use crate::model::pattern::Pattern;

/// A range of iterations, both ends included. Exhaustive: a range has two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IterationRange {
    /// First iteration; `None` for no lower end.
    pub first: Option<i64>,
    /// Last iteration; `None` for no upper end.
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

/// The text is not a range of iterations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRangeError {
    /// An end is not an integer.
    #[error("{0}; write N, A..B, A.. or ..B, both ends included")]
    End(#[from] NameError),
    /// The first iteration is above the last, or both are missing.
    #[error(
        "\"{}\" selects no iteration; write N, A..B, A.. or ..B, both ends included",
        .0.escape_debug()
    )]
    Empty(String),
}

impl FromStr for IterationRange {
    type Err = ParseRangeError;

    /// Reads `1000`, `1000..2000`, `1000..` or `..2000`.
    ///
    /// # Errors
    /// [`ParseRangeError::End`] if an end is not an integer, [`ParseRangeError::Empty`] if the
    /// range holds no iteration.
    fn from_str(text: &str) -> Result<Self, ParseRangeError> {
        let Some((first, last)) = text.split_once("..") else {
            return Ok(name::parse_iteration(text)?.into());
        };
        // An end that is left out is open.
        let end = |text: &str| match text {
            "" => Ok(None),
            text => name::parse_iteration(text).map(Some),
        };
        let range = Self {
            first: end(first)?,
            last: end(last)?,
        };
        match (range.first, range.last) {
            // `..` would select every artifact with an iteration; more likely an end was forgotten.
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
            // One iteration reads back from its bare number, as users write it.
            (Some(first), Some(last)) if first == last => write!(f, "{first}"),
            (first, last) => write!(f, "{}..{}", end(first), end(last)),
        }
    }
}

/// What a filter leaves out: an artifact that matches any part of it is not selected.
///
/// Datasets and parameters that an artifact does not have match nothing, so that it stays selected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Except {
    /// Names of runs.
    pub runs: Vec<Pattern>,
    /// Kinds of artifacts.
    pub kinds: Vec<Kind>,
    /// Datasets, and indices of input and best arrays.
    pub datasets: Vec<Pattern>,
    /// Parameters, and criteria of best arrays.
    pub parameters: Vec<Pattern>,
}

impl Except {
    /// Leaves out runs, by name or pattern.
    #[must_use]
    pub fn runs<P: Into<Pattern>>(mut self, runs: impl IntoIterator<Item = P>) -> Self {
        self.runs = Pattern::list(runs);
        self
    }

    /// Leaves out kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Leaves out datasets, and indices of input and best arrays.
    #[must_use]
    pub fn datasets<P: Into<Pattern>>(mut self, datasets: impl IntoIterator<Item = P>) -> Self {
        self.datasets = Pattern::list(datasets);
        self
    }

    /// Leaves out parameters, and criteria of best arrays.
    #[must_use]
    pub fn parameters<P: Into<Pattern>>(mut self, parameters: impl IntoIterator<Item = P>) -> Self {
        self.parameters = Pattern::list(parameters);
        self
    }
}

/// Selects artifacts; the default selects all but checkpoints.
///
/// The setters replace one part each, so a filter is written as a chain:
///
/// ```
/// use dalsegno::model::filter::Filter;
/// use dalsegno::model::key::Kind;
///
/// let filter = Filter::default()
///     .runs(["mito"])
///     .kinds([Kind::Output])
///     .iterations([1000.into()]);
/// # assert_eq!(filter.kinds, [Kind::Output]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Filter {
    /// Names of runs.
    pub runs: Vec<Pattern>,
    /// What is at these paths or below them. The path of a run means that run, and not the runs
    /// whose folders lie in its folder.
    pub below: Vec<BasePath>,
    /// The runs that have something at one of these paths, or below it: see [`of_runs`].
    ///
    /// [`of_runs`]: Self::of_runs
    pub(crate) runs_at: Vec<BasePath>,
    /// Kinds. An empty list selects every kind but checkpoints; those must be named, or a path in
    /// [`below`](Self::below) that leads into the folder of their run.
    pub kinds: Vec<Kind>,
    /// Iterations. Artifacts without an iteration are selected only if this is empty.
    pub iterations: Vec<IterationRange>,
    /// Datasets, and indices of input and best arrays.
    pub datasets: Vec<Pattern>,
    /// Parameters, and criteria of best arrays.
    pub parameters: Vec<Pattern>,
    /// States that the catalog knows of the data.
    pub states: Vec<State>,
    /// Written longer ago than this, or recorded longer ago if no data was seen. The age is
    /// counted back from the moment at which the catalog is queried.
    pub older_than: Option<Duration>,
    /// Written before this moment, or recorded before it if no data was seen.
    pub written_before: Option<Timestamp>,
    /// Written at this moment or later, or recorded then if no data was seen.
    pub written_since: Option<Timestamp>,
    /// What is not selected although it matches the rest.
    pub except: Except,
    /// Only artifacts that a pin binds.
    pub pinned: bool,
    /// uids that own the data; rows with unknown owner never match.
    pub owners: Vec<u32>,
    /// At least this many bytes; rows with unknown size never match.
    pub min_bytes: Option<u64>,
}

impl Filter {
    /// Selects runs by name or pattern.
    #[must_use]
    pub fn runs<P: Into<Pattern>>(mut self, runs: impl IntoIterator<Item = P>) -> Self {
        self.runs = Pattern::list(runs);
        self
    }

    /// Selects what is at these paths or below them.
    #[must_use]
    pub fn below(mut self, below: impl IntoIterator<Item = BasePath>) -> Self {
        self.below = below.into_iter().collect();
        self
    }

    /// Selects kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Selects iterations.
    #[must_use]
    pub fn iterations(mut self, iterations: impl IntoIterator<Item = IterationRange>) -> Self {
        self.iterations = iterations.into_iter().collect();
        self
    }

    /// Selects datasets, and indices of input and best arrays.
    #[must_use]
    pub fn datasets<P: Into<Pattern>>(mut self, datasets: impl IntoIterator<Item = P>) -> Self {
        self.datasets = Pattern::list(datasets);
        self
    }

    /// Selects parameters, and criteria of best arrays.
    #[must_use]
    pub fn parameters<P: Into<Pattern>>(mut self, parameters: impl IntoIterator<Item = P>) -> Self {
        self.parameters = Pattern::list(parameters);
        self
    }

    /// Selects states.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = State>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// Selects artifacts that were written or recorded longer ago than this; `None` for no limit.
    #[must_use]
    pub fn older_than(mut self, older_than: impl Into<Option<Duration>>) -> Self {
        self.older_than = older_than.into();
        self
    }

    /// Selects artifacts that were written or recorded before this time; `None` for no limit.
    #[must_use]
    pub fn written_before(mut self, written_before: impl Into<Option<Timestamp>>) -> Self {
        self.written_before = written_before.into();
        self
    }

    /// Selects artifacts that were written or recorded at this time or later; `None` for no limit.
    #[must_use]
    pub fn written_since(mut self, written_since: impl Into<Option<Timestamp>>) -> Self {
        self.written_since = written_since.into();
        self
    }

    /// Sets what is not selected although it matches the rest.
    #[must_use]
    pub fn except(mut self, except: Except) -> Self {
        self.except = except;
        self
    }

    /// Selects only artifacts that a pin binds.
    #[must_use]
    pub fn pinned(mut self, pinned: bool) -> Self {
        self.pinned = pinned;
        self
    }

    /// Selects artifacts whose data one of these uids owns.
    #[must_use]
    pub fn owners(mut self, owners: impl IntoIterator<Item = u32>) -> Self {
        self.owners = owners.into_iter().collect();
        self
    }

    /// Selects artifacts of at least this many bytes; `None` for no limit.
    #[must_use]
    pub fn min_bytes(mut self, min_bytes: impl Into<Option<u64>>) -> Self {
        self.min_bytes = min_bytes.into();
        self
    }

    /// The same filter without the parts that looking at the disk can change: state, age, owner and
    /// size. A call that refreshes before it selects refreshes this; with the whole filter it would
    /// not look at the rows whose data was just written.
    #[must_use]
    pub fn without_observed(&self) -> Self {
        Self {
            states: Vec::new(),
            older_than: None,
            written_before: None,
            written_since: None,
            owners: Vec::new(),
            min_bytes: None,
            ..self.clone()
        }
    }

    /// The filter of the same runs, with everything in them but checkpoints.
    pub(crate) fn of_runs(&self) -> Self {
        Self {
            runs: self.runs.clone(),
            runs_at: [self.runs_at.as_slice(), &self.below].concat(),
            except: Except::default().runs(self.except.runs.clone()),
            ..Self::default()
        }
    }

    /// The moment before which an artifact must have been written or recorded, if the filter asks
    /// for age at `now`: the earlier of [`older_than`](Self::older_than), counted back from `now`,
    /// and [`written_before`](Self::written_before).
    #[must_use]
    pub fn cutoff_at(&self, now: Timestamp) -> Option<Timestamp> {
        let by_age = self.older_than.map(|age| now.minus(age));
        // Both conditions must hold, so the earlier moment decides.
        by_age.into_iter().chain(self.written_before).min()
    }

    /// Whether every part is empty: then it selects all artifacts but checkpoints.
    #[must_use]
    pub fn is_all(&self) -> bool {
        // Compared as a whole, so that a new part counts without a line here.
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
