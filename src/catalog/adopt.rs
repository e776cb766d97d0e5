//! Taking in data that was found.
//!
//! What a statement costs beside its rows, such as opening every index that it writes to, is shared
//! by rows that are inserted together. Where nothing stands between the first and the last of
//! some places in their order, all of them are new.

use std::ops::AddAssign;
use std::sync::LazyLock;

use rusqlite::{ToSql, params};

use super::artifacts::{Recorder, Word, once};
use super::error::CatalogError;
use super::journal::{COPY, ImageLine};
use super::rows;
use crate::model::artifact::{Origin, State};
use crate::model::key::Key;
use crate::model::layout::Location;
use crate::model::observation::Observation;
use crate::model::operation::Side;

/// Rows that one statement inserts; with more it takes no less time a row.
const TOGETHER: usize = 16;

/// Whether there is a row at a place, or at one between two of a container.
pub(super) const ARE_BETWEEN: &str =
    "SELECT 1 FROM artifact WHERE container_id = ?1 AND array BETWEEN ?2 AND ?3";
/// Inserts rows for [`TOGETHER`] artifacts.
static INSERT_TOGETHER: LazyLock<String> = LazyLock::new(|| {
    let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    format!(
        "INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, parameters_id, \
         container_id, array, origin, state, bytes, files, recorded_at, written_at, owner) \
         VALUES {}",
        [row; TOGETHER].join(", ")
    )
});

/// An artifact's data that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The key that its path reads as.
    pub key: Key,
    /// The key's [place](crate::model::layout::place).
    pub location: Location,
    /// What was seen of it.
    pub seen: Observation,
}

/// What taking in data did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Adopted {
    /// Rows that are new.
    pub new: u64,
    /// Rows that were there and learned something.
    pub updated: u64,
}

impl AddAssign for Adopted {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.updated += other.updated;
    }
}

impl Recorder<'_> {
    /// Takes in data that was found. An existing row keeps its key and learns what was seen.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn adopt(&mut self, found: &Found) -> Result<Adopted, CatalogError> {
        let mut adopted = Adopted::default();
        match self.at(&found.location)? {
            Some(artifact) => {
                let seen = Some(found.seen);
                let is_changed =
                    self.catalog
                        .note_one(self.journal, &artifact, seen, Word::Kept)?;
                adopted.updated = u64::from(is_changed);
            }
            None => {
                let seen = Some(found.seen);
                self.insert(&found.key, &found.location, Origin::Scanned, seen)?;
                adopted.new = 1;
            }
        }
        Ok(adopted)
    }

    /// Does what [`Recorder::adopt`] does, one after the other; in the order of their places it
    /// takes the least time.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn adopt_all(&mut self, found: &[&Found]) -> Result<Adopted, CatalogError> {
        let mut adopted = Adopted::default();
        for found in found.chunks(TOGETHER) {
            if found.len() == TOGETHER && self.are_new(found)? {
                self.insert_together(found)?;
                adopted.new += TOGETHER as u64;
                continue;
            }
            for found in found {
                adopted += self.adopt(found)?;
            }
        }
        Ok(adopted)
    }

    /// Whether these are in the order of their places, in one container, and no row has any of
    /// them.
    fn are_new(&mut self, found: &[&Found]) -> Result<bool, CatalogError> {
        let ([first, ..], [.., last]) = (found, found) else {
            return Ok(false);
        };
        let (first, last) = (&first.location, &last.location);
        let are_in_order = found.is_sorted_by(|one, next| one.location < next.location);
        if !are_in_order || first.container != last.container {
            return Ok(false);
        }
        let Some(container) = self.container_at(&first.container)? else {
            return Ok(true);
        };
        let sql = |error| self.catalog.sql("looking up an artifact", error);
        let statement = once(&mut self.are_between, self.transaction, ARE_BETWEEN).map_err(sql)?;
        let array = |location: &Location| location.array.clone().unwrap_or_default();
        let is_any = statement.exists(params![container, array(first), array(last)]);
        Ok(!is_any.map_err(sql)?)
    }

    /// Makes rows for [`TOGETHER`] artifacts.
    fn insert_together<'l>(&mut self, found: &[&'l Found]) -> Result<(), CatalogError> {
        let mut index = 1;
        for found in found {
            let Found {
                key,
                location,
                seen,
            } = found;
            let run = self.intern(0, key.run().as_str())?;
            let (dataset, parameters) = self.columns(key)?;
            let container = self.container(&location.container, run)?;
            let sql = |error| self.catalog.sql("recording", error);
            let statement = once(
                &mut self.insert_together,
                self.transaction,
                &INSERT_TOGETHER,
            )
            .map_err(sql)?;
            let values: &[&dyn ToSql] = params![
                run,
                rows::kind_number(key.kind()),
                key.iteration(),
                dataset,
                parameters,
                container,
                location.array.as_deref().unwrap_or_default(),
                Origin::Scanned as i64,
                rows::state_number(State::Present),
                seen.size.map(|size| size.bytes.0),
                seen.size.map(|size| size.files),
                self.now.0,
                seen.written_at.0,
                seen.owner,
            ];
            for value in values {
                statement.raw_bind_parameter(index, value).map_err(sql)?;
                index += 1;
            }
        }
        let sql = |error| self.catalog.sql("recording", error);
        once(
            &mut self.insert_together,
            self.transaction,
            &INSERT_TOGETHER,
        )
        .and_then(|statement| statement.raw_execute())
        .map_err(sql)?;
        // Each is given the one after the highest that ever was.
        let last = self.transaction.last_insert_rowid();
        let ids = last - (TOGETHER as i64 - 1)..=last;
        let line = |(id, found): (i64, &&'l Found)| ImageLine {
            side: Side::After,
            id,
            key: &found.key,
            origin: Origin::Scanned,
            state: State::Present,
            bytes: found.seen.size.map(|size| size.bytes.0),
            files: found.seen.size.map(|size| size.files),
            recorded_at: self.now.0,
            written_at: Some(found.seen.written_at.0),
            sealed_at: None,
            owner: found.seen.owner,
            content: None,
        };
        let lines: Vec<ImageLine<'_>> = ids.clone().zip(found).map(line).collect();
        let copy = once(&mut self.copy, self.transaction, COPY).map_err(sql)?;
        self.journal.images_of_new(ids, copy, &lines)
    }
}
