//! Setters of policies, so that callers can write one in one expression.
//!
//! ```
//! use dalsegno::model::key::Kind;
//! use dalsegno::retention::{KeepRules, Policy, SelectRules};
//!
//! let policy = Policy::default()
//!     .select(SelectRules::default().kinds([Kind::Prediction]))
//!     .keep(KeepRules::default().last(2).every(3000));
//! assert_eq!(policy.to_string(), "keep-last 2, keep-every 3000");
//! ```

use std::time::Duration;

use super::metric::Metric;
use super::min_free::MinFree;
use super::policy::{KeepBest, KeepRules, Limits, Policy, RunPolicy, SelectRules};
use crate::model::filter::IterationRange;
use crate::model::key::Kind;

impl Policy {
    /// Sets what may be removed at all.
    #[must_use]
    pub fn select(mut self, select: SelectRules) -> Self {
        self.select = select;
        self
    }

    /// Sets the rules that keep.
    #[must_use]
    pub fn keep(mut self, keep: KeepRules) -> Self {
        self.keep = keep;
        self
    }

    /// Sets the limits on what is left.
    #[must_use]
    pub fn limit(mut self, limit: Limits) -> Self {
        self.limit = limit;
        self
    }

    /// Sets whether a plan may remove everything that a group has.
    #[must_use]
    pub fn allow_empty_group(mut self, allow_empty_group: bool) -> Self {
        self.allow_empty_group = allow_empty_group;
        self
    }
}

impl SelectRules {
    /// Selects only artifacts that are older.
    #[must_use]
    pub fn older_than(mut self, older_than: Duration) -> Self {
        self.older_than = Some(older_than);
        self
    }

    /// Selects only these iterations.
    #[must_use]
    pub fn iterations(mut self, iterations: impl IntoIterator<Item = IterationRange>) -> Self {
        self.iterations = iterations.into_iter().collect();
        self
    }

    /// Selects only these kinds.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets whether only arrays whose metadata cannot be read are selected.
    #[must_use]
    pub fn damaged(mut self, damaged: bool) -> Self {
        self.damaged = damaged;
        self
    }
}

impl KeepRules {
    /// Keeps this many of the highest iterations.
    #[must_use]
    pub fn last(mut self, last: u64) -> Self {
        self.last = Some(last);
        self
    }

    /// Keeps this many of the lowest iterations.
    #[must_use]
    pub fn first(mut self, first: u64) -> Self {
        self.first = Some(first);
        self
    }

    /// Keeps iterations that are divisible by this.
    #[must_use]
    pub fn every(mut self, every: u64) -> Self {
        self.every = Some(every);
        self
    }

    /// Keeps these iterations.
    #[must_use]
    pub fn iterations(mut self, iterations: impl IntoIterator<Item = i64>) -> Self {
        self.iterations = iterations.into_iter().collect();
        self
    }

    /// Keeps what was written within this time.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// Keeps what has the best scores.
    #[must_use]
    pub fn best(mut self, best: KeepBest) -> Self {
        self.best = Some(best);
        self
    }
}

impl Limits {
    /// Allows at most this many bytes.
    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = Some(max_bytes);
        self
    }

    /// Allows at most this many files.
    #[must_use]
    pub fn max_files(mut self, max_files: u64) -> Self {
        self.max_files = Some(max_files);
        self
    }

    /// Asks for this much free space on the file system: bytes, or a percentage of its size.
    #[must_use]
    pub fn min_free(mut self, min_free: impl Into<MinFree>) -> Self {
        self.min_free = Some(min_free.into());
        self
    }
}

impl RunPolicy {
    /// Lets only runs go whose newest artifact is older.
    #[must_use]
    pub fn older_than(mut self, older_than: Duration) -> Self {
        self.older_than = Some(older_than);
        self
    }

    /// Keeps this many of the runs with the newest artifacts.
    #[must_use]
    pub fn last(mut self, last: u64) -> Self {
        self.last = Some(last);
        self
    }

    /// Keeps runs whose newest artifact was written within this time.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = Some(within);
        self
    }

    /// Sets the limits on what is left.
    #[must_use]
    pub fn limit(mut self, limit: Limits) -> Self {
        self.limit = limit;
        self
    }

    /// Sets whether a plan may remove every selected run.
    #[must_use]
    pub fn allow_empty_group(mut self, allow_empty_group: bool) -> Self {
        self.allow_empty_group = allow_empty_group;
        self
    }
}

impl KeepBest {
    /// Keeps the `count` best scores by a metric.
    #[must_use]
    pub fn new(count: u64, metric: Metric) -> Self {
        Self {
            count,
            metric,
            with: Vec::new(),
        }
    }

    /// Keeps these kinds together with the ranked artifacts that stay.
    #[must_use]
    pub fn with(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.with = kinds.into_iter().collect();
        self
    }
}
