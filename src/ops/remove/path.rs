//! Paths that were read from the trash or the catalog.

use crate::error::Error;
use crate::model::layout::{self, Location};
use crate::model::name::DatasetName;
use crate::store::{self, StorageError};

/// Location of a path from a manifest, `restoring.json` or a row: checked like any name, because
/// another program may have written it.
pub(crate) fn checked_location(path: &str) -> Result<Location, Error> {
    let place = || -> Result<Location, Error> {
        let name: DatasetName = path.parse()?;
        // A path that the layout cannot read belongs to no artifact.
        layout::parse(name.as_str())?;
        Ok(layout::split(name.as_str())?)
    };
    // The path was not typed by the user, so the error is about the path, not about a name.
    place().map_err(|_| {
        let path = store::escape(path.as_ref()).into();
        StorageError::Outside { path }.into()
    })
}
