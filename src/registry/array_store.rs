//! DaCapo's `ArrayStore`: the calls that hand out identifiers.

use crate::error::Result;
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};

/// Hands out the paths of arrays, with DaCapo's types, method names and paths.
///
/// Source: `dacapo.store.array_store.ArrayStore`. Every call that gives an identifier also records
/// it, once: the same arguments always give the same identifier. Only [`remove`](Self::remove)
/// touches data.
///
/// The trait is not sealed: a test or another store may implement it.
pub trait ArrayStore {
    /// The array of a validation's raw prediction.
    ///
    /// # Errors
    /// [`Error::Name`](crate::Error::Name) if a name breaks the rules, `path-taken` if another key
    /// has this path, [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written.
    fn validation_prediction_array(
        &self,
        run_name: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier>;

    /// The array of a validation's output for one parameter set.
    ///
    /// # Errors
    /// [`Error::Name`](crate::Error::Name) if a name breaks the rules, `path-taken` if another key
    /// has this path, [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written.
    fn validation_output_array(
        &self,
        run_name: &str,
        iteration: i64,
        parameters: &str,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier>;

    /// The arrays of a validation's raw input and ground truth, in this order.
    ///
    /// # Errors
    /// [`Error::Name`](crate::Error::Name) if a name breaks the rules, `path-taken` if another key
    /// has this path, [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written.
    fn validation_input_arrays(
        &self,
        run_name: &str,
        index: Option<&str>,
    ) -> Result<(LocalArrayIdentifier, LocalArrayIdentifier)>;

    /// The array of the best output by a criterion.
    ///
    /// # Errors
    /// [`Error::Name`](crate::Error::Name) if a name breaks the rules, `path-taken` if another key
    /// has this path, [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written.
    fn best_validation_array(
        &self,
        run_name: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<LocalArrayIdentifier>;

    /// The container of a run's snapshots.
    ///
    /// # Errors
    /// [`Error::Name`](crate::Error::Name) if a name breaks the rules, `path-taken` if another key
    /// has this path, [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written.
    fn snapshot_container(&self, run_name: &str) -> Result<LocalContainerIdentifier>;

    /// The container of a run's validations.
    ///
    /// # Errors
    /// [`Error::Name`](crate::Error::Name) if a name breaks the rules, `path-taken` if another key
    /// has this path, [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be written.
    fn validation_container(&self, run_name: &str) -> Result<LocalContainerIdentifier>;

    /// Removes an array: its row and its data.
    ///
    /// Removes the row even if the data is already gone, and leaves the folders above it, even if
    /// they are empty now: both as DaCapo does. Unlike DaCapo, refuses an
    /// array that the registry has no row for, that is outside the base directory, or that is
    /// reached through a symbolic link.
    ///
    /// # Errors
    /// As [`Registry::remove_target`](crate::Registry::remove_target); row and data are then as
    /// before.
    fn remove(&self, array_identifier: &LocalArrayIdentifier) -> Result<()>;
}
