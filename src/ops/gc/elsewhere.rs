//! What a plan would remove that is the data of a pinned row, from before its run was renamed by
//! hand. The removal refuses it, so the plan is made again with that as a reason to keep it.

use std::collections::{HashMap, HashSet};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::ops::twins;
use crate::retention::{InventoryRow, Plan};
use crate::store::Base;

/// Rounds after which everything that the rules decide on is looked at.
const MOST_ROUNDS: usize = 4;

/// What was found so far.
#[derive(Default)]
pub(super) struct Elsewhere {
    seen: HashSet<ArtifactId>,
    /// Paths of the pinned rows whose data it is.
    owners: HashMap<ArtifactId, String>,
    rounds: usize,
}

impl Elsewhere {
    /// Looks at what the plan removes and was not looked at. Says whether something of it may not
    /// go: then the plan is to be made again.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub(super) fn look(
        &mut self,
        (catalog, base): (&Catalog, &Base),
        plan: &Plan,
    ) -> Result<bool, Error> {
        self.rounds += 1;
        // A limit takes others in place of what stays, and so on.
        let looks_at_all = self.rounds >= MOST_ROUNDS;
        let lines = plan.lines.iter();
        let lines = lines.filter(|line| line.is_removed() || looks_at_all);
        self.look_at_all((catalog, base), lines.map(|line| &line.artifact))
    }

    /// Looks at these artifacts as far as they were not. Says whether one of them is the data of a
    /// pinned row.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(super) fn look_at_all<'a>(
        &mut self,
        (catalog, base): (&Catalog, &Base),
        artifacts: impl Iterator<Item = &'a Artifact>,
    ) -> Result<bool, Error> {
        let due = artifacts.filter(|one| self.seen.insert(one.id));
        let due = due.map(twins::given);
        let found = catalog.view_pins(|pins| twins::of_pinned_rows(base, pins, due))?;
        let is_any = !found.is_empty();
        let owners = found.into_iter().map(|(id, _, place)| (id, place.path));
        self.owners.extend(owners);
        Ok(is_any)
    }

    /// Tells a row what was found.
    pub(super) fn mark(&self, row: &mut InventoryRow) {
        row.pinned_elsewhere = self.owners.get(&row.artifact.id).cloned();
    }
}
