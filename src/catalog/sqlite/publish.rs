//! The published copy: what hosts without the catalog answer from.
//!
//! If a catalog is outside the base directory, only its host, the keeper, can open it. The keeper
//! copies it to `.dalsegno/published.sqlite3`, see below. Other hosts read the copy as a file that
//! never changes: each copy is a new file that a rename puts in place, so a reader sees a whole
//! copy or the one before. The copy itself says when it was made, by the keeper's clock.
//!
//! # When
//! - When a handle is closed, and after a long call ([`Catalog::publishing`]): if the copy lacks an
//!   operation of the catalog. So whatever a command changed is in the copy when it ends.
//! - Recording, refreshing and folding notes are many small changes of many processes. If they are
//!   all that is missing and the catalog is larger than [`SMALL`], the copy stays until it is
//!   a minute old.
//! - While a handle stays open: with a change, at most once a minute.
//!
//! The copy is first made beside the catalog, where SQLite may open it by name, as
//! `<catalog>.publishing.sqlite3`. From there its bytes go into a file in `.dalsegno` that is
//! created exclusively and written through its descriptor, so no exchange of names in `.dalsegno`
//! makes the keeper write another file.
//!
//! # A copy is input
//! Any user who may write in `.dalsegno` may put another file in its place. Readers open a regular
//! file without following links and without waiting, refuse tables that are not those of the
//! migrations (a view might never end) and long values, and write nothing by what they read.
//!
//! # Locks and crashes
//! `<catalog>.publishing` is held while a copy is made. A change in passing leaves the copy to the
//! process that has it; the end of a command waits a second for it, because that copy may be older
//! than its last change. A process that has the lock for longer, as one that is stopped, is named
//! once; if it was only copying, it makes another copy with what was changed meanwhile. A crash
//! leaves files named `published.sqlite3.new-*` in `.dalsegno` and
//! the copy beside the catalog; the next copy removes them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension};
use rustix::fs::{Dir, Timespec, Timestamps, futimens, renameat};
use rustix::io::Errno;

use super::backup::{LAST_OPERATION, copy_open};
use super::connection;
use super::file::Catalog;
use super::place::Place;
use super::published::{PUBLISHED_FILE, Publisher, Stamp, published_at};
use super::queue;
use crate::catalog::error::CatalogError;
use crate::disk::{Folder, LockFile, make_own_file, or_sticky};
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;

/// What the name of the lock file ends in.
pub(super) const LOCK: &str = ".publishing";
/// What the names of unfinished copies begin with.
const UNFINISHED: &str = "published.sqlite3.new-";

/// How old a copy gets before small changes of a large catalog replace it.
const INTERVAL: Duration = Duration::from_secs(60);
/// A catalog of so many bytes is copied in some milliseconds.
const SMALL: u64 = 16 << 20;
/// The end of a command waits at most so long for another process that is publishing.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(5);
/// A change makes a copy of a catalog of at most so many bytes; larger ones are copied when the
/// registry is closed, so that no call waits long for it.
const IN_PASSING: u64 = 128 << 20;
/// Milliseconds between two ticks of the clock that files are dated by, at most.
const TICK: i64 = 10;

/// Folders and kinds of failure of which this process has said that nothing was published: a
/// training opens its registry again and again, and one warning is enough.
static SAID: Mutex<BTreeSet<(PathBuf, &'static str)>> = Mutex::new(BTreeSet::new());

/// Whether this process has not said yet that publishing in a folder failed in this way.
fn is_unsaid(folder: &Path, code: &'static str) -> bool {
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.insert((folder.to_owned(), code))
}

/// Number and time of the last operation of a catalog or copy. The number alone says nothing once
/// a rebuild began from less: its operations are numbered from there.
fn last_operation(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    connection
        .query_row(LAST_OPERATION, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

impl Catalog {
    /// Publishes changes from now on, in this folder of a registry.
    pub fn publish_in(&mut self, folder: PathBuf) {
        self.publisher = Some(Publisher::new(folder));
    }

    /// Publishes a copy now, and waits for another process that is publishing. Gives when it was
    /// made; `None` if another process published one meanwhile and is at the next.
    ///
    /// # Errors
    /// [`CatalogError::LockTimeout`] if another process has the lock and publishes nothing;
    /// [`CatalogError::InBase`] if the catalog is in the base directory, [`CatalogError::ReadOnly`]
    /// or [`CatalogError::AtKeeper`] if it is not open for writing; any other if the copy cannot be
    /// made or put in its place. The copy that was there stays then.
    pub fn publish(&self) -> Result<Option<Timestamp>, CatalogError> {
        self.require_writing()?;
        let Some(publisher) = &self.publisher else {
            return Err(CatalogError::InBase {
                path: self.path.clone(),
            });
        };
        let published = self.publish_now(publisher);
        let has_failed = published.is_err();
        publisher.has_failed.store(has_failed, Ordering::Relaxed);
        published
    }

    fn publish_now(&self, publisher: &Publisher) -> Result<Option<Timestamp>, CatalogError> {
        let lock = self.publishing_lock()?;
        let begun = self.options.clock.now();
        let patience = self.options.lock_timeout;
        if self.wait_to_publish(&lock, patience)? {
            return self.publish_with(&lock, publisher).map(Some);
        }
        // A copy of this call's time or later has all that was committed before the call.
        match published_at(&publisher.folder)? {
            Some(at) if at > begun => Ok(None),
            _ => Err(self.held(patience)),
        }
    }

    /// Waits for the lock of those who publish; false if another process keeps it for longer.
    fn wait_to_publish(&self, lock: &LockFile, patience: Duration) -> Result<bool, CatalogError> {
        let start = Instant::now();
        while !lock.try_take().map_err(|error| self.locking(error))? {
            if start.elapsed() >= patience {
                return Ok(false);
            }
            std::thread::sleep(RETRY);
        }
        Ok(true)
    }

    /// Notes that the copy has to have what is changed now by the end of the call or command.
    pub(in crate::catalog) fn owe_copy(&self) {
        if let Some(publisher) = &self.publisher {
            publisher.is_owed.store(true, Ordering::Relaxed);
        }
    }

    /// Publishes a copy if one is due and made quickly, after a change.
    pub(super) fn publish_in_passing(&self, connection: &Connection) {
        let Some(publisher) = &self.publisher else {
            return;
        };
        let mut looked = publisher
            .looked
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // The end of a command looks too, so the first change leaves it to that.
        let now = self.options.clock.now();
        let since = looked.get_or_insert(now);
        if since.age_at(now).is_some_and(|age| age < INTERVAL) {
            return;
        }
        *since = now;
        // Not held during the copy: other threads come here after each change of theirs.
        drop(looked);
        let is_small =
            super::backup::size(connection, &self.path).is_ok_and(|bytes| bytes <= IN_PASSING);
        if is_small {
            self.publish_if_due(publisher, None);
        }
    }

    /// Publishes what a call changes when the call ends, however it ends. For calls that last, in
    /// a handle that may stay open for days.
    pub fn publishing(&self) -> Publishing<'_> {
        Publishing(self)
    }

    /// Publishes a copy when a handle is closed or a long call ends, if one is due.
    pub(super) fn publish_at_end(&self) {
        if let Some(publisher) = &self.publisher
            && !publisher.has_failed.load(Ordering::Relaxed)
        {
            self.publish_if_due(publisher, Some(PATIENCE.min(self.options.lock_timeout)));
        }
    }

    /// `patience`: how long to wait for another process that is publishing; without any, a copy is
    /// left to that process and nothing is said.
    fn publish_if_due(&self, publisher: &Publisher, patience: Option<Duration>) {
        let published = self.try_publish_if_due(publisher, patience);
        // The copy is the new keeper's to make. Without a registry's folder there is no place for
        // one.
        if matches!(
            published,
            Err(CatalogError::AtKeeper { .. } | CatalogError::NoRegistry { .. })
        ) {
            return;
        }
        if let Err(error) = published
            && is_unsaid(&publisher.folder, error.code())
        {
            // Reported beside the call: what it did is committed all the same.
            (self.options.on_notice)(&format!(
                "the catalog could not be published for other hosts: {}",
                with_causes(&error)
            ));
        }
    }

    fn try_publish_if_due(
        &self,
        publisher: &Publisher,
        patience: Option<Duration>,
    ) -> Result<(), CatalogError> {
        if !self.is_due(publisher)? {
            return Ok(());
        }
        let lock = self.publishing_lock()?;
        if !lock.try_take().map_err(|error| self.locking(error))? {
            // Said once: a later call of this handle only looks.
            let patience = patience.filter(|_| !publisher.is_held.load(Ordering::Relaxed));
            let Some(patience) = patience else {
                return Ok(());
            };
            if !self.wait_to_publish(&lock, patience)? {
                publisher.is_held.store(true, Ordering::Relaxed);
                return Err(self.held(patience));
            }
            // The process that had the lock may have published all of it.
            if !self.is_due(publisher)? {
                return Ok(());
            }
        }
        publisher.is_held.store(false, Ordering::Relaxed);
        let begun = Instant::now();
        self.publish_with(&lock, publisher)?;
        // A process that gave up waiting meanwhile leaves its change to this one.
        if begun.elapsed() >= PATIENCE {
            self.owe_copy();
            if self.is_due(publisher)? {
                self.publish_with(&lock, publisher)?;
            }
        }
        Ok(())
    }

    /// The error of a wait for the lock of those who publish.
    fn held(&self, waited: Duration) -> CatalogError {
        let holder = Place::of(&self.path).ok();
        let holder = holder.and_then(|place| queue::holder_of_file(&place, LOCK));
        CatalogError::LockTimeout {
            path: self.beside(LOCK),
            waited,
            holder: Some(holder.unwrap_or_else(|| "a process that cannot be seen".to_owned())),
        }
    }

    /// Whether the copy in this folder lacks something of the catalog, and since when; `None` if
    /// it lacks nothing.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read, or the system does not say when the copy was
    /// made.
    #[cfg(feature = "cli")]
    pub fn unpublished(&self, folder: &Path) -> Result<Option<Unpublished>, CatalogError> {
        let at = published_at(folder)?;
        let place = Place::of(&folder.join(PUBLISHED_FILE))?;
        let copy = connection::open_published(&place, &self.options).ok();
        let copied = copy.and_then(|copy| last_operation(&copy).ok());
        let own = self.read("reading the history", last_operation)?;
        if copied == Some(own) {
            return Ok(None);
        }
        let beside = Place::of(&self.path)?;
        // Looked at only if it is there: this changes nothing.
        let is_there = beside.stat(LOCK).is_ok_and(|found| found.is_some());
        let is_held = is_there
            && self
                .publishing_lock()
                .is_ok_and(|lock| !lock.try_take().unwrap_or(true));
        let holder = is_held.then(|| queue::holder_of_file(&beside, LOCK));
        let now = self.options.clock.now();
        let is_recent = at.is_some_and(|at| at.age_at(now).is_some_and(|age| age < INTERVAL));
        // Small changes of a large catalog wait for as long.
        if !is_held && is_recent {
            return Ok(None);
        }
        Ok(Some(Unpublished {
            at,
            is_held,
            holder: holder
                .flatten()
                .map(|holder| queue::without_arguments(&holder)),
        }))
    }

    /// Whether the copy lacks something of the catalog that it is to have now.
    fn is_due(&self, publisher: &Publisher) -> Result<bool, CatalogError> {
        let Some(at) = published_at(&publisher.folder)? else {
            return Ok(true);
        };
        let is_newer = |suffix: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            let modified = std::fs::metadata(name).and_then(|found| found.modified());
            let since = modified
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            // The kernel dates files by a clock that ticks every few milliseconds.
            since.is_some_and(|since| {
                i64::try_from(since.as_millis()).is_ok_and(|ms| ms.saturating_add(TICK) >= at.0)
            })
        };
        // Asking for times takes less than opening the copy, and many commands end here. A copy
        // from the future was not dated by this clock.
        let now = self.options.clock.now();
        let age = at.age_at(now);
        let is_changed = || publisher.has_written.load(Ordering::Relaxed);
        if age.is_some() && !is_changed() && !is_newer("") && !is_newer("-wal") {
            return Ok(false);
        }
        // Not by a read that an interrupt ends: what was done before it is to be in the copy.
        let connection = self.take()?;
        let size = super::backup::size(&connection, &self.path);
        let own = last_operation(&connection);
        self.give_back(connection);
        let is_throttled = age.is_some_and(|age| age < INTERVAL)
            && !publisher.is_owed.load(Ordering::Relaxed)
            && size? > SMALL;
        if is_throttled {
            return Ok(false);
        }
        let place = Place::of(&publisher.folder.join(PUBLISHED_FILE))?;
        // A copy that cannot be read counts as outdated.
        let copy = connection::open_published(&place, &self.options).ok();
        let copied = copy.and_then(|copy| last_operation(&copy).ok());
        Ok(copied != Some(own.map_err(|error| self.sql("reading the history", error))?))
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    fn locking(&self, error: std::io::Error) -> CatalogError {
        CatalogError::io("locking", &self.beside(LOCK), error)
    }

    fn publishing_lock(&self) -> Result<LockFile, CatalogError> {
        let own = Place::of(&self.path)?;
        LockFile::open(&own, &own.beside(LOCK)).map_err(|error| self.locking(error))
    }

    fn publish_with(
        &self,
        _lock: &LockFile,
        publisher: &Publisher,
    ) -> Result<Timestamp, CatalogError> {
        self.require_its_host()?;
        let staging = StagedCopy(self.beside(".publishing.sqlite3"));
        // A crash may have left one, and a copy is only made if its name is free.
        staging.clear()?;
        let now = self.options.clock.now();
        // What is committed from here on is not in the copy for certain.
        let was_owed = publisher.is_owed.swap(false, Ordering::Relaxed);
        publisher.has_written.store(false, Ordering::Relaxed);
        let connection = self.take()?;
        let copied = copy_open(
            &connection,
            &self.path,
            &staging.0,
            self.options.lock_timeout,
        );
        self.give_back(connection);
        let placed = copied
            // The copy of a large catalog takes a while.
            .and_then(|()| self.require_its_host())
            .and_then(|()| place(&staging.0, &publisher.folder, now));
        if placed.is_err() {
            // What was changed is in no copy yet, so the next call tries again.
            publisher.has_written.store(true, Ordering::Relaxed);
            publisher.is_owed.fetch_or(was_owed, Ordering::Relaxed);
        }
        placed.map(|()| now)
    }
}

/// A published copy that lacks something of its catalog.
#[cfg(feature = "cli")]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Unpublished {
    /// When the copy was made; `None` if there is none.
    pub at: Option<Timestamp>,
    /// Whether another process has the lock of those who publish.
    pub is_held: bool,
    /// That process, if it can be seen: its pid and its program.
    pub holder: Option<String>,
}

/// Publishes what a call changed when it is dropped; see [`Catalog::publishing`].
pub struct Publishing<'a>(&'a Catalog);

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        self.0.publish_at_end();
    }
}

/// The copy beside the catalog, which goes in any case.
struct StagedCopy(PathBuf);

impl StagedCopy {
    fn clear(&self) -> Result<(), CatalogError> {
        match std::fs::remove_file(&self.0) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(CatalogError::io("removing", &self.0, error)),
        }
    }
}

impl Drop for StagedCopy {
    fn drop(&mut self) {
        let _ = self.clear();
    }
}

/// Puts a copy of `from` in the place of the published one, whole and synced.
fn place(from: &Path, folder: &Path, at: Timestamp) -> Result<(), CatalogError> {
    let target = folder.join(PUBLISHED_FILE);
    let io = |error: std::io::Error| CatalogError::io("publishing", &target, error);
    let errno = |errno: Errno| io(errno.into());
    // A link in its place would publish another file of the keeper's.
    let mut source = Place::of(from)?.open_beside("").map_err(io)?;
    let dir = Folder::open(folder).map_err(io)?;
    remove_unfinished(&dir);
    let name = format!("{UNFINISHED}{}", uuid::Uuid::new_v4());
    let mut file = File::from(make_own_file(&dir, &*name).map_err(errno)?);
    let mut write = || -> std::io::Result<()> {
        std::io::copy(&mut source, &mut file)?;
        file.write_all(&Stamp::bytes(at))?;
        // By the keeper's own clock, not that of the file server: older versions go by this.
        let seconds = at.0.div_euclid(1000);
        let nanos = at.0.rem_euclid(1000) * 1_000_000;
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanos,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        futimens(&file, &times)?;
        file.sync_all()?;
        match renameat(&dir, &*name, &dir, PUBLISHED_FILE) {
            // A user who may write in the folder can make one there. It is moved unread.
            Err(Errno::ISDIR | Errno::NOTEMPTY) => {
                let aside = format!("{PUBLISHED_FILE}.aside-{}", uuid::Uuid::new_v4());
                renameat(&dir, PUBLISHED_FILE, &dir, aside)?;
                Ok(renameat(&dir, &*name, &dir, PUBLISHED_FILE)?)
            }
            placed => placed.map_err(|errno| or_sticky(&dir, folder, errno)),
        }
    };
    if let Err(error) = write() {
        let _ = dir.unlink(&*name);
        return Err(io(error));
    }
    dir.sync().map_err(io)
}

/// Removes copies that a crash left unfinished. The lock says that no process is making one.
fn remove_unfinished(dir: &Folder) {
    let Ok(entries) = Dir::read_from(dir) else {
        return;
    };
    for entry in entries.flatten() {
        if entry
            .file_name()
            .to_bytes()
            .starts_with(UNFINISHED.as_bytes())
        {
            let _ = dir.unlink(entry.file_name());
        }
    }
}
