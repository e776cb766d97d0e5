//! Undoing operations: what pins and scores were before them.
//!
//! What a pin or unpin operation changed stands in its detail. Undoing looks at the operations on the
//! same pin that came after it, in the same transaction: only what it did and nobody changed since
//! is taken back.

use std::collections::{BTreeSet, HashMap};

use rusqlite::params;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::CatalogError;
use super::journal::Journal;
use super::pins::{self, PinChange, Pinning};
use super::sqlite::file::Catalog;
use crate::model::operation::{Action, Doing, Operation, UndoError};
use crate::model::pin::{PinError, PinName, PinScope};
use crate::model::score::{MetricName, Score};

/// What was done to pins after an operation.
pub(super) const LATER_ON_PINS: &str = "SELECT action, detail FROM operation \
     WHERE id > ?1 AND action IN ('pin', 'unpin') ORDER BY id";
pub(super) const LET_THIS_SCOPE_GO: &str = "DELETE FROM pin_scope WHERE pin_id = ?1 \
     AND run_id = ?2 AND first IS ?3 AND last IS ?4";
/// Binds an artifact also where it is removed, as a removal leaves it bound.
pub(super) const BIND_NUMBER: &str =
    "INSERT OR IGNORE INTO pinned (artifact_id, pin_id) VALUES (?1, ?2)";

/// The detail of a pin or unpin operation.
#[derive(Deserialize)]
struct Bindings {
    pin: String,
    /// Of an unpin operation: why the pin was there.
    reason: Option<String>,
    scopes: Vec<Scope>,
    artifacts: BTreeSet<i64>,
}

#[derive(Deserialize, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    run: String,
    first: Option<i64>,
    last: Option<i64>,
}

impl From<&Scope> for PinScope {
    fn from(scope: &Scope) -> Self {
        Self {
            run: scope.run.clone(),
            first: scope.first,
            last: scope.last,
        }
    }
}

/// A score before and after an operation, as its detail has it.
#[derive(Deserialize)]
struct ScoreChange {
    run: String,
    iteration: i64,
    dataset: Option<String>,
    parameters: Option<String>,
    metric: String,
    before: Value,
    after: Value,
}

impl Catalog {
    /// Lets go what a pin operation bound anew and nobody let go since.
    ///
    /// # Errors
    /// [`UndoError::Already`] where nothing of it is bound any more.
    pub fn undo_pin(
        &self,
        operation: &Operation,
        doing: Doing<'_>,
    ) -> Result<PinChange, CatalogError> {
        self.operate(doing, true, |journal| {
            let on = Pinning::new(self, journal.transaction);
            let bound = self.bindings(operation.detail.as_ref())?;
            let bound = self.untouched(journal, operation, bound)?;
            let name = self.pin_name(&bound.pin)?;
            let already = || UndoError::Already {
                id: operation.id,
                why: format!("what it bound to the pin {name} was let go since"),
            };
            let Some((pin, reason)) = on.by_name(&name)? else {
                return Err(already().into());
            };
            let mut change = PinChange::default();
            for scope in &bound.scopes {
                let Some(run) = on.run(&scope.run)? else {
                    continue;
                };
                let values = params![pin, run, scope.first, scope.last];
                if on.execute(LET_THIS_SCOPE_GO, values)? > 0 {
                    change.artifacts += on.count(run, &scope.into())?;
                    change.scopes.push(scope.into());
                }
            }
            let mut artifacts = Vec::new();
            for artifact in bound.artifacts {
                if on.execute(pins::LET_ARTIFACT_GO, params![artifact, pin])? > 0 {
                    artifacts.push(artifact);
                    change.artifacts += 1;
                }
            }
            if change.scopes.is_empty() && artifacts.is_empty() {
                return Err(already().into());
            }
            if !on.binds_anything(pin)? {
                on.execute(pins::LET_ALL_GO[2], [pin])?;
                change.whole = true;
            }
            journal.detail(json!({
                "pin": name, "gone": change.whole, "reason": reason, "scopes": change.scopes,
                "artifacts": artifacts,
            }));
            Ok(change)
        })
    }

    /// Binds again what an unpin operation let go. A pin that is gone is made anew, with the reason
    /// that it had.
    ///
    /// # Errors
    /// [`UndoError::Already`] where all of it is bound, [`PinError::Taken`] where the pin is there
    /// for another reason.
    pub fn undo_unpin(
        &self,
        operation: &Operation,
        doing: Doing<'_>,
    ) -> Result<PinChange, CatalogError> {
        self.operate(doing, true, |journal| {
            let on = Pinning::new(self, journal.transaction);
            let free = self.bindings(operation.detail.as_ref())?;
            let name = self.pin_name(&free.pin)?;
            let reason = free
                .reason
                .ok_or_else(|| self.no_detail("the reason of a pin is not noted"))?;
            let mut change = PinChange::default();
            let pin = match on.by_name(&name)? {
                Some((pin, known)) if known == reason => pin,
                Some((_, reason)) => {
                    let name = name.to_string();
                    return Err(PinError::Taken { name, reason }.into());
                }
                None => {
                    change.whole = true;
                    on.insert(&name, &reason, doing.at, &journal.who.actor)?
                }
            };
            for scope in &free.scopes {
                let run = on.run(&scope.run)?;
                let run = run.ok_or_else(|| self.no_detail("a run of a pin is gone"))?;
                let values = params![pin, run, scope.first, scope.last];
                if on.execute(pins::BIND_SCOPE, values)? > 0 {
                    change.artifacts += on.count(run, &scope.into())?;
                    change.scopes.push(scope.into());
                }
            }
            let mut artifacts = Vec::new();
            for artifact in free.artifacts {
                if on.execute(BIND_NUMBER, params![artifact, pin])? > 0 {
                    artifacts.push(artifact);
                    change.artifacts += 1;
                }
            }
            if change.scopes.is_empty() && artifacts.is_empty() {
                let why = format!("the pin {name} binds all of it again");
                let id = operation.id;
                return Err(UndoError::Already { id, why }.into());
            }
            journal.detail(json!({
                "pin": name, "new": change.whole, "scopes": change.scopes, "artifacts": artifacts,
            }));
            Ok(change)
        })
    }

    /// Puts back the scores that were there before an operation, or that none was. Gives their
    /// number.
    ///
    /// # Errors
    /// [`UndoError::Changed`] where a score is not what the operation left, [`UndoError::Already`]
    /// where every one is what it was before; then nothing is changed.
    pub fn undo_scores(&self, operation: &Operation, at: Doing<'_>) -> Result<u64, CatalogError> {
        let changes = self.score_changes(operation)?;
        let none_before = changes.iter().all(|(_, change)| change.before.is_null());
        let action = match none_before {
            true => Action::Unscore,
            false => Action::Score,
        };
        self.record(Doing { action, ..at }, |recorder| {
            let mut changed = None;
            let mut as_before = 0;
            for (score, change) in &changes {
                let now = recorder.score_now(score)?;
                as_before += usize::from(now == change.before);
                if now != change.after {
                    changed.get_or_insert_with(|| place(score));
                }
            }
            let id = operation.id;
            if as_before == changes.len() {
                let why = "the scores are what they were before it".to_owned();
                return Err(UndoError::Already { id, why }.into());
            }
            if let Some(what) = changed {
                return Err(UndoError::Changed { id, what }.into());
            }
            for (score, change) in &changes {
                if change.before.is_null() {
                    recorder.unscore(score)?;
                    continue;
                }
                let value = number(&change.before);
                let value = value.ok_or_else(|| self.no_detail("a score is no number"))?;
                let before = Score {
                    value,
                    ..score.clone()
                };
                recorder.score(&before)?;
            }
            Ok(changes.len() as u64)
        })
    }

    /// What of an operation on a pin no later one has let go.
    fn untouched(
        &self,
        journal: &Journal<'_>,
        operation: &Operation,
        mut bound: Bindings,
    ) -> Result<Bindings, CatalogError> {
        let sql = |error| self.sql("reading history", error);
        let mut statement = journal
            .transaction
            .prepare_cached(LATER_ON_PINS)
            .map_err(sql)?;
        let mut rows = statement.query([operation.id]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let action: String = row.get(0).map_err(sql)?;
            let detail: Option<String> = row.get(1).map_err(sql)?;
            let detail = detail.and_then(|text| serde_json::from_str(&text).ok());
            let later = self.bindings(detail.as_ref())?;
            if action == Action::Unpin.as_str() && later.pin == bound.pin {
                bound.scopes.retain(|scope| !later.scopes.contains(scope));
                bound.artifacts.retain(|id| !later.artifacts.contains(id));
            }
        }
        Ok(bound)
    }

    fn bindings(&self, detail: Option<&Value>) -> Result<Bindings, CatalogError> {
        let detail = detail.cloned().unwrap_or_default();
        serde_json::from_value(detail).map_err(|error| self.no_detail(&error.to_string()))
    }

    fn pin_name(&self, text: &str) -> Result<PinName, CatalogError> {
        let name = text.parse();
        name.map_err(|error: crate::model::pin::NotAPinName| self.no_detail(&error.to_string()))
    }

    /// The scores of an operation, without their values. One that it noted several times is one
    /// change, from the first value to the last.
    fn score_changes(
        &self,
        operation: &Operation,
    ) -> Result<Vec<(Score, ScoreChange)>, CatalogError> {
        let all = match operation.detail.clone() {
            Some(Value::Array(all)) => all,
            one => one.into_iter().collect(),
        };
        let read = |detail: Value| -> Result<(Score, ScoreChange), String> {
            let text = |error: crate::model::name::NameError| error.to_string();
            let change: ScoreChange =
                serde_json::from_value(detail).map_err(|error| error.to_string())?;
            let dataset = change.dataset.as_deref().map(str::parse).transpose();
            let parameters = change.parameters.as_deref().map(str::parse).transpose();
            let metric: Result<MetricName, _> = change.metric.parse();
            let score = Score {
                run: change.run.parse().map_err(text)?,
                iteration: change.iteration,
                dataset: dataset.map_err(text)?,
                parameters: parameters.map_err(text)?,
                metric: metric.map_err(|error| error.to_string())?,
                value: f64::NAN,
            };
            Ok((score, change))
        };
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut changes: Vec<(Score, ScoreChange)> = Vec::new();
        for detail in all {
            let (score, change) = read(detail).map_err(|error| self.no_detail(&error))?;
            let Score {
                run,
                iteration,
                dataset,
                parameters,
                metric,
                ..
            } = &score;
            let named = format!("{:?}", (run, iteration, dataset, parameters, metric));
            let known = places.entry(named).or_insert(changes.len());
            match changes.get_mut(*known) {
                Some((_, first)) => first.after = change.after,
                None => changes.push((score, change)),
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

/// A number as the detail has it: text where JSON does not have it.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    }
}

/// Where a score belongs, in words.
fn place(score: &Score) -> String {
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
