//! The registry: one base directory and its catalog, and everything that can be asked of them.

mod agent;
pub mod array_store;
mod gc;
mod history;
mod options;
mod pinning;
mod rebuilding;
mod removing;
mod store;
mod verifying;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::catalog::backup::{self, Backup};
use crate::catalog::{
    Catalog, CatalogCounts, CatalogHealth, DuGroup, DuRow, IterationRow, Recorded, RunRow, Selected,
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
use crate::model::progress::{Monitor, Silent};
use crate::ops::recover::Recovery;
use crate::ops::refresh::{self, Question, RefreshOptions, RefreshReport};
use crate::ops::scan::{self, ScanOptions, ScanReport};
use crate::ops::seal::{self, SealOptions};
use crate::ops::target;
use crate::store::Base;

pub use crate::ops::restore::RestoreTarget;
pub use crate::ops::target::Target;
pub use crate::ops::undo::UndoReport;
pub use history::Gone;
pub use options::Options;
pub use pinning::PinTarget;

/// One base directory and its catalog.
///
/// Usable from several threads; several handles and processes may use one base directory at
/// once. A handle that was carried over a fork answers every call with the error `forked`.
pub struct Registry {
    base: Base,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
    has_folder: bool,
    /// How long removed data is kept, where the configuration says so.
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

    /// The catalog file.
    #[must_use]
    pub fn catalog_path(&self) -> &Path {
        self.catalog.path()
    }

    /// The registry's own id.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn id(&self) -> Result<String> {
        Ok(self.catalog.registry_id()?)
    }

    /// What the catalog stands on, for people who look for a fault.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn health(&self) -> Result<CatalogHealth> {
        Ok(self.catalog.health()?)
    }

    /// The backups of the catalog, newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] where their folder cannot be read.
    pub fn backups(&self) -> Result<Vec<Backup>> {
        Ok(backup::list(self.catalog.backups())?)
    }

    /// Makes a backup of the catalog, unless one is younger than a day or another process makes one
    /// just now; then none is given. A removal does so by itself.
    ///
    /// # Errors
    /// [`Error::Catalog`]: `catalog-damaged` where the catalog is; any other where the backup could
    /// not be made.
    pub fn back_up(&self, monitor: &dyn Monitor) -> Result<Option<Backup>> {
        Ok(self.catalog.back_up_daily(self.clock.now(), monitor)?)
    }

    /// How much the catalog has of each thing.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn counts(&self) -> Result<CatalogCounts> {
        Ok(self.catalog.counts()?)
    }

    /// Whether changes are refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.catalog.is_read_only()
    }

    /// What a reader should know about how the catalog is read, if anything.
    #[must_use]
    pub fn notice(&self) -> Option<&'static str> {
        self.catalog.notice()
    }

    /// Records a key. The same key gives the same artifact for ever; recording it again changes
    /// nothing and takes no lock.
    ///
    /// # Errors
    /// [`CatalogError::PathTaken`](crate::catalog::CatalogError::PathTaken) where another key with
    /// the same path was recorded.
    pub fn record(&self, key: &Key) -> Result<Recorded> {
        if let Some(artifact) = self.catalog.at(&layout::canonical_location(key))?
            && artifact.key == *key
            && (artifact.origin == Origin::Recorded || self.is_read_only())
        {
            return Ok(Recorded {
                artifact,
                is_new: false,
            });
        }
        let record = |recorder: &mut crate::catalog::Recorder<'_>| recorder.record(key);
        let doing = NewOperation::new(Action::Record, self.clock.now());
        Ok(self.catalog.record(doing, record)?)
    }

    /// Records many keys in one transaction, all or none.
    ///
    /// # Errors
    /// As [`Registry::record`]; then none is recorded.
    pub fn record_many<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a Key>,
    ) -> Result<Vec<Recorded>> {
        self.catalog.record(
            NewOperation::new(Action::Record, self.clock.now()),
            |recorder| {
                keys.into_iter()
                    .map(|key| recorder.record(key).map_err(Error::from))
                    .collect()
            },
        )
    }

    /// Records the array of an identifier, under the key that the layout reads from its path.
    ///
    /// # Errors
    /// [`Error`] where it lies outside the base directory, is no array, or a name is refused.
    pub fn record_identifier(&self, identifier: &LocalArrayIdentifier) -> Result<Recorded> {
        let location = self.location_of(identifier)?;
        if let Some(artifact) = self.catalog.at(&location)? {
            return Ok(Recorded {
                artifact,
                is_new: false,
            });
        }
        self.record(&layout::parse(&location.path())?)
    }

    /// Gives an artifact; none where the catalog has no such row.
    ///
    /// # Errors
    /// [`Error`] where a path lies outside the base directory or the catalog fails.
    pub fn get(&self, target: &Target) -> Result<Option<Artifact>> {
        target::find(&self.catalog, &self.base, target)
    }

    /// Gives every artifact of a selection to `each`, until it breaks: in the order run,
    /// iteration, kind, dataset, parameters. Rows stream, and no lock is held that a writer
    /// would wait for.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn list(
        &self,
        filter: &Filter,
        each: impl FnMut(Artifact) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.catalog
            .list(filter, self.clock.now(), Selected::All, each)
    }

    /// Gives every artifact of a selection at once.
    ///
    /// # Errors
    /// [`Error`].
    pub fn select(&self, filter: &Filter) -> Result<Vec<Artifact>> {
        let mut artifacts = Vec::new();
        self.list(filter, |artifact| {
            artifacts.push(artifact);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(artifacts)
    }

    /// Gives the names of the runs that patterns name, sorted; every run's where there are none. A run
    /// that has nothing any more is among them.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn run_names(&self, runs: &[Pattern]) -> Result<Vec<String>> {
        Ok(self.catalog.run_names(runs)?)
    }

    /// Gives what each iteration of a selection has, in the order of run and iteration.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn iterations(
        &self,
        filter: &Filter,
        each: impl FnMut(IterationRow) -> Result<()>,
    ) -> Result<()> {
        self.catalog.iterations(filter, self.clock.now(), each)
    }

    /// Gives what each run of a selection has, in the order of their names.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn runs(&self, filter: &Filter, each: impl FnMut(RunRow) -> Result<()>) -> Result<()> {
        self.catalog.runs(filter, self.clock.now(), each)
    }

    /// Gives what a selection takes on disk, summed, largest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn du(&self, filter: &Filter, group: DuGroup) -> Result<Vec<DuRow>> {
        Ok(self.catalog.du(filter, self.clock.now(), group)?)
    }

    /// Notes the writer's word that an artifact is whole; counts its bytes and files. A content
    /// hash that it had is dropped: [`Registry::seal_many`] takes a new one.
    ///
    /// # Errors
    /// [`Error::NotRecorded`], [`Error::NothingWritten`], [`Error::Unreadable`].
    pub fn seal(&self, target: &Target) -> Result<Artifact> {
        let artifact = self.get(target)?.ok_or_else(|| self.not_recorded(target))?;
        let artifacts = std::slice::from_ref(&artifact);
        self.seal_many(artifacts, SealOptions::default(), &Silent)?;
        self.get(&Target::Id(artifact.id))?
            .ok_or_else(|| self.not_recorded(target))
    }

    /// Seals many artifacts, all or none; with their content hashes where the options say so.
    ///
    /// # Errors
    /// As [`Registry::seal`], and [`StorageError::Changed`](crate::store::StorageError::Changed)
    /// where data changed while it was read.
    pub fn seal_many(
        &self,
        artifacts: &[Artifact],
        options: SealOptions,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let now = self.clock.now();
        seal::seal(&self.catalog, &self.base, artifacts, options, now, monitor)
    }

    /// Takes a writer's word back: what is to be written again is not whole until it is sealed
    /// anew. Gives the number of artifacts that were sealed.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn unseal(&self, artifacts: &[Artifact]) -> Result<u64> {
        seal::unseal(&self.catalog, artifacts, self.clock.now())
    }

    /// Looks for the data of a selection and notes what it sees.
    ///
    /// # Errors
    /// [`Error`] of the catalog. What cannot be read is in the report.
    pub fn refresh(
        &self,
        filter: &Filter,
        options: RefreshOptions,
        monitor: &dyn Monitor,
    ) -> Result<RefreshReport> {
        let now = self.clock.now();
        refresh::refresh(&self.catalog, &self.base, filter, options, now, monitor)
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

    /// Walks the base directory and adopts every array that has no row; checkpoints too where the
    /// options name their kind.
    ///
    /// # Errors
    /// [`Error`] of the catalog. What cannot be read or named is in the report.
    pub fn scan(
        &self,
        options: impl Into<ScanOptions>,
        monitor: &dyn Monitor,
    ) -> Result<ScanReport> {
        let options = options.into();
        scan::scan(&self.catalog, &self.base, &*self.clock, &options, monitor)
    }

    /// The error for an artifact that the catalog does not have.
    #[must_use]
    pub fn not_recorded(&self, target: &Target) -> Error {
        target::not_recorded(&self.base, target)
    }

    /// The place of an identifier's array.
    fn location_of(&self, identifier: &LocalArrayIdentifier) -> Result<Location> {
        let container = target::location(&self.base, &identifier.container)?.path();
        if !is_container_name(container.rsplit('/').next().unwrap_or_default()) {
            return Err(layout::LayoutError::NoContainer { path: container }.into());
        }
        let dataset: DatasetName = identifier.dataset.parse()?;
        Ok(layout::split(&format!("{container}/{dataset}"))?)
    }

    fn array(&self, key: &Key) -> Result<LocalArrayIdentifier> {
        let artifact = self.record(key)?.artifact;
        let Location { container, array } = artifact.location();
        Ok(LocalArrayIdentifier {
            container: self.base.path().join(container),
            dataset: array.unwrap_or_default(),
        })
    }

    fn container(&self, key: &Key) -> Result<LocalContainerIdentifier> {
        Ok(self.record(key)?.artifact.container())
    }
}
