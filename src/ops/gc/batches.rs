//! The batches that a plan is carried out in.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::file::PlanFile;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::key::Kind;
use crate::model::layout;
use crate::ops::remove::{ArtifactToRemove, Protection, RemovalPlan, RemoveOptions, Skipped};
use crate::store::{Base, StorageError};

/// Artifacts of one removal, unless a container goes whole.
const BATCH: usize = 1000;

/// Splits the artifacts of a plan that can still go into batches, and reports the others.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
pub(super) fn batches(
    catalog: &Catalog,
    base: &Base,
    plan: &PlanFile,
    options: &RemoveOptions,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Vec<ArtifactToRemove>>, Error> {
    let mut protection = Protection::new(base, options);
    let mut containers: BTreeMap<String, Vec<ArtifactToRemove>> = BTreeMap::new();
    for item in &plan.items {
        let mut planned = item.artifact(base);
        let kind = item.key.kind();
        if planned.data_written_at.is_none() && !kind.is_container() && !kind.is_file() {
            // A plan that does not say when the data was written holds for what is as old as it.
            planned.data_written_at = Some(plan.made_at);
        }
        // Skips what changed before batches are formed; the transaction checks once more.
        match still(catalog, &mut protection, &planned) {
            Ok(()) => {
                let chosen = ArtifactToRemove {
                    artifact: planned,
                    whole_container: false,
                };
                let container = layout::canonical_location(&item.key).container;
                containers.entry(container).or_default().push(chosen);
            }
            // The catalog itself failed: every further artifact would fail too.
            Err(error) if error.ends_all() => return Err(error),
            Err(error) => skipped.push(Skipped::new(planned.path(), &error)),
        }
    }
    let mut batches = Vec::new();
    let mut batch = Vec::new();
    for (container, chosen) in containers {
        // Checkpoints are files that go one by one; the folder that they are in stays.
        let is_files = chosen
            .first()
            .is_some_and(|chosen| chosen.artifact.key.kind() == Kind::Checkpoint);
        // Only a container whose every row goes can go by one rename, and it must be in one batch.
        let is_whole =
            !is_files && catalog.count_in_container(&container, chosen.len() + 1)? == chosen.len();
        let chosen = match is_whole {
            true => chosen,
            false => without_container(catalog, &container, chosen, skipped)?,
        };
        if is_whole {
            // Not divided: the container goes by one rename, and its rows with it.
            batch.extend(chosen);
        } else {
            let mut chosen = chosen.into_iter().peekable();
            while chosen.peek().is_some() {
                let room = BATCH.saturating_sub(batch.len());
                batch.extend(chosen.by_ref().take(room));
                if batch.len() >= BATCH {
                    batches.push(std::mem::take(&mut batch));
                }
            }
        }
        if batch.len() >= BATCH {
            batches.push(std::mem::take(&mut batch));
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    Ok(batches)
}

/// The part of a container that can go if something that is recorded in it stays: all but the
/// container itself.
fn without_container(
    catalog: &Catalog,
    container: &str,
    chosen: Vec<ArtifactToRemove>,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<ArtifactToRemove>, Error> {
    let is_container = |chosen: &ArtifactToRemove| chosen.artifact.key.kind().is_container();
    let (outer, inner): (Vec<ArtifactToRemove>, Vec<ArtifactToRemove>) =
        chosen.into_iter().partition(is_container);
    if outer.is_empty() {
        return Ok(inner);
    }
    let goes: HashSet<ArtifactId> = inner
        .iter()
        .chain(&outer)
        .map(|chosen| chosen.artifact.id)
        .collect();
    // Read only now, to name one that stays: for most containers the count is enough.
    let recorded = catalog.in_container(container)?;
    let stays = recorded.iter().find(|known| !goes.contains(&known.id));
    for outer in outer {
        let path = outer.artifact.path();
        let inner = stays.map_or_else(|| path.clone(), Artifact::path);
        let error = Error::Nested { outer: path, inner };
        skipped.push(Skipped::new(outer.artifact.path(), &error));
    }
    Ok(inner)
}

/// Removes from a batch the containers that hold unknown files; the planned removal lists these
/// files.
pub(super) fn leave_occupied(
    base: &Base,
    removal: &RemovalPlan,
    batch: &mut Vec<ArtifactToRemove>,
    skipped: &mut Vec<Skipped>,
) -> bool {
    let before = batch.len();
    batch.retain(|chosen| {
        let path = chosen.artifact.location().path();
        let stranger = removal.stays.iter().find(|stays| stays.starts_with(&path));
        let Some(stranger) = stranger.filter(|_| chosen.artifact.key.kind().is_container()) else {
            return true;
        };
        // The plan names the container itself if it could not list what is in it.
        if stranger == Path::new(&path) {
            let why = "this user may not read all that is in it";
            let error = StorageError::not_movable(&chosen.artifact.path(), why);
            skipped.push(Skipped::new(chosen.artifact.path(), &error.into()));
            return false;
        }
        let error = Error::Nested {
            outer: chosen.artifact.path(),
            inner: base.path().join(stranger),
        };
        skipped.push(Skipped {
            path: chosen.artifact.path(),
            code: error.code(),
            reason: format!("{error}; the registry does not know it"),
        });
        false
    });
    batch.len() < before
}

/// Refuses an artifact that changed since it was planned.
fn still(
    catalog: &Catalog,
    protection: &mut Protection<'_>,
    planned: &Artifact,
) -> Result<(), Error> {
    match catalog.by_id(planned.id)? {
        Some(now) if now.key == planned.key => protection.check(planned, &now),
        Some(_) => Err(Error::ChangedSince {
            path: planned.path(),
            what: "recorded again",
        }),
        // The row is gone; another at the same path means that it was removed and recorded again.
        None => match catalog.at(&layout::canonical_location(&planned.key))? {
            Some(_) => Err(Error::ChangedSince {
                path: planned.path(),
                what: "recorded again",
            }),
            None => Err(Error::ChangedSince {
                path: planned.path(),
                what: "removed",
            }),
        },
    }
}
