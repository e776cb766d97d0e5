//! Backups of the catalog: whole copies in a folder beside the data, of which three are kept.
//!
//! Entry: [`list`], [`check`], [`copy()`]; one is made by [`Catalog::back_up_daily`] before a
//! removal, and before every migration.
//!
//! Backups lie in `.dalsegno/backups/` of the base directory, also where the catalog lies elsewhere:
//! a local disk that is lost is what they are for. Where a base directory has no `.dalsegno`, they
//! lie in `<catalog>.backups/`.
//!
//! | file in the folder | what |
//! |---|---|
//! | `YYYYMMDDTHHMMSSZ.sqlite3` | a backup, named by its time in UTC |
//! | `new-*.sqlite3` | one that is being made, or whose making was killed |
//! | `lock` | who makes one |
//!
//! Everything else there is somebody's, and is left alone.
//!
//! # Making one
//! The open catalog is copied page by page, in one read transaction, to `new-*.sqlite3`, which is
//! synced and checked, and then renamed. So what has a backup's name is whole. Only when the folder
//! is synced too, older ones go: what the new one equals byte for byte, then those dated in the
//! future (their clock was wrong, and this one holds what they hold), then the oldest. Pages are
//! copied as they are. So where the copy is damaged the catalog is: then the copy goes, the older
//! ones stay, and the error says that the catalog is damaged.
//!
//! A backup is in rollback-journal mode, so that nothing lies beside it, and has the permissions of
//! the catalog. It is opened `immutable`: reading it makes no file.
//!
//! # Locks
//! An exclusive `flock` on `lock`, for as long as a backup is made, or chosen and copied by a rebuild,
//! which would otherwise lose it in between. A removal that does not get it goes on without, because
//! somebody makes one just then. A migration and a rebuild wait for it, and hold the turn to write
//! meanwhile; whoever makes a backup with the lock waits for no turn.
//!
//! # After a crash
//! A `new-*.sqlite3` may be left. The next one that makes a backup removes it: with the lock in
//! hand, nobody else is at work on it.

mod copy;

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime};
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;

use crate::catalog::Catalog;
use crate::catalog::error::CatalogError;
use crate::model::clock::Timestamp;
use crate::model::progress::{Monitor, Phase, Progress};

#[cfg(feature = "testing")]
pub(in crate::catalog) use copy::LAST_OPERATION;
#[cfg(feature = "testing")]
pub use copy::{Checked, LastOperation};
pub use copy::{check, copy};
use copy::{copy_open, examine, is_equal, size};

/// Name of the folder of backups in the registry's folder.
pub const BACKUPS_DIR: &str = "backups";

/// How many are kept.
const KEPT: usize = 3;
/// A removal makes one where none is younger.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes and inodes that a backup before a removal leaves free.
const ROOM: u64 = 8 << 20;
const INODES: u64 = 32;
const EXTENSION: &str = ".sqlite3";
const TEMPORARY: &str = "new-";
const LOCK: &str = "lock";
/// How often one that waits looks again.
const AGAIN: Duration = Duration::from_millis(10);
/// How often a monitor is told that the work goes on.
const TICK: Duration = Duration::from_millis(100);
/// A backup of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
    /// When it was made, to the second, by the clock of the registry.
    pub at: Timestamp,
}

/// Gives the backups in a folder, newest first by their names. What has no backup's name, or is no
/// regular file, is left out; a folder that is not there has none.
///
/// # Errors
/// [`CatalogError::Io`] where the folder cannot be read.
pub fn list(folder: &Path) -> Result<Vec<Backup>, CatalogError> {
    let io = |error| CatalogError::io("listing the backups in", folder, error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut backups = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io)?;
        let Some(at) = entry.file_name().to_str().and_then(time_of) else {
            continue;
        };
        if entry.file_type().map_err(io)?.is_file() {
            let path = entry.path();
            backups.push(Backup { path, at });
        }
    }
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.at));
    Ok(backups)
}

/// The lock of a folder of backups, until it is dropped: no backup is made or let go meanwhile.
pub(crate) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // By name: a child that was forked meanwhile may hold the same file open.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Catalog {
    /// The folder of its backups.
    #[must_use]
    pub fn backups(&self) -> &Path {
        &self.backups
    }

    /// Makes a backup, unless one is younger than a day or somebody makes one just now. Takes no
    /// turn to write: others read and write meanwhile.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] where the catalog is: the backups that there are stay. Any other
    /// where it could not be made.
    pub fn back_up_daily(
        &self,
        now: Timestamp,
        monitor: &dyn Monitor,
    ) -> Result<Option<Backup>, CatalogError> {
        self.require_writing()?;
        if self.has_recent(now)? {
            return Ok(None);
        }
        let connection = self.take()?;
        let made = self.back_up_now(&connection, now, monitor);
        self.give_back(connection);
        made
    }

    fn back_up_now(
        &self,
        connection: &Connection,
        now: Timestamp,
        monitor: &dyn Monitor,
    ) -> Result<Option<Backup>, CatalogError> {
        self.leave_room(connection)?;
        make_folder(&self.backups)?;
        let Some(held) = lock(&self.backups, Duration::ZERO)? else {
            return Ok(None);
        };
        // Another may have made it in between.
        if self.has_recent(now)? {
            return Ok(None);
        }
        ticking(monitor, Phase::Backup, || {
            self.make(connection, now, &held).map(Some)
        })
    }

    /// Refuses a backup that would take the last room, which the removal behind it needs. Quotas
    /// are not seen here.
    fn leave_room(&self, connection: &Connection) -> Result<(), CatalogError> {
        let folder = self.backups.parent().unwrap_or(Path::new("/"));
        let Ok(found) = rustix::fs::statvfs(folder) else {
            return Ok(());
        };
        let needed = size(connection, &self.path)?.saturating_add(ROOM);
        let lacks_bytes = found.f_bavail.saturating_mul(found.f_frsize) < needed;
        // A file system that makes inodes as it needs them counts none at all.
        let lacks_inodes = found.f_files > 0 && found.f_favail < INODES;
        if lacks_bytes || lacks_inodes {
            let error = Errno::NOSPC.into();
            return Err(CatalogError::io("backing up to", &self.backups, error));
        }
        Ok(())
    }

    /// Makes the backup without which nothing is migrated. The caller holds the turn to write, and
    /// has no transaction open.
    pub(in crate::catalog) fn back_up_before_migration(
        &self,
        connection: &Connection,
        monitor: &dyn Monitor,
    ) -> Result<Backup, CatalogError> {
        let patience = self.options.lock_timeout;
        let make = || {
            make_folder(&self.backups)?;
            let held = wait_for_lock(&self.backups, &self.path, patience)?;
            let now = self.options.clock.now();
            ticking(monitor, Phase::Backup, || self.make(connection, now, &held))
        };
        make().map_err(|error| match error {
            CatalogError::Damaged { .. } | CatalogError::LockTimeout { .. } => error,
            _ => CatalogError::NoBackup {
                path: self.path.clone(),
                folder: self.backups.clone(),
                source: Box::new(error),
            },
        })
    }

    /// Whether a backup is younger than a day. One that is dated in the future has no age.
    fn has_recent(&self, now: Timestamp) -> Result<bool, CatalogError> {
        let is_recent = |backup: &Backup| backup.at.age_at(now).is_some_and(|age| age < DAY);
        Ok(list(&self.backups)?.iter().any(is_recent))
    }

    /// Makes a backup of what `connection` reads.
    fn make(
        &self,
        connection: &Connection,
        now: Timestamp,
        _held: &Held,
    ) -> Result<Backup, CatalogError> {
        remove_leftovers(&self.backups);
        let name = format!("{TEMPORARY}{}{EXTENSION}", uuid::Uuid::new_v4().simple());
        let new = self.backups.join(name);
        copy_open(connection, &self.path, &new, self.options.lock_timeout)?;
        let made = check(&new)
            .map_err(|error| self.why(connection, error))
            .and_then(|_| self.name_it(&new, now));
        if made.is_err() {
            let _ = fs::remove_file(&new);
        }
        made
    }

    /// Why a copy is not sound: nearly always because the catalog is not.
    fn why(&self, connection: &Connection, error: CatalogError) -> CatalogError {
        let detail = match &error {
            CatalogError::Damaged { detail, .. } => detail.clone(),
            CatalogError::Foreign { .. } | CatalogError::TooNew { .. } => error.to_string(),
            _ => return error,
        };
        match examine(&self.path, connection) {
            Ok(_) => {
                let detail = format!("the copy does not hold what was written to it: {detail}");
                let error = std::io::Error::new(ErrorKind::InvalidData, detail);
                CatalogError::io("writing a backup to", &self.backups, error)
            }
            Err(_) => CatalogError::Damaged {
                path: self.path.clone(),
                detail,
            },
        }
    }

    /// Gives a sound copy its name, and lets go what is one too many.
    fn name_it(&self, new: &Path, now: Timestamp) -> Result<Backup, CatalogError> {
        let older = list(&self.backups)?;
        let equal = match older.first() {
            Some(newest) if is_equal(&newest.path, new) => Some(newest.clone()),
            _ => None,
        };
        let made = free_name(&self.backups, now);
        fs::rename(new, &made.path)
            .map_err(|error| CatalogError::io("naming the backup", &made.path, error))?;
        sync(&self.backups)?;
        let mut others: Vec<Backup> = older
            .into_iter()
            .filter(|backup| Some(backup) != equal.as_ref())
            .collect();
        // The first ones stay: the newest that are not dated in the future, then the newest.
        others.sort_by_key(|backup| backup.at > made.at);
        for backup in equal.iter().chain(others.iter().skip(KEPT - 1)) {
            // One that stays for now is one too many for the next one as well.
            let _ = fs::remove_file(&backup.path);
        }
        Ok(made)
    }
}

/// Takes the lock of the backups of a catalog, where there are any.
///
/// # Errors
/// [`CatalogError::LockTimeout`] where another has it for longer than `patience`.
pub(crate) fn hold(
    folder: &Path,
    catalog: &Path,
    patience: Duration,
) -> Result<Option<Held>, CatalogError> {
    match list(folder)?.is_empty() {
        true => Ok(None),
        false => wait_for_lock(folder, catalog, patience).map(Some),
    }
}

fn wait_for_lock(folder: &Path, catalog: &Path, patience: Duration) -> Result<Held, CatalogError> {
    lock(folder, patience)?.ok_or_else(|| CatalogError::LockTimeout {
        path: catalog.to_owned(),
        waited: patience,
        holder: Some("a process that makes a backup of it".to_owned()),
    })
}

/// Takes the lock; none where another has it for longer than `patience`.
fn lock(folder: &Path, patience: Duration) -> Result<Option<Held>, CatalogError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| CatalogError::io("opening", &path, error))?;
    let start = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Some(Held(file))),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if start.elapsed() >= patience => return Ok(None),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(AGAIN),
            Err(errno) => return Err(CatalogError::io("locking", &path, errno.into())),
        }
    }
}

/// Runs a phase that counts nothing, and lets the monitor see every now and then that it goes on.
pub(in crate::catalog) fn ticking<T>(
    monitor: &dyn Monitor,
    phase: Phase,
    work: impl FnOnce() -> T,
) -> T {
    monitor.begin(phase, None);
    let done = std::thread::scope(|scope| {
        let (working, is_done) = mpsc::channel::<()>();
        // Where there can be no thread, nobody is told.
        let _ = std::thread::Builder::new().spawn_scoped(scope, move || {
            while is_done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                monitor.advance(Progress::default());
            }
        });
        let done = work();
        drop(working);
        done
    });
    monitor.end();
    done
}

/// The first name from `now` on that nothing has.
fn free_name(folder: &Path, now: Timestamp) -> Backup {
    let mut at = now;
    loop {
        let path = folder.join(name_of(at));
        if path.symlink_metadata().is_err() {
            let at = Timestamp(at.0.div_euclid(1000).saturating_mul(1000));
            return Backup { path, at };
        }
        at = at.plus(Duration::from_secs(1));
    }
}

/// Makes the folder of backups, unless it is there.
fn make_folder(folder: &Path) -> Result<(), CatalogError> {
    let io = |error| CatalogError::io("creating", folder, error);
    match fs::create_dir(folder) {
        Ok(()) => sync(folder.parent().unwrap_or(Path::new("/"))),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // A link could lead anywhere.
            match folder.symlink_metadata().map_err(io)?.is_dir() {
                true => Ok(()),
                false => Err(CatalogError::NotAFolder {
                    path: folder.to_owned(),
                }),
            }
        }
        Err(error) => Err(io(error)),
    }
}

/// Removes copies that somebody was killed over. Whoever makes one holds the lock, as we do.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let random = name
            .to_str()
            .and_then(|name| name.strip_prefix(TEMPORARY)?.strip_suffix(EXTENSION));
        let is_ours = random.is_some_and(|random| {
            random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if is_ours && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn sync(folder: &Path) -> Result<(), CatalogError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| CatalogError::io("syncing", folder, error))
}

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The name of a backup. Years that do not have four digits, which only a clock that is wrong
/// gives, become the nearest that do.
fn name_of(at: Timestamp) -> String {
    let (first, last) = (-62_167_219_200_000, 253_402_300_799_000);
    let time = DateTime::from_timestamp_millis(at.0.clamp(first, last)).unwrap_or_default();
    format!("{}{EXTENSION}", time.format(FORMAT))
}

/// The time of a backup's name.
fn time_of(name: &str) -> Option<Timestamp> {
    let stem = name.strip_suffix(EXTENSION)?;
    let time = NaiveDateTime::parse_from_str(stem, FORMAT).ok()?;
    let at = Timestamp(time.and_utc().timestamp_millis());
    // Reading is more lenient than writing.
    (name_of(at) == name).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_belong_together() {
        let at = Timestamp(1_700_000_000_123);
        assert_eq!(name_of(at), "20231114T221320Z.sqlite3");
        assert_eq!(time_of(&name_of(at)), Some(Timestamp(1_700_000_000_000)));
        for at in [i64::MIN, -1, 0, i64::MAX] {
            let name = name_of(Timestamp(at));
            assert_eq!(name.len(), "20231114T221320Z.sqlite3".len(), "{name}");
            assert_eq!(name_of(time_of(&name).unwrap()), name);
        }
    }

    #[test]
    fn other_names_are_no_backups() {
        for name in [
            "",
            "lock",
            ".sqlite3",
            "20231114T221320Z",
            "20231114T221320Z.sqlite3-journal",
            "20231114T221320Z.sqlite3~",
            "20231114T221320.sqlite3",
            "2023-11-14T22:13:20Z.sqlite3",
            "20231314T221320Z.sqlite3",
            "20231114T221360Z.sqlite3",
            "+20231114T221320Z.sqlite3",
            " 20231114T221320Z.sqlite3",
            "new-20231114T221320Z.sqlite3",
        ] {
            assert_eq!(time_of(name), None, "{name}");
        }
    }
}
