//! Recording artifacts: keys that a caller gave, and data that a scan found.
//!
//! What a statement costs beside its rows, such as opening every index that it writes to, is shared
//! by rows that are inserted together. If no row is between the first and the last of
//! some places in their order, all of them are new.

use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::LazyLock;

use rusqlite::{CachedStatement, Statement, Transaction, params};

use super::error::CatalogError;
use super::journal::{COPY, INSERT_IMAGE, Journal};
use super::lookup::BY_ID;
use super::rows::{self, Columns, References, artifact_columns, key_columns};
use super::sqlite::file::Catalog;
use super::twins::Doubts;
use crate::model::array::MetadataText;
use crate::model::artifact::{Artifact, ArtifactId, Origin};
use crate::model::clock::Timestamp;
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::observation::{Damage, Observation};
use crate::model::operation::{NewOperation, Side};

/// Makes a row the artifact of another key at the same place.
pub(super) static REKEY: LazyLock<String> = LazyLock::new(|| {
    let columns = key_columns!();
    format!(
        "UPDATE artifact SET ({columns}) = ({}) WHERE id = ?",
        rows::marks(columns)
    )
});
/// Inserts a row; a `NULL` for its id gives it the next one.
pub(super) static INSERT: LazyLock<String> = LazyLock::new(|| {
    let columns = concat!("id, ", artifact_columns!());
    format!(
        "INSERT INTO artifact ({columns}) VALUES ({})",
        rows::marks(columns)
    )
});
/// Whether there is a row at a place. Cheaper than reading the row, which opens the
/// tables of names and pins first.
pub(super) const IS_AT: &str = "SELECT 1 FROM artifact WHERE container_id = ?1 AND array = ?2";
/// Rows that one statement inserts; with more it takes no less time a row.
const ROWS_PER_INSERT: usize = 16;

/// Whether there is a row at a place, or at one between two of a container.
pub(super) const ARE_BETWEEN: &str =
    "SELECT 1 FROM artifact WHERE container_id = ?1 AND array BETWEEN ?2 AND ?3";
/// Inserts rows for [`ROWS_PER_INSERT`] artifacts.
pub(super) static INSERT_TOGETHER: LazyLock<String> = LazyLock::new(|| {
    let columns = artifact_columns!();
    let row = format!("({})", rows::marks(columns));
    let rows = vec![row; ROWS_PER_INSERT].join(", ");
    format!("INSERT INTO artifact ({columns}) VALUES {rows}")
});

/// What a record call found or made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The artifact, as it is now.
    pub artifact: Artifact,
    /// Whether the row is new.
    pub is_new: bool,
}
/// An artifact's data that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedArtifact {
    /// The key that its path reads as.
    pub key: Key,
    /// The key's [place](crate::model::layout::canonical_location).
    pub location: Location,
    /// What was seen of it.
    pub seen: Observation,
}

/// What a user should know about the levels of a pyramid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelsNote {
    /// Path of the pyramid, relative to the base directory.
    pub path: String,
    /// What became of its levels, in words.
    pub detail: String,
}

/// What taking in data did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdoptCounts {
    /// Rows that are new.
    pub new: u64,
    /// Rows that were there and learned something.
    pub updated: u64,
    /// Rows of levels that are part of their pyramid's row now.
    pub levels: u64,
    /// Rows, new or not, of data whose metadata cannot be read.
    pub damaged: u64,
}

impl AdoptCounts {
    /// Whether any row is new or has changed.
    #[must_use]
    pub fn is_any_changed(&self) -> bool {
        self.new + self.updated + self.levels > 0
    }
}

impl AddAssign for AdoptCounts {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.updated += other.updated;
        self.levels += other.levels;
        self.damaged += other.damaged;
    }
}
impl Catalog {
    /// Records keys in one transaction, by the calls of `record`.
    ///
    /// # Errors
    /// Whatever `record` returns; then nothing is recorded.
    pub fn record<T, E: From<CatalogError>>(
        &self,
        operation: NewOperation<'_>,
        record: impl FnOnce(&mut Recorder<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // As durable as the handle promises: unlike a removal, a lost record loses no data.
        self.operate(operation, false, |journal| {
            record(&mut Recorder::new(journal, operation.at))
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
    /// Numbers of what metadata says.
    pub(super) metadata: HashMap<MetadataText, i64>,
    pub(super) containers: HashMap<String, i64>,
    /// What is run for every new row, prepared once.
    is_at: Option<CachedStatement<'a>>,
    insert: Option<CachedStatement<'a>>,
    insert_image: Option<CachedStatement<'a>>,
    pub(super) are_between: Option<CachedStatement<'a>>,
    pub(super) insert_together: Option<CachedStatement<'a>>,
    pub(super) copy: Option<CachedStatement<'a>>,
    /// Whether the catalog has any pin; `None` until it is first needed.
    has_pins: Option<bool>,
    /// Rows that were there before, and whose data was found.
    found: Vec<ArtifactId>,
    /// Rows whose data was found otherwise than it was sealed, or may be that of another run; they
    /// are as before.
    contradicted: Vec<ArtifactId>,
    doubts: Doubts,
    pub(super) level_notes: Vec<LevelsNote>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(journal: &'a Journal<'a>, now: Timestamp) -> Self {
        Self {
            catalog: journal.catalog,
            transaction: journal.transaction,
            journal,
            now,
            strings: std::array::from_fn(|_| HashMap::new()),
            metadata: HashMap::new(),
            containers: HashMap::new(),
            is_at: None,
            insert: None,
            insert_image: None,
            are_between: None,
            insert_together: None,
            copy: None,
            has_pins: None,
            found: Vec::new(),
            contradicted: Vec::new(),
            doubts: Doubts::default(),
            level_notes: Vec::new(),
        }
    }
}

/// The error of a key whose path another artifact has, by a caller's word.
fn taken(artifact: &Artifact, key: &Key, location: &Location) -> CatalogError {
    CatalogError::PathTaken {
        path: location.path(),
        taken_by: artifact.key.to_string(),
        wanted: key.to_string(),
    }
}

impl Catalog {
    /// Checks that [`Recorder::record`] would take a key.
    ///
    /// # Errors
    /// As [`Recorder::record`].
    pub fn require_free(&self, key: &Key) -> Result<(), CatalogError> {
        let location = layout::canonical_location(key);
        match self.at(&location)? {
            Some(artifact) if artifact.key != *key && artifact.origin != Origin::Scanned => {
                Err(taken(&artifact, key, &location))
            }
            _ => Ok(()),
        }
    }
}

impl Recorder<'_> {
    /// Records a key that a caller gave. The same key gives the same row.
    ///
    /// A row that a scan had read from the same path becomes this key's.
    ///
    /// # Errors
    /// [`CatalogError::PathTaken`] if a caller had recorded another key with the same path.
    pub fn record(&mut self, key: &Key) -> Result<Recorded, CatalogError> {
        let location = layout::canonical_location(key);
        match self.at(&location)? {
            Some(artifact) if artifact.key == *key && artifact.origin == Origin::Recorded => {
                Ok(Recorded {
                    artifact,
                    is_new: false,
                })
            }
            // A scan guessed the key from the path; a caller knows it.
            Some(artifact) if artifact.origin == Origin::Scanned => Ok(Recorded {
                artifact: self.rekey(&artifact, key, Origin::Recorded, &location)?,
                is_new: false,
            }),
            Some(artifact) => Err(taken(&artifact, key, &location)),
            // Reserved: the data comes after its identifier.
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
    /// [`CatalogError`] if the row cannot be read.
    pub fn artifact(&self, id: ArtifactId) -> Result<Option<Artifact>, CatalogError> {
        self.catalog.one(self.transaction, BY_ID, params![id.0])
    }
    /// The artifact at a place.
    pub(super) fn at(&mut self, location: &Location) -> Result<Option<Artifact>, CatalogError> {
        self.catalog.allow_rows(1);
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
        seen: Option<&Observation>,
    ) -> Result<Recorded, CatalogError> {
        let metadata = seen.and_then(|seen| seen.metadata.as_ref());
        let references = self.references(key, location, metadata)?;
        let columns = Columns::new(key, origin, seen, self.now);
        once(&mut self.insert, self.transaction, &INSERT)
            .and_then(|statement| insert(statement, None, &columns, &references))
            .map_err(|error| self.catalog.sql("recording", error))?;
        // Read at once: later inserts would change it.
        let id = self.transaction.last_insert_rowid();
        let mut artifact = columns.to_artifact(id, &self.catalog.base);
        artifact.pins = self.pins_of_new(artifact.id, key)?;
        let insert = once(&mut self.insert_image, self.transaction, &INSERT_IMAGE)
            .map_err(|error| self.catalog.sql("recording", error))?;
        self.journal
            .image_of(Side::After, id, &columns, &references, insert)?;
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

    /// Makes a row that of another key at its place.
    fn rekey(
        &mut self,
        before: &Artifact,
        key: &Key,
        origin: Origin,
        location: &Location,
    ) -> Result<Artifact, CatalogError> {
        self.journal.image(Side::Before, before)?;
        let artifact = Artifact {
            key: key.clone(),
            origin,
            ..before.clone()
        };
        let references = self.references(&artifact.key, location, artifact.metadata.as_ref())?;
        self.transaction
            .prepare_cached(&REKEY)
            .and_then(|mut statement| {
                let next = Columns::of(&artifact).bind_key(&mut statement, 1, &references)?;
                statement.raw_bind_parameter(next, artifact.id.0)?;
                statement.raw_execute()
            })
            .map_err(|error| self.catalog.sql("recording", error))?;
        self.journal.image(Side::After, &artifact)?;
        Ok(artifact)
    }
}

impl Recorder<'_> {
    /// Adopts data that a scan found: it gets a row. An existing row keeps its key and learns what
    /// was seen, unless that contradicts its seal or may be the data of another run: then
    /// [`Recorder::take_contradicted`] gives it.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn adopt(&mut self, found: &ScannedArtifact) -> Result<AdoptCounts, CatalogError> {
        if found.seen.is_pyramid()
            && let Some(adopted) = self.adopt_pyramid(found)?
        {
            return Ok(adopted);
        }
        match self.at(&found.location)? {
            Some(artifact) => self.adopt_known(&artifact, found),
            None => self.adopt_new(found),
        }
    }

    pub(super) fn adopt_known(
        &mut self,
        artifact: &Artifact,
        found: &ScannedArtifact,
    ) -> Result<AdoptCounts, CatalogError> {
        self.found.push(artifact.id);
        let mut adopted = AdoptCounts {
            damaged: u64::from(found.seen.damage.is_some()),
            ..AdoptCounts::default()
        };
        // An older version read another key from the path.
        let is_reread = artifact.origin == Origin::Scanned && artifact.key != found.key;
        let reread;
        let artifact = match is_reread {
            false => artifact,
            true => {
                reread = self.rekey(artifact, &found.key, Origin::Scanned, &found.location)?;
                &reread
            }
        };
        // A seal is not undone by a scan: what differs from it is reported and not taken in. Nor is
        // the data of a run that was renamed taken for this row's; but a row that never had data
        // gets it, as data without a row would get one.
        let is_doubtful = found.seen.contradicts_seal_of(artifact)
            || artifact.written_at.is_some()
                && self
                    .doubts
                    .has_twin(self.catalog, self.transaction, artifact, &found.seen)?;
        match is_doubtful {
            true => self.contradicted.push(artifact.id),
            false => {
                let is_changed = self.observe(artifact, Some(&found.seen))?;
                adopted.updated = u64::from(is_changed || is_reread);
            }
        }
        Ok(adopted)
    }

    pub(super) fn adopt_new(
        &mut self,
        found: &ScannedArtifact,
    ) -> Result<AdoptCounts, CatalogError> {
        let mut adopted = AdoptCounts::default();
        // Only an array that has a row is known to be no group.
        if found.seen.damage != Some(Damage::OfArrayOrGroup) {
            let seen = Some(&found.seen);
            self.insert(&found.key, &found.location, Origin::Scanned, seen)?;
            adopted.new = 1;
            adopted.damaged = u64::from(found.seen.damage.is_some());
        }
        Ok(adopted)
    }

    /// Takes the rows that were there before, and whose data was found.
    pub fn take_found(&mut self) -> Vec<ArtifactId> {
        std::mem::take(&mut self.found)
    }

    /// Takes the rows whose data was found otherwise than it was sealed, or may be that of another.
    pub fn take_contradicted(&mut self) -> Vec<ArtifactId> {
        std::mem::take(&mut self.contradicted)
    }

    /// Does what [`Recorder::adopt`] does, one after the other; in the order of their places it
    /// takes the least time.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn adopt_all(&mut self, found: &[&ScannedArtifact]) -> Result<AdoptCounts, CatalogError> {
        let mut adopted = AdoptCounts::default();
        for found in found.chunks(ROWS_PER_INSERT) {
            // A shorter last chunk goes row by row, so that one statement serves all chunks.
            // Damaged data goes one by one as well: it may not become a row.
            // A pyramid may have rows below it.
            let are_whole = found
                .iter()
                .all(|found| found.seen.damage.is_none() && !found.seen.is_pyramid());
            if found.len() == ROWS_PER_INSERT && are_whole && self.are_new(found)? {
                self.insert_together(found)?;
                adopted.new += ROWS_PER_INSERT as u64;
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
    fn are_new(&mut self, found: &[&ScannedArtifact]) -> Result<bool, CatalogError> {
        let ([first, ..], [.., last]) = (found, found) else {
            return Ok(false);
        };
        let (first, last) = (&first.location, &last.location);
        // Strictly: of two with the same place, only one can be new.
        let are_in_order = found.is_sorted_by(|one, next| one.location < next.location);
        if !are_in_order || first.container != last.container {
            return Ok(false);
        }
        // A container without a row has no arrays with rows.
        let Some(container) = self.container_at(&first.container)? else {
            return Ok(true);
        };
        let sql = |error| self.catalog.sql("looking up an artifact", error);
        let statement = once(&mut self.are_between, self.transaction, ARE_BETWEEN).map_err(sql)?;
        let array = |location: &Location| location.array.clone().unwrap_or_default();
        let is_any = statement.exists(params![container, array(first), array(last)]);
        Ok(!is_any.map_err(sql)?)
    }

    /// Makes rows for [`ROWS_PER_INSERT`] artifacts.
    fn insert_together<'f>(&mut self, found: &[&'f ScannedArtifact]) -> Result<(), CatalogError> {
        let (now, mut next) = (self.now, 1);
        let columns = |found: &&'f ScannedArtifact| {
            Columns::new(&found.key, Origin::Scanned, Some(&found.seen), now)
        };
        let columns: Vec<Columns<'f>> = found.iter().map(columns).collect();
        for (found, columns) in found.iter().zip(&columns) {
            let metadata = found.seen.metadata.as_ref();
            let references = self.references(&found.key, &found.location, metadata)?;
            next = once(
                &mut self.insert_together,
                self.transaction,
                &INSERT_TOGETHER,
            )
            .and_then(|statement| columns.bind_artifact(statement, next, &references))
            .map_err(|error| self.catalog.sql("recording", error))?;
        }
        let sql = |error| self.catalog.sql("recording", error);
        once(
            &mut self.insert_together,
            self.transaction,
            &INSERT_TOGETHER,
        )
        .and_then(|statement| statement.raw_execute())
        .map_err(sql)?;
        // AUTOINCREMENT: each row got the id after the highest that ever was, so they are
        // consecutive.
        let last = self.transaction.last_insert_rowid();
        let ids = last - (ROWS_PER_INSERT as i64 - 1)..=last;
        let copy = once(&mut self.copy, self.transaction, COPY).map_err(sql)?;
        self.journal.images_of_new(ids, copy, &columns)
    }
}

/// Inserts a row with a statement of [`INSERT`]; without `id` it gets the next one.
pub(super) fn insert(
    statement: &mut Statement<'_>,
    id: Option<i64>,
    columns: &Columns<'_>,
    references: &References<'_>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, id)?;
    columns.bind_artifact(statement, 2, references)?;
    statement.raw_execute().map(drop)
}

/// The statement in a slot; prepared at its first use.
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
