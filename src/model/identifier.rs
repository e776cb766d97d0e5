//! The identifiers that the array store hands out, as in DaCapo.
//!
//! An identifier is a container's absolute path and, for an array, the path in the container. Data
//! need not exist there.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::key::Key;
use crate::model::layout::{self, Location};

/// An array: a container and the dataset in it.
///
/// `Display` gives `{container}/{dataset}`. Exhaustive: its fields are those of DaCapo's class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalArrayIdentifier {
    /// Absolute path of the zarr or N5 container.
    pub container: PathBuf,
    /// Path of the array in the container, components joined by `/`.
    pub dataset: String,
}

impl LocalArrayIdentifier {
    /// The identifier of a key's array, below a base directory that is absolute. A function of its
    /// arguments alone: no catalog and no disk.
    #[must_use]
    pub fn of(base: &Path, key: &Key) -> Self {
        let Location { container, array } = layout::locate(key);
        Self {
            container: base.join(container),
            // The key of a container has no array; its dataset is empty.
            dataset: array.unwrap_or_default(),
        }
    }

    /// Absolute path of the array's folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.container.join(&self.dataset)
    }
}

impl fmt::Display for LocalArrayIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container.display(), self.dataset)
    }
}

/// A container: a zarr or N5 folder that holds arrays.
///
/// `Display` gives the path. Exhaustive: its field is that of DaCapo's class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalContainerIdentifier {
    /// Absolute path of the container.
    pub container: PathBuf,
}

impl LocalContainerIdentifier {
    /// The identifier of a key's container, below a base directory that is absolute.
    #[must_use]
    pub fn of(base: &Path, key: &Key) -> Self {
        Self {
            container: base.join(layout::locate(key).container),
        }
    }

    /// Gives the identifier of an array in this container.
    ///
    /// Nothing is checked and nothing recorded; `Registry::record_identifier` does both.
    #[must_use]
    pub fn array_identifier(&self, dataset: impl Into<String>) -> LocalArrayIdentifier {
        LocalArrayIdentifier {
            container: self.container.clone(),
            dataset: dataset.into(),
        }
    }

    /// Absolute path of the container's folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.container
    }
}

impl fmt::Display for LocalContainerIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.container.display())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn identifiers_are_values() {
        let container = LocalContainerIdentifier {
            container: "/base/r/snapshot.zarr".into(),
        };
        let array = container.array_identifier("volumes/raw");
        assert_eq!(array.to_string(), "/base/r/snapshot.zarr/volumes/raw");
        assert_eq!(container.to_string(), "/base/r/snapshot.zarr");
        assert_eq!(
            array,
            container.array_identifier(String::from("volumes/raw"))
        );
        assert!(array < container.array_identifier("volumes/target"));
        assert_eq!(HashSet::from([array.clone(), array.clone()]).len(), 1);
        assert_eq!(
            BTreeSet::from([container.clone(), container.clone()]).len(),
            1
        );
        let json = serde_json::to_string(&array).unwrap();
        assert_eq!(
            json,
            r#"{"container":"/base/r/snapshot.zarr","dataset":"volumes/raw"}"#
        );
        assert_eq!(
            serde_json::from_str::<LocalArrayIdentifier>(&json).unwrap(),
            array
        );
    }
}
