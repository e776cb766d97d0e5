//! Removals in the catalog: rows that go, come back, and what is remembered of them.

use std::ops::ControlFlow;

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::Catalog;
use super::error::CatalogError;
use super::journal::Journal;
use super::rows::{self, columns, names};
use super::select::{Query, conditions};
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::layout::Location;
use crate::model::operation::Doing;
use crate::model::removal::{Actor, Removal, RemovalId, RemovalState, RemovedArtifact};
use crate::model::size::{ByteCount, Total};

pub(super) const INSERT_REMOVAL: &str = "INSERT INTO removal \
     (id, removed_at, user, host, pid, reason, state, purge_after) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(super) const INSERT_REMOVED: &str = "INSERT INTO removed (removal_id, artifact_id, item, \
     run_id, kind_id, iteration, dataset_id, parameters_id, container_id, array, origin, state, \
     bytes, files, recorded_at, written_at, sealed_at, owner, content) \
     SELECT ?1, id, ?3, run_id, kind_id, iteration, dataset_id, parameters_id, container_id, \
     array, origin, state, bytes, files, recorded_at, written_at, sealed_at, owner, content \
     FROM artifact WHERE id = ?2";
pub(super) const BRING_BACK: &str = "INSERT INTO artifact (id, run_id, kind_id, iteration, \
     dataset_id, parameters_id, container_id, array, origin, state, bytes, files, recorded_at, \
     written_at, sealed_at, owner, content) \
     SELECT artifact_id, run_id, kind_id, iteration, dataset_id, parameters_id, container_id, \
     array, origin, state, bytes, files, recorded_at, written_at, sealed_at, owner, content \
     FROM removed WHERE removal_id = ?1 AND artifact_id = ?2";
pub(super) const MARK_RESTORED: &str =
    "UPDATE removed SET restored_at = ?3 WHERE removal_id = ?1 AND artifact_id = ?2";
pub(super) const SET_STATE: &str = "UPDATE removal SET state = ?2, ended_at = ?3 WHERE id = ?1";
pub(super) const STATE_OF: &str = "SELECT state, purge_after FROM removal WHERE id = ?1";
pub(super) const OPEN_STATES: &str = "SELECT id, state, purge_after FROM removal INDEXED BY removal_open WHERE state < 2 ORDER BY id";
pub(super) const COUNT_IN_CONTAINER: &str = "SELECT count(*) FROM (SELECT 1 FROM container \
     CROSS JOIN artifact AS a ON a.container_id = container.id WHERE container.path = ?1 LIMIT ?2)";
pub(super) const COUNT_BELOW_CONTAINER: &str = "SELECT count(*) FROM (SELECT 1 FROM container \
     CROSS JOIN artifact AS a ON a.container_id = container.id \
     WHERE container.path >= ?1 AND container.path < ?2 LIMIT ?3)";
pub(super) const INSERT_MOVED: &str =
    "INSERT INTO moved (removal_id, item, path) VALUES (?1, ?2, ?3)";
pub(super) const PATH_OF_ITEM: &str = "SELECT path FROM moved WHERE removal_id = ?1 AND item = ?2";
pub(super) const OF_ITEM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT removed.*, artifact_id AS id FROM removed \
        WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NULL) AS a \
     LEFT JOIN run ON run.id = a.run_id LEFT JOIN container ON container.id = a.container_id",
    names!()
);
pub(super) const LEFT_OF_ITEM: &str = "SELECT count(*) FROM removed \
     WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NULL";
pub(super) const RESTORES: &str =
    "SELECT count(*), max(restored_at) FROM removed WHERE restored_at IS NOT NULL";
pub(super) const LEFT: &str = "SELECT count(*) FROM removed \
     WHERE removal_id = ?1 AND item IS NOT NULL AND restored_at IS NULL";
/// Other artifacts at a path or below it. `?1` a container, `?2` and `?3` the bounds of what lies
/// below the container, `?4` the array, `?5` and `?6` the bounds of what lies below the array.
pub(super) const BELOW_ARRAY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1 AND a.array >= ?2 AND a.array < ?3"
);
pub(super) const BELOW_CONTAINER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path >= ?1 AND container.path < ?2"
);
pub(super) const IN_CONTAINER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1"
);
/// What was removed from a place and is not restored.
pub(super) const REMOVED_FROM: &str = concat!(
    "SELECT ",
    columns!(),
    ", a.removal_id, a.item FROM container \
     CROSS JOIN (SELECT removed.*, artifact_id AS id FROM removed) AS a \
     ON a.container_id = container.id LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1 AND a.array = ?2 AND a.restored_at IS NULL"
);
const REMOVAL_COLUMNS: &str = "SELECT r.id, r.removed_at, r.user, r.host, r.pid, r.reason, \
     r.state, r.purge_after, \
     (SELECT count(*) FROM removed AS d WHERE d.removal_id = r.id AND d.item IS NOT NULL \
        AND d.restored_at IS NULL), \
     (SELECT ifnull(sum(d.bytes), 0) FROM removed AS d WHERE d.removal_id = r.id \
        AND d.item IS NOT NULL AND d.restored_at IS NULL AND d.kind_id NOT IN (7, 8)), \
     (SELECT ifnull(sum(d.files), 0) FROM removed AS d WHERE d.removal_id = r.id \
        AND d.item IS NOT NULL AND d.restored_at IS NULL AND d.kind_id NOT IN (7, 8)), \
     (SELECT count(*) FROM removed AS d WHERE d.removal_id = r.id AND d.item IS NOT NULL \
        AND d.restored_at IS NULL AND d.bytes IS NULL AND d.kind_id NOT IN (7, 8)) \
     FROM removal AS r";

pub(super) fn open_removals() -> String {
    format!("{REMOVAL_COLUMNS} INDEXED BY removal_open WHERE r.state < 2 ORDER BY r.id")
}

pub(super) fn removal_by_id() -> String {
    format!("{REMOVAL_COLUMNS} WHERE r.id = ?1")
}

pub(super) fn removed_query(filter: &Filter, now: Timestamp) -> Query {
    let Query {
        sql: conditions,
        values,
    } = conditions(filter, now);
    let sql = format!(
        "SELECT {}, a.removal_id, a.item \
         FROM removal AS r INDEXED BY removal_open \
           CROSS JOIN (SELECT removed.*, artifact_id AS id FROM removed) AS a \
           ON a.removal_id = r.id \
         LEFT JOIN run ON run.id = a.run_id \
         LEFT JOIN container ON container.id = a.container_id{}\
         WHERE r.state < 2 AND r.state = 0 AND a.restored_at IS NULL{conditions} \
         ORDER BY r.id, container.path, a.array",
        columns!(),
        names!()
    );
    Query { sql, values }
}

pub(super) fn state_of(number: i64) -> Option<RemovalState> {
    RemovalState::ALL
        .into_iter()
        .find(|&state| state as i64 == number)
}

/// What stands for a removal while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRemoval {
    /// What has become of it.
    pub state: RemovalState,
    /// When a kept one may be purged.
    pub purge_after: Option<Timestamp>,
}

/// A change of removals, within one transaction.
pub struct Change<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) journal: &'a Journal<'a>,
}

impl Catalog {
    /// Runs a change of removals in one transaction; it is committed where `change` is `Ok`.
    ///
    /// # Errors
    /// Whatever `change` returns, and [`CatalogError`]; then nothing is changed.
    pub fn change<T, E: From<CatalogError>>(
        &self,
        doing: Doing<'_>,
        change: impl FnOnce(&Change<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.operate(doing, true, |journal| {
            change(&Change {
                catalog: self,
                transaction: journal.transaction,
                journal,
            })
        })
    }

    /// Gives the artifacts of a container, itself included, and of containers in it.
    ///
    /// # Errors
    /// [`CatalogError`].
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

    /// Gives the removals whose data is not gone and not back, oldest first.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn open_removals(&self) -> Result<Vec<Removal>, CatalogError> {
        let query = open_removals();
        self.read("listing removals", |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            statement.query_map([], removal)?.collect()
        })
    }

    /// Gives what stands for each removal whose data is not gone and not back.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn open_states(&self) -> Result<Vec<(RemovalId, OpenRemoval)>, CatalogError> {
        self.read("listing removals", |connection| {
            connection
                .prepare_cached(OPEN_STATES)?
                .query_map([], |row| {
                    let (id, state): (String, i64) = (row.get(0)?, row.get(1)?);
                    let purge_after: Option<i64> = row.get(2)?;
                    let open = state_of(state).map(|state| OpenRemoval {
                        state,
                        purge_after: purge_after.map(Timestamp),
                    });
                    Ok(id.parse().ok().zip(open))
                })?
                .filter_map(Result::transpose)
                .collect()
        })
    }

    /// Number of artifacts in a container, itself included, and in containers in it; counts no
    /// further than `most`.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn count_in_container(&self, container: &str, most: usize) -> Result<usize, CatalogError> {
        let (first, end) = below(container);
        self.read("counting", |connection| {
            let count = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
                connection
                    .prepare_cached(sql)?
                    .query_row(parameters, |row| row.get::<_, usize>(0))
            };
            let here = count(COUNT_IN_CONTAINER, &[&container, &most])?;
            Ok(here + count(COUNT_BELOW_CONTAINER, &[&first, &end, &most])?)
        })
    }

    /// Gives a removal.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn removal(&self, id: &RemovalId) -> Result<Option<Removal>, CatalogError> {
        let query = removal_by_id();
        self.read("reading a removal", |connection| {
            connection
                .prepare_cached(&query)?
                .query_row([id.as_str()], removal)
                .optional()
        })
    }

    /// How many artifacts were ever restored, and when the last was.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn restores(&self) -> Result<(u64, Option<Timestamp>), CatalogError> {
        self.read("counting restores", |connection| {
            connection.prepare_cached(RESTORES)?.query_row([], |row| {
                let last: Option<i64> = row.get(1)?;
                Ok((row.get(0)?, last.map(Timestamp)))
            })
        })
    }

    /// Gives the artifacts of kept removals that a filter selects and that are not restored.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn kept_artifacts(
        &self,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<RemovedArtifact>, CatalogError> {
        self.removed(&removed_query(filter, now))
    }

    /// Gives what was removed from a place and is not restored.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn removed_from(&self, place: &Location) -> Result<Vec<RemovedArtifact>, CatalogError> {
        let array = place.array.clone().unwrap_or_default();
        self.removed(&Query {
            sql: REMOVED_FROM.to_owned(),
            values: vec![place.container.clone().into(), array.into()],
        })
    }

    fn removed(&self, query: &Query) -> Result<Vec<RemovedArtifact>, CatalogError> {
        let mut found = Vec::new();
        self.read_with(|connection| {
            self.run_query(connection, query, |row| {
                let artifact = self.artifact_of(connection, row)?;
                let fields = || -> rusqlite::Result<(String, Option<u32>)> {
                    Ok((row.get(rows::COLUMNS)?, row.get(rows::COLUMNS + 1)?))
                };
                let (removal, item) =
                    fields().map_err(|error| self.sql("listing removals", error))?;
                let removal = removal.parse().map_err(|_| CatalogError::Row {
                    path: self.path.clone(),
                    id: artifact.id.0,
                    detail: format!("\"{}\" is no id of a removal", removal.escape_debug()),
                })?;
                found.push(RemovedArtifact {
                    removal,
                    item,
                    artifact,
                });
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
        })?;
        Ok(found)
    }
}

fn removal(row: &Row<'_>) -> rusqlite::Result<Removal> {
    let id: String = row.get(0)?;
    let invalid = |index, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(
            index,
            rusqlite::types::Type::Null,
            what.to_owned().into(),
        )
    };
    Ok(Removal {
        id: id.parse().map_err(|_| invalid(0, "no id of a removal"))?,
        removed_at: Timestamp(row.get(1)?),
        actor: Actor {
            user: row.get(2)?,
            host: row.get(3)?,
            pid: row.get(4)?,
        },
        reason: row.get(5)?,
        state: state_of(row.get(6)?).ok_or_else(|| invalid(6, "no state of a removal"))?,
        purge_after: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        artifacts: row.get(8)?,
        total: Total {
            bytes: ByteCount(row.get(9)?),
            files: row.get(10)?,
            uncounted: row.get(11)?,
        },
    })
}

/// Bounds of the paths below a path: `p/` up to, not including, `p0`, the next character.
pub(super) fn below(path: &str) -> (String, String) {
    (format!("{path}/"), format!("{path}0"))
}
