//! The face of the library: one base directory, its catalog, and every call that users make.
//!
//! [`Registry`] holds the open base directory and catalog and passes them, with the time and the
//! actor, to the protocols in `ops`. Each file here is one subject and holds no logic of its own.

mod agent;
pub mod array_store;
mod gc;
mod history;
mod inbox;
mod options;
mod pinning;
mod publishing;
mod rebuilding;
mod recording;
mod removing;
mod renaming;
mod selecting;
mod store;
mod verifying;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "cli")]
use crate::catalog;
use crate::catalog::backup::{self, Backup};
use crate::catalog::{
    Catalog, CatalogCounts, CatalogHealth, DuGroup, DuRow, IterationRow, Keeper, Recorded, RunRow,
    Selected, Share, SummaryOptions,
};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, Origin};
use crate::model::clock::Clock;
use crate::model::filter::{Filter, Pattern};
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
use crate::model::key::Key;
use crate::model::layout::{self, Location};
use crate::model::name::{DatasetName, is_container_name};
use crate::model::operation::{Action, NewOperation};
use crate::model::order::Order;
use crate::model::progress::{Monitor, Silent};
use crate::ops::near;
use crate::ops::others::{self, OtherUse};
use crate::ops::recover::Recovery;
use crate::ops::refresh::{self, Question, RefreshOptions, RefreshReport};
use crate::ops::room::with_room_before;
use crate::ops::scan::{self, ScanOptions, ScanReport};
use crate::ops::seal::{self, SealOptions};
use crate::ops::target;
use crate::store::Base;

pub use crate::ops::target::Target;
#[cfg(feature = "cli")]
pub(crate) use agent::hostname;
pub use history::FormerArtifact;
pub use inbox::Inbox;
pub use options::Options;
pub use pinning::PinSelection;
pub use publishing::Published;
pub use recording::RecordingStore;

/// An open base directory and its catalog.
///
/// A handle can be shared between threads, and many handles and processes can use one base
/// directory at once. In a forked child every call fails with the code `forked`.
pub struct Registry {
    base: Base,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    has_folder: bool,
    /// The host that has the catalog, if this registry reads the copy that it published.
    keeper: Option<Keeper>,
    /// Whether this host publishes copies of the catalog.
    #[cfg(feature = "cli")]
    publishes: bool,
    /// How long removed data stays in the trash; `None` if the configuration does not set it.
    keep: Option<Duration>,
    recovery: Recovery,
    /// The policies that the configuration names.
    policies: BTreeMap<String, crate::retention::NamedPolicy>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("base", &self.base.path())
            .field("catalog", &self.catalog.path())
            .field("read_only", &self.catalog.is_read_only())
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// Makes a registry in a base directory, or opens the one that is there.
    ///
    /// # Errors
    /// As [`Options::create`].
    pub fn create(base: impl AsRef<Path>) -> Result<Self> {
        Options::new().create(base).map(|(registry, _)| registry)
    }

    /// Opens the registry of a base directory.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open(base: impl AsRef<Path>) -> Result<Self> {
        Options::new().open(base)
    }

    /// Opens the registry of a base directory for reading only.
    ///
    /// # Errors
    /// As [`Options::open`].
    pub fn open_read_only(base: impl AsRef<Path>) -> Result<Self> {
        Options::new().read_only(true).open(base)
    }

    /// The base directory, absolute.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.base.path()
    }

    /// The catalog file; on another host, if this registry reads a published copy.
    #[must_use]
    pub fn catalog_path(&self) -> &Path {
        match &self.keeper {
            Some(keeper) => &keeper.catalog,
            None => self.catalog.path(),
        }
    }

    /// Returns the registry's own id, a UUID.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn id(&self) -> Result<String> {
        Ok(self.catalog.registry_id()?)
    }

    /// Returns facts about the catalog file for fault finding: SQLite, journal, files, versions.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn health(&self) -> Result<CatalogHealth> {
        Ok(self.catalog.health()?)
    }

    /// The backups of the catalog, newest first; those dated in the future last.
    ///
    /// # Errors
    /// [`Error::Catalog`] if their folder cannot be read.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        Ok(backup::list(self.catalog.backups(), self.clock.now())?)
    }

    /// Backs up the catalog. Returns `None`, and makes no backup, if one is younger than a day.
    /// Removals call this by themselves.
    ///
    /// # Errors
    /// [`Error::Catalog`]: `catalog-damaged` if the catalog is damaged, `lock-timeout` if another
    /// process has been making a backup for 2 s, any other code if the backup could not be
    /// written.
    pub fn back_up(&self, monitor: &dyn Monitor) -> Result<Option<Backup>> {
        Ok(self.catalog.back_up_daily(self.clock.now(), monitor)?)
    }

    /// Counts the rows of the catalog: runs, artifacts, pins, scores, operations, removals.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn counts(&self) -> Result<CatalogCounts> {
        Ok(self.catalog.counts()?)
    }

    /// Whether changes are refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.catalog.is_read_only()
    }

    #[cfg(feature = "cli")]
    /// Whether this user may change the catalog, if there is space on its disk.
    pub(crate) fn may_write(&self) -> bool {
        self.catalog.may_write()
    }

    /// Whether a removal can open the catalog on a full disk.
    #[cfg(feature = "cli")]
    pub(crate) fn has_reserve(&self) -> bool {
        self.catalog.has_reserve()
    }

    /// What keeps the group that shares the base directory from writing a catalog outside of it.
    #[cfg(feature = "cli")]
    pub(crate) fn closed_to_group(&self) -> Option<String> {
        let folder = catalog::RegistryDir::find(self.base.path()).ok()?;
        let is_here = self.keeper.is_none() && folder.elsewhere().is_some();
        is_here
            .then(|| catalog::closed_to_group(&folder, self.catalog.path()))
            .flatten()
    }

    /// Returns a sentence for the user if the catalog is read in an unusual way, such as immutable
    /// from a read-only mount.
    #[must_use]
    pub fn notice(&self) -> Option<&'static str> {
        self.catalog.notice()
    }

    /// Records a key. The same key always gives the same artifact; recording it again changes
    /// nothing and takes no lock.
    ///
    /// # Errors
    /// [`CatalogError::PathTaken`](crate::catalog::CatalogError::PathTaken) if another key with the
    /// same path is recorded; any other [`Error::Catalog`] if the catalog cannot be written;
    /// [`Error::Layout`] if the container has no ending and the run is called like a container.
    pub fn record(&self, key: &Key) -> Result<Recorded> {
        Self::check_path(key)?;
        // Reads first: a training asks for the same identifiers again and again, and would
        // otherwise queue for the lock each time.
        if let Some(artifact) = self.catalog.at(&layout::canonical_location(key))?
            && artifact.key == *key
            // A row that a scan adopted becomes a recorded one, which takes a write.
            && (artifact.origin == Origin::Recorded || self.is_read_only())
        {
            return Ok(Recorded {
                artifact,
                is_new: false,
            });
        }
        let record = |recorder: &mut crate::catalog::Recorder<'_>| recorder.record(key);
        let operation = NewOperation::new(Action::Record, self.clock.now());
        Ok(self.catalog.record(operation, record)?)
    }

    /// Records many keys in one transaction, all or none.
    ///
    /// # Errors
    /// As [`Registry::record`]; no key is recorded then.
    pub fn record_many<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a Key>,
    ) -> Result<Vec<Recorded>> {
        self.catalog.record(
            NewOperation::new(Action::Record, self.clock.now()),
            |recorder| {
                let record = |key| {
                    Self::check_path(key)?;
                    Ok(recorder.record(key)?)
                };
                keys.into_iter().map(record).collect()
            },
        )
    }

    /// Records the array of an identifier, under the key that the layout reads from its path.
    ///
    /// # Errors
    /// [`Error::OutsideBase`] if it is outside the base directory, [`Error::Layout`] if it is not
    /// an array in a container of a run, [`Error::Name`] if a name breaks the rules; and as
    /// [`Registry::record`].
    pub fn record_identifier(&self, identifier: &LocalArrayIdentifier) -> Result<Recorded> {
        let location = self.location_of(identifier)?;
        // The row there may have another key than the one that its path reads as.
        if let Some(artifact) = self.catalog.at(&location)? {
            return Ok(Recorded {
                artifact,
                is_new: false,
            });
        }
        self.record(&layout::parse(&location.path())?)
    }

    /// Looks an artifact up; `None` if the catalog has no row for it.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if a path is that of a run, or outside runs, where no artifact can be;
    /// [`Error::OutsideBase`] if it is outside the base directory, [`Error::Catalog`] if the catalog
    /// cannot be read.
    pub fn get(&self, target: &Target) -> Result<Option<Artifact>> {
        match target::find(&self.catalog, &self.base, target) {
            Err(Error::Layout(_)) => Err(self.not_recorded(target)),
            Ok(None) if self.is_run(target) => Err(self.not_recorded(target)),
            found => found,
        }
    }

    fn is_run(&self, target: &Target) -> bool {
        matches!(target, Target::Path(path) if near::is_run(&self.catalog, &self.base, path))
    }

    /// Passes every artifact of a selection to `each`, until it breaks. The order is run,
    /// iteration, kind, dataset, parameters. Rows stream, and no writer waits for the listing.
    ///
    /// # Errors
    /// [`Error::Catalog`] if a row cannot be read, and any error that `each` returns.
    pub fn list(
        &self,
        filter: &Filter,
        each: impl FnMut(Artifact) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.catalog
            .list(filter, self.clock.now(), Selected::All, each)
    }

    /// Passes every artifact of a selection to `each`, in an order, until it breaks. The catalog
    /// sorts them before it gives the first.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn list_by(
        &self,
        filter: &Filter,
        order: &Order,
        each: impl FnMut(Artifact) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let now = self.clock.now();
        self.catalog.list_by(filter, now, order, each)
    }

    /// Returns every artifact of a selection, in the order of [`Registry::list`].
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn select(&self, filter: &Filter) -> Result<Vec<Artifact>> {
        let mut artifacts = Vec::new();
        self.list(filter, |artifact| {
            artifacts.push(artifact);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(artifacts)
    }

    /// Returns the names of the runs that match any of the patterns, sorted; all runs if there are
    /// no patterns. Runs of which nothing is left are included.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn run_names(&self, runs: &[Pattern]) -> Result<Vec<String>> {
        Ok(self.catalog.run_names(runs)?)
    }

    /// Passes one summary for each run and iteration of a selection to `each`, in this order: its
    /// datasets, outputs, predictions, bytes and files.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn iterations(
        &self,
        filter: &Filter,
        each: impl FnMut(IterationRow) -> Result<()>,
    ) -> Result<()> {
        self.iterations_by(filter, &SummaryOptions::default(), on(each))
    }

    /// The same in another order, with counts of pins or with best scores, until `each` breaks. An
    /// order makes them wait until all are summed.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn iterations_by(
        &self,
        filter: &Filter,
        options: &SummaryOptions<IterationRow>,
        each: impl FnMut(IterationRow) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let now = self.clock.now();
        self.catalog.iterations_by(filter, now, options, each)
    }

    /// Passes one summary for each run of a selection to `each`, in the order of names.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn runs(&self, filter: &Filter, each: impl FnMut(RunRow) -> Result<()>) -> Result<()> {
        self.runs_by(filter, &SummaryOptions::default(), on(each))
    }

    /// The same in another order, with counts of pins or with best scores, until `each` breaks. An
    /// order makes them wait until all are summed.
    ///
    /// # Errors
    /// As [`Registry::list`].
    pub fn runs_by(
        &self,
        filter: &Filter,
        options: &SummaryOptions<RunRow>,
        each: impl FnMut(RunRow) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let now = self.clock.now();
        self.catalog.runs_by(filter, now, options, each)
    }

    /// Sums the bytes and files of a selection by group, largest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn du(&self, filter: &Filter, group: DuGroup) -> Result<Vec<DuRow>> {
        Ok(self.catalog.du(filter, self.clock.now(), group)?)
    }

    /// Seals an artifact: records the writer's word that it is whole, and counts its bytes and
    /// files. Drops a content hash that it had; [`Registry::seal_many`] can take a new one.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if there is no row, [`Error::NothingWritten`] if there is no data,
    /// [`Error::Unreadable`] if the data cannot be counted, [`Error::OfAnotherRun`] if it is, by its
    /// time, another run's.
    pub fn seal(&self, target: &Target) -> Result<Artifact> {
        let artifact = self.get(target)?.ok_or_else(|| self.not_recorded(target))?;
        let artifacts = std::slice::from_ref(&artifact);
        self.seal_many(artifacts, SealOptions::default(), &Silent)?;
        // Read again, now with its size and its seal.
        self.get(&Target::Id(artifact.id))?
            .ok_or_else(|| self.not_recorded(target))
    }

    /// Seals many artifacts, all or none; with their content hashes if the options ask for them.
    ///
    /// # Errors
    /// As [`Registry::seal`], and [`StorageError::Changed`](crate::store::StorageError::Changed) if
    /// data changed while it was read.
    pub fn seal_many(
        &self,
        artifacts: &[Artifact],
        options: SealOptions,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let now = self.clock.now();
        seal::seal(&self.catalog, &self.base, artifacts, options, now, monitor)
    }

    /// Takes seals back, for data that is about to be written again. Returns the number of
    /// artifacts that were sealed.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be written.
    pub fn unseal(&self, artifacts: &[Artifact]) -> Result<u64> {
        seal::unseal(&self.catalog, artifacts, self.clock.now())
    }

    /// Looks on disk for the data of a selection and writes what it sees into the rows.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be written. Data that cannot be read is in the
    /// report.
    pub fn refresh(
        &self,
        filter: &Filter,
        options: RefreshOptions,
        monitor: &dyn Monitor,
    ) -> Result<RefreshReport> {
        let now = self.clock.now();
        let mut report =
            refresh::refresh(&self.catalog, &self.base, filter, options, now, monitor)?;
        report.gone = self
            .catalog
            .count_missing(&filter.without_observed(), now)?;
        Ok(report)
    }

    /// Looks on disk for the data of these artifacts, whatever their rows say; counts those that
    /// were not counted yet if the options say `measure`. Rows whose data is gone stay as they are.
    /// Does nothing if the registry is read-only.
    ///
    /// # Errors
    /// As [`Registry::refresh`].
    pub fn refresh_artifacts(
        &self,
        artifacts: &[Artifact],
        options: RefreshOptions,
        monitor: &dyn Monitor,
    ) -> Result<RefreshReport> {
        if self.is_read_only() {
            return Ok(RefreshReport::default());
        }
        let now = self.clock.now();
        let (catalog, base) = (&self.catalog, &self.base);
        // The look before a removal.
        with_room_before(catalog, Share::Half, || {
            refresh::refresh_artifacts(catalog, base, artifacts, options, now, monitor)
        })
    }

    /// Refreshes and measures what a question needs before it is answered. Does nothing if the
    /// registry is read-only.
    ///
    /// # Errors
    /// As [`Registry::refresh`].
    pub fn refresh_for(
        &self,
        question: Question<'_>,
        monitor: &dyn Monitor,
    ) -> Result<RefreshReport> {
        if self.is_read_only() {
            return Ok(RefreshReport::default());
        }
        let now = self.clock.now();
        refresh::refresh_for(&self.catalog, &self.base, question, now, monitor)
    }

    /// Walks the base directory and adopts every array that has no row; checkpoints too if the
    /// options name their kind.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be written. Folders that cannot be read, and names
    /// that break the rules, are in the report.
    pub fn scan(&self, options: ScanOptions, monitor: &dyn Monitor) -> Result<ScanReport> {
        let _publishing = self.catalog.publishing();
        scan::scan(&self.catalog, &self.base, &*self.clock, &options, monitor)
    }

    /// Counts what the folders of the runs that a filter names hold besides what is recorded with
    /// its bytes on disk, such as checkpoints that were not taken in, logs and stray folders.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read, [`Error::Cancelled`] if the monitor
    /// cancels. What cannot be read is in the notices.
    pub fn other_use(&self, filter: &Filter, monitor: &dyn Monitor) -> Result<OtherUse> {
        others::others(&self.catalog, &self.base, filter, self.clock.now(), monitor)
    }

    /// Returns the error for an artifact that has no row.
    #[must_use]
    pub fn not_recorded(&self, target: &Target) -> Error {
        near::not_recorded(&self.catalog, &self.base, target)
    }

    /// Refuses a key whose path the layout cannot read, so that a restore could not take it.
    fn check_path(key: &Key) -> Result<()> {
        // Behind a run that is called like a container, one without an ending is not seen as such.
        if key
            .container()
            .is_some_and(|name| !is_container_name(name.as_str()))
        {
            layout::parse(&layout::locate(key).path())?;
        }
        Ok(())
    }

    /// Location of an identifier's array.
    fn location_of(&self, identifier: &LocalArrayIdentifier) -> Result<Location> {
        let container = target::location(&self.base, &identifier.container)?.path();
        // Otherwise a container above it, or one in the name of the dataset, would be taken for it.
        let dataset: DatasetName = identifier.dataset.parse()?;
        let place = layout::split(&format!("{container}/{dataset}"))?;
        match layout::is_container(&container) || place.container == container {
            true => Ok(place),
            false => Err(layout::LayoutError::NoContainer { path: container }.into()),
        }
    }

    fn array(&self, key: &Key) -> Result<LocalArrayIdentifier> {
        // Before it is handed out, because the caller may write there at once.
        self.record(key)?;
        Ok(LocalArrayIdentifier::of(self.base.path(), key))
    }

    fn container(&self, key: &Key) -> Result<LocalContainerIdentifier> {
        self.record(key)?;
        Ok(LocalContainerIdentifier::of(self.base.path(), key))
    }
}

/// Goes on after each row.
fn on<R>(mut each: impl FnMut(R) -> Result<()>) -> impl FnMut(R) -> Result<ControlFlow<()>> {
    move |row| each(row).map(ControlFlow::Continue)
}
