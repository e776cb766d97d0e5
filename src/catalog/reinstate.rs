//! Rows that come back as they were: from a removal, or from what the trash remembers.

use rusqlite::params;

use super::error::CatalogError;
use super::record::Recorder;
use super::removals::{BRING_BACK, Change, MARK_RESTORED};
use super::rows;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, ItemNotInTrash};
use crate::model::operation::Side;
use crate::model::removal::RemovalId;

pub(super) const INSERT_AS: &str = "INSERT INTO artifact (id, run_id, kind_id, iteration, \
     dataset_id, parameters_id, container_id, array, origin, state, bytes, files, recorded_at, \
     written_at, sealed_at, owner, content) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
pub(super) const UPDATE_AS: &str = "UPDATE artifact SET run_id = ?2, kind_id = ?3, iteration = ?4, \
     dataset_id = ?5, parameters_id = ?6, origin = ?7, state = ?8, bytes = ?9, files = ?10, \
     recorded_at = ?11, written_at = ?12, sealed_at = ?13, owner = ?14, content = ?15 WHERE id = ?1";
/// Whether a removal that can be restored has an artifact of this number.
pub(super) const IS_KEPT: &str = "SELECT EXISTS (SELECT 1 \
     FROM removal AS r INDEXED BY removal_open CROSS JOIN removed AS d \
       ON d.removal_id = r.id AND d.artifact_id = ?1 \
     WHERE r.state < 2 AND d.restored_at IS NULL)";
pub(super) const MARK_ITEM_RESTORED: &str = "UPDATE removed SET restored_at = ?3 \
     WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NULL";

/// The highest number that is believed: above it there must be room for all others to come.
const MOST: i64 = 1 << 48;

impl Change<'_> {
    /// Makes the row at the place of an artifact what the artifact was. A row that is there keeps its
    /// number, which pins may hold; a new one has the artifact's own, where that is free.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn take_in(&self, was: &Artifact, now: Timestamp) -> Result<Artifact, CatalogError> {
        let location = was.location();
        if let Some(row) = self.at(&location)? {
            return self.make_as(row, was, now);
        }
        let id = self.is_free(was.id)?.then_some(was.id.0);
        let mut recorder = Recorder::new(self.journal, now);
        let run = recorder.intern(0, was.key.run().as_str())?;
        let (dataset, parameters) = recorder.columns(&was.key)?;
        let container = recorder.container(&location.container, run)?;
        let id = self
            .transaction
            .prepare_cached(INSERT_AS)
            .and_then(|mut statement| {
                statement.insert(params![
                    id,
                    run,
                    rows::kind_number(was.key.kind()),
                    was.key.iteration(),
                    dataset,
                    parameters,
                    container,
                    location.array.as_deref().unwrap_or_default(),
                    was.origin as i64,
                    rows::state_number(was.state),
                    was.size.map(|size| size.bytes.0),
                    was.size.map(|size| size.files),
                    was.recorded_at.0,
                    was.written_at.map(|time| time.0),
                    was.sealed_at.map(|time| time.0),
                    was.owner,
                    was.content_hash.map(|hash| hash.0),
                ])
            })
            .map_err(|error| self.catalog.sql("taking in a row", error))?;
        let row = Artifact {
            id: ArtifactId(id),
            ..was.clone()
        };
        self.journal.image(Side::After, &row)?;
        Ok(row)
    }

    fn make_as(
        &self,
        row: Artifact,
        was: &Artifact,
        now: Timestamp,
    ) -> Result<Artifact, CatalogError> {
        let after = Artifact {
            id: row.id,
            pins: row.pins.clone(),
            ..was.clone()
        };
        if after == row {
            return Ok(row);
        }
        self.journal.image(Side::Before, &row)?;
        let mut recorder = Recorder::new(self.journal, now);
        let run = recorder.intern(0, was.key.run().as_str())?;
        let (dataset, parameters) = recorder.columns(&was.key)?;
        self.transaction
            .prepare_cached(UPDATE_AS)
            .and_then(|mut statement| {
                statement.execute(params![
                    row.id.0,
                    run,
                    rows::kind_number(was.key.kind()),
                    was.key.iteration(),
                    dataset,
                    parameters,
                    was.origin as i64,
                    rows::state_number(was.state),
                    was.size.map(|size| size.bytes.0),
                    was.size.map(|size| size.files),
                    was.recorded_at.0,
                    was.written_at.map(|time| time.0),
                    was.sealed_at.map(|time| time.0),
                    was.owner,
                    was.content_hash.map(|hash| hash.0),
                ])
            })
            .map_err(|error| self.catalog.sql("taking in a row", error))?;
        self.journal.image(Side::After, &after)?;
        Ok(after)
    }

    /// Whether a number is nobody's: neither a row's, nor that of one that can be restored.
    fn is_free(&self, id: ArtifactId) -> Result<bool, CatalogError> {
        if !(1..=MOST).contains(&id.0) || self.artifact(id)?.is_some() {
            return Ok(false);
        }
        let is_kept: bool = self
            .transaction
            .prepare_cached(IS_KEPT)
            .and_then(|mut statement| statement.query_row([id.0], |row| row.get(0)))
            .map_err(|error| self.catalog.sql("taking in a row", error))?;
        Ok(!is_kept)
    }

    /// Notes that an item of a removal is not in the trash any more, because it was restored.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn forget_item(
        &self,
        id: &RemovalId,
        item: u32,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        self.journal.detail(Detail::ItemNotInTrash(ItemNotInTrash {
            removal: id.clone(),
            not_in_trash: item,
        }));
        self.transaction
            .prepare_cached(MARK_ITEM_RESTORED)
            .and_then(|mut statement| statement.execute(params![id.as_str(), item, now.0]))
            .map(drop)
            .map_err(|error| self.catalog.sql("changing removals", error))
    }

    /// Brings the row of an artifact back, unless it is there.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn bring_back(
        &self,
        id: &RemovalId,
        artifact: ArtifactId,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        if self.artifact(artifact)?.is_none() {
            self.run(BRING_BACK, params![id.as_str(), artifact.0])?;
            if let Some(artifact) = self.artifact(artifact)? {
                self.journal.image(Side::After, &artifact)?;
            }
        }
        self.run(MARK_RESTORED, params![id.as_str(), artifact.0, now.0])?;
        Ok(())
    }
}
