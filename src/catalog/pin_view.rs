//! What pins bind, for data that has no row or the row of another run.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::CatalogError;
use super::lookup::BY_ID;
use super::places::{self, HAD_OTHER_TIME, METADATA, PinnedPlace};
use super::removals::Change;
use super::rename::PINS_OF_RUN;
use super::rows;
use super::sqlite::file::Catalog;
use super::twins::readable;
use crate::model::array::ArrayMetadata;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::name::RunName;
use crate::model::size::{ByteCount, Size};

/// Reads what pins bind, for data that has no row or the row of another run: in the transaction of
/// a removal, or for a preview.
pub struct PinView<'a> {
    catalog: &'a Catalog,
    connection: &'a Connection,
}

impl Catalog {
    /// Runs `look` on what pins bind. Changes nothing.
    ///
    /// # Errors
    /// Whatever `look` returns, and [`CatalogError`] if the catalog cannot be read.
    pub fn view_pins<T, E: From<CatalogError>>(
        &self,
        look: impl FnOnce(&PinView<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read_with(|connection| {
            look(&PinView {
                catalog: self,
                connection,
            })
        })
    }
}

impl Change<'_> {
    /// What pins bind, as this change sees it.
    #[must_use]
    pub fn pin_view(&self) -> PinView<'_> {
        PinView {
            catalog: self.catalog,
            connection: self.transaction,
        }
    }
}

impl PinView<'_> {
    /// Whether there is any pin.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn has_pins(&self) -> Result<bool, CatalogError> {
        self.catalog.has_pins_on(self.connection)
    }

    /// Names of the pins on a run or on any of its iterations.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn pins_of_run(&self, run: &RunName) -> Result<Vec<String>, CatalogError> {
        self.connection
            .prepare_cached(PINS_OF_RUN)
            .and_then(|mut statement| {
                let names = statement.query_map([run.as_str()], |row| row.get(0))?;
                names.collect()
            })
            .map_err(|error| self.catalog.sql("reading pins", error))
    }

    /// Names of the pins on the run or iteration of a key without a row.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn pins_of_unknown(&self, key: &Key) -> Result<Vec<String>, CatalogError> {
        // Ids begin at 1, so this one finds only pins of the run and iteration.
        let no_artifact = ArtifactId(0);
        self.catalog.pins_of(self.connection, no_artifact, key)
    }

    /// What metadata says, by the number that a [`PinnedPlace`] has; `None` if that is not
    /// understood.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn metadata(&self, number: i64) -> Result<Option<Arc<ArrayMetadata>>, CatalogError> {
        let text: Option<String> = self
            .connection
            .prepare_cached(METADATA)
            .and_then(|mut statement| statement.query_row([number], |row| row.get(0)).optional())
            .map_err(|error| self.catalog.sql("reading metadata", error))?;
        Ok(text.and_then(|text| ArrayMetadata::parse(&text)))
    }

    /// Passes the places of all pinned rows that have or had data to `each`, by one statement: once
    /// for the data that a row has, and once for each that was written over while it was pinned.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn each_pinned_place(&self, mut each: impl FnMut(PinnedPlace)) -> Result<(), CatalogError> {
        let place_of = |row: &Row<'_>| {
            // A row of a kind that this version does not know says nothing of data that it knows.
            let Some(kind) = rows::kind_of(row.get(2)?) else {
                return Ok(None);
            };
            Ok(Some(PinnedPlace {
                id: ArtifactId(row.get(0)?),
                path: row.get(1)?,
                kind,
                written_at: Timestamp(row.get(3)?),
                size: Option::zip(row.get(4)?, row.get(5)?).map(|(bytes, files)| Size {
                    bytes: ByteCount(bytes),
                    files,
                }),
                metadata: row.get(6)?,
                recorded_at: Timestamp(row.get(7)?),
                is_earlier: row.get(8)?,
            }))
        };
        self.catalog
            .run_query(self.connection, &places::pinned(), |row| {
                let place = place_of(row)
                    .map_err(|error| self.catalog.sql("listing pinned rows", error))?;
                place.into_iter().for_each(&mut each);
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
    }

    /// Whether a row had data of another time before, by the history.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn had_other_time(&self, id: ArtifactId, time: Timestamp) -> Result<bool, CatalogError> {
        self.connection
            .prepare_cached(HAD_OTHER_TIME)
            .and_then(|mut statement| statement.query_row(params![id.0, time.0], |row| row.get(0)))
            .map_err(|error| self.catalog.sql("reading history", error))
    }

    /// The names of the pins that bind a row.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn pins_of_row(&self, id: ArtifactId) -> Result<Vec<String>, CatalogError> {
        let row = readable(self.catalog.one(self.connection, BY_ID, params![id.0]))?;
        Ok(row.map(|row| row.pins).unwrap_or_default())
    }
}
