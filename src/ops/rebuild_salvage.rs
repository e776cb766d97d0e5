//! What a rebuild takes from the damaged catalog itself, after the backup: identifiers, seals, pins
//! and scores that the backup lacks.
//!
//! It comes behind the trash and recovery, which say what was removed, and before the comparison
//! with the disk, which gives each row the state that its data has.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use crate::catalog::{
    Catalog, CatalogError, CatalogOptions, Change, PiecesRead, SomeRows, TakenIn,
};
use crate::error::Error;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Clock;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::Monitor;
use crate::store::Base;

/// What a rebuild took from a damaged catalog that the backup lacked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RebuildSalvage {
    /// Artifacts that have a row by it.
    pub artifacts: u64,
    /// Artifacts whose row has a newer seal by it, or the key that a caller gave.
    pub updated: u64,
    /// Pins that were made, or bind more, by it.
    pub pins: u64,
    /// Scores that were taken.
    pub scores: u64,
    /// At most so many rows could not be read.
    pub unread: u64,
    /// Whether reading ended before everything was tried, because it took too long or failed too
    /// often.
    pub is_cut: bool,
}

/// Takes in what a catalog lacks of what was read of a damaged one.
pub(super) struct Salvage<'a> {
    pub(super) base: &'a Base,
    pub(super) clock: &'a dyn Clock,
    pub(super) catalog: &'a Catalog,
    pub(super) monitor: &'a dyn Monitor,
}

impl Salvage<'_> {
    /// # Errors
    /// [`Error`] if the catalog cannot be written, or what was read cannot be read again.
    pub(super) fn take(&self, read: &PiecesRead) -> Result<RebuildSalvage, Error> {
        let options = CatalogOptions {
            read_only: true,
            ..CatalogOptions::default()
        };
        let old = Catalog::open(&read.file(), self.base.path(), None, options)?;
        let mut salvage = RebuildSalvage {
            unread: read.unread,
            is_cut: read.is_cut,
            ..RebuildSalvage::default()
        };
        let (pins, damaged) = old.found_pins()?;
        salvage.unread += damaged;
        let pinned: HashSet<ArtifactId> = pins
            .iter()
            .flat_map(|pin| &pin.artifacts)
            .copied()
            .collect();
        // The numbers that they have in the new catalog.
        let mut numbers = HashMap::new();
        let now = self.clock.now();
        let unread = self.in_parts(
            |after| old.rows_after(after),
            |change, rows| {
                for row in rows {
                    let id = match change.take_in(row, now)? {
                        TakenIn::New(id) => {
                            salvage.artifacts += 1;
                            id
                        }
                        TakenIn::Updated(id) => {
                            salvage.updated += 1;
                            id
                        }
                        TakenIn::Known(id) => id,
                        TakenIn::Removed => continue,
                    };
                    if pinned.contains(&row.id) {
                        numbers.insert(row.id, id);
                    }
                }
                Ok(())
            },
        )?;
        salvage.unread += unread;
        for pin in &pins {
            let is_taken = self.catalog.change(self.new_operation(), |change| {
                change.take_in_pin(pin, &numbers, now).map_err(Error::from)
            })?;
            salvage.pins += u64::from(is_taken);
        }
        let mut scores = 0;
        let unread = self.in_parts(
            |after| old.scores_after(after),
            |change, found| {
                scores += change.take_in_scores(found)?;
                Ok(())
            },
        )?;
        salvage.scores = scores;
        salvage.unread += unread;
        Ok(salvage)
    }

    /// Takes in rows, some in each transaction; gives how many make no sense.
    fn in_parts<T>(
        &self,
        read: impl Fn(i64) -> Result<SomeRows<T>, CatalogError>,
        mut take: impl FnMut(&Change<'_>, &[T]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let (mut after, mut damaged) = (0, 0);
        loop {
            let some = read(after)?;
            damaged += some.damaged;
            let Some(last) = some.last else {
                return Ok(damaged);
            };
            self.catalog
                .change(self.new_operation(), |change| take(change, &some.rows))?;
            after = last;
            if self.monitor.is_cancelled() {
                let path = self.base.path().to_path_buf();
                return Err(CatalogError::Interrupted { path }.into());
            }
        }
    }

    fn new_operation(&self) -> NewOperation<'static> {
        NewOperation::new(Action::Rebuild, self.clock.now())
    }
}
