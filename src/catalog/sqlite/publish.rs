//! The published copy: what hosts without the catalog answer from.
//!
//! If a catalog is outside the base directory, only its host, the keeper, can open it. The keeper
//! copies it to `.dalsegno/published.sqlite3`: after changes, if the last copy is at least a minute
//! old, and when it is asked to. Other hosts read the copy as a file that never changes: each
//! copy is a new file that a rename puts in place, so a reader sees a whole copy or the one before.
//! The time of the copy is the file's modification time, set by the keeper's clock.
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
//! `<catalog>.publishing` is held while a copy is made; a process that finds it taken leaves the
//! copy to the other one. A crash leaves files named `published.sqlite3.new-*` in `.dalsegno` and
//! the copy beside the catalog; the next copy removes them.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use rusqlite::Connection;
use rustix::fs::{Dir, Timespec, Timestamps, futimens, renameat};
use rustix::io::Errno;

use super::backup::copy_open;
use super::connection;
use super::file::Catalog;
use super::place::Place;
use super::published::{PUBLISHED_FILE, Publisher, published_at};
use crate::catalog::error::CatalogError;
use crate::disk::{Folder, LockFile, make_own_file};
use crate::model::causes::with_causes;
use crate::model::clock::Timestamp;

/// What the names of unfinished copies begin with.
const UNFINISHED: &str = "published.sqlite3.new-";

/// A copy that is younger is not replaced by itself.
const INTERVAL: Duration = Duration::from_secs(60);
/// A change makes a copy of a catalog of at most so many bytes; larger ones are copied when the
/// registry is closed, so that no call waits long for it.
const IN_PASSING: u64 = 128 << 20;
const LAST_OPERATION: &str = "SELECT max(id) FROM operation";

impl Catalog {
    /// Publishes changes from now on, in this folder of a registry.
    pub fn publish_in(&mut self, folder: PathBuf) {
        self.publisher = Some(Publisher::new(folder));
    }

    /// Publishes a copy now. Gives when it was made; `None` if another process is publishing.
    ///
    /// # Errors
    /// [`CatalogError::InBase`] if the catalog is in the base directory, [`CatalogError::ReadOnly`]
    /// or [`CatalogError::AtKeeper`] if it is not open for writing; any other if the copy cannot be
    /// made or put in its place. The copy that was there stays then.
    pub fn publish(&self) -> Result<Option<Timestamp>, CatalogError> {
        self.require_writing()?;
        match &self.publisher {
            Some(publisher) => self.publish_for(publisher),
            None => Err(CatalogError::InBase {
                path: self.path.clone(),
            }),
        }
    }

    /// Notes that the catalog was changed, and publishes a copy if one is due and made quickly.
    pub(super) fn publish_in_passing(&self, connection: &Connection) {
        let Some(publisher) = &self.publisher else {
            return;
        };
        publisher.has_changed.store(true, Ordering::Relaxed);
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
        drop(looked);
        let is_small =
            super::backup::size(connection, &self.path).is_ok_and(|bytes| bytes <= IN_PASSING);
        if is_small {
            self.publish_if_due(publisher);
        }
    }

    /// Publishes a copy when a handle is closed, if one is due.
    pub(super) fn publish_at_end(&self) {
        if let Some(publisher) = &self.publisher {
            self.publish_if_due(publisher);
        }
    }

    fn publish_if_due(&self, publisher: &Publisher) {
        let published = match self.is_due(publisher) {
            Ok(false) => return,
            Ok(true) => self.publish_for(publisher).map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = published {
            // Reported beside the call: what it did is committed all the same.
            (self.options.on_notice)(&format!(
                "the catalog could not be published for other hosts: {}",
                with_causes(&error)
            ));
        }
    }

    /// Whether the copy is a minute old or absent, and the catalog has changed since.
    fn is_due(&self, publisher: &Publisher) -> Result<bool, CatalogError> {
        let Some(at) = published_at(&publisher.folder)? else {
            return Ok(true);
        };
        let now = self.options.clock.now();
        // A copy from the future was not dated by this clock: it is replaced.
        if at.age_at(now).is_some_and(|age| age < INTERVAL) {
            return Ok(false);
        }
        if publisher.has_changed.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let is_newer = |suffix: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            let modified = std::fs::metadata(name).and_then(|found| found.modified());
            let since = modified
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            since.is_some_and(|since| i64::try_from(since.as_millis()).is_ok_and(|ms| ms > at.0))
        };
        // Asking for times takes less than opening the copy, and nearly every command ends here.
        if !is_newer("") && !is_newer("-wal") {
            return Ok(false);
        }
        let last = |connection: &Connection| {
            connection.query_row(LAST_OPERATION, [], |row| row.get::<_, Option<i64>>(0))
        };
        let path = publisher.folder.join(PUBLISHED_FILE);
        let place = Place::of(&path)?;
        let copy = connection::open_published(&place, &self.options).ok();
        let copy = copy.and_then(|copy| last(&copy).ok());
        let own = self.read("reading the history", last)?;
        Ok(copy != Some(own))
    }

    fn publish_for(&self, publisher: &Publisher) -> Result<Option<Timestamp>, CatalogError> {
        let beside = |suffix: &str| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let own = Place::of(&self.path)?;
        let io = |error| CatalogError::io("locking", &beside(".publishing"), error);
        let lock = LockFile::open(&own, &own.beside(".publishing")).map_err(io)?;
        if !lock.try_take().map_err(io)? {
            return Ok(None);
        }
        let staging = StagedCopy(beside(".publishing.sqlite3"));
        staging.clear()?;
        let now = self.options.clock.now();
        // What is committed from here on is not in the copy for certain.
        publisher.has_changed.store(false, Ordering::Relaxed);
        let connection = self.take()?;
        let copied = copy_open(
            &connection,
            &self.path,
            &staging.0,
            self.options.lock_timeout,
        );
        self.give_back(connection);
        let placed = copied.and_then(|()| place(&staging.0, &publisher.folder, now));
        if placed.is_err() {
            publisher.has_changed.store(true, Ordering::Relaxed);
        }
        placed.map(|()| Some(now))
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
        // By the keeper's own clock, not that of the file server.
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
        Ok(renameat(&dir, &*name, &dir, PUBLISHED_FILE)?)
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
