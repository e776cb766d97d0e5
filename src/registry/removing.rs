//! Removing, restoring, emptying the trash: the face of the protocols.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::Registry;
use crate::error::{Error, Result};
use crate::model::filter::Filter;
use crate::model::layout;
use crate::model::name::RunName;
use crate::model::operation::{Action, NewOperation};
use crate::model::progress::{Monitor, Silent};
use crate::model::removal::{Removal, RemovalId, RemovedArtifact, TrashKeep};
use crate::model::size::ByteCount;
use crate::ops::left_alone::{self, LeftAlone};
use crate::ops::others::OtherUse;
use crate::ops::recover::{self, Pending, Recovery};
use crate::ops::remove::{
    self, ArtifactToRemove, RemovalPlan, RemovalReport, RemoveOptions, Removing, Skipped,
};
use crate::ops::restore::{self, RestoreReport, RestoreTarget};
use crate::ops::target::Target;
use crate::ops::trash::{self, Emptied, EmptyReport};
use crate::ops::unmatched;

impl Registry {
    /// Returns what a removal with this setting does: [`TrashKeep::Configured`] is looked up in
    /// `trash.keep` of `config.toml`.
    #[must_use]
    pub fn resolve_keep(&self, keep: TrashKeep) -> TrashKeep {
        keep.resolve(self.keep)
    }

    /// Returns what opening the registry had to recover after a crash.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Goes on with purges that were interrupted or are due, for a moment, as opening does unless
    /// [`Options::purge_due`](crate::Options::purge_due) says otherwise.
    #[cfg(feature = "cli")]
    pub(crate) fn purge_due(&self) -> Result<Recovery> {
        recover::purge_pending(&self.catalog, &self.base, self.clock.now())
    }

    /// Returns removals that still need recovery or a purge. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] if the trash or the catalog cannot be read.
    pub fn pending(&self) -> Result<Pending> {
        recover::pending(&self.catalog, &self.base, self.clock.now())
    }

    /// Returns why recovery leaves folders in the trash to their owners, a sentence each: another
    /// user may have put them there, who may not write where the data would go; and why this user
    /// may not unlink what is due. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] if the trash or the catalog cannot be read.
    pub fn left_alone(&self) -> Result<Vec<String>> {
        let mut sentences = self.folders_left_alone()?.sentences();
        sentences.extend(self.not_unlinkable()?);
        Ok(sentences)
    }

    pub(crate) fn not_unlinkable(&self) -> Result<Vec<String>> {
        left_alone::not_unlinkable(&self.catalog, &self.base, self.clock.now())
    }

    pub(crate) fn folders_left_alone(&self) -> Result<LeftAlone> {
        left_alone::left_alone(&self.catalog, &self.base, self.clock.now())
    }

    /// Returns what a removal of this target takes. The path of a container that has no row of its
    /// own means every artifact in it.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if the target has no row, or is the path of a run.
    pub fn to_remove(&self, target: &Target) -> Result<Vec<ArtifactToRemove>> {
        match remove::artifacts_of_target(&self.catalog, &self.base, target) {
            Err(Error::Layout(_)) => Err(self.not_recorded(target)),
            found => found,
        }
    }

    /// Returns what a removal of a path takes: as [`to_remove`](Self::to_remove), and of a run or
    /// of another folder what a filter with this path in [`Filter::below`] selects.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if nothing is recorded there; and as
    /// [`base_path`](Self::base_path).
    pub fn to_remove_at(&self, path: impl AsRef<Path>) -> Result<Vec<ArtifactToRemove>> {
        let now = self.clock.now();
        remove::artifacts_at(&self.catalog, &self.base, path.as_ref(), now)
    }

    /// Returns what a removal of a selection takes. A container goes whole only if the filter names
    /// its kind. If the filter asks for age, looks at the data: what was written since stays.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read,
    /// [`Error::Unreadable`] if data cannot be read whose age decides.
    pub fn to_remove_selected(&self, filter: &Filter) -> Result<Vec<ArtifactToRemove>> {
        remove::artifacts_of_filter(&self.catalog, &self.base, filter, self.clock.now())
    }

    /// Decides what a removal of these artifacts moves. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] if something that the decision depends on cannot be read.
    pub fn plan_removal(&self, chosen: Vec<ArtifactToRemove>) -> Result<RemovalPlan> {
        remove::plan(
            &self.catalog,
            &self.base,
            remove::Containers::Selected,
            chosen,
            &Silent,
        )
    }

    /// Adds to a plan what is below a path and stays when the artifacts there go, if the path is
    /// that of a folder in a container. Changes nothing else.
    ///
    /// # Errors
    /// As [`Registry::plan_removal`].
    pub fn add_stays(&self, plan: &mut RemovalPlan, path: impl AsRef<Path>) -> Result<()> {
        let place = self.base_path(path)?;
        let is_in_container = Path::new(place.as_str())
            .ancestors()
            .skip(1)
            .any(|above| above.to_str().is_some_and(layout::is_container));
        match is_in_container && self.get(&Target::Path(place.as_str().into()))?.is_none() {
            true => remove::add_stays_below(&self.base, plan, place.as_str(), &Silent),
            false => Ok(()),
        }
    }

    /// Decides what a removal of a whole run moves: its folder, with checkpoints, logs and whatever
    /// else is in it. [`PlannedItem::unknown`](crate::PlannedItem::unknown) names what the registry
    /// does not know, and [`Registry::count_others`] counts it. Changes nothing.
    ///
    /// A removal that carries it out is refused if a pin binds the run, one of its iterations or
    /// one of its artifacts.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if nothing is recorded of the run,
    /// [`Error::Nested`] if another run lies in its folder,
    /// [`Error`] if something that the decision depends on cannot be read.
    pub fn plan_run_removal(&self, run: &RunName) -> Result<RemovalPlan> {
        let name = std::iter::once(run.as_str());
        unmatched::require_runs(&self.catalog, name, self.clock.now())?;
        remove::plan_run(&self.catalog, &self.base, run, &Silent)
    }

    /// Counts what the items of a plan hold beside their artifacts, into
    /// [`PlannedItem::others`](crate::PlannedItem::others): checkpoints, logs, arrays without a row.
    /// Reads each folder that no artifact has. What cannot be read leaves its item uncounted.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the monitor cancels.
    pub fn count_others(&self, plan: &mut RemovalPlan, monitor: &dyn Monitor) -> Result<()> {
        remove::count_others(&self.base, plan, monitor)
    }

    /// Returns the artifacts of a plan that a pin or a best link binds, also under the name that
    /// their run had before a rename by hand, and the items that hold such data without a row, that
    /// another registry lies in, that are another run's by their times, whose data was renamed by
    /// hand, or that this user may not move, or not unlink whole if they are not kept: carrying the
    /// plan out would refuse or skip them.
    /// Changes nothing.
    ///
    /// # Errors
    /// [`Error`] if a best link or the catalog cannot be read.
    pub fn protected(&self, plan: &RemovalPlan, options: &RemoveOptions) -> Result<Vec<Skipped>> {
        let protected = remove::protected(&self.removing(&Silent), plan, options)?;
        let skipped = protected.iter();
        Ok(skipped
            .map(|(path, error)| Skipped::new(path.clone(), error))
            .collect())
    }

    /// Fails if carrying out a plan would, by what [`Registry::protected`] looks at. Changes
    /// nothing. What `keep_going` would leave out does not fail.
    ///
    /// # Errors
    /// That of the first artifact or item that may not be removed, and those of
    /// [`Registry::protected`].
    pub fn check_removal(&self, plan: &RemovalPlan, options: &RemoveOptions) -> Result<()> {
        if options.keep_going {
            return Ok(());
        }
        let protected = remove::protected(&self.removing(&Silent), plan, options)?;
        match protected.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }

    /// Context of a removal.
    pub(super) fn removing<'a>(&'a self, monitor: &'a dyn Monitor) -> Removing<'a> {
        Removing {
            catalog: &self.catalog,
            base: &self.base,
            has_folder: self.has_folder,
            keep: self.keep,
            // Read once: rows, manifest and history of one removal have one time.
            now: self.clock.now(),
            monitor,
        }
    }

    /// Carries a plan out: rows and data, in one transaction. The catalog is backed up before, if
    /// no backup is younger than a day; without space for that the removal goes on, and the report
    /// says so.
    ///
    /// # Errors
    /// [`Error`] if anything cannot be removed, except what `keep_going` leaves out,
    /// or the monitor cancels before everything has moved; then everything is as before. Also if
    /// the backup finds the catalog damaged.
    pub fn remove_planned(
        &self,
        plan: &RemovalPlan,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        remove::carry_out(&self.removing(monitor), plan, options)
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
        // Chosen outside the transaction, which checks every row again.
        let chosen = self.to_remove_selected(filter)?;
        self.remove_artifacts(chosen, options, monitor)
    }

    /// Removes these artifacts: rows and data, in one transaction.
    ///
    /// # Errors
    /// As [`Registry::remove_planned`].
    pub fn remove_artifacts(
        &self,
        chosen: Vec<ArtifactToRemove>,
        options: &RemoveOptions,
        monitor: &dyn Monitor,
    ) -> Result<RemovalReport> {
        let plan = remove::plan(
            &self.catalog,
            &self.base,
            remove::Containers::Selected,
            chosen,
            monitor,
        )?;
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
        self.remove_artifacts(self.to_remove(target)?, options, monitor)
    }

    /// Removes an artifact with default options, without progress.
    ///
    /// # Errors
    /// As [`Registry::remove_target`].
    pub fn remove_artifact(&self, target: &Target) -> Result<RemovalReport> {
        self.remove_target(target, &RemoveOptions::default(), &Silent)
    }

    /// Returns the removals whose data is in the trash, oldest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn trash(&self) -> Result<Vec<Removal>> {
        trash::removals(&self.catalog)
    }

    /// Returns the bytes on disk of what is in the trash, as far as they were counted.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn trash_bytes(&self) -> Result<ByteCount> {
        Ok(self.catalog.trash_bytes()?)
    }

    /// Counts what lies in the trash of each removal beside its artifacts: checkpoints, logs and
    /// the like, which went with the folder of a run or with a container. No number of
    /// [`Registry::trash`] has it. `None` for a removal that is being purged, in which something
    /// cannot be read, or that has over 100,000 artifacts.
    ///
    /// # Errors
    /// [`Error`] if the catalog cannot be read, or the monitor cancels.
    pub fn trash_others(
        &self,
        monitor: &dyn Monitor,
    ) -> Result<BTreeMap<RemovalId, Option<OtherUse>>> {
        trash::others(&self.catalog, &self.base, monitor)
    }

    /// Returns a removal in any state; `None` if there is no removal with this id.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn removal(&self, id: &RemovalId) -> Result<Option<Removal>> {
        Ok(self.catalog.removal(id)?)
    }

    /// Returns what [`Registry::restore`] would restore. Changes nothing.
    ///
    /// # Errors
    /// [`Error`] with code `no-removal`, `not-restorable` or `not-in-trash`.
    pub fn restorable(&self, target: &RestoreTarget) -> Result<Vec<RemovedArtifact>> {
        restore::restorable(&self.catalog, &self.base, target, self.clock.now())
    }

    /// Returns what [`Registry::restore`] would do for these targets, one after the other: what
    /// would come back, and in [`RestoreReport::skipped`] what would stay, because something is at
    /// its place. Looks at catalog, trash and disk as they are now; changes nothing.
    ///
    /// # Errors
    /// As [`Registry::restore`] of the target that is wrong.
    pub fn plan_restore(&self, targets: &[RestoreTarget]) -> Result<RestoreReport> {
        restore::plan_restore(&self.catalog, &self.base, targets, self.clock.now())
    }

    /// Brings rows and data back from the trash. What was moved as a whole comes back as a whole;
    /// if its place is taken, what has no counterpart there comes back, and the rest is in
    /// [`RestoreReport::skipped`]. Nothing at an old path is overwritten.
    ///
    /// # Errors
    /// As [`Registry::restorable`]; `occupied` if nothing can come back, because something else is
    /// at each old path; `trash-untrusted` if another user may have put the data into the trash,
    /// who may not write where it would go.
    pub fn restore(&self, target: &RestoreTarget) -> Result<RestoreReport> {
        let _publishing = self.catalog.publishing();
        let operation = NewOperation::new(Action::Restore, self.clock.now());
        restore::restore_target(&self.catalog, &self.base, target, operation)
    }

    /// Purges the trash, or only what was removed longer ago than `older_than` or is past its own
    /// time, and continues purges that were interrupted. If the monitor cancels, the removal that
    /// is being unlinked stays so, the rest of the trash is as before, and the report names both.
    ///
    /// # Errors
    /// [`Error`] if the trash cannot be read or the catalog fails.
    pub fn empty_trash(
        &self,
        older_than: Option<Duration>,
        monitor: &dyn Monitor,
    ) -> Result<EmptyReport> {
        let now = self.clock.now();
        let what = Emptied::OlderThan(older_than);
        trash::empty_trash(&self.catalog, &self.base, what, now, monitor)
    }

    /// Purges removals that are in the trash, and leaves the rest of it.
    ///
    /// # Errors
    /// [`Error::NoRemoval`] if one is not in the trash; nothing is purged
    /// then. And as [`Registry::empty_trash`].
    pub fn purge_removals(
        &self,
        removals: &[RemovalId],
        monitor: &dyn Monitor,
    ) -> Result<EmptyReport> {
        let now = self.clock.now();
        let what = Emptied::Removals(removals);
        trash::empty_trash(&self.catalog, &self.base, what, now, monitor)
    }
}
