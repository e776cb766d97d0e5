//! Keys: what identifies an artifact.
//!
//! A [`Key`] has a run, a kind, and just those of iteration, dataset, parameters and container that
//! its kind has, so a key that makes no sense cannot be made. [`layout`](crate::model::layout)
//! gives its path.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::name::{ContainerName, DatasetName, Parameters, RunName, VALIDATION_CONTAINER};
use crate::model::nearest::{did_you_mean, nearest};

/// The kind of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// The raw prediction of a validation.
    Prediction,
    /// A prediction, post-processed with one parameter set.
    Output,
    /// A copy of the raw input of a run's validations.
    InputRaw,
    /// A copy of the ground truth of a run's validations.
    InputGt,
    /// The best output by a criterion.
    Best,
    /// An array of a training snapshot.
    Snapshot,
    /// The container of a run's snapshots.
    SnapshotContainer,
    /// The container of a run's validations.
    ValidationContainer,
    /// An array whose path fits no other kind.
    Array,
    /// A checkpoint of the training: one file. Filters select it only if they name the kind.
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

    /// The name of the kind in text and JSON.
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

    /// Which fields the keys of this kind have beside the run, in the order of [`Field::ALL`].
    #[must_use]
    pub fn fields(self) -> [(Field, Presence); 4] {
        use Presence::{Absent, Optional, Required};
        let [iteration, dataset, parameters, container] = match self {
            // One arm a kind, so that the compiler asks for the fields of a new one.
            // Without a container it is that of a run's validations.
            Self::Prediction => [Required, Required, Absent, Optional],
            Self::Output => [Required, Required, Required, Optional],
            Self::InputRaw | Self::InputGt => [Absent, Optional, Absent, Absent],
            // Its criterion takes the place of parameters, its index that of a dataset.
            Self::Best => [Absent, Optional, Required, Absent],
            Self::Snapshot => [Optional, Required, Absent, Absent],
            Self::SnapshotContainer | Self::ValidationContainer => [Absent; 4],
            // A container that is an array itself has no dataset.
            Self::Array => [Absent, Optional, Absent, Required],
            Self::Checkpoint => [Required, Absent, Absent, Absent],
        };
        [
            (Field::Iteration, iteration),
            (Field::Dataset, dataset),
            (Field::Parameters, parameters),
            (Field::Container, container),
        ]
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

/// The text does not name a kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind \"{}\"; kinds are {}{}",
    .0.escape_debug(),
    kind_names(),
    did_you_mean(nearest(.0, Kind::ALL.map(Kind::as_str)))
)]
#[non_exhaustive]
pub struct ParseKindError(pub String);

fn kind_names() -> String {
    Kind::ALL.map(Kind::as_str).join(", ")
}

impl<'de> Deserialize<'de> for Kind {
    /// Reads the name as text only; a derived reader would also take a table such as
    /// `{ prediction = {} }`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, ParseKindError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| ParseKindError(text.to_owned()))
    }
}

/// A field of a key beside kind and run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Field {
    /// Iteration of the training.
    Iteration,
    /// Dataset, index of an input or best array, or path in a container.
    Dataset,
    /// Post-processing parameters, or the criterion of a best array.
    Parameters,
    /// Folder name of the container in its run.
    Container,
}

impl Field {
    /// Every field, in the order of listings.
    pub const ALL: [Self; 4] = [
        Self::Iteration,
        Self::Dataset,
        Self::Parameters,
        Self::Container,
    ];

    /// The name of the column, the JSON field and the flag.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Iteration => "iteration",
            Self::Dataset => "dataset",
            Self::Parameters => "parameters",
            Self::Container => "container",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the keys of a kind have a field. Exhaustive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Presence {
    /// Every key of the kind has it.
    Required,
    /// Some keys of the kind have it.
    Optional,
    /// No key of the kind has it.
    Absent,
}

/// The fields of a key beside kind and run, each present or not: the columns of a row, or what a
/// caller gave. [`Key::from_parts`] makes a key of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KeyParts {
    /// Iteration of the training.
    pub iteration: Option<i64>,
    /// Dataset, index of an input or best array, or path in a container.
    pub dataset: Option<DatasetName>,
    /// Post-processing parameters, or the criterion of a best array.
    pub parameters: Option<Parameters>,
    /// Folder name of the container in its run.
    pub container: Option<ContainerName>,
}

impl KeyParts {
    /// Sets the iteration.
    #[must_use]
    pub fn iteration(mut self, iteration: impl Into<Option<i64>>) -> Self {
        self.iteration = iteration.into();
        self
    }

    /// Sets the dataset.
    #[must_use]
    pub fn dataset(mut self, dataset: impl Into<Option<DatasetName>>) -> Self {
        self.dataset = dataset.into();
        self
    }

    /// Sets the parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: impl Into<Option<Parameters>>) -> Self {
        self.parameters = parameters.into();
        self
    }

    /// Sets the folder name of the container.
    #[must_use]
    pub fn container(mut self, container: impl Into<Option<ContainerName>>) -> Self {
        self.container = container.into();
        self
    }

    fn has(&self, field: Field) -> bool {
        match field {
            Field::Iteration => self.iteration.is_some(),
            Field::Dataset => self.dataset.is_some(),
            Field::Parameters => self.parameters.is_some(),
            Field::Container => self.container.is_some(),
        }
    }
}

/// Fields that make no key of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A field that the kind requires is missing.
    #[error("the kind {kind} needs {field}; it takes {}", taken(*kind))]
    Missing {
        /// Kind of the key.
        kind: Kind,
        /// The missing field.
        field: Field,
    },
    /// The kind does not have a field that was given.
    #[error("the kind {kind} takes no {field}; it takes {}", taken(*kind))]
    Unexpected {
        /// Kind of the key.
        kind: Kind,
        /// The field that is too much.
        field: Field,
    },
}

/// The fields of a kind in words, such as `run, dataset and optionally iteration`.
fn taken(kind: Kind) -> String {
    // From `fields`, so that the text cannot differ from the check.
    let with = |wanted: Presence| {
        let fields = kind.fields().into_iter();
        fields.filter_map(move |(field, presence)| (presence == wanted).then_some(field.as_str()))
    };
    let required: Vec<&str> = std::iter::once("run")
        .chain(with(Presence::Required))
        .collect();
    let mut words = required.join(", ");
    for field in with(Presence::Optional) {
        words.push_str(" and optionally ");
        words.push_str(field);
    }
    words
}

/// Identifies an artifact: run, kind, and the fields that its kind has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Key {
    /// The array of `ArrayStore::validation_prediction_array`.
    Prediction {
        /// Name of the run.
        run: RunName,
        /// Iteration that was validated.
        iteration: i64,
        /// Dataset that was validated on.
        dataset: DatasetName,
        /// Folder name of the container in the run; `None` means `validation.zarr`, that of
        /// DaCapo's store.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "other"
        )]
        container: Option<ContainerName>,
    },
    /// The array of `ArrayStore::validation_output_array`.
    Output {
        /// Name of the run.
        run: RunName,
        /// Iteration that was validated.
        iteration: i64,
        /// Dataset that was validated on.
        dataset: DatasetName,
        /// Post-processing parameters.
        parameters: Parameters,
        /// Folder name of the container in the run; `None` means `validation.zarr`, that of
        /// DaCapo's store.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "other"
        )]
        container: Option<ContainerName>,
    },
    /// The raw array of `ArrayStore::validation_input_arrays`.
    InputRaw {
        /// Name of the run.
        run: RunName,
        /// Index, if the run has several datasets.
        index: Option<DatasetName>,
    },
    /// The ground truth of `ArrayStore::validation_input_arrays`.
    InputGt {
        /// Name of the run.
        run: RunName,
        /// Index, if the run has several datasets.
        index: Option<DatasetName>,
    },
    /// The array of `ArrayStore::best_validation_array`.
    Best {
        /// Name of the run.
        run: RunName,
        /// Criterion by which it is the best.
        criterion: Parameters,
        /// Index, if the run has several datasets.
        index: Option<DatasetName>,
    },
    /// An array in the container of `ArrayStore::snapshot_container`.
    Snapshot {
        /// Name of the run.
        run: RunName,
        /// Iteration, if the path has one.
        iteration: Option<i64>,
        /// What the snapshot shows, such as `volumes/raw`.
        dataset: DatasetName,
    },
    /// The container of `ArrayStore::snapshot_container`.
    SnapshotContainer {
        /// Name of the run.
        run: RunName,
    },
    /// The container of `ArrayStore::validation_container`.
    ValidationContainer {
        /// Name of the run.
        run: RunName,
    },
    /// An array whose path fits no other kind.
    Array {
        /// Run: the folder of the container.
        run: RunName,
        /// Folder name of the container in the run.
        container: ContainerName,
        /// Path in the container; `None` if the container is an array itself.
        dataset: Option<DatasetName>,
    },
    /// A file that DaCapo's `WeightsStore` writes.
    Checkpoint {
        /// Name of the run.
        run: RunName,
        /// Iteration of the weights.
        iteration: i64,
    },
}

impl Key {
    /// Makes a key of a kind from its fields.
    ///
    /// # Errors
    /// [`KeyError::Missing`] if a field that the kind requires is `None`, [`KeyError::Unexpected`]
    /// if a field is given that the kind does not have; the first such field of [`Field::ALL`].
    pub fn from_parts(kind: Kind, run: RunName, parts: KeyParts) -> Result<Self, KeyError> {
        // In the order of `Field::ALL`, so that of several faults always the same is reported.
        for (field, presence) in kind.fields() {
            match presence {
                Presence::Required if !parts.has(field) => {
                    return Err(KeyError::Missing { kind, field });
                }
                Presence::Absent if parts.has(field) => {
                    return Err(KeyError::Unexpected { kind, field });
                }
                _ => {}
            }
        }
        // Every field is as the kind wants it; `ok_or` only moves it out of its `Option`.
        let KeyParts {
            iteration,
            dataset,
            parameters,
            container,
        } = parts;
        let missing = |field| KeyError::Missing { kind, field };
        let iteration_of = || iteration.ok_or(missing(Field::Iteration));
        Ok(match kind {
            Kind::Prediction => Self::Prediction {
                run,
                iteration: iteration_of()?,
                dataset: dataset.ok_or(missing(Field::Dataset))?,
                container: beside_validations(container),
            },
            Kind::Output => Self::Output {
                run,
                iteration: iteration_of()?,
                dataset: dataset.ok_or(missing(Field::Dataset))?,
                parameters: parameters.ok_or(missing(Field::Parameters))?,
                container: beside_validations(container),
            },
            Kind::InputRaw => Self::InputRaw {
                run,
                index: dataset,
            },
            Kind::InputGt => Self::InputGt {
                run,
                index: dataset,
            },
            // Criterion and index use the columns of parameters and dataset.
            Kind::Best => Self::Best {
                run,
                criterion: parameters.ok_or(missing(Field::Parameters))?,
                index: dataset,
            },
            Kind::Snapshot => Self::Snapshot {
                run,
                iteration,
                dataset: dataset.ok_or(missing(Field::Dataset))?,
            },
            Kind::SnapshotContainer => Self::SnapshotContainer { run },
            Kind::ValidationContainer => Self::ValidationContainer { run },
            Kind::Array => Self::Array {
                run,
                container: container.ok_or(missing(Field::Container))?,
                dataset,
            },
            Kind::Checkpoint => Self::Checkpoint {
                run,
                iteration: iteration_of()?,
            },
        })
    }

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

    /// The same in another run.
    pub(crate) fn with_run(mut self, name: RunName) -> Self {
        match &mut self {
            Self::Prediction { run, .. }
            | Self::Output { run, .. }
            | Self::InputRaw { run, .. }
            | Self::InputGt { run, .. }
            | Self::Best { run, .. }
            | Self::Snapshot { run, .. }
            | Self::SnapshotContainer { run }
            | Self::ValidationContainer { run }
            | Self::Array { run, .. }
            | Self::Checkpoint { run, .. } => *run = name,
        }
        self
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

    /// The iteration, if the key has one.
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

    /// The dataset column: the dataset, the index of an input or best array, or the path of an
    /// array in its container.
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

    /// The folder name of the container in the run, if the key has one.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerName> {
        match self {
            Self::Prediction { container, .. } | Self::Output { container, .. } => {
                container.as_ref()
            }
            Self::Array { container, .. } => Some(container),
            _ => None,
        }
    }

    /// The parameters column: the parameters, or the criterion of a best array.
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
    /// Writes the fields of the key, such as `prediction of r, iteration 5, dataset d`.
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
        // Without it, the keys of a prediction in two containers would be written alike.
        if let Self::Prediction { container, .. } | Self::Output { container, .. } = self
            && let Some(container) = container
        {
            write!(f, ", container {container}")?;
        }
        Ok(())
    }
}

/// The container of a prediction or an output, if it is not that of a run's validations.
fn beside_validations(container: Option<ContainerName>) -> Option<ContainerName> {
    container.filter(|container| container.as_str() != VALIDATION_CONTAINER)
}

fn other<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContainerName>, D::Error> {
    Option::deserialize(deserializer).map(beside_validations)
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

    fn parts(fields: &[Field]) -> KeyParts {
        let has = |field| fields.contains(&field);
        KeyParts {
            iteration: has(Field::Iteration).then_some(7),
            dataset: has(Field::Dataset).then(|| "d".parse().unwrap()),
            parameters: has(Field::Parameters).then(|| "p".parse().unwrap()),
            container: has(Field::Container).then(|| "c.zarr".parse().unwrap()),
        }
    }

    /// Every kind with every set of fields: the key has what was given, or the error names the
    /// first field that the kind's list of fields forbids or misses.
    #[test]
    fn a_key_is_made_of_just_the_fields_that_its_kind_has() {
        let run: RunName = "r".parse().unwrap();
        for kind in Kind::ALL {
            for set in 0..16_usize {
                let given: Vec<Field> = Field::ALL
                    .into_iter()
                    .enumerate()
                    .filter_map(|(at, field)| (set >> at & 1 == 1).then_some(field))
                    .collect();
                let wrong = kind.fields().into_iter().find_map(|(field, presence)| {
                    match (presence, given.contains(&field)) {
                        (Presence::Required, false) => Some(KeyError::Missing { kind, field }),
                        (Presence::Absent, true) => Some(KeyError::Unexpected { kind, field }),
                        _ => None,
                    }
                });
                let parts = parts(&given);
                match (Key::from_parts(kind, run.clone(), parts.clone()), wrong) {
                    (Ok(key), None) => {
                        assert_eq!((key.kind(), key.run()), (kind, &run));
                        assert_eq!(key.iteration(), parts.iteration);
                        assert_eq!(key.dataset(), parts.dataset.as_ref());
                        assert_eq!(key.parameters(), parts.parameters.as_ref());
                        assert_eq!(key.container(), parts.container.as_ref());
                    }
                    (made, wrong) => assert_eq!(made.err(), wrong, "{kind} of {given:?}"),
                }
            }
        }
    }

    #[test]
    fn an_error_says_which_field_and_what_the_kind_takes() {
        let error = |kind, fields: &[Field]| {
            let made = Key::from_parts(kind, "r".parse().unwrap(), parts(fields));
            made.unwrap_err().to_string()
        };
        assert_eq!(
            error(Kind::Output, &[Field::Iteration, Field::Dataset]),
            "the kind output needs parameters; it takes run, iteration, dataset, parameters and \
             optionally container"
        );
        assert_eq!(
            error(Kind::Best, &[Field::Iteration]),
            "the kind best takes no iteration; it takes run, parameters and optionally dataset"
        );
    }
}
