//! The input of a plan: the selected artifacts, and what the rules need to know about them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::complete::PartsByRun;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::key::{Key, Kind};
use crate::model::name::{DatasetName, RunName};
use crate::model::removal::TrashKeep;
use crate::model::size::{ByteCount, Size};

/// A group of artifacts that keep rules compare with each other: one run, kind and dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[non_exhaustive]
pub struct GroupKey {
    /// Name of the run.
    pub run: RunName,
    /// Kind of the artifacts.
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

/// What a plan knows of the file system and the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Disk {
    /// Free bytes on the file system; `None` if the policy does not need them.
    pub free: Option<u64>,
    /// Size of the file system in bytes; `None` if the policy does not need it.
    pub size: Option<u64>,
    /// Bytes in the trash. They are not free yet, but `min-free` lets no more go in their place.
    pub trash: u64,
    /// How long the trash keeps what the plan removes. If it does, removing frees nothing at first.
    pub keep: TrashKeep,
}

impl Disk {
    /// Sets the free bytes on the file system.
    #[must_use]
    pub fn free(mut self, free: impl Into<Option<u64>>) -> Self {
        self.free = free.into();
        self
    }

    /// Sets the size of the file system.
    #[must_use]
    pub fn size(mut self, size: impl Into<Option<u64>>) -> Self {
        self.size = size.into();
        self
    }

    /// Sets the bytes in the trash.
    #[must_use]
    pub fn trash(mut self, trash: u64) -> Self {
        self.trash = trash;
        self
    }

    /// Sets how long the trash keeps what the plan removes.
    #[must_use]
    pub fn keep(mut self, keep: TrashKeep) -> Self {
        self.keep = keep;
        self
    }
}

/// The artifacts that a policy decides on.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Inventory {
    /// The selected artifacts, in any order. Rules decide on those that are present; damaged ones
    /// stay unless the policy selects them, and others are skipped.
    pub rows: Vec<InventoryRow>,
    /// Number of present artifacts in each group, selected or not. A group that is missing here has
    /// only the selected ones.
    pub groups: BTreeMap<GroupKey, u64>,
    /// The file system and the trash.
    pub disk: Disk,
    /// The present predictions and outputs of each run, selected or not: they say which iterations
    /// are complete. All iterations of a run that is missing here count as complete.
    pub parts: PartsByRun,
}

impl Inventory {
    /// Makes an inventory of these rows, in which each group has only them.
    #[must_use]
    pub fn new(rows: Vec<InventoryRow>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }

    /// Sets the number of present artifacts in each group.
    #[must_use]
    pub fn groups(mut self, groups: BTreeMap<GroupKey, u64>) -> Self {
        self.groups = groups;
        self
    }

    /// Sets the present predictions and outputs of each run.
    #[must_use]
    pub fn parts(mut self, parts: PartsByRun) -> Self {
        self.parts = parts;
        self
    }

    /// Sets what is known of the file system and the trash.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }
}

/// An artifact and what the rules need to know about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InventoryRow {
    /// The artifact.
    pub artifact: Artifact,
    /// DaCapo's best links that point to its iteration, such as `crop7/voi`.
    pub best_links: Vec<String>,
    /// Every score of the policy's metric at its run and iteration, of any dataset and
    /// parameters. Rows of one iteration may share it.
    pub scores: Arc<[InventoryScore]>,
    /// The same at the older iterations that a snapshot holds as well. By `keep-best` it ranks as
    /// high as the best of them.
    pub older_scores: Vec<(i64, Arc<[InventoryScore]>)>,
    /// Whether it is the newest checkpoint of its run, from which a training resumes.
    pub is_newest_checkpoint: bool,
    /// Path of the pinned row whose data it is, from before a rename by hand; `None` if it is its
    /// own.
    pub pinned_elsewhere: Option<String>,
    /// Whether its folders could not be read, so that when it was last written is unknown.
    pub is_unread: bool,
}

impl InventoryRow {
    /// Sets the best links that point to its iteration.
    #[must_use]
    pub fn best_links(mut self, best_links: Vec<String>) -> Self {
        self.best_links = best_links;
        self
    }

    /// Sets the path of the pinned row whose data it is.
    #[must_use]
    pub fn pinned_elsewhere(mut self, pinned_elsewhere: impl Into<Option<String>>) -> Self {
        self.pinned_elsewhere = pinned_elsewhere.into();
        self
    }

    /// Sets whether its folders could not be read.
    #[must_use]
    pub fn unread(mut self, is_unread: bool) -> Self {
        self.is_unread = is_unread;
        self
    }

    /// Sets whether it is the newest checkpoint of its run.
    #[must_use]
    pub fn newest_checkpoint(mut self, is_newest_checkpoint: bool) -> Self {
        self.is_newest_checkpoint = is_newest_checkpoint;
        self
    }

    /// Sets the scores at its run and iteration.
    #[must_use]
    pub fn scores(mut self, scores: impl Into<Arc<[InventoryScore]>>) -> Self {
        self.scores = scores.into();
        self
    }
}

/// A value of the policy's metric at one iteration of one run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct InventoryScore {
    /// Dataset that it was measured on; `None` means all.
    pub dataset: Option<String>,
    /// Parameters that it was measured with; `None` means all.
    pub parameters: Option<String>,
    /// The value; may be NaN or infinite.
    pub value: f64,
}

impl InventoryScore {
    /// Makes a score of all datasets and parameter sets.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self {
            dataset: None,
            parameters: None,
            value,
        }
    }

    /// Sets the dataset that it was measured on.
    #[must_use]
    pub fn dataset(mut self, dataset: impl Into<Option<String>>) -> Self {
        self.dataset = dataset.into();
        self
    }

    /// Sets the parameters that it was measured with.
    #[must_use]
    pub fn parameters(mut self, parameters: impl Into<Option<String>>) -> Self {
        self.parameters = parameters.into();
        self
    }
}

impl From<Artifact> for InventoryRow {
    /// A row without best links and scores.
    fn from(artifact: Artifact) -> Self {
        Self {
            artifact,
            best_links: Vec::new(),
            scores: Arc::default(),
            older_scores: Vec::new(),
            is_newest_checkpoint: false,
            pinned_elsewhere: None,
            is_unread: false,
        }
    }
}

/// The input of a plan for whole runs.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunInventory {
    /// The runs, in any order, each once.
    pub runs: Vec<InventoryRun>,
    /// The file system and the trash.
    pub disk: Disk,
}

impl RunInventory {
    /// Makes an inventory of these runs.
    #[must_use]
    pub fn new(runs: Vec<InventoryRun>) -> Self {
        Self {
            runs,
            disk: Disk::default(),
        }
    }

    /// Sets what is known of the file system and the trash.
    #[must_use]
    pub fn disk(mut self, disk: Disk) -> Self {
        self.disk = disk;
        self
    }
}

/// A run and all of its artifacts in the catalog.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct InventoryRun {
    /// Name of the run.
    pub run: RunName,
    /// When its newest artifact was written, of any kind and state.
    pub newest: Timestamp,
    /// Its artifacts, of any kind and state, including containers.
    pub rows: Vec<InventoryRow>,
}

impl InventoryRun {
    /// Makes a run of these artifacts, the newest of which was written at `newest`.
    #[must_use]
    pub fn new(run: RunName, newest: Timestamp, rows: Vec<InventoryRow>) -> Self {
        Self { run, newest, rows }
    }
}

/// The time from which an artifact's age counts: when it was written, or recorded if it was never
/// written.
pub(super) fn time_of(artifact: &Artifact) -> Timestamp {
    artifact.last_written_at()
}

/// Orders by run, kind, dataset, iteration, parameters, path.
pub(super) fn in_order(a: &Artifact, b: &Artifact) -> Ordering {
    let columns = |artifact: &Artifact| {
        let key = &artifact.key;
        (key.kind(), artifact.newest_iteration())
    };
    let ((a_kind, a_iteration), (b_kind, b_iteration)) = (columns(a), columns(b));
    a.key
        .run()
        .cmp(b.key.run())
        .then(a_kind.cmp(&b_kind))
        .then_with(|| a.key.dataset().cmp(&b.key.dataset()))
        // By number: 9000 comes before 10000, and no iteration before any.
        .then(a_iteration.cmp(&b_iteration))
        .then_with(|| a.key.parameters().cmp(&b.key.parameters()))
        .then_with(|| by_path(a, b))
}

/// Orders by [`time_of`], then by iteration, then by path.
pub(super) fn oldest_first(a: &Artifact, b: &Artifact) -> Ordering {
    // Ties are broken to the end, so that a plan does not depend on the order of the rows.
    time_of(a)
        .cmp(&time_of(b))
        .then_with(|| a.newest_iteration().cmp(&b.newest_iteration()))
        .then_with(|| by_path(a, b))
}

fn by_path(a: &Artifact, b: &Artifact) -> Ordering {
    a.location()
        .path()
        .cmp(&b.location().path())
        // Two rows may share a path.
        .then(a.id.cmp(&b.id))
}

/// Whether an artifact takes space of its own. A container does not: its arrays are counted.
pub(super) fn takes_space(artifact: &Artifact) -> bool {
    artifact.state.has_data() && !artifact.key.kind().is_container()
}

/// The size on disk that counts for limits: 0 for a container, and for an unknown size.
///
/// Callers that hold a limit have refused unknown sizes before.
pub(super) fn size_of(artifact: &Artifact) -> Size {
    match artifact.size {
        // A container's size would count its arrays twice.
        Some(size) if takes_space(artifact) => size,
        _ => Size::default(),
    }
}

/// What removing an artifact frees. Sparse files free less than their length, small files more.
pub(super) fn freed_by(artifact: &Artifact) -> ByteCount {
    match artifact.disk_bytes {
        Some(bytes) if takes_space(artifact) => bytes,
        _ => size_of(artifact).bytes,
    }
}
