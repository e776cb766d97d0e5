//! The registry: one base directory and its catalog, and everything that can be asked of them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::array_store::ArrayStore;
use crate::artifact::{Artifact, ArtifactId, Origin};
use crate::catalog::{
    self, Catalog, CatalogError, CatalogOptions, DuGroup, DuRow, Durability, Folder, IterationRow,
    NewFolder, OnWait, Recorded, RunRow, Selected,
};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
use crate::key::Key;
use crate::layout::{self, Location};
use crate::monitor::{Monitor, Silent};
use crate::name::{DatasetName, is_container_name};
use crate::refresh::{self, RefreshOptions, RefreshReport};
use crate::scan::{self, ScanReport};
use crate::storage::{self, Base, FsKind, Gone, WalkOptions};

/// How a registry is opened or made.
pub struct Options {
    catalog: Option<PathBuf>,
    read_only: bool,
    single_host: bool,
    durability: Durability,
    lock_timeout: Duration,
    on_wait: Box<OnWait>,
    clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            catalog: None,
            read_only: false,
            single_host: false,
            durability: Durability::Full,
            lock_timeout: Duration::from_secs(60),
            on_wait: Box::new(|_| {}),
            clock: Arc::new(SystemClock),
        }
    }
}

impl Options {
    /// The defaults: catalog in the base directory, reading and writing, full durability.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the catalog in this file, on a local disk, rather than in the base directory, which
    /// remembers it.
    #[must_use]
    pub fn catalog(mut self, path: impl Into<PathBuf>) -> Self {
        self.catalog = Some(path.into());
        self
    }

    /// Opens for reading only. Works on a read-only mount.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Makes a registry whose catalog lies on a network file system and is written on this host
    /// only.
    #[must_use]
    pub fn single_host(mut self, single_host: bool) -> Self {
        self.single_host = single_host;
        self
    }

    /// What a commit promises.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a change waits while others write; 60 s unless said.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Is told who holds the catalog when a change has waited for two seconds.
    #[must_use]
    pub fn on_wait(mut self, on_wait: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_wait = Box::new(on_wait);
        self
    }

    /// Where the time comes from.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes a registry in a base directory, or opens the one that is there. The second value
    /// says whether it was made.
    ///
    /// # Errors
    /// [`Error`] where the base directory cannot be used, or its registry not be opened. Nothing
    /// is left behind.
    pub fn create(self, base: impl AsRef<Path>) -> Result<(Registry, bool)> {
        let base = Base::open(base.as_ref())?;
        if Folder::exists(base.path()) {
            return Ok((self.open_at(base)?, false));
        }
        let catalog = self.catalog_file()?;
        let place = match &catalog {
            Some(path) => path.parent().unwrap_or(Path::new("/")),
            None => base.path(),
        };
        let single_host = match storage::kind_of(place)? {
            FsKind::Network(file_system) if !self.single_host => {
                let path = catalog.unwrap_or_else(|| base.path().join(crate::name::REGISTRY_DIR));
                return Err(CatalogError::Network { path, file_system }.into());
            }
            _ => self.single_host.then(hostname),
        };
        let new = NewFolder {
            catalog,
            single_host,
        };
        let (_, made) = Folder::create(base.path(), &new, self.clock.now())?;
        Ok((self.open_at(base)?, made))
    }

    /// Opens the registry of a base directory.
    ///
    /// # Errors
    /// [`Error`] where there is none, or it cannot be opened. Nothing is ever created.
    pub fn open(self, base: impl AsRef<Path>) -> Result<Registry> {
        let base = Base::open(base.as_ref())?;
        self.open_at(base)
    }

    fn catalog_file(&self) -> Result<Option<PathBuf>> {
        let Some(path) = &self.catalog else {
            return Ok(None);
        };
        std::path::absolute(path).map(Some).map_err(|source| {
            CatalogError::Io {
                operation: "finding",
                path: path.clone(),
                source,
            }
            .into()
        })
    }

    fn open_at(self, base: Base) -> Result<Registry> {
        let given = self.catalog_file()?;
        let folder = match Folder::find(base.path()) {
            Err(CatalogError::NoRegistry { .. }) if given.is_some() => None,
            found => Some(found?),
        };
        let remembered = folder.as_ref().map(Folder::catalog);
        let path = match (given, remembered) {
            (Some(given), Some(remembered)) if given != remembered => {
                return Err(CatalogError::Elsewhere { remembered, given }.into());
            }
            (Some(path), _) | (None, Some(path)) => path,
            (None, None) => {
                return Err(CatalogError::NoRegistry {
                    base: base.path().to_path_buf(),
                }
                .into());
            }
        };
        // First: a catalog elsewhere may have gone with the folder around it.
        catalog::check_file(&path)?;
        let network = match storage::kind_of(path.parent().unwrap_or(Path::new("/")))? {
            FsKind::Local => None,
            FsKind::Network(file_system) => {
                let host = folder.as_ref().and_then(Folder::single_host);
                self.check_host(&path, file_system, host)?;
                Some(file_system)
            }
        };
        let options = CatalogOptions {
            read_only: self.read_only,
            durability: self.durability,
            lock_timeout: self.lock_timeout,
            on_wait: self.on_wait,
            network,
        };
        let catalog = Catalog::open(&path, base.path(), options)?;
        if let Some(expected) = folder.as_ref().and_then(Folder::registry) {
            let found = catalog.registry_id()?;
            if found != expected {
                let expected = expected.to_owned();
                return Err(CatalogError::Mismatch {
                    path,
                    expected,
                    found,
                }
                .into());
            }
        }
        Ok(Registry {
            base,
            catalog,
            clock: self.clock,
        })
    }

    fn check_host(&self, path: &Path, file_system: &'static str, host: Option<&str>) -> Result<()> {
        let path = path.to_owned();
        match host {
            None => Err(CatalogError::Network { path, file_system }.into()),
            Some(expected) if !self.read_only && expected != hostname() => {
                let (expected, found) = (expected.to_owned(), hostname());
                Err(CatalogError::OtherHost {
                    path,
                    expected,
                    found,
                }
                .into())
            }
            Some(_) => Ok(()),
        }
    }
}

fn hostname() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// How an artifact is named: by key, path or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By what it is.
    Key(Key),
    /// By its path, absolute or relative to the base directory.
    Path(PathBuf),
    /// By its number.
    Id(ArtifactId),
}

/// What became of an artifact that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The row that is gone.
    pub artifact: Artifact,
    /// What became of its data.
    pub data: Gone,
}

/// One base directory and its catalog.
///
/// Usable from several threads; several handles and processes may use one base directory at
/// once. A handle that was carried over a fork answers every call with the error `forked`.
pub struct Registry {
    base: Base,
    catalog: Catalog,
    clock: Arc<dyn Clock>,
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
    /// [`CatalogError::PathTaken`] where another key with the same path was recorded.
    pub fn record(&self, key: &Key) -> Result<Recorded> {
        if let Some(artifact) = self.catalog.at(&layout::place(key))?
            && artifact.key == *key
            && (artifact.origin == Origin::Recorded || self.is_read_only())
        {
            return Ok(Recorded {
                artifact,
                is_new: false,
            });
        }
        let record = |recorder: &mut crate::catalog::Recorder<'_>| recorder.record(key);
        Ok(self.catalog.record(self.clock.now(), record)?)
    }

    /// Records many keys in one transaction, all or none.
    ///
    /// # Errors
    /// As [`Registry::record`]; then none is recorded.
    pub fn record_many<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a Key>,
    ) -> Result<Vec<Recorded>> {
        self.catalog.record(self.clock.now(), |recorder| {
            keys.into_iter()
                .map(|key| recorder.record(key).map_err(Error::from))
                .collect()
        })
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
        self.record(&layout::read(&location.path())?)
    }

    /// Gives an artifact; none where the catalog has no such row.
    ///
    /// # Errors
    /// [`Error`] where a path lies outside the base directory or the catalog fails.
    pub fn get(&self, target: &Target) -> Result<Option<Artifact>> {
        Ok(match target {
            Target::Key(key) => {
                let found = self.catalog.at(&layout::place(key))?;
                found.filter(|artifact| artifact.key == *key)
            }
            Target::Path(path) => self.catalog.at(&self.location(path)?)?,
            Target::Id(id) => self.catalog.by_id(*id)?,
        })
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
        self.catalog.list(filter, Selected::All, each)
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

    /// Gives what each iteration of a selection has, in the order of run and iteration.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn iterations(
        &self,
        filter: &Filter,
        each: impl FnMut(IterationRow) -> Result<()>,
    ) -> Result<()> {
        self.catalog.iterations(filter, each)
    }

    /// Gives what each run of a selection has, in the order of their names.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn runs(&self, filter: &Filter, each: impl FnMut(RunRow) -> Result<()>) -> Result<()> {
        self.catalog.runs(filter, each)
    }

    /// Gives what a selection takes on disk, summed, largest first.
    ///
    /// # Errors
    /// [`Error`].
    pub fn du(&self, filter: &Filter, group: DuGroup) -> Result<Vec<DuRow>> {
        Ok(self.catalog.du(filter, group)?)
    }

    /// Notes the writer's word that an artifact is whole; counts its bytes and files.
    ///
    /// # Errors
    /// [`Error::NotRecorded`], [`Error::NothingWritten`], [`Error::Unreadable`].
    pub fn seal(&self, target: &Target) -> Result<Artifact> {
        let artifact = self.get(target)?.ok_or_else(|| self.not_recorded(target))?;
        self.seal_many(std::slice::from_ref(&artifact), &Silent)?;
        self.get(&Target::Id(artifact.id))?
            .ok_or_else(|| self.not_recorded(target))
    }

    /// Seals many artifacts, all or none.
    ///
    /// # Errors
    /// As [`Registry::seal`].
    pub fn seal_many(&self, artifacts: &[Artifact], monitor: &dyn Monitor) -> Result<()> {
        refresh::seal(
            &self.catalog,
            &self.base,
            artifacts,
            self.clock.now(),
            monitor,
        )
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
        refresh::refresh(&self.catalog, &self.base, filter, options, monitor)
    }

    /// Walks the base directory and adopts every array that has no row.
    ///
    /// # Errors
    /// [`Error`] of the catalog. What cannot be read or named is in the report.
    pub fn scan(&self, options: WalkOptions, monitor: &dyn Monitor) -> Result<ScanReport> {
        scan::scan(&self.catalog, &self.base, &*self.clock, options, monitor)
    }

    /// Removes an artifact: its row and its data, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotRecorded`], and [`Error::Storage`] where the data may not or cannot be
    /// deleted; the row then stays.
    pub fn remove_artifact(&self, target: &Target) -> Result<Removed> {
        let artifact = self.get(target)?.ok_or_else(|| self.not_recorded(target))?;
        let location = layout::place(&artifact.key);
        let removed = self
            .catalog
            .delete(&location, |artifact| -> Result<Removed> {
                let path = location.path();
                let data = storage::remove_tree(&self.base, Path::new(&path))?;
                Ok(Removed {
                    artifact: artifact.clone(),
                    data,
                })
            })?;
        removed.ok_or_else(|| self.not_recorded(target))
    }

    /// The error for an artifact that the catalog does not have.
    #[must_use]
    pub fn not_recorded(&self, target: &Target) -> Error {
        Error::NotRecorded {
            what: match target {
                Target::Key(key) => key.to_string(),
                Target::Path(path) => path.display().to_string(),
                Target::Id(id) => format!("artifact {id}"),
            },
        }
    }

    /// The place of a path below the base directory.
    fn location(&self, path: &Path) -> Result<Location> {
        let outside = || Error::OutsideBase {
            path: path.to_owned(),
            base: self.base.path().to_path_buf(),
        };
        let relative = match path.strip_prefix(self.base.path()) {
            Ok(relative) => relative,
            Err(_) if path.is_absolute() => return Err(outside()),
            Err(_) => path,
        };
        let text = relative.to_str().ok_or_else(outside)?;
        let name: DatasetName = text.parse()?;
        Ok(layout::split(name.as_str())?)
    }

    fn location_of(&self, identifier: &LocalArrayIdentifier) -> Result<Location> {
        let container = self.location(&identifier.container)?.path();
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

impl ArrayStore for Registry {
    fn validation_prediction_array(
        &self,
        run_name: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        let (run, dataset) = (run_name.parse()?, dataset.parse()?);
        self.array(&Key::Prediction {
            run,
            iteration,
            dataset,
        })
    }

    fn validation_output_array(
        &self,
        run_name: &str,
        iteration: i64,
        parameters: &str,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        let (run, dataset) = (run_name.parse()?, dataset.parse()?);
        let parameters = parameters.parse()?;
        self.array(&Key::Output {
            run,
            iteration,
            dataset,
            parameters,
        })
    }

    fn validation_input_arrays(
        &self,
        run_name: &str,
        index: Option<&str>,
    ) -> Result<(LocalArrayIdentifier, LocalArrayIdentifier)> {
        let run: crate::name::RunName = run_name.parse()?;
        let index: Option<DatasetName> = index.map(str::parse).transpose()?;
        let raw = Key::InputRaw {
            run: run.clone(),
            index: index.clone(),
        };
        let gt = Key::InputGt { run, index };
        Ok((self.array(&raw)?, self.array(&gt)?))
    }

    fn best_validation_array(
        &self,
        run_name: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<LocalArrayIdentifier> {
        let (run, criterion) = (run_name.parse()?, criterion.parse()?);
        let index = index.map(str::parse).transpose()?;
        self.array(&Key::Best {
            run,
            criterion,
            index,
        })
    }

    fn snapshot_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        self.container(&Key::SnapshotContainer {
            run: run_name.parse()?,
        })
    }

    fn validation_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        self.container(&Key::ValidationContainer {
            run: run_name.parse()?,
        })
    }

    fn remove(&self, array_identifier: &LocalArrayIdentifier) -> Result<()> {
        let path = self.location_of(array_identifier)?.path();
        self.remove_artifact(&Target::Path(path.into())).map(|_| ())
    }
}
