//! When what a plan removes was last written, with its chunks.
//!
//! Rules go by age, and rows have the times of metadata. So the data of what would go is looked at,
//! and the plan is made again with what was found, until nothing goes that was not looked at.

use std::collections::HashMap;

use super::elsewhere::Elsewhere;
use super::losses::Losses;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::ops::written::{self, Closely, Written};
use crate::retention::{InventoryRow, Plan};
use crate::store::Base;

/// Rounds after which everything that the rules decide on is looked at.
const MOST_ROUNDS: usize = 4;

/// The times that were found so far.
#[derive(Default)]
pub(super) struct Times {
    seen: HashMap<ArtifactId, Written>,
    rounds: usize,
    /// What was lost of the data that stays.
    pub(super) losses: Losses,
    /// What is the data of a pinned row.
    pub(super) elsewhere: Elsewhere,
}

impl Times {
    /// Looks at what the plan removes and was not looked at. Says whether there was anything: then
    /// the plan is to be made again.
    ///
    /// # Errors
    /// As [`written::last_written`].
    pub(super) fn look(&mut self, base: &Base, plan: &Plan) -> Result<bool, Error> {
        self.rounds += 1;
        // A limit takes others in place of what turns out to be in use, and so on.
        let looks_at_all = self.rounds >= MOST_ROUNDS;
        let lines = plan.lines.iter();
        let lines = lines.filter(|line| line.is_removed() || looks_at_all);
        let is_any_removed = plan.removed().any(|line| self.is_due(&line.artifact));
        // Once all that goes is dated the plan is final, whatever is known of the rest.
        if !is_any_removed {
            return Ok(false);
        }
        let due: Vec<&Artifact> = lines
            .map(|line| &line.artifact)
            .filter(|artifact| self.is_due(artifact))
            .collect();
        self.seen
            .extend(written::last_written(base, due, Closely::Files)?);
        Ok(true)
    }

    /// Looks at these artifacts as far as they were not. Says whether there was any.
    ///
    /// # Errors
    /// As [`written::last_written`].
    pub(super) fn look_at_all(
        &mut self,
        base: &Base,
        artifacts: &[Artifact],
    ) -> Result<bool, Error> {
        let due: Vec<_> = artifacts.iter().filter(|one| self.is_due(one)).collect();
        let is_any = !due.is_empty();
        self.seen
            .extend(written::last_written(base, due, Closely::Files)?);
        Ok(is_any)
    }

    fn is_due(&self, artifact: &Artifact) -> bool {
        let kind = artifact.key.kind();
        // What lies in a container is looked at by itself; the row of a checkpoint has its time.
        let is_array = !kind.is_container() && !kind.is_file();
        is_array && artifact.state.has_data() && !self.seen.contains_key(&artifact.id)
    }

    /// Tells a row what was found.
    pub(super) fn date(&self, row: &mut InventoryRow) {
        match self.seen.get(&row.artifact.id) {
            Some(Written::At(at)) => row.artifact.data_written_at = Some(*at),
            Some(Written::Unread) => row.is_unread = true,
            Some(Written::Gone) | None => {}
        }
    }
}
