//! Opening connections: which way, with which settings, and what is checked first.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::FileType;
use rustix::io::Errno;
use tempfile::TempDir;

use super::budget::bytes_of;
use super::fork::Registration;
use super::opening::{self, OpenConnection};
use super::options::{CatalogOptions, Durability};
use super::place::Place;
use super::{index, migrate, queue, schema, wal_copy};
use crate::catalog::error::CatalogError;
use crate::disk::make_file;

/// The id of the registry that a catalog belongs to.
pub(in crate::catalog) const REGISTRY_ID: &str = "SELECT id FROM registry WHERE only = 1";

/// `application_id` of a catalog: "d3sg". Also in the first migration.
pub(super) const APPLICATION_ID: i64 = 0x6433_7367;

/// Bytes of the smallest SQLite database that holds anything: one page of the smallest size. What
/// is shorter, SQLite takes for a new one.
const SMALLEST: u64 = 512;

/// A reader waits for so long for a process that recovers the WAL.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two tries of a writer to open the catalog beside such a process.
const NAP: Duration = Duration::from_millis(20);

/// How often a reader tries while others change how the catalog can be reached.
const TRIES: usize = 8;

/// How the catalog can be reached.
pub(in crate::catalog) enum Reach {
    /// Ordinary reading and writing.
    Write,
    /// Ordinary reading.
    Read,
    /// Reading a file that no process can change.
    Immutable,
    /// Reading the copy that another host publishes: a file that no process changes.
    Published,
    /// Reading a copy of catalog and WAL in a temporary folder, because the catalog cannot be
    /// written here.
    Copy(TempDir),
    /// The same, because another process holds the locks of the WAL and does not go on.
    CopyBeside(TempDir),
}

impl Reach {
    pub(in crate::catalog) fn notice(&self) -> Option<&'static str> {
        match self {
            Self::Write | Self::Read | Self::Published => None,
            Self::Immutable => {
                Some("the catalog cannot be written here; changes by others will not be seen")
            }
            Self::Copy(_) => Some(
                "the catalog cannot be written here and was left with open changes; reading a copy",
            ),
            Self::CopyBeside(_) => {
                Some("another process holds the catalog and does not go on; reading a copy of it")
            }
        }
    }
}

/// Checks that a regular file with content is at `path`.
pub(crate) fn check_file(path: &Path) -> Result<(), CatalogError> {
    check(&Place::of(path)?)
}

/// Checks that a regular file with content is at a place.
pub(in crate::catalog) fn check(place: &Place) -> Result<(), CatalogError> {
    let path = place.path();
    let stat = match place.stat("") {
        Ok(Some(stat)) => stat,
        Ok(None) => {
            return Err(CatalogError::Missing {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(CatalogError::io("reading", path, error)),
    };
    let bytes = u64::try_from(stat.st_size).unwrap_or_default();
    let found = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::RegularFile if bytes < SMALLEST => {
            return Err(CatalogError::Damaged {
                path: path.to_owned(),
                detail: format!("the file has {bytes} bytes"),
            });
        }
        FileType::RegularFile => {
            // SQLite would only say that it cannot open the file.
            if rustix::fs::access(path, rustix::fs::Access::READ_OK) == Err(Errno::ACCESS) {
                let detail = format!(
                    "permission denied; it belongs to user {} and group {}, and has mode {:04o}",
                    stat.st_uid,
                    stat.st_gid,
                    stat.st_mode & 0o7777
                );
                let error = std::io::Error::new(ErrorKind::PermissionDenied, detail);
                return Err(CatalogError::io("reading", path, error));
            }
            return Ok(());
        }
        _ => "a special file",
    };
    Err(CatalogError::NotAFile {
        path: path.to_owned(),
        found,
    })
}

/// Opens the first connection and finds out how the catalog can be reached.
pub(in crate::catalog) fn open(
    place: &Place,
    options: &CatalogOptions,
    registration: &Registration,
) -> Result<(Reach, OpenConnection), CatalogError> {
    let path = place.path();
    if options.keeper.is_some() {
        let connection = again(place, &Reach::Published, options)?;
        return Ok((Reach::Published, connection));
    }
    if !options.read_only {
        let read_only = || CatalogError::ReadOnly {
            path: path.to_owned(),
        };
        let full = || CatalogError::full(path);
        // SQLite would make the index of the log all the same, and the first write to it end us.
        if index::is_unsafe(place) {
            return Err(full());
        }
        let connection = match again(place, &Reach::Write, options) {
            // Without the right to write, not even the header of a WAL catalog can be read.
            Err(CatalogError::Sql { .. }) if !can_write(path) => return Err(read_only()),
            // Nor without an inode for the log, of which SQLite only says that it cannot open it.
            Err(CatalogError::Sql { .. }) if is_full(path) || index::lacks_room(place) => {
                return Err(full());
            }
            opened => opened?,
        };
        // SQLite opens a file that it may not write for reading, and reports no error.
        if connection.is_readonly("main").unwrap_or(true) {
            return Err(read_only());
        }
        return Ok((Reach::Write, connection));
    }
    for _ in 0..TRIES {
        if let Some(opened) = open_to_read(place, options, registration)? {
            return Ok(opened);
        }
    }
    Err(CatalogError::io(
        "copying",
        path,
        ErrorKind::ResourceBusy.into(),
    ))
}

/// Opens the first connection of a reader; `None` if another process changed meanwhile how the
/// catalog can be reached.
fn open_to_read(
    place: &Place,
    options: &CatalogOptions,
    registration: &Registration,
) -> Result<Option<(Reach, OpenConnection)>, CatalogError> {
    let opened = match index::is_unsafe(place) {
        true => Err(CatalogError::full(place.path())),
        false => again(place, &Reach::Read, options),
    };
    let is_beside = match opened {
        Ok(connection) => return Ok(Some((Reach::Read, connection))),
        // With an index in use, another process may write: then neither file nor copy is whole.
        Err(CatalogError::Full { .. }) if !index::is_in_use(place, registration) => false,
        // Only what stems from a missing `-shm` is worth another way.
        Err(CatalogError::Sql { .. } | CatalogError::ReadOnly { .. }) => false,
        // Closing a file drops all locks of this process on it, which other handles need.
        Err(CatalogError::LockTimeout { .. }) if has_wal(place) && registration.is_only() => true,
        Err(error) => return Err(error),
    };
    // A log holds commits that the file lacks, so the file alone would be out of date.
    let access = match (has_wal(place), is_beside) {
        (true, _) => match wal_copy::copy(place)? {
            Some(copied) if is_beside => Reach::CopyBeside(copied),
            Some(copied) => Reach::Copy(copied),
            None => return Ok(None),
        },
        // The process that held it has gone on, and is done.
        (false, true) => return Ok(None),
        (false, false) => Reach::Immutable,
    };
    let connection = again(place, &access, options)?;
    Ok(Some((access, connection)))
}

/// Whether the file and the folder around it may be written.
pub(super) fn can_write(path: &Path) -> bool {
    // The folder too: SQLite makes log and journal in it.
    let may = |path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    may(path) && path.parent().is_none_or(may)
}

/// Whether no new file fits beside the catalog.
fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path.parent().unwrap_or(Path::new("/")))
        // A file system that makes inodes as it needs them counts none at all.
        .is_ok_and(|found| found.f_bavail == 0 || (found.f_favail == 0 && found.f_files > 0))
}

/// Whether there is a WAL with content.
pub(super) fn has_wal(place: &Place) -> bool {
    place
        .stat("-wal")
        .is_ok_and(|found| found.is_some_and(|wal| wal.st_size > 0))
}

/// Opens a connection the way that is known to work.
pub(in crate::catalog) fn again(
    place: &Place,
    access: &Reach,
    options: &CatalogOptions,
) -> Result<OpenConnection, CatalogError> {
    let path = place.path();
    let sql = |error| CatalogError::sql("opening", path, error);
    // Readers of a WAL only wait for a process that recovers it, and have its copy to read.
    let is_hasty = matches!(access, Reach::Read) && has_wal(place);
    let patience = match is_hasty {
        true => options.lock_timeout.min(PATIENCE),
        false => options.lock_timeout,
    };
    let prepare = |connection: &Connection| {
        configure(connection, options, patience).map_err(sql)?;
        check_header(path, connection)?;
        schema::check(path, connection)
    };
    let flags = match access {
        Reach::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Reach::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Reach::Copy(folder) | Reach::CopyBeside(folder) => {
            // Links are not refused: only this user can reach the temporary folder.
            let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
            let copy = folder.path().join("catalog");
            let bytes = bytes_of(&Place::of(&copy)?);
            let mut opened = Connection::open_with_flags(copy, flags).map_err(sql)?;
            let budget = opening::guard(&mut opened, move || bytes).map_err(sql)?;
            prepare(&opened)?;
            return Ok(OpenConnection::without_files(opened, budget));
        }
        Reach::Published => return open_published(place, options),
        Reach::Immutable => {
            let opened = opening::open_immutable(place)?;
            prepare(&opened)?;
            return Ok(opened);
        }
    };
    let mut opened = match access {
        Reach::Write => wait_for_recovery(place, options, || opening::open(place, flags, prepare))?,
        _ => opening::open(place, flags, prepare)?,
    };
    if is_hasty {
        opened.busy_timeout(options.lock_timeout).map_err(sql)?;
    }
    // All its files are open now, and nothing is written yet.
    opening::confirm(place, flags)?;
    opened.fill_index(place)?;
    Ok(opened)
}

/// Opens a connection that writes, for as long as the time-out says: a process that reads the log
/// again, as after a kill, keeps out all others, and may be stopped.
fn wait_for_recovery(
    place: &Place,
    options: &CatalogOptions,
    open: impl Fn() -> Result<OpenConnection, CatalogError>,
) -> Result<OpenConnection, CatalogError> {
    let start = Instant::now();
    let mut is_reported = false;
    loop {
        // Each try waits for up to a second, by the busy timeout.
        match open() {
            Err(CatalogError::LockTimeout { path, .. }) => {
                if options.interrupt.as_ref().is_some_and(|ends| ends()) {
                    return Err(CatalogError::Interrupted { path });
                }
                let waited = start.elapsed();
                if waited >= options.lock_timeout {
                    return Err(CatalogError::LockTimeout {
                        path,
                        waited: options.lock_timeout,
                        holder: queue::recovering(place),
                    });
                }
                if !is_reported && waited >= queue::PATIENCE {
                    is_reported = true;
                    let holder = queue::recovering(place);
                    (options.on_wait)(holder.as_deref().unwrap_or("another process"));
                }
                std::thread::sleep(NAP.min(options.lock_timeout - waited));
            }
            opened => return opened,
        }
    }
}

/// Opens a copy that a keeper published, which is input.
pub(super) fn open_published(
    place: &Place,
    options: &CatalogOptions,
) -> Result<OpenConnection, CatalogError> {
    check(place)?;
    let path = place.path();
    let sql = |error| CatalogError::sql("opening", path, error);
    let connection = opening::open_immutable(place)?;
    configure(&connection, options, options.lock_timeout).map_err(sql)?;
    check_header(path, &connection)?;
    schema::check(path, &connection)?;
    Ok(connection)
}

fn configure(
    connection: &Connection,
    options: &CatalogOptions,
    patience: Duration,
) -> rusqlite::Result<()> {
    // Writers begin again and again, to report which process they wait for; readers wait here.
    let wait = if options.read_only {
        patience
    } else {
        patience.min(Duration::from_secs(1))
    };
    connection.busy_timeout(wait)?;
    // The schema of the file is input: it must not run functions or be written by SQL.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    // Without it the partial index makes SQLite compile a statement again at every binding.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Pages are input: one that makes no sense is an error, not another answer.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    // No WAL over a network: its index is memory that hosts do not share.
    if options.network.is_some() && !options.read_only {
        connection.pragma_update_and_check(None, "journal_mode", "TRUNCATE", |_| Ok(()))?;
        return connection.pragma_update(None, "synchronous", "EXTRA");
    }
    let synchronous = match options.durability {
        Durability::Full => "FULL",
        Durability::Relaxed => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

fn pragma(path: &Path, connection: &Connection, name: &str) -> Result<i64, CatalogError> {
    connection
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(|error| CatalogError::sql("reading the header", path, error))
}

/// Refuses files of other programs and of newer versions.
pub(super) fn check_header(path: &Path, connection: &Connection) -> Result<(), CatalogError> {
    let application_id = pragma(path, connection, "application_id")?;
    if application_id != APPLICATION_ID {
        return Err(CatalogError::Foreign {
            path: path.to_owned(),
            application_id,
        });
    }
    let found = pragma(path, connection, "user_version")?;
    if found > migrate::NEWEST {
        return Err(CatalogError::TooNew {
            path: path.to_owned(),
            found,
            known: migrate::NEWEST,
        });
    }
    Ok(())
}

/// Whether migrations are to be run.
pub(in crate::catalog) fn is_behind(
    path: &Path,
    connection: &Connection,
) -> Result<bool, CatalogError> {
    Ok(pragma(path, connection, "user_version")? < migrate::NEWEST)
}

/// The error for a catalog that is to be migrated and cannot be.
pub(in crate::catalog) fn behind(
    path: &Path,
    connection: &Connection,
) -> Result<CatalogError, CatalogError> {
    Ok(CatalogError::Behind {
        path: path.to_owned(),
        found: pragma(path, connection, "user_version")?,
        known: migrate::NEWEST,
    })
}

/// Makes a new catalog file, whole and synced, at a path where nothing is yet.
pub(in crate::catalog) fn create_file(
    place: &Place,
    registry: &str,
    created_at: crate::model::clock::Timestamp,
    wal: bool,
) -> Result<(), CatalogError> {
    let path = place.path();
    let sql = |error| CatalogError::sql("creating", path, error);
    // SQLite takes an empty file for a new one. Its own would have a mode by the umask, as would
    // the log beside it.
    make_file(place, place.name())
        .map_err(|errno| CatalogError::io("creating", path, errno.into()))?;
    let fill = |connection: &Connection| {
        if wal {
            connection
                .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
                .map_err(sql)?;
        }
        // Tables and id together: tables without an id would count as damage.
        let transaction = connection.unchecked_transaction().map_err(sql)?;
        migrate::migrate(&transaction)
            .map_err(|error| CatalogError::migration(path, migrate::NEWEST, error))?;
        transaction
            .execute(
                "INSERT INTO registry (only, id, created_at) VALUES (1, ?1, ?2)",
                (registry, created_at.0),
            )
            .map_err(sql)?;
        transaction.commit().map_err(sql)
    };
    let opened = opening::open(place, OpenFlags::SQLITE_OPEN_READ_WRITE, fill)?;
    opened.close().map_err(sql)
}
