//! Restore: brings removed rows and data back, identical. The mirror image of a removal.
//!
//! ```text
//! 1  wait for the turn to write, BEGIN IMMEDIATE; settle what a crash left
//! 2  check: the removal is kept, every item lies in the trash; find what has no counterpart
//! 3  write trash/<removal>/restoring.json with the items; sync it
//! 4  reinstate the rows, mark them as restored
//! 5  rename each item to its old path; sync the folders that it went to, then the trash
//!    then put what was listed into the consolidated metadata of the groups above it
//! 6  COMMIT, synced
//! 7  drop restoring.json, and the folder if nothing is left in it
//! ```
//! A crash before 6 leaves the rows in the removal. The next open for writing completes the restore of
//! each item that is back at its path: a training may have written into it since, so it is not moved
//! again. The rest stays in the trash until that is emptied. A crash after 6 leaves `restoring.json`,
//! which that open drops. A removal whose purge has begun cannot be restored: the catalog says so
//! before the first file is unlinked.
//!
//! An item that was deleted in the trash by hand is lost: the rest comes back, and the rows of what
//! is lost come back as missing, in the same transaction. So it is with an artifact that was deleted
//! within an item: each is looked for before its row comes back. If all that is asked for is lost,
//! nothing is changed: it may have been moved away for a moment. What is put back into the trash later
//! comes back with the rest of its item, and its row is what it was.
//!
//! A restore brings back what was moved: a container comes back as a whole. If its place is taken,
//! as by the container of a training that goes on, its parts without a counterpart come back; see
//! `parts`. The rest stays in the trash, is in the report, and can be restored later: what has
//! no row by the id of its removal. If a restore of such files alone is killed, each is in its
//! place or in the trash, and stays there. Nothing that is at an old path is overwritten or moved;
//! only an empty folder gives way, and a row without data becomes what the removed one was. Folders
//! above an old path that are gone are made again as they were. What this user may not open in the
//! trash, or not move back, is treated in the same way: it stays, is in the report, and the rest
//! comes back.
//!
//! An item that is not the one that the manifest names stays, and all of its removal with it; see
//! `exchanged`. Each user that may have put an item into the trash must be able to write in the
//! folder that it returns to; see [`Claim`]. A restore unlinks nothing but its own note and, after
//! the commit, metadata of groups that is at its place with the same bytes, if nothing else is
//! left.

use std::cmp::Reverse;
mod absent;
mod exchanged;
mod items;
mod lost;
mod parts;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use self::absent::Absent;
use self::exchanged::AllItems;
use self::items::{RestorePart, way_back};
use self::parts::{Move, RowBack};
use crate::catalog::{Catalog, Change};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::operation::NewOperation;
use crate::model::removal::{Removal, RemovalId, RemovalState, RemovedArtifact};
use crate::ops::remove::Skipped;
use crate::ops::{recover, rest, target, trash};
use crate::store::{self, Base, Claim, DirtyFolders, StaleList, Trash, TrashFolder, TrashItem};

/// What to restore.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "one value a call; a box would only burden callers"
)]
pub enum RestoreTarget {
    /// Everything that a removal took and that is still in the trash.
    Removal(RemovalId),
    /// What was last removed from this path, absolute or relative to the base directory: an
    /// artifact, or a run, container or folder with everything that was removed from it.
    Path(PathBuf),
    /// Every artifact in the trash that a filter selects; the most recent one of each path.
    Filter(Filter),
    /// Of what another target names, only what the newest removal took.
    Last(Box<RestoreTarget>),
}

/// An artifact that stays in the trash because a newer removal took one from the same path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct OlderRemoved {
    /// Path relative to the base directory.
    pub path: String,
    /// The removal that it is in.
    pub removal: RemovalId,
}

/// What a restore brought back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Removals that something was restored from.
    pub removals: Vec<RemovalId>,
    /// Artifacts that are back.
    pub artifacts: Vec<Artifact>,
    /// Renames that it took.
    pub moved: u64,
    /// Artifacts that stay in the trash because something is at their place, because this user may
    /// not move them, or because their removal cannot be read, and those that were deleted in the
    /// trash by hand, and why. The rows of the latter are back as missing.
    pub skipped: Vec<Skipped>,
    /// Items that stay in the trash because a newer removal took something from the same path.
    pub older: Vec<OlderRemoved>,
    /// Consolidated metadata that could not be written, and does not list what is back.
    pub stale_lists: Vec<StaleList>,
}

/// Returns what a restore of the target would bring back. No artifact if all that is left of a
/// removal is what the registry has no row for.
///
/// # Errors
/// [`Error::NoRemoval`] if there is no such removal, [`Error::NotRestorable`] if its purge has
/// begun or it is over, [`Error::NotInTrash`] if nothing in the trash matches.
pub(crate) fn restorable(
    catalog: &Catalog,
    base: &Base,
    target: &RestoreTarget,
    now: Timestamp,
) -> Result<Vec<RemovedArtifact>, Error> {
    Ok(chosen(catalog, base, target, now)?.0)
}

/// What a target brings back, and what of the same places stays in older removals.
fn chosen(
    catalog: &Catalog,
    base: &Base,
    target: &RestoreTarget,
    now: Timestamp,
) -> Result<(Vec<RemovedArtifact>, Vec<OlderRemoved>), Error> {
    if let RestoreTarget::Last(target) = target {
        let (mut kept, mut older) = chosen(catalog, base, target, now)?;
        let removals = trash::removals(catalog)?;
        let is_of = |id: &RemovalId| kept.iter().any(|removed| removed.removal == *id);
        let last = removals.iter().rfind(|removal| is_of(&removal.id));
        if let Some(last) = last {
            kept.retain(|removed| removed.removal == last.id);
            let paths: HashSet<String> = kept.iter().map(path_of).collect();
            older.retain(|older| paths.contains(&older.path));
        }
        return Ok((kept, older));
    }
    let mut older = Vec::new();
    let everything = Filter {
        kinds: Kind::ALL.to_vec(),
        ..Filter::default()
    };
    let filter = match target {
        RestoreTarget::Filter(filter) => filter,
        _ => &everything,
    };
    let mut kept = catalog.kept_artifacts(filter, now)?;
    match target {
        RestoreTarget::Removal(id) => {
            let removal = catalog
                .removal(id)?
                .ok_or_else(|| trash::no_removal(catalog, id))?;
            if removal.state != RemovalState::Kept {
                let state = removal.state.as_str();
                return Err(Error::NotRestorable {
                    id: id.to_string(),
                    state,
                });
            }
            kept.retain(|removed| removed.removal == *id);
            if kept.is_empty() && has_leftovers(base, id)? {
                return Ok((kept, older));
            }
        }
        RestoreTarget::Path(path) => {
            let wanted = target::relative(base, path)?;
            // An artifact of exactly this path wins; else everything below the path is meant.
            match kept.iter().any(|removed| path_of(removed) == wanted) {
                true => kept.retain(|removed| path_of(removed) == wanted),
                false => kept.retain(|removed| Path::new(&path_of(removed)).starts_with(&wanted)),
            }
            older = last_of_each_place(&mut kept, &trash::removals(catalog)?);
        }
        RestoreTarget::Filter(_) | RestoreTarget::Last(_) => {
            older = last_of_each_place(&mut kept, &trash::removals(catalog)?);
        }
    }
    if kept.is_empty() {
        let in_trash = catalog.kept_artifacts(&everything, now)?;
        return Err(not_in_trash(catalog, base, target, &in_trash, now));
    }
    Ok((kept, older))
}

/// The error of a target of which nothing is in the trash.
fn not_in_trash(
    catalog: &Catalog,
    base: &Base,
    target: &RestoreTarget,
    in_trash: &[RemovedArtifact],
    now: Timestamp,
) -> Error {
    let (what, nearest) = match target {
        RestoreTarget::Removal(id) => (format!("removal {id}"), None),
        RestoreTarget::Path(path) => {
            let wanted = target::relative(base, path).ok();
            let nearest = wanted.and_then(|wanted| absent::near_path(&wanted, in_trash));
            let typed = path.file_name().unwrap_or_default().to_string_lossy();
            let nearest = nearest.or_else(|| trash::nearest_id(catalog, &typed));
            match nearest {
                Some(_) => (path.display().to_string(), nearest),
                None => absent::path_elsewhere(catalog, base, path),
            }
        }
        RestoreTarget::Filter(filter) => match absent::of_filter(filter, in_trash) {
            Absent::Near(what, nearest) => (what, Some(nearest)),
            Absent::Said(what) => (what, None),
            absent => {
                let what = match absent {
                    Absent::Named(what) => what,
                    _ => "the selection".to_owned(),
                };
                absent::elsewhere(catalog, base, filter, now).unwrap_or((what, None))
            }
        },
        RestoreTarget::Last(target) => return not_in_trash(catalog, base, target, in_trash, now),
    };
    Error::NotInTrash { what, nearest }
}

fn path_of(removed: &RemovedArtifact) -> String {
    removed.artifact.location().path()
}

/// Keeps the most recent removal of each path, because only one can come back; returns the others.
/// `removals` are in the order of their time, because ids have a resolution of a second.
fn last_of_each_place(kept: &mut Vec<RemovedArtifact>, removals: &[Removal]) -> Vec<OlderRemoved> {
    let ranks = removals.iter().enumerate();
    let ranks: HashMap<&RemovalId, usize> = ranks.map(|(at, removal)| (&removal.id, at)).collect();
    kept.sort_by_key(|removed| {
        let rank = ranks.get(&removed.removal).copied();
        (removed.artifact.location(), Reverse(rank))
    });
    let mut older = Vec::new();
    kept.dedup_by(|later, first| {
        let is_older = later.artifact.location() == first.artifact.location();
        if is_older {
            older.push(OlderRemoved {
                path: path_of(later),
                removal: later.removal.clone(),
            });
        }
        is_older
    });
    older
}

/// Brings back what a target names.
///
/// # Errors
/// As [`restorable`] and [`restore`].
pub(crate) fn restore_target(
    catalog: &Catalog,
    base: &Base,
    target: &RestoreTarget,
    operation: NewOperation<'_>,
) -> Result<RestoreReport, Error> {
    let (removed, older) = chosen(catalog, base, target, operation.at)?;
    let report = restore(catalog, base, operation, &removed, whole(target))?;
    Ok(RestoreReport { older, ..report })
}

/// The removal of which everything comes back.
fn whole(target: &RestoreTarget) -> Option<&RemovalId> {
    match target {
        RestoreTarget::Removal(id) => Some(id),
        RestoreTarget::Last(target) => whole(target),
        RestoreTarget::Path(_) | RestoreTarget::Filter(_) => None,
    }
}

/// Whether more than empty folders is left of a removal in the trash.
fn has_leftovers(base: &Base, id: &RemovalId) -> Result<bool, Error> {
    let Some(trash) = Trash::open(base)? else {
        return Ok(false);
    };
    Ok(match trash.folder(id)? {
        Some(folder) => !folder.is_hollow()?,
        None => false,
    })
}

/// Brings back the data that these removed artifacts lie in, one removal after the other. `whole`:
/// a removal of which everything comes back, also what has no row.
///
/// # Errors
/// [`Error::Occupied`] and the like if nothing can come back because something is in its place, or
/// this user may not move it, and any other [`Error`] of a removal that is then as before: if another
/// removal is restored, they are in the report. An error of the catalog, and a cancellation, ends
/// the call: removals before it are restored.
fn restore(
    catalog: &Catalog,
    base: &Base,
    operation: NewOperation<'_>,
    artifacts: &[RemovedArtifact],
    whole: Option<&RemovalId>,
) -> Result<RestoreReport, Error> {
    let mut report = RestoreReport::default();
    let removals = by_removal(artifacts, whole);
    let trash = match Trash::open(base)? {
        Some(trash) => trash,
        None if removals.is_empty() => return Ok(report),
        None => Trash::open_or_create(base)?,
    };
    let mut first = None;
    let all = AllItems::default();
    for (id, part) in removals {
        let skipped = report.skipped.len();
        let part = (id, part, &all);
        match restore_one(catalog, base, &trash, operation, part, &mut report) {
            Ok(()) => report.removals.push(id.clone()),
            Err(error) if error.ends_all() => return Err(error),
            // This one is as it was: another may come back.
            Err(error) => {
                let error = explained(base, error);
                if report.skipped.len() == skipped {
                    report.skipped.extend(skipped_of(artifacts, id, &error));
                }
                first.get_or_insert(error);
            }
        }
    }
    match first.filter(|_| report.removals.is_empty()) {
        Some(error) => Err(error),
        None => Ok(report),
    }
}

/// Says whose the folder of a removal is that this user may not open, if that is the error.
fn explained(base: &Base, error: Error) -> Error {
    let Error::Storage(error) = error else {
        return error;
    };
    let at = error.path().strip_prefix(base.path());
    let at = at.unwrap_or(error.path()).to_path_buf();
    store::explain_closed(base, &at, error).into()
}

/// The artifacts of a removal of which nothing comes back because of an error.
fn skipped_of(
    artifacts: &[RemovedArtifact],
    id: &RemovalId,
    error: &Error,
) -> impl Iterator<Item = Skipped> {
    let of_removal = artifacts.iter().filter(|one| one.removal == *id);
    of_removal.map(|one| Skipped::new(one.artifact.path(), error))
}

/// The artifacts that are to come back, as parts of the removals that they are in; `whole` as for
/// [`restore`].
fn by_removal<'a>(
    artifacts: &'a [RemovedArtifact],
    whole: Option<&'a RemovalId>,
) -> BTreeMap<&'a RemovalId, RestorePart> {
    let mut removals: BTreeMap<&RemovalId, RestorePart> = BTreeMap::new();
    if let Some(id) = whole {
        removals.entry(id).or_default().is_whole = true;
    }
    for removed in artifacts {
        let part = removals.entry(&removed.removal).or_default();
        match removed.item {
            Some(item) => {
                let wanted = part.items.entry(item).or_default();
                wanted.insert(removed.artifact.id.0);
            }
            None => part.rows.push(removed.artifact.clone()),
        }
    }
    removals
}

/// What a restore of these targets, one after the other, would do now: it looks at catalog, trash
/// and disk as the restore does, and changes nothing.
///
/// # Errors
/// Those of the restore of a target, unless a target before it would bring something back and
/// nothing went wrong but places that are taken: then these are in the report.
pub(crate) fn plan_restore(
    catalog: &Catalog,
    base: &Base,
    targets: &[RestoreTarget],
    now: Timestamp,
) -> Result<RestoreReport, Error> {
    let mut report = RestoreReport::default();
    let (mut ids, mut taken) = (HashSet::new(), HashSet::new());
    let all = AllItems::default();
    for target in targets {
        let (mut removed, older) = chosen(catalog, base, target, now)?;
        report.older.extend(older);
        // What a target before this one brings back is not in the trash any more by then.
        let had_artifacts = !removed.is_empty();
        removed.retain(|one| !ids.contains(&one.artifact.id));
        if removed.is_empty() && had_artifacts {
            return Err(Error::NotInTrash {
                what: "what is named twice".to_owned(),
                nearest: None,
            });
        }
        let mut first = None;
        let mut comes = false;
        for (id, part) in by_removal(&removed, whole(target)) {
            let look = || {
                let folder = match Trash::open(base)? {
                    Some(trash) => trash.folder(id)?,
                    None => None,
                };
                catalog.view_removals(|view| {
                    let back = way_back(base, view, folder.as_ref(), (id, &part), &all)?;
                    Ok::<_, Error>(back.beside(&taken))
                })
            };
            let back = match look() {
                Ok(back) => back,
                Err(error) if error.ends_all() => return Err(error),
                Err(error) => {
                    let error = explained(base, error);
                    report.skipped.extend(skipped_of(&removed, id, &error));
                    first.get_or_insert(error);
                    continue;
                }
            };
            report.skipped.extend(back.skipped);
            match back
                .first
                .filter(|_| back.rows.is_empty() && back.moves.is_empty())
            {
                Some(error) => drop(first.get_or_insert(error)),
                None => {
                    comes = true;
                    report.moved += back.moves.len() as u64;
                    report.removals.push(id.clone());
                    for RowBack { artifact, .. } in back.rows {
                        ids.insert(artifact.id);
                        taken.insert(artifact.path());
                        report.artifacts.push(artifact);
                    }
                }
            }
        }
        if let Some(error) = first.filter(|_| !comes) {
            return Err(error);
        }
    }
    Ok(report)
}

fn restore_one(
    catalog: &Catalog,
    base: &Base,
    trash: &Trash,
    operation: NewOperation<'_>,
    (id, part, all): (&RemovalId, RestorePart, &AllItems),
    report: &mut RestoreReport,
) -> Result<(), Error> {
    let folder = trash.folder(id)?;
    let mut moved = Vec::new();
    let mut skipped = Vec::new();
    let mut is_committing = false;
    let outcome = recover::change_settled(catalog, base, operation, |change| {
        // It may run twice; see there.
        skipped.clear();
        let done = (&mut moved, &mut skipped, &mut report.stale_lists);
        let artifacts = restore_part(
            (catalog, base),
            change,
            folder.as_ref(),
            operation.at,
            (id, &part, all),
            done,
        )?;
        is_committing = true;
        Ok(artifacts)
    });
    match outcome {
        Ok(artifacts) => {
            report.moved += moved.len() as u64;
            report.artifacts.extend(artifacts);
            report.skipped.extend(skipped);
        }
        Err(error) if moved.is_empty() && !is_committing => {
            // Reports what could not begin; after a failed move it does not go on.
            report.skipped.extend(skipped);
            return Err(error);
        }
        Err(error) => {
            // A failed COMMIT could still become valid after a crash; then the data must stay.
            let can_roll_back = !is_committing || catalog.forget_failed_commits().is_ok();
            if let Some(folder) = &folder
                && can_roll_back
            {
                roll_back(base, folder, &moved);
            }
            return Err(error);
        }
    }
    if let Some(folder) = &folder {
        // If this fails, the next open for writing does it.
        if folder.end_restoring().is_ok() {
            let _ = drop_rest(catalog, base, trash, folder, id);
        }
    }
    Ok(())
}

/// Drops what is left of a removal that is over.
fn drop_rest(
    catalog: &Catalog,
    base: &Base,
    trash: &Trash,
    folder: &TrashFolder,
    id: &RemovalId,
) -> Result<(), Error> {
    catalog.view_removals(|view| match view.removal(id)? {
        Some(open) if open.state == RemovalState::Restored => {
            rest::drop_nothing(base, view, folder, id)
        }
        // Of what is kept, only folders whose parts came back.
        _ if folder.is_hollow()? => Ok(folder.drop_hollow()?),
        _ => Ok(()),
    })?;
    trash.remove_folder(id)?;
    Ok(())
}

fn restore_part(
    (on, base): (&Catalog, &Base),
    change: &Change<'_>,
    folder: Option<&TrashFolder>,
    now: Timestamp,
    (id, part, all): (&RemovalId, &RestorePart, &AllItems),
    (moved, skipped, stale): (&mut Vec<TrashItem>, &mut Vec<Skipped>, &mut Vec<StaleList>),
) -> Result<Vec<Artifact>, Error> {
    // Under the lock, because another process may have begun to purge it since it was chosen.
    let mut back = way_back(base, &change.view(), folder, (id, part), all)?;
    skipped.append(&mut back.skipped);
    if back.rows.is_empty()
        && back.moves.is_empty()
        && let Some(first) = back.first
    {
        return Err(first);
    }
    if let Some(folder) = folder
        && !back.moves.is_empty()
    {
        // Before the note, which a roll-back takes away only if something was moved.
        on.require_not_interrupted()?;
        let items = back.moves.iter().map(|back| back.item.clone()).collect();
        // Durable before the first move: after a crash recovery reads from it which items to take
        // back into the trash.
        folder.write_restoring(items)?;
    }
    for &item in &back.lost {
        change.reinstate_lost(id, item, now)?;
    }
    change.reinstate_lost_artifacts(id, &back.lost_rows, now)?;
    let mut artifacts = Vec::with_capacity(back.rows.len());
    for RowBack { artifact, is_over } in back.rows {
        artifacts.push(match is_over {
            true => change.reinstate_over(id, &artifact, now)?,
            false => {
                change.reinstate(id, artifact.id, now)?;
                artifact
            }
        });
    }
    let Some(folder) = folder else {
        if change.left(id)? == 0 {
            change.set_state(id, RemovalState::Restored, Some(now))?;
        }
        return Ok(artifacts);
    };
    let mut dirty = DirtyFolders::default();
    for Move { item, claim, forms } in &back.moves {
        if !moved.is_empty() {
            on.require_not_interrupted()?;
        }
        // Noted first: a move that fails half-way is rolled back like a complete one.
        moved.push(item.clone());
        // It was free when it was checked: another process has put something there since.
        let back = folder.put_back(base, item, claim, forms, &mut dirty);
        let back = back.map_err(|error| {
            let trashed = parts::in_trash(base, folder, item);
            store::why_stays(base, Path::new(&item.path), &trashed, error)
        });
        if !back? {
            return Err(Error::Occupied {
                path: base.path().join(&item.path),
            });
        }
    }
    // Before COMMIT: a row must not say `present` while its data could return to the trash.
    folder.sync_dirty(&dirty)?;
    folder.sync_with(&dirty)?;
    // Claim by claim: a list is changed only if the users who moved its items may write it.
    let mut by_claim: Vec<(&Claim, Vec<TrashItem>)> = Vec::new();
    for Move { item, claim, .. } in back.moves.iter().filter(|back| back.item.is_listed()) {
        match by_claim.iter_mut().find(|(known, _)| *known == claim) {
            Some((_, items)) => items.push(item.clone()),
            None => by_claim.push((claim, vec![item.clone()])),
        }
    }
    for (claim, items) in by_claim {
        stale.extend(store::mend_lists(base, folder.path(), &items, claim));
    }
    // A file that stays keeps its removal, even if every row of it is back.
    if change.left(id)? == 0 && rest::is_nothing(base, &change.view(), folder, id)? {
        change.set_state(id, RemovalState::Restored, Some(now))?;
    }
    Ok(artifacts)
}

/// Moves items that were restored already into the trash again. The next open for writing moves
/// those that this cannot.
fn roll_back(base: &Base, folder: &TrashFolder, moved: &[TrashItem]) {
    let mut dirty = DirtyFolders::default();
    let mut is_back = true;
    for item in moved {
        match folder.holds(item) {
            Ok(true) => {
                let taken = folder.take_second_name(base, item, &Claim::own(), &mut dirty);
                is_back &= taken.is_ok();
            }
            Ok(false) => is_back &= folder.take(base, item, &Claim::own(), &mut dirty).is_ok(),
            Err(_) => is_back = false,
        }
    }
    // The lists may name the items again; now they must not.
    store::mend_lists(base, folder.path(), moved, &Claim::own());
    is_back &= folder.sync_with(&dirty).is_ok() && folder.sync_dirty(&dirty).is_ok();
    if is_back {
        let _ = folder.end_restoring();
    }
}
