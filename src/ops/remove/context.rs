//! Context of a removal.

use std::time::Duration;

use super::plan::PlannedItem;
use crate::catalog::{Catalog, CatalogError, OpenRemoval};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::progress::Monitor;
use crate::model::removal::{RemovalState, TrashKeep};
use crate::store::{Base, LookFor, TrashItem};

/// Context of a removal.
#[derive(Clone, Copy)]
pub(crate) struct Removing<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) base: &'a Base,
    /// Whether the base directory has the registry's folder, which holds the trash.
    pub(crate) has_folder: bool,
    /// How long the configuration keeps removed data; `None` if it does not say.
    pub(crate) keep: Option<Duration>,
    pub(crate) now: Timestamp,
    pub(crate) monitor: &'a dyn Monitor,
}

impl Removing<'_> {
    /// State of a removal that moved data, at its commit.
    pub(super) fn state_of(&self, keep: TrashKeep) -> OpenRemoval {
        let (state, purge_after) = match keep.resolve(self.keep) {
            TrashKeep::UntilEmptied => (RemovalState::Kept, None),
            TrashKeep::For(time) => (RemovalState::Kept, Some(self.now.plus(time))),
            // `resolve` never gives the second.
            TrashKeep::No | TrashKeep::Configured => (RemovalState::Purging, None),
        };
        OpenRemoval { state, purge_after }
    }

    /// What to look for in the data before it is moved: kept data is not unlinked yet.
    pub(super) fn look_for(&self, keep: TrashKeep) -> LookFor {
        match self.state_of(keep).state {
            RemovalState::Kept => LookFor::Registries,
            _ => LookFor::Closed,
        }
    }

    /// Refuses to remove without a place for the trash.
    pub(crate) fn require_folder(&self) -> Result<(), Error> {
        match self.has_folder {
            true => Ok(()),
            false => Err(Error::NoFolder {
                base: self.base.path().to_path_buf(),
            }),
        }
    }

    /// Ends a removal that its monitor cancels. Called before each step until the commit, because
    /// until then the removal can be undone.
    pub(super) fn require_not_cancelled(&self) -> Result<(), Error> {
        if self.monitor.is_cancelled() {
            return Err(cancelled(self.catalog));
        }
        Ok(())
    }
}

/// The error of a call that its monitor cancelled between two steps on data.
pub(crate) fn cancelled(catalog: &Catalog) -> Error {
    CatalogError::Interrupted {
        path: catalog.path().to_path_buf(),
    }
    .into()
}

/// A planned item after its check.
pub(super) struct Checked<'a> {
    pub(super) planned: &'a PlannedItem,
    /// What to move; `None` if there is no data.
    pub(super) item: Option<TrashItem>,
}
