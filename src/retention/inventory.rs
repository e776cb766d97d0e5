//! What a plan is made of: the selected artifacts, and what the rules must know of them.

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

/// What keep rules compare with each other: artifacts of one run, kind and dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct GroupKey {
    /// Run.
    pub run: RunName,
    /// Kind.
    pub kind: Kind,
    /// Dataset, where the kind has one.
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
    /// Writes `prediction of run`, and `, dataset d` where it has one.
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
    /// The selected artifacts, in any order. Those that are not present are passed over.
    pub rows: Vec<InventoryRow>,
    /// How many present artifacts each group has in all, selected or not. A group that is missing
    /// here has just the selected ones.
    pub groups: BTreeMap<GroupKey, u64>,
    /// Free bytes of the file system; none where nobody asked.
    pub free_bytes: Option<u64>,
}

/// An artifact with what the rules must know of it.
#[derive(Debug, Clone)]
pub struct InventoryRow {
    /// The artifact.
    pub artifact: Artifact,
    /// Best links that show its iteration, such as `crop7/voi`.
    pub best_links: Vec<String>,
    /// Every score of the policy's metric at its run and iteration, of any dataset and
    /// parameters. Rows of one iteration may share it.
    pub scores: Arc<[InventoryScore]>,
}

/// A value of the policy's metric at one iteration of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct InventoryScore {
    /// Dataset that it was measured on; none where it is for all.
    pub dataset: Option<String>,
    /// Parameters that it was measured with; none where it is for all.
    pub parameters: Option<String>,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

impl From<Artifact> for InventoryRow {
    /// A row that no link shows, without scores.
    fn from(artifact: Artifact) -> Self {
        Self {
            artifact,
            best_links: Vec::new(),
            scores: Arc::default(),
        }
    }
}

/// Runs that are decided on as wholes.
#[derive(Debug, Clone, Default)]
pub struct RunInventory {
    /// The runs, in any order, each once.
    pub runs: Vec<InventoryRun>,
    /// Free bytes of the file system; none where nobody asked.
    pub free_bytes: Option<u64>,
}

/// A run and everything that the catalog has of it.
#[derive(Debug, Clone)]
pub struct InventoryRun {
    /// Run.
    pub run: RunName,
    /// When its newest artifact was written, of any kind and state.
    pub newest: Timestamp,
    /// All its artifacts, of any kind and state, containers too.
    pub rows: Vec<InventoryRow>,
}

/// The time by which an artifact is old: when it was written, else when it was recorded.
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

/// Orders by time written, else recorded, then by iteration, then by path.
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

/// Whether an artifact takes space of its own: a container's is that of the arrays in it.
pub(super) fn takes_space(artifact: &Artifact) -> bool {
    artifact.state == State::Present && !artifact.key.kind().is_container()
}

/// What an artifact takes on disk, where that counts and is known.
pub(super) fn size_of(artifact: &Artifact) -> Size {
    match artifact.size {
        Some(size) if takes_space(artifact) => size,
        _ => Size::default(),
    }
}
