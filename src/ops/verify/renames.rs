//! Which folders were renamed, and to what: one by one, in chains, or with each other.
//!
//! Certain rather than complete: one new folder for each old one, one old folder for each new one,
//! and no row of data that is gone in the way.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use super::fit::{Fit, FolderRows, fit, is_later_copy_of};
use super::lost::is_seen_array;
use crate::catalog::{Catalog, CatalogError};
use crate::error::Error;
use crate::model::artifact::{Artifact, Origin};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::shell::shell_word;
use crate::store::Base;

/// Arrays of a folder by which others that have them too are looked for.
const MOST_TRIES: usize = 8;
/// Rows that are looked up to find where containers went that a scan saw there.
const MOST_LOOKUPS: usize = 100_000;

/// Where the data of folders may be: by old folder, the new ones, each with the number of its
/// arrays that are not those of its own rows.
pub(super) type Candidates = BTreeMap<String, BTreeMap<String, usize>>;

/// A folder whose data is in another.
pub(super) struct Rename {
    pub(super) old: String,
    pub(super) new: String,
    /// Whether it is a run.
    pub(super) is_run: bool,
    /// Folders in which a scan saw the data on its way, with their rows. These bind nothing.
    pub(super) passed: Vec<(String, Vec<Artifact>)>,
    /// Rows at the new path of other data that a scan saw there on its way. These bind nothing.
    pub(super) stale: Vec<Artifact>,
    pub(super) fit: Fit,
}

impl Rename {
    /// Rows that scans made on the way of data, and that go.
    pub(super) fn dropped(&self) -> impl Iterator<Item = &Artifact> {
        let passed = self.passed.iter().flat_map(|(_, rows)| rows);
        passed.chain(&self.stale)
    }
}

/// What became of folders.
#[derive(Default)]
pub(super) struct Found {
    pub(super) renames: Vec<Rename>,
    /// Folders whose data may be elsewhere: the old one, the new ones, and why no row follows.
    pub(super) uncertain: Vec<(String, Vec<String>, String)>,
}

/// Where to look for the data of folders.
pub(super) struct Renames<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) now: Timestamp,
    /// Rows of scans that were looked up for containers.
    pub(super) lookups: Cell<usize>,
}

impl Renames<'_> {
    /// Finds what became of folders of whose arrays none is in its place.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be read.
    pub(super) fn find(&self, candidates: &Candidates) -> Result<Found, Error> {
        let mut found = Found::default();
        for (old, places) in candidates {
            let rows = match self.catalog.in_container(old) {
                Ok(rows) => FolderRows::new(old, rows),
                // The damaged row is a finding already.
                Err(CatalogError::Row { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut places = places.clone();
            for folder in self.scanned_folders(&rows)? {
                places.entry(folder).or_default();
            }
            let mut fits = Vec::new();
            for (new, strays) in places {
                if new == *old {
                    continue;
                }
                let fit = fit(self.base, &rows, &new, |place| self.catalog.at(place))?;
                // Without a proof, the folder must have just these arrays.
                let fit = fit.filter(|fit| fit.is_proven || strays <= fit.arrays);
                fits.extend(fit.map(|fit| (new, fit)));
            }
            // A part of the arrays, only if it is certainly theirs, and they are not all elsewhere.
            let is_whole = fits.iter().any(|(_, fit)| fit.changed.is_empty());
            fits.retain(|(_, fit)| fit.changed.is_empty() || !is_whole && fit.is_proven);
            if fits.iter().any(|(_, fit)| fit.is_proven) {
                fits.retain(|(_, fit)| fit.is_proven);
            }
            // Arrays in their places are a reason to look only if others get these.
            if fits.len() > 1 {
                fits.retain(|(_, fit)| fit.at_home.is_empty());
            }
            let names: Vec<String> = fits.iter().map(|(new, _)| new.clone()).collect();
            match (fits.pop(), fits.is_empty()) {
                (None, _) => {}
                (Some((new, fit)), true) if !fit.is_most() => {
                    // Otherwise each array is a finding of its own, and a repair ends them.
                    let is_pinned = rows.rows.iter().any(|row| !row.pins.is_empty());
                    let is_bound = match &rows.run {
                        Some(run) => is_pinned || self.is_bound(run)?,
                        None => is_pinned,
                    };
                    if is_bound && fit.at_home.is_empty() {
                        found.uncertain.push((
                            old.clone(),
                            names,
                            uncertain(&placed(&new, old, &fit)),
                        ));
                    }
                }
                (Some((new, fit)), true) if !fit.pins.is_empty() => {
                    let detail = pinned_there(&placed(&new, old, &fit), &fit);
                    found.uncertain.push((old.clone(), names, detail));
                }
                (Some((new, fit)), true) => match self.pins_left_behind(&rows, &fit)? {
                    None => found.renames.push(Rename {
                        old: old.clone(),
                        new,
                        is_run: rows.run.is_some(),
                        passed: Vec::new(),
                        stale: Vec::new(),
                        fit,
                    }),
                    Some(pins) => {
                        let place = placed(&new, old, &fit);
                        let detail =
                            format!("{place}, where {pins}, a pin of its run, does not bind");
                        found
                            .uncertain
                            .push((old.clone(), names, uncertain(&detail)));
                    }
                },
                (Some(_), false) => {
                    let detail = format!("its arrays may be in {}", names.join(" or in "));
                    found
                        .uncertain
                        .push((old.clone(), names, uncertain(&detail)));
                }
            }
        }
        self.join_passed(&mut found)?;
        self.find_stale(&mut found)?;
        drop_shared(&mut found);
        drop_blocked(&mut found);
        Ok(found)
    }

    /// Of folders that may have moved to one place, finds the one whose data it is if the others
    /// are names that a scan saw it under in between.
    fn join_passed(&self, found: &mut Found) -> Result<(), Error> {
        let mut places: BTreeMap<String, Vec<Rename>> = BTreeMap::new();
        for rename in std::mem::take(&mut found.renames) {
            places.entry(rename.new.clone()).or_default().push(rename);
        }
        for mut sharing in places.into_values() {
            // The oldest rows come first: those of a scan in between are younger.
            sharing.sort_by_key(|rename| {
                let rows = rename.fit.rows.iter();
                rows.map(|(row, _)| (row.recorded_at, row.id)).min()
            });
            let mut sharing = sharing.into_iter();
            let Some(mut first) = sharing.next() else {
                continue;
            };
            for other in sharing {
                let is_passed = first.fit.is_proven
                    && first.is_run == other.is_run
                    && first.fit.is_copied_by(&other.fit)
                    && !self.binds(&other)?;
                match is_passed {
                    true => {
                        let rows = other.fit.rows.into_iter().map(|(row, _)| row).collect();
                        first.passed.push((other.old, rows));
                    }
                    false => found.renames.push(other),
                }
            }
            found.renames.push(first);
        }
        Ok(())
    }

    /// Finds rows in the way that a scan made of data of other rows, which is not there any more.
    fn find_stale(&self, found: &mut Found) -> Result<(), Error> {
        for rename in &mut found.renames {
            let in_the_way = rename.fit.occupants.iter().filter(|(_, is_free)| !is_free);
            for (row, _) in in_the_way {
                let Some(written_at) = row.written_at else {
                    continue;
                };
                let twins = match self.catalog.twins(row, written_at) {
                    Ok(twins) => twins,
                    Err(CatalogError::Row { .. }) => continue,
                    Err(error) => return Err(error.into()),
                };
                let is_stale = twins.iter().any(|twin| is_later_copy_of(row, twin))
                    && !self.is_bound(row.key.run())?;
                if is_stale {
                    rename.stale.push(row.clone());
                }
            }
        }
        Ok(())
    }

    /// The pins of a run or its iterations that bind a container no more if its rows follow it into
    /// another run.
    fn pins_left_behind(&self, rows: &FolderRows, fit: &Fit) -> Result<Option<String>, Error> {
        let (before, after) = match fit.rows.first() {
            // With a run, its own pins follow.
            Some((before, after)) if rows.run.is_none() => (before.key.run(), after.key.run()),
            _ => return Ok(None),
        };
        if before == after {
            return Ok(None);
        }
        let (_, pins) = self.catalog.bound_to(before)?;
        let pins: Vec<String> = pins.into_iter().collect();
        Ok((!pins.is_empty()).then(|| pins.join(", ")))
    }

    /// Whether a score or pin is bound to the name of a run that was renamed.
    fn binds(&self, rename: &Rename) -> Result<bool, Error> {
        match rename.old.parse() {
            Ok(run) if rename.is_run => self.is_bound(&run),
            _ => Ok(false),
        }
    }

    fn is_bound(&self, run: &RunName) -> Result<bool, Error> {
        let (scores, pins) = self.catalog.bound_to(run)?;
        Ok(scores > 0 || !pins.is_empty())
    }

    /// Runs that have rows of a scan about the data of a run's rows; of a container's rows,
    /// containers.
    fn scanned_folders(&self, old: &FolderRows) -> Result<Vec<String>, Error> {
        let mut folders = Vec::new();
        if old.run.is_some() {
            self.catalog.runs(&Filter::default(), self.now, |run| {
                folders.push(run.run);
                Ok::<_, Error>(())
            })?;
        } else {
            folders = self
                .catalog
                .containers_with_data(&Filter::default(), self.now)?;
        }
        folders.retain(|folder| *folder != old.folder);
        let mut names = Vec::new();
        let arrays = old.rows.iter().filter(|row| is_seen_array(row));
        for row in arrays.take(MOST_TRIES) {
            // Many containers may be gone for good, and each would be looked for in each other one.
            let looked_up = self.lookups.get();
            if old.run.is_none() && looked_up >= MOST_LOOKUPS {
                break;
            }
            self.lookups.set(looked_up + folders.len());
            for folder in &folders {
                let Some(key) = old.key_in(folder, row) else {
                    continue;
                };
                let there = match self.catalog.at(&layout::canonical_location(&key)) {
                    Ok(row) => row,
                    Err(CatalogError::Row { .. }) => continue,
                    Err(error) => return Err(error.into()),
                };
                let is_like = |other: Artifact| {
                    other.origin == Origin::Scanned && other.written_at == row.written_at
                };
                if there.is_some_and(is_like) {
                    names.push(folder.clone());
                }
            }
            // One lookup of the first array spares a listing of most of them.
            if !names.is_empty() {
                break;
            }
        }
        Ok(names)
    }
}

/// If two folders may have moved to one place, neither is certain.
fn drop_shared(found: &mut Found) {
    let mut places: HashMap<String, Vec<String>> = HashMap::new();
    for rename in &found.renames {
        let olds = places.entry(rename.new.clone()).or_default();
        olds.push(rename.old.clone());
    }
    let (renames, shared): (Vec<_>, Vec<_>) = std::mem::take(&mut found.renames)
        .into_iter()
        .partition(|rename| places.get(&rename.new).is_some_and(|olds| olds.len() == 1));
    found.renames = renames;
    for rename in shared {
        let others = places.get(&rename.new).into_iter().flatten();
        let others: Vec<&str> = others
            .filter(|old| **old != rename.old)
            .map(String::as_str)
            .collect();
        let detail = format!(
            "its arrays may be in {}, and so may those of {}",
            rename.new,
            others.join(" and ")
        );
        let detail = uncertain(&detail);
        found.uncertain.push((rename.old, vec![rename.new], detail));
    }
}

/// Rows whose data is nowhere keep their paths: only a person can say what becomes of them.
fn drop_blocked(found: &mut Found) {
    loop {
        let moving = leaving(&found.renames);
        let taken = taken(&found.renames);
        let is_at_home = |rename: &Rename| !rename.fit.at_home.iter().all(|at| taken.contains(at));
        // Its arrays were not renamed with the others.
        if let Some(index) = found.renames.iter().position(is_at_home) {
            let rename = found.renames.swap_remove(index);
            // Then rows of others are where its arrays are, and no repair gives these to them.
            if rename.fit.blocked_by(&HashSet::new()).is_some() {
                found.uncertain.push(among_others(rename));
            }
            continue;
        }
        let blocked = found
            .renames
            .iter()
            .position(|rename| rename.fit.blocked_by(&moving).is_some());
        let Some(index) = blocked else {
            return;
        };
        let rename = found.renames.swap_remove(index);
        found.uncertain.push(among_others(rename));
    }
}

/// A rename that is not certain, because rows of other data are where the arrays are.
fn among_others(rename: Rename) -> (String, Vec<String>, String) {
    let place = placed(&rename.new, &rename.old, &rename.fit);
    let detail = format!("{place}, where the rows are of other data");
    (rename.old, vec![rename.new], uncertain(&detail))
}

/// What of a rename is not certain, with what follows from that.
fn uncertain(detail: &str) -> String {
    format!("{detail}; which is not certain, so its rows stay as they are")
}

/// Which pins have to go before rows follow to rows that a scan made, and that these pins bind.
fn pinned_there(place: &str, fit: &Fit) -> String {
    let pins: Vec<&str> = fit.pins.iter().map(String::as_str).collect();
    let them = if pins.len() == 1 { "it" } else { "them" };
    let commands: Vec<String> = pins
        .iter()
        .map(|pin| format!("dalsegno unpin {}", shell_word(pin)))
        .collect();
    format!(
        "{place}, where {} binds rows that a scan made of them; the rows follow without {them}: {}, \
         then repair again and pin the new name",
        pins.join(", "),
        commands.join("; ")
    )
}

/// The paths that rows get by renames.
pub(super) fn taken(renames: &[Rename]) -> HashSet<String> {
    let rows = renames.iter().flat_map(|rename| &rename.fit.rows);
    rows.map(|(_, after)| after.location().path()).collect()
}

/// How many arrays of a folder are in another, in words.
fn placed(new: &str, old: &str, fit: &Fit) -> String {
    let verb = if fit.arrays == 1 { "is" } else { "are" };
    format!("{} of {old} {verb}, by time, in {new}", fit.counted())
}

/// Numbers of the rows that leave their paths for renames.
fn leaving(renames: &[Rename]) -> HashSet<i64> {
    let moved = renames.iter().flat_map(|rename| &rename.fit.rows);
    let moved = moved.map(|(before, _)| before.id.0);
    let dropped = renames.iter().flat_map(Rename::dropped);
    moved.chain(dropped.map(|row| row.id.0)).collect()
}
