//! A plan as a file: written now, carried out later.

use serde::{Deserialize, Serialize};

use super::request::GcRequest;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::Key;
use crate::model::size::{ByteCount, Size, Total};
use crate::ops::grown::CountsNow;
use crate::retention::{Plan, PlanLine};
use crate::store::Base;

/// Value of the field `format` in a plan file.
const FORMAT: &str = "dalsegno-plan";
/// Version of the format.
const VERSION: u32 = 1;

/// What a plan removes, in the form of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanFile {
    format: String,
    version: u32,
    /// Id of the plan.
    pub id: String,
    /// Id of the registry that it belongs to.
    pub registry: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// The rules in words.
    pub policy: String,
    /// Whether DaCapo's best links are ignored.
    pub ignore_best_links: bool,
    /// Whether a run may be left without a complete iteration that has one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_incomplete: bool,
    /// Number of artifacts ever restored when the plan was made, and time of the last restore.
    pub(super) restores: (u64, Option<Timestamp>),
    /// The artifacts to remove.
    pub items: Vec<PlanItem>,
}

/// An artifact that a plan removes, as it was when the plan was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PlanItem {
    /// Number of the artifact in the catalog.
    pub id: ArtifactId,
    /// Key of the artifact.
    pub key: Key,
    state: State,
    origin: Origin,
    bytes: Option<u64>,
    files: Option<u64>,
    // What is there of a sealed array that has grown; bytes and files are those of its seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes_now: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files_now: Option<u64>,
    recorded_at: Timestamp,
    written_at: Option<Timestamp>,
    // Absent in plans of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_written_at: Option<Timestamp>,
    sealed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_hash: Option<ContentHash>,
    /// Reasons why it goes.
    pub reasons: Vec<String>,
}

impl PlanItem {
    fn new(line: &PlanLine, counts: &CountsNow) -> Self {
        // Without `..`: a field that an artifact gets does not compile until it is decided here
        // whether a plan has it.
        let Artifact {
            id,
            key,
            state,
            origin,
            size,
            recorded_at,
            written_at,
            data_written_at,
            sealed_at,
            content_hash,
            metadata: _,
            chunks_there: _,
            sealed_chunks: _,
            // What is looked up again when the plan is carried out.
            owner: _,
            disk_bytes: _,
            levels: _,
            iterations: _,
            pins: _,
            base: _,
        } = &line.artifact;
        let sealed = counts.sealed_size(*id);
        let now = sealed.and(*size);
        let size = sealed.or(*size);
        Self {
            id: *id,
            key: key.clone(),
            state: *state,
            origin: *origin,
            bytes: size.map(|size| size.bytes.0),
            files: size.map(|size| size.files),
            bytes_now: now.map(|size| size.bytes.0),
            files_now: now.map(|size| size.files),
            recorded_at: *recorded_at,
            written_at: *written_at,
            data_written_at: *data_written_at,
            sealed_at: *sealed_at,
            content_hash: *content_hash,
            reasons: line.reasons.iter().map(ToString::to_string).collect(),
        }
    }

    /// The size of what was there when the plan was made.
    fn size(&self) -> Option<Size> {
        let now = self.bytes_now.zip(self.files_now);
        let (bytes, files) = now.or(self.bytes.zip(self.files))?;
        let bytes = ByteCount(bytes);
        Some(Size { bytes, files })
    }

    /// The artifact as it was when the plan was made.
    pub(super) fn artifact(&self, base: &Base) -> Artifact {
        // A size has both. A file that was edited by hand may lack one.
        let size = self.bytes.zip(self.files).map(|(bytes, files)| Size {
            bytes: ByteCount(bytes),
            files,
        });
        Artifact {
            id: self.id,
            key: self.key.clone(),
            state: self.state,
            origin: self.origin,
            size,
            recorded_at: self.recorded_at,
            written_at: self.written_at,
            data_written_at: self.data_written_at,
            sealed_at: self.sealed_at,
            content_hash: self.content_hash,
            metadata: None,
            chunks_there: None,
            sealed_chunks: None,
            disk_bytes: None,
            levels: Vec::new(),
            iterations: Vec::new(),
            // Not in the file: pins are read from the row when it is removed, and owners bind
            // nothing.
            owner: None,
            pins: Vec::new(),
            base: base.path().clone(),
        }
    }
}

impl PlanFile {
    /// Reads a plan from text.
    ///
    /// # Errors
    /// [`Error::Plan`] if the text is not a plan of this version.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |detail: String| Error::Plan { detail };
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| invalid(format!("it cannot be read as JSON: {error}")))?;
        let field = |name: &str| value.get(name).cloned().unwrap_or_default();
        // Format and version first: otherwise a file of another version fails with a message about
        // some field.
        if field("format") != FORMAT {
            return Err(invalid("it is another kind of file".to_owned()));
        }
        if field("version") != VERSION {
            return Err(invalid(format!(
                "it has version {}; this program reads version {VERSION}",
                field("version")
            )));
        }
        serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
    }

    /// Writes the plan as text, which [`PlanFile::parse`] reads.
    ///
    /// # Errors
    /// [`Error::Internal`] if it cannot be written as JSON.
    pub fn text(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self).map_err(|error| Error::Internal {
            detail: error.to_string(),
        })
    }

    /// Sums the bytes and files of the plan, as far as they were counted.
    #[must_use]
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        // Missing data frees nothing, and what is in a container is counted by its own rows.
        let takes_space =
            |item: &&PlanItem| item.state.has_data() && !item.key.kind().is_container();
        for item in self.items.iter().filter(takes_space) {
            total.add(item.size());
        }
        total
    }

    /// What was there of sealed arrays that had grown.
    pub(super) fn counts(&self) -> CountsNow {
        let mut counts = CountsNow::default();
        for item in self.items.iter().filter(|item| item.bytes_now.is_some()) {
            if let Some(size) = item.size() {
                counts.add_size(item.id, size);
            }
        }
        counts
    }
}

/// Makes the file of a plan.
pub(super) fn file_of(
    catalog: &Catalog,
    plan: &Plan,
    request: &GcRequest,
    id: String,
    now: Timestamp,
) -> Result<PlanFile, Error> {
    Ok(PlanFile {
        format: FORMAT.to_owned(),
        version: VERSION,
        id,
        registry: catalog.registry_id()?,
        made_at: now,
        policy: request.words.clone(),
        ignore_best_links: request.ignore_best_links,
        allow_incomplete: request.allows_incomplete(),
        restores: catalog.restores()?,
        items: plan
            .removed()
            .map(|line| PlanItem::new(line, &request.counts))
            .collect(),
    })
}
