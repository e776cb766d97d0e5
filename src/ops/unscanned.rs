//! What the folder of a run holds of which nothing is recorded.

use std::path::PathBuf;

use serde::Serialize;

use crate::error::Error;
use crate::model::key::Kind;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::progress::Silent;
use crate::store::{self, Base, Event, StorageError, WalkOptions};

/// What is on disk of a run of which nothing is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnDisk {
    /// Arrays: a scan adds them.
    Arrays,
    /// Checkpoints and no array: a scan for checkpoints adds them.
    Checkpoints,
    /// A folder without either, for example with logs.
    Others,
}

/// Why a search ends.
enum Stop {
    /// It found an array.
    Found,
    Failed(StorageError),
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

/// Searches the folder of a run until the first array; `None` if there is no such folder.
///
/// # Errors
/// [`Error::Storage`] if the search cannot begin.
pub(crate) fn on_disk(base: &Base, run: &str) -> Result<Option<OnDisk>, Error> {
    // What cannot be the name of a run is not looked for.
    let Ok(name) = run.parse::<RunName>() else {
        return Ok(None);
    };
    if base.is_absent(run) {
        return Ok(None);
    }
    let options = WalkOptions {
        checkpoints: true,
        ..WalkOptions::default()
    };
    let mut found = OnDisk::Others;
    let searched = store::walk_from(base, &[PathBuf::from(run)], options, &Silent, |event| {
        let Event::Found(path, _) = event else {
            return Ok(());
        };
        // Another run may lie in the folder.
        match path.to_str().map(layout::parse) {
            Some(Ok(key)) if *key.run() != name => Ok(()),
            Some(Ok(key)) if key.kind() == Kind::Checkpoint => {
                found = OnDisk::Checkpoints;
                Ok(())
            }
            Some(Ok(_)) => Err(Stop::Found),
            // No row can have it.
            Some(Err(_)) | None => Ok(()),
        }
    });
    match searched {
        Ok(()) => Ok(Some(found)),
        Err(Stop::Found) => Ok(Some(OnDisk::Arrays)),
        Err(Stop::Failed(error)) => Err(error.into()),
    }
}
