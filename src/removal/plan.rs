//! What a removal would do, decided without changing anything.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::artifact::{Artifact, State};
use crate::catalog::Catalog;
use crate::error::Error;
use crate::layout;
use crate::size::Total;
use crate::storage::{self, Base};

/// An artifact that was chosen for removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Which one.
    pub artifact: Artifact,
    /// Whether its container was named itself, by path, number, key or kind: then everything in
    /// the container goes.
    pub whole_container: bool,
}

/// A folder that a removal moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedItem {
    /// Its path, relative to the base directory.
    pub path: String,
    /// Whether it is a container that goes as a whole.
    pub is_container: bool,
    /// The artifacts whose data lies in it.
    pub artifacts: Vec<Artifact>,
    /// What lies in it that the registry does not know: only where the container was named.
    pub unknown: Vec<PathBuf>,
    #[serde(skip)]
    pub(super) by_name: bool,
}

impl PlannedItem {
    /// What the arrays in it take, as far as they were counted.
    #[must_use]
    pub fn total(&self) -> Total {
        total_of(&self.artifacts)
    }
}

/// What arrays take that are thought present.
fn total_of<'a>(artifacts: impl IntoIterator<Item = &'a Artifact>) -> Total {
    let mut total = Total::default();
    artifacts
        .into_iter()
        .filter(|artifact| artifact.state == State::Present && !artifact.key.kind().is_container())
        .for_each(|artifact| total.add(artifact.size));
    total
}

/// What a removal would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemovalPlan {
    /// Folders to move.
    pub items: Vec<PlannedItem>,
    /// What lies in the containers besides and stays, relative to the base directory.
    pub stays: Vec<PathBuf>,
}

impl RemovalPlan {
    /// The artifacts that go.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.items.iter().flat_map(|item| &item.artifacts)
    }

    /// What the arrays take, as far as they were counted. Arrays without data take nothing.
    #[must_use]
    pub fn total(&self) -> Total {
        total_of(self.artifacts())
    }
}

/// Decides what a removal of these artifacts moves. Changes nothing.
///
/// # Errors
/// [`Error`] where something that the decision depends on cannot be read.
pub(crate) fn plan(
    catalog: &Catalog,
    base: &Base,
    chosen: Vec<Chosen>,
) -> Result<RemovalPlan, Error> {
    let mut containers: BTreeMap<String, BTreeMap<String, Chosen>> = BTreeMap::new();
    for chosen in chosen {
        let place = layout::place(&chosen.artifact.key);
        let group = containers.entry(place.container).or_default();
        let array = place.array.unwrap_or_default();
        let whole_container = chosen.whole_container
            || group
                .get(&array)
                .is_some_and(|known: &Chosen| known.whole_container);
        group.insert(
            array,
            Chosen {
                whole_container,
                ..chosen
            },
        );
    }
    let mut plan = RemovalPlan::default();
    for (container, group) in containers {
        plan_container(catalog, base, container, group, &mut plan)?;
    }
    Ok(plan)
}

fn plan_container(
    catalog: &Catalog,
    base: &Base,
    container: String,
    group: BTreeMap<String, Chosen>,
    plan: &mut RemovalPlan,
) -> Result<(), Error> {
    let path = Path::new(&container);
    let named = group.values().any(|chosen| chosen.whole_container);
    if named {
        let artifacts = catalog.in_container(&container)?;
        let contents = storage::contents(base, path)?;
        let unknown = unknown(&container, &contents, &artifacts);
        let by_name = true;
        plan.items.push(PlannedItem {
            path: container,
            is_container: true,
            artifacts,
            unknown,
            by_name,
        });
        return Ok(());
    }
    let is_all = catalog.count_in_container(&container, group.len() + 1)? == group.len();
    let artifacts: Vec<Artifact> = group.into_values().map(|chosen| chosen.artifact).collect();
    if is_all {
        let contents = storage::contents(base, path)?;
        let stays = unknown(&container, &contents, &artifacts);
        let has_data = !contents.arrays.is_empty() || !contents.others.is_empty();
        if stays.is_empty() && has_data {
            plan.items.push(PlannedItem {
                path: container,
                is_container: true,
                artifacts,
                unknown: Vec::new(),
                by_name: false,
            });
            return Ok(());
        }
        plan.stays
            .extend(stays.into_iter().map(|stays| path.join(stays)));
    }
    for artifact in artifacts {
        plan.items.push(PlannedItem {
            path: artifact.location().path(),
            is_container: artifact.key.kind().is_container(),
            artifacts: vec![artifact],
            unknown: Vec::new(),
            by_name: false,
        });
    }
    Ok(())
}

/// What of a container's contents belongs to none of these artifacts, relative to the container.
pub(super) fn unknown(
    container: &str,
    contents: &storage::Contents,
    artifacts: &[Artifact],
) -> Vec<PathBuf> {
    let known: HashSet<PathBuf> = artifacts
        .iter()
        .map(|artifact| artifact.location().path())
        .filter_map(|path| {
            Some(PathBuf::from(
                path.strip_prefix(container)?.trim_start_matches('/'),
            ))
        })
        .collect();
    let arrays = contents
        .arrays
        .iter()
        .filter(|array| !known.contains(*array));
    arrays.chain(&contents.others).cloned().collect()
}
