//! What removals took, read within a change of them or beside one.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::CatalogError;
use super::removals::{
    Change, MISSING_OF_ITEM, OF_ITEM, OpenRemoval, PATH_OF_ITEM, STATE_OF, state_of,
};
use super::sqlite::file::Catalog;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::layout::Location;
use crate::model::removal::RemovalId;

/// Reads what a restore decides by: in the transaction of the restore, or for a preview.
pub struct RemovalView<'a> {
    catalog: &'a Catalog,
    connection: &'a Connection,
}

impl Catalog {
    /// Runs `look` on what removals took. Changes nothing.
    ///
    /// # Errors
    /// Whatever `look` returns, and [`CatalogError`] if the catalog cannot be read.
    pub fn view_removals<T, E: From<CatalogError>>(
        &self,
        look: impl FnOnce(&RemovalView<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read_with(|connection| {
            look(&RemovalView {
                catalog: self,
                connection,
            })
        })
    }
}

impl Change<'_> {
    /// What removals took, as this change sees it.
    #[must_use]
    pub fn view(&self) -> RemovalView<'_> {
        RemovalView {
            catalog: self.catalog,
            connection: self.transaction,
        }
    }
}

impl RemovalView<'_> {
    fn sql(&self, error: rusqlite::Error) -> CatalogError {
        self.catalog.sql("reading removals", error)
    }

    /// The error for rows that do not fit each other.
    #[must_use]
    pub fn damaged(&self, detail: String) -> CatalogError {
        let path = self.catalog.path.clone();
        CatalogError::Damaged { path, detail }
    }

    /// Gives the artifact at a place.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn at(&self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        self.catalog.at_on(self.connection, location)
    }

    /// State of a removal; `None` if the catalog has no such one.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn removal(&self, id: &RemovalId) -> Result<Option<OpenRemoval>, CatalogError> {
        self.connection
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

    /// Where an item was, relative to the base directory.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn path_of_item(&self, id: &RemovalId, item: u32) -> Result<Option<String>, CatalogError> {
        self.connection
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
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn of_item(&self, id: &RemovalId, item: u32) -> Result<Vec<Artifact>, CatalogError> {
        self.catalog
            .many(self.connection, OF_ITEM, params![id.as_str(), item])
    }
    /// Gives the artifacts of an item, as they were removed, whose rows came back as missing because
    /// they were not in the trash, and are missing still.
    ///
    /// # Errors
    /// As [`RemovalView::of_item`].
    pub fn missing_of_item(
        &self,
        id: &RemovalId,
        item: u32,
    ) -> Result<Vec<Artifact>, CatalogError> {
        self.catalog
            .many(self.connection, MISSING_OF_ITEM, params![id.as_str(), item])
    }
}
