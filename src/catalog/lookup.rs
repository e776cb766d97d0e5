//! Looking artifacts up one by one: by number, by place, in a container.

use rusqlite::{Connection, Row, params};

use super::error::CatalogError;
use super::rows::{self, columns, names};
use super::sqlite::file::Catalog;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::layout::Location;

pub(super) const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM artifact AS a LEFT JOIN run ON run.id = a.run_id \
     LEFT JOIN container ON container.id = a.container_id",
    names!(),
    "WHERE a.id = ?1"
);
pub(super) const BY_PATH: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1 AND a.array = ?2"
);
// The limit is inside, so that counting ends there.
pub(super) const COUNT_IN_CONTAINER: &str = "SELECT count(*) FROM (SELECT 1 FROM container \
     CROSS JOIN artifact AS a ON a.container_id = container.id WHERE container.path = ?1 LIMIT ?2)";
pub(super) const COUNT_BELOW_CONTAINER: &str = "SELECT count(*) FROM (SELECT 1 FROM container \
     CROSS JOIN artifact AS a ON a.container_id = container.id \
     WHERE container.path >= ?1 AND container.path < ?2 LIMIT ?3)";
/// Artifacts below an array: `?1` is its container, `?2` and `?3` bound what lies below it.
pub(super) const BELOW_ARRAY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1 AND a.array >= ?2 AND a.array < ?3"
);
/// Artifacts of the containers inside of one; `?1` and `?2` bound their paths.
pub(super) const BELOW_CONTAINER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path >= ?1 AND container.path < ?2"
);
/// Artifacts of a container, itself included.
pub(super) const IN_CONTAINER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1"
);
impl Catalog {
    /// Looks up the artifact at a place.
    ///
    /// # Errors
    /// [`CatalogError`] if the row cannot be read.
    pub fn at(&self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        self.read_with(|connection| self.at_on(connection, location))
    }

    pub(super) fn at_on(
        &self,
        connection: &Connection,
        location: &Location,
    ) -> Result<Option<Artifact>, CatalogError> {
        // Without an array the column is empty text, because no index compares NULLs as equal.
        let array = location.array.as_deref().unwrap_or_default();
        self.one(connection, BY_PATH, params![location.container, array])
    }

    /// Looks up an artifact by its number.
    ///
    /// # Errors
    /// [`CatalogError`] if the row cannot be read.
    pub fn by_id(&self, id: ArtifactId) -> Result<Option<Artifact>, CatalogError> {
        self.read_with(|connection| self.one(connection, BY_ID, params![id.0]))
    }

    pub(super) fn one(
        &self,
        connection: &Connection,
        query: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<Artifact>, CatalogError> {
        let sql = |error| self.sql("looking up an artifact", error);
        let mut statement = connection.prepare_cached(query).map_err(sql)?;
        let mut rows = statement.query(parameters).map_err(sql)?;
        let Some(row) = rows.next().map_err(sql)? else {
            return Ok(None);
        };
        let artifact = self.artifact_of(connection, row)?;
        // The unique index rules out a second row, unless it is damaged. Then the place is
        // ambiguous, and a pin on either row binds the data of both: so this fails closed.
        match rows.next().map_err(sql)? {
            None => Ok(Some(artifact)),
            Some(_) => Err(CatalogError::Row {
                path: self.path.clone(),
                id: artifact.id.0,
                detail: "another row has its path".to_owned(),
            }),
        }
    }

    /// Gives the artifacts of a container, itself included, and of containers in it.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn in_container(&self, container: &str) -> Result<Vec<Artifact>, CatalogError> {
        self.read_with(|connection| self.in_container_on(connection, container))
    }

    pub(super) fn in_container_on(
        &self,
        connection: &rusqlite::Connection,
        container: &str,
    ) -> Result<Vec<Artifact>, CatalogError> {
        let mut found = self.many(connection, IN_CONTAINER, params![container])?;
        let (first, end) = below(container);
        found.extend(self.many(connection, BELOW_CONTAINER, params![first, end])?);
        Ok(found)
    }

    pub(super) fn many(
        &self,
        connection: &rusqlite::Connection,
        query: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<Artifact>, CatalogError> {
        let sql = |error| self.sql("listing", error);
        let mut statement = connection.prepare_cached(query).map_err(sql)?;
        let mut rows = statement.query(parameters).map_err(sql)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            found.push(self.artifact_of(connection, row)?);
        }
        Ok(found)
    }

    /// Number of artifacts in a container, itself included, and in containers in it; counts no
    /// further than `most`.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn count_in_container(&self, container: &str, most: usize) -> Result<usize, CatalogError> {
        let (first, end) = below(container);
        self.read("counting", |connection| {
            let count = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
                connection
                    .prepare_cached(sql)?
                    .query_row(parameters, |row| row.get::<_, usize>(0))
            };
            let here = count(COUNT_IN_CONTAINER, &[&container, &most])?;
            // Each part is bounded on its own, so the sum may reach twice `most`.
            Ok(here + count(COUNT_BELOW_CONTAINER, &[&first, &end, &most])?)
        })
    }

    /// Reads a row with the columns of [`columns`], with its pins.
    pub(super) fn artifact_of(
        &self,
        connection: &Connection,
        row: &Row<'_>,
    ) -> Result<Artifact, CatalogError> {
        let mut artifact = rows::artifact(&self.path, &self.base, row)?;
        let sql = |error| self.sql("reading an artifact", error);
        // Most rows have no pin, and are spared the query.
        if rows::may_be_pinned(row).map_err(sql)? {
            artifact.pins = self.pins_of(connection, artifact.id, &artifact.key)?;
        }
        Ok(artifact)
    }
}

/// Bounds of the paths below a path: `p/` up to, not including, `p0`, the next character.
pub(super) fn below(path: &str) -> (String, String) {
    (format!("{path}/"), format!("{path}0"))
}
