//! Pins in the catalog: what binds an artifact, and changing it.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use serde::Serialize;

use super::error::CatalogError;
use super::names::NameOf;
use super::query::Query;
use super::sqlite::file::Catalog;
use crate::model::actor::Actor;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, PinBound, PinReleased};
use crate::model::filter::{Filter, IterationRange};
use crate::model::key::Key;
use crate::model::nearest::nearest;
use crate::model::operation::{Action, NewOperation};
use crate::model::pin::{Pin, PinError, PinName, PinScope};

/// Names of the pins that bind an artifact: `?1` its number, `?2` its run, `?3` its iteration. A
/// snapshot that holds several iterations is bound by a pin on any of them. A
/// binding whose pin has no row still binds, so the joins are outer ones.
pub(super) const PINS_OF: &str = "SELECT pin.name FROM pinned \
     LEFT JOIN pin ON pin.id = pinned.pin_id WHERE pinned.artifact_id = ?1 \
     UNION SELECT pin.name FROM run JOIN pin_scope AS s ON s.run_id = run.id \
     LEFT JOIN pin ON pin.id = s.pin_id WHERE run.name = ?2 \
     AND ((s.first IS NULL OR ?3 >= s.first) AND (s.last IS NULL OR ?3 <= s.last) \
       OR EXISTS (SELECT 1 FROM artifact AS a, json_each(a.iterations) AS held WHERE a.id = ?1 \
         AND (s.first IS NULL OR held.value >= s.first) \
         AND (s.last IS NULL OR held.value <= s.last))) ORDER BY 1";
pub(super) const HAS_PINS: &str = "SELECT EXISTS (SELECT 1 FROM pinned) \
     OR EXISTS (SELECT 1 FROM pin_scope)";
pub(super) const PIN_BY_NAME: &str = "SELECT id, reason FROM pin WHERE name = ?1";
pub(super) const INSERT_PIN: &str = "INSERT INTO pin (name, reason, pinned_at, user, host, pid) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const BIND_SCOPE: &str =
    "INSERT OR IGNORE INTO pin_scope (pin_id, run_id, first, last) VALUES (?1, ?2, ?3, ?4)";
pub(super) const BIND_ARTIFACT: &str =
    "INSERT OR IGNORE INTO pinned (artifact_id, pin_id) VALUES (?1, ?2)";
/// Whether an artifact is recorded, by its number.
pub(super) const IS_RECORDED: &str = "SELECT EXISTS (SELECT 1 FROM artifact WHERE id = ?1)";
pub(super) const COUNT_IN_SCOPE: &str = "SELECT count(*) FROM artifact WHERE run_id = ?1 \
     AND ((?2 IS NULL OR iteration >= ?2) AND (?3 IS NULL OR iteration <= ?3) \
       OR iterations IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(iterations) AS held \
         WHERE (?2 IS NULL OR held.value >= ?2) AND (?3 IS NULL OR held.value <= ?3)))";
// Only scopes that lie within the given one go. An open end is NULL, and no comparison holds
// for it: such a scope goes only if that end of the given one is open too.
pub(super) const LET_SCOPE_GO: &str = "DELETE FROM pin_scope WHERE pin_id = ?1 AND run_id = ?2 \
     AND (?3 IS NULL OR first >= ?3) AND (?4 IS NULL OR last <= ?4) RETURNING first, last";
pub(super) const ARTIFACTS: &str =
    "SELECT artifact_id FROM pinned WHERE pin_id = ?1 ORDER BY artifact_id";
pub(super) const LET_ARTIFACT_GO: &str =
    "DELETE FROM pinned WHERE artifact_id = ?1 AND pin_id = ?2";
pub(super) const LET_ALL_GO: [&str; 3] = [
    "DELETE FROM pin_scope WHERE pin_id = ?1",
    "DELETE FROM pinned WHERE pin_id = ?1",
    "DELETE FROM pin WHERE id = ?1",
];
pub(super) const BINDS_ANYTHING: &str = "SELECT EXISTS (SELECT 1 FROM pin_scope WHERE pin_id = ?1) \
     OR EXISTS (SELECT 1 FROM pinned WHERE pin_id = ?1)";
pub(super) const PINS: &str = "SELECT pin.id, name, reason, pinned_at, user, host, pid, \
     (SELECT count(*) FROM pinned CROSS JOIN artifact ON artifact.id = pinned.artifact_id \
      WHERE pinned.pin_id = pin.id) FROM pin ORDER BY name";
/// Artifacts that a pin binds one by one and that are recorded: what was removed by force is not.
pub(super) const COUNT_ONE_BY_ONE: &str = "SELECT count(*) FROM pinned \
     CROSS JOIN artifact ON artifact.id = pinned.artifact_id WHERE pinned.pin_id = ?1";
pub(super) const SCOPES: &str = "SELECT run.name, s.first, s.last FROM pin_scope AS s \
     JOIN run ON run.id = s.run_id WHERE s.pin_id = ?1 ORDER BY run.name, s.first, s.last";

/// What a pin is to bind, or to let go.
#[derive(Debug, Clone, Copy)]
pub enum Bound<'a> {
    /// The runs of a filter, or its iterations of them, with what is recorded there later. Its
    /// other parts are not looked at.
    Scopes(&'a Filter),
    /// These artifacts.
    Artifacts(&'a [ArtifactId]),
    /// Everything that the pin binds.
    Everything,
}

/// What a change of a pin did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct PinChange {
    /// Whether the pin was made, or is gone.
    pub whole: bool,
    /// Runs and iterations that are bound, or not any more.
    pub scopes: Vec<PinScope>,
    /// Artifacts in these scopes at the moment, and artifacts bound one by one.
    pub artifacts: u64,
}

/// What is recorded of the target of a pin.
#[derive(Default)]
struct Recorded {
    /// Runs and iterations, with the number of the run and that of their artifacts at the moment.
    scopes: Vec<(i64, PinScope, u64)>,
    artifacts: Vec<ArtifactId>,
}

impl Catalog {
    /// Names of the pins that bind an artifact, in their order.
    pub(super) fn pins_of(
        &self,
        connection: &Connection,
        id: ArtifactId,
        key: &Key,
    ) -> Result<Vec<String>, CatalogError> {
        let read = || -> rusqlite::Result<Option<Vec<String>>> {
            let mut statement = connection.prepare_cached(PINS_OF)?;
            let names = statement
                // By name, because a key can be asked about whose run the catalog does not know.
                .query_map(params![id.0, key.run().as_str(), key.iteration()], |row| {
                    row.get(0)
                })?;
            names.collect()
        };
        let names = read().map_err(|error| self.sql("reading pins", error))?;
        // A NULL is a binding whose pin has no row: the artifact counts as bound, so this fails.
        names.ok_or_else(|| CatalogError::Row {
            path: self.path.clone(),
            id: id.0,
            detail: "it is bound by a pin that does not exist".to_owned(),
        })
    }

    /// Whether there is any pin.
    pub(super) fn has_pins_on(&self, connection: &Connection) -> Result<bool, CatalogError> {
        connection
            .prepare_cached(HAS_PINS)
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .map_err(|error| self.sql("reading pins", error))
    }

    /// Gives every pin, by name.
    ///
    /// # Errors
    /// [`CatalogError::Row`] or [`CatalogError::Damaged`] if a row is damaged,
    /// [`CatalogError::Sql`] if it cannot be read otherwise.
    pub fn pins(&self) -> Result<Vec<Pin>, CatalogError> {
        self.read("listing pins", |connection| {
            let mut scopes = connection.prepare_cached(SCOPES)?;
            let mut statement = connection.prepare_cached(PINS)?;
            let mut rows = statement.query([])?;
            let mut pins = Vec::new();
            while let Some(row) = rows.next()? {
                let scopes = scopes.query_map([row.get::<_, i64>(0)?], |row| {
                    Ok(PinScope {
                        run: row.get(0)?,
                        first: row.get(1)?,
                        last: row.get(2)?,
                    })
                })?;
                pins.push(Pin {
                    name: name(row, 1)?,
                    reason: row.get(2)?,
                    pinned_at: Timestamp(row.get(3)?),
                    actor: Actor {
                        user: row.get(4)?,
                        host: row.get(5)?,
                        pid: row.get(6)?,
                    },
                    scopes: scopes.collect::<Result<_, _>>()?,
                    artifacts: row.get(7)?,
                });
            }
            Ok(pins)
        })
    }

    /// Makes a pin, or lets the one of this name bind more.
    ///
    /// # Errors
    /// [`PinError::WithoutReason`], [`PinError::Taken`] if the pin is there for
    /// another reason, [`PinError::BindsNothing`].
    pub fn pin(
        &self,
        name: &PinName,
        reason: Option<&str>,
        what: Bound<'_>,
        now: Timestamp,
    ) -> Result<PinChange, CatalogError> {
        let operation = NewOperation {
            action: Action::Pin,
            at: now,
            reason,
        };
        // Durable: a pin that a power cut takes back would let a removal through.
        self.operate(operation, true, |journal| {
            let on = Pinning::new(self, journal.transaction);
            let known = on.by_name(name)?;
            // A pin keeps its reason: another one under the same name is most likely a mistake.
            if let (Some((_, known)), Some(reason)) = (&known, reason)
                && reason != known
            {
                return Err(PinError::Taken {
                    name: name.to_string(),
                    reason: known.clone(),
                }
                .into());
            }
            // Said before a missing reason, which is of no use for a mistyped name.
            let recorded = on.recorded(what)?;
            if recorded.scopes.is_empty() && recorded.artifacts.is_empty() {
                let name = name.to_string();
                return Err(PinError::BindsNothing { name }.into());
            }
            let given = reason.filter(|reason| !reason.trim().is_empty());
            let (pin, whole) = match (known, given) {
                (Some((pin, _)), _) => (pin, false),
                (None, Some(reason)) => (on.insert(name, reason, now, &journal.who.actor)?, true),
                (None, None) => {
                    return Err(PinError::WithoutReason {
                        nearest: self.nearest_pin(name)?,
                        name: name.to_string(),
                    }
                    .into());
                }
            };
            let mut change = PinChange {
                whole,
                ..PinChange::default()
            };
            // What is new, so that it can be undone.
            let (mut scopes, mut artifacts) = (Vec::new(), Vec::new());
            for (run, scope, count) in recorded.scopes {
                if on.execute(BIND_SCOPE, params![pin, run, scope.first, scope.last])? > 0 {
                    scopes.push(scope.clone());
                }
                change.artifacts += count;
                change.scopes.push(scope);
            }
            for id in recorded.artifacts {
                if on.execute(BIND_ARTIFACT, params![id.0, pin])? > 0 {
                    artifacts.push(id);
                }
                change.artifacts += 1;
            }
            // Without a detail and without images, the journal leaves no operation.
            if whole || !scopes.is_empty() || !artifacts.is_empty() {
                journal.detail(Detail::PinBound(PinBound {
                    pin: name.clone(),
                    new: whole,
                    scopes,
                    artifacts,
                }));
            }
            Ok(change)
        })
    }

    /// The name of the pin that is most similar to one that no pin has.
    fn nearest_pin(&self, name: &PinName) -> Result<Option<String>, CatalogError> {
        let known = self.names(NameOf::Pin, "")?;
        let known = known.iter().map(String::as_str);
        Ok(nearest(name.as_str(), known).map(str::to_owned))
    }

    /// Lets a pin bind less, all of `what` in one transaction. A pin that binds nothing any more is
    /// gone.
    ///
    /// # Errors
    /// [`PinError::Unknown`] if no pin has this name.
    pub fn unpin(
        &self,
        name: &PinName,
        what: &[Bound<'_>],
        now: Timestamp,
    ) -> Result<PinChange, CatalogError> {
        self.operate(NewOperation::new(Action::Unpin, now), true, |journal| {
            let on = Pinning::new(self, journal.transaction);
            let Some((pin, reason)) = on.by_name(name)? else {
                return Err(PinError::Unknown {
                    nearest: self.nearest_pin(name)?,
                    name: name.to_string(),
                }
                .into());
            };
            let mut change = PinChange::default();
            let (mut scopes, mut artifacts) = (Vec::new(), Vec::new());
            for part in what {
                match *part {
                    Bound::Scopes(filter) => {
                        for (run, id) in on.runs(filter)? {
                            for scope in scopes_of(&run, &filter.iterations) {
                                let gone = on.let_scope_go(pin, id, &scope)?;
                                if !gone.is_empty() {
                                    // What was bound, and not what was asked for, so that an undo
                                    // binds just that again.
                                    scopes.extend(gone);
                                    change.artifacts += on.count(id, &scope)?;
                                    change.scopes.push(scope);
                                }
                            }
                        }
                    }
                    Bound::Artifacts(ids) => {
                        for id in ids {
                            if on.execute(LET_ARTIFACT_GO, params![id.0, pin])? > 0 {
                                artifacts.push(*id);
                                change.artifacts += 1;
                            }
                        }
                    }
                    Bound::Everything => {
                        for scope in on.scopes(pin)? {
                            let id = on.run(&scope.run)?;
                            // Counted before they go, as the report says how many were bound.
                            change.artifacts += id.map_or(Ok(0), |id| on.count(id, &scope))?;
                            change.scopes.push(scope);
                        }
                        // Read before they go: the detail names them, so that the operation can be
                        // undone.
                        scopes.clone_from(&change.scopes);
                        artifacts = on.artifacts(pin)?;
                        change.artifacts += on.one(COUNT_ONE_BY_ONE, [pin])?.unwrap_or(0);
                        on.execute(LET_ALL_GO[0], [pin])?;
                        on.execute(LET_ALL_GO[1], [pin])?;
                    }
                }
            }
            if !on.binds_anything(pin)? {
                // Last, because its scopes and artifacts refer to it.
                on.execute(LET_ALL_GO[2], [pin])?;
                change.whole = true;
            }
            if change.whole || !scopes.is_empty() || !artifacts.is_empty() {
                journal.detail(Detail::PinReleased(PinReleased {
                    pin: name.clone(),
                    gone: change.whole,
                    reason,
                    scopes,
                    artifacts,
                }));
            }
            Ok(change)
        })
    }
}

fn name(row: &Row<'_>, index: usize) -> rusqlite::Result<PinName> {
    let text: String = row.get(index)?;
    text.parse()
        .map_err(|error: crate::model::pin::ParsePinNameError| {
            // Reported as a damaged catalog, as a value of the wrong type is.
            rusqlite::Error::FromSqlConversionFailure(
                index,
                rusqlite::types::Type::Text,
                error.to_string().into(),
            )
        })
}

/// A scope for each range of iterations, or one for the whole run.
fn scopes_of(run: &str, iterations: &[IterationRange]) -> Vec<PinScope> {
    match iterations {
        [] => vec![PinScope::new(run, None)],
        ranges => {
            let scope = |range| PinScope::new(run, Some(range));
            ranges.iter().copied().map(scope).collect()
        }
    }
}

/// The statements about pins within one transaction.
pub(super) struct Pinning<'a> {
    catalog: &'a Catalog,
    transaction: &'a Transaction<'a>,
}

impl<'a> Pinning<'a> {
    pub(super) fn new(catalog: &'a Catalog, transaction: &'a Transaction<'a>) -> Self {
        Self {
            catalog,
            transaction,
        }
    }

    pub(super) fn sql(&self, error: rusqlite::Error) -> CatalogError {
        self.catalog.sql("changing pins", error)
    }

    pub(super) fn execute(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<u64, CatalogError> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(values))
            .map(|changed| changed as u64)
            .map_err(|error| self.sql(error))
    }

    pub(super) fn one<T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        values: impl rusqlite::Params,
    ) -> Result<Option<T>, CatalogError> {
        self.transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(values, |row| row.get(0)).optional())
            .map_err(|error| self.sql(error))
    }

    pub(super) fn by_name(&self, name: &PinName) -> Result<Option<(i64, String)>, CatalogError> {
        self.transaction
            .prepare_cached(PIN_BY_NAME)
            .and_then(|mut statement| {
                statement
                    .query_row([name.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(|error| self.sql(error))
    }

    pub(super) fn insert(
        &self,
        name: &PinName,
        reason: &str,
        now: Timestamp,
        actor: &Actor,
    ) -> Result<i64, CatalogError> {
        let values = params![
            name.as_str(),
            reason,
            now.0,
            actor.user,
            actor.host,
            actor.pid
        ];
        self.execute(INSERT_PIN, values)?;
        Ok(self.transaction.last_insert_rowid())
    }

    /// The runs that a filter names, of all that the catalog has ever had.
    fn runs(&self, filter: &Filter) -> Result<Vec<(String, i64)>, CatalogError> {
        let Query { sql, values } = Query::runs(&filter.runs);
        let read = || -> rusqlite::Result<Vec<(String, i64)>> {
            self.transaction
                .prepare_cached(&sql)?
                .query_map(params_from_iter(&values), |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        };
        read().map_err(|error| self.sql(error))
    }

    pub(super) fn run(&self, name: &str) -> Result<Option<i64>, CatalogError> {
        self.one(super::intern::INTERN[0].0, [name])
    }

    fn scopes(&self, pin: i64) -> Result<Vec<PinScope>, CatalogError> {
        let read = || -> rusqlite::Result<Vec<PinScope>> {
            self.transaction
                .prepare_cached(SCOPES)?
                .query_map([pin], |row| {
                    Ok(PinScope {
                        run: row.get(0)?,
                        first: row.get(1)?,
                        last: row.get(2)?,
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.sql(error))
    }

    /// Lets the scopes go that lie in one; gives them.
    fn let_scope_go(
        &self,
        pin: i64,
        run: i64,
        scope: &PinScope,
    ) -> Result<Vec<PinScope>, CatalogError> {
        let read = || -> rusqlite::Result<Vec<PinScope>> {
            let values = params![pin, run, scope.first, scope.last];
            self.transaction
                .prepare_cached(LET_SCOPE_GO)?
                .query_map(values, |row| {
                    Ok(PinScope {
                        run: scope.run.clone(),
                        first: row.get(0)?,
                        last: row.get(1)?,
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.sql(error))
    }

    /// Numbers of the artifacts that a pin binds one by one.
    fn artifacts(&self, pin: i64) -> Result<Vec<ArtifactId>, CatalogError> {
        let read = || -> rusqlite::Result<Vec<ArtifactId>> {
            self.transaction
                .prepare_cached(ARTIFACTS)?
                .query_map([pin], |row| row.get(0).map(ArtifactId))?
                .collect()
        };
        read().map_err(|error| self.sql(error))
    }

    /// What a pin of this would bind: what is recorded of it.
    fn recorded(&self, what: Bound<'_>) -> Result<Recorded, CatalogError> {
        let mut recorded = Recorded::default();
        match what {
            Bound::Scopes(filter) => {
                for (run, id) in self.runs(filter)? {
                    // Iterations of a run that is named exactly are bound even while they have no
                    // artifact: later ones are bound then. A run of which nothing is recorded is
                    // none that the catalog should know, but one that was removed or renamed.
                    let is_spelled = filter.runs.iter().any(|known| known.as_str() == run);
                    let is_spelled = is_spelled && self.count(id, &PinScope::new(&run, None))? > 0;
                    for scope in scopes_of(&run, &filter.iterations) {
                        let count = self.count(id, &scope)?;
                        if count > 0 || is_spelled {
                            recorded.scopes.push((id, scope, count));
                        }
                    }
                }
            }
            Bound::Artifacts(ids) => {
                for id in ids {
                    // It may have been removed since it was looked up.
                    if self.one(IS_RECORDED, [id.0])?.unwrap_or(false) {
                        recorded.artifacts.push(*id);
                    }
                }
            }
            // Only an unpin names everything.
            Bound::Everything => {}
        }
        Ok(recorded)
    }

    pub(super) fn count(&self, run: i64, scope: &PinScope) -> Result<u64, CatalogError> {
        let count = self.one(COUNT_IN_SCOPE, params![run, scope.first, scope.last])?;
        Ok(count.unwrap_or_default())
    }

    pub(super) fn binds_anything(&self, pin: i64) -> Result<bool, CatalogError> {
        Ok(self.one(BINDS_ANYTHING, [pin])?.unwrap_or_default())
    }
}
