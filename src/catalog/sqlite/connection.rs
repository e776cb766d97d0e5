//! Opening connections: which way, with which settings, and what is checked first.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::options::{CatalogOptions, Durability};
use super::{migrate, schema};
use crate::catalog::error::CatalogError;

/// The id of the registry that a catalog belongs to.
pub(in crate::catalog) const REGISTRY_ID: &str = "SELECT id FROM registry WHERE only = 1";

/// `application_id` of a catalog: "d3sg". Also in the first migration.
const APPLICATION_ID: i64 = 0x6433_7367;

/// Bytes of the smallest SQLite database that holds anything: one page of the smallest size. What
/// is shorter, SQLite takes for a new one.
const SMALLEST: u64 = 512;

/// Bytes of the longest value that is read from a copy which another host published.
const LONGEST: i32 = 16 << 20;

/// How the catalog can be reached.
pub(in crate::catalog) enum Access {
    /// Ordinary reading and writing.
    Write,
    /// Ordinary reading.
    Read,
    /// Reading a file that no process can change.
    Immutable,
    /// Reading the copy that another host publishes: a file that no process changes.
    Published,
    /// Reading a copy of catalog and WAL in a temporary folder.
    Copy(TempDir),
}

impl Access {
    pub(in crate::catalog) fn notice(&self) -> Option<&'static str> {
        match self {
            Self::Write | Self::Read | Self::Published => None,
            Self::Immutable => {
                Some("the catalog cannot be written here; changes by others will not be seen")
            }
            Self::Copy(_) => Some(
                "the catalog cannot be written here and was left with open changes; reading a copy",
            ),
        }
    }
}

/// Checks that a regular file with content is at `path`.
pub(crate) fn check_file(path: &Path) -> Result<(), CatalogError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CatalogError::Missing {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(CatalogError::io("reading", path, error)),
    };
    let kind = metadata.file_type();
    let found = if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if !kind.is_file() {
        "a special file"
    } else if metadata.len() < SMALLEST {
        return Err(CatalogError::Damaged {
            path: path.to_owned(),
            detail: format!("the file has {} bytes", metadata.len()),
        });
    } else {
        return Ok(());
    };
    Err(CatalogError::NotAFile {
        path: path.to_owned(),
        found,
    })
}

/// Opens the first connection and finds out how the catalog can be reached.
pub(in crate::catalog) fn open(
    path: &Path,
    options: &CatalogOptions,
) -> Result<(Access, Connection), CatalogError> {
    if options.keeper.is_some() {
        let connection = again(path, &Access::Published, options)?;
        return Ok((Access::Published, connection));
    }
    if !options.read_only {
        let read_only = || CatalogError::ReadOnly {
            path: path.to_owned(),
        };
        let connection = match again(path, &Access::Write, options) {
            // Without the right to write, not even the header of a WAL catalog can be read.
            Err(CatalogError::Sql { .. }) if !can_write(path) => return Err(read_only()),
            // Nor without an inode for the log, of which SQLite only says that it cannot open it.
            Err(CatalogError::Sql { .. }) if is_full(path) => {
                let path = path.to_owned();
                return Err(CatalogError::Full { path });
            }
            opened => opened?,
        };
        if connection.is_readonly("main").unwrap_or(true) {
            return Err(read_only());
        }
        return Ok((Access::Write, connection));
    }
    match again(path, &Access::Read, options) {
        Ok(connection) => return Ok((Access::Read, connection)),
        // Only what stems from a missing `-shm` is worth another way.
        Err(CatalogError::Sql { .. } | CatalogError::ReadOnly { .. }) => {}
        Err(error) => return Err(error),
    }
    let access = match wal_of(path) {
        Some(wal) => Access::Copy(copy(path, &wal)?),
        None => Access::Immutable,
    };
    let connection = again(path, &access, options)?;
    Ok((access, connection))
}

/// Whether the file and the folder around it may be written.
fn can_write(path: &Path) -> bool {
    let may = |path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    may(path) && path.parent().is_none_or(may)
}

/// Whether no new file fits beside the catalog.
fn is_full(path: &Path) -> bool {
    rustix::fs::statvfs(path.parent().unwrap_or(Path::new("/")))
        // A file system that makes inodes as it needs them counts none at all.
        .is_ok_and(|found| found.f_bavail == 0 || (found.f_favail == 0 && found.f_files > 0))
}

/// The WAL, if it has content.
fn wal_of(path: &Path) -> Option<std::path::PathBuf> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wal = std::path::PathBuf::from(wal);
    std::fs::metadata(&wal)
        .is_ok_and(|metadata| metadata.len() > 0)
        .then_some(wal)
}

/// Copies a catalog that this process cannot write, so no lock of SQLite's is at stake.
fn copy(path: &Path, wal: &Path) -> Result<TempDir, CatalogError> {
    let io = |error| CatalogError::io("copying", path, error);
    let folder = tempfile::Builder::new()
        .prefix("dalsegno-")
        .tempdir()
        .map_err(io)?;
    std::fs::copy(path, folder.path().join("catalog")).map_err(io)?;
    std::fs::copy(wal, folder.path().join("catalog-wal")).map_err(io)?;
    Ok(folder)
}

/// Opens a connection the way that is known to work.
pub(in crate::catalog) fn again(
    path: &Path,
    access: &Access,
    options: &CatalogOptions,
) -> Result<Connection, CatalogError> {
    let sql = |error| CatalogError::sql("opening", path, error);
    let base = OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = base | OpenFlags::SQLITE_OPEN_READ_ONLY;
    let write = base | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = match access {
        Access::Write => Connection::open_with_flags(path, write),
        Access::Read => Connection::open_with_flags(path, read),
        Access::Copy(folder) => Connection::open_with_flags(folder.path().join("catalog"), write),
        Access::Published => return open_published(path, options),
        Access::Immutable => {
            Connection::open_with_flags(immutable_uri(path), read | OpenFlags::SQLITE_OPEN_URI)
        }
    }
    .map_err(sql)?;
    configure(&connection, options).map_err(sql)?;
    check_header(path, &connection)?;
    Ok(connection)
}

/// Opens a copy that a keeper published, which is input.
pub(super) fn open_published(
    path: &Path,
    options: &CatalogOptions,
) -> Result<Connection, CatalogError> {
    check_file(path)?;
    // SQLite refuses links on the whole path, and those above the registry's folder are fine.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let folder = folder
        .canonicalize()
        .map_err(|error| CatalogError::io("finding", folder, error))?;
    let real = folder.join(path.file_name().unwrap_or_default());
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let sql = |error| CatalogError::sql("opening", path, error);
    let connection = Connection::open_with_flags(immutable_uri(&real), flags).map_err(sql)?;
    configure(&connection, options).map_err(sql)?;
    check_header(path, &connection)?;
    connection
        .set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)
        .map_err(sql)?;
    // A view in the place of a table might never end.
    if !is_behind(path, &connection)? {
        let found = schema::of(&connection).map_err(sql)?;
        let other = found.symmetric_difference(schema::made(path)?).next();
        if let Some((kind, name, _)) = other {
            return Err(CatalogError::Damaged {
                path: path.to_owned(),
                detail: format!("its {kind} {name} is not the one that dalsegno makes"),
            });
        }
    }
    Ok(connection)
}

/// `file:` URI of an absolute path; what a URI gives a meaning to is escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn configure(connection: &Connection, options: &CatalogOptions) -> rusqlite::Result<()> {
    // Writers begin again and again, to tell for whom they wait; readers wait here.
    let wait = if options.read_only {
        options.lock_timeout
    } else {
        options.lock_timeout.min(Duration::from_secs(1))
    };
    connection.busy_timeout(wait)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    // Without it the partial index makes SQLite compile a statement again at every binding.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Pages are input: one that makes no sense is an error, not another answer.
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(64);
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
fn check_header(path: &Path, connection: &Connection) -> Result<(), CatalogError> {
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
    path: &Path,
    registry: &str,
    created_at: crate::model::clock::Timestamp,
    wal: bool,
) -> Result<(), CatalogError> {
    let sql = |error| CatalogError::sql("creating", path, error);
    // SQLite takes an empty file for a new one. Its own would never be writable for a group, nor
    // would the log beside it; this one is if the umask allows it.
    std::fs::File::create_new(path).map_err(|error| CatalogError::io("creating", path, error))?;
    let connection = Connection::open(path).map_err(sql)?;
    if wal {
        connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
            .map_err(sql)?;
    }
    let transaction = connection.unchecked_transaction().map_err(sql)?;
    migrate::migrate(&transaction)
        .map_err(|error| CatalogError::migration(path, migrate::NEWEST, error))?;
    transaction
        .execute(
            "INSERT INTO registry (only, id, created_at) VALUES (1, ?1, ?2)",
            (registry, created_at.0),
        )
        .map_err(sql)?;
    transaction.commit().map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_keeps_no_character_that_means_something() {
        assert_eq!(
            immutable_uri(Path::new("/a b/c?d#e%f/ü")),
            "file:/a%20b/c%3Fd%23e%25f/%C3%BC?immutable=1"
        );
    }
}
