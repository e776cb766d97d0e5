//! How many artifacts, runs, removals, pins and scores a catalog has.

use serde::Serialize;

use super::error::CatalogError;
use super::rows;
use super::sqlite::backup::ARTIFACTS;
use super::sqlite::file::Catalog;
use crate::model::artifact::State;
use crate::model::removal::RemovalState;

/// Rows that were not seen to be present, by the small index that has them.
pub(super) const UNSEEN: &str =
    "SELECT count(*) FROM artifact INDEXED BY artifact_unseen WHERE state <> 1 AND state = ?1";
/// Runs that only a pin, score or removal names do not count.
pub(super) const RUNS: &str = "SELECT count(*) FROM run \
     WHERE EXISTS (SELECT 1 FROM artifact WHERE artifact.run_id = run.id)";
pub(super) const REMOVALS: &str = "SELECT count(*) FROM removal WHERE state = ?1";
// Not `count(*)`, which SQLite does in one step: see `sqlite::budget`.
pub(super) const PINS: &str = "SELECT count(+id) FROM pin";
pub(super) const SCORES: &str = "SELECT count(+run_id) FROM score";

/// How many of each thing a catalog has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogCounts {
    /// Artifacts, of any kind and state.
    pub artifacts: u64,
    /// Of them, those without data seen so far.
    pub reserved: u64,
    /// Of them, those with data.
    pub present: u64,
    /// Of them, those whose data is gone.
    pub missing: u64,
    /// Of them, those whose metadata cannot be read.
    pub damaged: u64,
    /// Runs that have artifacts, of any kind and state.
    pub runs: u64,
    /// Removals whose data is kept in the trash.
    pub removals_kept: u64,
    /// Removals whose data is being unlinked.
    pub removals_purging: u64,
    /// Removals whose data is gone.
    pub removals_purged: u64,
    /// Removals of which all is restored.
    pub removals_restored: u64,
    /// Pins that are there now.
    pub pins: u64,
    /// Scores that are recorded now.
    pub scores: u64,
}

impl Catalog {
    /// Counts what the catalog has. Reads the smallest index of each table.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn counts(&self) -> Result<CatalogCounts, CatalogError> {
        self.read("counting", |connection| {
            let all = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
            let of = |sql: &str, state: i64| {
                connection.query_row(sql, [state], |row| row.get::<_, u64>(0))
            };
            let removals = |state: RemovalState| of(REMOVALS, state as i64);
            let artifacts = all(ARTIFACTS)?;
            let unseen = |state: State| of(UNSEEN, rows::state_number(state));
            let (reserved, missing) = (unseen(State::Reserved)?, unseen(State::Missing)?);
            let damaged = unseen(State::Damaged)?;
            Ok(CatalogCounts {
                artifacts,
                reserved,
                // The rest, because the index that knows states has only rows that are not present.
                present: artifacts.saturating_sub(reserved + missing + damaged),
                missing,
                damaged,
                runs: all(RUNS)?,
                removals_kept: removals(RemovalState::Kept)?,
                removals_purging: removals(RemovalState::Purging)?,
                removals_purged: removals(RemovalState::Purged)?,
                removals_restored: removals(RemovalState::Restored)?,
                pins: all(PINS)?,
                scores: all(SCORES)?,
            })
        })
    }
}
