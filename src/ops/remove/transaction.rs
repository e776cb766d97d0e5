//! The transaction of a removal: steps 1 to 6, and putting everything back if one fails.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::context::{Checked, Removing};
use super::foreign::of_other_runs;
use super::manifest;
use super::moved::Moved;
use super::path::folder_of_run;
use super::plan::{Obstacle, PlannedItem, RemovalPlan, unknown};
use super::protection::Protection;
use super::purge::{drop_empty, purge};
use super::report::{RemovalReport, RemoveOptions, Skipped};
use crate::catalog::{Change, OpenRemoval};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::layout;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Silent};
use crate::model::removal::{RemovalId, RemovalState};
use crate::model::size::{Size, Total};
use crate::ops::held::Held;
use crate::ops::inner::{self, RegistriesAround};
use crate::ops::recover;
use crate::ops::room::with_room;
use crate::ops::twins;
use crate::ops::written::{self, Closely};
use crate::store::{
    self, Base, Claim, DirtyFolders, FolderForms, Inside, LookFor, PurgeReport, StaleList,
    StorageError, Trash, TrashFolder, TrashItem,
};

/// What was done on disk, to be undone if a later step fails.
#[derive(Default)]
struct Done {
    folder: Option<TrashFolder>,
    taken: Vec<TrashItem>,
    dirty: DirtyFolders,
    /// Consolidated metadata that could not be written, and lists what is gone.
    stale_lists: Vec<StaleList>,
    /// Whether only the commit is left.
    is_committing: bool,
    /// What this user may not move, by its path, though it looked as if it could be moved.
    unmovable: HashMap<String, Error>,
    /// Whether another process deleted an item before it could be moved.
    is_one_gone: bool,
    /// What was at each path when it was checked.
    seen: HashMap<String, Option<store::EntryId>>,
}

/// What earlier rounds of a removal found.
struct Known<'a> {
    /// The errors of items that are left out.
    unmovable: HashMap<String, Error>,
    /// What was at each path when it was first checked. Nothing else is taken.
    seen: HashMap<String, Option<store::EntryId>>,
    /// Looks for what is gone under other names; `None` if that is no reason to stop.
    moved: Option<Moved<'a>>,
}

/// How often a removal begins again without what could not be moved, or is gone.
const MOST_ROUNDS: usize = 8;

/// Carries a plan out.
///
/// # Errors
/// [`Error`] if anything cannot be removed, except what `keep_going` skips; everything is as before
/// then.
pub(crate) fn remove(
    on: &Removing<'_>,
    plan: &RemovalPlan,
    options: &RemoveOptions,
) -> Result<RemovalReport, Error> {
    let trash = Trash::open_or_create(on.base)?;
    // Before the turn to write: it reads every folder of what goes.
    let mut unmovable = kept_inside(on.base, plan, on.look_for(options.keep), on.monitor)?;
    let stays = |item: &PlannedItem| unmovable.contains_key(&item.path);
    let mut moved = (!options.force_pinned).then(|| Moved::new(on.base, plan, stays));
    // With `unchanged`, each time is compared with its row within the transaction, where what is
    // gone is looked for too.
    if let Some(moved) = moved.as_mut().filter(|_| !options.unchanged) {
        unmovable.extend(of_other_runs(on.catalog, on.base, plan, moved, on.monitor)?);
    }
    if !options.keep_going
        && let Some(planned) = plan
            .items
            .iter()
            .find(|one| unmovable.contains_key(&one.path))
        && let Some(error) = unmovable.remove(&planned.path)
    {
        return Err(error);
    }
    let mut known = Known {
        unmovable,
        seen: HashMap::new(),
        moved,
    };
    let mut rounds = 1;
    loop {
        // A new id each round: the folder of the last round may still be there.
        let id = RemovalId::new(on.now, uuid::Uuid::new_v4().as_fields().0);
        let mut done = Done::default();
        match remove_once(on, plan, options, &trash, &id, &mut known, &mut done) {
            Ok(report) => return Ok(report),
            Err(error) => {
                let is_back = roll_back(on, &trash, &id, &mut done);
                let is_over = done.unmovable.is_empty() && !done.is_one_gone;
                if is_over || !is_back || rounds == MOST_ROUNDS {
                    return Err(error);
                }
                known.unmovable.extend(done.unmovable);
                for (path, entry) in done.seen {
                    known.seen.entry(path).or_insert(entry);
                }
                rounds += 1;
            }
        }
    }
}

/// The errors of items that another registry lies in, or that this user may not unlink whole if
/// that is looked for, by their paths. A registry that is made after this look is left alone by the
/// purge.
pub(super) fn kept_inside(
    base: &Base,
    plan: &RemovalPlan,
    look_for: LookFor,
    monitor: &dyn Monitor,
) -> Result<HashMap<String, Error>, Error> {
    let folders = plan.items.iter().filter(|item| item.entry_type.is_folder());
    let folders = folders.map(|item| item.path.as_str());
    let inside = store::look_inside(base, folders, look_for, monitor)?;
    if inside == Inside::default() {
        return Ok(HashMap::new());
    }
    let refused = plan.items.iter().filter_map(|item| {
        let path = Path::new(&item.path);
        let checked = inner::check_below(base, path, &inside.registries);
        // Sorted, so paths below one folder are neighbours.
        let from = inside
            .closed
            .partition_point(|closed| closed.as_path() < path);
        let closed = &inside.closed[from..];
        let closed = &closed[..closed.partition_point(|closed| closed.starts_with(path))];
        let checked = checked.and_then(|()| match closed {
            [] => Ok(()),
            closed => Err(store::not_emptied(base, path, closed).into()),
        });
        Some((item.path.clone(), checked.err()?))
    });
    Ok(refused.collect())
}

fn remove_once(
    on: &Removing<'_>,
    plan: &RemovalPlan,
    options: &RemoveOptions,
    trash: &Trash,
    id: &RemovalId,
    known: &mut Known<'_>,
    done: &mut Done,
) -> Result<RemovalReport, Error> {
    let mut skipped = Vec::new();
    let operation = NewOperation {
        action: Action::Remove,
        at: on.now,
        reason: options.reason.as_deref(),
    };
    let checked = recover::change_settled(on.catalog, on.base, operation, |change| {
        let mut checked = check(on, change, plan, options, known, &mut skipped)?;
        note_lists(on.base, &mut checked)?;
        for Checked { planned, item } in &checked {
            let entry = item.as_ref().map(|item| item.entry);
            done.seen.insert(planned.path.clone(), entry);
        }
        if !checked.is_empty() {
            take(on, change, trash, id, &checked, options, done)?;
        }
        done.is_committing = true;
        Ok(checked)
    })?;
    let mut report = RemovalReport {
        removal: (!checked.is_empty()).then(|| id.clone()),
        artifacts: Vec::new(),
        missing: Vec::new(),
        skipped,
        moved: done.taken.len() as u64,
        total: Total::default(),
        others: others_of(&checked),
        purge: None,
        stale_lists: std::mem::take(&mut done.stale_lists),
        backup_failed: None,
    };
    for checked in &checked {
        for artifact in &checked.planned.artifacts {
            let planned = checked.planned;
            let is_missing = checked.item.is_none() || planned.missing.contains(&artifact.id);
            if is_missing && artifact.state.has_data() {
                report.missing.push(artifact.path());
            } else if artifact.state.has_data() && !artifact.key.kind().is_container() {
                report.total.add(planned.counts.size_of(artifact));
            }
            report.artifacts.push(artifact.clone());
        }
    }
    // After the commit: until then these folders may be needed to put the data back.
    if !options.keep_parents {
        drop_empty(on.base, &done.taken, on.monitor);
    }
    let is_kept = on.state_of(options.keep).state == RemovalState::Kept;
    if !is_kept && done.folder.is_some() {
        // The removal is committed: a purge that fails is continued later and is no error here.
        let purged = with_room(on.catalog, || {
            purge(on.catalog, on.base, id, on.now, None, None, on.monitor)
        });
        report.purge = Some(purged.unwrap_or_else(|error| PurgeReport {
            failures: vec![(trash.folder_path(id), error.to_string())],
            failed: 1,
            ..PurgeReport::default()
        }));
    }
    Ok(report)
}

/// Sums what goes beside the artifacts; `None` if the plan did not count it.
fn others_of(checked: &[Checked<'_>]) -> Option<Size> {
    let mut sum = Size::default();
    // What is not there had nothing to count either.
    for checked in checked.iter().filter(|checked| checked.item.is_some()) {
        sum.add(checked.planned.others?);
    }
    Some(sum)
}

/// Step 2: checks every artifact of the plan; with `keep_going`, skips those that cannot be
/// removed.
fn check<'a>(
    on: &Removing<'_>,
    change: &Change<'_>,
    plan: &'a RemovalPlan,
    options: &RemoveOptions,
    known: &mut Known<'_>,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Checked<'a>>, Error> {
    // A transaction that a crash's leftovers stopped runs this again.
    skipped.clear();
    let mut guards = Guards {
        mounts: store::mounts_below(on.base)?,
        going: plan.artifacts().map(|artifact| artifact.id.0).collect(),
        protection: Protection::new(on.base, options),
        around: RegistriesAround::default(),
        // Within the transaction, because the wait for it may have been long.
        refused: written::rewritten(on.base, plan.artifacts(), Closely::Folders)?,
        seen: &known.seen,
        held: Held::within(change, on.base)?,
    };
    if !options.force_pinned {
        let elsewhere = twins::pinned_elsewhere(on.base, &change.pin_view(), plan.artifacts())?;
        guards.refused.extend(elsewhere);
    }
    let mut checked = Vec::with_capacity(plan.items.len());
    for planned in &plan.items {
        on.require_not_cancelled()?;
        if let Some(error) = known.unmovable.get(&planned.path) {
            skipped.push(Skipped::new(on.base.path().join(&planned.path), error));
            continue;
        }
        let checked_one = check_one(on, change, planned, &mut guards);
        match checked_one.map_err(|error| explained(on.base, planned, error)) {
            Ok(standing) => {
                let number = u32::try_from(checked.len()).unwrap_or(u32::MAX);
                let item = standing.map(|entry| TrashItem {
                    item: number,
                    path: planned.path.clone(),
                    entry_type: planned.entry_type,
                    part: None,
                    listed_in: Vec::new(),
                    entry,
                });
                checked.push(Checked { planned, item });
            }
            Err(error) if options.keep_going && !error.ends_all() => {
                skipped.push(Skipped::new(on.base.path().join(&planned.path), &error));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(moved) = &mut known.moved {
        leave_out_moved(on.base, change, moved, options, &mut checked, skipped)?;
    }
    Ok(checked)
}

/// Leaves out, or refuses, what is gone and lives on under another name. Most of it was looked for
/// before the transaction.
fn leave_out_moved(
    base: &Base,
    change: &Change<'_>,
    moved: &mut Moved<'_>,
    options: &RemoveOptions,
    checked: &mut Vec<Checked<'_>>,
    skipped: &mut Vec<Skipped>,
) -> Result<(), Error> {
    let mut gone = Vec::new();
    for (number, Checked { planned, item }) in checked.iter().enumerate() {
        let is_gone = |row: &&Artifact| item.is_none() || planned.missing.contains(&row.id);
        if item.is_none() || !planned.missing.is_empty() {
            let rows = planned.artifacts.iter().filter(is_gone);
            gone.extend(rows.map(|row| (number, row)));
        }
    }
    if gone.is_empty() {
        return Ok(());
    }
    let mut errors: BTreeMap<usize, Error> = BTreeMap::new();
    for (number, error) in moved.find(gone, |place| change.at(place))? {
        errors.entry(number).or_insert(error);
    }
    if !options.keep_going
        && let Some((_, error)) = errors.pop_first()
    {
        return Err(error);
    }
    let mut number = 0;
    checked.retain(|Checked { planned, .. }| {
        let error = errors.remove(&number);
        number += 1;
        if let Some(error) = &error {
            skipped.push(Skipped::new(base.path().join(&planned.path), error));
        }
        error.is_none()
    });
    Ok(())
}

/// The error of an item that this user may not move, or may not read in full, as its check finds
/// it. Other errors are left to the removal.
pub(super) fn unmovable(base: &Base, planned: &PlannedItem) -> Option<Error> {
    let path = Path::new(&planned.path);
    let listed = match &planned.obstacle {
        Some(Obstacle::Unreadable) => store::list_container(base, path, &Silent).map(drop),
        _ => Ok(()),
    };
    let checked = listed.and_then(|()| store::require_movable(base, path, planned.entry_type));
    checked
        .map_err(|error| store::explain_closed(base, path, error))
        .err()
        .filter(|error| matches!(error, StorageError::NotMovable { .. }))
        .map(Error::from)
}

/// Says whose the folder is that this user may not open, if that is the error.
pub(super) fn explained(base: &Base, planned: &PlannedItem, error: Error) -> Error {
    match error {
        Error::Storage(error) => {
            store::explain_closed(base, Path::new(&planned.path), error).into()
        }
        error => error,
    }
}

/// What an item of a removal is checked against.
struct Guards<'a> {
    mounts: Vec<PathBuf>,
    /// Numbers of the artifacts that go.
    going: HashSet<i64>,
    protection: Protection<'a>,
    around: RegistriesAround,
    /// The errors of artifacts whose data was written since it was looked at for its age, or is
    /// that of a pinned row.
    refused: HashMap<ArtifactId, Error>,
    /// What earlier rounds saw at each path: what came there since was never looked at.
    seen: &'a HashMap<String, Option<store::EntryId>>,
    /// What is not gone, though nothing is at its path.
    held: Held,
}

fn check_one(
    on: &Removing<'_>,
    change: &Change<'_>,
    planned: &PlannedItem,
    guards: &mut Guards<'_>,
) -> Result<Option<store::EntryId>, Error> {
    let full = || on.base.path().join(&planned.path);
    for artifact in &planned.artifacts {
        if let Some(error) = guards.refused.remove(&artifact.id) {
            return Err(error);
        }
        // What is reserved was recorded since: it has no data anywhere.
        if artifact.state != State::Reserved
            && let Some(error) = guards.held.refusal(on.base, &artifact.location().path())
        {
            return Err(error);
        }
        match change.artifact(artifact.id)? {
            // The row may have been removed, or a rebuild may have given its number to another key.
            Some(now) if now.key == artifact.key => guards.protection.check(artifact, &now)?,
            _ => {
                let path = artifact.path();
                return Err(Error::NotRecorded {
                    what: path.display().to_string(),
                    path: Some(path),
                    is_run: false,
                    inside: 0,
                    level_of: None,
                    nearest: None,
                    near_iterations: None,
                    only_checkpoints: false,
                });
            }
        }
    }
    match &planned.obstacle {
        Some(Obstacle::Registry(registry)) => {
            let registry = full().join(registry);
            return Err(Error::InnerRegistry {
                path: full(),
                registry: registry.parent().unwrap_or(&registry).to_path_buf(),
            });
        }
        Some(Obstacle::Unreadable) => {
            // Says what cannot be read. If all of it can be by now, it is not as it was planned.
            store::list_container(on.base, Path::new(&planned.path), on.monitor)?;
            return Err(StorageError::Changed { path: full() }.into());
        }
        None => {}
    }
    guards
        .protection
        .check_unknown(&change.pin_view(), planned)?;
    let place = match &planned.run {
        Some(run) => folder_of_run(run),
        None => layout::split(&planned.path)?,
    };
    // Rows below a path go with it. One that is not in the plan was recorded since, or must stay.
    // The row at the path itself counts too: a caller can change the path of a plan.
    let inside = match &place.array {
        None => change.in_container(&place.container)?,
        Some(array) => {
            let mut found = change.below_array(&place.container, array)?;
            found.extend(change.at(&place)?);
            found
        }
    };
    if inside.is_empty() && planned.run.is_none() && !planned.by_name {
        return Err(StorageError::Changed { path: full() }.into());
    }
    if let Some(inner) = inside
        .iter()
        .find(|inner| !guards.going.contains(&inner.id.0))
    {
        // The plan took each row that was in it: consent covers no more than that.
        if planned.is_container {
            return Err(Error::ChangedSince {
                path: inner.path(),
                what: "recorded",
            });
        }
        return Err(Error::Nested {
            outer: full(),
            inner: inner.path(),
        });
    }
    let path = Path::new(&planned.path);
    if let Some(mount) = guards.mounts.iter().find(|mount| mount.starts_with(path)) {
        return Err(Error::MountPoint {
            path: on.base.path().join(mount),
        });
    }
    // Even a bind mount of the same file system: a rename cannot leave a mount, and what is below
    // the mount point is hidden.
    let is_above = |mount: &&PathBuf| !mount.as_os_str().is_empty() && path.starts_with(mount);
    if let Some(mount) = guards.mounts.iter().find(is_above) {
        return Err(StorageError::OtherDevice {
            path: on.base.path().join(mount),
        }
        .into());
    }
    let entry = match store::entry_at(on.base, path, planned.entry_type) {
        Err(error) if error.is_permission() => {
            // Says whose the folder is that may not be opened.
            store::require_movable(on.base, path, planned.entry_type)?;
            return Err(error.into());
        }
        found => found?,
    };
    if let Some(entry) = &entry {
        let first = guards.seen.get(&planned.path);
        if first.is_some_and(|first| !first.is_some_and(|first| first.is(entry))) {
            return Err(StorageError::Changed { path: full() }.into());
        }
        store::require_movable(on.base, path, planned.entry_type)?;
        guards.around.check(on.base, path)?;
    }
    Ok(entry)
}

/// Steps 3 to 5.
fn take(
    on: &Removing<'_>,
    change: &Change<'_>,
    trash: &Trash,
    id: &RemovalId,
    checked: &[Checked<'_>],
    options: &RemoveOptions,
    done: &mut Done,
) -> Result<(), Error> {
    let reason = options.reason.as_deref();
    let has_data = checked.iter().any(|checked| checked.item.is_some());
    let folder = if has_data {
        let folder = done.folder.insert(trash.create_folder(id)?);
        // A rename cannot leave a file system; fail before anything has moved.
        folder.check_device(on.base)?;
        // Folders above may be removed when they are empty; a restore makes them as they were.
        let paths = checked.iter().filter(|checked| checked.item.is_some());
        let paths = paths.map(|checked| checked.planned.path.as_str());
        let folders = store::folders_above(on.base, paths)?;
        folder.write_manifest(&manifest::text(
            on.now,
            change.actor(),
            id,
            (checked, &folders),
            options,
        )?)?;
        // The folder and its manifest are durable before the first rename: after a crash recovery
        // needs the manifest to put the data back.
        trash.sync()?;
        Some(&*folder)
    } else {
        None
    };
    let open = match has_data {
        true => on.state_of(options.keep),
        // Nothing lies in the trash, so nothing is left to purge.
        false => OpenRemoval {
            state: RemovalState::Purged,
            purge_after: None,
        },
    };
    change.begin_removal(id, on.now, change.actor(), reason, &open)?;
    // Rows before data: one that cannot be deleted fails the removal with all data in place.
    for checked in checked {
        on.require_not_cancelled()?;
        if let Some(item) = &checked.item {
            change.add_item(id, item.item, &item.path)?;
        }
        let item = checked.item.as_ref().map(|item| item.item);
        for artifact in &checked.planned.artifacts {
            change.remove(id, artifact.id, item)?;
        }
    }
    let Some(folder) = folder else { return Ok(()) };
    let mut gone = None;
    for checked in checked {
        let Some(item) = &checked.item else { continue };
        on.require_not_cancelled()?;
        // Recorded first: a move that fails half-way is undone like a complete one.
        done.taken.push(item.clone());
        match folder.take(on.base, item, &Claim::own(), &mut done.dirty) {
            Ok(()) => {}
            // All of them are found in one round; then the removal begins again without them.
            Err(error) if options.keep_going && error.is_permission() => {
                done.unmovable.insert(item.path.clone(), error.into());
                continue;
            }
            // Another process deleted it since it was checked, as hosts that share NFS may: the
            // removal begins again, and its row goes without data.
            Err(StorageError::Changed { .. }) if is_gone(on.base, checked.planned) => {
                done.is_one_gone = true;
                gone.get_or_insert(&item.path);
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        if checked.planned.is_container
            && let Some(path) = new_in(on, folder, item, checked.planned)?
        {
            let error = StorageError::Changed { path };
            // It was written since the user confirmed what goes.
            if options.keep_going && checked.planned.by_name {
                done.unmovable.insert(item.path.clone(), error.into());
                continue;
            }
            return Err(error.into());
        }
    }
    if let Some(path) = done.unmovable.keys().next() {
        let path = on.base.path().join(path);
        return Err(StorageError::not_movable(&path, "the file system refuses it").into());
    }
    if let Some(path) = gone {
        let path = on.base.path().join(path);
        return Err(StorageError::Changed { path }.into());
    }
    // From here on committing is faster than putting everything back.
    on.require_not_cancelled()?;
    // Both ends of every rename must be durable before COMMIT; otherwise a power cut could bring
    // back data whose row is gone.
    folder.sync()?;
    folder.sync_dirty(&done.dirty)?;
    // Before COMMIT: until then recovery knows from the manifest which lists to look at. No data
    // depends on a list, so one that cannot be written holds up nothing.
    done.stale_lists = store::mend_lists(on.base, folder.path(), &done.taken, &Claim::own());
    Ok(())
}

fn is_gone(base: &Base, planned: &PlannedItem) -> bool {
    let found = store::entry_at(base, Path::new(&planned.path), planned.entry_type);
    matches!(found, Ok(None))
}

/// What is in a container that was moved to the trash and was not in it when the removal was
/// planned. In the trash no process can add to it by its path, so this answer is final.
fn new_in(
    on: &Removing<'_>,
    folder: &TrashFolder,
    item: &TrashItem,
    planned: &PlannedItem,
) -> Result<Option<PathBuf>, Error> {
    let contents = store::list_trashed_container(folder, item.item, on.monitor)?;
    let known: HashSet<&Path> = planned.unknown.iter().map(PathBuf::as_path).collect();
    let mut found = unknown(&item.path, &contents, &planned.artifacts).into_iter();
    // The levels of a pyramid are listed one by one here.
    let new = found.find(|path| !path.ancestors().any(|above| known.contains(above)));
    // A container that was not named would be refused as a whole: the plan has nothing to name.
    Ok(new.map(|path| match planned.by_name {
        true => on.base.path().join(&item.path).join(path),
        false => on.base.path().join(&item.path),
    }))
}

/// Notes in each item which groups list it in their consolidated metadata.
fn note_lists(base: &Base, checked: &mut [Checked<'_>]) -> Result<(), Error> {
    let items = checked.iter().filter(|checked| checked.item.is_some());
    let paths = items.map(|checked| checked.planned.path.as_str());
    let mut listed = store::listed_in(base, paths)?;
    for Checked { planned, item } in checked {
        if let (Some(item), Some(groups)) = (item, listed.remove(planned.path.as_str())) {
            item.listed_in = groups;
        }
    }
    Ok(())
}

/// Puts everything back after a failure. The next open for writing puts back what this cannot.
fn roll_back(on: &Removing<'_>, trash: &Trash, id: &RemovalId, done: &mut Done) -> bool {
    let Some(folder) = &done.folder else {
        return true;
    };
    // A COMMIT that failed may still be in the log and could become valid after a crash. Data is
    // put back only once that is ruled out.
    if done.is_committing && on.catalog.forget_failed_commits().is_err() {
        return false;
    }
    let mut dirty = DirtyFolders::default();
    let mut is_back = true;
    for item in done.taken.iter().rev() {
        match folder.has(item.item) {
            Ok(false) => {}
            Ok(true) => {
                let forms = FolderForms::default();
                let back = folder.put_back(on.base, item, &Claim::own(), &forms, &mut dirty);
                is_back &= back.unwrap_or(false);
            }
            Err(_) => is_back = false,
        }
    }
    is_back &= folder.sync_dirty(&dirty).is_ok();
    store::mend_lists(on.base, folder.path(), &done.taken, &Claim::own());
    // If anything is left in it, the folder stays for recovery.
    if is_back {
        let _ = trash.remove_folder(id);
    }
    is_back
}
