//! What a look at an artifact's data saw.

use std::sync::Arc;

use crate::model::array::{ArrayMetadata, ChunkSet, name_levels};
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::known::Fingerprint;
use crate::model::size::{ByteCount, Size};

/// What a look at the data of an artifact saw: the store makes it, the catalog writes it into rows.
///
/// The data itself is what is observed: the metadata of an array, the folder of a container, the
/// file of a checkpoint. Data that is absent has no observation (`Option::None`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// Modification time of the array's metadata, the container's folder, or the checkpoint's file.
    pub written_at: Timestamp,
    /// Newest modification time of the data: of its metadata, its folders, and its files if they
    /// were counted. `None` if the folders were not read, or not all of them could be.
    pub data_written_at: Option<Timestamp>,
    /// What the metadata of an array says; `None` for other data, and if it cannot be read.
    pub metadata: Option<Arc<ArrayMetadata>>,
    /// Chunks, or shards, that are there; `None` if they were not counted or look like other
    /// files.
    pub chunks: Option<u64>,
    /// Which chunks these are, if the look asked for that.
    pub chunk_set: Option<ChunkSet>,
    /// Bytes and files; `None` if they were not counted. The size of a checkpoint is always known.
    pub size: Option<Size>,
    /// uid that owns the data; `None` if it was not read.
    pub owner: Option<u32>,
    /// Whether a symbolic link is at the artifact's path. Only looks that ask for links check this.
    pub is_link: bool,
    /// Whether the metadata is there and cannot be read.
    pub damage: Option<Damage>,
    /// Bytes that files and folders take on disk; `None` if they were not counted.
    pub disk_bytes: Option<ByteCount>,
    /// Levels if it is a pyramid, empty if it is none; `None` if this was not looked at.
    pub levels: Option<Levels>,
    /// Iterations that the array says it holds, ascending; `None` if this was not looked at.
    pub iterations: Option<Vec<i64>>,
    /// Identifies the metadata file the next time; `None` if it was not read, or must be read
    /// again.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The row that says already what was seen; `None` if it may say something else.
    pub(crate) known_row: Option<ArtifactId>,
}

/// What was seen of the levels of a pyramid; the default is that of a single array.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Levels {
    /// Their paths below the group, the finest first.
    pub paths: Vec<String>,
    /// When the metadata of a level was last written.
    pub written_at: Option<Timestamp>,
    /// Bytes and files directly in the group's folder.
    pub own: Size,
}

/// What is known of data whose metadata cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// By the name of its metadata it is an array.
    OfArray,
    /// It may be an array or a group: the metadata of both have one name.
    OfArrayOrGroup,
}

/// Chunks that are named one by one; more are counted.
pub(crate) const MOST_NAMED: usize = 20;

impl Observation {
    /// Makes an observation of data whose size and owner are unknown.
    #[must_use]
    pub fn new(written_at: Timestamp) -> Self {
        Self {
            written_at,
            data_written_at: None,
            metadata: None,
            chunks: None,
            chunk_set: None,
            size: None,
            owner: None,
            is_link: false,
            damage: None,
            disk_bytes: None,
            levels: None,
            iterations: None,
            fingerprint: None,
            known_row: None,
        }
    }

    /// Whether the data differs from when it was sealed: written at another time, without a level
    /// that it had, or with other counts. Damage is no contradiction: the seal stays as evidence of what was lost.
    pub(crate) fn contradicts_seal_of(&self, row: &Artifact) -> bool {
        if self.damage.is_some() {
            return false;
        }
        let has_other_counts = match (row.size, self.size) {
            (Some(counted), Some(seen)) => counted != seen || self.has_other_chunks_than(row),
            // A size that was not counted, then or now, contradicts nothing.
            _ => false,
        };
        // The time is that of the metadata, which a writer of chunks need not touch, so counts
        // matter too.
        row.sealed_at.is_some()
            && (row.written_at != Some(self.written_at)
                || has_other_counts
                || self.lost_levels_of(row).is_some())
    }

    /// The levels that the row has and that are not there now, as a clause that names them; `None`
    /// if there are none, or it is unknown.
    pub(crate) fn lost_levels_of(&self, row: &Artifact) -> Option<String> {
        let now = &self.levels.as_ref()?.paths;
        let lost = row.levels.iter().filter(|path| !now.contains(path));
        name_levels(lost.map(String::as_str))
    }

    /// Whether other chunks were counted than before: a file that is no chunk may have come for
    /// one.
    pub(crate) fn has_other_chunks_than(&self, row: &Artifact) -> bool {
        matches!((row.sealed_count(), self.chunks), (Some(counted), Some(seen)) if counted != seen)
    }

    /// The levels and chunks that were there when the row was written and are not now, as a clause
    /// that names them; `None` if there are none, or it is unknown which they are.
    pub(crate) fn lost_parts_of(&self, row: &Artifact) -> Option<String> {
        match (self.lost_levels_of(row), self.lost_chunks_of(row)) {
            (Some(levels), Some(chunks)) => Some(format!("{levels}; {chunks}")),
            (levels, chunks) => levels.or(chunks),
        }
    }

    /// The same of chunks alone, without those of levels that are not there.
    fn lost_chunks_of(&self, row: &Artifact) -> Option<String> {
        let (grid, now) = (self.metadata.as_ref()?.grid()?, self.chunk_set.as_ref()?);
        let were = grid.take_over(&row.grid()?, &row.set_of_chunks()?)?;
        let lost = now.lacks(Some(&were), grid.total(), MOST_NAMED);
        (lost.1 > 0).then(|| grid.missing(&lost))
    }

    /// Chunks that the row was sealed with and that can still be there: all but those of levels
    /// that are not there. `None` if none of its levels has gone, or it is unknown.
    pub(crate) fn most_chunks_left_of(&self, row: &Artifact) -> Option<u64> {
        self.lost_levels_of(row)?;
        let grid = self.metadata.as_ref()?.grid()?;
        let left = grid.take_over(&row.grid()?, &row.set_of_chunks()?)?;
        Some(left.count())
    }

    /// Sets the newest modification time of the data.
    #[must_use]
    pub fn data_written_at(self, data_written_at: impl Into<Option<Timestamp>>) -> Self {
        Self {
            data_written_at: data_written_at.into(),
            ..self
        }
    }

    /// As of when bytes and files were counted: the newest time of the data then. `None` if they were
    /// not counted, or that time is unknown.
    pub(crate) fn counted_as_of(&self) -> Option<Timestamp> {
        self.data_written_at.filter(|_| self.size.is_some())
    }

    /// Sets what the metadata of an array says.
    #[must_use]
    pub fn metadata(self, metadata: impl Into<Option<Arc<ArrayMetadata>>>) -> Self {
        Self {
            metadata: metadata.into(),
            ..self
        }
    }

    /// Whether it is a pyramid: a group whose arrays are levels of one artifact.
    #[must_use]
    pub fn is_pyramid(&self) -> bool {
        self.levels
            .as_ref()
            .is_some_and(|levels| !levels.paths.is_empty())
    }

    /// Sets the counted bytes and files.
    #[must_use]
    pub fn size(self, size: impl Into<Option<Size>>) -> Self {
        Self {
            size: size.into(),
            ..self
        }
    }

    /// Sets the uid that owns the data.
    #[must_use]
    pub fn owner(self, owner: impl Into<Option<u32>>) -> Self {
        Self {
            owner: owner.into(),
            ..self
        }
    }
}
