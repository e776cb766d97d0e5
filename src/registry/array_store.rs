//! DaCapo's `ArrayStore`: the calls that hand out identifiers.

use crate::error::Result;
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};

/// Hands out the places of arrays, with DaCapo's types, method names and paths.
///
/// Source: `dacapo.store.array_store.ArrayStore`. Every call that gives an identifier also records
/// it, once: the same arguments give the same identifier for ever. No call touches data, but for
/// [`remove`](Self::remove).
pub trait ArrayStore {
    /// The array of a validation's raw prediction.
    ///
    /// # Errors
    /// [`Error`](crate::Error) where a name is refused or the catalog fails.
    fn validation_prediction_array(
        &self,
        run_name: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier>;

    /// The array of a validation's output for one parameter set.
    ///
    /// # Errors
    /// [`Error`](crate::Error) where a name is refused or the catalog fails.
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
    /// [`Error`](crate::Error) where a name is refused or the catalog fails.
    fn validation_input_arrays(
        &self,
        run_name: &str,
        index: Option<&str>,
    ) -> Result<(LocalArrayIdentifier, LocalArrayIdentifier)>;

    /// The array of the best output by a criterion.
    ///
    /// # Errors
    /// [`Error`](crate::Error) where a name is refused or the catalog fails.
    fn best_validation_array(
        &self,
        run_name: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<LocalArrayIdentifier>;

    /// The container of a run's snapshots.
    ///
    /// # Errors
    /// [`Error`](crate::Error) where a name is refused or the catalog fails.
    fn snapshot_container(&self, run_name: &str) -> Result<LocalContainerIdentifier>;

    /// The container of a run's validations.
    ///
    /// # Errors
    /// [`Error`](crate::Error) where a name is refused or the catalog fails.
    fn validation_container(&self, run_name: &str) -> Result<LocalContainerIdentifier>;

    /// Removes an array: its row and its data.
    ///
    /// Where the data is gone already the row goes, as in DaCapo. Unlike DaCapo, what the
    /// registry does not know, what lies outside the base directory and what is reached through a
    /// symbolic link is refused.
    ///
    /// # Errors
    /// [`Error`](crate::Error); the row then stays.
    fn remove(&self, array_identifier: &LocalArrayIdentifier) -> Result<()>;
}
