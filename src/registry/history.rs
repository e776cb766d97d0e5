//! History: what was done, whether all of it is still there, and undoing it.

use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::{Registry, RestoreTarget};
use crate::catalog::PinChange;
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::detail::Detail;
use crate::model::operation::{
    Action, ChainReport, HistoryFilter, Image, NewOperation, Operation, OperationHash, UndoError,
};
use crate::model::removal::{Removal, RemovalId, RemovalState, RemovedArtifact};

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UndoReport {
    /// Number of the operation that is undone.
    pub operation: i64,
    /// What it had done.
    pub action: Action,
    /// Artifacts that are back.
    pub artifacts: Vec<Artifact>,
    /// What a pin binds again, or does not bind any more.
    pub pin: Option<PinChange>,
    /// Scores that are what they were.
    pub scores: u64,
}

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
        found.ok_or_else(|| undo(UndoError::Unknown { id }))
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
        Ok(self.catalog.ever_at(&self.location(path)?)?)
    }

    /// Gives what was removed from a path and not restored, the last first.
    ///
    /// # Errors
    /// As [`Registry::artifacts_ever_at`].
    pub fn gone_from(&self, path: &Path) -> Result<Vec<Gone>> {
        let mut gone = Vec::new();
        for removed in self.catalog.removed_from(&self.location(path)?)? {
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
        self.settle()?;
        let (operation, _) = self.operation(id)?;
        let reason = format!("undo of operation {id}");
        let doing = |action| NewOperation {
            action,
            at: self.clock.now(),
            reason: Some(&reason),
        };
        let mut report = UndoReport {
            operation: id,
            action: operation.action,
            artifacts: Vec::new(),
            pin: None,
            scores: 0,
        };
        match operation.action {
            Action::Remove => {
                let removal = self.kept_removal(&operation)?;
                let target = RestoreTarget::Removal(removal);
                report.artifacts = self.restore_for(&target, Some(&reason))?.artifacts;
            }
            Action::Pin => {
                let change = self.catalog.undo_pin(&operation, doing(Action::Unpin))?;
                report.pin = Some(change);
            }
            Action::Unpin => {
                let change = self.catalog.undo_unpin(&operation, doing(Action::Pin))?;
                report.pin = Some(change);
            }
            Action::Score | Action::Unscore => {
                let doing = doing(operation.action);
                report.scores = self.catalog.undo_scores(&operation, doing)?;
            }
            action => {
                let why = why_never(action);
                return Err(undo(UndoError::Never { id, action, why }));
            }
        }
        Ok(report)
    }

    /// The removal that an operation made, where its data is still in the trash.
    fn kept_removal(&self, operation: &Operation) -> Result<RemovalId> {
        let id = operation.id;
        let entries = operation.detail.iter().flat_map(Detail::entries);
        let made = entries.filter_map(|entry| match entry {
            Detail::RemovalMade(made) => Some(made.removal.clone()),
            _ => None,
        });
        let removal = made.last().ok_or_else(|| Error::Internal {
            detail: format!("operation {id} does not name its removal"),
        })?;
        let found = self.removal(&removal)?;
        let state = found.map(|removal| removal.state);
        match state {
            Some(RemovalState::Kept) => Ok(removal),
            Some(RemovalState::Restored) => Err(undo(UndoError::Already {
                id,
                why: format!("removal {removal} is restored"),
            })),
            Some(state) => Err(undo(UndoError::TooLate {
                id,
                why: format!("removal {removal} is {state}"),
            })),
            None => Err(Error::NoRemoval {
                id: removal.to_string(),
            }),
        }
    }
}

fn undo(error: UndoError) -> Error {
    Error::Catalog(error.into())
}

/// Why operations of a kind are never undone.
fn why_never(action: Action) -> &'static str {
    match action {
        Action::Record => {
            "what a program was told stays true; remove the artifact with dalsegno rm"
        }
        Action::Scan => "what was found is on disk; remove it with dalsegno rm",
        Action::Refresh => "it noted what is on disk",
        Action::Seal => "it noted a writer's word",
        Action::Restore => "remove the artifacts again with dalsegno rm",
        Action::Purge => "what is unlinked is gone",
        Action::Recover => "it settled what a crash had left",
        Action::Rebuild => "it noted what the trash and the disk hold",
        Action::Remove | Action::Pin | Action::Unpin | Action::Score | Action::Unscore => "",
    }
}
