//! Summaries: runs and containers that were moved, runs that were copied.
//!
//! Certain rather than complete: the same set of arrays, at least one, with the same times (a
//! rename keeps them) or metadata of the same size (a copy has new times), and one candidate only.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use super::comparison::Verify;
use super::finding::{Repair, VerifyClass, VerifyFinding};
use super::lost::{Arrays, StrayArray, below, is_seen_array};
use super::renames::{Candidates, Found, Renames};
use crate::catalog::{CatalogError, Selected};
use crate::error::Error;
use crate::model::artifact::State;
use crate::model::filter::Filter;
use crate::model::layout;
use crate::model::words;
use crate::store;

impl Verify<'_> {
    /// Sums up which runs were moved and which were copied, if the selection is by run only and all
    /// of it could be read: a part of a run says nothing about the run.
    pub(super) fn sum_up(&mut self) -> Result<(), Error> {
        let only_runs = self.filter.of_runs();
        let unread = |found: &VerifyFinding| found.class == VerifyClass::Unreadable;
        if *self.filter != only_runs || self.report.findings.iter().any(unread) {
            return Ok(());
        }
        let displaced: BTreeSet<String> = self
            .lost
            .whole(&self.lost.runs)
            .map(|(run, _)| run.clone())
            .collect();
        let strays = || self.found.iter().chain(&self.lost.foreign);
        let mut candidates = Candidates::new();
        let runs = by_folder(strays(), |array, _| array.run.as_str().to_owned());
        add_candidates(&mut candidates, self.lost.mostly(&self.lost.runs), &runs);
        let renames = Renames {
            catalog: self.catalog,
            base: self.base,
            now: self.now,
            lookups: Cell::new(0),
        };
        let mut found = renames.find(&candidates)?;
        // A container of a run that moved has moved with it, and is not reported again.
        let is_in = |folder: &str, runs: &mut dyn Iterator<Item = &String>| {
            let runs: HashSet<&Path> = runs.map(Path::new).collect();
            let mut above = Path::new(folder).ancestors();
            above.any(|above| runs.contains(above))
        };
        let olds = |found: &Found| -> Vec<String> {
            let passed = found.renames.iter().flat_map(|rename| &rename.passed);
            let passed = passed.map(|(old, _)| old.clone());
            let renamed = found.renames.iter().map(|rename| rename.old.clone());
            let renamed = renamed.chain(passed);
            let uncertain = found.uncertain.iter().map(|(old, ..)| old.clone());
            renamed.chain(uncertain).collect()
        };
        let moved_runs = olds(&found);
        let containers = self.lost.mostly(&self.lost.containers);
        let containers = containers.filter(|(folder, _)| !is_in(folder, &mut moved_runs.iter()));
        let mut candidates = Candidates::new();
        let places = by_folder(strays(), |_, container| container.to_owned());
        add_candidates(&mut candidates, containers, &places);
        let parts = renames.find(&candidates)?;
        found.renames.extend(parts.renames);
        found.uncertain.extend(parts.uncertain);
        self.find_renames(&found.renames)?;
        for (old, places, detail) in &found.uncertain {
            self.report.findings.push(VerifyFinding {
                class: VerifyClass::Moved,
                path: old.clone(),
                artifact: None,
                detail: detail.clone(),
                repair: None,
                follows: None,
            });
            // What may be the data of these rows is not given to others.
            for part in &mut self.report.findings {
                let is_of_these = is_in(&part.path, &mut places.iter().chain([old]));
                let is_of_data = matches!(
                    part.class,
                    VerifyClass::Rewritten | VerifyClass::DataIsBack | VerifyClass::DataWithoutRow
                );
                if is_of_these && is_of_data {
                    part.repair = None;
                }
            }
        }
        let found_runs = by_folder(self.found.iter(), |array, _| array.run.as_str().to_owned());
        let targets: Vec<String> = found
            .renames
            .iter()
            .map(|rename| rename.new.clone())
            .chain(found.uncertain.iter().flat_map(|(_, new, _)| new.clone()))
            .collect();
        // What was moved there is not also a copy.
        for (run, arrays) in found_runs.iter().filter(|(run, _)| !targets.contains(run)) {
            // By their times, some were arrays of a run that has lost them.
            if self
                .lost
                .runs
                .values()
                .any(|lost| !lost.is_disjoint(arrays))
            {
                continue;
            }
            let paths: BTreeSet<&str> = arrays.iter().map(|(path, _)| path.as_str()).collect();
            if let Some(source) = self.source(run, &paths, &displaced)? {
                let arrays = words::count(paths.len(), "array");
                self.report.findings.push(VerifyFinding {
                    class: VerifyClass::Copied,
                    path: run.clone(),
                    artifact: None,
                    detail: format!("its {arrays} are, by path and metadata, those of {source}"),
                    repair: Some(Repair::WithParts),
                    follows: None,
                });
            }
        }
        Ok(())
    }

    /// The one run whose present arrays are, by path and size of metadata, those of a folder.
    fn source(
        &self,
        copy: &str,
        paths: &BTreeSet<&str>,
        displaced: &BTreeSet<String>,
    ) -> Result<Option<String>, Error> {
        let Some(first) = paths.first() else {
            return Ok(None);
        };
        let mut runs = Vec::new();
        self.catalog.runs(&Filter::default(), self.now, |run| {
            runs.push(run.run);
            Ok::<_, Error>(())
        })?;
        let mut sources = Vec::new();
        // Data at the paths of a run that is gone is another run's.
        let is_possible = |run: &String| run != copy && !displaced.contains(run);
        for run in runs.into_iter().filter(is_possible) {
            // One lookup of the first array spares a listing of most runs.
            let Ok(key) = layout::parse(&format!("{run}/{first}")) else {
                continue;
            };
            let is_candidate = match self.catalog.at(&layout::canonical_location(&key)) {
                Ok(row) => row.is_some_and(|row| row.state == State::Present),
                Err(CatalogError::Row { .. }) => false,
                Err(error) => return Err(error.into()),
            };
            if is_candidate && self.is_source(&run, copy, paths)? {
                sources.push(run);
            }
        }
        // Of two possible sources neither is certain.
        Ok(match sources.len() {
            1 => sources.pop(),
            _ => None,
        })
    }

    fn is_source(&self, run: &str, copy: &str, paths: &BTreeSet<&str>) -> Result<bool, Error> {
        let filter = Filter {
            runs: vec![run.into()],
            ..Filter::default()
        };
        let mut count = 0;
        let mut is_same = true;
        let listed = self.catalog.list(&filter, self.now, Selected::All, |artifact| {
            if artifact.state == State::Present && is_seen_array(&artifact) {
                count += 1;
                let relative = below(run, &artifact.location().path());
                let bytes = |folder: &str| {
                    store::metadata_bytes(self.base, &Path::new(folder).join(&relative))
                };
                is_same = paths.contains(relative.as_str())
                    && matches!((bytes(run), bytes(copy)), (Ok(a), Ok(b)) if a.is_some() && a == b);
            }
            // One array that differs is enough.
            Ok::<_, Error>(match is_same {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        });
        match listed {
            Ok(()) => Ok(is_same && count == paths.len()),
            Err(Error::Catalog(CatalogError::Row { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Arrays by the folders that they are in.
fn by_folder<'a>(
    strays: impl Iterator<Item = &'a StrayArray>,
    folder: impl Fn(&StrayArray, &str) -> String,
) -> BTreeMap<String, Arrays> {
    let mut folders: BTreeMap<String, Arrays> = BTreeMap::new();
    for stray in strays {
        let Ok(place) = layout::split(&stray.path) else {
            continue;
        };
        let folder = folder(stray, &place.container);
        let array = (below(&folder, &stray.path), Some(stray.written_at));
        folders.entry(folder).or_default().insert(array);
    }
    folders
}

/// Adds folders that are gone, with those that have an array of theirs.
fn add_candidates<'a>(
    candidates: &mut Candidates,
    lost: impl Iterator<Item = (&'a String, &'a Arrays)>,
    found: &BTreeMap<String, Arrays>,
) {
    let mut folders_of: HashMap<_, Vec<&String>> = HashMap::new();
    for (folder, arrays) in found {
        for array in arrays {
            folders_of.entry(array).or_default().push(folder);
        }
    }
    for (old, arrays) in lost {
        let places = candidates.entry(old.clone()).or_default();
        let like = arrays.iter().filter_map(|array| folders_of.get(array));
        for new in like.flatten() {
            let strays = found.get(*new).map_or(0, BTreeSet::len);
            places.insert((*new).clone(), strays);
        }
    }
}
