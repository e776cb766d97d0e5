//! Repairing runs and containers that were moved by hand: rows, pins and scores follow the data.
//!
//! Otherwise the rows at the new path would be new ones, bound by no pin and without scores.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::adopted::Adopted;
use super::finding::{VerifyClass, VerifyFinding};
use super::lost::{below, is_present_array};
use crate::catalog::{Catalog, Change};
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::Silent;
use crate::model::removal::RemovalId;
use crate::ops::refresh;
use crate::ops::scan;
use crate::store::{self, Base, Event, WalkOptions};

/// Moves rows of renamed folders to their new paths.
pub(super) struct Following<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) base: &'a Base,
    pub(super) now: Timestamp,
    pub(super) reason: &'static str,
}

impl Following<'_> {
    /// Gives the rows of a moved run or container to its new path. `findings`: all of the
    /// verification; its new path is one that they name. Says whether it was done.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be written.
    pub(super) fn follow(
        &self,
        moved: &VerifyFinding,
        findings: &[VerifyFinding],
    ) -> Result<bool, Error> {
        let old = moved.path.as_str();
        let rows = self.catalog.in_container(old)?;
        let adopted = Adopted {
            catalog: self.catalog,
            base: self.base,
            now: self.now,
        };
        if let Some(new) = adopted.new_name(old, &rows)? {
            return self.take_back(&adopted, old, &new);
        }
        let mut places = self.new_places(old, &rows, findings).into_iter();
        // Of two possible places neither is certain.
        let (Some(new), None) = (places.next(), places.next()) else {
            return Ok(false);
        };
        let operation = NewOperation {
            reason: Some(self.reason),
            ..NewOperation::new(Action::Rename, self.now)
        };
        self.catalog
            .change(operation, |change| self.follow_within(change, old, &new))
    }

    /// The paths without rows at which all present arrays of the rows are, with the same times.
    fn new_places(
        &self,
        old: &str,
        rows: &[Artifact],
        findings: &[VerifyFinding],
    ) -> BTreeSet<String> {
        let Some(first) = rows.iter().find(|row| is_present_array(row)) else {
            return BTreeSet::new();
        };
        let end = format!("/{}", below(old, &first.location().path()));
        findings
            .iter()
            .filter(|found| found.class == VerifyClass::DataWithoutRow)
            .filter_map(|found| found.path.strip_suffix(&end))
            .filter(|new| *new != old && self.are_at(old, new, rows))
            .map(str::to_owned)
            .collect()
    }

    /// Whether all present arrays of the rows are gone and are at the new path with the same times,
    /// and nothing else that is recorded as present is at the old one.
    fn are_at(&self, old: &str, new: &str, rows: &[Artifact]) -> bool {
        rows.iter()
            .filter(|row| row.state == State::Present)
            .all(|row| {
                let path = row.location().path();
                let kind = row.key.kind();
                if !is_present_array(row) {
                    return self.base.is_absent(&path);
                }
                let there = format!("{new}/{}", below(old, &path));
                let seen = store::written_at(self.base, Path::new(&there), kind);
                self.base.is_absent(&path)
                    && row.written_at.is_some()
                    && seen.is_ok_and(|seen| seen == row.written_at)
            })
    }

    /// Gives the rows of a renamed run to its new path, in the place of those that a scan made.
    fn take_back(&self, adopted: &Adopted<'_>, old: &str, new: &str) -> Result<bool, Error> {
        let (Ok(from), Ok(to)) = (old.parse::<RunName>(), new.parse::<RunName>()) else {
            return Ok(false);
        };
        let operation = |action| NewOperation {
            reason: Some(self.reason),
            ..NewOperation::new(action, self.now)
        };
        let is_done = self.catalog.change(operation(Action::Rename), |change| {
            // Asked once more: rows and disk may have changed since.
            let (rows, there) = (change.in_container(old)?, change.in_container(new)?);
            if !adopted.are_one(old, new, &rows, &there) {
                return Ok(false);
            }
            for row in &there {
                change.give_way(row)?;
            }
            let id = RemovalId::new(self.now, uuid::Uuid::new_v4().as_fields().0);
            let contents = change.run_contents(&from)?;
            change.rename_run(&id, &contents, &from, &to, self.now)?;
            Ok::<_, Error>(true)
        })?;
        if !is_done {
            return Ok(false);
        }
        // If this is cut short, the rows are missing until the next scan sees their data.
        let rows = self.catalog.in_container(new)?;
        let looks = rows.iter().map(refresh::look).collect();
        let mut sights = HashMap::new();
        store::look_at(self.base, WalkOptions::default(), &Silent, looks, |event| {
            if let Event::Looked(id, Some(sight)) = event {
                sights.insert(id, sight);
            }
            Ok::<_, Error>(())
        })?;
        self.catalog.record(operation(Action::Refresh), |recorder| {
            for row in &rows {
                let Some(sight) = sights.get(&row.id.0) else {
                    continue;
                };
                if recorder.artifact(row.id)?.as_ref() == Some(row) {
                    recorder.observe(row, Some(sight))?;
                }
            }
            Ok::<_, Error>(true)
        })
    }

    fn follow_within(&self, change: &Change<'_>, old: &str, new: &str) -> Result<bool, Error> {
        let rows = change.in_container(old)?;
        // Asked once more: rows and disk may have changed since the findings.
        if !rows.iter().any(is_present_array) || !self.are_at(old, new, &rows) {
            return Ok(false);
        }
        // The new folder may be a run with rows of its own, but none where these go.
        for row in &rows {
            let mut place = row.location();
            let Some(rest) = place.container.strip_prefix(old) else {
                return Ok(false);
            };
            place.container = format!("{new}{rest}");
            if change.at(&place)?.is_some() {
                return Ok(false);
            }
        }
        if let (Ok(from), Ok(to)) = (old.parse::<RunName>(), new.parse::<RunName>())
            && rows.iter().any(|row| *row.key.run() == from)
        {
            let id = RemovalId::new(self.now, uuid::Uuid::new_v4().as_fields().0);
            let contents = change.run_contents(&from)?;
            change.rename_run(&id, &contents, &from, &to, self.now)?;
            return Ok(true);
        }
        // A container: its new path says what its arrays are, as for a scan.
        let mut keys: Vec<(&Artifact, Key)> = Vec::new();
        for row in &rows {
            let path = format!("{new}/{}", below(old, &row.location().path()));
            // Nothing is below the container itself.
            let path = path.trim_end_matches('/');
            match scan::read(Path::new(path)) {
                Ok(key) if layout::canonical_location(&key).path() == path => keys.push((row, key)),
                _ => return Ok(false),
            }
        }
        change.relocate(&keys, self.now)?;
        Ok(true)
    }
}
