//! What selections and names mean, and why they mean nothing.

use std::collections::BTreeMap;
use std::path::Path;
#[cfg(feature = "cli")]
use std::path::PathBuf;

use super::Registry;
#[cfg(feature = "cli")]
use crate::catalog::NameOf;
use crate::catalog::ScoreQuery;
use crate::error::Result;
use crate::model::artifact::Artifact;
use crate::model::filter::{Filter, Pattern};
#[cfg(feature = "cli")]
use crate::model::key::Kind;
use crate::model::name::BasePath;
use crate::model::operation::HistoryFilter;
#[cfg(feature = "cli")]
use crate::model::progress::Monitor;
use crate::ops::scan;
#[cfg(feature = "cli")]
use crate::ops::seal_places;
use crate::ops::target;
use crate::ops::unmatched::{self, Unmatched};

impl Registry {
    /// Reads a path, absolute or relative to the base directory, for
    /// [`Filter::below`]. Nothing needs to be recorded there.
    ///
    /// # Errors
    /// [`Error::OutsideBase`](crate::Error::OutsideBase) if it is not below the base directory,
    /// [`Error::Name`](crate::Error::Name) if it cannot be the path of a run or of anything in one.
    pub fn base_path(&self, path: impl AsRef<Path>) -> Result<BasePath> {
        target::base_path(&self.base, path.as_ref())
    }

    /// Returns the artifact at a path or, if there is none, those below it, such as those of a run
    /// or of an iteration. Checkpoints are among them only if the path leads into the folder of
    /// their run.
    ///
    /// # Errors
    /// As [`base_path`](Self::base_path), and [`Error::Catalog`](crate::Error::Catalog) if the
    /// catalog cannot be read.
    pub fn at(&self, path: impl AsRef<Path>) -> Result<Vec<Artifact>> {
        target::at_or_below(&self.catalog, &self.base, path.as_ref(), self.clock.now())
    }

    /// Returns the arrays on disk at a path, or below it, of which nothing is recorded.
    ///
    /// # Errors
    /// As [`at`](Self::at); [`Error::Storage`](crate::Error::Storage) if something there cannot be
    /// read.
    #[cfg(feature = "cli")]
    pub(crate) fn unrecorded_at(&self, path: &Path, monitor: &dyn Monitor) -> Result<Vec<PathBuf>> {
        let now = self.clock.now();
        seal_places::unrecorded_at(&self.catalog, &self.base, path, now, monitor)
    }

    /// Returns the runs on disk that paths name, for
    /// [`ScanOptions::runs`](crate::ScanOptions::runs): the run at a path, the run that it is in,
    /// or those in a folder of runs, by a pattern. A path at which there is no run is given as it
    /// is.
    #[must_use]
    pub fn runs_to_scan(&self, paths: &[BasePath]) -> Vec<Pattern> {
        let run_at = |path: &BasePath| scan::run_at(&self.base, path);
        paths.iter().map(run_at).collect()
    }

    /// Narrows a filter to what is at these paths or below them. If they are runs, and the filter
    /// names no other, it names these then.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn narrowed(&self, filter: Filter, paths: &[BasePath]) -> Result<Filter> {
        unmatched::narrowed(&self.catalog, filter, paths, self.clock.now())
    }

    /// Refuses a filter in which the name of a run, selected or left out, is the path of what is in
    /// a run. Such a path alone goes into [`Filter::below`].
    ///
    /// # Errors
    /// [`Error::BelowRun`](crate::Error::BelowRun) for the first;
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn require_runs(&self, filter: &Filter) -> Result<()> {
        let names = filter.runs.iter().chain(&filter.except.runs);
        let names = names.map(Pattern::as_str);
        unmatched::require_runs(&self.catalog, names, self.clock.now())
    }

    /// Returns the run whose folder a path is, or is in, relative to the base directory.
    #[cfg(feature = "cli")]
    pub(crate) fn run_above(&self, path: &str) -> Result<Option<String>> {
        Ok(unmatched::run_above(&self.catalog, path, self.clock.now())?)
    }

    /// Returns the runs, paths, datasets and parameters in a filter that nothing recorded has, each
    /// with the most similar known name: such a name is probably mistyped.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched(&self, filter: &Filter) -> Result<Vec<Unmatched>> {
        let several = |count: usize| count > 1;
        let names = [&filter.runs, &filter.datasets, &filter.parameters].map(Vec::len);
        let names = names.into_iter().chain([filter.below.len()]);
        // If something matches every part, a single name in a part is known.
        if !names.into_iter().any(several) && self.names_any(filter)? {
            return Ok(Vec::new());
        }
        unmatched::unmatched(&self.catalog, Some(&self.base), filter, self.clock.now())
    }

    /// Returns the names that a filter leaves out and that nothing recorded has, each with the most
    /// similar known name. Patterns may match nothing, and so may runs of which all is gone.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched_exclusions(&self, filter: &Filter) -> Result<Vec<Unmatched>> {
        unmatched::unmatched_exclusions(&self.catalog, filter, self.clock.now())
    }

    /// Returns the metrics that no score has, each with the most similar one that scores have.
    /// Patterns with `*` and the like are left out.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched_metrics(&self, metrics: &[Pattern]) -> Result<Vec<Unmatched>> {
        unmatched::unmatched_metrics(&self.catalog, metrics)
    }

    /// Returns the names in a query of scores that neither a score nor anything recorded has, and
    /// the metrics that no score has.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched_scores(&self, query: &ScoreQuery<'_>) -> Result<Vec<Unmatched>> {
        unmatched::unmatched_scores(&self.catalog, &self.base, query, self.clock.now())
    }

    /// Returns the runs and users in a filter of the history that it does not know.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn unmatched_history(&self, filter: &HistoryFilter) -> Result<Vec<Unmatched>> {
        unmatched::unmatched_history(&self.catalog, &self.base, filter, self.clock.now())
    }

    /// Names that begin with a text, sorted, at most some thousands.
    #[cfg(feature = "cli")]
    pub(crate) fn names(&self, of: NameOf, start: &str) -> Result<Vec<String>> {
        Ok(self.catalog.names(of, start)?)
    }

    /// Names that artifacts of a selection have and that begin with a text, sorted.
    #[cfg(feature = "cli")]
    pub(crate) fn names_of(&self, of: NameOf, start: &str, filter: &Filter) -> Result<Vec<String>> {
        Ok(self.catalog.names_of(of, start, filter, self.clock.now())?)
    }

    /// Kinds that artifacts of a selection have.
    #[cfg(feature = "cli")]
    pub(crate) fn kinds_of(&self, filter: &Filter) -> Result<Vec<Kind>> {
        Ok(self.catalog.kinds_of(filter, self.clock.now())?)
    }

    /// Iterations of runs, sorted; of every run if there are no patterns.
    #[cfg(feature = "cli")]
    pub(crate) fn iterations_of(&self, runs: &[Pattern]) -> Result<Vec<i64>> {
        Ok(self.catalog.iterations_of(runs)?)
    }

    /// Numbers of the newest operations, the newest first.
    #[cfg(feature = "cli")]
    pub(crate) fn newest_operations(&self, most: u32) -> Result<Vec<i64>> {
        Ok(self.catalog.newest_operations(most)?)
    }

    /// Numbers of the newest operations that can be undone, at most so many, the newest first.
    #[cfg(feature = "cli")]
    pub(crate) fn undoable(&self, most: usize) -> Result<Vec<i64>> {
        crate::ops::undo::undoable(&self.catalog, &self.base, most)
    }

    /// Names of the metrics that any score has.
    #[cfg(feature = "cli")]
    pub(crate) fn metrics(&self) -> Result<Vec<String>> {
        Ok(self.catalog.scored_metrics()?)
    }

    /// Counts the artifacts of a selection, by run; runs without any are left out.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    pub fn count_of_runs(&self, filter: &Filter) -> Result<BTreeMap<String, u64>> {
        Ok(self.catalog.count_of_runs(filter, self.clock.now())?)
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

    /// Counts the arrays and checkpoints of a selection that are missing.
    #[cfg(feature = "cli")]
    pub(crate) fn count_missing(&self, filter: &Filter) -> Result<u64> {
        Ok(self.catalog.count_missing(filter, self.clock.now())?)
    }
}
