//! The folder of backups: names, times, the lock.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::Serialize;

use crate::catalog::error::CatalogError;
use crate::catalog::sqlite::sync::sync_folder;
use crate::model::clock::Timestamp;

/// Name of the folder of backups in the registry's folder.
pub const BACKUPS_DIR: &str = "backups";

const EXTENSION: &str = ".sqlite3";
const TEMPORARY: &str = "new-";
const LOCK: &str = "lock";
/// How often a process that waits for the lock tries again.
pub(super) const AGAIN: Duration = Duration::from_millis(10);

/// A new name for a backup that is being made.
pub(super) fn temporary_name() -> String {
    format!("{TEMPORARY}{}{EXTENSION}", uuid::Uuid::new_v4().simple())
}

/// A backup of a catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
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
/// [`CatalogError::Io`] if the folder cannot be read.
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

/// Takes the lock of the backups of a catalog, if there are any.
///
/// # Errors
/// [`CatalogError::LockTimeout`] if another has it for longer than `patience`.
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

pub(super) fn wait_for_lock(
    folder: &Path,
    catalog: &Path,
    patience: Duration,
) -> Result<Held, CatalogError> {
    lock(folder, patience)?.ok_or_else(|| CatalogError::LockTimeout {
        path: catalog.to_owned(),
        waited: patience,
        holder: Some("a process that makes a backup of it".to_owned()),
    })
}

/// Takes the lock; `None` if another has it for longer than `patience`.
pub(super) fn lock(folder: &Path, patience: Duration) -> Result<Option<Held>, CatalogError> {
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

/// The first name from `now` on that nothing has.
pub(super) fn free_name(folder: &Path, now: Timestamp) -> Backup {
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
pub(super) fn make_folder(folder: &Path) -> Result<(), CatalogError> {
    let io = |error| CatalogError::io("creating", folder, error);
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(folder.parent().unwrap_or(Path::new("/"))),
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

/// Removes copies whose making was killed. The lock, which we hold, rules out a live one.
pub(super) fn remove_leftovers(folder: &Path) {
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
