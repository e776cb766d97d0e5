//! Giving rows of several runs to other names at once: also to names of each other.
//!
//! While rows exchange their paths, two of them would have one path. So all are taken off their
//! paths first: the number of a container or run is negative as long as no place is given.

use rusqlite::params;

use super::error::CatalogError;
use super::record::Recorder;
use super::reinstate::UPDATE;
use super::removals::{Change, DELETE};
use super::rename::{
    COUNT_SCOPES, COUNT_SCORES, HAS_ARTIFACTS, MOVE_SCOPES, MOVE_SCORES, renamed, runs_in,
};
use super::rows::Columns;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, RunRenamed};
use crate::model::name::RunName;
use crate::model::operation::Side;
use crate::model::removal::RemovalId;

pub(super) const PARK: &str = "UPDATE artifact SET container_id = -container_id WHERE id = ?1";
pub(super) const PARK_SCORES: &str = "UPDATE score SET run_id = -run_id WHERE run_id = ?1";
pub(super) const PARK_SCOPES: &str = "UPDATE pin_scope SET run_id = -run_id WHERE run_id = ?1";

/// Rows that get other names and paths in one step.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Runs, with their new names.
    pub runs: Vec<(RunName, RunName)>,
    /// Rows, as they are and as they become.
    pub rows: Vec<(Artifact, Artifact)>,
    /// Rows whose places others get.
    pub replaced: Vec<Artifact>,
}

impl Change<'_> {
    /// Gives rows to other paths, and scores and pins of runs to other names. Says whether all of
    /// it could be given; if not, the change must not be committed.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if a new name is refused; [`CatalogError::Full`],
    /// [`CatalogError::Sql`] if the catalog cannot be written.
    pub fn exchange(&self, exchange: &Exchange, now: Timestamp) -> Result<bool, CatalogError> {
        let sql = |error| self.catalog.sql("renaming", error);
        // A parked row refers to no container until it gets its place. Ends with the transaction.
        self.transaction
            .pragma_update(None, "defer_foreign_keys", true)
            .map_err(sql)?;
        for row in &exchange.replaced {
            self.journal.image(Side::Before, row)?;
            self.run(DELETE, [row.id.0])?;
        }
        for (before, _) in &exchange.rows {
            // The history copies the row, so this comes first.
            self.journal.image(Side::Before, before)?;
            self.run(PARK, [before.id.0])?;
        }
        let mut recorder = Recorder::new(self.journal, now);
        for (_, after) in &exchange.rows {
            let location = after.location();
            // The new names may not be in their tables yet.
            let references = recorder.references(&after.key, &location, after.metadata.as_ref())?;
            self.transaction
                .prepare_cached(&UPDATE)
                .and_then(|mut statement| {
                    let next = Columns::of(after).bind(&mut statement, 1, &references)?;
                    statement.raw_bind_parameter(next, after.id.0)?;
                    statement.raw_execute()
                })
                .map_err(sql)?;
            self.journal.image(Side::After, after)?;
        }
        let mut runs = Vec::new();
        for (from, to) in &exchange.runs {
            // Index 0 of `INTERN` is the table of runs.
            let number = recorder.intern(0, from.as_str())?;
            let count = |query| self.count(query, number);
            // Since ids of removals are made of time and chance, this one names no other change.
            let rename = RemovalId::new(now, uuid::Uuid::new_v4().as_fields().0);
            self.journal.detail(Detail::RunRenamed(RunRenamed {
                rename,
                from: from.clone(),
                to: to.clone(),
                scores: count(COUNT_SCORES)?,
                scopes: count(COUNT_SCOPES)?,
            }));
            runs.push((number, recorder.intern(0, to.as_str())?));
            for (below, name) in self.runs_in(from)? {
                let is_named = exchange.runs.iter().any(|(run, _)| *run == name);
                // A run in the folder that has rows is judged by these.
                if !is_named
                    && self.count(HAS_ARTIFACTS, below)? == 0
                    && let Some(Ok(new)) = renamed(&name, from, to)
                {
                    runs.push((below, recorder.intern(0, new.as_str())?));
                }
            }
        }
        for (from, _) in &runs {
            self.run(PARK_SCORES, [from])?;
            self.run(PARK_SCOPES, [from])?;
        }
        for (from, to) in &runs {
            self.run(MOVE_SCORES, params![-from, to])?;
            self.run(MOVE_SCOPES, params![-from, to])?;
        }
        let mut is_whole = true;
        for (from, _) in &runs {
            // Scores and scopes that the new name had already were not replaced: these go back.
            self.run(MOVE_SCORES, params![-from, from])?;
            self.run(MOVE_SCOPES, params![-from, from])?;
            is_whole &= self.count(COUNT_SCORES, -from)? == 0;
            is_whole &= self.count(COUNT_SCOPES, -from)? == 0;
        }
        Ok(is_whole)
    }

    fn count(&self, query: &str, run: i64) -> Result<u64, CatalogError> {
        self.transaction
            .prepare_cached(query)
            .and_then(|mut statement| statement.query_row([run], |row| row.get(0)))
            .map_err(|error| self.catalog.sql("reading a run", error))
    }

    /// The runs in the folder of a run, without itself.
    fn runs_in(&self, run: &RunName) -> Result<Vec<(i64, RunName)>, CatalogError> {
        let found = runs_in(self.transaction, run)
            .map_err(|error| self.catalog.sql("reading a run", error))?;
        let named = found.into_iter().filter_map(|(number, name)| {
            let name = name.parse::<RunName>().ok()?;
            (name != *run).then_some((number, name))
        });
        Ok(named.collect())
    }
}
