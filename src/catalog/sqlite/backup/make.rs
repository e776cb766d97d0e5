//! Making a backup: daily before a removal, and before every migration.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rusqlite::Connection;
use rustix::fs::renameat;

use super::copy::{check, copy_open, examine, is_equal, size};
use super::folder::{
    Backup, Held, free_name, list, list_in, remove_leftovers, temporary_name, wait_for_lock,
};
use crate::catalog::error::CatalogError;
use crate::disk::Folder;
use crate::model::clock::{Clock, Timestamp};
use crate::model::progress::{Monitor, Phase, Progress};
use crate::model::size::ByteCount;

/// How many are kept.
const KEPT: usize = 3;
/// A removal makes one if none is younger.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A removal waits so long for another process that makes one.
const DAILY_PATIENCE: Duration = Duration::from_secs(2);
/// Bytes and inodes that a backup before a removal leaves free.
const ROOM: u64 = 8 << 20;
const INODES: u64 = 32;
/// How often a monitor sees that the work goes on.
const TICK: Duration = Duration::from_millis(100);

/// Makes backups of one catalog.
pub(in crate::catalog) struct Maker<'a> {
    /// The catalog file.
    pub(in crate::catalog) catalog: &'a Path,
    /// The folder of its backups.
    pub(in crate::catalog) folder: &'a Path,
    /// How long it waits for locks.
    pub(in crate::catalog) patience: Duration,
}

impl Maker<'_> {
    /// Makes a backup, unless one is younger than a day. Takes no turn to write: others read and
    /// write meanwhile.
    ///
    /// # Errors
    /// [`CatalogError::LockTimeout`] if another process has the lock for longer than
    /// [`DAILY_PATIENCE`]: whether it makes a backup is not known.
    pub(in crate::catalog) fn daily(
        &self,
        connection: &Connection,
        now: Timestamp,
        monitor: &dyn Monitor,
    ) -> Result<Option<Backup>, CatalogError> {
        // Before the lock, because taking that makes the folder, which needs room too.
        self.leave_room(connection)?;
        let patience = DAILY_PATIENCE.min(self.patience);
        let held = wait_for_lock(self.folder, self.catalog, patience)?;
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
        let folder = self.folder.parent().unwrap_or(Path::new("/"));
        let Ok(found) = rustix::fs::statvfs(folder) else {
            // If that is not to be found out, the copy shows whether there is room.
            return Ok(());
        };
        let needed = size(connection, self.catalog)?.saturating_add(ROOM);
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let lacks_bytes = free < needed;
        // A file system that makes inodes as it needs them counts none at all.
        let lacks_inodes = found.f_files > 0 && found.f_favail < INODES;
        if lacks_bytes || lacks_inodes {
            // The disk has room still, which the error of a full one would deny.
            let why = match lacks_bytes {
                true => format!(
                    "it would leave less than {} of the {} that are free on the disk",
                    ByteCount(ROOM),
                    ByteCount(free)
                ),
                false => format!(
                    "{} inodes are free, and {INODES} are left alone",
                    found.f_favail
                ),
            };
            let error = std::io::Error::new(std::io::ErrorKind::StorageFull, why);
            return Err(CatalogError::io("backing up to", self.folder, error));
        }
        Ok(())
    }

    /// Makes the backup without which nothing is migrated. The caller holds the turn to write, and
    /// has no transaction open.
    pub(in crate::catalog) fn before_migration(
        &self,
        connection: &Connection,
        clock: &dyn Clock,
        monitor: &dyn Monitor,
    ) -> Result<Backup, CatalogError> {
        let patience = self.patience;
        let make = || {
            let held = wait_for_lock(self.folder, self.catalog, patience)?;
            // After the wait, which may take long: the time is that of the copy.
            let now = clock.now();
            ticking(monitor, Phase::Backup, || self.make(connection, now, &held))
        };
        make().map_err(|error| match error {
            // These are about the catalog itself; all others are about the backup.
            CatalogError::Damaged { .. } | CatalogError::LockTimeout { .. } => error,
            _ => CatalogError::NoBackup {
                path: self.catalog.to_owned(),
                folder: self.folder.to_owned(),
                source: Box::new(error),
            },
        })
    }

    /// Whether a backup is younger than a day. One that is dated in the future has no age.
    pub(in crate::catalog) fn has_recent(&self, now: Timestamp) -> Result<bool, CatalogError> {
        let is_recent = |backup: &Backup| backup.at.age_at(now).is_some_and(|age| age < DAY);
        Ok(list(self.folder, now)?.iter().any(is_recent))
    }

    /// Makes a backup of what `connection` reads.
    fn make(
        &self,
        connection: &Connection,
        now: Timestamp,
        held: &Held,
    ) -> Result<Backup, CatalogError> {
        remove_leftovers(&held.folder);
        let new = temporary_name();
        let path = self.folder.join(&new);
        copy_open(connection, self.catalog, &path, self.patience)?;
        // Read back before it gets its name: what cannot be restored must not replace what can.
        let made = check(&path)
            .map_err(|error| self.why(connection, error))
            .and_then(|_| self.name_it(&held.folder, &new, now));
        if made.is_err() {
            let _ = held.folder.unlink(&*new);
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
        match examine(self.catalog, connection) {
            Ok(_) => {
                let detail = format!("the copy does not hold what was written to it: {detail}");
                let error = std::io::Error::new(ErrorKind::InvalidData, detail);
                CatalogError::io("writing a backup to", self.folder, error)
            }
            Err(_) => CatalogError::Damaged {
                path: self.catalog.to_owned(),
                detail,
            },
        }
    }

    /// Gives a sound copy its name, and deletes the backups that are not kept.
    fn name_it(&self, folder: &Folder, new: &str, now: Timestamp) -> Result<Backup, CatalogError> {
        let older = list_in(folder, now)?;
        // An equal one goes, so that copies of one state do not push out older states.
        let equal = match older.first() {
            Some(newest) if is_equal(folder, name_in(newest), new.as_ref()) => Some(newest.clone()),
            _ => None,
        };
        let (name, at) = free_name(folder, now)?;
        let path = self.folder.join(&name);
        renameat(folder, new, folder, &*name)
            .map_err(|errno| CatalogError::io("naming the backup", &path, errno.into()))?;
        let made = Backup { path, at };
        // Only what is durable under its name replaces older ones.
        folder
            .sync()
            .map_err(|error| CatalogError::io("syncing", self.folder, error))?;
        let mut others: Vec<Backup> = older
            .into_iter()
            .filter(|backup| Some(backup) != equal.as_ref())
            .collect();
        // The first ones stay: the newest that are not dated in the future, then the newest.
        others.sort_by_key(|backup| backup.at > made.at);
        for backup in equal.iter().chain(others.iter().skip(KEPT - 1)) {
            // If this fails, the next backup deletes it.
            let _ = folder.unlink(name_in(backup));
        }
        Ok(made)
    }
}

/// The name of a backup in its folder.
fn name_in(backup: &Backup) -> &OsStr {
    backup.path.file_name().unwrap_or_default()
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
        // Without a thread the monitor sees no ticks, and the work goes on.
        let _ = std::thread::Builder::new().spawn_scoped(scope, move || {
            while is_done.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                monitor.advance(Progress::default());
            }
        });
        let done = work();
        // Ends the thread, which the scope waits for.
        drop(working);
        done
    });
    monitor.end();
    done
}
