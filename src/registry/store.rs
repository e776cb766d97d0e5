//! The registry as DaCapo's array store.

use super::{Registry, Target};
use crate::error::Result;
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
use crate::model::key::Key;
use crate::model::name::DatasetName;
use crate::registry::array_store::ArrayStore;

impl ArrayStore for Registry {
    fn validation_prediction_array(
        &self,
        run_name: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        let (run, dataset) = (run_name.parse()?, dataset.parse()?);
        self.array(&Key::Prediction {
            run,
            iteration,
            dataset,
        })
    }

    fn validation_output_array(
        &self,
        run_name: &str,
        iteration: i64,
        parameters: &str,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        let (run, dataset) = (run_name.parse()?, dataset.parse()?);
        let parameters = parameters.parse()?;
        self.array(&Key::Output {
            run,
            iteration,
            dataset,
            parameters,
        })
    }

    fn validation_input_arrays(
        &self,
        run_name: &str,
        index: Option<&str>,
    ) -> Result<(LocalArrayIdentifier, LocalArrayIdentifier)> {
        let run: crate::model::name::RunName = run_name.parse()?;
        let index: Option<DatasetName> = index.map(str::parse).transpose()?;
        let raw = Key::InputRaw {
            run: run.clone(),
            index: index.clone(),
        };
        let gt = Key::InputGt { run, index };
        Ok((self.array(&raw)?, self.array(&gt)?))
    }

    fn best_validation_array(
        &self,
        run_name: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<LocalArrayIdentifier> {
        let (run, criterion) = (run_name.parse()?, criterion.parse()?);
        let index = index.map(str::parse).transpose()?;
        self.array(&Key::Best {
            run,
            criterion,
            index,
        })
    }

    fn snapshot_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        self.container(&Key::SnapshotContainer {
            run: run_name.parse()?,
        })
    }

    fn validation_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        self.container(&Key::ValidationContainer {
            run: run_name.parse()?,
        })
    }

    fn remove(&self, array_identifier: &LocalArrayIdentifier) -> Result<()> {
        let path = self.location_of(array_identifier)?.path();
        self.remove_artifact(&Target::Path(path.into())).map(|_| ())
    }
}
