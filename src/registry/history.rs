//! History: lists operations, checks their chain of hashes, and undoes them.

use std::ops::ControlFlow;
use std::path::Path;

use super::Registry;
use crate::error::{Error, Result};
use crate::model::artifact::ArtifactId;
use crate::model::operation::{
    ChainReport, HistoryFilter, Image, Operation, OperationHash, UndoError,
};
use crate::model::removal::{Removal, RemovalState, RemovedArtifact};
use crate::ops::target;
use crate::ops::undo::{self, UndoReport};

/// An artifact that was removed, and the state of its removal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormerArtifact {
    /// The row as it was.
    pub removed: RemovedArtifact,
    /// Who removed it, when and why.
    pub removal: Removal,
}

impl FormerArtifact {
    /// Whether its data is in the trash, from which it can be restored.
    #[must_use]
    pub fn can_be_restored(&self) -> bool {
        self.removal.state == RemovalState::Kept
    }
}

impl Registry {
    /// Passes the operations that a filter selects to `each`, newest first, until it breaks.
    /// Rows stream, and no writer waits for the listing.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the history cannot be read, and any error that `each` returns.
    pub fn history(
        &self,
        filter: &HistoryFilter,
        each: impl FnMut(Operation) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.catalog.history(filter, each)
    }

    /// Passes every operation and its images to `each`, oldest first, until it breaks.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the history cannot be read, and any error that `each` returns.
    pub fn whole_history(
        &self,
        each: impl FnMut(Operation, Vec<Image>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.catalog.whole_history(each)
    }

    /// Returns an operation, and each of its artifacts as it was before and after.
    ///
    /// # Errors
    /// [`UndoError::Unknown`] if there is no operation with this number.
    pub fn operation(&self, id: i64) -> Result<(Operation, Vec<Image>)> {
        let found = self.catalog.operation(id)?;
        found.ok_or_else(|| Error::Catalog(UndoError::Unknown { id }.into()))
    }

    /// Returns number and hash of the newest operation; 0 and [`OperationHash::NONE`] if there is
    /// none yet.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the history cannot be read.
    pub fn history_head(&self) -> Result<(i64, OperationHash)> {
        Ok(self.catalog.head()?.unwrap_or((0, OperationHash::NONE)))
    }

    /// Checks the chain of hashes, starting at the first operation. If `noted` is a head that was
    /// kept outside the catalog, also checks that an operation still has it: this detects a history
    /// that was truncated or replaced; see [`NotedHash`](crate::model::operation::NotedHash).
    ///
    /// # Errors
    /// [`Error::Catalog`] if the history cannot be read.
    pub fn check_history(&self, noted: Option<OperationHash>) -> Result<ChainReport> {
        Ok(self.catalog.check_chain(noted)?)
    }

    /// Returns the ids of all artifacts that are or were at a path. The path is absolute or
    /// relative to the base directory.
    ///
    /// # Errors
    /// [`Error::OutsideBase`] if the path is outside the base directory, [`Error::Catalog`] if the
    /// catalog cannot be read.
    pub fn artifacts_ever_at(&self, path: &Path) -> Result<Vec<ArtifactId>> {
        Ok(self.catalog.ever_at(&target::location(&self.base, path)?)?)
    }

    /// Returns what was removed from a path and not restored, most recent first.
    ///
    /// # Errors
    /// As [`Registry::artifacts_ever_at`].
    pub fn former_at(&self, path: &Path) -> Result<Vec<FormerArtifact>> {
        let mut former = Vec::new();
        for removed in self
            .catalog
            .removed_from(&target::location(&self.base, path)?)?
        {
            let id = &removed.removal;
            let removal = self.removal(id)?;
            let removal = removal.ok_or_else(|| Error::NoRemoval { id: id.to_string() })?;
            former.push(FormerArtifact { removed, removal });
        }
        // Of several with one time, the row that was recorded last comes first.
        former.sort_by(|a, b| {
            let of =
                |former: &FormerArtifact| (former.removal.removed_at, former.removed.artifact.id);
            of(b).cmp(&of(a))
        });
        Ok(former)
    }

    /// Undoes an operation: restores what it removed from the trash, unpins what it pinned, pins
    /// what it unpinned, sets scores back. The undo is an operation too; its reason names the one
    /// that it undoes.
    ///
    /// # Errors
    /// [`UndoError`] if nothing of it can be undone, and as [`Registry::restore`]; nothing is
    /// changed then.
    pub fn undo(&self, id: i64) -> Result<UndoReport> {
        // However it ends: what it has changed is published, for hosts without the catalog.
        let _publishing = self.catalog.publishing();
        undo::undo(&self.catalog, &self.base, id, self.clock.now())
    }
}
