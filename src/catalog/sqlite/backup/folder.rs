//! The folder of backups: names, times, the lock.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveDateTime};
use rustix::fs::{Dir, FileType, Stat};
use rustix::io::Errno;
use serde::Serialize;

use crate::catalog::error::CatalogError;
use crate::disk::{self, Folder, LockFile};
use crate::model::clock::Timestamp;

/// Name of the folder of backups in the registry's folder.
pub const BACKUPS_DIR: &str = "backups";

const EXTENSION: &str = ".sqlite3";
const TEMPORARY: &str = "new-";
pub(in crate::catalog::sqlite) const LOCK: &str = "lock";
/// Backups that are listed at least, if there are so many: the first in the order of the list.
const MOST: usize = 1000;
/// Names that are taken after which none is looked for any more.
const MOST_TAKEN: usize = 10_000;
/// How often a folder that comes and goes is tried.
const TRIES: usize = 16;
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

/// Gives the backups in a folder, newest first by their names; those dated in the future, whose age
/// nothing tells, come last. What has no backup's name, or is no regular file, is left out; a
/// folder that is not there has none.
///
/// # Errors
/// [`CatalogError::Io`] if the folder cannot be read.
pub fn list(folder: &Path, now: Timestamp) -> Result<Vec<Backup>, CatalogError> {
    match open_folder(folder)? {
        Some(open) => list_in(&open, now),
        None => Ok(Vec::new()),
    }
}

/// Opens the folder of backups; `None` if there is none.
pub(super) fn open_folder(folder: &Path) -> Result<Option<Folder>, CatalogError> {
    let parent = folder.parent().unwrap_or(Path::new("/"));
    let name = folder.file_name().unwrap_or_default();
    let open = || {
        let parent = Folder::open(parent)?;
        let opened = parent.open_in(name);
        let is_link = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        match &opened {
            // A link could lead anywhere.
            Err(_) if parent.stat(name)?.is_some_and(is_link) => Ok(None),
            _ => opened.map(Some),
        }
    };
    match open() {
        Ok(Some(open)) => Ok(Some(open)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(None) => Err(CatalogError::NotAFolder {
            path: folder.to_owned(),
        }),
        Err(error) => Err(CatalogError::io("listing the backups in", folder, error)),
    }
}

pub(super) fn list_in(folder: &Folder, now: Timestamp) -> Result<Vec<Backup>, CatalogError> {
    let io = |error| CatalogError::io("listing the backups in", folder.path(), error);
    let errno = |errno: Errno| io(errno.into());
    let mut backups = Vec::new();
    for entry in Dir::read_from(folder).map_err(errno)? {
        let entry = entry.map_err(errno)?;
        let name = entry.file_name().to_str().ok();
        let Some((name, at)) = name.and_then(|name| Some((name, time_of(name)?))) else {
            continue;
        };
        let found = folder.stat(name).map_err(io)?;
        let is_file = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if found.is_some_and(|stat| is_file(&stat)) {
            let path = folder.path().join(name);
            backups.push(Backup { path, at });
            // Others may put any number of files there.
            if backups.len() > 2 * MOST {
                newest_first(&mut backups, now);
                backups.truncate(MOST);
            }
        }
    }
    newest_first(&mut backups, now);
    Ok(backups)
}

/// Sorts backups: the newest first, and those dated in the future last.
fn newest_first(backups: &mut [Backup], now: Timestamp) {
    backups.sort_by_key(|backup| (backup.at > now, std::cmp::Reverse(backup.at)));
}

/// The lock of a folder of backups, until it is dropped: no backup is made or let go meanwhile.
pub(crate) struct Held {
    _lock: LockFile,
    pub(super) folder: Folder,
}

/// Takes the lock of the backups of a catalog, if there are any.
///
/// # Errors
/// [`CatalogError::LockTimeout`] if another has it for longer than `patience`.
pub(crate) fn hold(
    folder: &Path,
    catalog: &Path,
    patience: Duration,
    now: Timestamp,
) -> Result<Option<Held>, CatalogError> {
    // Without a backup nothing needs the lock, and taking it would make the folder.
    match list(folder, now)?.is_empty() {
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
    let open = make_folder(folder)?;
    let lock = LockFile::open(&open, LOCK.as_ref())
        .map_err(|error| CatalogError::io("opening", &path, error))?;
    let start = Instant::now();
    loop {
        match lock.try_take() {
            Ok(true) => break,
            Ok(false) if start.elapsed() >= patience => return Ok(None),
            Ok(false) => std::thread::sleep(AGAIN),
            Err(error) => return Err(CatalogError::io("locking", &path, error)),
        }
    }
    Ok(Some(Held {
        _lock: lock,
        folder: open,
    }))
}

/// The first name from `now` on that nothing has.
///
/// # Errors
/// [`CatalogError::Io`] if a name cannot be looked up, or none is free for a long time from then on:
/// others may put any number of files there, and the last second of 9999 has no next name.
pub(super) fn free_name(
    folder: &Folder,
    now: Timestamp,
) -> Result<(String, Timestamp), CatalogError> {
    let mut at = now;
    for _ in 0..MOST_TAKEN {
        let name = name_of(at);
        let naming = |error| CatalogError::io("naming a backup in", folder.path(), error);
        if folder.stat(name.as_str()).map_err(naming)?.is_none() {
            return Ok((name, Timestamp(at.0.div_euclid(1000).saturating_mul(1000))));
        }
        // Names have whole seconds, and several backups may be made in one.
        at = at.plus(Duration::from_secs(1));
    }
    let taken = ErrorKind::AlreadyExists.into();
    Err(CatalogError::io("naming a backup in", folder.path(), taken))
}

/// Opens the folder of backups, and makes it if there is none.
fn make_folder(folder: &Path) -> Result<Folder, CatalogError> {
    for _ in 0..TRIES {
        if let Some(open) = open_folder(folder)? {
            return Ok(open);
        }
        let parent = folder.parent().unwrap_or(Path::new("/"));
        let make = || {
            let parent = Folder::open(parent)?;
            match disk::make_folder(&parent, folder.file_name().unwrap_or_default()) {
                // Durable before a backup in it counts as made.
                Ok(_) => parent.sync(),
                Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        };
        make().map_err(|error| CatalogError::io("creating", folder, error))?;
    }
    let error = ErrorKind::ResourceBusy.into();
    Err(CatalogError::io("creating", folder, error))
}

/// Removes copies whose making was killed. The lock, which we hold, rules out a live one.
pub(super) fn remove_leftovers(folder: &Folder) {
    let Ok(entries) = Dir::read_from(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let random = entry
            .file_name()
            .to_str()
            .ok()
            .and_then(|name| name.strip_prefix(TEMPORARY)?.strip_suffix(EXTENSION));
        // Only names that dalsegno gives: users may keep files of their own here.
        let is_ours = random.is_some_and(|random| {
            random.len() == 32 && random.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if is_ours {
            let _ = folder.unlink(entry.file_name());
        }
    }
}

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// The name of a backup. Years that do not have four digits, which only a clock that is wrong
/// gives, become the nearest that do.
fn name_of(at: Timestamp) -> String {
    // Milliseconds of the first second of the year 0 and the last of 9999.
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
    fn backups_of_the_future_hide_none_of_the_past() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp(1_700_000_000_000);
        let make = |at| std::fs::write(folder.path().join(name_of(at)), "").unwrap();
        let past = [now, now.minus(Duration::from_secs(1))];
        past.into_iter().for_each(make);
        let future = 1..=u64::try_from(3 * MOST).unwrap();
        future.for_each(|seconds| make(now.plus(Duration::from_secs(seconds))));
        let found = list(folder.path(), now).unwrap();
        assert_eq!([found[0].at, found[1].at], past);
        assert!(found[2..].iter().all(|backup| backup.at > now));
        assert!(found.len() <= 2 * MOST, "{}", found.len());
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
