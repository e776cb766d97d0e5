//! The input of a plan: the selected artifacts, and what the rules need to know about them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::key::{Key, Kind};
use crate::model::name::{DatasetName, RunName};
use crate::model::size::Size;

/// A group of artifacts that keep rules compare with each other: one run, kind and dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GroupKey {
    /// Run.
    pub run: RunName,
    /// Kind.
    pub kind: Kind,
    /// Dataset, if the kind has one.
    pub dataset: Option<DatasetName>,
}

impl From<&Key> for GroupKey {
    fn from(key: &Key) -> Self {
        Self {
            run: key.run().clone(),
            kind: key.kind(),
            dataset: key.dataset().cloned(),
        }
    }
}

impl fmt::Display for GroupKey {
    /// Writes `prediction of run`, and `, dataset d` if it has one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.kind, self.run)?;
        match &self.dataset {
            Some(dataset) => write!(f, ", dataset {dataset}"),
            None => Ok(()),
        }
    }
}

/// The artifacts that a policy decides on.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The selected artifacts, in any order. Artifacts that are not present are skipped.
    pub rows: Vec<InventoryRow>,
    /// Number of present artifacts in each group, selected or not. A group that is missing here has
    /// only the selected ones.
    pub groups: BTreeMap<GroupKey, u64>,
    /// Free bytes on the file system; `None` if the policy does not need them.
    pub free_bytes: Option<u64>,
}

/// An artifact and what the rules need to know about it.
#[derive(Debug, Clone)]
pub struct InventoryRow {
    /// The artifact.
    pub artifact: Artifact,
    /// DaCapo's best links that point to its iteration, such as `crop7/voi`.
    pub best_links: Vec<String>,
    /// Every score of the policy's metric at its run and iteration, of any dataset and
    /// parameters. Rows of one iteration may share it.
    pub scores: Arc<[InventoryScore]>,
}

/// A value of the policy's metric at one iteration of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryScore {
    /// Dataset that it was measured on; `None` means all.
    pub dataset: Option<String>,
    /// Parameters that it was measured with; `None` means all.
    pub parameters: Option<String>,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

impl From<Artifact> for InventoryRow {
    /// A row without best links and scores.
    fn from(artifact: Artifact) -> Self {
        Self {
            artifact,
            best_links: Vec::new(),
            scores: Arc::default(),
        }
    }
}

/// The input of a plan for whole runs.
#[derive(Debug, Clone, Default)]
pub struct RunInventory {
    /// The runs, in any order, each once.
    pub runs: Vec<InventoryRun>,
    /// Free bytes on the file system; `None` if the policy does not need them.
    pub free_bytes: Option<u64>,
}

/// A run and all of its artifacts in the catalog.
#[derive(Debug, Clone)]
pub struct InventoryRun {
    /// Run.
    pub run: RunName,
    /// When its newest artifact was written, of any kind and state.
    pub newest: Timestamp,
    /// Its artifacts, of any kind and state, including containers.
    pub rows: Vec<InventoryRow>,
}

/// The time from which an artifact's age counts: when it was written, or recorded if it was never
/// written.
pub(super) fn time_of(artifact: &Artifact) -> Timestamp {
    artifact.written_at.unwrap_or(artifact.recorded_at)
}

/// Orders by run, kind, dataset, iteration, parameters, path.
pub(super) fn in_order(a: &Artifact, b: &Artifact) -> Ordering {
    let columns = |artifact: &Artifact| {
        let key = &artifact.key;
        (key.kind(), key.iteration())
    };
    let ((a_kind, a_iteration), (b_kind, b_iteration)) = (columns(a), columns(b));
    a.key
        .run()
        .cmp(b.key.run())
        .then(a_kind.cmp(&b_kind))
        .then_with(|| a.key.dataset().cmp(&b.key.dataset()))
        .then(a_iteration.cmp(&b_iteration))
        .then_with(|| a.key.parameters().cmp(&b.key.parameters()))
        .then_with(|| by_path(a, b))
}

/// Orders by [`time_of`], then by iteration, then by path.
pub(super) fn oldest_first(a: &Artifact, b: &Artifact) -> Ordering {
    time_of(a)
        .cmp(&time_of(b))
        .then_with(|| a.key.iteration().cmp(&b.key.iteration()))
        .then_with(|| by_path(a, b))
}

fn by_path(a: &Artifact, b: &Artifact) -> Ordering {
    a.location()
        .path()
        .cmp(&b.location().path())
        .then(a.id.cmp(&b.id))
}

/// Whether an artifact takes space of its own. A container does not: its arrays are counted.
pub(super) fn takes_space(artifact: &Artifact) -> bool {
    artifact.state == State::Present && !artifact.key.kind().is_container()
}

/// The size on disk that counts for limits: 0 for a container, and for an unknown size.
///
/// Callers that hold a limit have refused unknown sizes before.
pub(super) fn size_of(artifact: &Artifact) -> Size {
    match artifact.size {
        Some(size) if takes_space(artifact) => size,
        _ => Size::default(),
    }
}
