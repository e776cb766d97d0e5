//! Pins in the catalog: what binds an artifact.

use rusqlite::{Connection, Row, params};

use super::Catalog;
use super::error::CatalogError;
use super::rows;
use crate::artifact::{Artifact, ArtifactId};
use crate::key::Key;

/// Names of the pins that bind an artifact: `?1` its number, `?2` its run, `?3` its iteration.
pub(super) const PINS_OF: &str = "SELECT pin.name FROM pinned \
     JOIN pin ON pin.id = pinned.pin_id WHERE pinned.artifact_id = ?1 \
     UNION SELECT pin.name FROM run JOIN pin_scope AS s ON s.run_id = run.id \
     JOIN pin ON pin.id = s.pin_id WHERE run.name = ?2 \
     AND (s.first IS NULL OR ?3 >= s.first) AND (s.last IS NULL OR ?3 <= s.last) ORDER BY 1";
pub(super) const HAS_PINS: &str = "SELECT EXISTS (SELECT 1 FROM pin)";

impl Catalog {
    /// Reads a row with the columns of [`rows::columns`], with its pins.
    pub(super) fn artifact_of(
        &self,
        connection: &Connection,
        row: &Row<'_>,
    ) -> Result<Artifact, CatalogError> {
        let mut artifact = rows::artifact(&self.path, &self.base, row)?;
        let sql = |error| self.sql("reading an artifact", error);
        if rows::may_be_pinned(row).map_err(sql)? {
            artifact.pins = self.pins_of(connection, artifact.id, &artifact.key)?;
        }
        Ok(artifact)
    }

    /// Names of the pins that bind an artifact, in their order.
    pub(super) fn pins_of(
        &self,
        connection: &Connection,
        id: ArtifactId,
        key: &Key,
    ) -> Result<Vec<String>, CatalogError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = connection.prepare_cached(PINS_OF)?;
            let names = statement
                .query_map(params![id.0, key.run().as_str(), key.iteration()], |row| {
                    row.get(0)
                })?;
            names.collect()
        };
        read().map_err(|error| self.sql("reading pins", error))
    }

    /// Whether there is any pin.
    pub(super) fn has_pins_on(&self, connection: &Connection) -> Result<bool, CatalogError> {
        connection
            .prepare_cached(HAS_PINS)
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|error| self.sql("reading pins", error))
    }
}
