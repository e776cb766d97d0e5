//! Removals in the catalog: rows that go, come back, and what is remembered of them.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::error::CatalogError;
use super::journal::Journal;
use super::lookup;
use super::query::{Query, conditions};
use super::rows::{self, columns, names, row_columns};
use super::sqlite::file::Catalog;
use crate::model::actor::Actor;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, RemovalMade, RemovalStateSet};
use crate::model::filter::Filter;
use crate::model::layout::Location;
use crate::model::operation::{NewOperation, Side};
use crate::model::removal::{Removal, RemovalFate, RemovalId, RemovalState, RemovedArtifact};
use crate::model::size::{ByteCount, Total};

pub(super) const INSERT_REMOVAL: &str = "INSERT INTO removal \
     (id, removed_at, user, host, pid, reason, state, purge_after) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(super) const DELETE: &str = "DELETE FROM artifact WHERE id = ?1";
/// Copies a row into a removal.
pub(super) const COPY_TO_REMOVAL: &str = concat!(
    "INSERT INTO removed (removal_id, artifact_id, item, ",
    row_columns!(),
    ") SELECT ?1, id, ?3, ",
    row_columns!(),
    " FROM artifact WHERE id = ?2"
);
/// Copies it back.
pub(super) const REINSTATE: &str = concat!(
    "INSERT INTO artifact (id, ",
    row_columns!(),
    ") SELECT artifact_id, ",
    row_columns!(),
    " FROM removed WHERE removal_id = ?1 AND artifact_id = ?2"
);
pub(super) const MARK_RESTORED: &str =
    "UPDATE removed SET restored_at = ?3 WHERE removal_id = ?1 AND artifact_id = ?2";
pub(super) const KEEP: &str = "UPDATE removal SET purge_after = NULL WHERE id = ?1";
pub(super) const SET_STATE: &str = "UPDATE removal SET state = ?2, ended_at = ?3 WHERE id = ?1";
pub(super) const STATE_OF: &str = "SELECT state, purge_after FROM removal WHERE id = ?1";
pub(super) const OPEN_STATES: &str = "SELECT id, state, purge_after \
     FROM removal INDEXED BY removal_open WHERE state < 2 ORDER BY id";
pub(super) const ADD_ITEM: &str = "INSERT INTO moved (removal_id, item, path) VALUES (?1, ?2, ?3)";
pub(super) const PATH_OF_ITEM: &str = "SELECT path FROM moved WHERE removal_id = ?1 AND item = ?2";
pub(super) const OF_ITEM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT removed.*, artifact_id AS id \
        FROM removed INDEXED BY removed_item WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NULL) AS a \
     LEFT JOIN run ON run.id = a.run_id LEFT JOIN container ON container.id = a.container_id",
    names!()
);
/// Artifacts of an item that are restored, and whose rows say that their data is gone (state 2).
pub(super) const MISSING_OF_ITEM: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM (SELECT removed.*, artifact_id AS id \
        FROM removed INDEXED BY removed_item WHERE removal_id = ?1 AND item = ?2 AND restored_at IS NOT NULL \
          AND EXISTS (SELECT 1 FROM artifact AS now WHERE now.id = removed.artifact_id AND now.state = 2)) AS a \
     LEFT JOIN run ON run.id = a.run_id LEFT JOIN container ON container.id = a.container_id",
    names!()
);
pub(super) const RESTORES: &str =
    "SELECT count(*), max(restored_at) FROM removed WHERE restored_at IS NOT NULL";
/// What has become of a removal, with the numbers of its artifacts that are restored and that are not.
pub(super) const FATE: &str = "SELECT r.state, r.ended_at, \
     (SELECT count(d.restored_at) FROM removed AS d WHERE d.removal_id = r.id), \
     (SELECT count(*) - count(d.restored_at) FROM removed AS d WHERE d.removal_id = r.id) \
     FROM removal AS r WHERE r.id = ?1";
pub(super) const LEFT: &str = "SELECT count(*) FROM removed \
     WHERE removal_id = ?1 AND item IS NOT NULL AND restored_at IS NULL";
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
// `state < 2` is the condition of the partial index `removal_open`; SQLite uses the index only if
// the query repeats it.
/// What kept removals moved to the trash and that is not restored.
pub(super) const KEPT_ITEMS: &str = "SELECT m.removal_id, m.item, m.path \
     FROM removal AS r INDEXED BY removal_open CROSS JOIN moved AS m ON m.removal_id = r.id \
     WHERE r.state < 2 AND r.state = 0 AND EXISTS (SELECT 1 FROM removed AS d \
       INDEXED BY removed_item WHERE d.removal_id = m.removal_id AND d.item = m.item AND d.restored_at IS NULL) \
     ORDER BY m.removal_id, m.item";

/// Bytes on disk of what lies in the trash, or apparent ones if these were never counted.
// Containers (kinds 7 and 8) have no size of their own.
pub(super) const TRASH_BYTES: &str = "SELECT ifnull(sum(ifnull(d.disk_bytes, d.bytes)), 0) \
     FROM removal AS r INDEXED BY removal_open CROSS JOIN removed AS d ON d.removal_id = r.id \
     WHERE r.state < 2 AND d.item IS NOT NULL AND d.restored_at IS NULL \
       AND d.kind_id NOT IN (7, 8)";
/// Every removal, with what has become of it.
pub(super) const REMOVALS: &str = "SELECT id, state FROM removal";
// Containers (kinds 7 and 8) have no size of their own: their arrays are counted.
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
    // CROSS JOIN, because SQLite keeps its order: only rows of open removals are read.
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

/// What a kept removal has in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptItem {
    /// The removal.
    pub removal: RemovalId,
    /// Its name in the trash.
    pub item: u32,
    /// Its old place, relative to the base directory, as the row says.
    pub path: String,
}

/// State of a removal while it is open.
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
    /// Runs a change of removals in one transaction; it is committed if `change` is `Ok`.
    ///
    /// # Errors
    /// Whatever `change` returns, and [`CatalogError`]; then nothing is changed.
    pub fn change<T, E: From<CatalogError>>(
        &self,
        operation: NewOperation<'_>,
        change: impl FnOnce(&Change<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // Durable whatever the handle promises: unlinking begins after this commit.
        self.operate(operation, true, |journal| {
            change(&Change {
                catalog: self,
                transaction: journal.transaction,
                journal,
            })
        })
    }

    /// Gives the removals whose data is not gone and not back, oldest first.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn open_removals(&self) -> Result<Vec<Removal>, CatalogError> {
        let query = open_removals();
        self.read("listing removals", |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            statement.query_map([], removal)?.collect()
        })
    }

    /// Gives the bytes on disk of what lies in the trash, as far as it was counted.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn trash_bytes(&self) -> Result<ByteCount, CatalogError> {
        self.read("summing the trash", |connection| {
            let mut statement = connection.prepare_cached(TRASH_BYTES)?;
            statement.query_row([], |row| row.get::<_, i64>(0))
        })
        // Rows of a damaged catalog can add up to less than nothing.
        .map(|bytes| ByteCount(u64::try_from(bytes).unwrap_or_default()))
    }

    /// Gives the state of each removal whose data is not gone and not back.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn open_states(&self) -> Result<Vec<(RemovalId, OpenRemoval)>, CatalogError> {
        self.read("listing removals", open_states)
    }

    /// Gives a removal.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn removal(&self, id: &RemovalId) -> Result<Option<Removal>, CatalogError> {
        let query = removal_by_id();
        self.read("reading a removal", |connection| {
            connection
                .prepare_cached(&query)?
                .query_row([id.as_str()], removal)
                .optional()
        })
    }

    /// What has become of a removal; `None` if there is none with this id.
    pub(super) fn fate_on(
        &self,
        connection: &Connection,
        id: &RemovalId,
    ) -> Result<Option<RemovalFate>, CatalogError> {
        let found: Option<(i64, Option<i64>, u64, u64)> = connection
            .prepare_cached(FATE)
            .and_then(|mut statement| {
                let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
                statement.query_row([id.as_str()], row).optional()
            })
            .map_err(|error| self.sql("reading a removal", error))?;
        let Some((state, ended_at, restored, left)) = found else {
            return Ok(None);
        };
        let state = state_of(state).ok_or_else(|| CatalogError::Damaged {
            path: self.path.clone(),
            detail: format!("removal {id} has no state {state}"),
        })?;
        Ok(Some(RemovalFate {
            state,
            restored,
            left,
            ended_at: ended_at.map(Timestamp),
        }))
    }

    /// How many artifacts were ever restored, and when the last was.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn restores(&self) -> Result<(u64, Option<Timestamp>), CatalogError> {
        self.read("counting restores", |connection| {
            connection.prepare_cached(RESTORES)?.query_row([], |row| {
                // NULL if nothing was ever restored.
                let last: Option<i64> = row.get(1)?;
                Ok((row.get(0)?, last.map(Timestamp)))
            })
        })
    }

    /// Gives the artifacts of kept removals that a filter selects and that are not restored.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
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
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn removed_from(&self, place: &Location) -> Result<Vec<RemovedArtifact>, CatalogError> {
        // The container itself has an empty path in it.
        let array = place.array.clone().unwrap_or_default();
        self.removed(&Query {
            sql: REMOVED_FROM.to_owned(),
            values: vec![place.container.clone().into(), array.into()],
        })
    }

    /// Gives what kept removals have in the trash to `each`.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise; and what `each` returns.
    pub fn kept_items<E: From<CatalogError>>(
        &self,
        mut each: impl FnMut(KeptItem) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            let sql = |error| self.sql("listing removals", error);
            let mut statement = connection.prepare_cached(KEPT_ITEMS).map_err(sql)?;
            let mut rows = statement.query([]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let id: String = row.get(0).map_err(sql)?;
                // An invalid id has no folder in the trash; `verify` reports it.
                if let Ok(removal) = id.parse() {
                    each(KeptItem {
                        removal,
                        item: row.get(1).map_err(sql)?,
                        path: row.get(2).map_err(sql)?,
                    })?;
                }
            }
            Ok(())
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
                // The two columns behind those of the row.
                let (removal, item) =
                    fields().map_err(|error| self.sql("listing removals", error))?;
                let removal = removal.parse().map_err(|_| CatalogError::Row {
                    path: self.path.clone(),
                    id: artifact.id.0,
                    detail: format!("\"{}\" is not the id of a removal", removal.escape_debug()),
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

fn open_states(connection: &Connection) -> rusqlite::Result<Vec<(RemovalId, OpenRemoval)>> {
    connection
        .prepare_cached(OPEN_STATES)?
        .query_map([], |row| {
            let (id, state): (String, i64) = (row.get(0)?, row.get(1)?);
            let purge_after: Option<i64> = row.get(2)?;
            let open = state_of(state).map(|state| OpenRemoval {
                state,
                purge_after: purge_after.map(Timestamp),
            });
            // An unknown id or state has no folder in the trash; `verify` reports it.
            Ok(id.parse().ok().zip(open))
        })?
        .filter_map(Result::transpose)
        .collect()
}

impl Change<'_> {
    /// Who makes this change.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.journal.who.actor
    }

    fn sql(&self, error: rusqlite::Error) -> CatalogError {
        self.catalog.sql("changing removals", error)
    }

    /// The error for rows that do not fit each other.
    #[must_use]
    pub fn damaged(&self, detail: String) -> CatalogError {
        self.view().damaged(detail)
    }

    pub(super) fn run(
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
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn artifact(&self, id: ArtifactId) -> Result<Option<Artifact>, CatalogError> {
        let sql = lookup::BY_ID;
        // At most one: ids are unique.
        Ok(self
            .catalog
            .many(self.transaction, sql, params![id.0])?
            .pop())
    }

    /// Gives the artifact at a place.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn at(&self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        self.view().at(location)
    }

    /// Gives the artifacts of a container, itself included, and of containers in it.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn in_container(&self, container: &str) -> Result<Vec<Artifact>, CatalogError> {
        self.catalog.in_container_on(self.transaction, container)
    }

    /// Gives the artifacts that lie below an array.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn below_array(&self, container: &str, array: &str) -> Result<Vec<Artifact>, CatalogError> {
        // An array can hold arrays of the same container, and whole containers of their own.
        let (first, end) = lookup::below(array);
        let mut found = self.catalog.many(
            self.transaction,
            lookup::BELOW_ARRAY,
            params![container, first, end],
        )?;
        let (first, end) = lookup::below(&format!("{container}/{array}"));
        found.extend(self.catalog.many(
            self.transaction,
            lookup::BELOW_CONTAINER,
            params![first, end],
        )?);
        Ok(found)
    }

    /// Records a removal.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn begin_removal(
        &self,
        id: &RemovalId,
        now: Timestamp,
        actor: &Actor,
        reason: Option<&str>,
        open: &OpenRemoval,
    ) -> Result<(), CatalogError> {
        // The row of the removal changes later, so the history keeps the state that it began with.
        self.journal.detail(Detail::RemovalMade(RemovalMade {
            removal: id.clone(),
            state: open.state,
            purge_after: open.purge_after,
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
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
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
        // Before the delete: the copy is made from the row.
        self.copy_to_removal(id, artifact, item)?;
        self.run(DELETE, [artifact.0])?;
        Ok(())
    }

    /// Copies the row of an artifact into a removal; the artifact stays.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn copy_to_removal(
        &self,
        id: &RemovalId,
        artifact: ArtifactId,
        item: Option<u32>,
    ) -> Result<(), CatalogError> {
        // Within SQLite, column by column: the copy is exact, whatever a value is.
        self.run(COPY_TO_REMOVAL, params![id.as_str(), artifact.0, item])?;
        Ok(())
    }

    /// State of a removal; `None` if the catalog has no such one.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn removal(&self, id: &RemovalId) -> Result<Option<OpenRemoval>, CatalogError> {
        self.view().removal(id)
    }

    /// Gives the state of each removal whose data is not gone and not back.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn open_states(&self) -> Result<Vec<(RemovalId, OpenRemoval)>, CatalogError> {
        open_states(self.transaction).map_err(|error| self.sql(error))
    }

    /// Number of a removal's artifacts that have data in the trash.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn left(&self, id: &RemovalId) -> Result<u64, CatalogError> {
        self.transaction
            .prepare_cached(LEFT)
            .and_then(|mut statement| statement.query_row([id.as_str()], |row| row.get(0)))
            .map_err(|error| self.sql(error))
    }

    /// Records what a removal moves.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn add_item(&self, id: &RemovalId, item: u32, path: &str) -> Result<(), CatalogError> {
        self.run(ADD_ITEM, params![id.as_str(), item, path])?;
        Ok(())
    }

    /// Where an item was, relative to the base directory.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn path_of_item(&self, id: &RemovalId, item: u32) -> Result<Option<String>, CatalogError> {
        self.view().path_of_item(id, item)
    }

    /// Gives the artifacts of an item that are not restored.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn of_item(&self, id: &RemovalId, item: u32) -> Result<Vec<Artifact>, CatalogError> {
        self.view().of_item(id, item)
    }

    /// Records what the images do not say.
    pub fn add_detail(&self, detail: Detail) {
        self.journal.detail(detail);
    }

    /// Lets a removal stay in the trash until that is emptied.
    ///
    /// # Errors
    /// As [`Change::set_state`].
    pub fn keep_until_emptied(&self, id: &RemovalId) -> Result<(), CatalogError> {
        self.run(KEEP, [id.as_str()]).map(drop)
    }

    /// Records what has become of a removal's data.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn set_state(
        &self,
        id: &RemovalId,
        state: RemovalState,
        ended_at: Option<Timestamp>,
    ) -> Result<(), CatalogError> {
        self.journal
            // The row keeps the last state only; the history has each.
            .detail(Detail::RemovalStateSet(RemovalStateSet {
                removal: id.clone(),
                state,
            }));
        self.run(
            SET_STATE,
            params![id.as_str(), state as i64, ended_at.map(|time| time.0)],
        )?;
        Ok(())
    }
}

fn removal(row: &Row<'_>) -> rusqlite::Result<Removal> {
    let id: String = row.get(0)?;
    // A conversion error, so that it counts as damage of the row.
    let invalid = |index, what: &str| {
        rusqlite::Error::FromSqlConversionFailure(
            index,
            rusqlite::types::Type::Null,
            what.to_owned().into(),
        )
    };
    Ok(Removal {
        id: id
            .parse()
            .map_err(|_| invalid(0, "not the id of a removal"))?,
        removed_at: Timestamp(row.get(1)?),
        actor: Actor {
            user: row.get(2)?,
            host: row.get(3)?,
            pid: row.get(4)?,
        },
        reason: row.get(5)?,
        state: state_of(row.get(6)?).ok_or_else(|| invalid(6, "not a state of a removal"))?,
        purge_after: row.get::<_, Option<i64>>(7)?.map(Timestamp),
        artifacts: row.get(8)?,
        total: Total {
            bytes: ByteCount(row.get(9)?),
            files: row.get(10)?,
            uncounted: row.get(11)?,
        },
    })
}
