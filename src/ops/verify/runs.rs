//! Summaries: runs and containers that were moved, runs that were copied.
//!
//! Certain rather than complete: the same set of arrays, at least one, with the same times (a
//! rename keeps them) or metadata of the same size (a copy has new times), and one candidate only.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use super::adopted::{Adopted, is_missing_array};
use super::comparison::Verify;
use super::finding::{Repair, VerifyClass, VerifyFinding};
use super::lost::{Arrays, below, is_present_array};
use crate::catalog::{CatalogError, Selected};
use crate::error::Error;
use crate::model::artifact::State;
use crate::model::filter::{Except, Filter};
use crate::model::layout;
use crate::store;

impl Verify<'_> {
    /// Sums up which runs were moved and which were copied, if the selection is by run only and all
    /// of it could be read: a part of a run says nothing about the run.
    pub(super) fn sum_up(&mut self) -> Result<(), Error> {
        let only_runs = Filter {
            runs: self.filter.runs.clone(),
            except: Except::default().runs(self.filter.except.runs.clone()),
            ..Filter::default()
        };
        let unread = |found: &VerifyFinding| found.class == VerifyClass::Unreadable;
        if *self.filter != only_runs || self.report.findings.iter().any(unread) {
            return Ok(());
        }
        let mut found_runs: BTreeMap<String, Arrays> = BTreeMap::new();
        let mut found_containers: BTreeMap<String, Arrays> = BTreeMap::new();
        for found in &self.found {
            let Ok(place) = layout::split(&found.path) else {
                continue;
            };
            for (folders, folder) in [
                (&mut found_runs, found.run.as_str()),
                (&mut found_containers, &place.container),
            ] {
                let array = (below(folder, &found.path), Some(found.written_at));
                folders.entry(folder.to_owned()).or_default().insert(array);
            }
        }
        let mut moved = pairs(self.lost.whole(&self.lost.runs), &found_runs);
        // A container of a run that moved has moved with it, and is not reported again.
        let is_in_moved = |folder: &str, side: fn(&(String, String)) -> &String| {
            let mut above = Path::new(folder).ancestors();
            above.any(|above| moved.iter().any(|pair| Path::new(side(pair)) == above))
        };
        let containers = self.lost.whole(&self.lost.containers);
        let containers = containers.filter(|(folder, _)| !is_in_moved(folder, |pair| &pair.0));
        let parts = pairs(containers, &found_containers);
        moved.extend(parts);
        for (old, new) in &moved {
            let arrays = found_runs.get(new).or_else(|| found_containers.get(new));
            let count = arrays.map_or(0, BTreeSet::len);
            let s = if count == 1 { "" } else { "s" };
            self.report.findings.push(VerifyFinding {
                class: VerifyClass::Moved,
                path: old.clone(),
                artifact: None,
                detail: format!("its {count} array{s}, all gone, are in {new}"),
                repair: Some(Repair::Follow),
            });
        }
        self.find_adopted()?;
        // What was moved there is not also a copy.
        let targets: HashSet<&String> = moved.iter().map(|(_, new)| new).collect();
        for (run, arrays) in found_runs.iter().filter(|(run, _)| !targets.contains(run)) {
            let paths: BTreeSet<&str> = arrays.iter().map(|(path, _)| path.as_str()).collect();
            if let Some(source) = self.source(run, &paths)? {
                let count = paths.len();
                let s = if count == 1 { "" } else { "s" };
                self.report.findings.push(VerifyFinding {
                    class: VerifyClass::Copied,
                    path: run.clone(),
                    artifact: None,
                    detail: format!(
                        "its {count} array{s} are, by path and metadata, those of {source}"
                    ),
                    repair: Some(Repair::WithParts),
                });
            }
        }
        Ok(())
    }

    /// Finds the runs that were renamed and scanned since.
    fn find_adopted(&mut self) -> Result<(), Error> {
        let adopted = Adopted {
            catalog: self.catalog,
            base: self.base,
            now: self.now,
        };
        for old in std::mem::take(&mut self.lost.missing) {
            if self.lost.present.contains_key(old.as_str()) {
                continue;
            }
            let rows = match self.catalog.in_container(old.as_str()) {
                Ok(rows) => rows,
                // The damaged row is a finding already.
                Err(CatalogError::Row { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(new) = adopted.new_name(old.as_str(), &rows)? {
                let count = rows.iter().filter(|row| is_missing_array(row)).count();
                let s = if count == 1 { "" } else { "s" };
                self.find(VerifyFinding {
                    class: VerifyClass::Moved,
                    path: old.as_str().to_owned(),
                    artifact: None,
                    detail: format!(
                        "its {count} array{s}, all gone, are in {new}, where a scan took them for \
                         new ones"
                    ),
                    repair: Some(Repair::Follow),
                });
            }
        }
        Ok(())
    }

    /// The one run whose present arrays are, by path and size of metadata, those of a folder.
    fn source(&self, copy: &str, paths: &BTreeSet<&str>) -> Result<Option<String>, Error> {
        let Some(first) = paths.first() else {
            return Ok(None);
        };
        let mut runs = Vec::new();
        self.catalog.runs(&Filter::default(), self.now, |run| {
            runs.push(run.run);
            Ok::<_, Error>(())
        })?;
        let mut sources = Vec::new();
        for run in runs.into_iter().filter(|run| run != copy) {
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
            if is_present_array(&artifact) {
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

/// Folders that are gone, with the one path that all of them are at now.
fn pairs<'a>(
    lost: impl Iterator<Item = (&'a String, &'a Arrays)>,
    found: &BTreeMap<String, Arrays>,
) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (old, arrays) in lost {
        // The whole set and its times: a rename keeps both.
        let same = found.iter().filter(|(_, found)| *found == arrays);
        let mut same = same.map(|(new, _)| new).filter(|new| *new != old);
        if let (Some(new), None) = (same.next(), same.next()) {
            pairs.push((old.clone(), new.clone()));
        }
    }
    // If two folders may have moved to one place, neither is certain.
    let mut places: HashMap<String, usize> = HashMap::new();
    for (_, new) in &pairs {
        *places.entry(new.clone()).or_default() += 1;
    }
    pairs.retain(|(_, new)| places.get(new) == Some(&1));
    pairs
}
