//! How a registry is opened or made.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Registry;
use super::agent::{self, hostname};
use crate::catalog::{
    self, Catalog, CatalogError, CatalogOptions, Durability, IsKept, Keeping, OnNotice, OnWait,
    PUBLISHED_FILE, RegistryDir, Share, Tie,
};
use crate::error::{Error, Result};
use crate::model::clock::{Clock, SystemClock};
use crate::model::progress::{Interrupt, Monitor, Silent};
use crate::ops::inbox::Fold;
use crate::ops::recover::{self, Recovery};
use crate::ops::room::with_room_before;
use crate::ops::site::{CatalogSite, Wanted};
use crate::store::{self, Base, FsKind};

/// Opening waits for so long to settle what a crash left. A removal settles it too.
const PATIENCE_AT_OPEN: Duration = Duration::from_secs(3);

/// How a registry is opened or made.
pub struct Options {
    catalog: Option<PathBuf>,
    pub(super) read_only: bool,
    single_host: bool,
    keeper: bool,
    shared: bool,
    durability: Durability,
    pub(super) lock_timeout: Duration,
    pub(super) on_wait: Box<OnWait>,
    on_notice: Box<OnNotice>,
    interrupt: Option<Interrupt>,
    purge_due: bool,
    spares_reserve: bool,
    #[cfg(feature = "cli")]
    despite_mistakes: bool,
    pub(super) clock: Arc<dyn Clock>,
    monitor: Arc<dyn Monitor>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The remaining fields are functions and trait objects of the caller.
        f.debug_struct("Options")
            .field("catalog", &self.catalog)
            .field("read_only", &self.read_only)
            .field("single_host", &self.single_host)
            .field("keeper", &self.keeper)
            .field("shared", &self.shared)
            .field("durability", &self.durability)
            .field("lock_timeout", &self.lock_timeout)
            .finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            catalog: None,
            read_only: false,
            single_host: false,
            keeper: false,
            shared: false,
            durability: Durability::Full,
            lock_timeout: Duration::from_secs(60),
            on_wait: Box::new(|_| {}),
            on_notice: Box::new(|_| {}),
            interrupt: None,
            purge_due: true,
            spares_reserve: false,
            #[cfg(feature = "cli")]
            despite_mistakes: false,
            clock: Arc::new(SystemClock),
            monitor: Arc::new(Silent),
        }
    }
}

impl Options {
    /// The defaults: catalog in the base directory, reading and writing, full durability.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the catalog in this file, on a local disk, instead of in the base directory. The base
    /// directory remembers the file.
    #[must_use]
    pub fn catalog(mut self, path: impl Into<PathBuf>) -> Self {
        self.catalog = Some(path.into());
        self
    }

    /// Opens for reading only, which works on a read-only mount too.
    #[must_use]
    pub fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Allows a new registry to keep its catalog on a network file system, if only this host
    /// writes it.
    #[must_use]
    pub fn single_host(mut self, single_host: bool) -> Self {
        self.single_host = single_host;
        self
    }

    /// Lets [`Options::create`] make this host the one that has the catalog of a registry that is
    /// there: after the host was renamed, or after the catalog file was copied to this host.
    #[must_use]
    pub fn keeper(mut self, keeper: bool) -> Self {
        self.keeper = keeper;
        self
    }

    /// Lets the group of the base directory write a new registry: its folder is writable for the
    /// group and gives the group to what is made in it. A base directory that is both itself has
    /// such a registry without this.
    #[must_use]
    pub fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Sets what a commit promises; [`Durability::Full`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how long a change waits while others write; 60 s by default.
    #[must_use]
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets a function that is called with the holder of the lock once a change has waited for two
    /// seconds.
    #[must_use]
    pub fn on_wait(mut self, on_wait: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_wait = Box::new(on_wait);
        self
    }

    /// Sets a function that is called with a sentence for the user about something that went on
    /// beside a call, such as a copy of the catalog that could not be published.
    #[must_use]
    pub fn on_notice(mut self, on_notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_notice = Box::new(on_notice);
        self
    }

    /// Sets a function that ends a call when it returns true. It runs on the thread of the call,
    /// while the call waits for its turn to write and at times while it reads the catalog. A call
    /// that is ended fails with the code `interrupted` and has changed nothing; a change that has
    /// begun is not ended, but that a restore puts back what it had moved of a removal. For work on
    /// the data, see
    /// [`Monitor::is_cancelled`](crate::model::progress::Monitor::is_cancelled).
    #[must_use]
    pub fn interrupt(mut self, interrupt: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.interrupt = Some(Arc::new(interrupt));
        self
    }

    /// Sets whether opening goes on with purges that were interrupted or are due, for a moment;
    /// true by default. Without it opening unlinks no data: for a program that is about to restore.
    #[must_use]
    pub fn purge_due(mut self, purge_due: bool) -> Self {
        self.purge_due = purge_due;
        self
    }

    /// Sets whether the reserve of a full disk is left to removals, which free space; false by
    /// default. With it, opening for writing fails with the code `catalog-full` there: for a
    /// program that frees nothing.
    #[must_use]
    pub fn spare_reserve(mut self, spare_reserve: bool) -> Self {
        self.spares_reserve = spare_reserve;
        self
    }

    /// Sets whether settings with a mistake are left out instead of being an error: for what reads
    /// and must stay silent.
    #[cfg(feature = "cli")]
    pub(crate) fn despite_mistakes(mut self, despite_mistakes: bool) -> Self {
        self.despite_mistakes = despite_mistakes;
        self
    }

    /// Sets the clock; the system's by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the monitor of a migration and of the backup before it, which opening an older catalog
    /// brings.
    #[must_use]
    pub fn monitor(mut self, monitor: impl Monitor + 'static) -> Self {
        self.monitor = Arc::new(monitor);
        self
    }

    /// Makes a registry in a base directory, or opens the one that is there. The second value says
    /// whether it was made.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the base directory cannot be used;
    /// `catalog-on-network` if the catalog would be on a network file system; `catalog-taken` if
    /// the catalog file exists already; and as [`Options::open`]. Nothing is left behind, unless
    /// the catalog is that of this base directory and damaged: then its folder is there for a
    /// rebuild.
    pub fn create(self, base: impl AsRef<Path>) -> Result<(Registry, bool)> {
        let base = Base::open(base.as_ref())?;
        if RegistryDir::exists(base.path())? {
            // Before it is opened, which refuses a catalog that is bound to another base directory.
            let wanted = self.wanted()?;
            wanted.claim(&base)?;
            self.say_closed(&wanted, &base);
            return Ok((self.open_at(base)?, false));
        }
        // Before anything is made, so that a refusal leaves nothing behind.
        catalog::check_clock(base.path(), &*self.clock)?;
        let wanted = self.wanted()?;
        let made = wanted.create(&base, self.clock.now())?;
        self.say_closed(&wanted, &base);
        let registry = self.open_at(base)?;
        if made {
            // Made while there is space: a removal gives it up if the disk is full.
            registry.catalog.keep_reserve();
        }
        Ok((registry, made))
    }

    /// Says what keeps the group that shares the base directory from writing the catalog.
    fn say_closed(&self, wanted: &Wanted, base: &Base) {
        if let Some(closed) = wanted.closed_to_group(base) {
            (self.on_notice)(&closed);
        }
    }

    /// Opens the registry of a base directory.
    ///
    /// # Errors
    /// [`Error::Storage`](crate::Error::Storage) if the base directory cannot be used;
    /// [`Error::Catalog`](crate::Error::Catalog) with code `no-registry` if it has no registry, and
    /// others such as `catalog-damaged`, `catalog-too-new`, `lock-timeout`. Nothing is ever
    /// created.
    pub fn open(self, base: impl AsRef<Path>) -> Result<Registry> {
        let base = Base::open(base.as_ref())?;
        self.open_at(base)
    }

    /// What these options say about the place of the catalog.
    pub(super) fn wanted(&self) -> Result<Wanted> {
        Ok(Wanted {
            catalog: self.catalog_file()?,
            read_only: self.read_only,
            single_host: self.single_host,
            keeper: self.keeper,
            shared: self.shared,
            here: hostname(),
            #[cfg(feature = "cli")]
            despite_mistakes: self.despite_mistakes,
        })
    }

    fn catalog_file(&self) -> Result<Option<PathBuf>> {
        let Some(path) = &self.catalog else {
            return Ok(None);
        };
        // Absolute, because the process may change its folder while the registry is open.
        std::path::absolute(path).map(Some).map_err(|source| {
            CatalogError::Io {
                operation: "finding",
                path: path.clone(),
                source,
            }
            .into()
        })
    }

    pub(super) fn open_at(self, base: Base) -> Result<Registry> {
        let site = self.wanted()?.find(&base)?;
        if let Some(keeper) = &site.keeper
            && !self.read_only
        {
            // The file is on a disk of another host and cannot be written from here.
            return Err(keeper.refusal().into());
        }
        let is_unlearned = site.is_unlearned() && !self.read_only;
        let is_unproven = site.tie == Some(Tie::Unclaimed);
        let is_bound = site.tie == Some(Tie::Bound);
        let publisher = site.keeper.as_ref().map(|keeper| keeper.host.clone());
        let explain = |error| match &publisher {
            _ if is_unproven => catalog::unproven(error),
            Some(host) => catalog::published_by(error, host),
            None => error,
        };
        let CatalogSite {
            path,
            mut folder,
            network,
            keeper,
            ..
        } = site;
        // On any other host than the keeper the published copy answers.
        let path = match (&keeper, &folder) {
            (Some(keeper), Some(folder)) => {
                let path = folder.dir().join(PUBLISHED_FILE);
                if catalog::published_at(&folder.dir())?.is_none() {
                    let host = keeper.host.clone();
                    return Err(CatalogError::NotPublished { path, host }.into());
                }
                path
            }
            _ => path,
        };
        catalog::check_file(&path).map_err(&explain)?;
        let on_notice: Arc<OnNotice> = self.on_notice.into();
        let heard = Arc::clone(&on_notice);
        // Only such a catalog can get another host while it is open here.
        let keeping = folder
            .as_ref()
            .filter(|folder| !self.read_only && (folder.elsewhere().is_some() || network.is_some()))
            .map(|folder| {
                let is_local = matches!(store::fs_kind(base.path()), Ok(FsKind::Local));
                Keeping::new(folder, hostname(), network.is_some(), !is_local)
            });
        let options = CatalogOptions {
            read_only: self.read_only,
            spares_reserve: self.spares_reserve,
            durability: self.durability,
            lock_timeout: self.lock_timeout,
            on_wait: self.on_wait,
            interrupt: self.interrupt,
            network,
            single_host: folder.as_ref().is_some_and(|f| f.single_host().is_some()),
            backups: folder.as_ref().map(RegistryDir::backups),
            keeper: keeper.clone(),
            keeping: keeping.map(|keeping| -> Box<IsKept> { Box::new(move || keeping.require()) }),
            on_notice: Box::new(move |notice| heard(notice)),
            clock: Arc::clone(&self.clock),
            monitor: self.monitor,
        };
        // Skips the user lookup for read-only opens: it is slow if users are in LDAP.
        let agent = (!self.read_only).then(agent::agent);
        let mut catalog = Catalog::open(&path, base.path(), agent, options).map_err(explain)?;
        // Another file may have been put in place of the catalog.
        if let Some(expected) = folder.as_ref().and_then(RegistryDir::registry) {
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
        if let Some(folder) = &mut folder
            && !self.read_only
        {
            let here = hostname();
            if is_unlearned && catalog::learn(folder, &path, &catalog.registry_id()?, &here) {
                on_notice(&format!(
                    "{} remembers from now on that its catalog is on this host, {here}",
                    base.path().display()
                ));
            }
            // From now on each change through this handle updates the copy for the other hosts.
            if folder.host() == Some(&here) {
                if is_bound {
                    folder.remember();
                }
                catalog.publish_in(folder.dir());
            }
        }
        let keep = folder
            .as_ref()
            .and_then(|folder| folder.config.trash.as_ref()?.keep);
        // Also for a handle that reads, which can say that the copy is behind.
        #[cfg(feature = "cli")]
        let publishes = folder
            .as_ref()
            .is_some_and(|folder| folder.host() == Some(&*hostname()));
        let mut registry = Registry {
            base,
            catalog,
            clock: self.clock,
            has_folder: folder.is_some(),
            keeper,
            #[cfg(feature = "cli")]
            publishes,
            keep,
            recovery: Recovery::default(),
            policies: folder
                .as_ref()
                .map(|folder| folder.config.policy.clone())
                .unwrap_or_default(),
        };
        if !registry.catalog.is_read_only() {
            let now = registry.clock.now();
            let patience = self.lock_timeout;
            let began = Instant::now();
            // A handle that only asks needs no recovery, and each removal looks again.
            registry
                .catalog
                .wait_at_most(patience.min(PATIENCE_AT_OPEN));
            let (catalog, base) = (&registry.catalog, &registry.base);
            let recovered = with_room_before(catalog, Share::All, || match self.purge_due {
                true => recover::recover(catalog, base, now, None),
                false => recover::settle_pending(catalog, base, now, None).map(|(done, _)| done),
            });
            let mut has_waited = false;
            registry.recovery = match recovered {
                // A process that hangs with the turn in its hand.
                Err(Error::Catalog(CatalogError::LockTimeout { .. })) => {
                    has_waited = true;
                    Recovery::default()
                }
                // What is removed through this handle makes room.
                Err(error) if error.is_full() && !self.spares_reserve => Recovery::default(),
                recovered => recovered?,
            };
            // Folding does not wait for it again.
            registry.catalog.wait_at_most(match has_waited {
                true => Duration::ZERO,
                false => patience,
            });
            let (catalog, base) = (&registry.catalog, &registry.base);
            // After recovery, because a note may be about data that it has just put back.
            let here = agent::hostname();
            let fold = Fold {
                catalog,
                base,
                now,
                here: &here,
                user: &agent::user_name,
            };
            let folded = fold.fold()?;
            registry.recovery.folded = folded.notes;
            registry.recovery.problems.extend(folded.problems);
            // Calls to come wait as long as the caller asked for, which is one time for all.
            registry.catalog.wait_at_most(patience);
            if has_waited {
                registry.catalog.waits_since(began);
            }
        }
        Ok(registry)
    }
}
