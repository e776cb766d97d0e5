//! Paths that were read from the trash or the catalog.

use crate::error::Error;
use crate::model::layout::{self, Location};
use crate::model::name::DatasetName;
use crate::store::{self, StorageError};

/// The place of a path that a manifest, a note or a row gives: checked like any name, because
/// somebody else may have written it.
pub(crate) fn place_of(path: &str) -> Result<Location, Error> {
    let place = || -> Result<Location, Error> {
        let name: DatasetName = path.parse()?;
        // No artifact has a path that reads as none.
        layout::parse(name.as_str())?;
        Ok(layout::split(name.as_str())?)
    };
    // Nobody typed it: what is wrong with a name is no matter of names.
    place().map_err(|_| {
        let path = store::escape(path.as_ref()).into();
        StorageError::Outside { path }.into()
    })
}
