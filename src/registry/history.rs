//! History: what was done, whether all of it is still there, and undoing it.

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

/// An artifact that was removed, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The row as it was.
    pub removed: RemovedArtifact,
    /// Who removed it, when and why.
    pub removal: Removal,
}

impl Gone {
    /// Whether its data is in the trash, from which it can be restored.
    #[must_use]
    pub fn can_be_restored(&self) -> bool {
        self.removal.state == RemovalState::Kept
    }
}

impl Registry {
    /// Gives the operations that a filter selects to `each`, the newest first, until it breaks.
    /// Rows stream, and no lock is held that a writer would wait for.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn history(
        &self,
        filter: &HistoryFilter,
        each: impl FnMut(Operation) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.catalog.history(filter, each)
    }

    /// Gives every operation with its images to `each`, the oldest first, until it breaks.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn whole_history(
        &self,
        each: impl FnMut(Operation, Vec<Image>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.catalog.whole_history(each)
    }

    /// Gives an operation, and each artifact as it was before and after.
    ///
    /// # Errors
    /// [`UndoError::Unknown`] where there is no such operation.
    pub fn operation(&self, id: i64) -> Result<(Operation, Vec<Image>)> {
        let found = self.catalog.operation(id)?;
        found.ok_or_else(|| Error::Catalog(UndoError::Unknown { id }.into()))
    }

    /// The number and hash of the last operation; 0 and [`OperationHash::NONE`] before the first.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn history_head(&self) -> Result<(i64, OperationHash)> {
        Ok(self.catalog.head()?.unwrap_or((0, OperationHash::NONE)))
    }

    /// Checks the chain of hashes from the first operation on. With a head that was noted
    /// elsewhere before, it is also looked up, which tells a history whose end was cut off or that
    /// was written anew as a whole; see [`NotedHash`](crate::model::operation::NotedHash).
    ///
    /// # Errors
    /// [`Error::Catalog`] where the catalog cannot be read.
    pub fn check_history(&self, noted: Option<OperationHash>) -> Result<ChainReport> {
        Ok(self.catalog.check_chain(noted)?)
    }

    /// Numbers of the artifacts that are or were at a path, absolute or relative to the base
    /// directory.
    ///
    /// # Errors
    /// [`Error`] where the path lies outside the base directory or the catalog fails.
    pub fn artifacts_ever_at(&self, path: &Path) -> Result<Vec<ArtifactId>> {
        Ok(self.catalog.ever_at(&target::location(&self.base, path)?)?)
    }

    /// Gives what was removed from a path and not restored, the last first.
    ///
    /// # Errors
    /// As [`Registry::artifacts_ever_at`].
    pub fn gone_from(&self, path: &Path) -> Result<Vec<Gone>> {
        let mut gone = Vec::new();
        for removed in self
            .catalog
            .removed_from(&target::location(&self.base, path)?)?
        {
            let id = &removed.removal;
            let removal = self.removal(id)?;
            let removal = removal.ok_or_else(|| Error::NoRemoval { id: id.to_string() })?;
            gone.push(Gone { removed, removal });
        }
        gone.sort_by(|a, b| {
            let of = |gone: &Gone| (gone.removal.removed_at, gone.removed.artifact.id);
            of(b).cmp(&of(a))
        });
        Ok(gone)
    }

    /// Undoes an operation: what was removed is restored from the trash, what was pinned is let go
    /// and the other way round, scores are what they were. The undo is an operation too, and says
    /// in its reason which one it undoes.
    ///
    /// # Errors
    /// [`UndoError`] where there is nothing that can be undone, and as [`Registry::restore`];
    /// then nothing is changed.
    pub fn undo(&self, id: i64) -> Result<UndoReport> {
        undo::undo(&self.catalog, &self.base, id, self.clock.now())
    }
}
