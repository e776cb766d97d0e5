//! Completing a rename of a run that a crash interrupted before its commit.

use rusqlite::params;

use super::error::CatalogError;
use super::exchange::Exchange;
use super::record::Recorder;
use super::removals::Change;
use super::rename::{MOVE_SCOPES, MOVE_SCORES, RunContents};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, RunRenamed};

/// Gives the scores that a run had at a time to another.
pub(super) const MOVE_SCORES_BY: &str =
    "UPDATE OR IGNORE score SET run_id = ?2 WHERE run_id = ?1 AND scored_at <= ?3";
/// The same of what pins bind that were there then.
pub(super) const MOVE_SCOPES_BY: &str = "UPDATE OR IGNORE pin_scope SET run_id = ?2 \
     WHERE run_id = ?1 AND pin_id IN (SELECT id FROM pin WHERE pinned_at <= ?3)";

impl Change<'_> {
    /// Completes a rename that a crash interrupted before its commit, when other data has the old
    /// name by now: gives rows to new names, in the places of those that scans made since, and what
    /// was bound to the runs by a time; without a time, all of it. Says whether that was possible;
    /// if not, the change must not be committed.
    ///
    /// # Errors
    /// As [`Change::rename_run`].
    pub fn complete_rename(
        &self,
        rename: RunRenamed,
        contents: &RunContents,
        exchange: &Exchange,
        by: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, CatalogError> {
        if !self.exchange(exchange, now)? {
            return Ok(false);
        }
        let mut recorder = Recorder::new(self.journal, now);
        let (mut scores, mut scopes) = (0, 0);
        for (number, run) in &contents.runs {
            let new = self.new_name(run, &rename.from, &rename.to)?;
            let new = recorder.intern(0, new.as_str())?;
            scores += match by {
                Some(by) => self.run(MOVE_SCORES_BY, params![number, new, by.0])?,
                None => self.run(MOVE_SCORES, params![number, new])?,
            };
            scopes += match by {
                Some(by) => self.run(MOVE_SCOPES_BY, params![number, new, by.0])?,
                None => self.run(MOVE_SCOPES, params![number, new])?,
            };
        }
        self.journal.detail(Detail::RunRenamed(RunRenamed {
            scores: scores as u64,
            scopes: scopes as u64,
            ..rename
        }));
        Ok(true)
    }
}
