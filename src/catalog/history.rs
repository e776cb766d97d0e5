//! Reading history: what was done, and whether all of it is still there.

use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};

use super::error::CatalogError;
use super::journal::{self, HashedFields};
use super::query::Query;
use super::rows::{self, Columns, columns, names};
use super::sqlite::file::Catalog;
use crate::model::actor::{Actor, Agent};
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::layout::Location;
use crate::model::operation::{
    BrokenLink, ChainReport, HistoryFilter, Image, NotedHash, Operation, OperationHash, Side,
};

/// The columns of an operation. `$more` are the number of its artifacts, and the path of the first.
macro_rules! operations {
    ($more:literal) => {
        concat!(
            "SELECT o.id, o.at, o.action, o.reason, o.detail, o.images, o.hash, \
             agent.user, agent.host, agent.pid, agent.command, agent.job, agent.version, ",
            $more,
            " FROM operation AS o LEFT JOIN agent ON agent.id = o.agent_id"
        )
    };
}
const COLUMNS: &str = operations!(
    "(SELECT count(DISTINCT artifact_id) FROM image WHERE operation_id = o.id), \
     (SELECT iif(i.array = '', container.path, container.path || '/' || i.array) \
        FROM image AS i JOIN container ON container.id = i.container_id \
        WHERE i.operation_id = o.id AND i.number = 0)"
);
/// Every operation, for what does not ask about artifacts.
pub(super) const IN_ORDER: &str = concat!(operations!("0, NULL"), " ORDER BY o.id");
/// The highest operation that has an image, whether it is there or not.
pub(super) const LAST_IMAGED: &str =
    "SELECT operation_id FROM image ORDER BY operation_id DESC LIMIT 1";
// LEFT JOIN, so that an image whose run is gone fails to be read and is not left out.
pub(super) const IMAGES: &str = concat!(
    "SELECT ",
    columns!(),
    ", a.side FROM (SELECT image.*, artifact_id AS id FROM image WHERE operation_id = ?1) AS a \
     LEFT JOIN run ON run.id = a.run_id LEFT JOIN container ON container.id = a.container_id",
    names!(),
    "ORDER BY a.number"
);
/// Numbers of the artifacts that were ever at a place: now, or removed from there.
pub(super) const EVER_AT: &str = "SELECT a.id FROM container JOIN artifact AS a \
     ON a.container_id = container.id WHERE container.path = ?1 AND a.array = ?2 \
     UNION SELECT d.artifact_id FROM container JOIN removed AS d ON d.container_id = container.id \
     WHERE container.path = ?1 AND d.array = ?2";

/// The listing of a filter, the newest first.
pub(super) fn listing(filter: &HistoryFilter) -> Query {
    let mut query = Query {
        // Each condition brings its own AND.
        sql: format!("{COLUMNS} WHERE 1"),
        values: Vec::new(),
    };
    query.any(&filter.actions, |query, action| {
        query.sql.push_str("o.action = ?");
        query.values.push(action.as_str().to_owned().into());
    });
    query.any(&filter.users, |query, user| {
        query.sql.push_str("agent.user = ?");
        query.values.push(user.clone().into());
    });
    for (moment, condition) in [
        (filter.since, " AND o.at >= ?"),
        (filter.until, " AND o.at <= ?"),
    ] {
        if let Some(moment) = moment {
            query.sql.push_str(condition);
            query.values.push(moment.0.into());
        }
    }
    if let Some(before) = filter.before {
        // By number and not by time, so that pages neither overlap nor leave gaps.
        query.sql.push_str(" AND o.id < ?");
        query.values.push(before.into());
    }
    if !filter.runs.is_empty() {
        // CROSS JOIN fixes the order: from the few images of an operation to their runs.
        query.sql.push_str(
            " AND (EXISTS (SELECT 1 FROM image CROSS JOIN run ON run.id = image.run_id \
             WHERE image.operation_id = o.id",
        );
        query.patterns(["run", "name"], &filter.runs);
        // Scores and the scopes of pins name their runs. LIKE comes first, because it takes less
        // time than reading the JSON of every operation.
        query.sql.push_str(
            ") OR (o.detail LIKE '%\"run\"%' \
             AND EXISTS (SELECT 1 FROM json_tree(o.detail) AS j \
             CROSS JOIN run ON run.name = j.atom WHERE j.key = 'run'",
        );
        query.patterns(["run", "name"], &filter.runs);
        query.sql.push_str(")))");
    }
    if !filter.artifacts.is_empty() {
        // Marks only, never values: those are bound.
        let marks = vec!["?"; filter.artifacts.len()].join(", ");
        // Pins name the artifacts that they bind one by one; no other detail has such a list.
        query.sql.push_str(&format!(
            " AND (o.id IN (SELECT operation_id FROM image WHERE artifact_id IN ({marks})) \
             OR (o.action IN ('pin', 'unpin') AND EXISTS \
             (SELECT 1 FROM json_each(o.detail, '$.artifacts') AS j WHERE j.value IN ({marks}))))"
        ));
        // The list of marks is in the statement twice.
        for _ in 0..2 {
            let ids = filter.artifacts.iter().map(|id| Value::from(id.0));
            query.values.extend(ids);
        }
    }
    if !filter.below.is_empty() {
        query.sql.push_str(
            " AND EXISTS (SELECT 1 FROM image AS a CROSS JOIN run ON run.id = a.run_id \
             WHERE a.operation_id = o.id",
        );
        query.below(&filter.below, true);
        query.sql.push(')');
    }
    query.sql.push_str(" ORDER BY o.id DESC");
    if let Some(most) = filter.most {
        query.sql.push_str(" LIMIT ?");
        query
            .values
            .push(i64::try_from(most).unwrap_or(i64::MAX).into());
    }
    query
}

pub(super) fn by_id() -> String {
    format!("{COLUMNS} WHERE o.id = ?1")
}

impl Catalog {
    /// Gives the operations that a filter selects to `each`, the newest first, until it breaks.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read, and whatever `each` returns.
    pub fn history<E: From<CatalogError>>(
        &self,
        filter: &HistoryFilter,
        mut each: impl FnMut(Operation) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            self.run_query(connection, &listing(filter), |row| {
                each(self.with_fate(connection, self.operation_of(row)?)?)
            })
        })
    }

    /// Gives every operation with its images to `each`, the oldest first, as the catalog was when
    /// the call began. One operation at a time is in memory.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read, and whatever `each` returns.
    pub fn whole_history<E: From<CatalogError>>(
        &self,
        mut each: impl FnMut(Operation, Vec<Image>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let query = Query {
            sql: format!("{COLUMNS} ORDER BY o.id"),
            values: Vec::new(),
        };
        self.read_with(|connection| {
            self.run_query(connection, &query, |row| {
                let operation = self.with_fate(connection, self.operation_of(row)?)?;
                let images = self.images_of(connection, operation.id)?;
                each(operation, images)
            })
        })
    }

    /// Gives an operation with its images; `None` if there is no such one.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn operation(&self, id: i64) -> Result<Option<(Operation, Vec<Image>)>, CatalogError> {
        self.read_with(|connection| {
            let sql = |error| self.sql("reading history", error);
            let mut statement = connection.prepare_cached(&by_id()).map_err(sql)?;
            let mut rows = statement.query([id]).map_err(sql)?;
            let Some(row) = rows.next().map_err(sql)? else {
                return Ok(None);
            };
            let operation = self.with_fate(connection, self.operation_of(row)?)?;
            Ok(Some((operation, self.images_of(connection, id)?)))
        })
    }

    /// Numbers of the artifacts that are or were at a place.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn ever_at(&self, location: &Location) -> Result<Vec<ArtifactId>, CatalogError> {
        let array = location.array.as_deref().unwrap_or_default();
        self.read("reading history", |connection| {
            connection
                .prepare_cached(EVER_AT)?
                .query_map(params![location.container, array], |row| {
                    row.get(0).map(ArtifactId)
                })?
                .collect()
        })
    }

    /// Checks the chain of hashes from the first operation on, and looks for a hash that was noted
    /// as its head.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn check_chain(&self, noted: Option<OperationHash>) -> Result<ChainReport, CatalogError> {
        let mut report = ChainReport {
            operations: 0,
            head: OperationHash::NONE,
            broken: None,
            noted: noted.map(|hash| NotedHash {
                hash,
                operation: None,
            }),
        };
        self.read_with(|connection| {
            let sql = |error| self.sql("reading history", error);
            // Before the operations: what is added meanwhile is not missed below.
            let last_imaged: Option<i64> = connection
                .prepare_cached(LAST_IMAGED)
                .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
                .map_err(sql)?;
            let mut statement = connection.prepare_cached(IN_ORDER).map_err(sql)?;
            let mut rows = statement.query([]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                // Numbers have no gaps, so a missing operation shows at the next one.
                let expected = i64::try_from(report.operations).unwrap_or(i64::MAX) + 1;
                match self.fits(connection, row, expected, &report.head)? {
                    Ok(hash) => {
                        report.head = hash;
                        report.operations += 1;
                        if let Some(noted) = &mut report.noted
                            && noted.hash == hash
                        {
                            noted.operation = Some(expected);
                        }
                    }
                    Err(broken) => {
                        // Each hash covers the one before, so nothing can be said of what follows.
                        report.broken = Some(broken);
                        return Ok(());
                    }
                }
            }
            let next = i64::try_from(report.operations).unwrap_or(i64::MAX) + 1;
            if last_imaged.is_some_and(|last| last >= next) {
                report.broken = Some(BrokenLink {
                    operation: next,
                    detail:
                        "it is gone, though images of artifacts are left of it or of a later one"
                            .to_owned(),
                });
            }
            Ok::<_, CatalogError>(())
        })?;
        // The head of a history without operations; no operation has it.
        if let Some(noted) = &mut report.noted
            && noted.hash == OperationHash::NONE
            && report.operations == 0
            && report.broken.is_none()
        {
            noted.operation = Some(0);
        }
        Ok(report)
    }

    /// The hash of the last operation, and its number; `None` if there is none yet.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn head(&self) -> Result<Option<(i64, OperationHash)>, CatalogError> {
        let (next, hash) = self.read_with(|connection| self.head_on(connection))?;
        Ok((next > 1).then_some((next - 1, hash)))
    }

    /// Whether an operation has this number and this hash, and so all before it are the same too.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn has_operation(&self, id: i64, hash: OperationHash) -> Result<bool, CatalogError> {
        self.read_with(|connection| {
            connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM operation WHERE id = ?1 AND hash = ?2)",
                )
                .and_then(|mut found| found.query_row(params![id, hash.0], |row| row.get(0)))
                .map_err(|error| self.sql("reading the history", error))
        })
    }

    /// The number that the next operation gets.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn next_operation(&self) -> Result<i64, CatalogError> {
        self.read_with(|connection| self.head_on(connection))
            .map(|(next, _)| next)
    }

    /// Adds what has become of the removal that an operation made.
    fn with_fate(
        &self,
        connection: &Connection,
        mut operation: Operation,
    ) -> Result<Operation, CatalogError> {
        let made = operation.removal_made().map(|made| made.removal.clone());
        if let Some(id) = made {
            operation.now = self.fate_on(connection, &id)?;
        }
        Ok(operation)
    }

    /// Checks one operation against the one before; gives its hash if it fits.
    fn fits(
        &self,
        connection: &Connection,
        row: &Row<'_>,
        expected: i64,
        before: &OperationHash,
    ) -> Result<Result<OperationHash, BrokenLink>, CatalogError> {
        let id: i64 = row
            .get(0)
            .map_err(|error| self.sql("reading history", error))?;
        let broken = |detail: String| {
            Ok(Err(BrokenLink {
                operation: id,
                detail,
            }))
        };
        if id != expected {
            return broken(format!("operation {expected} is missing before it"));
        }
        let (operation, images) = match self.operation_of(row) {
            Ok(operation) => (operation, self.images_of(connection, id)),
            Err(error) => return broken(error.to_string()),
        };
        let images = match images {
            Ok(images) => images,
            // That says nothing of the history.
            Err(error @ (CatalogError::Interrupted { .. } | CatalogError::LockTimeout { .. })) => {
                return Err(error);
            }
            Err(error) => return broken(error.to_string()),
        };
        // The count is hashed, and names the fault better than a hash that differs.
        if images.len() as u64 != operation.images {
            return broken(format!(
                "it has {} images of artifacts, but its row says {}",
                images.len(),
                operation.images
            ));
        }
        let (mut hasher, mut line) = (Sha256::new(), Vec::new());
        // The images first: the hash of an operation covers theirs.
        for image in &images {
            let columns = Columns::of(&image.artifact);
            let id = image.artifact.id.0;
            journal::feed_image(&mut hasher, &mut line, image.side, id, &columns);
        }
        let images: [u8; 32] = hasher.finalize().into();
        // The text as it is stored: the hash covers its bytes.
        let detail: Option<String> = row
            .get(4)
            .map_err(|error| self.sql("reading history", error))?;
        let fields = HashedFields {
            id,
            at: operation.at.0,
            agent: &operation.agent,
            action: operation.action.as_str(),
            reason: operation.reason.as_deref(),
            detail: detail.as_deref(),
            images: operation.images,
        };
        let hash = journal::hash_of(before, &images, &fields);
        if hash != operation.hash {
            return broken(format!(
                "its stored hash is {}, but its contents give {hash}",
                operation.hash
            ));
        }
        Ok(Ok(hash))
    }

    fn images_of(&self, connection: &Connection, id: i64) -> Result<Vec<Image>, CatalogError> {
        let sql = |error| self.sql("reading history", error);
        let mut statement = connection.prepare_cached(IMAGES).map_err(sql)?;
        let mut rows = statement.query([id]).map_err(sql)?;
        let mut images = Vec::new();
        while let Some(row) = rows.next().map_err(sql)? {
            let side: i64 = row.get(rows::COLUMNS).map_err(sql)?;
            images.push(Image {
                // The schema allows 0 and 1 alone.
                side: if side == 0 { Side::Before } else { Side::After },
                artifact: rows::artifact(&self.path, &self.base, row)?,
            });
        }
        Ok(images)
    }

    fn operation_of(&self, row: &Row<'_>) -> Result<Operation, CatalogError> {
        let read = || -> Result<Operation, String> {
            let action: String = rows::field(row, 2)?;
            let detail: Option<String> = rows::field(row, 4)?;
            let detail = detail.map(|text| serde_json::from_str(&text)).transpose();
            Ok(Operation {
                id: rows::field(row, 0)?,
                at: Timestamp(rows::field(row, 1)?),
                action: action.parse().map_err(
                    |error: crate::model::operation::ParseActionError| error.to_string(),
                )?,
                reason: rows::field(row, 3)?,
                detail: detail.map_err(|error| error.to_string())?,
                images: rows::field(row, 5)?,
                hash: OperationHash(rows::field(row, 6)?),
                // Both are left out of `IN_ORDER`, which gives 0 and NULL.
                artifacts: rows::field(row, 13)?,
                path: rows::field(row, 14)?,
                now: None,
                agent: Agent {
                    actor: Actor {
                        user: rows::field(row, 7)?,
                        host: rows::field(row, 8)?,
                        pid: rows::field(row, 9)?,
                    },
                    command: rows::field(row, 10)?,
                    job: rows::field(row, 11)?,
                    version: rows::field(row, 12)?,
                },
            })
        };
        read().map_err(|detail| CatalogError::Damaged {
            path: self.path.clone(),
            detail: format!("an operation of the history cannot be read: {detail}"),
        })
    }
}
