//! What pins bind, for data that has no row or the row of another run.

use rusqlite::{Connection, params};

use super::error::CatalogError;
use super::lookup::BY_ID;
use super::removals::Change;
use super::rename::PINS_OF_RUN;
use super::sqlite::file::Catalog;
use super::twins::{place_in_run, readable};
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout::Location;
use crate::model::name::RunName;

/// Runs of which a pin binds anything.
pub(super) const PINNED_RUNS: &str = "SELECT run_id FROM pin_scope UNION \
     SELECT artifact.run_id FROM pinned CROSS JOIN artifact ON artifact.id = pinned.artifact_id";
/// The same as twins, in one run.
pub(super) const TWIN_IN: &str = "SELECT other.id FROM artifact AS mine \
     CROSS JOIN artifact AS other ON other.run_id = ?3 AND other.iteration IS mine.iteration \
       AND other.kind_id = mine.kind_id AND other.dataset_id IS mine.dataset_id \
       AND other.parameters_id IS mine.parameters_id \
     WHERE mine.id = ?1 AND other.id <> mine.id AND other.written_at = ?2";

/// What is at the same place in one run.
pub(super) const AT_PLACE: &str = "SELECT artifact.id FROM run \
     CROSS JOIN container ON container.path = run.name || ?2 \
     CROSS JOIN artifact ON artifact.container_id = container.id AND artifact.array = ?3 \
     WHERE run.id = ?1 AND artifact.written_at = ?4";

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

    /// Numbers of the runs of which a pin binds anything.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn pinned_runs(&self) -> Result<Vec<i64>, CatalogError> {
        self.connection
            .prepare_cached(PINNED_RUNS)
            .and_then(|mut statement| {
                let runs = statement.query_map([], |row| row.get(0))?;
                runs.collect()
            })
            .map_err(|error| self.catalog.sql("reading pins", error))
    }

    /// Gives the pinned rows at the same place in these runs whose data was written at a time.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn pinned_twins(
        &self,
        row: &Artifact,
        written_at: Timestamp,
        runs: &[i64],
    ) -> Result<Vec<Artifact>, CatalogError> {
        let mut ids: Vec<i64> = Vec::new();
        let sql = |error| self.catalog.sql("looking up an artifact", error);
        let mut statement = self.connection.prepare_cached(TWIN_IN).map_err(sql)?;
        for run in runs {
            let found = statement
                .query_map(params![row.id.0, written_at.0, run], |row| row.get(0))
                .and_then(Iterator::collect::<rusqlite::Result<Vec<i64>>>)
                .map_err(sql)?;
            ids.extend(found);
        }
        let mut twins = self.pinned_of(ids)?;
        twins.retain(|twin| place_in_run(twin) == place_in_run(row));
        Ok(twins)
    }

    /// Gives the pinned rows at the place of what has no row, in these runs, whose data was written
    /// at a time. `place`: below the folder of `run`.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn pinned_at_place(
        &self,
        run: &RunName,
        place: &Location,
        written_at: Timestamp,
        runs: &[i64],
    ) -> Result<Vec<Artifact>, CatalogError> {
        let Some(container) = place.container.strip_prefix(run.as_str()) else {
            return Ok(Vec::new());
        };
        let array = place.array.as_deref().unwrap_or_default();
        let mut ids: Vec<i64> = Vec::new();
        let sql = |error| self.catalog.sql("looking up an artifact", error);
        let mut statement = self.connection.prepare_cached(AT_PLACE).map_err(sql)?;
        for run in runs {
            let found = statement
                .query_map(params![run, container, array, written_at.0], |row| {
                    row.get(0)
                })
                .and_then(Iterator::collect::<rusqlite::Result<Vec<i64>>>)
                .map_err(sql)?;
            ids.extend(found);
        }
        self.pinned_of(ids)
    }

    /// The rows of these numbers that a pin binds, and that have or had data.
    fn pinned_of(&self, ids: Vec<i64>) -> Result<Vec<Artifact>, CatalogError> {
        let mut pinned = Vec::new();
        for id in ids {
            let row = readable(self.catalog.one(self.connection, BY_ID, params![id]))?;
            pinned.extend(row.filter(|row| !row.pins.is_empty() && row.state != State::Reserved));
        }
        Ok(pinned)
    }
}
