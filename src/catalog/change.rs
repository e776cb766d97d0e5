//! Changes of removals, within one transaction.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::error::CatalogError;
use super::removals::{
    BELOW_ARRAY, BELOW_CONTAINER, BRING_BACK, Change, INSERT_MOVED, INSERT_REMOVAL, INSERT_REMOVED,
    LEFT, LEFT_OF_ITEM, MARK_RESTORED, OF_ITEM, OpenRemoval, PATH_OF_ITEM, SET_STATE, STATE_OF,
    below, state_of,
};
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout::Location;
use crate::model::operation::Side;
use crate::model::removal::{Actor, RemovalId, RemovalState};

impl Change<'_> {
    fn sql(&self, error: rusqlite::Error) -> CatalogError {
        self.catalog.sql("changing removals", error)
    }

    /// The error for rows that do not fit each other.
    #[must_use]
    pub fn damaged(&self, detail: String) -> CatalogError {
        let path = self.catalog.path.clone();
        CatalogError::Damaged { path, detail }
    }

    fn run(
        &self,
        statement: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<usize, CatalogError> {
        self.transaction
            .prepare_cached(statement)
            .and_then(|mut statement| statement.execute(parameters))
            .map_err(|error| self.sql(error))
    }

    /// Gives the artifact with this number.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn artifact(&self, id: ArtifactId) -> Result<Option<Artifact>, CatalogError> {
        let sql = super::artifacts::BY_ID;
        Ok(self
            .catalog
            .many(self.transaction, sql, params![id.0])?
            .pop())
    }

    /// Names of the pins on the run or iteration of a key without a row.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn pins_of_unknown(&self, key: &Key) -> Result<Vec<String>, CatalogError> {
        // No artifact has this number.
        let nobody = ArtifactId(0);
        self.catalog.pins_of(self.transaction, nobody, key)
    }

    /// Gives the artifact at a place.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn at(&self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        self.catalog.at_on(self.transaction, location)
    }

    /// Gives the artifacts of a container, itself included, and of containers in it.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn in_container(&self, container: &str) -> Result<Vec<Artifact>, CatalogError> {
        self.catalog.in_container_on(self.transaction, container)
    }

    /// Gives the artifacts that lie below an array.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn below_array(&self, container: &str, array: &str) -> Result<Vec<Artifact>, CatalogError> {
        let (first, end) = below(array);
        let mut found = self.catalog.many(
            self.transaction,
            BELOW_ARRAY,
            params![container, first, end],
        )?;
        let (first, end) = below(&format!("{container}/{array}"));
        found.extend(
            self.catalog
                .many(self.transaction, BELOW_CONTAINER, params![first, end])?,
        );
        Ok(found)
    }

    /// Notes a removal.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn begin_removal(
        &self,
        id: &RemovalId,
        now: Timestamp,
        actor: &Actor,
        reason: Option<&str>,
        open: &OpenRemoval,
    ) -> Result<(), CatalogError> {
        self.journal.detail(json!({
            "removal": id,
            "state": open.state,
            "purge_after": open.purge_after,
        }));
        let state = open.state as i64;
        let purge_after = open.purge_after.map(|time| time.0);
        self.run(
            INSERT_REMOVAL,
            params![
                id.as_str(),
                now.0,
                actor.user,
                actor.host,
                actor.pid,
                reason,
                state,
                purge_after
            ],
        )?;
        Ok(())
    }

    /// Takes the row of an artifact into a removal.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn remove(
        &self,
        id: &RemovalId,
        artifact: ArtifactId,
        item: Option<u32>,
    ) -> Result<(), CatalogError> {
        // As its row is, not as it was planned.
        if let Some(artifact) = self.artifact(artifact)? {
            self.journal.image(Side::Before, &artifact)?;
        }
        self.remember(id, artifact, item)?;
        self.run(super::artifacts::DELETE, [artifact.0])?;
        Ok(())
    }

    /// Copies the row of an artifact into a removal; the artifact stays.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn remember(
        &self,
        id: &RemovalId,
        artifact: ArtifactId,
        item: Option<u32>,
    ) -> Result<(), CatalogError> {
        self.run(INSERT_REMOVED, params![id.as_str(), artifact.0, item])?;
        Ok(())
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

    /// What stands for a removal; none where the catalog has no such one.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn removal(&self, id: &RemovalId) -> Result<Option<OpenRemoval>, CatalogError> {
        self.transaction
            .prepare_cached(STATE_OF)
            .and_then(|mut statement| {
                statement
                    .query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(|error| self.sql(error))?
            .map(|(state, purge_after): (i64, Option<i64>)| {
                let state = state_of(state)
                    .ok_or_else(|| self.damaged(format!("removal {id} has no state {state}")))?;
                Ok(OpenRemoval {
                    state,
                    purge_after: purge_after.map(Timestamp),
                })
            })
            .transpose()
    }

    /// Number of a removal's artifacts that have data in the trash.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn left(&self, id: &RemovalId) -> Result<u64, CatalogError> {
        self.transaction
            .prepare_cached(LEFT)
            .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)))
            .map_err(|error| self.sql(error))
    }

    /// Notes what a removal moves.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn note_move(&self, id: &RemovalId, item: u32, path: &str) -> Result<(), CatalogError> {
        self.run(INSERT_MOVED, params![id.as_str(), item, path])?;
        Ok(())
    }

    /// Where an item was, relative to the base directory.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn path_of_item(&self, id: &RemovalId, item: u32) -> Result<Option<String>, CatalogError> {
        self.transaction
            .prepare_cached(PATH_OF_ITEM)
            .and_then(|mut statement| {
                statement
                    .query_row(params![id.as_str(), item], |row| row.get(0))
                    .optional()
            })
            .map_err(|error| self.sql(error))
    }

    /// Gives the artifacts of an item that are not restored.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn of_item(&self, id: &RemovalId, item: u32) -> Result<Vec<Artifact>, CatalogError> {
        self.catalog
            .many(self.transaction, OF_ITEM, params![id.as_str(), item])
    }

    /// Whether the catalog says that an item lies in the trash.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn is_in_trash(&self, id: &RemovalId, item: u32) -> Result<bool, CatalogError> {
        self.transaction
            .prepare_cached(LEFT_OF_ITEM)
            .and_then(|mut statement| {
                statement.query_row(params![id.as_str(), item], |row| row.get::<_, u64>(0))
            })
            .map(|left| left > 0)
            .map_err(|error| self.sql(error))
    }

    /// Notes what the images do not say.
    pub fn note(&self, detail: serde_json::Value) {
        self.journal.detail(detail);
    }

    /// Notes what has become of a removal's data.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn set_state(
        &self,
        id: &RemovalId,
        state: RemovalState,
        ended_at: Option<Timestamp>,
    ) -> Result<(), CatalogError> {
        self.journal
            .detail(json!({ "removal": id, "state": state }));
        self.run(
            SET_STATE,
            params![id.as_str(), state as i64, ended_at.map(|time| time.0)],
        )?;
        Ok(())
    }
}
