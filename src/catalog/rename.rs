//! Renaming runs: their rows, scores and pins.
//!
//! Names of runs and containers are kept once each and are never changed in their tables: the
//! history refers to them, and its hashes cover the names. So a rename gives rows to other names.
//! An artifact keeps its number, and with it the pins that bind it by number.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::error::CatalogError;
use super::lookup::{self, below};
use super::places::LAST_ROW;
use super::record::Recorder;
use super::reinstate::UPDATE;
use super::removals::{Change, KEPT_ITEMS};
use super::rows::Columns;
use super::sqlite::file::Catalog;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, RunRenamed};
use crate::model::key::Key;
use crate::model::name::RunName;
use crate::model::operation::{Action, Side};
use crate::model::removal::RemovalId;

/// A run and the runs whose folders are in its folder.
pub(super) const RUNS_BELOW: &str = "SELECT id, name FROM run WHERE name = ?1 UNION ALL \
     SELECT id, name FROM run WHERE name >= ?2 AND name < ?3";
/// Names of the pins on a run or on any of its iterations.
pub(super) const PINS_OF_RUN: &str = "SELECT DISTINCT pin.name FROM run \
     JOIN pin_scope AS s ON s.run_id = run.id JOIN pin ON pin.id = s.pin_id \
     WHERE run.name = ?1 ORDER BY 1";
pub(super) const HAS_ARTIFACTS: &str = "SELECT EXISTS (SELECT 1 FROM artifact WHERE run_id = ?1)";
pub(super) const COUNT_SCORES: &str = "SELECT count(*) FROM score WHERE run_id = ?1";
pub(super) const COUNT_SCOPES: &str = "SELECT count(*) FROM pin_scope WHERE run_id = ?1";
// What the new name has already is not replaced.
pub(super) const MOVE_SCORES: &str = "UPDATE OR IGNORE score SET run_id = ?2 WHERE run_id = ?1";
pub(super) const MOVE_SCOPES: &str = "UPDATE OR IGNORE pin_scope SET run_id = ?2 WHERE run_id = ?1";
pub(super) const DETAIL_OF: &str = "SELECT action, detail FROM operation WHERE id = ?1";

/// What belongs to a run, and whether its new name is free.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunContents {
    /// The artifacts in its folder.
    pub artifacts: Vec<Artifact>,
    /// The runs in its folder, itself included, by their numbers.
    pub(super) runs: Vec<(i64, RunName)>,
    /// Number of scores of these runs.
    pub scores: u64,
    /// Number of runs and iterations that pins bind in these runs.
    pub scopes: u64,
    /// Number of items in the trash that come from its folder.
    pub kept: u64,
    /// The removals that these items are of.
    pub removals: Vec<RemovalId>,
}

impl Catalog {
    /// Gives what belongs to a run.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read.
    pub fn run_contents(&self, run: &RunName) -> Result<RunContents, CatalogError> {
        self.read_with(|connection| self.run_contents_on(connection, run))
    }

    /// Gives what is bound to a run by its name, and so to the runs in its folder that have no
    /// artifact: the number of scores, and the names of pins.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn bound_to(&self, run: &RunName) -> Result<(u64, BTreeSet<String>), CatalogError> {
        let sql = |error| self.sql("reading a run", error);
        self.read_with(|connection| {
            let (mut scores, mut pins) = (0, BTreeSet::new());
            for (id, name) in runs_in(connection, run).map_err(sql)? {
                let count = |query| -> rusqlite::Result<u64> {
                    let mut statement = connection.prepare_cached(query)?;
                    statement.query_row([id], |row| row.get(0))
                };
                if name != run.as_str() && count(HAS_ARTIFACTS).map_err(sql)? > 0 {
                    continue;
                }
                scores += count(COUNT_SCORES).map_err(sql)?;
                let mut statement = connection.prepare_cached(PINS_OF_RUN).map_err(sql)?;
                let names = statement
                    .query_map([&name], |row| row.get(0))
                    .map_err(sql)?;
                pins.extend(
                    names
                        .collect::<rusqlite::Result<Vec<String>>>()
                        .map_err(sql)?,
                );
            }
            Ok((scores, pins))
        })
    }

    fn run_contents_on(
        &self,
        connection: &Connection,
        run: &RunName,
    ) -> Result<RunContents, CatalogError> {
        let sql = |error| self.sql("reading a run", error);
        let (first, end) = below(run.as_str());
        // The folder itself, in case the run has the name of a container, then the containers in
        // it.
        let mut found = RunContents {
            artifacts: self.many(connection, lookup::IN_CONTAINER, params![run.as_str()])?,
            ..RunContents::default()
        };
        found.artifacts.extend(self.many(
            connection,
            lookup::BELOW_CONTAINER,
            params![first, end],
        )?);
        // For each run in the folder: `a` and `a/b` are two runs, and both move.
        for (id, name) in runs_in(connection, run).map_err(sql)? {
            let count = |query| -> rusqlite::Result<u64> {
                let mut statement = connection.prepare_cached(query)?;
                statement.query_row([id], |row| row.get(0))
            };
            found.scores += count(COUNT_SCORES).map_err(sql)?;
            found.scopes += count(COUNT_SCOPES).map_err(sql)?;
            // New names are made from old ones, so a name that breaks the rules stops the rename.
            let name = name.parse().map_err(|_| CatalogError::Damaged {
                path: self.path.clone(),
                detail: format!("a run has the name \"{}\"", name.escape_debug()),
            })?;
            found.runs.push((id, name));
        }
        let mut statement = connection.prepare_cached(KEPT_ITEMS).map_err(sql)?;
        let mut rows = statement.query([]).map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            let path: String = row.get(2).map_err(sql)?;
            // Compared by whole components, which no pattern of SQL expresses.
            if moved(&path, run.as_str(), "").is_none() {
                continue;
            }
            found.kept += 1;
            let id: String = row.get(0).map_err(sql)?;
            // One that is no id is found by `verify`, and binds the name all the same.
            found.removals.extend(id.parse::<RemovalId>());
            found.removals.dedup();
        }
        Ok(found)
    }
}

/// The numbers and names of a run and of the runs whose folders are in its folder.
pub(super) fn runs_in(
    connection: &Connection,
    run: &RunName,
) -> rusqlite::Result<Vec<(i64, String)>> {
    let (first, end) = below(run.as_str());
    let mut statement = connection.prepare_cached(RUNS_BELOW)?;
    let runs = statement.query_map(params![run.as_str(), first, end], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    runs.collect()
}

/// What a path or name becomes when the folder `from` is renamed; `None` if it is not in it.
fn moved(path: &str, from: &str, to: &str) -> Option<String> {
    // Run `a` is not the folder of run `ab`.
    let rest = path.strip_prefix(from)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
}

/// The name of a run in a folder that is renamed; `None` if it is not in that folder.
pub(crate) fn renamed(
    run: &RunName,
    from: &RunName,
    to: &RunName,
) -> Option<Result<RunName, crate::model::name::NameError>> {
    moved(run.as_str(), from.as_str(), to.as_str()).map(|name| name.parse())
}

impl Change<'_> {
    /// Number of the operation that this change becomes.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.journal.number()
    }

    /// Gives what belongs to a run.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read.
    pub fn run_contents(&self, run: &RunName) -> Result<RunContents, CatalogError> {
        // Within the transaction, because what the plan saw may have changed.
        let transaction: &Transaction<'_> = self.transaction;
        self.catalog.run_contents_on(transaction, run)
    }

    /// Gives rows, scores and pins of a run and of the runs in its folder to their new names.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if a row in the folder is of a run that is not, or a new name is
    /// refused; [`CatalogError::Full`], [`CatalogError::Sql`] if the catalog cannot be written.
    pub fn rename_run(
        &self,
        id: &RemovalId,
        contents: &RunContents,
        from: &RunName,
        to: &RunName,
        now: Timestamp,
    ) -> Result<(), CatalogError> {
        let new_name = |run: &RunName| self.new_name(run, from, to);
        // In the operation, because recovery tells by it whether the rename was committed.
        self.journal.detail(Detail::RunRenamed(RunRenamed {
            rename: id.clone(),
            from: from.clone(),
            to: to.clone(),
            scores: contents.scores,
            scopes: contents.scopes,
        }));
        let mut keys = Vec::with_capacity(contents.artifacts.len());
        for artifact in &contents.artifacts {
            let run = new_name(artifact.key.run())?;
            keys.push((artifact, artifact.key.clone().with_run(run)));
        }
        self.relocate(&keys, now)?;
        let mut recorder = Recorder::new(self.journal, now);
        // Index 0 of `INTERN` is the table of runs.
        for (number, run) in &contents.runs {
            let new = recorder.intern(0, new_name(run)?.as_str())?;
            self.run(MOVE_SCORES, params![number, new])?;
            self.run(MOVE_SCOPES, params![number, new])?;
        }
        Ok(())
    }

    /// The name that a run gets when a folder that it is in is renamed.
    pub(super) fn new_name(
        &self,
        run: &RunName,
        from: &RunName,
        to: &RunName,
    ) -> Result<RunName, CatalogError> {
        match renamed(run, from, to) {
            Some(Ok(name)) => Ok(name),
            Some(Err(error)) => Err(self.damaged(format!("run {run} cannot be renamed: {error}"))),
            // A row of another run in this folder would keep a path that is gone.
            None => Err(self.damaged(format!("run {run} has data in the folder of run {from}"))),
        }
    }

    /// The highest number of a row, as this change sees it; 0 in a catalog without rows.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn last_row(&self) -> Result<ArtifactId, CatalogError> {
        self.transaction
            .query_row(LAST_ROW, [], |row| row.get(0).map(ArtifactId))
            .map_err(|error| self.catalog.sql("finding the last row", error))
    }

    /// Gives rows to other keys, and so to other paths.
    ///
    /// # Errors
    /// [`CatalogError::Full`], [`CatalogError::Sql`] if the catalog cannot be written, also because
    /// another row has a path.
    pub fn relocate(&self, keys: &[(&Artifact, Key)], now: Timestamp) -> Result<(), CatalogError> {
        let writing = |error| self.catalog.sql("renaming", error);
        let mut recorder = Recorder::new(self.journal, now);
        for (before, key) in keys {
            let after = Artifact {
                key: key.clone(),
                ..(*before).clone()
            };
            // Both sides go into the history: with the key, the path changes.
            self.journal.image(Side::Before, before)?;
            let location = after.location();
            // The new names may not be in their tables yet.
            let references = recorder.references(&after.key, &location, after.metadata.as_ref())?;
            self.transaction
                .prepare_cached(&UPDATE)
                .and_then(|mut statement| {
                    let next = Columns::of(&after).bind(&mut statement, 1, &references)?;
                    statement.raw_bind_parameter(next, after.id.0)?;
                    statement.raw_execute()
                })
                .map_err(writing)?;
            self.journal.image(Side::After, &after)?;
        }
        Ok(())
    }

    /// Whether an operation is a rename with this id.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn is_rename(&self, operation: i64, id: &RemovalId) -> Result<bool, CatalogError> {
        let found: Option<(String, Option<String>)> = self
            .transaction
            .prepare_cached(DETAIL_OF)
            .and_then(|mut statement| {
                statement
                    .query_row([operation], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(|error| self.catalog.sql("reading an operation", error))?;
        let Some((action, Some(detail))) = found else {
            return Ok(false);
        };
        // A detail that cannot be read is not that of this rename.
        let detail: Option<Detail> = serde_json::from_str(&detail).ok();
        let is_this =
            |entry: &Detail| matches!(entry, Detail::RunRenamed(made) if made.rename == *id);
        Ok(action == Action::Rename.as_str()
            && detail.is_some_and(|detail| detail.entries().iter().any(is_this)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_folder_is_moved() {
        for (path, expected) in [
            ("a", Some("b")),
            ("a/x", Some("b/x")),
            ("ab", None),
            ("c/a", None),
            ("", None),
        ] {
            assert_eq!(moved(path, "a", "b").as_deref(), expected, "{path}");
        }
    }
}
