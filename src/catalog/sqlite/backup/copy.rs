//! Copies of a catalog, and what they are good for.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::StepResult;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};
use rustix::fs::{FallocateFlags, Mode, fallocate, fchmod};
use rustix::io::Errno;
use serde::Serialize;

use super::folder::AGAIN;
use crate::catalog::error::CatalogError;
use crate::catalog::sqlite::connection::{self, REGISTRY_ID, Reach};
use crate::catalog::sqlite::opening::{self, OpenConnection};
use crate::catalog::sqlite::options::CatalogOptions;
use crate::catalog::sqlite::place::Place;
use crate::catalog::sqlite::sync::sync_folder;
use crate::disk::{self, Folder, make_file, open_file};
use crate::model::clock::Timestamp;

/// The version of the tables that brought the history.
const WITH_HISTORY: i64 = 4;

pub(in crate::catalog) const LAST_OPERATION: &str =
    "SELECT id, at FROM operation ORDER BY id DESC LIMIT 1";

/// Not `count(*)`, which SQLite does in one step: see `sqlite::budget`. With the `+`, the smallest
/// index is enough.
pub(in crate::catalog) const ARTIFACTS: &str = "SELECT count(+id) FROM artifact";

const HAS_OPERATION: &str = "SELECT EXISTS (SELECT 1 FROM operation WHERE id = ?1 AND at = ?2)";

/// The last operation of a catalog's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LastOperation {
    /// Its number.
    pub number: i64,
    /// When it was done.
    pub at: Timestamp,
}

/// What a sound catalog or backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedBackup {
    /// Id of the registry.
    pub registry: String,
    /// Version of the tables.
    pub schema: i64,
    /// Number of artifacts.
    pub artifacts: u64,
    /// The last operation; `None` if the tables are older than the history, or nothing was done.
    pub last: Option<LastOperation>,
}

/// Checks a backup, and says what it holds. It is read as a file that no process changes, so this
/// is not for a catalog that is in use; nothing is made beside it.
///
/// # Errors
/// [`CatalogError`] if it is missing, damaged, of another program or of a newer version.
pub fn check(path: &Path) -> Result<CheckedBackup, CatalogError> {
    let place = Place::of(path)?;
    let connection = open(&place)?;
    examine(path, &connection)
}

/// Whether the history of a backup has an operation: then the backup has all that was done up to
/// it. Two histories that began with one catalog may have other operations of the same number.
///
/// # Errors
/// [`CatalogError`] if the backup cannot be read.
pub fn holds(path: &Path, operation: LastOperation) -> Result<bool, CatalogError> {
    let place = Place::of(path)?;
    let connection = open(&place)?;
    let sql = |error| CatalogError::sql("reading the history", path, error);
    connection
        .query_row(HAS_OPERATION, (operation.number, operation.at.0), |row| {
            row.get(0)
        })
        .map_err(sql)
}

/// Copies a backup to a path where nothing is yet, whole and synced. The copy is in
/// rollback-journal mode and has the permissions of `from`, which is read as a file that no
/// process changes.
///
/// # Errors
/// [`CatalogError::Io`] or [`CatalogError::Full`] if `to` cannot be written, any other
/// [`CatalogError`] if `from` cannot be read. `to` is then as it was.
pub fn copy(from: &Path, to: &Path) -> Result<(), CatalogError> {
    let patience = CatalogOptions::default().lock_timeout;
    let place = Place::of(from)?;
    let connection = open(&place)?;
    copy_open(&connection, from, to, patience)?;
    sync_folder(to.parent().unwrap_or(Path::new("/")))
}

/// Opens a backup for reading.
fn open(place: &Place) -> Result<OpenConnection, CatalogError> {
    connection::check(place)?;
    let options = CatalogOptions {
        read_only: true,
        ..CatalogOptions::default()
    };
    connection::again(place, &Reach::Immutable, &options)
}

/// Checks the file behind a connection, and returns what it holds.
pub(super) fn examine(path: &Path, connection: &Connection) -> Result<CheckedBackup, CatalogError> {
    let sql = |error| CatalogError::sql("checking", path, error);
    let damaged = |detail| CatalogError::Damaged {
        path: path.to_owned(),
        detail,
    };
    let verdict: String = connection
        // `quick_check` does not compare rows with indexes, which takes far longer.
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(sql)?;
    if verdict != "ok" {
        // The first line may only say which database is meant.
        let fault = verdict.lines().find(|line| !line.starts_with("***"));
        return Err(damaged(fault.unwrap_or(&verdict).to_owned()));
    }
    let schema = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sql)?;
    let registry: Option<String> = connection
        .query_row(REGISTRY_ID, [], |row| row.get(0))
        .optional()
        .map_err(sql)?;
    let artifacts = connection
        .query_row(ARTIFACTS, [], |row| row.get(0))
        .map_err(sql)?;
    let last = if schema < WITH_HISTORY {
        None
    } else {
        connection
            .query_row(LAST_OPERATION, [], |row| {
                Ok(LastOperation {
                    number: row.get(0)?,
                    at: Timestamp(row.get(1)?),
                })
            })
            .optional()
            .map_err(sql)?
    };
    Ok(CheckedBackup {
        registry: registry.ok_or_else(|| damaged("it names no registry".to_owned()))?,
        schema,
        artifacts,
        last,
    })
}

/// Copies the catalog `of`, open in `from`, to a path where nothing is yet. The folder around it
/// is not synced.
pub(in crate::catalog::sqlite) fn copy_open(
    from: &Connection,
    of: &Path,
    to: &Path,
    patience: Duration,
) -> Result<(), CatalogError> {
    let io = |error| CatalogError::io("copying the catalog to", to, error);
    let mode = Place::of(of)?
        .stat("")
        .map_err(|error| CatalogError::io("reading", of, error))?
        .map_or(0, |stat| stat.st_mode & 0o666);
    let place = Place::of(to)?;
    // Made here, with the mode of the catalog: that of SQLite's own would be by the umask.
    let made = make_file(&place, place.name()).map_err(|errno| io(errno.into()))?;
    let file = File::from(made);
    // Kept open, so that it stays this one: another may take its name.
    let copied = fchmod(&file, Mode::from_raw_mode(mode))
        .map_err(|errno| io(errno.into()))
        .and_then(|()| make_room(from, of, &file, to))
        .and_then(|()| copy_pages(from, of, &place, patience))
        .and_then(|()| is_written(&file, to))
        // Bytes 18 and 19 of a database say how it is written and read: 1 is a rollback journal, 2
        // a WAL. All pages are in the file, so it needs no WAL, and no connection has it open.
        .and_then(|()| file.write_all_at(&[1, 1], 18).map_err(io))
        .and_then(|()| file.sync_all().map_err(io));
    if copied.is_err() {
        // What is left over is removed before the next copy.
        let _ = place.folder().unlink(place.name());
    }
    copied
}

/// Bytes of the catalog `of`, open in `connection`.
pub(in crate::catalog::sqlite) fn size(
    connection: &Connection,
    of: &Path,
) -> Result<u64, CatalogError> {
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, u64>(0))
            .map_err(|error| CatalogError::sql("reading the header", of, error))
    };
    // A damaged header can hold any numbers.
    Ok(pragma("page_count")?.saturating_mul(pragma("page_size")?))
}

/// Takes the space that a copy needs, so that a disk or quota without it is reported as such, and
/// at once. SQLite takes a file without length for a new one, so the length stays.
fn make_room(from: &Connection, of: &Path, file: &File, to: &Path) -> Result<(), CatalogError> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, size(from, of)?) {
        Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
            Err(CatalogError::io("copying the catalog to", to, errno.into()))
        }
        // Not every file system can; then the copy itself shows whether there is room.
        _ => Ok(()),
    }
}

/// Refuses a copy whose pages went elsewhere: another file had its name.
fn is_written(file: &File, to: &Path) -> Result<(), CatalogError> {
    let found = file.metadata();
    match found.is_ok_and(|found| found.len() > 0 && found.nlink() == 1) {
        true => Ok(()),
        false => Err(CatalogError::Replaced {
            path: to.to_owned(),
        }),
    }
}

fn copy_pages(
    from: &Connection,
    of: &Path,
    place: &Place,
    patience: Duration,
) -> Result<(), CatalogError> {
    let to = place.path();
    let error = |error: rusqlite::Error| match error.sqlite_error_code() {
        // Only what is read can be damaged, and only what is written be out of space.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            CatalogError::sql("copying", of, error)
        }
        Some(ErrorCode::DiskFull) => {
            CatalogError::io("copying the catalog to", to, ErrorKind::StorageFull.into())
        }
        _ => CatalogError::Sql {
            operation: "copying",
            path: of.to_owned(),
            source: Box::new(error),
        },
    };
    let write = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut into = opening::open(place, write, |into| {
        // A copy that fails is removed, and one that does not is synced as a whole.
        into.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))
            .and_then(|()| into.pragma_update(None, "synchronous", "OFF"))
            .map_err(error)
    })?;
    let start = Instant::now();
    let backup = rusqlite::backup::Backup::new(from, &mut into).map_err(error)?;
    // All pages in one step: in several, every change in between would restart the copy.
    while backup.step(-1).map_err(error)? != StepResult::Done {
        if start.elapsed() >= patience {
            return Err(CatalogError::LockTimeout {
                path: of.to_owned(),
                waited: patience,
                holder: None,
            });
        }
        // Another program has it locked.
        std::thread::sleep(AGAIN);
    }
    drop(backup);
    into.close().map_err(error)
}

/// Whether two files hold the same; false if they cannot be read.
pub(super) fn is_equal(folder: &Folder, one: &OsStr, other: &OsStr) -> bool {
    let open = |name| open_file(folder, name, disk::Access::Read).map(File::from);
    let compare = || -> std::io::Result<bool> {
        let (mut one, mut other) = (open(one)?, open(other)?);
        let mut left = one.metadata()?.len();
        if left != other.metadata()?.len() {
            return Ok(false);
        }
        let (mut first, mut second) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        while left > 0 {
            let part = first.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            one.read_exact(&mut first[..part])?;
            other.read_exact(&mut second[..part])?;
            if first[..part] != second[..part] {
                return Ok(false);
            }
            left -= part as u64;
        }
        Ok(true)
    };
    compare().unwrap_or(false)
}
