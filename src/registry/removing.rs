//! Removing, restoring, emptying the trash: the face of the protocols.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{Registry, Target};
use crate::catalog::CatalogError;
use crate::error::{Error, Result, with_causes};
use crate::model::actor::{Actor, Agent};
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::layout;
use crate::model::operation::{Action, Doing};
use crate::model::progress::{Monitor, Silent};
use crate::model::removal::{Keep, Removal, RemovalId, RemovalState, RemovedArtifact};
use crate::ops::recover::{self, Pending, Recovery};
use crate::ops::remove::{
    self, BackupFailure, Binding, Chosen, RemovalPlan, RemovalReport, RemoveOptions, Removing,
    Skipped,
};
use crate::ops::restore::{self, RestoreReport};
use crate::store::PurgeReport;

/// What is to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTarget {
    /// Everything that a removal took and that is still in the trash.
    Removal(RemovalId),
    /// What was last removed from this path, absolute or relative to the base directory.
    Path(PathBuf),
    /// Every artifact in the trash that a filter selects; the last of each place.
    Filter(Filter),
}

/// What emptying the trash did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EmptyReport {
    /// Removals of which nothing is left.
    pub purged: Vec<RemovalId>,
    /// Removals of which something is left: it could not be unlinked, or another process purges it.
    pub left: Vec<RemovalId>,
    /// What was unlinked, and what could not be.
    pub purge: PurgeReport,
}

impl Registry {
    /// How long removed data is kept unless somebody says otherwise: `trash.keep` of `config.toml`.
    #[must_use]
    pub fn default_keep(&self) -> TrashKeep {
        self.keep.map_or(TrashKeep::No, TrashKeep::For)
    }

    /// What opening found to settle, and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What is left to settle. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] where the trash or the catalog cannot be read.
    pub fn pending(&self) -> Result<Pending> {
        recover::pending(&self.catalog, &self.base, self.clock.now())
    }

    /// Gives what a removal of this target is to take. The path of a container without a row of its
    /// own stands for every artifact in it.
    ///
    /// # Errors
    /// [`Error::NotRecorded`].
    pub fn choose(&self, target: &Target) -> Result<Vec<Chosen>> {
        if let Some(artifact) = self.get(target)? {
            let whole_container = artifact.location().array.is_none();
            return Ok(vec![Chosen {
                artifact,
                whole_container,
            }]);
        }
        let mut chosen = Vec::new();
        if let Target::Path(path) = target {
            let place = self.location(path)?;
            if place.array.is_none() {
                let artifacts = self.catalog.in_container(&place.container)?;
                chosen.extend(artifacts.into_iter().map(|artifact| {
                    let whole_container =
                        layout::canonical_location(&artifact.key).container == place.container;
                    Chosen {
                        artifact,
                        whole_container,
                    }
                }));
            }
        }
        if chosen.is_empty() {
            return Err(self.not_recorded(target));
        }
        Ok(chosen)
    }

    /// Decides what a removal of these artifacts moves. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] where something that the decision depends on cannot be read.
    pub fn plan_removal(&self, chosen: Vec<Chosen>) -> Result<RemovalPlan> {
        self.plan_watched(chosen, &Silent)
    }

    /// The same, until the monitor cancels.
    pub(super) fn plan_watched(
        &self,
        chosen: Vec<Chosen>,
        monitor: &dyn Monitor,
    ) -> Result<RemovalPlan> {
        remove::plan(&self.catalog, &self.base, chosen, monitor)
    }

    /// Gives what of a plan a pin or a best link binds, so that carrying it out would refuse or skip
    /// it. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] where a best link cannot be read.
    pub fn bound(&self, plan: &RemovalPlan, options: &RemoveOptions) -> Result<Vec<Skipped>> {
        let options = RemoveOptions {
            unchanged: false,
            ..options.clone()
        };
        let mut binding = Binding::new(&self.base, &options);
        let mut bound = Vec::new();
        for artifact in plan.artifacts() {
            match binding.check(artifact, artifact) {
                Ok(()) => {}
                Err(error @ (Error::Pinned { .. } | Error::BestLinked { .. })) => {
                    bound.push(Skipped {
                        path: artifact.path(),
                        code: error.code(),
                        reason: error.to_string(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(bound)
    }

    /// Carries a plan out: rows and data, in one transaction. The catalog is backed up before,
    /// where no backup is younger than a day; without space for that the removal goes on, and the
    /// report says so.
    ///
    /// # Errors
    /// [`Error`] where anything cannot be removed, but for what `keep_going` leaves out, or the
    /// monitor cancels before everything has moved; then everything is as before. Also where the
    /// backup finds the catalog damaged.
    pub fn remove_planned(
        &self,
        plan: &RemovalPlan,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        let backup_failed = match plan.items.is_empty() {
            true => None,
            false => self.back_up_first(monitor)?,
        };
        let mut report = self.remove_backed_up(plan, options, monitor)?;
        report.backup_failed = backup_failed;
        Ok(report)
    }

    /// Makes the backup that is due before a removal. What went wrong with it is no error, unless
    /// the catalog is damaged or cannot be changed at all.
    pub(super) fn back_up_first(&self, monitor: &dyn Monitor) -> Result<Option<BackupFailure>> {
        self.require_folder()?;
        match self.catalog.back_up_daily(self.clock.now(), monitor) {
            Ok(_) => Ok(None),
            Err(
                error @ (CatalogError::Damaged { .. }
                | CatalogError::ReadOnly { .. }
                | CatalogError::Forked { .. }),
            ) => Err(error.into()),
            Err(error) => Ok(Some(BackupFailure {
                code: error.code(),
                reason: with_causes(&error),
            })),
        }
    }

    fn require_folder(&self) -> Result<()> {
        if self.has_folder {
            return Ok(());
        }
        Err(Error::NoFolder {
            base: self.base.path().to_path_buf(),
        })
    }

    /// The same, without a backup.
    pub(super) fn remove_backed_up(
        &self,
        plan: &RemovalPlan,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        self.require_folder()?;
        self.settle()?;
        let on = Removing {
            catalog: &self.catalog,
            base: &self.base,
            now: self.clock.now(),
            monitor,
        };
        let mut result = remove::remove(&on, plan, options);
        let is_full =
            |error: &Error| matches!(error.code(), "catalog-full" | "no-space" | "over-quota");
        if result.as_ref().is_err_and(is_full) && self.catalog.give_up_reserve() {
            self.settle()?;
            result = remove::remove(&on, plan, options);
        }
        self.catalog.keep_reserve();
        result
    }

    /// Removes every artifact that a filter selects: rows and data, in one transaction.
    ///
    /// A container that the filter names by its kind takes along everything in it.
    ///
    /// # Errors
    /// As [`Registry::remove_planned`].
    pub fn remove_many(
        &self,
        filter: &Filter,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        let chosen = self.select(filter)?.into_iter().map(|artifact| {
            let kind = artifact.key.kind();
            let whole_container = kind.is_container() && filter.kinds.contains(&kind);
            Chosen {
                artifact,
                whole_container,
            }
        });
        self.remove_chosen(chosen.collect(), options, monitor)
    }

    /// Removes these artifacts: rows and data, in one transaction.
    ///
    /// # Errors
    /// As [`Registry::remove_planned`].
    pub fn remove_chosen(
        &self,
        chosen: Vec<Chosen>,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        let plan = self.plan_watched(chosen, monitor)?;
        self.remove_planned(&plan, options, monitor)
    }

    /// Removes an artifact: row and data, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotRecorded`], and as [`Registry::remove_planned`].
    pub fn remove_target(
        &self,
        target: &Target,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        self.remove_chosen(self.choose(target)?, options, monitor)
    }

    /// Removes an artifact; how long its data is kept, the configuration says.
    ///
    /// # Errors
    /// As [`Registry::remove_target`].
    pub fn remove_artifact(&self, target: &Target) -> Result<RemovalReport> {
        let options = RemoveOptions {
            keep: self.default_keep(),
            ..RemoveOptions::default()
        };
        self.remove_target(target, &options, &Silent)
    }

    /// Settles what a crash of another process has left since this handle was opened.
    pub(super) fn settle(&self) -> Result<Recovery> {
        if self.is_read_only() {
            let path = self.catalog.path().to_path_buf();
            return Err(CatalogError::ReadOnly { path }.into());
        }
        let now = self.clock.now();
        recover::recover(&self.catalog, &self.base, now, None)
    }

    /// Gives the removals whose data is in the trash, oldest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn trash(&self) -> Result<Vec<Removal>> {
        let mut removals = self.catalog.open_removals()?;
        // Ids tell the second only.
        removals.sort_by(|a, b| (a.removed_at, &a.id).cmp(&(b.removed_at, &b.id)));
        Ok(removals)
    }

    /// Gives a removal, whatever has become of it.
    ///
    /// # Errors
    /// [`Error`].
    pub fn removal(&self, id: &RemovalId) -> Result<Option<Removal>> {
        Ok(self.catalog.removal(id)?)
    }

    /// Gives what would be restored.
    ///
    /// # Errors
    /// [`Error::NoRemoval`], [`Error::NotRestorable`], [`Error::NotInTrash`].
    pub fn restorable(&self, target: &RestoreTarget) -> Result<Vec<RemovedArtifact>> {
        let everything = Filter {
            kinds: Kind::ALL.to_vec(),
            ..Filter::default()
        };
        let filter = match target {
            RestoreTarget::Filter(filter) => filter,
            _ => &everything,
        };
        let mut kept = self.catalog.kept_artifacts(filter, self.clock.now())?;
        match target {
            RestoreTarget::Removal(id) => {
                let removal = self
                    .removal(id)?
                    .ok_or_else(|| Error::NoRemoval { id: id.to_string() })?;
                if removal.state != RemovalState::Kept {
                    let state = removal.state.as_str();
                    return Err(Error::NotRestorable {
                        id: id.to_string(),
                        state,
                    });
                }
                kept.retain(|removed| removed.removal == *id);
            }
            RestoreTarget::Path(path) => {
                let wanted = self.location(path)?.path();
                kept.retain(|removed| removed.artifact.location().path() == wanted);
                last_of_each_place(&mut kept, &self.trash()?);
            }
            RestoreTarget::Filter(_) => last_of_each_place(&mut kept, &self.trash()?),
        }
        if kept.is_empty() {
            let what = match target {
                RestoreTarget::Removal(id) => format!("removal {id}"),
                RestoreTarget::Path(path) => path.display().to_string(),
                RestoreTarget::Filter(_) => "the selection".to_owned(),
            };
            return Err(Error::NotInTrash { what });
        }
        Ok(kept)
    }

    /// Brings rows and data back from the trash. What was moved as a whole comes back as a whole.
    ///
    /// # Errors
    /// [`Error`] where something cannot be restored; what stands in its way is named.
    pub fn restore(&self, target: &RestoreTarget) -> Result<RestoreReport> {
        self.settle()?;
        self.restore_for(target, None)
    }

    pub(super) fn restore_for(
        &self,
        target: &RestoreTarget,
        reason: Option<&str>,
    ) -> Result<RestoreReport> {
        let chosen = self.restorable(target)?;
        let doing = NewOperation {
            action: Action::Restore,
            at: self.clock.now(),
            reason,
        };
        restore::restore(&self.catalog, &self.base, doing, &chosen)
    }

    /// Purges what is in the trash, or of it what was removed longer ago than `older_than`, and
    /// goes on with purges that were interrupted.
    ///
    /// # Errors
    /// [`Error`] where the trash cannot be read or the catalog fails.
    pub fn empty_trash(
        &self,
        older_than: Option<Duration>,
        monitor: &dyn Monitor,
    ) -> Result<EmptyReport> {
        let settled = self.settle()?;
        let now = self.clock.now();
        let mut report = EmptyReport {
            purged: settled.purged,
            ..EmptyReport::default()
        };
        report.purge.is_done = true;
        for removal in self.trash()? {
            let is_old = older_than.is_none_or(|age| removal.removed_at < now.minus(age));
            if !is_old && removal.state == RemovalState::Kept {
                continue;
            }
            let found = self
                .catalog
                .change(NewOperation::new(Action::Purge, now), |change| {
                    let open = change.removal(&removal.id)?;
                    let state = open.map(|open| open.state);
                    if state == Some(RemovalState::Kept) {
                        change.set_state(&removal.id, RemovalState::Purging, None)?;
                    }
                    Ok::<_, Error>(state)
                })?;
            match found {
                // The commit above was durable, and with it every commit before.
                Some(RemovalState::Kept) => {}
                Some(RemovalState::Purging) => self.catalog.sync_log()?,
                _ => continue,
            }
            let purge = remove::purge(&self.catalog, &self.base, &removal.id, now, None, monitor)?;
            let list = if purge.is_done {
                &mut report.purged
            } else {
                &mut report.left
            };
            list.push(removal.id);
            report.purge.merge(purge);
        }
        Ok(report)
    }
}

/// Where a place was removed several times, only the last can come back. `removals` are in the order
/// of their time, which ids tell to the second only.
fn last_of_each_place(kept: &mut Vec<RemovedArtifact>, removals: &[Removal]) {
    let ranks = removals.iter().enumerate();
    let ranks: HashMap<&RemovalId, usize> = ranks.map(|(at, removal)| (&removal.id, at)).collect();
    kept.sort_by_key(|removed| {
        let rank = ranks.get(&removed.removal).copied();
        (removed.artifact.location(), Reverse(rank))
    });
    kept.dedup_by(|later, first| later.artifact.location() == first.artifact.location());
}
