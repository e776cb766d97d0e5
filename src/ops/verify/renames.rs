//! Which folders were renamed, and to what: one by one, in chains, or with each other.
//!
//! Certain rather than complete: one new folder for each old one, one old folder for each new one,
//! and no row of data that is gone in the way.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::fit::{Fit, FolderRows, fit};
use super::lost::{below, is_seen_array};
use crate::catalog::{Catalog, CatalogError};
use crate::error::Error;
use crate::model::artifact::{Artifact, Origin};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::layout;
use crate::store::Base;

/// Arrays of a folder by which others that have them too are looked for.
const MOST_TRIES: usize = 8;

/// Where the data of folders may be: by old folder, the new ones, each with the number of its
/// arrays that are not those of its own rows.
pub(super) type Candidates = BTreeMap<String, BTreeMap<String, usize>>;

/// A folder whose data is in another.
pub(super) struct Rename {
    pub(super) old: String,
    pub(super) new: String,
    /// Whether it is a run.
    pub(super) is_run: bool,
    pub(super) fit: Fit,
}

/// What became of folders.
#[derive(Default)]
pub(super) struct Found {
    pub(super) renames: Vec<Rename>,
    /// Folders whose data may be elsewhere: the old one, the new ones, and what is not certain.
    pub(super) uncertain: Vec<(String, Vec<String>, String)>,
}

/// Where to look for the data of folders.
pub(super) struct Renames<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) now: Timestamp,
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
            for run in self.scanned_runs(&rows)? {
                places.entry(run).or_default();
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
            if fits.iter().any(|(_, fit)| fit.is_proven) {
                fits.retain(|(_, fit)| fit.is_proven);
            }
            let names: Vec<String> = fits.iter().map(|(new, _)| new.clone()).collect();
            match (fits.pop(), fits.is_empty()) {
                (None, _) => {}
                (Some((new, fit)), true) => found.renames.push(Rename {
                    old: old.clone(),
                    new,
                    is_run: rows.run.is_some(),
                    fit,
                }),
                (Some(_), false) => {
                    let detail = format!("its arrays may be in {}", names.join(" or in "));
                    found.uncertain.push((old.clone(), names, detail));
                }
            }
        }
        drop_shared(&mut found);
        drop_blocked(&mut found);
        Ok(found)
    }

    /// Runs that have rows of a scan about the data of a run's rows.
    fn scanned_runs(&self, old: &FolderRows) -> Result<Vec<String>, Error> {
        let Some(name) = &old.run else {
            return Ok(Vec::new());
        };
        let mut runs = Vec::new();
        self.catalog.runs(&Filter::default(), self.now, |run| {
            runs.push(run.run);
            Ok::<_, Error>(())
        })?;
        runs.retain(|run| run != name.as_str());
        let mut names = Vec::new();
        let arrays = old.rows.iter().filter(|row| is_seen_array(row));
        for row in arrays.take(MOST_TRIES) {
            let relative = below(&old.folder, &row.location().path());
            for run in &runs {
                let Ok(key) = layout::parse(&format!("{run}/{relative}")) else {
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
                    names.push(run.clone());
                }
            }
            // One lookup of the first array spares a listing of most runs.
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
        found.uncertain.push((rename.old, vec![rename.new], detail));
    }
}

/// Rows whose data is nowhere keep their paths: only a person can say what becomes of them.
fn drop_blocked(found: &mut Found) {
    loop {
        let moving = moving(&found.renames);
        let blocked = found
            .renames
            .iter()
            .position(|rename| rename.fit.blocked_by(&moving).is_some());
        let Some(index) = blocked else {
            return;
        };
        let rename = found.renames.swap_remove(index);
        let detail = format!(
            "its {} are in {}, where the rows are of other data, which is gone",
            counted(rename.fit.arrays as u64, "array"),
            rename.new
        );
        found.uncertain.push((rename.old, vec![rename.new], detail));
    }
}

/// Numbers of the rows that renames give other paths.
pub(super) fn moving(renames: &[Rename]) -> HashSet<i64> {
    let rows = renames.iter().flat_map(|rename| &rename.fit.rows);
    rows.map(|(before, _)| before.id.0).collect()
}

/// A number of things, in words.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{s}")
}
