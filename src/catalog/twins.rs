//! Rows of other runs that say of their data what is seen of the data at a row's path.
//!
//! If their own data is not in its place, a run was renamed by hand to the name of another: then
//! what is at the path belongs to the other row, and is not this row's data written again.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::error::CatalogError;
use super::lookup::BY_ID;
use super::sqlite::file::Catalog;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::observation::Observation;

/// Run by run, by the index of keys.
pub(super) const TWINS: &str = "SELECT other.id FROM artifact AS mine CROSS JOIN run \
     CROSS JOIN artifact AS other ON other.run_id = run.id AND other.iteration IS mine.iteration \
       AND other.kind_id = mine.kind_id AND other.dataset_id IS mine.dataset_id \
       AND other.parameters_id IS mine.parameters_id \
     WHERE mine.id = ?1 AND other.id <> mine.id AND other.written_at = ?2";

/// Container by container, by the index of places: older rows of the same array, of the same time.
pub(super) const OLDER_TWINS: &str = "SELECT other.id, container.path FROM artifact AS mine \
     CROSS JOIN container \
     CROSS JOIN artifact AS other ON other.container_id = container.id AND other.array = mine.array \
     WHERE mine.id = ?1 AND other.written_at = mine.written_at AND other.state <> 0 \
       AND (other.recorded_at, other.id) < (mine.recorded_at, mine.id)";

/// Another array in the container of a row, of the same time: those that a training writes differ.
/// Only some are asked about, because in an unpacked archive most have one time.
pub(super) const SHARES_TIME: &str = "SELECT EXISTS (SELECT 1 FROM artifact AS mine CROSS JOIN \
     (SELECT id, written_at FROM artifact \
       WHERE container_id = (SELECT container_id FROM artifact WHERE id = ?1) LIMIT 64) AS other \
     WHERE mine.id = ?1 AND other.id <> mine.id AND other.written_at = mine.written_at)";

/// Misses in a container after which its rows are not asked about any more: in a folder with the
/// name of another, all data is that of the other.
const MOST_MISSES: u32 = 16;

/// Tells whether data may be that of another row, for many rows of one transaction.
#[derive(Default)]
pub(super) struct Doubts {
    /// Rewritten arrays without a twin, by container.
    misses: HashMap<String, u32>,
}

impl Doubts {
    /// Whether what was seen of a row's data is what the row of another run says of its data.
    pub(super) fn has_twin(
        &mut self,
        catalog: &Catalog,
        connection: &Connection,
        row: &Artifact,
        seen: &Observation,
    ) -> Result<bool, CatalogError> {
        if !is_other_data(row, seen) {
            return Ok(false);
        }
        let misses = self.misses.entry(row.location().container).or_default();
        if *misses >= MOST_MISSES {
            return Ok(false);
        }
        let has_twin = !catalog
            .twins_on(connection, row, seen.written_at)?
            .is_empty();
        *misses += u32::from(!has_twin);
        Ok(has_twin)
    }
}

/// Whether a row was last seen with data of another time, or never with data.
pub(super) fn is_other_data(row: &Artifact, seen: &Observation) -> bool {
    let kind = row.key.kind();
    !kind.is_container() && seen.damage.is_none() && row.written_at != Some(seen.written_at)
}

impl Catalog {
    /// Gives the rows at the same place in other runs whose data was written at a time.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn twins(
        &self,
        row: &Artifact,
        written_at: Timestamp,
    ) -> Result<Vec<Artifact>, CatalogError> {
        self.read_with(|connection| self.twins_on(connection, row, written_at))
    }

    /// Gives the older rows of the same array in other containers whose data has the time of a row:
    /// their numbers and containers.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn older_twins(&self, row: &Artifact) -> Result<Vec<(ArtifactId, String)>, CatalogError> {
        self.read("looking up an artifact", |connection| {
            let mut statement = connection.prepare_cached(OLDER_TWINS)?;
            let twins = statement.query_map(params![row.id.0], |row| {
                Ok((ArtifactId(row.get(0)?), row.get(1)?))
            })?;
            twins.collect()
        })
    }

    /// Whether another array in the container of a row has its time, of the first 64.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn shares_time(&self, row: &Artifact) -> Result<bool, CatalogError> {
        self.read("looking up an artifact", |connection| {
            let mut statement = connection.prepare_cached(SHARES_TIME)?;
            statement.query_row(params![row.id.0], |row| row.get(0))
        })
    }

    pub(super) fn twins_on(
        &self,
        connection: &Connection,
        row: &Artifact,
        written_at: Timestamp,
    ) -> Result<Vec<Artifact>, CatalogError> {
        let ids: Vec<i64> = connection
            .prepare_cached(TWINS)
            .and_then(|mut statement| {
                let ids = statement.query_map(params![row.id.0, written_at.0], |row| row.get(0))?;
                ids.collect()
            })
            .map_err(|error| self.sql("looking up an artifact", error))?;
        let mut twins = Vec::new();
        for id in ids {
            let twin = readable(self.one(connection, BY_ID, params![id]))?;
            twins.extend(twin.filter(|twin| {
                twin.state != State::Reserved && place_in_run(twin) == place_in_run(row)
            }));
        }
        Ok(twins)
    }
}

/// Leaves out a damaged row: its own path and key disagree, so it says nothing of other paths.
pub(super) fn readable(
    row: Result<Option<Artifact>, CatalogError>,
) -> Result<Option<Artifact>, CatalogError> {
    match row {
        Err(CatalogError::Row { .. }) => Ok(None),
        row => row,
    }
}

/// The path of a row below the folder of its run.
pub(super) fn place_in_run(row: &Artifact) -> String {
    let path = row.location().path();
    path.strip_prefix(row.key.run().as_str())
        .map_or(path.clone(), str::to_owned)
}
