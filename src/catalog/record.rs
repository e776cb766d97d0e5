//! Recording artifacts: keys that a caller gave, and data that a scan found.
//!
//! What a statement costs beside its rows, such as opening every index that it writes to, is shared
//! by rows that are inserted together. Where nothing stands between the first and the last of
//! some places in their order, all of them are new.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::LazyLock;

use rusqlite::{CachedStatement, ToSql, Transaction, params};

use super::error::CatalogError;
use super::journal::{COPY, INSERT_IMAGE, ImageLine, Journal, Named};
use super::lookup::BY_ID;
use super::observe::Word;
use super::rows;
use super::sqlite::file::Catalog;
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::observation::Observation;
use crate::model::operation::{Doing, Side};

pub(super) const REKEY: &str = "UPDATE artifact SET run_id = ?2, kind_id = ?3, iteration = ?4, \
     dataset_id = ?5, parameters_id = ?6, origin = ?7 WHERE id = ?1";
pub(super) const INSERT: &str = "INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, \
     parameters_id, container_id, array, origin, state, bytes, files, recorded_at, written_at, \
     owner) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
/// Whether there is a row at a place. To read a row, its names and pins are opened before anybody
/// knows that there is one.
pub(super) const IS_AT: &str = "SELECT 1 FROM artifact WHERE container_id = ?1 AND array = ?2";
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
/// What a record call found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The artifact, as it is now.
    pub artifact: Artifact,
    /// Whether the row is new.
    pub is_new: bool,
}
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
impl Catalog {
    /// Records keys in one transaction, as `record` is told.
    ///
    /// # Errors
    /// Whatever `record` returns; then nothing is recorded.
    pub fn record<T, E: From<CatalogError>>(
        &self,
        doing: Doing<'_>,
        record: impl FnOnce(&mut Recorder<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.operate(doing, false, |journal| {
            record(&mut Recorder::new(journal, doing.at))
        })
    }
}

/// Records keys within one transaction.
pub struct Recorder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) transaction: &'a Transaction<'a>,
    pub(super) journal: &'a Journal<'a>,
    pub(super) now: Timestamp,
    pub(super) strings: [HashMap<String, i64>; 4],
    pub(super) containers: HashMap<String, i64>,
    /// What is run for every new row, prepared once.
    is_at: Option<CachedStatement<'a>>,
    insert: Option<CachedStatement<'a>>,
    insert_image: Option<CachedStatement<'a>>,
    pub(super) are_between: Option<CachedStatement<'a>>,
    pub(super) insert_together: Option<CachedStatement<'a>>,
    pub(super) copy: Option<CachedStatement<'a>>,
    /// Whether the catalog has any pin; none before anybody asked.
    has_pins: Option<bool>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(journal: &'a Journal<'a>, now: Timestamp) -> Self {
        Self {
            catalog: journal.catalog,
            transaction: journal.transaction,
            journal,
            now,
            strings: std::array::from_fn(|_| HashMap::new()),
            containers: HashMap::new(),
            is_at: None,
            insert: None,
            insert_image: None,
            are_between: None,
            insert_together: None,
            copy: None,
            has_pins: None,
        }
    }
}

impl Recorder<'_> {
    /// Records a key that a caller gave. The same key gives the same row.
    ///
    /// A row that a scan had read from the same path becomes this key's.
    ///
    /// # Errors
    /// [`CatalogError::PathTaken`] where a caller had recorded another key with the same path.
    pub fn record(&mut self, key: &Key) -> Result<Recorded, CatalogError> {
        let location = layout::place(key);
        match self.at(&location)? {
            Some(artifact) if artifact.key == *key && artifact.origin == Origin::Recorded => {
                Ok(Recorded {
                    artifact,
                    is_new: false,
                })
            }
            Some(artifact) if artifact.origin == Origin::Scanned => {
                self.journal.image(Side::Before, &artifact)?;
                self.rekey(artifact.id, key)?;
                let artifact = Artifact {
                    key: key.clone(),
                    origin: Origin::Recorded,
                    ..artifact
                };
                self.journal.image(Side::After, &artifact)?;
                Ok(Recorded {
                    artifact,
                    is_new: false,
                })
            }
            Some(artifact) => Err(CatalogError::PathTaken {
                path: location.path(),
                taken_by: artifact.key.to_string(),
                wanted: key.to_string(),
            }),
            None => self.insert(key, &location, Origin::Recorded, None),
        }
    }

    /// The number of the operation that this is, should it change anything.
    #[must_use]
    pub fn operation(&self) -> i64 {
        self.journal.operation()
    }

    /// Gives the artifact with this number, as it is in this transaction.
    ///
    /// # Errors
    /// [`CatalogError`] where the row cannot be read.
    pub fn artifact(&self, id: ArtifactId) -> Result<Option<Artifact>, CatalogError> {
        self.catalog.one(self.transaction, BY_ID, params![id.0])
    }
    /// The artifact at a place.
    pub(super) fn at(&mut self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        let Some(container) = self.container_at(&location.container)? else {
            return Ok(None);
        };
        let sql = |error| self.catalog.sql("looking up an artifact", error);
        let statement = once(&mut self.is_at, self.transaction, IS_AT).map_err(sql)?;
        let array = location.array.as_deref().unwrap_or_default();
        match statement.exists(params![container, array]).map_err(sql)? {
            true => self.catalog.at_on(self.transaction, location),
            false => Ok(None),
        }
    }

    pub(super) fn insert(
        &mut self,
        key: &Key,
        location: &Location,
        origin: Origin,
        seen: Option<Observation>,
    ) -> Result<Recorded, CatalogError> {
        let run = self.intern(0, key.run().as_str())?;
        let (dataset, parameters) = self.columns(key)?;
        let container = self.container(&location.container, run)?;
        let state = if seen.is_some() {
            State::Present
        } else {
            State::Reserved
        };
        let size = seen.and_then(|seen| seen.size);
        let id = once(&mut self.insert, self.transaction, INSERT)
            .and_then(|statement| {
                statement.insert(params![
                    run,
                    rows::kind_number(key.kind()),
                    key.iteration(),
                    dataset,
                    parameters,
                    container,
                    location.array.as_deref().unwrap_or_default(),
                    origin as i64,
                    rows::state_number(state),
                    size.map(|size| size.bytes.0),
                    size.map(|size| size.files),
                    self.now.0,
                    seen.map(|seen| seen.written_at.0),
                    seen.and_then(|seen| seen.owner),
                ])
            })
            .map_err(|error| self.catalog.sql("recording", error))?;
        let artifact = Artifact {
            id: ArtifactId(id),
            key: key.clone(),
            state,
            origin,
            size,
            recorded_at: self.now,
            written_at: seen.map(|seen| seen.written_at),
            sealed_at: None,
            content_hash: None,
            owner: seen.and_then(|seen| seen.owner),
            pins: self.pins_of_new(ArtifactId(id), key)?,
            base: self.catalog.base.clone(),
        };
        let named = Named {
            run,
            dataset,
            parameters,
            container,
            array: location.array.as_deref().unwrap_or_default().into(),
        };
        let insert = once(&mut self.insert_image, self.transaction, INSERT_IMAGE)
            .map_err(|error| self.catalog.sql("recording", error))?;
        self.journal
            .image_of(Side::After, &artifact, &named, insert)?;
        Ok(Recorded {
            artifact,
            is_new: true,
        })
    }

    /// The pins that bind a new row: those on its run or iteration.
    fn pins_of_new(&mut self, id: ArtifactId, key: &Key) -> Result<Vec<String>, CatalogError> {
        let has_pins = match self.has_pins {
            Some(has_pins) => has_pins,
            None => *self
                .has_pins
                .insert(self.catalog.has_pins_on(self.transaction)?),
        };
        match has_pins {
            true => self.catalog.pins_of(self.transaction, id, key),
            false => Ok(Vec::new()),
        }
    }

    fn rekey(&mut self, id: ArtifactId, key: &Key) -> Result<(), CatalogError> {
        let run = self.intern(0, key.run().as_str())?;
        let (dataset, parameters) = self.columns(key)?;
        self.transaction
            .prepare_cached(REKEY)
            .and_then(|mut statement| {
                statement.execute(params![
                    id.0,
                    run,
                    rows::kind_number(key.kind()),
                    key.iteration(),
                    dataset,
                    parameters,
                    Origin::Recorded as i64,
                ])
            })
            .map_err(|error| self.catalog.sql("recording", error))?;
        Ok(())
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

/// The statement that a place holds; prepared where it is the first time.
pub(super) fn once<'s, 'a>(
    place: &'s mut Option<CachedStatement<'a>>,
    transaction: &'a Transaction<'_>,
    sql: &str,
) -> rusqlite::Result<&'s mut CachedStatement<'a>> {
    match place {
        Some(statement) => Ok(statement),
        None => Ok(place.insert(transaction.prepare_cached(sql)?)),
    }
}
