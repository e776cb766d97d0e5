//! Rows that come back as they were: from a removal, or from what the trash remembers.

use std::sync::LazyLock;

use rusqlite::params;

use super::error::CatalogError;
use super::record::{self, Recorder};
use super::removals::{Change, MARK_RESTORED, REINSTATE};
use super::rows::{self, Columns, row_columns};
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::detail::{ArtifactsLost, Detail, ItemLost, ItemNotInTrash};
use crate::model::operation::Side;
use crate::model::removal::RemovalId;

/// Makes a row what it was.
pub(super) static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let columns = row_columns!();
    let marks = rows::marks(columns);
    format!("UPDATE artifact SET ({columns}) = ({marks}) WHERE id = ?")
});
/// Whether a removal that can be restored has an artifact of this number.
pub(super) const IS_KEPT: &str = "SELECT EXISTS (SELECT 1 \
     FROM removal AS r INDEXED BY removal_open CROSS JOIN removed AS d \
       ON d.removal_id = r.id AND d.artifact_id = ?1 \
     WHERE r.state < 2 AND d.restored_at IS NULL)";
pub(super) const MARK_ITEM_RESTORED: &str = "UPDATE removed INDEXED BY removed_item \
     SET restored_at = ?3 WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NULL";

/// Binds an artifact by the pins that bind another.
pub(super) const BIND_TOO: &str = "INSERT OR IGNORE INTO pinned (artifact_id, pin_id) \
     SELECT ?2, pin_id FROM pinned WHERE artifact_id = ?1";

/// The highest id that is taken from outside: AUTOINCREMENT needs the ids above it.
const MOST: i64 = 1 << 48;

impl Change<'_> {
    /// Makes the row at the place of an artifact what the artifact was. A row that is there keeps
    /// its number, which pins may hold; a new one has the artifact's own, if that is free.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn reinstate_as(&self, was: &Artifact, now: Timestamp) -> Result<Artifact, CatalogError> {
        let location = was.location();
        if let Some(row) = self.at(&location)? {
            return self.make_as(row, was, now);
        }
        // Its own number, which history and pins know it by.
        let id = self.is_free(was.id)?.then_some(was.id.0);
        let mut recorder = Recorder::new(self.journal, now);
        let references = recorder.references(&was.key, &location, was.metadata.as_ref())?;
        self.transaction
            .prepare_cached(&record::INSERT)
            .and_then(|mut statement| {
                record::insert(&mut statement, id, &Columns::of(was), &references)
            })
            .map_err(|error| self.catalog.sql("taking in a row", error))?;
        let row = Artifact {
            id: ArtifactId(self.transaction.last_insert_rowid()),
            ..was.clone()
        };
        self.journal.image(Side::After, &row)?;
        Ok(row)
    }

    /// Brings a removed artifact back over the row at its place, which has no data: the row keeps
    /// its number, and is also bound by the pins that bind the removed one.
    ///
    /// # Errors
    /// As [`Change::reinstate_as`].
    pub fn reinstate_over(
        &self,
        id: &RemovalId,
        was: &Artifact,
        now: Timestamp,
    ) -> Result<Artifact, CatalogError> {
        let row = self.reinstate_as(was, now)?;
        if row.id != was.id {
            self.run(BIND_TOO, params![was.id.0, row.id.0])?;
        }
        self.mark_restored(id, was.id, now)?;
        Ok(row)
    }

    /// Records that an artifact of a removal is restored.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn mark_restored(
        &self,
        id: &RemovalId,
        artifact: ArtifactId,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        self.run(MARK_RESTORED, params![id.as_str(), artifact.0, now.0])
            .map(drop)
    }

    fn make_as(
        &self,
        row: Artifact,
        was: &Artifact,
        now: Timestamp,
    ) -> Result<Artifact, CatalogError> {
        let after = Artifact {
            id: row.id,
            // Pins belong to the number of the row, which stays.
            pins: row.pins.clone(),
            ..was.clone()
        };
        // An unchanged row leaves no image: a rebuild that is run again adds nothing to history.
        if after == row {
            return Ok(row);
        }
        self.journal.image(Side::Before, &row)?;
        let location = was.location();
        let mut recorder = Recorder::new(self.journal, now);
        let references = recorder.references(&was.key, &location, was.metadata.as_ref())?;
        self.transaction
            .prepare_cached(&UPDATE)
            .and_then(|mut statement| {
                let next = Columns::of(was).bind(&mut statement, 1, &references)?;
                statement.raw_bind_parameter(next, row.id.0)?;
                statement.raw_execute()
            })
            .map_err(|error| self.catalog.sql("taking in a row", error))?;
        self.journal.image(Side::After, &after)?;
        Ok(after)
    }

    /// Whether an id is free: no row has it, nor an artifact that can be restored.
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

    /// Records that an item of a removal is not in the trash any more, because it was restored.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn mark_item_restored(
        &self,
        id: &RemovalId,
        item: u32,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        self.journal.detail(Detail::ItemNotInTrash(ItemNotInTrash {
            removal: id.clone(),
            not_in_trash: item,
        }));
        self.mark_all_of_item(id, item, now)
    }

    fn mark_all_of_item(
        &self,
        id: &RemovalId,
        item: u32,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        self.run(MARK_ITEM_RESTORED, params![id.as_str(), item, now.0])
            .map(drop)
    }

    /// Records that an item of a removal is lost: the rows of its artifacts come back as missing,
    /// unless others are at their places, and nothing of it is in the trash any more.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn reinstate_lost(
        &self,
        id: &RemovalId,
        item: u32,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let rows = self.of_item(id, item)?;
        self.journal.detail(Detail::ItemLost(ItemLost {
            removal: id.clone(),
            lost: item,
        }));
        // Before the rows, whose numbers are free then.
        self.mark_all_of_item(id, item, now)?;
        self.reinstate_missing(&rows, now)
    }

    /// Records that these artifacts of a removal are lost, as [`Change::reinstate_lost`] does for
    /// those of an item.
    ///
    /// # Errors
    /// As [`Change::reinstate_lost`].
    pub fn reinstate_lost_artifacts(
        &self,
        id: &RemovalId,
        lost: &[Artifact],
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        if lost.is_empty() {
            return Ok(());
        }
        self.journal.detail(Detail::ArtifactsLost(ArtifactsLost {
            removal: id.clone(),
            lost_artifacts: lost.iter().map(|row| row.id).collect(),
        }));
        for row in lost {
            self.mark_restored(id, row.id, now)?;
        }
        self.reinstate_missing(lost, now)
    }

    /// Brings these rows back as those of data that is gone.
    fn reinstate_missing(&self, rows: &[Artifact], now: Timestamp) -> Result<(), CatalogError> {
        for row in rows {
            let mut row = row.clone();
            // What is at its place was recorded since, and knows its own data.
            if self.at(&row.location())?.is_some() {
                continue;
            }
            if row.state != State::Reserved {
                row.state = State::Missing;
            }
            self.reinstate_as(&row, now)?;
        }
        Ok(())
    }

    /// Brings the row of an artifact back, unless it is there.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn reinstate(
        &self,
        id: &RemovalId,
        artifact: ArtifactId,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        if self.artifact(artifact)?.is_none() {
            self.run(REINSTATE, params![id.as_str(), artifact.0])?;
            if let Some(artifact) = self.artifact(artifact)? {
                self.journal.image(Side::After, &artifact)?;
            }
        }
        self.run(MARK_RESTORED, params![id.as_str(), artifact.0, now.0])?;
        Ok(())
    }
}
