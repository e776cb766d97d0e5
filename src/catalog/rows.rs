//! The columns of a row: listed, bound and read here, and nowhere else.
//!
//! A row is in three tables: `artifact`, `removed` (what a removal took) and `image` (history). All
//! three have the columns of [`row_columns`]; every statement about whole rows is built from that
//! list, and [`Columns`] binds the values in its order. A new column is added to one of the groups
//! of the list, to [`Columns`], and to what reads it.
//!
//! A row is input: everything in it goes through the same checks as a name that a caller gives, and
//! its path must be the one that its key has.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::FromSql;
use rusqlite::{Row, Statement, ToSql};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::CatalogError;
use crate::model::array::{ArrayMetadata, ChunkSet, MetadataText};
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::{Key, KeyParts, Kind};
use crate::model::layout;
use crate::model::name::{NameError, RunName};
use crate::model::observation::Observation;
use crate::model::size::{ByteCount, Size};

/// The columns that say which artifact a row is, and whether a caller said so.
macro_rules! key_columns {
    () => {
        "run_id, kind_id, iteration, dataset_id, parameters_id, origin"
    };
}
pub(super) use key_columns;

/// The columns that an observation of the data changes. `$a`: a prefix, such as `a.`. Of the
/// indexes only the partial one of unseen rows depends on them, by `state`: an update of just these
/// columns leaves the others alone.
macro_rules! data_columns {
    ($a:literal) => {
        concat!(
            $a,
            "state, ",
            $a,
            "bytes, ",
            $a,
            "files, ",
            $a,
            "written_at, ",
            $a,
            "sealed_at, ",
            $a,
            "owner, ",
            $a,
            "content, ",
            $a,
            "chunks, ",
            $a,
            "sealed_chunks, ",
            $a,
            "levels, ",
            $a,
            "iterations, ",
            $a,
            "disk_bytes, ",
            $a,
            "metadata_id"
        )
    };
}
pub(super) use data_columns;

/// All columns of a row but its id, in the order in which [`Columns::bind`] binds them.
macro_rules! row_columns {
    () => {
        concat!(
            $crate::catalog::rows::key_columns!(),
            ", container_id, array, recorded_at, ",
            $crate::catalog::rows::data_columns!("")
        )
    };
}
pub(super) use row_columns;

/// The columns of `artifact` but its id: those of a row, by what its metadata file is known, and as of
/// when it was counted, which are no part of what a row says.
macro_rules! artifact_columns {
    () => {
        concat!(
            $crate::catalog::rows::row_columns!(),
            ", metadata_file, counted"
        )
    };
}
pub(super) use artifact_columns;

/// What a statement selects to read a row, over the joins of [`names`]: the row with its names as
/// text. The last column, whether there is any pin, is evaluated once a statement.
macro_rules! columns {
    () => {
        concat!(
            "a.id, run.name, a.kind_id, a.iteration, dataset.name, parameters.text, \
             container.path, a.array, a.origin, a.recorded_at, ",
            $crate::catalog::rows::data_columns!("a."),
            ", metadata.text, EXISTS (SELECT 1 FROM pinned) OR EXISTS (SELECT 1 FROM pin_scope)"
        )
    };
}
pub(super) use columns;

/// Index of the first of [`data_columns`] in [`columns`].
const DATA: usize = 10;
/// Index of what the metadata of an array says.
const METADATA: usize = DATA + count(data_columns!(""));
/// Index of the last of [`columns`], which says whether there is any pin.
const HAS_PINS: usize = METADATA + 1;
/// Number of the columns of [`columns`]; those that a query adds follow.
pub(super) const COLUMNS: usize = HAS_PINS + 1;

/// Joins the strings to `artifact AS a`, `run` and `container`.
macro_rules! names {
    () => {
        " LEFT JOIN dataset ON dataset.id = a.dataset_id \
         LEFT JOIN parameters ON parameters.id = a.parameters_id \
         LEFT JOIN metadata ON metadata.id = a.metadata_id "
    };
}
pub(super) use names;

/// Number of the columns in a list.
const fn count(list: &str) -> usize {
    let (bytes, mut at, mut count) = (list.as_bytes(), 0, 1);
    while at < bytes.len() {
        count += (bytes[at] == b',') as usize;
        at += 1;
    }
    count
}

/// A `?` for each column of a list, to be bound one after the other.
pub(super) fn marks(list: &str) -> String {
    vec!["?"; count(list)].join(", ")
}

/// The part of a row that refers to other tables.
pub(super) struct References<'a> {
    pub(super) run: i64,
    pub(super) dataset: Option<i64>,
    pub(super) parameters: Option<i64>,
    pub(super) container: i64,
    /// Path in the container; empty for the container itself.
    pub(super) array: Cow<'a, str>,
    /// What the metadata of an array says.
    pub(super) metadata: Option<i64>,
}

/// The rest of a row: its values but for id and references.
///
/// It serializes to the fields of an image that the chain of history hashes: their names and their
/// order never change, and a field that comes later is left out of rows that do not have it.
#[derive(Serialize)]
pub(super) struct Columns<'a> {
    key: &'a Key,
    origin: Origin,
    state: State,
    bytes: Option<u64>,
    files: Option<u64>,
    recorded_at: i64,
    written_at: Option<i64>,
    sealed_at: Option<i64>,
    owner: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<ContentHash>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chunks: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_chunks: Option<ChunkSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<MetadataText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    levels: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<u64>,
    #[serde(skip)]
    says: Option<Arc<ArrayMetadata>>,
    #[serde(skip)]
    metadata_file: Option<i64>,
    #[serde(skip)]
    counted: Option<i64>,
}

impl<'a> Columns<'a> {
    /// The columns of an artifact.
    pub(super) fn of(artifact: &'a Artifact) -> Self {
        Self {
            key: &artifact.key,
            origin: artifact.origin,
            state: artifact.state,
            bytes: artifact.size.map(|size| size.bytes.0),
            files: artifact.size.map(|size| size.files),
            recorded_at: artifact.recorded_at.0,
            written_at: artifact.written_at.map(|time| time.0),
            sealed_at: artifact.sealed_at.map(|time| time.0),
            owner: artifact.owner,
            content: artifact.content_hash,
            chunks: artifact.chunks_there,
            sealed_chunks: artifact.sealed_chunks.clone(),
            metadata: artifact.metadata.as_ref().map(MetadataText::of),
            says: artifact.metadata.clone(),
            levels: list_text(&artifact.levels),
            iterations: list_text(&artifact.iterations),
            disk_bytes: artifact.disk_bytes.map(|bytes| bytes.0),
            // The file is read again: another may be there by now.
            metadata_file: None,
            // And counted again.
            counted: None,
        }
    }

    /// The columns of a new row: present if its data was seen, else reserved.
    pub(super) fn new(
        key: &'a Key,
        origin: Origin,
        seen: Option<&Observation>,
        now: Timestamp,
    ) -> Self {
        let size = seen.and_then(|seen| seen.size);
        let says = seen.and_then(|seen| seen.metadata.clone());
        Self {
            key,
            origin,
            state: match seen {
                Some(seen) if seen.damage.is_some() => State::Damaged,
                Some(_) => State::Present,
                None => State::Reserved,
            },
            bytes: size.map(|size| size.bytes.0),
            files: size.map(|size| size.files),
            recorded_at: now.0,
            written_at: seen.map(|seen| seen.written_at.0),
            // A seal is the writer's word; a look at the data gives none.
            sealed_at: None,
            owner: seen.and_then(|seen| seen.owner),
            content: None,
            chunks: seen.and_then(|seen| seen.chunks),
            sealed_chunks: None,
            metadata: says.as_ref().map(MetadataText::of),
            says,
            levels: seen
                .and_then(|seen| seen.levels.as_ref())
                .and_then(|levels| list_text(&levels.paths)),
            iterations: seen
                .and_then(|seen| seen.iterations.as_deref())
                .and_then(list_text),
            disk_bytes: seen.and_then(|seen| seen.disk_bytes).map(|bytes| bytes.0),
            metadata_file: seen.and_then(|seen| seen.fingerprint).map(|it| it.0),
            counted: seen.and_then(Observation::counted_as_of).map(|at| at.0),
        }
    }

    /// The artifact with these columns, without its pins.
    pub(super) fn to_artifact(&self, id: i64, base: &Arc<Path>) -> Artifact {
        Artifact {
            id: ArtifactId(id),
            key: self.key.clone(),
            state: self.state,
            origin: self.origin,
            size: size_of(self.bytes, self.files),
            recorded_at: Timestamp(self.recorded_at),
            written_at: self.written_at.map(Timestamp),
            // Not in the catalog: only a look for a removal gives it.
            data_written_at: None,
            sealed_at: self.sealed_at.map(Timestamp),
            content_hash: self.content,
            metadata: self.says.clone(),
            chunks_there: self.chunks,
            sealed_chunks: self.sealed_chunks.clone(),
            disk_bytes: self.disk_bytes.map(ByteCount),
            levels: list(self.levels.as_deref()).unwrap_or_default(),
            iterations: list(self.iterations.as_deref()).unwrap_or_default(),
            owner: self.owner,
            pins: Vec::new(),
            base: Arc::clone(base),
        }
    }

    /// Binds all of [`row_columns`] to the parameters of a statement from `first` on; gives the
    /// parameter after the last.
    pub(super) fn bind(
        &self,
        statement: &mut Statement<'_>,
        first: usize,
        references: &References<'_>,
    ) -> rusqlite::Result<usize> {
        let next = self.bind_key(statement, first, references)?;
        let place: [&dyn ToSql; 3] = [&references.container, &references.array, &self.recorded_at];
        let next = bind_all(statement, next, &place)?;
        self.bind_data(statement, next, references.metadata)
    }

    /// The same of [`artifact_columns`].
    pub(super) fn bind_artifact(
        &self,
        statement: &mut Statement<'_>,
        first: usize,
        references: &References<'_>,
    ) -> rusqlite::Result<usize> {
        let next = self.bind(statement, first, references)?;
        bind_all(statement, next, &[&self.metadata_file, &self.counted])
    }

    /// The same of [`key_columns`].
    pub(super) fn bind_key(
        &self,
        statement: &mut Statement<'_>,
        first: usize,
        references: &References<'_>,
    ) -> rusqlite::Result<usize> {
        let values: [&dyn ToSql; 6] = [
            &references.run,
            &kind_number(self.key.kind()),
            &self.key.iteration(),
            &references.dataset,
            &references.parameters,
            &(self.origin as i64),
        ];
        bind_all(statement, first, &values)
    }

    /// The same of [`data_columns`]. `metadata`: the number of what the array's metadata says.
    pub(super) fn bind_data(
        &self,
        statement: &mut Statement<'_>,
        first: usize,
        metadata: Option<i64>,
    ) -> rusqlite::Result<usize> {
        let values: [&dyn ToSql; 13] = [
            &state_number(self.state),
            &self.bytes,
            &self.files,
            &self.written_at,
            &self.sealed_at,
            &self.owner,
            &self.content.map(|hash| hash.0),
            &self.chunks,
            &self.sealed_chunks.as_ref().map(ChunkSet::as_bytes),
            &self.levels,
            &self.iterations,
            &self.disk_bytes,
            &metadata,
        ];
        bind_all(statement, first, &values)
    }
}

/// Binds values to the parameters of a statement from `first` on; gives the one after the last.
pub(super) fn bind_all(
    statement: &mut Statement<'_>,
    first: usize,
    values: &[&dyn ToSql],
) -> rusqlite::Result<usize> {
    for (at, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(first + at, value)?;
    }
    Ok(first + values.len())
}

fn size_of(bytes: Option<u64>, files: Option<u64>) -> Option<Size> {
    Some(Size {
        bytes: ByteCount(bytes?),
        files: files?,
    })
}

/// A list as a row has it; `None` if it is empty.
fn list_text<T: Serialize>(list: &[T]) -> Option<String> {
    // Neither numbers nor text can fail.
    (!list.is_empty()).then(|| serde_json::to_string(list).unwrap_or_default())
}

/// Reads a list of a row.
pub(super) fn list<T: DeserializeOwned>(text: Option<&str>) -> Result<Vec<T>, String> {
    match text {
        Some(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
        None => Ok(Vec::new()),
    }
}

pub(super) fn kind_number(kind: Kind) -> i64 {
    // Numbers in the catalog begin at 1, as the first migration entered them.
    kind as i64 + 1
}

pub(super) fn kind_of(number: i64) -> Option<Kind> {
    // By search, so that a number out of range gives none instead of a wrong kind.
    Kind::ALL
        .into_iter()
        .find(|&kind| kind_number(kind) == number)
}

pub(super) fn state_number(state: State) -> i64 {
    state as i64
}

pub(super) fn state_of(number: i64) -> Option<State> {
    State::ALL
        .into_iter()
        .find(|&state| state_number(state) == number)
}

/// A field of a row; a type that does not fit makes the row a damaged one.
pub(super) fn field<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, String> {
    // As text, because the caller makes it the detail of a damaged row.
    row.get(index).map_err(|error| error.to_string())
}

/// Bytes of the longest name or path that is looked at. Paths of Linux have 4096 at most; a forged
/// one of megabytes would be repeated by the error that refuses it.
const LONGEST_NAME: usize = 64 << 10;

/// A name or a path in a row, borrowed.
fn text<'row>(row: &'row Row<'_>, index: usize) -> Result<&'row str, String> {
    name_or_none(row, index)?.ok_or_else(|| "a name is missing".to_owned())
}

/// A name in a row that may be absent.
fn name_or_none<'row>(row: &'row Row<'_>, index: usize) -> Result<Option<&'row str>, String> {
    match text_or_none(row, index)? {
        Some(name) if name.len() > LONGEST_NAME => {
            Err(format!("a name is too big: it has {} bytes", name.len()))
        }
        // Borrowed from SQLite: names are parsed, which copies them once.
        name => Ok(name),
    }
}

/// A text of a row that may be absent.
fn text_or_none<'row>(row: &'row Row<'_>, index: usize) -> Result<Option<&'row str>, String> {
    let value = row.get_ref(index).map_err(|error| error.to_string())?;
    value.as_str_or_null().map_err(|error| error.to_string())
}

/// Reads a row with the columns of [`columns`].
pub(super) fn artifact(
    catalog: &Path,
    base: &Arc<Path>,
    row: &Row<'_>,
) -> Result<Artifact, CatalogError> {
    let id: i64 = row
        .get(0)
        .map_err(|error| CatalogError::sql("reading an artifact", catalog, error))?;
    read(base, id, row).map_err(|detail| CatalogError::Row {
        path: catalog.to_owned(),
        id,
        detail,
    })
}

fn read(base: &Arc<Path>, id: i64, row: &Row<'_>) -> Result<Artifact, String> {
    let key = key(row)?;
    let (container, array) = (text(row, 6)?, text(row, 7)?);
    // A removal takes what is at the path, so a row whose path and key disagree is never used.
    if !layout::is_canonical_location(&key, container, array) {
        return Err(format!(
            "its path is \"{}/{}\", but its key lies at \"{}\"",
            container.escape_debug(),
            array.escape_debug(),
            layout::canonical_location(&key).path().escape_debug()
        ));
    }
    let origin: i64 = field(row, 8)?;
    let state: i64 = field(row, DATA)?;
    // Both or neither. A negative count is damage.
    let count = |index| -> Result<Option<u64>, String> {
        let number: Option<i64> = field(row, index)?;
        let number = number.map(u64::try_from).transpose();
        number.map_err(|error| error.to_string())
    };
    Ok(Artifact {
        id: ArtifactId(id),
        key,
        state: state_of(state).ok_or_else(|| format!("there is no state {state}"))?,
        origin: if origin == 0 {
            Origin::Recorded
        } else {
            Origin::Scanned
        },
        size: size_of(count(DATA + 1)?, count(DATA + 2)?),
        recorded_at: Timestamp(field(row, 9)?),
        written_at: field::<Option<i64>>(row, DATA + 3)?.map(Timestamp),
        data_written_at: None,
        sealed_at: field::<Option<i64>>(row, DATA + 4)?.map(Timestamp),
        owner: field(row, DATA + 5)?,
        content_hash: field::<Option<[u8; 32]>>(row, DATA + 6)?.map(ContentHash),
        chunks_there: count(DATA + 7)?,
        sealed_chunks: field::<Option<Vec<u8>>>(row, DATA + 8)?
            .map(|bytes| ChunkSet::from_bytes(&bytes)),
        // Unreadable metadata is unknown here, and no damage: the data can say it again.
        metadata: text_or_none(row, METADATA)?.and_then(ArrayMetadata::parse),
        levels: list(text_or_none(row, DATA + 9)?)?,
        iterations: list(text_or_none(row, DATA + 10)?)?,
        disk_bytes: count(DATA + 11)?.map(ByteCount),
        pins: Vec::new(),
        base: Arc::clone(base),
    })
}

/// The path that a row says, also if the row cannot be read otherwise; empty if it has none.
pub(super) fn path_of(row: &Row<'_>) -> String {
    let part = |index| text(row, index).unwrap_or_default();
    match (part(6), part(7)) {
        // An empty array is the container itself.
        (container, "") => container.to_owned(),
        (container, array) => format!("{container}/{array}"),
    }
}

/// Whether the catalog has any pin, so that one may bind this row.
pub(super) fn may_be_pinned(row: &Row<'_>) -> rusqlite::Result<bool> {
    row.get(HAS_PINS)
}

fn key(row: &Row<'_>) -> Result<Key, String> {
    let name = |error: NameError| error.to_string();
    let run: RunName = text(row, 1)?.parse().map_err(name)?;
    let number: i64 = field(row, 2)?;
    let kind = kind_of(number).ok_or_else(|| format!("there is no kind {number}"))?;
    let iteration: Option<i64> = field(row, 3)?;
    let dataset = match name_or_none(row, 4)? {
        Some(text) => Some(text.parse().map_err(name)?),
        None => None,
    };
    let parameters = match name_or_none(row, 5)? {
        Some(text) => Some(text.parse().map_err(name)?),
        None => None,
    };
    // The row has the container in its path only: a scan may have split the path elsewhere than the
    // key does, so the container is the component behind the run.
    let container = match kind {
        // Most predictions and outputs are where DaCapo's store writes them.
        Kind::Prediction | Kind::Output if is_in_validations(&run, text(row, 6)?) => None,
        Kind::Array | Kind::Prediction | Kind::Output => {
            let path = format!("{}/{}", text(row, 6)?, text(row, 7)?);
            let in_run = path.strip_prefix(run.as_str()).unwrap_or_default();
            match in_run.split('/').nth(1).unwrap_or_default() {
                // The path lies elsewhere, which the caller finds when it compares it.
                "" if kind != Kind::Array => None,
                container => Some(container.parse().map_err(name)?),
            }
        }
        _ => None,
    };
    let parts = KeyParts {
        iteration,
        dataset,
        parameters,
        container,
    };
    // A field that the kind does not have makes the row a damaged one.
    Key::from_parts(kind, run, parts).map_err(|error| error.to_string())
}

/// Whether a container is that of a run's validations.
fn is_in_validations(run: &RunName, container: &str) -> bool {
    let in_run = container.strip_prefix(run.as_str());
    let folder = in_run.and_then(|rest| rest.strip_prefix('/'));
    folder == Some(layout::VALIDATION_CONTAINER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_migrations() {
        for kind in Kind::ALL {
            let number = kind_number(kind);
            assert_eq!(kind_of(number), Some(kind));
            let sql = concat!(
                include_str!("../../migrations/V1__catalog.sql"),
                include_str!("../../migrations/V3__retention.sql")
            );
            assert!(sql.contains(&format!("({number}, '{kind}')")), "{kind}");
        }
        assert_eq!(State::ALL.map(state_number), [0, 1, 2, 3]);
        assert_eq!(kind_of(0), None);
        assert_eq!(state_of(4), None);
    }
}
