//! Arrays that were written since they were counted.
//!
//! A row has the newest time of the data when it was counted. New chunks change the folder that they
//! are made in, so an array whose folders have no newer time is as it was counted. That takes one
//! `stat` an array; only folders with folders in them are read, as those of chunks with separator
//! `/`. What is written in place changes no folder and is not seen.
//!
//! A sealed array that has grown keeps its row, which is the evidence of what was sealed;
//! [`CountsNow`] has what is there.

use std::collections::{BTreeMap, HashMap};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::observation::Observation;
use crate::model::progress::Silent;
use crate::model::size::{ByteCount, Size};
use crate::store::{self, Base, Event, Expected, Look, WalkOptions};

/// Those of these artifacts that are counted and have grown since, or of which it is unknown as of when
/// they were counted. What cannot be looked at has not grown.
///
/// # Errors
/// [`Error`] if the catalog cannot be read, or the look cannot be done at all.
pub(crate) fn grown(
    catalog: &Catalog,
    base: &Base,
    artifacts: Vec<Artifact>,
) -> Result<Vec<Artifact>, Error> {
    let mut grown = Vec::new();
    let mut deep = Vec::new();
    for artifact in artifacts {
        let kind = artifact.key.kind();
        // A container has no count of its own, and the row of a checkpoint has its size by each look.
        if kind.is_container() || kind.is_file() || artifact.size.is_none() {
            continue;
        }
        let Some(counted) = catalog.counted_as_of(artifact.id)? else {
            grown.push(artifact);
            continue;
        };
        match store::folder_times(base, artifact.location().path().as_ref()) {
            Some(times) if times.written_at > counted => grown.push(artifact),
            Some(times) if times.may_have_folders => deep.push((artifact, counted)),
            _ => {}
        }
    }
    let looks = deep
        .iter()
        .map(|(artifact, _): &(Artifact, Timestamp)| Look {
            id: artifact.id.0,
            path: artifact.location().path().into(),
            expected: Expected::Array,
        });
    let options = WalkOptions {
        times: true,
        ..WalkOptions::default()
    };
    let mut times = HashMap::new();
    store::look_at(base, options, &Silent, looks.collect(), |event| {
        if let Event::Looked(id, Some(seen)) = event {
            times.insert(id, seen.data_written_at);
        }
        Ok::<_, Error>(())
    })?;
    for (artifact, counted) in deep {
        if matches!(times.get(&artifact.id.0), Some(Some(at)) if *at > counted) {
            grown.push(artifact);
        }
    }
    Ok(grown)
}

/// What is there of sealed arrays that do not have what they were sealed with. Their rows keep what
/// was counted at the seal. Given to [`GcRequest::counts`](crate::GcRequest::counts) and
/// [`RemovalPlan::count_as`](crate::RemovalPlan::count_as), which then go by what is there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CountsNow(BTreeMap<ArtifactId, CountNow>);

/// What is there of one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CountNow {
    size: Size,
    disk_bytes: Option<ByteCount>,
    /// What it was sealed with.
    sealed: Option<Size>,
}

impl CountsNow {
    /// Adds a row that keeps its seal, with what was seen.
    pub(crate) fn add(&mut self, row: &Artifact, seen: &Observation) {
        if let Some(size) = seen.size.filter(|size| Some(*size) != row.size) {
            let count = CountNow {
                size,
                disk_bytes: seen.disk_bytes,
                sealed: row.size,
            };
            self.0.insert(row.id, count);
        }
    }

    /// Adds a size by the number of its artifact.
    pub(crate) fn add_size(&mut self, id: ArtifactId, size: Size) {
        let count = CountNow {
            size,
            disk_bytes: None,
            sealed: None,
        };
        self.0.insert(id, count);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Those of these artifacts.
    pub(crate) fn of(&self, artifacts: &[Artifact]) -> Self {
        let known = artifacts.iter().map(|row| row.id);
        let known = known.filter_map(|id| Some((id, *self.0.get(&id)?)));
        Self(known.collect())
    }

    /// The size of what is there of an artifact.
    pub(crate) fn size_of(&self, artifact: &Artifact) -> Option<Size> {
        let now = self.0.get(&artifact.id).map(|count| count.size);
        now.or(artifact.size)
    }

    /// What a sealed artifact in this list was sealed with.
    pub(crate) fn sealed_size(&self, id: ArtifactId) -> Option<Size> {
        self.0.get(&id)?.sealed
    }

    /// Gives an artifact the size of what is there.
    pub(crate) fn apply(&self, artifact: &mut Artifact) {
        if let Some(now) = self.0.get(&artifact.id) {
            artifact.size = Some(now.size);
            artifact.disk_bytes = now.disk_bytes.or(artifact.disk_bytes);
        }
    }
}
