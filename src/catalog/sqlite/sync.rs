//! Making names durable.

use std::path::Path;

use crate::catalog::error::CatalogError;
use crate::disk::Folder;

/// Syncs a folder, so that the names in it survive a power cut.
///
/// # Errors
/// [`CatalogError::Io`] if the folder cannot be opened or synced.
pub(in crate::catalog) fn sync_folder(folder: &Path) -> Result<(), CatalogError> {
    Folder::open(folder)
        .and_then(|folder| folder.sync())
        .map_err(|error| CatalogError::io("syncing", folder, error))
}
