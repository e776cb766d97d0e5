//! What selections and names mean, and why they mean nothing.

use super::Registry;
use crate::error::Result;
use crate::model::filter::{Filter, Pattern};
use crate::ops::unmatched::{self, Unmatched};

impl Registry {
    /// Returns the runs, datasets and parameters in a filter that nothing recorded has, each with
    /// the most similar known name: such a name is probably mistyped.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched(&self, filter: &Filter) -> Result<Vec<Unmatched>> {
        let several = |count: usize| count > 1;
        let names = [&filter.runs, &filter.datasets, &filter.parameters].map(Vec::len);
        // If something matches every part, a single name in a part is known.
        if !names.into_iter().any(several) && self.names_any(filter)? {
            return Ok(Vec::new());
        }
        unmatched::unmatched(&self.catalog, Some(&self.base), filter, self.clock.now())
    }

    /// Returns the metrics that no score has, each with the most similar one that scores have.
    /// Patterns with `*` and the like are left out.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched_metrics(&self, metrics: &[Pattern]) -> Result<Vec<Unmatched>> {
        unmatched::unmatched_metrics(&self.catalog, metrics)
    }

    /// Whether a filter selects any artifact, whatever its state, age, owner and size.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn names_any(&self, filter: &Filter) -> Result<bool> {
        let named = Filter {
            pinned: false,
            ..filter.without_observed()
        };
        Ok(unmatched::selects_any(
            &self.catalog,
            &named,
            self.clock.now(),
        )?)
    }
}
