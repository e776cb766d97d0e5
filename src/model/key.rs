//! What an artifact is: its key.
//!
//! A [`Key`] says run, kind, iteration, dataset and parameters, with just the fields that its
//! kind has, so a key that makes no sense cannot be written down. Where the key lies on disk is
//! the business of [`layout`](crate::model::layout).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::name::{ContainerName, DatasetName, Parameters, RunName};

/// The kind of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The raw prediction of a validation.
    Prediction,
    /// A prediction, post-processed with one parameter set.
    Output,
    /// The copy of a validation's raw input.
    InputRaw,
    /// The copy of a validation's ground truth.
    InputGt,
    /// The best output by a criterion.
    Best,
    /// An array of a training snapshot.
    Snapshot,
    /// The container of a run's snapshots.
    SnapshotContainer,
    /// The container of a run's validations.
    ValidationContainer,
    /// An array that the layout knows no better name for.
    Array,
    /// A checkpoint of the training: one file. Only selected where the kind is named.
    Checkpoint,
}

impl Kind {
    /// Every kind, in the order of the catalog's numbers.
    pub const ALL: [Self; 10] = [
        Self::Prediction,
        Self::Output,
        Self::InputRaw,
        Self::InputGt,
        Self::Best,
        Self::Snapshot,
        Self::SnapshotContainer,
        Self::ValidationContainer,
        Self::Array,
        Self::Checkpoint,
    ];

    /// The name that people and JSON use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prediction => "prediction",
            Self::Output => "output",
            Self::InputRaw => "input-raw",
            Self::InputGt => "input-gt",
            Self::Best => "best",
            Self::Snapshot => "snapshot",
            Self::SnapshotContainer => "snapshot-container",
            Self::ValidationContainer => "validation-container",
            Self::Array => "array",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Whether an artifact of this kind is a container rather than an array.
    #[must_use]
    pub fn is_container(self) -> bool {
        matches!(self, Self::SnapshotContainer | Self::ValidationContainer)
    }

    /// Whether an artifact of this kind is one regular file rather than a folder.
    #[must_use]
    pub fn is_file(self) -> bool {
        matches!(self, Self::Checkpoint)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A kind that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind \"{}\"; kinds are {}", .0.escape_debug(), kind_names())]
pub struct UnknownKind(pub String);

fn kind_names() -> String {
    Kind::ALL.map(Kind::as_str).join(", ")
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// What an artifact is.
///

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Key {
    /// Of `ArrayStore::validation_prediction_array`.
    Prediction {
        /// Run.
        run: RunName,
        /// Iteration that was validated.
        iteration: i64,
        /// Dataset that was validated on.
        dataset: DatasetName,
    },
    /// Of `ArrayStore::validation_output_array`.
    Output {
        /// Run.
        run: RunName,
        /// Iteration that was validated.
        iteration: i64,
        /// Dataset that was validated on.
        dataset: DatasetName,
        /// Post-processing parameters.
        parameters: Parameters,
    },
    /// Raw half of `ArrayStore::validation_input_arrays`.
    InputRaw {
        /// Run.
        run: RunName,
        /// Index, where the run has several datasets.
        index: Option<DatasetName>,
    },
    /// Ground truth half of `ArrayStore::validation_input_arrays`.
    InputGt {
        /// Run.
        run: RunName,
        /// Index, where the run has several datasets.
        index: Option<DatasetName>,
    },
    /// Of `ArrayStore::best_validation_array`.
    Best {
        /// Run.
        run: RunName,
        /// Criterion that it is best by.
        criterion: Parameters,
        /// Index, where the run has several datasets.
        index: Option<DatasetName>,
    },
    /// An array in the container of `ArrayStore::snapshot_container`.
    Snapshot {
        /// Run.
        run: RunName,
        /// Iteration, where the path has one.
        iteration: Option<i64>,
        /// What the snapshot shows, such as `volumes/raw`.
        dataset: DatasetName,
    },
    /// Of `ArrayStore::snapshot_container`.
    SnapshotContainer {
        /// Run.
        run: RunName,
    },
    /// Of `ArrayStore::validation_container`.
    ValidationContainer {
        /// Run.
        run: RunName,
    },
    /// An array that the layout cannot read.
    Array {
        /// Run: the folder that the container stands in.
        run: RunName,
        /// Container.
        container: ContainerName,
        /// Path in the container; none for a container that is an array itself.
        dataset: Option<DatasetName>,
    },
    /// A file that DaCapo's `WeightsStore` writes.
    Checkpoint {
        /// Run.
        run: RunName,
        /// Iteration that the weights are of.
        iteration: i64,
    },
}

impl Key {
    /// The run.
    #[must_use]
    pub fn run(&self) -> &RunName {
        match self {
            Self::Prediction { run, .. }
            | Self::Output { run, .. }
            | Self::InputRaw { run, .. }
            | Self::InputGt { run, .. }
            | Self::Best { run, .. }
            | Self::Snapshot { run, .. }
            | Self::SnapshotContainer { run }
            | Self::ValidationContainer { run }
            | Self::Array { run, .. }
            | Self::Checkpoint { run, .. } => run,
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Prediction { .. } => Kind::Prediction,
            Self::Output { .. } => Kind::Output,
            Self::InputRaw { .. } => Kind::InputRaw,
            Self::InputGt { .. } => Kind::InputGt,
            Self::Best { .. } => Kind::Best,
            Self::Snapshot { .. } => Kind::Snapshot,
            Self::SnapshotContainer { .. } => Kind::SnapshotContainer,
            Self::ValidationContainer { .. } => Kind::ValidationContainer,
            Self::Array { .. } => Kind::Array,
            Self::Checkpoint { .. } => Kind::Checkpoint,
        }
    }

    /// The iteration, where the kind has one.
    #[must_use]
    pub fn iteration(&self) -> Option<i64> {
        match self {
            Self::Prediction { iteration, .. }
            | Self::Output { iteration, .. }
            | Self::Checkpoint { iteration, .. } => Some(*iteration),
            Self::Snapshot { iteration, .. } => *iteration,
            _ => None,
        }
    }

    /// The dataset column: dataset, index, or path in an unknown container.
    #[must_use]
    pub fn dataset(&self) -> Option<&DatasetName> {
        match self {
            Self::Prediction { dataset, .. }
            | Self::Output { dataset, .. }
            | Self::Snapshot { dataset, .. } => Some(dataset),
            Self::InputRaw { index, .. }
            | Self::InputGt { index, .. }
            | Self::Best { index, .. } => index.as_ref(),
            Self::Array { dataset, .. } => dataset.as_ref(),
            Self::SnapshotContainer { .. }
            | Self::ValidationContainer { .. }
            | Self::Checkpoint { .. } => None,
        }
    }

    /// The parameters column: parameters or criterion.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters> {
        match self {
            Self::Output { parameters, .. } => Some(parameters),
            Self::Best { criterion, .. } => Some(criterion),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    /// Writes the columns that the key has, as `kind of run, iteration 5, dataset d`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind(), self.run())?;
        if let Some(iteration) = self.iteration() {
            write!(f, ", iteration {iteration}")?;
        }
        if let Some(dataset) = self.dataset() {
            write!(f, ", dataset {dataset}")?;
        }
        if let Some(parameters) = self.parameters() {
            write!(f, ", parameters {parameters}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_read_what_they_write() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        let error = "predictions".parse::<Kind>().unwrap_err();
        assert!(
            error.to_string().contains("prediction, output, input-raw"),
            "{error}"
        );
    }
}
