//! Writing history: no change without it, in the transaction of the change.
//!
//! Every change of the catalog goes through `Catalog::operate`, which hands out a [`Journal`]. What
//! is noted there becomes one row of `operation`, with an image of each artifact before and after.
//! A change that notes nothing has changed nothing, and leaves no row.
//!
//! # The chain
//! The hash of an operation is the SHA-256 over the hash of the operation before it, a SHA-256 over
//! its images, and its own fields. Images and fields are hashed as lines of JSON with names rather
//! than numbers of rows, so that a name that is changed in its table does not go unnoticed.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use rusqlite::{Connection, OptionalExtension, Statement, ToSql, Transaction, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::CatalogError;
use super::rows::{self, Columns, References, row_columns};
use super::sqlite::file::Catalog;
use crate::model::actor::Agent;
use crate::model::artifact::Artifact;
use crate::model::detail::Detail;
use crate::model::operation::{Action, NewOperation, OperationHash, Side};

pub(super) const HEAD: &str = "SELECT id, hash FROM operation ORDER BY id DESC LIMIT 1";
pub(super) const INSERT_AGENT: &str = "INSERT INTO agent (user, host, pid, command, job, version) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const INSERT_OPERATION: &str = "INSERT INTO operation \
     (id, at, agent_id, action, reason, detail, images, hash) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(super) static INSERT_IMAGE: LazyLock<String> = LazyLock::new(|| {
    let columns = concat!("operation_id, number, artifact_id, side, ", row_columns!());
    let marks = rows::marks(columns);
    format!("INSERT INTO image ({columns}) VALUES ({marks})")
});
/// Inserts images of the rows between two ids, as they are.
pub(super) const COPY: &str = concat!(
    "INSERT INTO image (operation_id, number, artifact_id, side, ",
    row_columns!(),
    // `?2 + id - ?4` numbers the images in the order of their rows.
    ") SELECT ?1, ?2 + id - ?4, id, ?3, ",
    row_columns!(),
    " FROM artifact WHERE id BETWEEN ?4 AND ?5"
);
/// The [`References`] of a row.
pub(super) const REFERENCES: &str = "SELECT run_id, dataset_id, parameters_id, container_id, array, metadata_id \
     FROM artifact WHERE id = ?1";

/// Set by the benchmark that takes history's share of recording, and by no other build.
const IS_OFF: bool = cfg!(dalsegno_bench_without_history);

/// What one change notes of itself.
pub(super) struct Journal<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) transaction: &'a Transaction<'a>,
    operation: NewOperation<'a>,
    pub(super) who: &'a Agent,
    agent: &'a Cell<Option<i64>>,
    /// Number of this operation, and the hash of the one before it.
    after: (i64, OperationHash),
    images: Cell<u64>,
    hasher: RefCell<Sha256>,
    /// Where lines are written before they are hashed.
    line: RefCell<Vec<u8>>,
    detail: RefCell<Vec<Detail>>,
}

impl Catalog {
    /// Runs a change in one transaction, with its history; both are committed if `change`
    /// returns `Ok`. `durably`: whatever the handle promises, the commit survives a power cut.
    pub(super) fn operate<T, E: From<CatalogError>>(
        &self,
        operation: NewOperation<'_>,
        durably: bool,
        change: impl FnOnce(&Journal<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.require_writing()?;
        let who = self.agent.as_ref().ok_or_else(|| CatalogError::ReadOnly {
            path: self.path.clone(),
        })?;
        // A copy: the handle learns the number only from a commit.
        let agent = Cell::new(self.agent_id());
        let label = operation.action.activity();
        let is_small = matches!(operation.action, Action::Record | Action::Refresh);
        let operate = |transaction: &Transaction<'_>| {
            self.operate_within(transaction, operation, who, &agent, change)
        };
        let value = if durably {
            self.write_durably(label, operate)
        } else {
            self.write(label, operate)
        }?;
        if !is_small {
            self.owe_copy();
        }
        // Only what was committed is there the next time.
        self.remember_agent(agent.get());
        Ok(value)
    }

    /// Runs a change, with its history, within a transaction that the caller began. `agent`: the
    /// number of its row in the catalog, once it has one.
    pub(super) fn operate_within<T, E: From<CatalogError>>(
        &self,
        transaction: &Transaction<'_>,
        operation: NewOperation<'_>,
        who: &Agent,
        agent: &Cell<Option<i64>>,
        change: impl FnOnce(&Journal<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let journal = Journal {
            catalog: self,
            transaction,
            operation,
            who,
            agent,
            after: match IS_OFF {
                true => (1, OperationHash::NONE),
                false => self.head_on(transaction)?,
            },
            images: Cell::new(0),
            hasher: RefCell::new(Sha256::new()),
            line: RefCell::default(),
            detail: RefCell::default(),
        };
        let value = change(&journal)?;
        journal.finish()?;
        Ok(value)
    }

    /// Number of the next operation, and the hash of the last.
    pub(super) fn head_on(
        &self,
        connection: &Connection,
    ) -> Result<(i64, OperationHash), CatalogError> {
        let last: Option<(i64, [u8; 32])> = connection
            .prepare_cached(HEAD)
            .and_then(|mut statement| {
                statement
                    .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(|error| self.sql("reading history", error))?;
        Ok(last.map_or((1, OperationHash::NONE), |(id, hash)| {
            (id + 1, OperationHash(hash))
        }))
    }
}

impl Journal<'_> {
    /// Number of this operation.
    pub(super) fn number(&self) -> i64 {
        self.after.0
    }

    fn sql(&self, error: rusqlite::Error) -> CatalogError {
        self.catalog.sql("writing history", error)
    }

    /// The number of this operation, should it change anything.
    pub(super) fn operation(&self) -> i64 {
        self.after.0
    }

    /// Records an artifact as its row is now: before it is changed, or after.
    pub(super) fn image(&self, side: Side, artifact: &Artifact) -> Result<(), CatalogError> {
        if IS_OFF {
            return Ok(());
        }
        // From the row itself, so that the image refers to just what the row refers to.
        let references = self
            .transaction
            .prepare_cached(REFERENCES)
            .and_then(|mut statement| {
                statement.query_row([artifact.id.0], |row| {
                    Ok(References {
                        run: row.get(0)?,
                        dataset: row.get(1)?,
                        parameters: row.get(2)?,
                        container: row.get(3)?,
                        array: Cow::Owned(row.get(4)?),
                        metadata: row.get(5)?,
                    })
                })
            })
            .map_err(|error| self.sql(error))?;
        let mut insert = self
            .transaction
            .prepare_cached(&INSERT_IMAGE)
            .map_err(|error| self.sql(error))?;
        let columns = Columns::of(artifact);
        self.image_of(side, artifact.id.0, &columns, &references, &mut insert)
    }

    /// The same of a row whose references are at hand, such as a new one. `insert`: the statement
    /// of [`INSERT_IMAGE`].
    pub(super) fn image_of(
        &self,
        side: Side,
        id: i64,
        columns: &Columns<'_>,
        references: &References<'_>,
        insert: &mut Statement<'_>,
    ) -> Result<(), CatalogError> {
        if IS_OFF {
            return Ok(());
        }
        self.catalog.allow_rows(1);
        let number = self.images.get();
        let mut write = || {
            let head: [&dyn ToSql; 4] = [&self.after.0, &number, &id, &(side as i64)];
            let next = rows::bind_all(insert, 1, &head)?;
            columns.bind(insert, next, references)?;
            insert.raw_execute()
        };
        write().map_err(|error| self.sql(error))?;
        self.images.set(number + 1);
        let mut line = self.line.borrow_mut();
        feed_image(&mut self.hasher.borrow_mut(), &mut line, side, id, columns);
        Ok(())
    }

    /// Records new rows, numbered one after the other, as they are. `copy`: the statement of
    /// [`COPY`].
    pub(super) fn images_of_new(
        &self,
        ids: RangeInclusive<i64>,
        copy: &mut Statement<'_>,
        columns: &[Columns<'_>],
    ) -> Result<(), CatalogError> {
        if IS_OFF {
            return Ok(());
        }
        let (number, rows) = (self.images.get(), columns.len());
        self.catalog.allow_rows(rows as u64);
        let side = Side::After as i64;
        // Copied inside SQLite, so that no value is bound a second time.
        let copied = copy
            .execute(params![self.after.0, number, side, ids.start(), ids.end()])
            .map_err(|error| self.sql(error))?;
        // A number in between that has no row, or the row of another artifact, would leave history
        // and rows apart.
        if copied != rows {
            return Err(CatalogError::Damaged {
                path: self.catalog.path.clone(),
                detail: format!(
                    "of {rows} new artifacts {copied} have a number from {} to {}",
                    ids.start(),
                    ids.end()
                ),
            });
        }
        self.images.set(number + rows as u64);
        let mut line = self.line.borrow_mut();
        let mut hasher = self.hasher.borrow_mut();
        for (id, columns) in ids.zip(columns) {
            feed_image(&mut hasher, &mut line, Side::After, id, columns);
        }
        Ok(())
    }

    /// Records what the images do not say.
    pub(super) fn detail(&self, detail: Detail) {
        self.detail.borrow_mut().push(detail);
    }

    fn finish(self) -> Result<(), CatalogError> {
        if IS_OFF {
            return Ok(());
        }
        let detail = Detail::from_entries(self.detail.take());
        // A call that changed nothing leaves no operation, so recording a key again does not grow
        // the history.
        if detail.is_none() && self.images.get() == 0 {
            return Ok(());
        }
        // One row a process, written with its first operation.
        let agent = match self.agent.get() {
            Some(agent) => agent,
            None => {
                let agent = self.insert_agent()?;
                self.agent.set(Some(agent));
                agent
            }
        };
        let (id, before) = self.after;
        // Written out once, so that the hash is over the bytes that are stored.
        let detail = detail.map(|detail| detail.to_string());
        let images: [u8; 32] = self.hasher.into_inner().finalize().into();
        let hash = hash_of(
            &before,
            &images,
            &HashedFields {
                id,
                at: self.operation.at.0,
                agent: self.who,
                action: self.operation.action.as_str(),
                reason: self.operation.reason,
                detail: detail.as_deref(),
                images: self.images.get(),
            },
        );
        let sql = |error| self.catalog.sql("writing history", error);
        self.transaction
            .prepare_cached(INSERT_OPERATION)
            .and_then(|mut statement| {
                statement.execute(params![
                    id,
                    self.operation.at.0,
                    agent,
                    self.operation.action.as_str(),
                    self.operation.reason,
                    detail,
                    self.images.get(),
                    hash.0
                ])
            })
            .map_err(sql)?;
        Ok(())
    }

    fn insert_agent(&self) -> Result<i64, CatalogError> {
        let agent = self.who;
        self.transaction
            .prepare_cached(INSERT_AGENT)
            .and_then(|mut statement| {
                statement.insert(params![
                    agent.actor.user,
                    agent.actor.host,
                    agent.actor.pid,
                    agent.command,
                    agent.job,
                    agent.version
                ])
            })
            .map_err(|error| self.sql(error))
    }
}

/// The fields of an operation that are hashed.
#[derive(Serialize)]
pub(super) struct HashedFields<'a> {
    pub(super) id: i64,
    pub(super) at: i64,
    pub(super) agent: &'a Agent,
    pub(super) action: &'a str,
    pub(super) reason: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
    pub(super) images: u64,
}

/// The part of an image that is hashed.
#[derive(Serialize)]
struct ImageLine<'a> {
    side: Side,
    id: i64,
    #[serde(flatten)]
    columns: &'a Columns<'a>,
}

/// Feeds a hash with a value as a line of JSON, written to `line` first.
fn feed(hasher: &mut Sha256, line: &mut Vec<u8>, value: &impl Serialize) {
    line.clear();
    // Neither the values nor a vector can fail; a line that was cut would not verify.
    let _ = serde_json::to_writer(&mut *line, value);
    line.push(b'\n');
    hasher.update(&*line);
}

/// Feeds the hash of an operation's images with one of them, written to `line` first.
pub(super) fn feed_image(
    hasher: &mut Sha256,
    line: &mut Vec<u8>,
    side: Side,
    id: i64,
    columns: &Columns<'_>,
) {
    feed(hasher, line, &ImageLine { side, id, columns });
}

/// The hash of an operation.
pub(super) fn hash_of(
    before: &OperationHash,
    images: &[u8; 32],
    fields: &HashedFields<'_>,
) -> OperationHash {
    let mut hasher = Sha256::new();
    // Both have 32 bytes, so nothing is needed to part them.
    hasher.update(before.0);
    hasher.update(images);
    feed(&mut hasher, &mut Vec::new(), fields);
    OperationHash(hasher.finalize().into())
}
