//! The items of a removal, as its manifest names them.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::claim::Claim;
use super::folder_attributes::FolderForm;
use crate::model::removal::RemovalId;
use crate::store::dirs::{EntryId, EntryType};

/// A folder or file that a removal moved to the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashItem {
    /// Number of the item, which is its name in the removal's folder.
    pub item: u32,
    /// Path that it had, relative to the base directory.
    pub path: String,
    /// Its type. In a manifest `form`, and left out if it is a folder.
    #[serde(rename = "form", default, skip_serializing_if = "EntryType::is_folder")]
    pub entry_type: EntryType,
    /// Path in the item, if only this part of it is meant, which comes back by itself. `path` is
    /// then that of the part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Groups above it whose consolidated metadata lists it, or what is in it. Paths are relative
    /// to the base directory. Older manifests do not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed_in: Vec<String>,
    /// The folder or file itself: what is moved must be this one.
    #[serde(flatten)]
    pub entry: EntryId,
}

impl TrashItem {
    /// Whether the consolidated metadata of a group above lists it.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        !self.listed_in.is_empty()
    }
}

/// The items of a manifest or note. The rest of a manifest is for people to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestItems {
    /// The removal that it belongs to. Notes do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<RemovalId>,
    /// Who may have written this.
    #[serde(skip)]
    pub claim: Claim,
    /// Whether the folders that the removal emptied stay.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_parents: bool,
    /// What the folders above the items were like. Older manifests do not say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folders: Vec<FolderForm>,
    /// What was moved to the trash, or is being restored.
    pub items: Vec<TrashItem>,
}

impl ManifestItems {
    /// What a note that these items are being restored holds.
    #[must_use]
    pub fn of_note(items: Vec<TrashItem>) -> Self {
        Self {
            items,
            ..Self::default()
        }
    }

    /// The items by their numbers, each with who may have written that.
    #[must_use]
    pub fn by_number(&self) -> HashMap<u32, (&TrashItem, &Claim)> {
        let items = self.items.iter();
        items.map(|item| (item.item, (item, &self.claim))).collect()
    }
}
