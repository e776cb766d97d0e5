//! Recording artifacts, looking them up one by one, and noting what was seen of their data.

use std::collections::HashMap;

use rusqlite::{CachedStatement, Connection, Transaction, params};

use super::Catalog;
use super::error::CatalogError;
use super::journal::{INSERT_IMAGE, Journal, Named};
use super::rows::{self, columns, names};
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::observation::Observation;
use crate::model::operation::{Doing, Side};

pub(super) const BY_ID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM artifact AS a LEFT JOIN run ON run.id = a.run_id \
     LEFT JOIN container ON container.id = a.container_id",
    names!(),
    "WHERE a.id = ?1"
);
pub(super) const BY_PATH: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM container JOIN artifact AS a ON a.container_id = container.id \
     LEFT JOIN run ON run.id = a.run_id",
    names!(),
    "WHERE container.path = ?1 AND a.array = ?2"
);
pub(super) const SEE: &str = "UPDATE artifact SET state = ?2, bytes = ?3, files = ?4, \
     written_at = ?5, sealed_at = ?6, owner = ?8, content = ?9 WHERE id = ?1 AND state = ?7";
pub(super) const DELETE: &str = "DELETE FROM artifact WHERE id = ?1";
pub(super) const REKEY: &str = "UPDATE artifact SET run_id = ?2, kind_id = ?3, iteration = ?4, \
     dataset_id = ?5, parameters_id = ?6, origin = ?7 WHERE id = ?1";
pub(super) const INSERT: &str = "INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, \
     parameters_id, container_id, array, origin, state, bytes, files, recorded_at, written_at, \
     owner) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
/// Whether there is a row at a place. To read a row, its names and pins are opened before anybody
/// knows that there is one.
pub(super) const IS_AT: &str = "SELECT 1 FROM artifact WHERE container_id = ?1 AND array = ?2";

/// What a record call found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The artifact, as it is now.
    pub artifact: Artifact,
    /// Whether the row is new.
    pub is_new: bool,
}

/// What [`Catalog::note`] is told about one artifact.
#[derive(Debug, Clone, Copy)]
pub struct Note {
    /// Which one.
    pub id: ArtifactId,
    /// The state that it had when somebody looked; a row that has changed since is left alone,
    /// unless it is sealed.
    pub state: State,
    /// What was seen; none where there was no data.
    pub seen: Option<Observation>,
    /// Whether the writer says that the data is whole.
    pub seal: Option<Seal>,
}

/// The writer's word that data is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// When it was said.
    pub at: Timestamp,
    /// What the data was then, where it was read.
    pub content: Option<ContentHash>,
}

/// What becomes of the seal of a row whose data was seen.
#[derive(Clone, Copy)]
pub(super) enum Word {
    /// It holds while the data is as it was sealed.
    Kept,
    /// It is void, however little changed.
    Void,
    /// It is said anew.
    Said(Seal),
}

impl Catalog {
    /// Looks up the artifact at a place.
    ///
    /// # Errors
    /// [`CatalogError`] where the row cannot be read.
    pub fn at(&self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        self.read_with(|connection| self.at_on(connection, location))
    }

    pub(super) fn at_on(
        &self,
        connection: &Connection,
        location: &Location,
    ) -> Result<Option<Artifact>, CatalogError> {
        let array = location.array.as_deref().unwrap_or_default();
        self.one(connection, BY_PATH, params![location.container, array])
    }

    /// Looks up an artifact by its number.
    ///
    /// # Errors
    /// [`CatalogError`] where the row cannot be read.
    pub fn by_id(&self, id: ArtifactId) -> Result<Option<Artifact>, CatalogError> {
        self.read_with(|connection| self.one(connection, BY_ID, params![id.0]))
    }

    fn one(
        &self,
        connection: &Connection,
        query: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Option<Artifact>, CatalogError> {
        let sql = |error| self.sql("looking up an artifact", error);
        let mut statement = connection.prepare_cached(query).map_err(sql)?;
        let mut rows = statement.query(parameters).map_err(sql)?;
        let Some(row) = rows.next().map_err(sql)? else {
            return Ok(None);
        };
        let artifact = self.artifact_of(connection, row)?;
        // An index sees to it that there is no other, where it is there. What binds one of two binds
        // their data, and which of them is meant nobody can tell.
        match rows.next().map_err(sql)? {
            None => Ok(Some(artifact)),
            Some(_) => Err(CatalogError::Row {
                path: self.path.clone(),
                id: artifact.id.0,
                detail: "another row has its path".to_owned(),
            }),
        }
    }

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

    /// Notes what was seen of artifacts' data, in one transaction. Gives the number of rows that
    /// changed.
    ///
    /// # Errors
    /// [`CatalogError`]; then nothing is noted.
    pub fn note(&self, doing: Doing<'_>, notes: &[Note]) -> Result<u64, CatalogError> {
        if notes.is_empty() {
            return Ok(0);
        }
        self.operate(doing, false, |journal| {
            let mut changed = 0;
            for note in notes {
                let Some(before) = self.one(journal.transaction, BY_ID, params![note.id.0])? else {
                    continue;
                };
                // A seal is a word about the data, whatever others saw meanwhile.
                if before.state == note.state || note.seal.is_some() {
                    let word = note.seal.map_or(Word::Kept, Word::Said);
                    changed += u64::from(self.note_one(journal, &before, note.seen, word)?);
                }
            }
            Ok(changed)
        })
    }

    /// Writes what was seen into a row, where that changes anything.
    ///
    /// Data that was written anew since it was last counted has an unknown size again, and its
    /// seal is void; so is the seal of what has another size than it was sealed with. The content
    /// hash is part of the seal.
    pub(super) fn note_one(
        &self,
        journal: &Journal<'_>,
        before: &Artifact,
        seen: Option<Observation>,
        word: Word,
    ) -> Result<bool, CatalogError> {
        let held = before.sealed_at.map(|at| Seal {
            at,
            content: before.content_hash,
        });
        let given = |kept: Option<Seal>| match word {
            Word::Kept => kept,
            Word::Void => None,
            Word::Said(seal) => Some(seal),
        };
        let (state, size, written_at, seal) = match seen {
            Some(seen) if before.written_at == Some(seen.written_at) => {
                let is_another = before
                    .size
                    .is_some_and(|size| seen.size.unwrap_or(size) != size);
                (
                    State::Present,
                    seen.size.or(before.size),
                    Some(seen.written_at),
                    given(held.filter(|_| !is_another)),
                )
            }
            Some(seen) => (
                State::Present,
                seen.size,
                Some(seen.written_at),
                given(None),
            ),
            None if before.state == State::Reserved => return Ok(false),
            None => (State::Missing, before.size, before.written_at, held),
        };
        let (sealed_at, content_hash) = match seal {
            Some(seal) => (Some(seal.at), seal.content),
            None => (None, None),
        };
        let owner = seen.and_then(|seen| seen.owner).or(before.owner);
        let after = Artifact {
            owner,
            state,
            size,
            written_at,
            sealed_at,
            content_hash,
            ..before.clone()
        };
        if after == *before {
            return Ok(false);
        }
        let sql = |error| self.sql("noting what was seen", error);
        journal.image(Side::Before, before)?;
        let changed = journal
            .transaction
            .prepare_cached(SEE)
            .and_then(|mut statement| {
                statement.execute(params![
                    before.id.0,
                    rows::state_number(state),
                    size.map(|size| size.bytes.0),
                    size.map(|size| size.files),
                    written_at.map(|time| time.0),
                    sealed_at.map(|time| time.0),
                    rows::state_number(before.state),
                    owner,
                    content_hash.map(|hash| hash.0),
                ])
            })
            .map_err(sql)?;
        journal.image(Side::After, &after)?;
        Ok(changed > 0)
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

    /// Writes what was seen into a row that was read in this transaction. Says whether that
    /// changed anything.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn see(&self, before: &Artifact, seen: Option<Observation>) -> Result<bool, CatalogError> {
        self.catalog
            .note_one(self.journal, before, seen, Word::Kept)
    }

    /// The same, and the row is sealed no more: its contents are not as they were sealed, whatever
    /// sizes and times say.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn see_changed(
        &self,
        before: &Artifact,
        seen: Option<Observation>,
    ) -> Result<bool, CatalogError> {
        self.catalog
            .note_one(self.journal, before, seen, Word::Void)
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
