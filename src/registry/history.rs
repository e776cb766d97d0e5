//! History: lists operations, checks their chain of hashes, and undoes them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::Registry;
use crate::error::{Error, Result};
use crate::model::artifact::ArtifactId;
use crate::model::filter::Filter;
use crate::model::name::BasePath;
use crate::model::operation::{
    ChainReport, HistoryFilter, Image, Operation, OperationHash, UndoError,
};
use crate::model::removal::{Removal, RemovalState, RemovedArtifact};
use crate::ops::target::{self, Target};
use crate::ops::trash;
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

    /// Narrows a filter to what is or was at these paths: artifacts or, if one of them was none, what is
    /// or was below them, such as in a run, a container or the folder of an iteration.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if nothing was ever recorded at one of them or below it.
    pub fn history_at(
        &self,
        mut filter: HistoryFilter,
        paths: &[PathBuf],
    ) -> Result<HistoryFilter> {
        let mut artifacts = Vec::new();
        let mut folders = false;
        for path in paths {
            let known = match self.artifacts_ever_at(path) {
                // The path of a run or another folder, which no artifact has.
                Err(Error::Layout(_)) => Vec::new(),
                known => known?,
            };
            if known.is_empty() {
                folders = true;
                let mut is_known = false;
                let below = HistoryFilter::default().below([self.base_path(path)?]);
                self.history(&below, |_| {
                    is_known = true;
                    Ok(ControlFlow::Break(()))
                })?;
                // Not a single operation knows the path, so it is mistyped rather than old.
                if !is_known {
                    return Err(self.not_recorded(&Target::Path(path.clone())));
                }
            }
            // Several artifacts may have had this path, one after the other.
            artifacts.extend(known);
        }
        if !folders {
            filter.artifacts.extend(artifacts);
            return Ok(filter);
        }
        let paths = paths.iter().map(|path| self.base_path(path));
        let paths: Vec<BasePath> = paths.collect::<Result<_>>()?;
        let of = Filter::default().runs(filter.runs.iter().cloned());
        let narrowed = self.narrowed(of, &paths)?;
        filter.runs = narrowed.runs;
        filter.below.extend(narrowed.below);
        Ok(filter)
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

    /// Returns an operation, and each of its artifacts as it was before and after, in the order of
    /// runs, iterations (as numbers) and paths.
    ///
    /// # Errors
    /// [`UndoError::Unknown`] if there is no operation with this number.
    pub fn operation(&self, id: i64) -> Result<(Operation, Vec<Image>)> {
        let found = self.catalog.operation(id)?;
        let (operation, images) =
            found.ok_or_else(|| Error::Catalog(UndoError::Unknown { id }.into()))?;
        Ok((operation, Image::sorted(images)))
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
            let removal = removal.ok_or_else(|| trash::no_removal(&self.catalog, id))?;
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

    /// Undoes the newest removal, restore, pin, unpin, score, rename or rebuild that is still in effect;
    /// the report says which. Undos are passed over with what they undid.
    ///
    /// # Errors
    /// [`UndoError::Nothing`] if there is none, and as [`Registry::undo`] if that one cannot be undone;
    /// no older one is undone in its place, and the error names the one that could be.
    pub fn undo_last(&self) -> Result<UndoReport> {
        let _publishing = self.catalog.publishing();
        undo::undo_last(&self.catalog, &self.base, self.clock.now())
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
