//! The registry as DaCapo's array store.

use super::{Registry, Target};
use crate::error::Result;
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
use crate::model::layout::{self, LayoutError};
use crate::model::progress::Silent;
use crate::ops::remove::RemoveOptions;
use crate::registry::array_store::ArrayStore;

/// The keys of the calls of [`ArrayStore`].
pub(super) mod keys {
    use crate::model::key::Key;
    use crate::model::name::{DatasetName, NameError, RunName};

    pub(in crate::registry) fn prediction(
        run: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<Key, NameError> {
        Ok(Key::Prediction {
            run: run.parse()?,
            iteration,
            dataset: dataset.parse()?,
            container: None,
        })
    }

    pub(in crate::registry) fn output(
        run: &str,
        iteration: i64,
        parameters: &str,
        dataset: &str,
    ) -> Result<Key, NameError> {
        Ok(Key::Output {
            run: run.parse()?,
            iteration,
            dataset: dataset.parse()?,
            parameters: parameters.parse()?,
            container: None,
        })
    }

    /// Raw input and ground truth.
    pub(in crate::registry) fn inputs(
        run: &str,
        index: Option<&str>,
    ) -> Result<[Key; 2], NameError> {
        let run: RunName = run.parse()?;
        let index: Option<DatasetName> = index.map(str::parse).transpose()?;
        let raw = Key::InputRaw {
            run: run.clone(),
            index: index.clone(),
        };
        Ok([raw, Key::InputGt { run, index }])
    }

    pub(in crate::registry) fn best(
        run: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<Key, NameError> {
        Ok(Key::Best {
            run: run.parse()?,
            criterion: criterion.parse()?,
            index: index.map(str::parse).transpose()?,
        })
    }

    pub(in crate::registry) fn snapshot_container(run: &str) -> Result<Key, NameError> {
        Ok(Key::SnapshotContainer { run: run.parse()? })
    }

    pub(in crate::registry) fn validation_container(run: &str) -> Result<Key, NameError> {
        Ok(Key::ValidationContainer { run: run.parse()? })
    }
}

impl ArrayStore for Registry {
    fn validation_prediction_array(
        &self,
        run_name: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        self.array(&keys::prediction(run_name, iteration, dataset)?)
    }

    fn validation_output_array(
        &self,
        run_name: &str,
        iteration: i64,
        parameters: &str,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        // DaCapo's call has the parameters before the dataset.
        self.array(&keys::output(run_name, iteration, parameters, dataset)?)
    }

    fn validation_input_arrays(
        &self,
        run_name: &str,
        index: Option<&str>,
    ) -> Result<(LocalArrayIdentifier, LocalArrayIdentifier)> {
        let [raw, gt] = keys::inputs(run_name, index)?;
        Ok((self.array(&raw)?, self.array(&gt)?))
    }

    fn best_validation_array(
        &self,
        run_name: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<LocalArrayIdentifier> {
        self.array(&keys::best(run_name, criterion, index)?)
    }

    fn snapshot_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        self.container(&keys::snapshot_container(run_name)?)
    }

    fn validation_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        self.container(&keys::validation_container(run_name)?)
    }

    fn remove(&self, array_identifier: &LocalArrayIdentifier) -> Result<()> {
        let path = self.location_of(array_identifier)?.path();
        // As DaCapo, which removes arrays of containers alone.
        let container = array_identifier.container.as_os_str();
        if !container.to_str().is_some_and(layout::is_container) {
            return Err(LayoutError::NoContainer { path }.into());
        }
        // DaCapo leaves the folders, and its next validation writes into them.
        let options = RemoveOptions::default().keep_parents(true);
        self.remove_target(&Target::Path(path.into()), &options, &Silent)
            .map(|_| ())
    }
}
