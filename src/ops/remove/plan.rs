//! Planning a removal: what it would move. Changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::progress::Monitor;
use crate::model::size::{Size, Total, as_others};
use crate::ops::grown::CountsNow;
use crate::ops::near;
use crate::store::{self, Base, ContainerListing, EntryType};

/// An artifact that was chosen for removal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArtifactToRemove {
    /// The artifact, as its row is.
    pub artifact: Artifact,
    /// Whether its container was named itself, by path, number, key or kind: then everything in
    /// the container goes.
    pub whole_container: bool,
}

impl ArtifactToRemove {
    /// Chooses an artifact by itself.
    #[must_use]
    pub fn new(artifact: Artifact) -> Self {
        Self {
            artifact,
            whole_container: false,
        }
    }

    /// Sets whether the container was named itself, so that everything in it goes.
    #[must_use]
    pub fn whole_container(mut self, whole_container: bool) -> Self {
        self.whole_container = whole_container;
        self
    }
}

/// Which containers a removal takes as a whole, if all that is in them goes. One that was named
/// itself goes whatever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Containers {
    /// Those that were selected. Others stay with their group metadata: a training may be about to
    /// write into them.
    Selected,
    /// All: what a policy empties is not written any more.
    Emptied,
}

/// A folder, or the file of a checkpoint, that a removal moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PlannedItem {
    /// Its path, relative to the base directory.
    pub path: String,
    /// Whether it is a container, or the folder of a run, that goes as a whole.
    pub is_container: bool,
    /// The artifacts whose data is in it.
    pub artifacts: Vec<Artifact>,
    /// Files in it that the registry does not know; empty unless the container was named.
    pub unknown: Vec<PathBuf>,
    /// Bytes and files in it that no artifact has: what the registry does not know, and the
    /// metadata of groups. `None` until [`Registry::count_others`](crate::Registry::count_others)
    /// counts them, and if something in it cannot be read.
    #[serde(flatten, serialize_with = "as_others")]
    pub others: Option<Size>,
    /// Whether it is a folder or a file.
    #[serde(skip)]
    pub(super) entry_type: EntryType,
    #[serde(skip)]
    pub(super) by_name: bool,
    /// The run whose whole folder it is.
    #[serde(skip)]
    pub(super) run: Option<RunName>,
    /// Artifacts that are present by their rows and have no data in it.
    #[serde(skip)]
    pub(super) missing: Vec<ArtifactId>,
    /// What is there of sealed artifacts that have grown since.
    #[serde(skip)]
    pub(super) counts: CountsNow,
    /// Why its contents could not be listed.
    #[serde(skip)]
    pub(super) obstacle: Option<Obstacle>,
}

/// Why a container that was named cannot go. Found by the plan, refused when it is carried out, so
/// that the rest can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Something in it may not be read by this user.
    Unreadable,
    /// Another registry is in it, at this path relative to the container.
    Registry(PathBuf),
}

impl PlannedItem {
    /// Sums the bytes and files of the arrays in it, as far as they were counted.
    #[must_use]
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        self.add_to(&mut total);
        total
    }

    /// Adds the sizes of arrays that have data by their rows.
    fn add_to(&self, total: &mut Total) {
        self.artifacts
            .iter()
            .filter(|artifact| artifact.state.has_data() && !artifact.key.kind().is_container())
            .for_each(|artifact| total.add(self.counts.size_of(artifact)));
    }
}

/// What a removal would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RemovalPlan {
    /// What would be moved.
    pub items: Vec<PlannedItem>,
    /// Other contents of the containers, which stay; relative to the base directory.
    pub stays: Vec<PathBuf>,
}

impl RemovalPlan {
    /// The artifacts that go.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.items.iter().flat_map(|item| &item.artifacts)
    }

    /// Sums the bytes and files of the arrays, as far as they were counted. Arrays without data
    /// count as nothing.
    #[must_use]
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        self.items.iter().for_each(|item| item.add_to(&mut total));
        total
    }

    /// Takes from a refresh what it counted of sealed arrays that have grown: the sums go by that,
    /// and not by what was sealed, which the rows keep.
    pub fn count_as(&mut self, counts: &CountsNow) {
        for item in &mut self.items {
            item.counts = counts.of(&item.artifacts);
        }
    }

    /// Sums what the items hold beside their artifacts; `None` if one was not counted.
    #[must_use]
    pub fn others(&self) -> Option<Size> {
        let mut sum = Size::default();
        for item in &self.items {
            sum.add(item.others?);
        }
        Some(sum)
    }
}

/// Decides what a removal of these artifacts moves. Changes nothing.
///
/// # Errors
/// [`Error`] if something that the decision depends on cannot be read, or the monitor cancels.
pub(crate) fn plan(
    catalog: &Catalog,
    base: &Base,
    takes: Containers,
    chosen: Vec<ArtifactToRemove>,
    monitor: &dyn Monitor,
) -> Result<RemovalPlan, Error> {
    let mut containers: BTreeMap<String, BTreeMap<String, ArtifactToRemove>> = BTreeMap::new();
    let mut plan = RemovalPlan::default();
    for chosen in chosen {
        // A file goes by itself, even if everything that the catalog knows in the container goes.
        if chosen.artifact.key.kind().is_file() {
            plan.items.push(alone(chosen.artifact));
            continue;
        }
        let place = layout::canonical_location(&chosen.artifact.key);
        let group = containers.entry(place.container).or_default();
        let array = place.array.unwrap_or_default();
        // A selection can have the container that a path names too; naming it counts.
        let whole_container = chosen.whole_container
            || group
                .get(&array)
                .is_some_and(|known: &ArtifactToRemove| known.whole_container);
        group.insert(
            array,
            ArtifactToRemove {
                whole_container,
                ..chosen
            },
        );
    }
    for (container, group) in containers {
        plan_container((catalog, base, monitor), takes, container, group, &mut plan)?;
    }
    plan.items = merge_nested(plan.items);
    Ok(plan)
}

/// Decides what a removal of a whole run moves: its folder, with everything in it. Changes nothing.
///
/// # Errors
/// [`Error::NotRecorded`] if nothing is recorded of the run, [`Error::Nested`] if another run lies
/// in its folder, and as [`plan`].
pub(crate) fn plan_run(
    catalog: &Catalog,
    base: &Base,
    run: &RunName,
    monitor: &dyn Monitor,
) -> Result<RemovalPlan, Error> {
    let path = Path::new(run.as_str());
    // Everything below the folder of the run, with its checkpoints.
    let artifacts = catalog.in_container(run.as_str())?;
    if artifacts.is_empty() {
        return Err(near::run_not_recorded(catalog, run));
    }
    // Its rows would stay without their data.
    if let Some(other) = artifacts.iter().find(|artifact| artifact.key.run() != run) {
        return Err(Error::Nested {
            outer: base.path().join(path),
            inner: other.path(),
        });
    }
    let (contents, mut obstacle) = match store::list_container(base, path, monitor) {
        Ok(contents) => (contents, None),
        Err(error) if error.is_permission() => {
            (ContainerListing::default(), Some(Obstacle::Unreadable))
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(registry) = contents.registries.first() {
        obstacle = Some(Obstacle::Registry(registry.clone()));
    }
    // A training may have begun it since the last scan.
    if let Some(other) = of_another_run(run, &contents) {
        return Err(Error::Nested {
            outer: base.path().join(path),
            inner: base.path().join(other),
        });
    }
    let item = PlannedItem {
        path: run.to_string(),
        is_container: true,
        unknown: unknown(run.as_str(), &contents, &artifacts),
        others: None,
        missing: missing(run.as_str(), &contents, &artifacts),
        counts: CountsNow::default(),
        artifacts,
        entry_type: EntryType::Folder,
        by_name: true,
        run: Some(run.clone()),
        obstacle,
    };
    Ok(RemovalPlan {
        items: vec![item],
        ..RemovalPlan::default()
    })
}

/// An array or a checkpoint of a run below the folder of this one, relative to the base directory.
fn of_another_run(run: &RunName, contents: &ContainerListing) -> Option<PathBuf> {
    let folder = Path::new(run.as_str());
    let arrays = contents.arrays.iter().map(|path| (path, false));
    let files = contents.others.iter().map(|path| (path, true));
    arrays.chain(files).find_map(|(path, is_file)| {
        let path = folder.join(path);
        let key = layout::parse(path.to_str()?).ok()?;
        let is_below = key.run() != run && Path::new(key.run().as_str()).starts_with(folder);
        (is_below && key.kind().is_file() == is_file).then_some(path)
    })
}

fn plan_container(
    (catalog, base, monitor): (&Catalog, &Base, &dyn Monitor),
    takes: Containers,
    container: String,
    group: BTreeMap<String, ArtifactToRemove>,
    plan: &mut RemovalPlan,
) -> Result<(), Error> {
    let path = Path::new(&container);
    let named = group.values().any(|chosen| chosen.whole_container);
    if named {
        // Every row in it goes, chosen or not.
        let mut artifacts = catalog.in_container(&container)?;
        // Rows from the catalog have no times of their data; those of the look must not be lost.
        let dated: HashMap<ArtifactId, Timestamp> = group
            .values()
            .filter_map(|chosen| Some((chosen.artifact.id, chosen.artifact.data_written_at?)))
            .collect();
        for artifact in &mut artifacts {
            artifact.data_written_at = dated.get(&artifact.id).copied();
        }
        let (contents, mut obstacle) = match store::list_container(base, path, monitor) {
            Ok(contents) => (contents, None),
            Err(error) if error.is_permission() => {
                (ContainerListing::default(), Some(Obstacle::Unreadable))
            }
            Err(error) => return Err(error.into()),
        };
        // Its arrays have rows in that registry, which would stay without data.
        if let Some(registry) = contents.registries.first() {
            obstacle = Some(Obstacle::Registry(registry.clone()));
        }
        let unknown = unknown(&container, &contents, &artifacts);
        let missing = missing(&container, &contents, &artifacts);
        plan.items.push(PlannedItem {
            path: container,
            is_container: true,
            artifacts,
            unknown,
            others: None,
            entry_type: EntryType::Folder,
            by_name: true,
            run: None,
            missing,
            counts: CountsNow::default(),
            obstacle,
        });
        return Ok(());
    }
    // One more than were chosen is enough to see that a row stays.
    let is_all = catalog.count_in_container(&container, group.len() + 1)? == group.len();
    let artifacts: Vec<Artifact> = group.into_values().map(|chosen| chosen.artifact).collect();
    let is_selected = |artifact: &Artifact| artifact.key.kind().is_container();
    let may_go = takes == Containers::Emptied || artifacts.iter().any(is_selected);
    // A listing walks the container: spared if a row in it stays anyway.
    let listed = match is_all {
        true => list_readable(base, path, monitor)?,
        false => None,
    };
    let is_unlisted = listed.is_none();
    if let Some(contents) = listed {
        let stays = unknown(&container, &contents, &artifacts);
        // Without data there is nothing to rename: the rows go one by one below.
        let has_data = !contents.arrays.is_empty() || !contents.others.is_empty();
        if may_go && stays.is_empty() && has_data {
            let missing = missing(&container, &contents, &artifacts);
            plan.items.push(PlannedItem {
                path: container,
                is_container: true,
                artifacts,
                unknown: Vec::new(),
                others: None,
                entry_type: EntryType::Folder,
                by_name: false,
                run: None,
                missing,
                counts: CountsNow::default(),
                obstacle: None,
            });
            return Ok(());
        }
        plan.stays
            .extend(stays.into_iter().map(|stays| path.join(stays)));
    }
    // A container that was not named stays with what stays in it.
    let is_there = !base.is_absent(&container);
    for artifact in artifacts {
        if !(is_there && artifact.key.kind().is_container()) {
            plan.items.push(alone(artifact));
        } else if is_unlisted {
            plan.stays.push(path.to_path_buf());
        }
    }
    Ok(())
}

/// Adds to a plan what is below a folder in a container and stays when the artifacts there go.
///
/// # Errors
/// [`Error`] if the folder cannot be listed; one that this user may not read stays as a whole.
pub(crate) fn add_stays_below(
    base: &Base,
    plan: &mut RemovalPlan,
    folder: &str,
    monitor: &dyn Monitor,
) -> Result<(), Error> {
    let path = Path::new(folder);
    let stays = match list_readable(base, path, monitor)? {
        Some(contents) => {
            let is_below =
                |artifact: &&Artifact| Path::new(&artifact.location().path()).starts_with(path);
            let artifacts: Vec<Artifact> = plan.artifacts().filter(is_below).cloned().collect();
            unknown(folder, &contents, &artifacts)
        }
        None => vec![PathBuf::new()],
    };
    for stays in stays {
        let stays = path.join(stays);
        // The listing of the whole container has them already.
        if !plan.stays.contains(&stays) {
            plan.stays.push(stays);
        }
    }
    Ok(())
}

/// Lists a container; `None` if this user may not read all of it: then it stays.
fn list_readable(
    base: &Base,
    path: &Path,
    monitor: &dyn Monitor,
) -> Result<Option<ContainerListing>, Error> {
    match store::list_container(base, path, monitor) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.is_permission() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The item of an artifact that goes by itself.
fn alone(artifact: Artifact) -> PlannedItem {
    let kind = artifact.key.kind();
    PlannedItem {
        path: artifact.location().path(),
        is_container: kind.is_container(),
        // All that is in the folder of an array is the array's.
        others: (artifact.state.has_data() && !kind.is_container()).then(Size::default),
        artifacts: vec![artifact],
        unknown: Vec::new(),
        entry_type: if kind.is_file() {
            EntryType::File
        } else {
            EntryType::Folder
        },
        by_name: false,
        run: None,
        missing: Vec::new(),
        counts: CountsNow::default(),
        obstacle: None,
    }
}

/// Merges items that are inside another item into it: one rename takes both.
fn merge_nested(mut items: Vec<PlannedItem>) -> Vec<PlannedItem> {
    // Paths compare by component, so what is inside an item follows it directly.
    items.sort_by(|one, other| Path::new(&one.path).cmp(Path::new(&other.path)));
    let mut kept: Vec<PlannedItem> = Vec::with_capacity(items.len());
    for item in items {
        match kept.last_mut() {
            Some(outer) if Path::new(&item.path).starts_with(&outer.path) => {
                // A container that was named has all rows in it already.
                let known: HashSet<i64> = outer.artifacts.iter().map(|known| known.id.0).collect();
                let new = item.artifacts.into_iter();
                let new = new.filter(|artifact| !known.contains(&artifact.id.0));
                outer.artifacts.extend(new);
                outer.missing.extend(item.missing);
            }
            _ => kept.push(item),
        }
    }
    kept
}

/// Artifacts that are present by their rows and were not found in their container.
fn missing(
    container: &str,
    contents: &store::ContainerListing,
    artifacts: &[Artifact],
) -> Vec<ArtifactId> {
    let arrays: HashSet<&Path> = contents.arrays.iter().map(PathBuf::as_path).collect();
    // Folders with files in them count as data even if their array metadata is gone.
    let others = contents.others.iter().flat_map(|other| other.ancestors());
    let others: HashSet<&Path> = others.collect();
    let is_missing = |artifact: &Artifact| {
        let Some(path) = relative(container, artifact) else {
            return false;
        };
        artifact.state.has_data()
            && !artifact.key.kind().is_container()
            && !others.contains(path.as_path())
            && !path.ancestors().any(|above| arrays.contains(above))
    };
    let missing = artifacts.iter().filter(|artifact| is_missing(artifact));
    missing.map(|artifact| artifact.id).collect()
}

/// The path of an artifact in a container.
fn relative(container: &str, artifact: &Artifact) -> Option<PathBuf> {
    let path = artifact.location().path();
    let path = path.strip_prefix(container)?.trim_start_matches('/');
    Some(PathBuf::from(path))
}

/// Contents of a container that belong to none of these artifacts, relative to the container.
pub(super) fn unknown(
    container: &str,
    contents: &store::ContainerListing,
    artifacts: &[Artifact],
) -> Vec<PathBuf> {
    let relative = |artifact: &Artifact| relative(container, artifact);
    let known: HashSet<PathBuf> = artifacts.iter().filter_map(relative).collect();
    // Everything inside an array's folder goes with it, even if the metadata is gone.
    let whole: HashSet<PathBuf> = artifacts
        .iter()
        .filter(|artifact| !artifact.key.kind().is_container())
        .filter_map(relative)
        .collect();
    let files: HashSet<PathBuf> = artifacts
        .iter()
        .filter(|artifact| artifact.key.kind().is_file())
        .filter_map(relative)
        .collect();
    let arrays = contents
        .arrays
        .iter()
        .filter(|array| !known.contains(*array));
    let others = contents
        .others
        .iter()
        .filter(|other| !files.contains(*other));
    arrays
        .chain(others)
        .chain(&contents.registries)
        .filter(|path| !path.ancestors().skip(1).any(|above| whole.contains(above)))
        .cloned()
        .collect()
}
