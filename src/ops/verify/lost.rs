//! What the summaries are made of: runs and containers of whose arrays none is in its place, and
//! arrays that are not those of a row at their path.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::name::RunName;

/// Arrays below a folder: relative path and time.
pub(super) type Arrays = BTreeSet<(String, Option<Timestamp>)>;

/// An array that no row has, or that is not the one that the row at its path was last seen with.
pub(super) struct StrayArray {
    pub(super) run: RunName,
    /// Relative to the base directory.
    pub(super) path: String,
    pub(super) written_at: Timestamp,
}

/// What rows say of runs and containers, and what of it is not in its place.
#[derive(Default)]
pub(super) struct Lost {
    /// Number of arrays with data by folder: runs and containers.
    recorded: HashMap<String, usize>,
    pub(super) runs: BTreeMap<String, Arrays>,
    pub(super) containers: BTreeMap<String, Arrays>,
    /// Other data at the paths of rows.
    pub(super) foreign: Vec<StrayArray>,
}

/// Whether a row is that of an array that had data.
pub(super) fn is_seen_array(artifact: &Artifact) -> bool {
    let kind = artifact.key.kind();
    artifact.state != State::Reserved && !kind.is_container() && !kind.is_file()
}

impl Lost {
    pub(super) fn count(&mut self, artifact: &Artifact) {
        if is_seen_array(artifact) {
            let run = artifact.key.run().as_str().to_owned();
            *self.recorded.entry(run).or_default() += 1;
            let container = artifact.location().container;
            *self.recorded.entry(container).or_default() += 1;
        }
    }

    /// Adds a row whose data is not in its place, and the time of the other data that is.
    pub(super) fn add(&mut self, artifact: &Artifact, foreign: Option<Timestamp>) {
        if !is_seen_array(artifact) {
            return;
        }
        let (path, run) = (artifact.location().path(), artifact.key.run());
        let container = artifact.location().container;
        for (folders, folder) in [
            (&mut self.runs, run.as_str()),
            (&mut self.containers, container.as_str()),
        ] {
            let array = (below(folder, &path), artifact.written_at);
            folders.entry(folder.to_owned()).or_default().insert(array);
        }
        if let Some(written_at) = foreign {
            self.foreign.push(StrayArray {
                run: run.clone(),
                path,
                written_at,
            });
        }
    }

    /// The folders of which most arrays are not in their places.
    pub(super) fn mostly<'a>(
        &'a self,
        folders: &'a BTreeMap<String, Arrays>,
    ) -> impl Iterator<Item = (&'a String, &'a Arrays)> {
        let is_most = |folder: &String, arrays: &Arrays| {
            let all = self.recorded.get(folder);
            all.is_some_and(|&all| 2 * arrays.len() > all)
        };
        folders
            .iter()
            .filter(move |(folder, arrays)| is_most(folder, arrays))
    }

    /// The folders of which no array is in its place.
    pub(super) fn whole<'a>(
        &'a self,
        folders: &'a BTreeMap<String, Arrays>,
    ) -> impl Iterator<Item = (&'a String, &'a Arrays)> {
        let is_whole = |folder: &String, arrays: &Arrays| {
            self.recorded
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
