//! What the summaries are made of: runs and containers whose arrays are all gone, and arrays that
//! no row has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::name::RunName;

/// Arrays below a folder: relative path and time.
pub(super) type Arrays = BTreeSet<(String, Option<Timestamp>)>;

/// An array that no row has.
pub(super) struct UnrecordedArray {
    pub(super) run: RunName,
    /// Relative to the base directory.
    pub(super) path: String,
    pub(super) written_at: Timestamp,
}

/// What rows say of runs and containers, and which of it is gone.
#[derive(Default)]
pub(super) struct Lost {
    /// Number of present arrays by folder: runs and containers.
    pub(super) present: HashMap<String, usize>,
    pub(super) runs: BTreeMap<String, Arrays>,
    pub(super) containers: BTreeMap<String, Arrays>,
    /// Runs with an array whose row says that it is missing.
    pub(super) missing: BTreeSet<RunName>,
}

pub(super) fn is_present_array(artifact: &Artifact) -> bool {
    let kind = artifact.key.kind();
    artifact.state == State::Present && !kind.is_container() && !kind.is_file()
}

impl Lost {
    pub(super) fn count(&mut self, artifact: &Artifact) {
        if is_present_array(artifact) {
            let run = artifact.key.run().as_str().to_owned();
            *self.present.entry(run).or_default() += 1;
            let container = artifact.location().container;
            *self.present.entry(container).or_default() += 1;
        }
        if artifact.state == State::Missing && !self.missing.contains(artifact.key.run()) {
            self.missing.insert(artifact.key.run().clone());
        }
    }

    pub(super) fn add(&mut self, artifact: &Artifact) {
        if is_present_array(artifact) {
            let (path, run) = (artifact.location().path(), artifact.key.run().as_str());
            let container = artifact.location().container;
            for (folders, folder) in [
                (&mut self.runs, run),
                (&mut self.containers, container.as_str()),
            ] {
                let array = (below(folder, &path), artifact.written_at);
                folders.entry(folder.to_owned()).or_default().insert(array);
            }
        }
    }

    /// The folders of which all is gone.
    pub(super) fn whole<'a>(
        &'a self,
        folders: &'a BTreeMap<String, Arrays>,
    ) -> impl Iterator<Item = (&'a String, &'a Arrays)> {
        let is_whole = |folder: &String, arrays: &Arrays| {
            self.present
                .get(folder)
                .is_some_and(|&all| all == arrays.len())
        };
        folders
            .iter()
            .filter(move |(folder, arrays)| is_whole(folder, arrays))
    }
}

pub(super) fn below(folder: &str, path: &str) -> String {
    let path = path.strip_prefix(folder).unwrap_or(path);
    path.trim_start_matches('/').to_owned()
}
