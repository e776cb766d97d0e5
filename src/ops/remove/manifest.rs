//! The manifest in a removal's folder: what recovery needs, and the whole rows, so that the trash
//! can be read without the catalog.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::context::Checked;
use super::path::checked_item;
use super::report::RemoveOptions;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::actor::Actor;
use crate::model::array::{ArrayMetadata, ChunkSet};
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::Key;
use crate::model::layout;
use crate::model::removal::RemovalId;
use crate::model::size::{ByteCount, Size};
use crate::store::{FolderForm, TrashItem};

#[derive(Serialize)]
struct Manifest<'a> {
    version: u32,
    removal: &'a RemovalId,
    removed_at: Timestamp,
    #[serde(flatten)]
    actor: &'a Actor,
    reason: Option<&'a str>,
    /// Whether folders that are empty now stay.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_parents: bool,
    /// What the folders above the items are like, for a restore that makes them again.
    folders: &'a [FolderForm],
    items: Vec<&'a TrashItem>,
    artifacts: Vec<Row<'a>>,
}

/// A manifest that was read.
#[derive(Deserialize)]
pub(crate) struct Taken {
    /// Time of the removal.
    pub(crate) removed_at: Timestamp,
    /// User, host and process that removed.
    #[serde(flatten)]
    pub(crate) actor: Actor,
    /// Reason, if one was given.
    pub(crate) reason: Option<String>,
    /// Items that were moved.
    pub(crate) items: Vec<TrashItem>,
    /// Rows that were removed.
    pub(crate) artifacts: Vec<Row<'static>>,
}

/// The row of an artifact in a manifest, as it is written and read.
#[derive(Serialize, Deserialize)]
pub(crate) struct Row<'a> {
    /// Number of the item that holds its data; `None` if there was no data.
    pub(crate) item: Option<u32>,
    id: ArtifactId,
    #[serde(flatten)]
    key: Cow<'a, Key>,
    // Absent in manifests of older versions.
    origin: Option<Origin>,
    state: State,
    bytes: Option<u64>,
    files: Option<u64>,
    recorded_at: Timestamp,
    written_at: Option<Timestamp>,
    sealed_at: Option<Timestamp>,
    content_hash: Option<ContentHash>,
    owner: Option<u32>,
    // Absent in manifests of older versions, and if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Cow<'a, ArrayMetadata>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chunks: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed_chunks: Option<ChunkSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk_bytes: Option<u64>,
    #[serde(default, skip_serializing_if = "is_empty")]
    levels: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "is_empty")]
    iterations: Cow<'a, [i64]>,
}

/// Whether a list is left out.
fn is_empty<T: Clone>(list: &[T]) -> bool {
    list.is_empty()
}

impl<'a> Row<'a> {
    fn new(item: Option<u32>, artifact: &'a Artifact) -> Self {
        // Without `..`: a field that an artifact gets does not compile until it has a place here.
        let Artifact {
            id,
            key,
            state,
            origin,
            size,
            recorded_at,
            written_at,
            data_written_at: _,
            sealed_at,
            content_hash,
            metadata,
            chunks_there,
            sealed_chunks,
            owner,
            disk_bytes,
            levels,
            iterations,
            pins: _,
            base: _,
        } = artifact;
        Self {
            item,
            id: *id,
            key: Cow::Borrowed(key),
            origin: Some(*origin),
            state: *state,
            bytes: size.map(|size| size.bytes.0),
            files: size.map(|size| size.files),
            recorded_at: *recorded_at,
            written_at: *written_at,
            sealed_at: *sealed_at,
            content_hash: *content_hash,
            owner: *owner,
            metadata: metadata.as_deref().map(Cow::Borrowed),
            chunks: *chunks_there,
            sealed_chunks: sealed_chunks.clone(),
            disk_bytes: disk_bytes.map(|bytes| bytes.0),
            levels: Cow::Borrowed(levels),
            iterations: Cow::Borrowed(iterations),
        }
    }

    /// The row as it was.
    pub(crate) fn artifact(&self, catalog: &Catalog) -> Artifact {
        // Both or neither, as in the catalog.
        let size = self.bytes.zip(self.files);
        Artifact {
            id: self.id,
            key: self.key.clone().into_owned(),
            state: self.state,
            // Older manifests do not say it. As recorded, the key is never replaced by a guess.
            origin: self.origin.unwrap_or(Origin::Recorded),
            size: size.map(|(bytes, files)| Size {
                bytes: ByteCount(bytes),
                files,
            }),
            recorded_at: self.recorded_at,
            written_at: self.written_at,
            data_written_at: None,
            sealed_at: self.sealed_at,
            content_hash: self.content_hash,
            metadata: self.metadata.as_deref().cloned().map(Arc::new),
            chunks_there: self.chunks,
            sealed_chunks: self.sealed_chunks.clone(),
            owner: self.owner,
            disk_bytes: self.disk_bytes.map(ByteCount),
            levels: self.levels.to_vec(),
            iterations: self.iterations.to_vec(),
            // Pins are in the catalog and bind by number, so they bind it again when its row is
            // back.
            pins: Vec::new(),
            base: catalog.base().clone(),
        }
    }
}

/// Reads a manifest; `None` if it cannot be read.
pub(crate) fn read(text: &[u8]) -> Option<Taken> {
    serde_json::from_slice(text).ok()
}

impl Taken {
    /// Whether an item has artifacts of a run.
    pub(crate) fn has_run(&self, item: u32, run: &str) -> bool {
        let mut rows = self.artifacts.iter();
        rows.any(|row| row.item == Some(item) && row.key.run().as_str() == run)
    }

    /// The paths of the artifacts of an item.
    pub(crate) fn paths_in(&self, item: u32) -> HashSet<String> {
        let rows = self.artifacts.iter();
        let rows = rows.filter(|row| row.item == Some(item));
        rows.map(|row| layout::canonical_location(&row.key).path())
            .collect()
    }

    /// Returns why this cannot be the manifest of a removal; `None` if it is consistent. A manifest
    /// is input: another program may have written it.
    pub(crate) fn fault(&self) -> Option<String> {
        let mut paths = HashMap::new();
        for item in &self.items {
            if let Err(error) = checked_item(&item.path, |run| self.has_run(item.item, run)) {
                return Some(error.to_string());
            }
            if paths.insert(item.item, &item.path).is_some() {
                return Some(format!("item {} is in it twice", item.item));
            }
        }
        let (mut places, mut ids) = (HashSet::new(), HashSet::new());
        for row in &self.artifacts {
            let path = layout::canonical_location(&row.key).path();
            if let Some(item) = row.item {
                let Some(at) = paths.get(&item) else {
                    return Some(format!("{path} is in item {item}, which does not exist"));
                };
                // A restore would give the row data that is not its own.
                if !Path::new(&path).starts_with(at) {
                    return Some(format!("{path} does not lie in {at}"));
                }
            }
            let counts = [row.bytes, row.files, row.disk_bytes];
            if counts
                .into_iter()
                .flatten()
                // SQLite has no larger integers.
                .any(|count| i64::try_from(count).is_err())
            {
                return Some(format!("the size of {path} is not valid"));
            }
            if !ids.insert(row.id) || !places.insert(path.clone()) {
                return Some(format!("{path} is in it twice"));
            }
        }
        None
    }
}

/// Writes the manifest of a removal.
pub(super) fn text(
    removed_at: Timestamp,
    actor: &Actor,
    id: &RemovalId,
    (checked, folders): (&[Checked<'_>], &[FolderForm]),
    options: &RemoveOptions,
) -> Result<Vec<u8>, Error> {
    let rows = checked.iter().flat_map(|checked| {
        let item = checked.item.as_ref().map(|item| item.item);
        let artifacts = checked.planned.artifacts.iter();
        artifacts.map(move |artifact| Row::new(item, artifact))
    });
    let manifest = Manifest {
        version: 1,
        removal: id,
        removed_at,
        actor,
        reason: options.reason.as_deref(),
        keep_parents: options.keep_parents,
        folders,
        items: checked
            .iter()
            .filter_map(|checked| checked.item.as_ref())
            .collect(),
        artifacts: rows.collect(),
    };
    serde_json::to_vec(&manifest).map_err(|error| Error::Internal {
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first version that wrote content hashes wrote it.
    const ROW: &str = concat!(
        r#"{"item":0,"id":7,"kind":"prediction","run":"r","iteration":1000,"dataset":"d","#,
        r#""origin":"scanned","state":"present","bytes":12,"files":3,"#,
        r#""recorded_at":"2026-11-22T16:30:00.000Z","written_at":"2026-11-22T16:31:00.000Z","#,
        r#""sealed_at":null,"content_hash":null,"owner":1000}"#
    );

    #[test]
    fn a_row_is_written_as_it_is_read_byte_by_byte() {
        let row: Row<'_> = serde_json::from_str(ROW).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), ROW);
    }

    #[test]
    fn a_row_of_an_older_manifest_lacks_what_was_not_there_yet() {
        let older = ROW
            .replace(r#""origin":"scanned","#, "")
            .replace(r#","content_hash":null,"owner":1000"#, "");
        let row: Row<'_> = serde_json::from_str(&older).unwrap();
        assert!(row.origin.is_none() && row.content_hash.is_none() && row.owner.is_none());
        assert_eq!(row.id, ArtifactId(7));
    }
}
