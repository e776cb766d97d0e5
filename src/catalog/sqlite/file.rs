//! The handle of an open catalog: its connections, its reads, its write transactions.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior};

use super::backup::{Backup, Maker, ticking};
use super::budget::Budget;
use super::connection::{self, Reach};
use super::opening::OpenConnection;
use super::options::CatalogOptions;
use super::place::Place;
use super::published::Publisher;
use super::queue::{self, Turn, WriteQueue};
use super::reserve::{self, Share};
use super::{fork, index, migrate, second_names};
use crate::catalog::error::CatalogError;
use crate::model::actor::Agent;
use crate::model::clock::{Clock, Timestamp};
use crate::model::progress::{Monitor, Phase, Silent};

/// An open catalog. Usable from several threads.
pub struct Catalog {
    pub(in crate::catalog) path: PathBuf,
    pub(in crate::catalog) base: Arc<Path>,
    pub(super) backups: PathBuf,
    pub(super) options: CatalogOptions,
    access: Reach,
    pub(super) queue: WriteQueue,
    idle: Mutex<Vec<OpenConnection>>,
    /// Behind the connections: SQLite reaches the files through it until they are closed.
    pub(super) place: Arc<Place>,
    registration: fork::Registration,
    /// Publishes changes for other hosts; `None` if all of them can reach the catalog.
    pub(super) publisher: Option<Publisher>,
    /// Who changes it; `None` if it is open for reading only.
    pub(in crate::catalog) agent: Option<Agent>,
    /// Number of the agent's row, once it is committed.
    agent_id: Mutex<Option<i64>>,
    /// The budget of the change that has the turn.
    writing: Mutex<Budget>,
}

/// Slices of the reserve that opening may take: without inodes, all of it would be in vain.
const SLICES_TO_OPEN: u32 = 3;

/// Connections kept for later; more are closed after use.
const MOST_IDLE: usize = 8;

impl Catalog {
    /// Opens the catalog at `path`, whose rows are relative to `base`. `agent` is who changes it:
    /// without one it is open for reading only.
    ///
    /// # Errors
    /// [`CatalogError`] if the file is missing, damaged, of another program or a newer
    /// version, or was opened before a fork. Nothing is ever created.
    pub fn open(
        path: &Path,
        base: &Path,
        agent: Option<Agent>,
        mut options: CatalogOptions,
    ) -> Result<Self, CatalogError> {
        // The history says who changed what, so without an agent nothing is changed.
        options.read_only |= agent.is_none();
        check_clock(path, &*options.clock)?;
        let place = Arc::new(Place::of(path)?);
        connection::check(&place)?;
        // Before SQLite opens anything: in a forked child, that is refused.
        let mut registration = fork::Registration::new(&place)?;
        if !options.read_only {
            registration.hold(&place);
        }
        // Before the first connection: opening may need a turn.
        let queue = WriteQueue::new(Arc::clone(&place), options.lock_timeout)
            .interrupted_by(options.interrupt.clone());
        // A file with a second name is not written, so those that a killed rebuild left go first.
        if !options.read_only && !second_names::find(&place).is_empty() {
            // With the turn: a rebuild that is at work still needs them.
            let _turn = queue.wait(&*options.on_wait)?;
            second_names::remove(&place, &second_names::find(&place));
        }
        let began = Instant::now();
        let may_give_up = !options.read_only && !options.spares_reserve;
        let mut slices = 0..SLICES_TO_OPEN;
        let (access, mut first) = loop {
            match connection::open(&place, &options, &registration) {
                // A full disk has no room for the index of the WAL.
                Err(CatalogError::Full { .. })
                    if may_give_up
                        && slices.next().is_some()
                        && reserve::give_up(&place, 1, Share::All) => {}
                opened => break opened?,
            }
        };
        // SQLite may have waited for another process.
        queue.waits_since(began);
        // Drops the monitor after opening, so that its progress bar disappears.
        let monitor = std::mem::replace(&mut options.monitor, Arc::new(Silent));
        let backups = options.backups.take().unwrap_or_else(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(".backups");
            name.into()
        });
        let catalog = Self {
            path: path.to_owned(),
            place,
            base: base.into(),
            backups,
            options,
            access,
            queue,
            idle: Mutex::new(Vec::new()),
            registration,
            publisher: None,
            agent,
            agent_id: Mutex::new(None),
            writing: Mutex::default(),
        };
        catalog.keep_wal(&mut first);
        if connection::is_behind(path, &first)? {
            catalog.migrate(&first, &*monitor)?;
        }
        catalog.give_back(first);
        Ok(catalog)
    }

    /// How long its changes wait for their turn from now on.
    pub fn wait_at_most(&mut self, patience: Duration) {
        self.options.lock_timeout = patience;
        self.queue.wait_by_default(patience);
    }

    /// Gives a catalog its WAL back: a backup that was put in its place has none. If others have
    /// it open meanwhile it stays as it is, which is slower and as safe.
    fn keep_wal(&self, connection: &mut OpenConnection) {
        // There the rollback journal is what was chosen.
        if self.is_read_only() || self.options.network.is_some() || self.options.single_host {
            return;
        }
        let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get(0));
        if mode.is_ok_and(|mode: String| mode != "wal") {
            // Its files are opened by this, and the lock is not waited for.
            let _ = connection.confined(|connection| {
                connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            });
            // Without room for it, the next that opens the catalog says so.
            let _ = connection.fill_index(&self.place);
        }
    }

    /// Counts the time since `began`, in which opening waited for a turn and got none, for the next
    /// change if that comes soon.
    pub fn waits_since(&self, began: Instant) {
        self.queue.waits_since(began);
    }

    fn migrate(
        &self,
        connection: &OpenConnection,
        monitor: &dyn Monitor,
    ) -> Result<(), CatalogError> {
        if self.is_read_only() {
            return Err(connection::behind(&self.path, connection)?);
        }
        let _turn = self.queue.wait(&*self.options.on_wait)?;
        self.require_its_host()?;
        self.require_its_file()?;
        // Of several processes that open it at once, one migrates: the others find it done here.
        if !connection::is_behind(&self.path, connection)? {
            return Ok(());
        }
        let clock = &*self.options.clock;
        // Outside the transaction below: a copy reads only what is committed.
        self.maker().before_migration(connection, clock, monitor)?;
        // The copy was checked.
        connection.budget().renew();
        connection.budget().add_migration(&self.place);
        let transaction = self.begin(connection, self.options.lock_timeout)?;
        // Again under SQLite's own lock: the turn holds back only this program.
        if connection::is_behind(&self.path, &transaction)? {
            let migrate = || migrate::migrate(&transaction);
            ticking(monitor, Phase::Migrate, migrate)
                .map_err(|error| CatalogError::migration(&self.path, migrate::NEWEST, error))?;
        }
        transaction
            .commit()
            .map_err(|error| self.sql("committing a migration", error))
    }

    /// The catalog file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of its backups.
    #[must_use]
    pub fn backups(&self) -> &Path {
        &self.backups
    }

    /// Makes a backup, unless one is younger than a day. Takes no turn to write: others read and
    /// write meanwhile.
    ///
    /// # Errors
    /// - [`CatalogError::Damaged`] if the catalog is: the backups that there are stay.
    /// - [`CatalogError::LockTimeout`] if another process makes one, and is not done after 2 s.
    /// - Any other if it could not be made.
    pub fn back_up_daily(
        &self,
        now: Timestamp,
        monitor: &dyn Monitor,
    ) -> Result<Option<Backup>, CatalogError> {
        self.require_writing()?;
        let maker = self.maker();
        // Asked before a connection is taken: nearly every removal ends here.
        if maker.has_recent(now)? {
            return Ok(None);
        }
        // The backups are in the base directory, where those of the keeper are.
        self.require_its_host()?;
        let connection = self.take()?;
        let made = maker.daily(&connection, now, monitor);
        self.give_back(connection);
        made
    }

    fn maker(&self) -> Maker<'_> {
        Maker {
            catalog: &self.path,
            folder: &self.backups,
            patience: self.options.lock_timeout,
        }
    }

    /// Whether there is a reserve beside it with which a removal can open it on a full disk.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn has_reserve(&self) -> bool {
        reserve::is_left(&self.path)
    }

    /// The base directory that the rows are relative to.
    #[must_use]
    pub fn base(&self) -> &Arc<Path> {
        &self.base
    }

    /// Whether changes are refused.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        !matches!(self.access, Reach::Write)
    }

    #[cfg(feature = "cli")]
    /// Whether this user may write the catalog, if there is space on its disk.
    pub(crate) fn may_write(&self) -> bool {
        connection::can_write(&self.path)
    }

    /// What a reader should know about how the catalog is read, if anything.
    #[must_use]
    pub fn notice(&self) -> Option<&'static str> {
        self.access.notice()
    }

    /// The registry's own id.
    ///
    /// # Errors
    /// [`CatalogError`] if the row cannot be read.
    pub fn registry_id(&self) -> Result<String, CatalogError> {
        let id = self.read("reading the registry's id", |connection| {
            let id = connection.query_row(connection::REGISTRY_ID, [], |row| row.get(0));
            id.optional()
        })?;
        id.ok_or_else(|| CatalogError::Damaged {
            path: self.path.clone(),
            detail: "it does not say which registry it is".to_owned(),
        })
    }

    /// Refuses if the catalog is not open for writing.
    ///
    /// # Errors
    /// [`CatalogError::AtKeeper`] if this is a copy that another host published,
    /// [`CatalogError::ReadOnly`] otherwise; [`CatalogError::ClockBeforeEpoch`].
    pub fn require_writing(&self) -> Result<(), CatalogError> {
        match (&self.access, &self.options.keeper) {
            // A handle may be open for long, and the clock be set meanwhile.
            (Reach::Write, _) => check_clock(&self.path, &*self.options.clock),
            (_, Some(keeper)) => Err(keeper.refusal()),
            _ => Err(CatalogError::ReadOnly {
                path: self.path.clone(),
            }),
        }
    }

    /// Refuses if another file is in the catalog's place: a change would be lost, and a new
    /// connection would read another catalog than the others of this handle. A process that
    /// replaces the file holds the turn.
    pub(super) fn require_its_file(&self) -> Result<(), CatalogError> {
        match self.registration.is_at(&self.path) {
            true => Ok(()),
            false => Err(CatalogError::Replaced {
                path: self.path.clone(),
            }),
        }
    }

    /// Refuses if another host keeps the catalog by now, or this one keeps it elsewhere: a change
    /// here would be one that no other program sees.
    pub(super) fn require_its_host(&self) -> Result<(), CatalogError> {
        let keeping = self.options.keeping.as_ref();
        keeping.map_or(Ok(()), |require| require())
    }

    pub(in crate::catalog) fn agent_id(&self) -> Option<i64> {
        *self.agent_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::catalog) fn remember_agent(&self, id: Option<i64>) {
        *self.agent_id.lock().unwrap_or_else(PoisonError::into_inner) = id;
    }

    /// Allows the change that has the turn what so many rows take that it was given.
    pub(in crate::catalog) fn allow_rows(&self, rows: u64) {
        self.lock_writing().add_rows(rows);
    }

    fn lock_writing(&self) -> MutexGuard<'_, Budget> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::catalog) fn sql(
        &self,
        operation: &'static str,
        source: rusqlite::Error,
    ) -> CatalogError {
        // Over a quota SQLite only says that the system failed, not that space was lacking.
        let may_be_full = source.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
        if may_be_full && index::lacks_room(&self.place) {
            return CatalogError::full(&self.path);
        }
        CatalogError::sql(operation, &self.path, source)
    }

    pub(super) fn take(&self) -> Result<OpenConnection, CatalogError> {
        self.registration.check(&self.path)?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(connection) => {
                connection.budget().renew();
                Ok(connection)
            }
            // A newer copy may be in its place, and is read from now on.
            None if matches!(self.access, Reach::Published) => {
                connection::again(&self.place, &self.access, &self.options)
            }
            None => {
                self.require_its_file()?;
                connection::again(&self.place, &self.access, &self.options)
            }
        }
    }

    pub(super) fn give_back(&self, connection: OpenConnection) {
        // The next read is to see a copy that was published meanwhile.
        if matches!(self.access, Reach::Published) {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    /// Runs a read.
    pub(in crate::catalog) fn read<T>(
        &self,
        operation: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogError> {
        self.read_with(|connection| read(connection).map_err(|error| self.sql(operation, error)))
    }

    /// Runs a read that has errors of its own.
    pub(in crate::catalog) fn read_with<T, E: From<CatalogError>>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.take()?;
        let interrupt = &self.options.interrupt;
        if interrupt.is_some() {
            connection.budget().interrupt_by(interrupt.clone());
        }
        let result = read(&connection);
        if interrupt.is_some() {
            // One that stays might end a change.
            connection.budget().interrupt_by(None);
        }
        self.give_back(connection);
        result
    }

    /// Ends a change between two of its parts that takes back what it has done of them.
    ///
    /// # Errors
    /// [`CatalogError::Interrupted`] if the options have an interrupt that ends the call.
    pub(crate) fn require_not_interrupted(&self) -> Result<(), CatalogError> {
        match self.options.interrupt.as_ref().is_some_and(|ends| ends()) {
            true => Err(CatalogError::Interrupted {
                path: self.path.clone(),
            }),
            false => Ok(()),
        }
    }

    /// Runs a change in one transaction; it is committed if `change` returns `Ok`.
    pub(in crate::catalog) fn write<T, E: From<CatalogError>>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.require_writing()?;
        let connection = self.take()?;
        let result = self.write_on(operation, &connection, change);
        if result.is_ok() {
            self.publish_in_passing(&connection);
        }
        self.give_back(connection);
        result
    }

    /// The same, waiting no longer than `patience` for its turn.
    pub(in crate::catalog) fn write_within<T, E: From<CatalogError>>(
        &self,
        patience: Duration,
        operation: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.require_writing()?;
        let connection = self.take()?;
        let patience = patience.min(self.options.lock_timeout);
        let start = Instant::now();
        let turn = self.queue.wait_at_most(patience, &*self.options.on_wait);
        let result = turn.map_err(E::from).and_then(|turn| {
            let patience = patience.saturating_sub(start.elapsed());
            self.write_in_turn(&turn, patience, operation, &connection, change)
        });
        self.give_back(connection);
        result
    }

    pub(super) fn write_on<T, E: From<CatalogError>>(
        &self,
        operation: &'static str,
        connection: &OpenConnection,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let start = Instant::now();
        let turn = self.queue.wait(&*self.options.on_wait)?;
        // One timeout for both locks: what the wait for the turn took is gone.
        let patience = self.options.lock_timeout.saturating_sub(start.elapsed());
        self.write_in_turn(&turn, patience, operation, connection, change)
    }

    fn write_in_turn<T, E: From<CatalogError>>(
        &self,
        _turn: &Turn,
        patience: Duration,
        operation: &'static str,
        connection: &OpenConnection,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // After the wait for the turn, in which another host may have become the keeper.
        self.require_its_host()?;
        // With the turn in hand: a rebuild holds it while it replaces the file.
        self.require_its_file()?;
        self.registration.require_header(&self.path)?;
        let transaction = self.begin(connection, patience)?;
        // With the turn, so no other thread changes the catalog by this handle.
        *self.lock_writing() = connection.budget().clone();
        let value = change(&transaction)?;
        transaction
            .commit()
            .map_err(|error| self.sql(operation, error))?;
        if let Some(publisher) = &self.publisher {
            publisher.has_written.store(true, Ordering::Relaxed);
        }
        Ok(value)
    }

    /// Begins a write transaction. The turn is ours, so only other programs can be in the way.
    fn begin<'a>(
        &self,
        connection: &'a Connection,
        patience: Duration,
    ) -> Result<Transaction<'a>, CatalogError> {
        let start = Instant::now();
        let mut is_reported = false;
        loop {
            // Immediate: one that begins as a read cannot write once another has. Each try waits
            // for up to a second, by the busy timeout.
            match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
                Ok(transaction) => return Ok(transaction),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    self.require_not_interrupted()?;
                    let waited = start.elapsed();
                    if !is_reported && waited >= queue::PATIENCE {
                        is_reported = true;
                        (self.options.on_wait)("another program that has it open");
                    }
                    if waited >= patience {
                        return Err(CatalogError::LockTimeout {
                            path: self.path.clone(),
                            waited: patience,
                            holder: Some("another program that has it open".to_owned()),
                        });
                    }
                }
                Err(error) => return Err(self.sql("beginning a change", error)),
            }
        }
    }
}

/// Refuses a clock at whose times nothing can be dated.
///
/// # Errors
/// [`CatalogError::ClockBeforeEpoch`], [`CatalogError::ClockTooFar`].
pub(crate) fn check_clock(path: &Path, clock: &dyn Clock) -> Result<(), CatalogError> {
    match clock.now() {
        now if now.0 < 0 => Err(CatalogError::ClockBeforeEpoch {
            path: path.to_owned(),
            now,
        }),
        now if now > Timestamp::LAST => Err(CatalogError::ClockTooFar {
            path: path.to_owned(),
            now,
        }),
        _ => Ok(()),
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        if !self.registration.is_forked() {
            return self.publish_at_end();
        }
        // Closing them in the child would drop the locks of the parent.
        let idle = self.idle.get_mut().unwrap_or_else(PoisonError::into_inner);
        idle.drain(..).for_each(std::mem::forget);
        // Nor is that let go through which they reach their files.
        std::mem::forget(Arc::clone(&self.place));
    }
}
