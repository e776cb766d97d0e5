//! Paths that were read from the trash or the catalog.

use crate::error::Error;
use crate::model::layout::{self, Location};
use crate::model::name::{DatasetName, RunName};
use crate::store::{self, StorageError};

/// The location that the folder of a run is looked up by: artifacts are below it, as in a
/// container.
pub(super) fn folder_of_run(run: &RunName) -> Location {
    Location {
        container: run.to_string(),
        array: None,
    }
}

/// Location of the path of an item, from a manifest, `restoring.json` or a row: checked like any
/// name, because another program may have written it. It may also be the whole folder of a run:
/// `is_run` says whether the removal took artifacts of the run of that name.
pub(crate) fn checked_item(path: &str, is_run: impl Fn(&str) -> bool) -> Result<Location, Error> {
    let place = || -> Result<Location, Error> {
        let name: DatasetName = path.parse()?;
        match layout::parse(name.as_str()) {
            Err(_) if is_run(path) => Ok(folder_of_run(&path.parse()?)),
            // A path that the layout cannot read belongs to no artifact.
            Err(error) => Err(error.into()),
            Ok(_) => Ok(layout::split(name.as_str())?),
        }
    };
    // The path was not typed by the user, so the error is about the path, not about a name.
    place().map_err(|_| {
        let path = store::escape(path.as_ref()).into();
        StorageError::Outside { path }.into()
    })
}
