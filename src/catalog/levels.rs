//! Levels of a pyramid that have rows of their own: they become part of the pyramid's row.
//!
//! Programs record levels one by one, and older versions of this one took them in as arrays. When
//! a scan finds the pyramid, the rows below it go in the same transaction that takes it in, and
//! what was said about them moves to it:
//!
//! - Pins on single levels bind the pyramid.
//! - A score of a level becomes that of the pyramid, unless that has one of its own; then both stay
//!   as they are.
//! - If all levels with data are sealed, so is the pyramid: with the counts and chunks of its
//!   levels, so that a chunk lost since is found all the same. Their hashes are of other files than
//!   its own would be: they stay in the history. If only some are sealed, nothing changes, and it is reported.

use rusqlite::params;

use super::error::CatalogError;
use super::lookup;
use super::record::{AdoptCounts, LevelsNote, Recorder, ScannedArtifact};
use super::removals::DELETE;
use super::scores::SCORES_OF;
use crate::model::array::ChunkSet;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::detail::{Detail, PinBound};
use crate::model::key::Key;
use crate::model::operation::Side;
use crate::model::score::Score;
use crate::model::size::Size;

pub(super) const PINS_OF_ONE: &str = "SELECT pin.id, pin.name FROM pinned \
     JOIN pin ON pin.id = pinned.pin_id WHERE pinned.artifact_id = ?1";
pub(super) const BIND_TOO: &str =
    "INSERT OR IGNORE INTO pinned (artifact_id, pin_id) VALUES (?1, ?2)";

/// The chunks that the levels of a pyramid were sealed with; `None` if those of one are unknown.
fn chunks_of(pyramid: &Artifact, levels: &[Artifact]) -> Option<ChunkSet> {
    let says = pyramid.metadata.as_ref()?;
    let top = pyramid.location().path();
    let mut sets = Vec::with_capacity(says.levels.len());
    for level in says.levels.iter().filter(|level| level.array.is_some()) {
        let path = format!("{top}/{}", level.path);
        let row = levels.iter().find(|row| row.location().path() == path)?;
        sets.push((level.path.as_str(), row.grid()?, row.set_of_chunks()?));
    }
    says.grid()?.of_levels(&sets)
}

impl Recorder<'_> {
    /// Takes in a pyramid, and the rows of its levels if they have any.
    pub(super) fn adopt_pyramid(
        &mut self,
        found: &ScannedArtifact,
    ) -> Result<Option<AdoptCounts>, CatalogError> {
        let levels = self.rows_below(found)?;
        if levels.is_empty() {
            // The caller then adopts it like any array.
            return Ok(None);
        }
        let seal = match self.seal_of(found, &levels) {
            Ok(seal) => seal,
            Err(detail) => {
                // One row could not say which of its levels are whole, so the levels keep theirs.
                self.note_levels(found, detail);
                return Ok(Some(AdoptCounts::default()));
            }
        };
        // Before the levels go, so that pins and scores have a row to move to.
        let mut adopted = match self.at(&found.location)? {
            Some(pyramid) => self.adopt_known(&pyramid, found)?,
            None => self.adopt_new(found)?,
        };
        let Some(pyramid) = self.at(&found.location)? else {
            return Ok(Some(adopted));
        };
        // A seal of its own is about the whole already, and stays.
        if let Some((sealed_at, size)) = seal.filter(|_| pyramid.sealed_at.is_none()) {
            let mut sealed = Artifact {
                sealed_at: Some(sealed_at),
                ..pyramid.clone()
            };
            // Size and chunks were counted together. Those of now may lack what was lost since.
            if size.is_some() {
                sealed.size = size;
                let chunks = chunks_of(&pyramid, &levels);
                sealed.chunks_there = chunks.as_ref().map(ChunkSet::count);
                let are_all = sealed.chunks_there == sealed.chunks_expected();
                sealed.sealed_chunks = chunks.filter(|_| !are_all);
            }
            self.catalog
                .write_row_data(self.journal, &pyramid, &sealed)?;
        }
        if levels.iter().any(|level| level.content_hash.is_some()) {
            let detail = "its levels had content hashes, which stay in the history; \
                          for a hash of the whole type: dalsegno seal --hash PATH";
            self.note_levels(found, detail.to_owned());
        }
        for level in &levels {
            // Pins and scores are found by the row that is deleted below.
            self.move_pins(level, &pyramid)?;
            self.move_scores(&level.key, &pyramid.key)?;
            self.journal.image(Side::Before, level)?;
            self.transaction
                .prepare_cached(DELETE)
                .and_then(|mut statement| statement.execute([level.id.0]))
                .map_err(|error| self.catalog.sql("taking in levels", error))?;
        }
        adopted.levels += levels.len() as u64;
        Ok(Some(adopted))
    }

    /// The rows of arrays inside the folder of a pyramid.
    fn rows_below(&self, found: &ScannedArtifact) -> Result<Vec<Artifact>, CatalogError> {
        let container = &found.location.container;
        let Some(array) = &found.location.array else {
            // Without the pyramid's own row, if it has one.
            let mut rows = self.catalog.in_container_on(self.transaction, container)?;
            rows.retain(|row| row.location() != found.location);
            return Ok(rows);
        };
        let (first, end) = lookup::below(array);
        let bounds = params![container, first, end];
        self.catalog
            .many(self.transaction, lookup::BELOW_ARRAY, bounds)
    }

    /// The seal that the levels give the pyramid, with its counts if all are known.
    ///
    /// # Errors
    /// Why the levels cannot be taken in, in words.
    fn seal_of(
        &self,
        found: &ScannedArtifact,
        levels: &[Artifact],
    ) -> Result<Option<(Timestamp, Option<Size>)>, String> {
        // A level without data has nothing that a seal could be about.
        let with_data =
            |level: &&Artifact| !matches!(level.state, State::Reserved | State::Missing);
        let sealed = levels.iter().filter(with_data);
        let (sealed, others): (Vec<_>, Vec<_>) =
            sealed.partition(|level| level.sealed_at.is_some());
        // The newest: only then was the last of them whole.
        let Some(sealed_at) = sealed.iter().filter_map(|level| level.sealed_at).max() else {
            return Ok(None);
        };
        if let Some(other) = others.first() {
            return Err(format!(
                "only some of its levels are sealed, so they keep rows of their own; \
                 seal {} too, then scan again",
                other.location().path()
            ));
        }
        let seen = found.seen.levels.as_ref();
        let written = levels.iter().filter_map(|level| level.written_at).max();
        // Newer than all that the rows know of, so it was written after the seals.
        if seen.and_then(|seen| seen.written_at) > written {
            return Err(
                "a level was written again since it was sealed, so they keep rows of their own; \
                 seal them again, then scan again"
                    .to_owned(),
            );
        }
        // The metadata files of the group itself belong to the pyramid.
        let mut size = seen.map(|seen| seen.own).unwrap_or_default();
        // One uncounted level makes the sum unknown; a sum without it would contradict the next
        // count.
        let are_counted = sealed.iter().all(|level| level.size.is_some());
        for counted in sealed.iter().filter_map(|level| level.size) {
            size.add(counted);
        }
        Ok(Some((sealed_at, are_counted.then_some(size))))
    }

    fn note_levels(&mut self, found: &ScannedArtifact, detail: String) {
        let path = found.location.path();
        self.level_notes.push(LevelsNote { path, detail });
    }

    /// Lets the pins that bind a level bind its pyramid. The old bindings stay, as those of removed
    /// artifacts do.
    fn move_pins(&self, level: &Artifact, pyramid: &Artifact) -> Result<(), CatalogError> {
        let sql = |error| self.catalog.sql("taking in levels", error);
        let pins: Vec<(i64, String)> = self
            .transaction
            .prepare_cached(PINS_OF_ONE)
            .and_then(|mut statement| {
                let rows =
                    statement.query_map([level.id.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .map_err(sql)?;
        for (pin, name) in pins {
            let bound = self
                .transaction
                .prepare_cached(BIND_TOO)
                .and_then(|mut statement| statement.execute(params![pyramid.id.0, pin]))
                .map_err(sql)?;
            // A name that breaks the rules binds too, and cannot be noted.
            if let (1.., Ok(pin)) = (bound, name.parse()) {
                self.journal.detail(Detail::PinBound(PinBound {
                    pin,
                    new: false,
                    scopes: Vec::new(),
                    artifacts: vec![pyramid.id],
                }));
            }
        }
        Ok(())
    }

    /// Makes the scores of a level those of its pyramid.
    fn move_scores(&mut self, level: &Key, pyramid: &Key) -> Result<(), CatalogError> {
        // Scores are of iterations, so there is nothing to move.
        let (Some(iteration), Some(_)) = (level.iteration(), pyramid.iteration()) else {
            return Ok(());
        };
        let named = |key: &Key| (key.dataset().cloned(), key.parameters().cloned());
        // The score does not name the level, so it is the pyramid's already.
        if named(level) == named(pyramid) {
            return Ok(());
        }
        let (dataset, parameters) = named(level);
        let scores: Vec<(String, Option<f64>)> = self
            .transaction
            .prepare_cached(SCORES_OF)
            .and_then(|mut statement| {
                let place = params![
                    level.run().as_str(),
                    iteration,
                    dataset.as_ref().map(|dataset| dataset.as_str()),
                    parameters.as_ref().map(|parameters| parameters.as_str())
                ];
                let rows = statement.query_map(place, |row| Ok((row.get(0)?, row.get(1)?)))?;
                rows.collect()
            })
            .map_err(|error| self.catalog.sql("taking in levels", error))?;
        for (metric, value) in scores {
            // A score stays at its row if no command can name its metric.
            let Ok(metric) = metric.parse() else { continue };
            let old = Score {
                run: level.run().clone(),
                iteration,
                dataset: dataset.clone(),
                parameters: parameters.clone(),
                metric,
                value: value.unwrap_or(f64::NAN),
            };
            let new = Score {
                dataset: pyramid.dataset().cloned(),
                parameters: pyramid.parameters().cloned(),
                ..old.clone()
            };
            if self.score_now(&new)?.is_none() {
                self.score(&new)?;
                self.unscore(&old)?;
            }
        }
        Ok(())
    }

    /// Takes what users should know about levels that were taken in, or were not.
    pub fn take_level_notes(&mut self) -> Vec<LevelsNote> {
        std::mem::take(&mut self.level_notes)
    }
}
