//! The strings and containers that rows have by number, asked for once a transaction.

use std::sync::Arc;

use rusqlite::{OptionalExtension, Transaction, params};

use super::error::CatalogError;
use super::record::Recorder;
use super::rows::References;
use crate::model::array::{ArrayMetadata, MetadataText};
use crate::model::key::Key;
use crate::model::layout::Location;

pub(super) const INTERN: [(&str, &str); 4] = [
    (
        "SELECT id FROM run WHERE name = ?1",
        "INSERT INTO run (name) VALUES (?1)",
    ),
    (
        "SELECT id FROM dataset WHERE name = ?1",
        "INSERT INTO dataset (name) VALUES (?1)",
    ),
    (
        "SELECT id FROM parameters WHERE text = ?1",
        "INSERT INTO parameters (text) VALUES (?1)",
    ),
    (
        "SELECT id FROM metric WHERE name = ?1",
        "INSERT INTO metric (name) VALUES (?1)",
    ),
];
pub(super) const CONTAINER: (&str, &str) = (
    "SELECT id FROM container WHERE path = ?1",
    "INSERT INTO container (path, run_id) VALUES (?1, ?2)",
);
pub(super) const METADATA: (&str, &str) = (
    "SELECT id FROM metadata WHERE text = ?1",
    "INSERT INTO metadata (text, chunks) VALUES (?1, ?2)",
);

impl Recorder<'_> {
    /// What the row of a key at a place refers to; what is not there yet is inserted.
    pub(super) fn references<'l>(
        &mut self,
        key: &Key,
        location: &'l Location,
        metadata: Option<&Arc<ArrayMetadata>>,
    ) -> Result<References<'l>, CatalogError> {
        let run = self.intern(0, key.run().as_str())?;
        let dataset = match key.dataset() {
            Some(dataset) => Some(self.intern(1, dataset.as_str())?),
            None => None,
        };
        let parameters = match key.parameters() {
            Some(parameters) => Some(self.intern(2, parameters.as_str())?),
            None => None,
        };
        Ok(References {
            run,
            dataset,
            parameters,
            container: self.container(&location.container, run)?,
            array: location.array.as_deref().unwrap_or_default().into(),
            metadata: match metadata {
                Some(metadata) => Some(self.metadata(metadata)?),
                None => None,
            },
        })
    }

    /// The number of what the metadata of an array says.
    fn metadata(&mut self, metadata: &Arc<ArrayMetadata>) -> Result<i64, CatalogError> {
        let text = MetadataText::of(metadata);
        if let Some(&id) = self.metadata.get(&text) {
            return Ok(id);
        }
        let id = metadata_number(self.transaction, metadata, &text)
            .map_err(|error| self.catalog.sql("recording", error))?;
        self.metadata.insert(text, id);
        Ok(id)
    }

    /// The number of a string in table `table` of [`INTERN`].
    pub(super) fn intern(&mut self, table: usize, text: &str) -> Result<i64, CatalogError> {
        // A cache for this transaction only: a rollback would leave ids of rows that do not exist.
        if let Some(&id) = self.strings[table].get(text) {
            return Ok(id);
        }
        let (select, insert) = INTERN[table];
        let id = find_or_insert(self.transaction, select, insert, params![text], text)
            .map_err(|error| self.catalog.sql("recording", error))?;
        self.strings[table].insert(text.to_owned(), id);
        Ok(id)
    }

    fn container(&mut self, path: &str, run: i64) -> Result<i64, CatalogError> {
        if let Some(&id) = self.containers.get(path) {
            return Ok(id);
        }
        let (select, insert) = CONTAINER;
        let id = find_or_insert(self.transaction, select, insert, params![path, run], path)
            .map_err(|error| self.catalog.sql("recording", error))?;
        self.containers.insert(path.to_owned(), id);
        Ok(id)
    }

    /// The number of a container that has a row already.
    pub(super) fn container_at(&mut self, path: &str) -> Result<Option<i64>, CatalogError> {
        if let Some(&id) = self.containers.get(path) {
            return Ok(Some(id));
        }
        let id = find(self.transaction, CONTAINER.0, path)
            .map_err(|error| self.catalog.sql("looking up an artifact", error))?;
        // Only what is there is kept: an absent one may be inserted later in this transaction.
        if let Some(id) = id {
            self.containers.insert(path.to_owned(), id);
        }
        Ok(id)
    }
}

/// The number of what the metadata of an array says; it is entered unless it is there.
pub(super) fn metadata_number(
    transaction: &Transaction<'_>,
    metadata: &ArrayMetadata,
    text: &MetadataText,
) -> rusqlite::Result<i64> {
    let (select, insert) = METADATA;
    let values = params![text.as_str(), metadata.chunks_expected()];
    find_or_insert(transaction, select, insert, values, text.as_str())
}

fn find(transaction: &Transaction<'_>, select: &str, text: &str) -> rusqlite::Result<Option<i64>> {
    transaction
        .prepare_cached(select)?
        .query_row([text], |row| row.get(0))
        .optional()
}

fn find_or_insert(
    transaction: &Transaction<'_>,
    select: &str,
    insert: &str,
    values: impl rusqlite::Params,
    text: &str,
) -> rusqlite::Result<i64> {
    match find(transaction, select, text)? {
        Some(id) => Ok(id),
        // No other writer can insert it in between: the transaction holds the write lock.
        None => transaction.prepare_cached(insert)?.insert(values),
    }
}
