//! Who may have put the items of a removal into the trash.

use std::collections::HashMap;
use std::ffi::CStr;

use crate::store::error::StorageError;
use crate::store::trash::{Claim, ManifestItems, TrashFolder, TrashItem};

/// Who may have put each item into the trash.
pub(super) struct Claims<'a> {
    folder: &'a TrashFolder,
    named: HashMap<u32, (&'a TrashItem, &'a Claim)>,
}

impl<'a> Claims<'a> {
    pub(super) fn new(folder: &'a TrashFolder, manifest: Option<&'a ManifestItems>) -> Self {
        let named = manifest.map(ManifestItems::by_number).unwrap_or_default();
        Self { folder, named }
    }

    /// Who may have put this into the removal's folder.
    pub(super) fn of_item(&self, name: &CStr) -> Result<Claim, StorageError> {
        let name = name.to_string_lossy();
        let number: Option<u32> = name.parse().ok();
        let named = number.and_then(|number| self.named.get(&number)).copied();
        self.folder.claim(&name, named)
    }
}
