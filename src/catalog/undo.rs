//! Undoing operations: what pins and scores were before them.
//!
//! What a pin or unpin operation changed is in its detail. Undoing looks at the operations on the
//! same pin that came after it, in the same transaction: only what no later operation
//! changed is taken back.

use std::collections::{BTreeSet, HashMap};

use rusqlite::params;

use super::error::CatalogError;
use super::journal::Journal;
use super::pins::{self, PinChange, Pinning};
use super::sqlite::file::Catalog;
use crate::model::artifact::ArtifactId;
use crate::model::detail::{Detail, PinBound, PinReleased, ScoreChanged};
use crate::model::operation::{Action, NewOperation, Operation, UndoError, undone_by};
use crate::model::pin::PinError;
use crate::model::score::{Score, ScoreValue};

/// What was done to pins after an operation.
pub(super) const LATER_ON_PINS: &str = "SELECT action, detail, reason FROM operation \
     WHERE id > ?1 AND action IN ('pin', 'unpin') ORDER BY id";
// IS, because an open end is NULL.
pub(super) const LET_THIS_SCOPE_GO: &str = "DELETE FROM pin_scope WHERE pin_id = ?1 \
     AND run_id = ?2 AND first IS ?3 AND last IS ?4";
/// Binds an artifact even if it is removed, as a removal leaves it bound.
pub(super) const BIND_NUMBER: &str =
    "INSERT OR IGNORE INTO pinned (artifact_id, pin_id) VALUES (?1, ?2)";

impl Catalog {
    /// Lets go what a pin operation bound, unless a later operation let it go already.
    ///
    /// # Errors
    /// [`UndoError::Already`] if nothing of it is bound any more.
    pub fn release_bound_by(
        &self,
        operation: &Operation,
        reversal: NewOperation<'_>,
    ) -> Result<PinChange, CatalogError> {
        self.operate(reversal, true, |journal| {
            let on = Pinning::new(self, journal.transaction);
            let bound = self.untouched(journal, operation)?;
            let name = bound.pin;
            let already = |also: &str| UndoError::Already {
                id: operation.id,
                why: format!("what it bound to the pin {name} was released since{also}"),
                before: None,
            };
            // A pin that is gone binds nothing, whatever operation took it away.
            let Some((pin, reason)) = on.by_name(&name)? else {
                return Err(already("").into());
            };
            let mut change = PinChange::default();
            for scope in &bound.scopes {
                let Some(run) = on.run(&scope.run)? else {
                    continue;
                };
                let values = params![pin, run, scope.first, scope.last];
                if on.execute(LET_THIS_SCOPE_GO, values)? > 0 {
                    change.artifacts += on.count(run, scope)?;
                    change.scopes.push(scope.clone());
                }
            }
            let mut artifacts = Vec::new();
            for artifact in in_order(&bound.artifacts) {
                if on.execute(pins::LET_ARTIFACT_GO, params![artifact.0, pin])? > 0 {
                    artifacts.push(artifact);
                    change.artifacts += 1;
                }
            }
            if change.scopes.is_empty() && artifacts.is_empty() {
                return Err(already("; what it binds now, other operations bound").into());
            }
            if !on.binds_anything(pin)? {
                on.execute(pins::LET_ALL_GO[2], [pin])?;
                change.whole = true;
            }
            journal.detail(Detail::PinReleased(PinReleased {
                pin: name,
                gone: change.whole,
                reason,
                scopes: change.scopes.clone(),
                artifacts,
            }));
            Ok(change)
        })
    }

    /// Binds again what an unpin operation let go. A pin that is gone is made again, with the
    /// reason that it had.
    ///
    /// # Errors
    /// [`UndoError::Already`] if all of it is bound, [`PinError::Taken`] if the pin is there
    /// for another reason.
    pub fn bind_released_by(
        &self,
        operation: &Operation,
        reversal: NewOperation<'_>,
    ) -> Result<PinChange, CatalogError> {
        self.operate(reversal, true, |journal| {
            let on = Pinning::new(self, journal.transaction);
            let Some(Detail::PinReleased(free)) = &operation.detail else {
                return Err(self.no_detail("it does not say what the pin binds no more"));
            };
            let (name, reason) = (&free.pin, &free.reason);
            let mut change = PinChange::default();
            let pin = match on.by_name(name)? {
                // Another reason means another pin, to which the name was given since.
                Some((pin, known)) if known == *reason => pin,
                Some((_, reason)) => {
                    let name = name.to_string();
                    return Err(PinError::Taken { name, reason }.into());
                }
                None => {
                    change.whole = true;
                    on.insert(name, reason, reversal.at, &journal.who.actor)?
                }
            };
            for scope in &free.scopes {
                let run = on.run(&scope.run)?;
                // Names of runs are never deleted, so one that is missing is damage.
                let run = run.ok_or_else(|| self.no_detail("a run of a pin is gone"))?;
                let values = params![pin, run, scope.first, scope.last];
                if on.execute(pins::BIND_SCOPE, values)? > 0 {
                    change.artifacts += on.count(run, scope)?;
                    change.scopes.push(scope.clone());
                }
            }
            let mut artifacts = Vec::new();
            for artifact in in_order(&free.artifacts) {
                if on.execute(BIND_NUMBER, params![artifact.0, pin])? > 0 {
                    artifacts.push(artifact);
                    change.artifacts += 1;
                }
            }
            if change.scopes.is_empty() && artifacts.is_empty() {
                let why = format!("the pin {name} binds all of it again");
                return Err(already(operation.id, why).into());
            }
            journal.detail(Detail::PinBound(PinBound {
                pin: name.clone(),
                new: change.whole,
                scopes: change.scopes.clone(),
                artifacts,
            }));
            Ok(change)
        })
    }

    /// Sets the scores that an operation changed to what they were before it, and deletes those
    /// that it added. Gives their number. `later`: which of them a later operation in effect
    /// changed, also if that left the same value.
    ///
    /// # Errors
    /// [`UndoError::Changed`] if there is one, or a score is not what the operation left, [`UndoError::Already`]
    /// if every one is what it was before; then nothing is changed.
    pub fn reset_scores_of(
        &self,
        operation: &Operation,
        later: Option<String>,
        reversal: NewOperation<'_>,
    ) -> Result<u64, CatalogError> {
        let changes = self.score_changes(operation)?;
        // The history calls it by what it does: deletes all, or sets some.
        let none_before = changes.iter().all(|change| change.before.is_none());
        let action = match none_before {
            true => Action::Unscore,
            false => Action::Score,
        };
        self.record(NewOperation { action, ..reversal }, |recorder| {
            let mut changed = later.clone();
            let mut as_before = 0;
            // All are compared before any is written: undoing does everything or nothing.
            for change in &changes {
                // Only the place is looked up; the value does not matter.
                let now = recorder.score_now(&score_of(change, ScoreValue::NAN))?;
                as_before += usize::from(now == change.before);
                if now != change.after {
                    changed.get_or_insert_with(|| place_of_score(change));
                }
            }
            let id = operation.id;
            if as_before == changes.len() {
                let why = "the scores are what they were before it".to_owned();
                return Err(already(id, why).into());
            }
            if let Some(what) = changed {
                let before = None;
                return Err(UndoError::Changed { id, what, before }.into());
            }
            for change in &changes {
                match change.before {
                    Some(before) => recorder.score(&score_of(change, before))?,
                    None => recorder.unscore(&score_of(change, ScoreValue::NAN))?,
                };
            }
            Ok(changes.len() as u64)
        })
    }

    /// What an operation bound to a pin, without what a later one let go, unless that one was undone.
    fn untouched(
        &self,
        journal: &Journal<'_>,
        operation: &Operation,
    ) -> Result<PinBound, CatalogError> {
        let Some(Detail::PinBound(bound)) = &operation.detail else {
            return Err(self.no_detail("it does not say what the pin binds"));
        };
        let all = bound;
        let mut bound = all.clone();
        let sql = |error| self.sql("reading history", error);
        let mut statement = journal
            .transaction
            .prepare_cached(LATER_ON_PINS)
            .map_err(sql)?;
        let mut rows = statement.query([operation.id]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let detail: Option<String> = row.get(1).map_err(sql)?;
            let detail = detail.and_then(|text| serde_json::from_str(&text).ok());
            let reason: Option<String> = row.get(2).map_err(sql)?;
            let undone = reason.as_deref().and_then(undone_by);
            match detail {
                // An undo of an unpin binds again what this operation had bound.
                Some(Detail::PinBound(again))
                    if again.pin == bound.pin && undone > Some(operation.id) =>
                {
                    let scopes = all.scopes.iter();
                    let scopes = scopes.filter(|scope| again.scopes.contains(scope));
                    bound.scopes.extend(scopes.cloned());
                    let artifacts = all.artifacts.iter();
                    let artifacts = artifacts.filter(|id| again.artifacts.contains(id));
                    bound.artifacts.extend(artifacts);
                }
                // What binds more takes nothing away.
                Some(Detail::PinBound(_)) => {}
                Some(Detail::PinReleased(later)) if later.pin == bound.pin => {
                    // What a later operation released is not released again.
                    bound.scopes.retain(|scope| !later.scopes.contains(scope));
                    bound.artifacts.retain(|id| !later.artifacts.contains(id));
                }
                Some(Detail::PinReleased(_)) => {}
                // It may have let go what this operation bound, and a later operation bound it
                // again.
                _ => return Err(self.no_detail("it does not say what it did to a pin")),
            }
        }
        Ok(bound)
    }

    /// The scores of an operation. One that it noted several times is one change, from the first
    /// value to the last.
    fn score_changes(&self, operation: &Operation) -> Result<Vec<ScoreChanged>, CatalogError> {
        let mut places = HashMap::new();
        let mut changes: Vec<ScoreChanged> = Vec::new();
        for entry in operation.detail.iter().flat_map(Detail::entries) {
            let Detail::ScoreChanged(change) = entry else {
                return Err(self.no_detail("it does not say which score it changed"));
            };
            let ScoreChanged {
                run,
                iteration,
                dataset,
                parameters,
                metric,
                ..
            } = change;
            // The first value before and the last after are what the whole operation did.
            let known = places
                .entry((run, iteration, dataset, parameters, metric))
                .or_insert(changes.len());
            match changes.get_mut(*known) {
                Some(first) => first.after = change.after,
                None => changes.push(change.clone()),
            }
        }
        Ok(changes)
    }

    fn no_detail(&self, detail: &str) -> CatalogError {
        CatalogError::Damaged {
            path: self.path.clone(),
            detail: format!("an operation of the history cannot be read: {detail}"),
        }
    }
}

fn already(id: i64, why: String) -> UndoError {
    UndoError::Already {
        id,
        why,
        before: None,
    }
}

/// Artifacts by number, each once.
fn in_order(artifacts: &[ArtifactId]) -> BTreeSet<ArtifactId> {
    artifacts.iter().copied().collect()
}

/// The score that an operation changed, with one of its values.
fn score_of(change: &ScoreChanged, value: ScoreValue) -> Score {
    Score {
        run: change.run.clone(),
        iteration: change.iteration,
        dataset: change.dataset.clone(),
        parameters: change.parameters.clone(),
        metric: change.metric.clone(),
        value: value.0,
    }
}

/// Where a score belongs, in words.
pub(crate) fn place_of_score(score: &ScoreChanged) -> String {
    let mut text = format!(
        "the score {} of {}, iteration {}",
        score.metric, score.run, score.iteration
    );
    for (name, part) in [
        ("dataset", score.dataset.as_ref().map(ToString::to_string)),
        (
            "parameters",
            score.parameters.as_ref().map(ToString::to_string),
        ),
    ] {
        text.extend(part.map(|part| format!(", {name} {part}")));
    }
    text
}
