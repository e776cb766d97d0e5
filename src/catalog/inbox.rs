//! Folding: writing the notes of other processes into the catalog, as their operations.
//!
//! The notes of one file go in one transaction, together with how far the file was folded. Each
//! note is an operation of its own in the history, by who left it, when it was left. A note about
//! something that was written later than the note changes nothing, so that the order in which
//! files are folded does not matter.

use std::cell::Cell;
use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::error::CatalogError;
use super::observe::{Seal, SealChange};
use super::record::Recorder;
use super::sqlite::file::Catalog;
use crate::model::actor::Agent;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::observation::Observation;
use crate::model::operation::NewOperation;
use crate::model::score::Score;

pub(super) const FOLDED: &str = "SELECT bytes, refused FROM folded WHERE name = ?1";
pub(super) const FOLDED_NAMES: &str = "SELECT name FROM folded ORDER BY name LIMIT ?1";
pub(super) const FOLD: &str = "INSERT INTO folded (name, bytes, refused) VALUES (?1, ?2, ?3) \
     ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, refused = excluded.refused";
pub(super) const FORGET: &str = "DELETE FROM folded WHERE name = ?1";
pub(super) const SCORED_AT: &str = "SELECT scored_at FROM score WHERE run_id = ?1 \
     AND metric_id = ?2 AND iteration = ?3 AND ifnull(dataset_id, 0) = ifnull(?4, 0) \
     AND ifnull(parameters_id, 0) = ifnull(?5, 0)";

/// How far a file of the inbox was folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Folded {
    /// Bytes of its beginning.
    pub bytes: u64,
    /// Whether a line of these could not be folded.
    pub is_refused: bool,
}

/// One transaction that folds notes.
pub struct Folding<'a> {
    catalog: &'a Catalog,
    transaction: &'a Transaction<'a>,
    /// The process of the last note, and its number.
    last: Option<(Agent, Cell<Option<i64>>)>,
}

impl Catalog {
    /// Folds notes in one transaction. Waits no longer than `patience` for its turn.
    ///
    /// # Errors
    /// Whatever `fold` returns; then nothing is folded.
    pub fn fold<T, E: From<CatalogError>>(
        &self,
        patience: Duration,
        fold: impl FnOnce(&mut Folding<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.write_within(patience, "folding the inbox", |transaction| {
            fold(&mut Folding {
                catalog: self,
                transaction,
                last: None,
            })
        })
    }

    /// How far a file was folded, as committed.
    ///
    /// # Errors
    /// [`CatalogError`] if it cannot be read.
    pub fn folded(&self, name: &str) -> Result<Folded, CatalogError> {
        self.read("reading how far the inbox is folded", |connection| {
            connection
                .prepare_cached(FOLDED)?
                .query_row([name], |row| {
                    Ok(Folded {
                        bytes: row.get(0)?,
                        is_refused: row.get(1)?,
                    })
                })
                .optional()
        })
        // Of a file that was never folded, nothing is.
        .map(Option::unwrap_or_default)
    }

    /// Names of up to `most` files that were folded.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    pub fn folded_names(&self, most: u32) -> Result<Vec<String>, CatalogError> {
        self.read("reading how far the inbox is folded", |connection| {
            connection
                .prepare_cached(FOLDED_NAMES)?
                .query_map([most], |row| row.get(0))?
                .collect()
        })
    }
}

impl Folding<'_> {
    fn sql(&self, error: rusqlite::Error) -> CatalogError {
        self.catalog.sql("folding the inbox", error)
    }

    /// How far a file was folded, in this transaction.
    ///
    /// # Errors
    /// [`CatalogError`] if it cannot be read.
    pub fn folded(&self, name: &str) -> Result<Folded, CatalogError> {
        self.transaction
            .prepare_cached(FOLDED)
            .and_then(|mut statement| {
                statement
                    .query_row([name], |row| {
                        Ok(Folded {
                            bytes: row.get(0)?,
                            is_refused: row.get(1)?,
                        })
                    })
                    .optional()
            })
            .map(Option::unwrap_or_default)
            .map_err(|error| self.sql(error))
    }

    /// Sets how far a file was folded.
    ///
    /// # Errors
    /// [`CatalogError`] if it cannot be written.
    pub fn set_folded(&self, name: &str, folded: Folded) -> Result<(), CatalogError> {
        self.transaction
            .prepare_cached(FOLD)
            .and_then(|mut statement| {
                statement.execute(params![name, folded.bytes, folded.is_refused])
            })
            .map(drop)
            .map_err(|error| self.sql(error))
    }

    /// Forgets a file that is gone from the inbox.
    ///
    /// # Errors
    /// [`CatalogError`] if it cannot be written.
    pub fn forget(&self, name: &str) -> Result<(), CatalogError> {
        self.transaction
            .prepare_cached(FORGET)
            .and_then(|mut statement| statement.execute([name]))
            .map(drop)
            .map_err(|error| self.sql(error))
    }

    /// Makes one operation of this process, as `change` does it.
    ///
    /// # Errors
    /// Whatever `change` returns. It must fail before it writes, or the caller must give up the
    /// transaction: what it wrote is part of it.
    pub fn operate<T, E: From<CatalogError>>(
        &mut self,
        who: &Agent,
        operation: NewOperation<'_>,
        change: impl FnOnce(&mut Recorder<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // Notes of one process follow each other: they share one row of `agent`.
        let (last, agent) = match self.last.take() {
            Some((last, id)) if last == *who => (last, id),
            _ => (who.clone(), Cell::new(None)),
        };
        let (catalog, transaction) = (self.catalog, self.transaction);
        // In the caller's transaction: the notes and how far they were folded commit together.
        let done = catalog.operate_within(transaction, operation, who, &agent, |journal| {
            change(&mut Recorder::new(journal, operation.at))
        });
        self.last = Some((last, agent));
        done
    }
}

impl Recorder<'_> {
    /// Writes what was seen into a row that was read in this transaction, and that its data is
    /// whole.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn seal(
        &self,
        before: &Artifact,
        seen: &Observation,
        seal: Seal,
    ) -> Result<bool, CatalogError> {
        let seal = SealChange::Set(seal);
        self.catalog
            .write_observation(self.journal, before, Some(seen), seal)
    }

    /// Records a score unless a later one is at its place.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn score_unless_later(&mut self, score: &Score) -> Result<(), CatalogError> {
        let [run, metric, dataset, parameters] = self.score_columns(score)?;
        let place = params![run, metric, score.iteration, dataset, parameters];
        let at: Option<i64> = self
            .transaction
            .prepare_cached(SCORED_AT)
            .and_then(|mut statement| statement.query_row(place, |row| row.get(0)).optional())
            .map_err(|error| self.catalog.sql("recording a score", error))?;
        // A later score may be of a file that was folded first: the order must not matter.
        if at.is_none_or(|at| Timestamp(at) <= self.now) {
            self.score(score)?;
        }
        Ok(())
    }
}
