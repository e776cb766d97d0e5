//! Rows that something outside the catalog remembers.

use rusqlite::params;

use super::artifacts::Recorder;
use super::error::CatalogError;
use super::removals::Change;
use super::rows;
use crate::artifact::{Artifact, ArtifactId};
use crate::clock::Timestamp;
use crate::history::Side;
use crate::removals::RemovalId;

pub(super) const INSERT_AS: &str = "INSERT INTO artifact (id, run_id, kind_id, iteration, \
     dataset_id, parameters_id, container_id, array, origin, state, bytes, files, recorded_at, \
     written_at, sealed_at, owner, content) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";
pub(super) const MARK_ITEM_RESTORED: &str = "UPDATE removed SET restored_at = ?3 \
     WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NULL";

impl Change<'_> {
    /// Gives the row at the place of an artifact; where there is none, it is made as the artifact
    /// was, with another number where its own is taken.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn take_in(&self, was: &Artifact, now: Timestamp) -> Result<Artifact, CatalogError> {
        let location = was.location();
        if let Some(row) = self.at(&location)? {
            return Ok(row);
        }
        let is_free = was.id.0 > 0 && self.artifact(was.id)?.is_none();
        let id = is_free.then_some(was.id.0);
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
        self.journal
            .detail(serde_json::json!({ "removal": id, "not_in_trash": item }));
        self.transaction
            .prepare_cached(MARK_ITEM_RESTORED)
            .and_then(|mut statement| statement.execute(params![id.as_str(), item, now.0]))
            .map(drop)
            .map_err(|error| self.catalog.sql("changing removals", error))
    }
}
