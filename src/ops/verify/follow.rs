//! Repairing runs and containers that were moved by hand: rows, pins and scores follow the data.
//!
//! Otherwise the rows at the new path would be new ones, bound by no pin and without scores. Folders
//! that moved to each other's paths follow together, in one transaction.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::finding::{VerifyClass, VerifyFinding};
use super::fit::{FolderRows, fit};
use super::lost::is_seen_array;
use super::renames::{Candidates, Rename, Renames, taken};
use crate::catalog::{Catalog, CatalogError, Change, Exchange, renamed};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::operation::{Action, NewOperation};
use crate::ops::scan;
use crate::store::{self, Base, Claim};

/// What followed its data.
#[derive(Default)]
pub(super) struct Followed {
    /// The old folders that are done.
    pub(super) folders: BTreeSet<String>,
    /// Rows whose data was written again since, or is gone.
    pub(super) changed: Vec<ArtifactId>,
}

/// Moves rows of renamed folders to their new paths.
pub(super) struct Following<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) now: Timestamp,
    pub(super) reason: &'static str,
}

impl Following<'_> {
    /// Gives the rows of moved runs and containers to their new paths. `findings`: all of the
    /// verification; the new paths are some that they name.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be written.
    pub(super) fn follow(
        &self,
        moved: &[&VerifyFinding],
        findings: &[VerifyFinding],
    ) -> Result<Followed, Error> {
        let mut done = Followed::default();
        if moved.is_empty() {
            return Ok(done);
        }
        let mut candidates = Candidates::new();
        for found in moved {
            let passed = found.follows.iter().flat_map(|follows| &follows.passed);
            for old in passed.chain([&found.path]) {
                candidates.insert(old.clone(), self.new_places(old, findings)?);
            }
        }
        let renames = Renames {
            catalog: self.catalog,
            base: self.base,
            now: self.now,
            lookups: Cell::new(0),
        };
        for chain in chains(renames.find(&candidates)?.renames) {
            if self.follow_together(&chain)? {
                for rename in chain {
                    done.changed.extend(rename.fit.changed);
                    done.folders.insert(rename.old);
                }
            }
        }
        Ok(done)
    }

    /// The folders in which findings name an array of a folder, with the number of arrays that
    /// findings name there.
    fn new_places(
        &self,
        old: &str,
        findings: &[VerifyFinding],
    ) -> Result<BTreeMap<String, usize>, Error> {
        let mut places = BTreeMap::new();
        let rows = match self.catalog.in_container(old) {
            Ok(rows) => FolderRows::new(old, rows),
            Err(CatalogError::Row { .. }) => return Ok(places),
            Err(error) => return Err(error.into()),
        };
        let arrays = rows.rows.iter().filter(|row| is_seen_array(row));
        let below: HashSet<String> = arrays
            .map(|row| super::lost::below(old, &row.location().path()))
            .collect();
        for path in findings.iter().flat_map(strays) {
            let Ok(key) = scan::read(Path::new(path)) else {
                continue;
            };
            let folder = match rows.run {
                Some(_) => key.run().as_str().to_owned(),
                None => layout::canonical_location(&key).container,
            };
            if below.contains(&super::lost::below(&folder, path)) {
                places.entry(folder).or_insert(0);
            }
        }
        for (folder, count) in &mut places {
            let inside = findings.iter().flat_map(strays);
            *count = inside
                .filter(|path| Path::new(path).starts_with(folder))
                .count();
        }
        Ok(places)
    }

    /// Gives rows of folders to their new paths, all or none. Says whether it was done.
    fn follow_together(&self, chain: &[Rename]) -> Result<bool, Error> {
        let operation = NewOperation {
            reason: Some(self.reason),
            ..NewOperation::new(Action::Rename, self.now)
        };
        let followed = self.catalog.change(operation, |change| {
            // Asked once more: rows and disk may have changed since the findings.
            let Some(exchange) = self.exchange(change, chain)? else {
                return Ok(false);
            };
            match change.exchange(&exchange, self.now)? {
                true => {
                    self.rename_in_lists(chain);
                    Ok(true)
                }
                // An error, so that nothing of it is committed.
                false => Err(Error::RunTaken {
                    run: chain
                        .first()
                        .map(|rename| rename.new.clone())
                        .unwrap_or_default(),
                    by: "scores or pins",
                    removals: Vec::new(),
                }),
            }
        });
        match followed {
            Err(Error::RunTaken { .. }) => Ok(false),
            followed => followed,
        }
    }

    /// Gives the folders their new names in the consolidated metadata of the groups above them.
    fn rename_in_lists(&self, chain: &[Rename]) {
        let olds = chain.iter().map(|rename| rename.old.as_str());
        // What cannot be read or written is a finding of the next verification.
        let listed = store::listed_in(self.base, olds).unwrap_or_default();
        let groups = listed.into_values().flatten().collect();
        let renames = chain.iter().map(|rename| [&*rename.old, &*rename.new]);
        let renames: Vec<_> = renames.collect();
        let own = Claim::own();
        store::exchange_in_lists(self.base, self.base.path(), &groups, &renames, &own);
    }

    fn exchange(&self, change: &Change<'_>, chain: &[Rename]) -> Result<Option<Exchange>, Error> {
        let mut exchange = Exchange::default();
        let mut fits = Vec::new();
        let olds: HashSet<&str> = chain.iter().map(|rename| rename.old.as_str()).collect();
        let taken = taken(chain);
        for rename in chain {
            let all = change.in_container(&rename.old)?;
            let rows = FolderRows::new(&rename.old, all.clone());
            let Some(found) = fit(self.base, &rows, &rename.new, |place| change.at(place))? else {
                return Ok(None);
            };
            let is_bound = !found.pins.is_empty();
            if is_bound || !found.is_most() || !found.at_home.iter().all(|at| taken.contains(at)) {
                return Ok(None);
            }
            exchange.rows.extend(found.rows.iter().cloned());
            if let (Some(from), Ok(to)) = (rows.run, rename.new.parse::<RunName>()) {
                exchange.rows.extend(empty_runs(&all, &olds, &from, &to));
                exchange.runs.push((from, to));
            }
            fits.push(found);
        }
        let moving: HashSet<i64> = exchange.rows.iter().map(|(row, _)| row.id.0).collect();
        let mut leaving = moving.clone();
        for row in chain.iter().flat_map(Rename::dropped) {
            // It may have been pinned meanwhile.
            if change.artifact(row.id)?.as_ref() != Some(row) || moving.contains(&row.id.0) {
                return Ok(None);
            }
            // Two renames may name one row.
            if leaving.insert(row.id.0) {
                exchange.replaced.push(row.clone());
            }
        }
        for found in fits {
            if found.blocked_by(&leaving).is_some() {
                return Ok(None);
            }
            let dropped = found.occupants.into_iter().map(|(row, _)| row);
            let dropped = dropped.filter(|row| !leaving.contains(&row.id.0));
            exchange.replaced.extend(found.replaced);
            exchange.replaced.extend(dropped);
        }
        // Rows of runs in a folder that have no data may still have others in their way.
        let replaced: HashSet<i64> = exchange.replaced.iter().map(|row| row.id.0).collect();
        for (_, after) in &exchange.rows {
            let there = change.at(&after.location())?;
            let is_taken =
                |row: Artifact| !moving.contains(&row.id.0) && !replaced.contains(&row.id.0);
            if there.is_some_and(is_taken) {
                return Ok(None);
            }
        }
        Ok(Some(exchange))
    }
}

/// Rows of runs in the folder of a run that never had an array with data: they move with it.
fn empty_runs(
    rows: &[Artifact],
    olds: &HashSet<&str>,
    from: &RunName,
    to: &RunName,
) -> Vec<(Artifact, Artifact)> {
    let with_data: HashSet<&RunName> = rows
        .iter()
        .filter(|row| is_seen_array(row))
        .map(|row| row.key.run())
        .collect();
    let is_empty =
        |run: &RunName| run != from && !olds.contains(run.as_str()) && !with_data.contains(run);
    rows.iter()
        .filter(|row| is_empty(row.key.run()))
        .filter_map(|row| {
            let key = row.key.clone();
            let run = renamed(key.run(), from, to)?.ok()?;
            let after = Artifact {
                key: key.with_run(run),
                ..row.clone()
            };
            Some((row.clone(), after))
        })
        .collect()
}

/// The paths of arrays that are not those of the rows at their paths.
fn strays(found: &VerifyFinding) -> impl Iterator<Item = &str> {
    let parts = found.follows.iter().flat_map(|follows| &follows.findings);
    let parts = parts.map(|part| (part.class, part.path.as_str()));
    [(found.class, found.path.as_str())]
        .into_iter()
        .chain(parts)
        .filter_map(|(class, path)| {
            let is_of_data = matches!(
                class,
                VerifyClass::DataWithoutRow | VerifyClass::Rewritten | VerifyClass::DataIsBack
            );
            let is_array = || scan::read(Path::new(path)).is_ok_and(|key| !key.kind().is_file());
            (is_of_data && is_array()).then_some(path)
        })
}

/// The folders that a rename is about.
fn folders_of(rename: &Rename) -> impl Iterator<Item = &str> {
    let passed = rename.passed.iter().map(|(folder, _)| folder.as_str());
    [rename.old.as_str(), rename.new.as_str()]
        .into_iter()
        .chain(passed)
}

/// Renames that hang together: of one that ends where another begins.
fn chains(renames: Vec<Rename>) -> Vec<Vec<Rename>> {
    let mut chains: Vec<Vec<Rename>> = Vec::new();
    for rename in renames {
        let touches = |other: &Rename| {
            let nested =
                |a: &str, b: &str| Path::new(a).starts_with(b) || Path::new(b).starts_with(a);
            folders_of(&rename).any(|folder| folders_of(other).any(|other| nested(folder, other)))
        };
        let (near, far): (Vec<_>, Vec<_>) = chains
            .into_iter()
            .partition(|chain: &Vec<Rename>| chain.iter().any(touches));
        let mut chain: Vec<Rename> = near.into_iter().flatten().collect();
        chain.push(rename);
        chains = far;
        chains.push(chain);
    }
    chains
}
