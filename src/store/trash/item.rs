//! What a manifest says of a removal's items.

use serde::{Deserialize, Serialize};

use crate::store::dirs::{EntryId, EntryType};

/// One moved folder or file in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashItem {
    /// Its name in the trash.
    pub item: u32,
    /// Its place, relative to the base directory.
    pub path: String,
    /// What is moved. Where a manifest does not say, it is a folder.
    #[serde(rename = "form", default, skip_serializing_if = "EntryType::is_folder")]
    pub entry_type: EntryType,
    /// Which folder or file it is.
    #[serde(flatten)]
    pub entry: EntryId,
}

/// The items of a manifest; the rest of it is for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ManifestItems {
    /// What lies in the trash, or on its way back.
    pub items: Vec<TrashItem>,
}
