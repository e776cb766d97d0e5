//! From the disk to rows.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use super::comparison::{BATCH, InFlight, Verify};
use super::finding::{Repair, VerifyClass, VerifyFinding};
use super::lost::StrayArray;
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::filter::Filter;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::observation::Damage;
use crate::model::progress::Phase;
use crate::ops::inbox;
use crate::ops::refresh;
use crate::ops::scan::{self, ScanOptions};
use crate::store::{self, Event, Look, WalkOptions};

impl Verify<'_> {
    /// Walks the folders or runs that the selection names for data that no row has.
    pub(super) fn check_tree(&mut self) -> Result<(), Error> {
        let kinds = ScanOptions::default()
            .kinds(self.filter.kinds.iter().copied())
            .threads(self.options.threads);
        let options = WalkOptions {
            links: true,
            ..kinds.walk()
        };
        let (base, monitor, catalog) = (self.base, self.monitor, self.catalog);
        let excepted = &self.filter.except.kinds;
        let mut selected: HashMap<RunName, bool> = HashMap::new();
        let mut batch = Vec::new();
        let starts = starts(self.filter);
        // Also groups in which no array is left: their lists may still name some.
        let mut groups: BTreeSet<PathBuf> = store::top_groups(base, &starts).into_iter().collect();
        monitor.begin(Phase::Scan, None);
        store::walk_from(base, &starts, options, monitor, |event| {
            if let Event::Found(path, _) = &event {
                // A path that is too long for one call is a finding of its own.
                for above in store::groups_above(path) {
                    // With it, all folders above it were added.
                    if above.as_os_str().is_empty() || groups.contains(above) {
                        break;
                    }
                    groups.insert(above.to_path_buf());
                }
            }
            match event {
                // Such metadata may be that of a group, which has no row.
                Event::Found(_, seen) if seen.damage == Some(Damage::OfArrayOrGroup) => {}
                Event::Found(path, _) => match scan::read(&path) {
                    Ok(key) if kinds.wants(key.kind()) && !excepted.contains(&key.kind()) => {
                        // Patterns are matched by the catalog; one query a run is enough.
                        let is_selected = match selected.get(key.run()) {
                            Some(&is_selected) => is_selected,
                            None => {
                                let is_named =
                                    catalog.selects_run(self.filter, key.run().as_str())?;
                                selected.insert(key.run().clone(), is_named);
                                is_named
                            }
                        };
                        if is_selected {
                            let is_file = key.kind().is_file();
                            self.report.arrays += u64::from(!is_file);
                            self.report.checkpoints += u64::from(is_file);
                            batch.push(key);
                        }
                    }
                    Ok(_) => {}
                    Err(finding) => self.notice(finding),
                },
                Event::Notice(finding) => self.notice(finding),
                Event::Looked(..) => {}
            }
            if batch.len() >= BATCH {
                self.look_up(&mut batch)?;
            }
            Ok::<_, Error>(())
        })?;
        self.look_up(&mut batch)?;
        self.check_lists(groups)?;
        monitor.end();
        Ok(())
    }

    /// Whether a path has a row, whatever that row says.
    fn has_row(&self, key: &Key) -> Result<bool, Error> {
        match self.catalog.at(&layout::canonical_location(key)) {
            Ok(row) => Ok(row.is_some()),
            Err(CatalogError::Row { .. }) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks for the rows of data that was found, and once more at what seems to have none.
    fn look_up(&mut self, batch: &mut Vec<Key>) -> Result<(), Error> {
        let mut suspects = Vec::new();
        for key in batch.drain(..) {
            if !self.has_row(&key)? {
                suspects.push(key);
            }
        }
        if suspects.is_empty() {
            return Ok(());
        }
        // In this order, for the reason that comparing rows gives.
        let in_flight = InFlight::read(self.catalog, self.base, self.now)?;
        // Before the rows, because a note that is folded meanwhile is a row then. What is wrong
        // with the inbox was reported.
        let noted = inbox::noted(self.base).unwrap_or_default();
        let mut again = Vec::new();
        for key in suspects {
            if !in_flight.covers(&layout::locate(&key).path()) && !self.has_row(&key)? {
                again.push(key);
            }
        }
        let looks = (0..).zip(&again).map(|(id, key)| look(id, key)).collect();
        let sights = self.look(looks, false)?;
        for (id, key) in (0..).zip(&again) {
            let Some(Some(sight)) = sights.get(&id) else {
                // Gone meanwhile, or not readable, which is a finding already.
                continue;
            };
            let path = layout::locate(key).path();
            if noted.contains(&path) {
                self.report.noted += 1;
                continue;
            }
            if self.copied_at.is_some_and(|at| sight.written_at >= at) {
                self.report.newer += 1;
                continue;
            }
            if !key.kind().is_file() {
                self.found.push(StrayArray {
                    run: key.run().clone(),
                    path: path.clone(),
                    written_at: sight.written_at,
                });
            }
            self.find(VerifyFinding {
                class: VerifyClass::DataWithoutRow,
                path,
                artifact: None,
                detail: format!("by its path it is {key}"),
                repair: Some(Repair::Adopt),
                follows: None,
            });
        }
        Ok(())
    }
}

/// How to look for the data of a key.
pub(super) fn look(id: i64, key: &Key) -> Look {
    Look {
        id,
        path: layout::locate(key).path().into(),
        expected: refresh::subject(key.kind()),
    }
}

/// The folders to walk: those that are named; else those of the named runs if no pattern is a glob,
/// otherwise all.
fn starts(filter: &Filter) -> Vec<PathBuf> {
    if !filter.below.is_empty() {
        let paths = filter.below.iter().map(|path| PathBuf::from(path.as_str()));
        return scan::outermost(paths.collect());
    }
    scan::run_folders(filter)
}
