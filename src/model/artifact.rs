//! A row of the catalog as a value.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::model::array::{ArrayMetadata, ChunkGrid, ChunkSet};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::nearest::{did_you_mean, nearest};
use crate::model::size::{ByteCount, Size};

/// The number of an artifact in its catalog; never given out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtifactId(pub i64);

impl fmt::Display for ArtifactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Most iterations of an array that its row keeps.
pub const MOST_ITERATIONS: usize = 1000;

/// What the catalog knows about the data of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// The identifier was given to a caller; data was never seen.
    Reserved,
    /// Data was seen on disk.
    Present,
    /// Data was seen before and is gone.
    Missing,
    /// Data is there, and its metadata cannot be read, so no program reads it as an array. It does
    /// not count as present.
    Damaged,
}

impl State {
    /// Every state, in the order of the catalog's numbers.
    pub const ALL: [Self; 4] = [Self::Reserved, Self::Present, Self::Missing, Self::Damaged];

    /// Whether data was there when it was last looked for: then it takes space.
    #[must_use]
    pub fn has_data(self) -> bool {
        matches!(self, Self::Present | Self::Damaged)
    }

    /// The name of the state in text and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Present => "present",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text does not name a state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no state \"{}\"; states are reserved, present, missing, damaged{}",
    .0.escape_debug(),
    did_you_mean(nearest(.0, State::ALL.map(State::as_str)))
)]
#[non_exhaustive]
pub struct ParseStateError(pub String);

impl FromStr for State {
    type Err = ParseStateError;

    fn from_str(text: &str) -> Result<Self, ParseStateError> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| ParseStateError(text.to_owned()))
    }
}

/// How a row came by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// A caller recorded the key.
    Recorded,
    /// A scan guessed the key from the path. A caller that records another key for the same path
    /// replaces it.
    Scanned,
}

impl Origin {
    /// The name of the origin in text and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Scanned => "scanned",
        }
    }
}

/// An artifact: an array or a container that the catalog has a row for.
///
/// Serializes to the fields `id run kind iteration dataset parameters container array path state
/// bytes files disk_bytes recorded_at written_at sealed_at content_hash levels iterations pins
/// shape chunks shards dtype fill_value compressor chunks_there chunks_expected`. Absent values are
/// `null`, paths absolute, times RFC 3339 in UTC, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artifact {
    /// Number of the row in the catalog.
    pub id: ArtifactId,
    /// Run, kind, and the fields of the kind.
    pub key: Key,
    /// Whether data was seen, and is still there.
    pub state: State,
    /// Whether a caller recorded the key or a scan guessed it.
    pub origin: Origin,
    /// Bytes and files as last counted; `None` if they were never counted.
    pub size: Option<Size>,
    /// When its row was made.
    pub recorded_at: Timestamp,
    /// Modification time of its data as last seen; `None` if data was never seen.
    pub written_at: Option<Timestamp>,
    /// Newest modification time of its data, with chunks and their folders, if these were looked at
    /// for a removal; `None` otherwise.
    pub data_written_at: Option<Timestamp>,
    /// When its writer sealed it as whole; `None` if it is not sealed.
    pub sealed_at: Option<Timestamp>,
    /// Hash of the data at the seal; `None` if it is not sealed, or was sealed without a hash.
    pub content_hash: Option<ContentHash>,
    /// What the metadata of an array says, as last read; `None` for other data, and if it was never
    /// read. Shape, data type and the like of a pyramid are those of its first level.
    pub metadata: Option<Arc<ArrayMetadata>>,
    /// Chunks, or shards, that were there when its files were last counted, of all levels together
    /// if it is a pyramid; `None` if they were never counted, or look like other files.
    pub chunks_there: Option<u64>,
    /// Which chunks were there at the seal; `None` if all were, or it is unknown.
    pub sealed_chunks: Option<ChunkSet>,
    /// uid that owns the data; `None` if it was not read.
    pub owner: Option<u32>,
    /// Bytes that its files and folders take on disk, a file with several links once; `None` if
    /// they were never counted.
    pub disk_bytes: Option<ByteCount>,
    /// Paths of the levels below its folder if it is a pyramid: a group of arrays that show the
    /// same at several resolutions. Empty for a single array.
    pub levels: Vec<String>,
    /// Iterations that the array says it holds, ascending, as DaCapo's snapshots do: at most the
    /// newest [`MOST_ITERATIONS`]. Empty if it says none.
    pub iterations: Vec<i64>,
    /// Names of the pins that bind it, sorted.
    pub pins: Vec<String>,
    /// Absolute path of the base directory.
    pub base: Arc<Path>,
}

impl Artifact {
    /// Makes an artifact as recording makes it: reserved, without anything known of its data.
    #[must_use]
    pub fn new(
        id: ArtifactId,
        key: Key,
        recorded_at: Timestamp,
        base: impl Into<Arc<Path>>,
    ) -> Self {
        Self {
            id,
            key,
            state: State::Reserved,
            origin: Origin::Recorded,
            size: None,
            recorded_at,
            written_at: None,
            data_written_at: None,
            sealed_at: None,
            content_hash: None,
            metadata: None,
            chunks_there: None,
            sealed_chunks: None,
            owner: None,
            disk_bytes: None,
            levels: Vec::new(),
            iterations: Vec::new(),
            pins: Vec::new(),
            base: base.into(),
        }
    }

    /// The time from which its age counts: when it was last written, with its chunks if they were
    /// looked at, or recorded if it was never written.
    #[must_use]
    pub fn last_written_at(&self) -> Timestamp {
        // `None` is less than any time, so a time that is known wins.
        let written = self.written_at.max(self.data_written_at);
        written.unwrap_or(self.recorded_at)
    }

    /// The chunks, or shards, that it has by its metadata; `None` if that is unknown. Of a pyramid
    /// they are those of the levels that are there.
    #[must_use]
    pub fn grid(&self) -> Option<ChunkGrid> {
        self.metadata.as_ref()?.grid()
    }

    /// How many chunks, or shards, it has by its metadata, in all levels if it is a pyramid; `None`
    /// if that is unknown, as it is if a level is not there.
    #[must_use]
    pub fn chunks_expected(&self) -> Option<u64> {
        self.metadata.as_ref()?.chunks_expected()
    }

    /// Chunks, or shards, that are there, and how many it has by its metadata; `None` if one of
    /// them is unknown.
    #[must_use]
    pub fn chunk_counts(&self) -> Option<(u64, u64)> {
        Some((self.chunks_there?, self.chunks_expected()?))
    }

    /// The chunks that it was sealed with; `None` if it is unknown which they are. If it is not
    /// sealed, all of them, if they were there when they were counted.
    pub(crate) fn set_of_chunks(&self) -> Option<ChunkSet> {
        self.sealed_chunks.clone().or_else(|| {
            // Without a set of chunks, only a complete array says which ones it had.
            let total = self.grid()?.total();
            (self.chunks_there == Some(total)).then(|| ChunkSet::all(total))
        })
    }

    /// Chunks, or shards, that were there when it was sealed; `None` if that is unknown.
    pub(crate) fn sealed_count(&self) -> Option<u64> {
        match &self.sealed_chunks {
            Some(sealed) => Some(sealed.count()),
            // Without a set, chunks that are lost are not taken off the count.
            None => self.chunks_there,
        }
    }

    /// Whether chunks of it were lost since it was sealed, as far as they were counted.
    pub(crate) fn has_lost_chunks(&self) -> bool {
        let counts = self.chunks_there.zip(self.sealed_count());
        self.sealed_at.is_some() && counts.is_some_and(|(there, sealed)| there < sealed)
    }

    /// The iteration of its key, else the newest that it holds. Rules that compare iterations go by
    /// it.
    #[must_use]
    pub fn newest_iteration(&self) -> Option<i64> {
        // The order is not relied on: a damaged row may hold any.
        self.held_iterations().max()
    }

    /// The iteration of its key, else all that it holds. A pin or a best link on any of them binds
    /// it.
    pub fn held_iterations(&self) -> impl Iterator<Item = i64> + '_ {
        let own = self.key.iteration();
        let held = match own {
            Some(_) => &[],
            None => self.iterations.as_slice(),
        };
        own.into_iter().chain(held.iter().copied())
    }

    /// Container and array, relative to the base directory.
    #[must_use]
    pub fn location(&self) -> Location {
        layout::locate(&self.key)
    }

    /// Absolute path of its folder, or of its file if it is a checkpoint.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.base.join(self.location().path())
    }

    /// Identifier of its container.
    #[must_use]
    pub fn container(&self) -> LocalContainerIdentifier {
        LocalContainerIdentifier {
            container: self.base.join(self.location().container),
        }
    }

    /// Identifier of the array; `None` if the artifact is a container.
    #[must_use]
    pub fn identifier(&self) -> Option<LocalArrayIdentifier> {
        let location = self.location();
        location.array.map(|dataset| LocalArrayIdentifier {
            container: self.base.join(location.container),
            dataset,
        })
    }
}

/// Joins two paths in one allocation: a listing joins two paths a row.
fn below(parent: &Path, path: &str) -> PathBuf {
    let mut joined = PathBuf::with_capacity(parent.as_os_str().len() + 1 + path.len());
    joined.push(parent);
    joined.push(path);
    joined
}

impl Serialize for Artifact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Located once for all three paths of the row.
        let Location { container, array } = self.location();
        let container = below(&self.base, &container);
        let path = array
            .as_ref()
            .map_or_else(|| container.clone(), |array| below(&container, array));
        // Names and order are the public format that the doc of the type promises.
        let mut out = serializer.serialize_struct("Artifact", 28)?;
        out.serialize_field("id", &self.id)?;
        out.serialize_field("run", self.key.run())?;
        out.serialize_field("kind", &self.key.kind())?;
        out.serialize_field("iteration", &self.key.iteration())?;
        out.serialize_field("dataset", &self.key.dataset())?;
        out.serialize_field("parameters", &self.key.parameters())?;
        out.serialize_field("container", &container)?;
        out.serialize_field("array", &array)?;
        out.serialize_field("path", &path)?;
        out.serialize_field("state", &self.state)?;
        out.serialize_field("bytes", &self.size.map(|size| size.bytes))?;
        out.serialize_field("files", &self.size.map(|size| size.files))?;
        out.serialize_field("disk_bytes", &self.disk_bytes)?;
        out.serialize_field("recorded_at", &self.recorded_at)?;
        out.serialize_field("written_at", &self.written_at)?;
        out.serialize_field("sealed_at", &self.sealed_at)?;
        out.serialize_field("content_hash", &self.content_hash)?;
        // Null, as for whatever else an artifact does not have.
        let levels = (!self.levels.is_empty()).then_some(&self.levels);
        let iterations = (!self.iterations.is_empty()).then_some(&self.iterations);
        out.serialize_field("levels", &levels)?;
        out.serialize_field("iterations", &iterations)?;
        out.serialize_field("pins", &self.pins)?;
        let metadata = self.metadata.as_deref();
        out.serialize_field("shape", &metadata.and_then(|it| it.shape.as_ref()))?;
        out.serialize_field("chunks", &metadata.and_then(|it| it.chunks.as_ref()))?;
        out.serialize_field("shards", &metadata.and_then(|it| it.shards.as_ref()))?;
        out.serialize_field("dtype", &metadata.and_then(|it| it.dtype.as_ref()))?;
        // As a value of JSON; the catalog keeps it as text.
        out.serialize_field("fill_value", &metadata.and_then(ArrayMetadata::fill))?;
        out.serialize_field(
            "compressor",
            &metadata.and_then(|it| it.compressor.as_ref()),
        )?;
        out.serialize_field("chunks_there", &self.chunks_there)?;
        out.serialize_field("chunks_expected", &self.chunks_expected())?;
        out.end()
    }
}
