//! Removal: rows and data in one transaction.
//!
//! Entry: `plan`, which decides, and `remove`, which changes. What is to happen is a
//! [`RemovalPlan`]; what happened is a [`RemovalReport`].
//!
//! # Protocol
//! ```text
//! 1  wait for the turn to write, BEGIN IMMEDIATE
//! 2  check every artifact: its row is as planned and nothing binds it; a real folder stands at its path, reached
//!    without a symbolic link, on the file system of the trash, with nothing mounted in it, and
//!    no other artifact lies in it
//! 3  write trash/<removal>/manifest.json; sync it, its folder, and the trash
//! 4  delete the rows; insert the removal with the rows as they were
//! 5  rename each folder to trash/<removal>/<number>; sync that folder, then every folder that
//!    something was taken from (one sync a folder; above some sixty, one for the file system)
//! 6  COMMIT, synced
//! 7  take away folders that are empty now; rename the manifest to purging.json; unlink
//!    trash/<removal>, outside any transaction and in parallel; note that it is purged
//! ```
//! A rename takes microseconds and unlinking minutes, so no lock is held while unlinking, and an
//! array of any size is gone for every reader at once. With the trash kept, step 7 waits.
//!
//! # Why this order
//! The data moves before the commit, and only into the trash, where it is whole. So until the
//! commit is durable the removal can be undone by renaming back, and nothing was unlinked. The
//! other order, commit first and move afterwards, is faster, but a rename that fails would fail
//! after the removal was acknowledged, and recovery could take data that somebody had written anew
//! at the old path.
//!
//! # After a crash
//! | crash | disk | catalog | the next open for writing |
//! |---|---|---|---|
//! | before 5 | in place | rolled back | drops the folder that holds only a manifest |
//! | in 5, before 6 | some in the trash | rolled back | moves every item back |
//! | after 6, before 7 ends | in the trash | rows gone | goes on with the purge |
//! | after 7, before the note | gone | not noted | notes it |
//!
//! See `recovery`. A step that fails without a crash is undone at once in the
//! same way, and named. So is a removal that is given up before everything has moved: the monitor is
//! asked before each item is looked at, noted and moved. Unlinking that is given up is left to the
//! next purge.
//!
//! # Containers
//! A container goes by one rename where everything in it belongs to the removal or is zarr's own
//! group metadata. That is looked up twice: before, to plan, and again when the container lies in
//! the trash and nobody can add to it by its path; where the second look differs, everything is
//! put back. A container that was named itself takes along what the registry does not know of.
//!
//! # Checkpoints
//! A checkpoint is one file and goes by itself, whatever else goes: the folders that it stands in
//! hold DaCapo's links to the best ones too, and stay even where they are empty.
//!
//! # What is assumed of the file system
//! - A rename within one file system is atomic for other processes, and after a crash the folder
//!   stands at the old place or at the new one. ext4, XFS and btrfs hold to that. A file system
//!   without a journal does so for kills, but not for power cuts; the destination is synced before
//!   the source, so that at worst both names exist after one.
//! - What was synced survives a power cut; a sync that reports success is believed.
//! - `renameat2` with `RENAME_NOREPLACE` works (ext4, XFS, btrfs, tmpfs do).
//!
//! # Locks
//! The write lock from 1 to 6. A purge holds a lock on its folder in the trash.

mod bound;
pub(crate) mod manifest;
mod plan;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::catalog::{Catalog, CatalogError, Change, OpenRemoval};
use crate::error::Error;
use crate::model::actor::Actor;
use crate::model::artifact::{Artifact, State};
use crate::model::clock::Timestamp;
use crate::model::layout::{self, Location};
use crate::model::name::DatasetName;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Phase};
use crate::model::removal::{Keep, RemovalId, RemovalState};
use crate::model::size::Total;
use crate::store::{
    self, Base, DirtyFolders, EntryType, PurgeOptions, PurgeReport, StorageError, Trash,
    TrashFolder, TrashItem,
};

pub(crate) use bound::Binding;
pub(crate) use plan::plan;
use plan::unknown;
pub use plan::{Chosen, PlannedItem, RemovalPlan};

/// How to remove.
#[derive(Debug, Clone, Default)]
pub struct RemoveOptions {
    /// Why; is remembered.
    pub reason: Option<String>,
    /// How long the data can be restored.
    pub keep: TrashKeep,
    /// Leave out what cannot be removed, rather than removing nothing.
    pub keep_going: bool,
    /// Remove also what a pin or a best link binds.
    pub force_pinned: bool,
    /// Remove also what a best link of DaCapo binds.
    pub ignore_best_links: bool,
    /// Refuse what was written or recorded anew since it was planned.
    pub unchanged: bool,
}

/// An artifact that was left out of a removal.
#[derive(Debug, Serialize)]
pub struct Skipped {
    /// Its absolute path.
    pub path: PathBuf,
    /// Stable code of the error.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

/// Why the catalog could not be backed up before a removal, which went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupFailure {
    /// Stable code of the error.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

/// What a removal did.
#[derive(Debug, Serialize)]
pub struct RemovalReport {
    /// Its id; none where nothing was removed.
    pub removal: Option<RemovalId>,
    /// Artifacts that are gone.
    pub artifacts: Vec<Artifact>,
    /// Paths of those that were thought present and whose data was missing.
    pub missing: Vec<PathBuf>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
    /// Renames that it took.
    pub moved: u64,
    /// Bytes and files of what is gone, as far as they were counted.
    #[serde(flatten)]
    pub total: Total,
    /// What the purge did; none where the data is kept in the trash.
    pub purge: Option<PurgeReport>,
    /// Why the catalog could not be backed up before, where that was due.
    pub backup_failed: Option<BackupFailure>,
}

/// Everything that a removal works with.
pub(crate) struct Removing<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) base: &'a Base,
    pub(crate) now: Timestamp,
    pub(crate) monitor: &'a dyn Monitor,
}

impl Removing<'_> {
    /// Ends a removal that is given up. Asked before each step until the commit: until then it can
    /// be undone.
    fn go_on(&self) -> Result<(), Error> {
        if self.monitor.is_cancelled() {
            return Err(cancelled(self.catalog));
        }
        Ok(())
    }
}

/// The error of a call that its monitor cancelled between two steps on data.
pub(crate) fn cancelled(catalog: &Catalog) -> Error {
    CatalogError::Interrupted {
        path: catalog.path().to_path_buf(),
    }
    .into()
}

/// A planned item after its check.
struct Checked<'a> {
    planned: &'a PlannedItem,
    /// What is to be moved; none where there is no data.
    item: Option<TrashItem>,
}

/// What has been done on disk and is to be undone where the rest fails.
#[derive(Default)]
struct Done {
    folder: Option<TrashFolder>,
    taken: Vec<TrashItem>,
    dirty: DirtyFolders,
    /// All that is left is the commit.
    is_committing: bool,
}

/// Carries a plan out.
///
/// # Errors
/// [`Error`] where anything cannot be removed, but for what `keep_going` leaves out; then
/// everything is as before.
pub(crate) fn remove(
    on: &Removing<'_>,
    plan: &RemovalPlan,
    options: &RemoveOptions,
) -> Result<RemovalReport, Error> {
    let id = RemovalId::new(on.now, uuid::Uuid::new_v4().as_fields().0);
    let trash = Trash::make(on.base)?;
    let mut done = Done::default();
    let mut skipped = Vec::new();
    let doing = NewOperation {
        action: Action::Remove,
        at: on.now,
        reason: options.reason.as_deref(),
    };
    let outcome = on.catalog.change(doing, |change| {
        let checked = check(on, change, plan, options, &mut skipped)?;
        if !checked.is_empty() {
            take(on, change, &trash, &id, &checked, options, &mut done)?;
        }
        done.is_committing = true;
        Ok::<_, Error>(checked)
    });
    let checked = match outcome {
        Ok(checked) => checked,
        Err(error) => {
            undo(on, &trash, &id, &mut done);
            return Err(error);
        }
    };
    let mut report = RemovalReport {
        removal: (!checked.is_empty()).then(|| id.clone()),
        artifacts: Vec::new(),
        missing: Vec::new(),
        skipped,
        moved: done.taken.len() as u64,
        total: Total::default(),
        purge: None,
        backup_failed: None,
    };
    for checked in &checked {
        for artifact in &checked.planned.artifacts {
            let planned = checked.planned;
            let is_missing = checked.item.is_none() || planned.missing.contains(&artifact.id);
            if is_missing && artifact.state == State::Present {
                report.missing.push(artifact.path());
            } else if artifact.state == State::Present && !artifact.key.kind().is_container() {
                report.total.add(artifact.size);
            }
            report.artifacts.push(artifact.clone());
        }
    }
    drop_empty(on.catalog, on.base, &done.taken, on.monitor);
    if options.keep == TrashKeep::No && done.folder.is_some() {
        // The removal is done: what stops the purge is for the next one, and no error of this.
        let purged = purge(on.catalog, on.base, &id, on.now, None, on.monitor);
        report.purge = Some(purged.unwrap_or_else(|error| PurgeReport {
            failures: vec![(trash.path_of(&id), error.to_string())],
            failed: 1,
            ..PurgeReport::default()
        }));
    }
    Ok(report)
}

/// Step 2: looks at every artifact of the plan; with `keep_going`, those that cannot be removed
/// are left out.
fn check<'a>(
    on: &Removing<'_>,
    change: &Change<'_>,
    plan: &'a RemovalPlan,
    options: &RemoveOptions,
    skipped: &mut Vec<Skipped>,
) -> Result<Vec<Checked<'a>>, Error> {
    skipped.clear();
    let mounts = store::mounts_below(on.base)?;
    let going: HashSet<i64> = plan.artifacts().map(|artifact| artifact.id.0).collect();
    let mut checked = Vec::with_capacity(plan.items.len());
    let mut binding = Binding::new(on.base, options);
    for planned in &plan.items {
        on.go_on()?;
        match check_one(on, change, planned, &going, &mounts, &mut binding) {
            Ok(standing) => {
                let number = u32::try_from(checked.len()).unwrap_or(u32::MAX);
                let item = standing.map(|entry| TrashItem {
                    item: number,
                    path: planned.path.clone(),
                    entry_type: planned.form,
                    entry,
                });
                checked.push(Checked { planned, item });
            }
            Err(error) if options.keep_going && !error.ends_all() => {
                skipped.push(Skipped {
                    path: on.base.path().join(&planned.path),
                    code: error.code(),
                    reason: error.to_string(),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(checked)
}

fn check_one(
    on: &Removing<'_>,
    change: &Change<'_>,
    planned: &PlannedItem,
    going: &HashSet<i64>,
    mounts: &[PathBuf],
    binding: &mut Binding<'_>,
) -> Result<Option<store::EntryId>, Error> {
    let full = || on.base.path().join(&planned.path);
    for artifact in &planned.artifacts {
        match change.artifact(artifact.id)? {
            Some(now) if now.key == artifact.key => binding.check(artifact, &now)?,
            _ => {
                let path = artifact.path();
                return Err(Error::NotRecorded {
                    what: path.display().to_string(),
                    path: Some(path),
                });
            }
        }
    }
    binding.check_unknown(change, planned)?;
    let place = layout::split(&planned.path)?;
    let inside = match (&place.array, planned.is_container) {
        (None, true) => change.in_container(&place.container)?,
        (Some(array), _) => change.below_array(&place.container, array)?,
        (None, false) => change.in_container(&place.container)?,
    };
    if let Some(inner) = inside.iter().find(|inner| !going.contains(&inner.id.0)) {
        return Err(Error::Nested {
            outer: full(),
            inner: inner.path(),
        });
    }
    let path = Path::new(&planned.path);
    if let Some(mount) = mounts.iter().find(|mount| mount.starts_with(path)) {
        return Err(Error::MountPoint {
            path: on.base.path().join(mount),
        });
    }
    // Also where it shows the same file system: no rename leaves a mount, and what lies below the
    // mount is not to be seen.
    let is_above = |mount: &&PathBuf| !mount.as_os_str().is_empty() && path.starts_with(mount);
    if let Some(mount) = mounts.iter().find(is_above) {
        return Err(StorageError::OtherDevice {
            path: on.base.path().join(mount),
        }
        .into());
    }
    Ok(store::entry_at(on.base, path, planned.form)?)
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
        folder.check_device(on.base)?;
        folder.write_manifest(&manifest::text(
            on.now,
            change.actor(),
            id,
            checked,
            reason,
        )?)?;
        trash.sync()?;
        Some(&*folder)
    } else {
        None
    };
    let open = match (has_data, options.keep) {
        (false, _) => OpenRemoval {
            state: RemovalState::Purged,
            purge_after: None,
        },
        (true, TrashKeep::No) => OpenRemoval {
            state: RemovalState::Purging,
            purge_after: None,
        },
        (true, TrashKeep::UntilEmptied) => OpenRemoval {
            state: RemovalState::Kept,
            purge_after: None,
        },
        (true, TrashKeep::For(time)) => {
            let purge_after = Some(on.now.plus(time));
            OpenRemoval {
                state: RemovalState::Kept,
                purge_after,
            }
        }
    };
    change.begin_removal(id, on.now, change.actor(), reason, &open)?;
    for checked in checked {
        on.go_on()?;
        if let Some(item) = &checked.item {
            change.add_item(id, item.item, &item.path)?;
        }
        let item = checked.item.as_ref().map(|item| item.item);
        for artifact in &checked.planned.artifacts {
            change.remove(id, artifact.id, item)?;
        }
    }
    let Some(folder) = folder else { return Ok(()) };
    for checked in checked {
        let Some(item) = &checked.item else { continue };
        on.go_on()?;
        // Noted first: a move that fails half-way is undone like one that was done.
        done.taken.push(item.clone());
        folder.take(on.base, item, &mut done.dirty)?;
        if checked.planned.is_container && !checked.planned.by_name {
            let contents = store::list_trashed_container(folder, item.item, on.monitor)?;
            if !unknown(&item.path, &contents, &checked.planned.artifacts).is_empty() {
                let path = on.base.path().join(&item.path);
                return Err(StorageError::Changed { path }.into());
            }
        }
    }
    // From here on committing is quicker than putting everything back.
    on.go_on()?;
    folder.sync()?;
    folder.sync_dirty(&done.dirty)?;
    Ok(())
}

/// Puts everything back after a failure. What cannot be put back now is put back by the next open
/// for writing.
fn undo(on: &Removing<'_>, trash: &Trash, id: &RemovalId, done: &mut Done) {
    let Some(folder) = &done.folder else { return };
    if done.is_committing && on.catalog.forget_failed_commits().is_err() {
        return;
    }
    let mut dirty = DirtyFolders::default();
    let mut is_back = true;
    for item in done.taken.iter().rev() {
        match folder.has(item.item) {
            Ok(false) => {}
            Ok(true) => {
                is_back &= folder.put_back(on.base, item, &mut dirty).unwrap_or(false);
            }
            Err(_) => is_back = false,
        }
    }
    is_back &= folder.sync_dirty(&dirty).is_ok();
    if is_back {
        let _ = trash.remove_folder(id);
    }
}

/// The place of a path that a manifest, a note or a row gives: checked like any name, because
/// somebody else may have written it.
pub(crate) fn place_of(path: &str) -> Result<Location, Error> {
    let place = || -> Result<Location, Error> {
        let name: DatasetName = path.parse()?;
        // No artifact has a path that reads as none.
        layout::parse(name.as_str())?;
        Ok(layout::split(name.as_str())?)
    };
    // Nobody typed it: what is wrong with a name is no matter of names.
    place().map_err(|_| {
        let path = store::escape(path.as_ref()).into();
        StorageError::Outside { path }.into()
    })
}

/// Takes away folders below a run that are empty now, up to and including the container. The
/// folders that a file was in stay. Where the removal is given up, so do the rest of them: they are in
/// nobody's way, and later somebody else may be about to write there.
pub(crate) fn drop_empty(
    catalog: &Catalog,
    base: &Base,
    items: &[TrashItem],
    monitor: &dyn Monitor,
) {
    let parents = items
        .iter()
        .filter(|item| item.entry_type == EntryType::Folder)
        .filter_map(|item| Some(item.path.rsplit_once('/')?.0));
    store::remove_empty_folders(base, parents, |path| match layout::split(path) {
        _ if monitor.is_cancelled() => true,
        // A run may be called like a checkpoint.
        Ok(place) if place.is_checkpoint() => true,
        Ok(place) => place.array.is_none() && !matches!(catalog.at(&place), Ok(None)),
        Err(_) => true,
    });
}

/// Step 7: unlinks what a removal left in the trash and notes it. Its state is
/// [`RemovalState::Purging`].
///
/// Where another process purges it, or the deadline passes, the report is not done.
///
/// # Errors
/// [`Error`] where the trash cannot be read or the catalog fails. What cannot be unlinked is in
/// the report.
pub(crate) fn purge(
    catalog: &Catalog,
    base: &Base,
    id: &RemovalId,
    now: Timestamp,
    deadline: Option<std::time::Instant>,
    monitor: &dyn Monitor,
) -> Result<PurgeReport, Error> {
    let mut report = PurgeReport {
        is_done: true,
        ..PurgeReport::default()
    };
    if let Some(trash) = Trash::open(base)?
        && let Some(folder) = trash.folder(id)?
    {
        let Some(lock) = folder.lock()? else {
            return Ok(PurgeReport {
                is_done: false,
                ..report
            });
        };
        let total = catalog.removal(id)?.map(|removal| removal.total);
        let counted = total.filter(|total| total.uncounted == 0 && total.files > 0);
        let options = PurgeOptions {
            deadline,
            mean_bytes: counted.map_or(0, |total| total.bytes.0 / total.files),
        };
        folder.begin_purge()?;
        monitor.begin(Phase::Purge, counted.map(|total| total.files));
        report = store::purge(&folder, options, monitor)?;
        monitor.end();
        if report.is_done {
            report.is_done = trash.remove_folder(id)?;
        }
        drop(lock);
    }
    if report.is_done {
        catalog.change(NewOperation::new(Action::Purge, now), |change| {
            change
                .set_state(id, RemovalState::Purged, Some(now))
                .map_err(Error::from)
        })?;
    }
    Ok(report)
}
