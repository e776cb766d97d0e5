//! Putting another catalog in the place of one that is damaged or gone.
//!
//! The new one is made whole beside it, as `<catalog>.rebuild`, with the turn to write held all the
//! while, so that no process changes what it is made from. Then the old files get names of their
//! own, and the new one is renamed into its place. Handles that have the old file open go on
//! reading it and refuse to write.
//!
//! What lies beside the old catalog, above all its log, is linked to its new name before the
//! catalog is renamed, and loses its old name afterwards. So a crash in between never parts a
//! catalog from its log: at worst the log has a second name. If a file system has no links, it is
//! renamed.
//!
//! Locks: the turn, from [`Replacing::begin`] on. A crash before the last rename leaves no catalog
//! or the old one, and files that the next rebuild removes; nothing of the old one is ever deleted.

use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connection::{self, create_file};
use super::file::Catalog;
use super::options::CatalogOptions;
use super::queue::{OnWait, Turn, WriteQueue};
use super::{backup, migrate, schema};
use crate::catalog::error::CatalogError;
use crate::catalog::query::RowRead;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What an open catalog makes beside itself.
const LOCKS: [&str; 2] = [".queue", ".turn"];

/// A catalog that is being replaced, with the turn to write.
pub struct Replacing {
    path: PathBuf,
    staging: PathBuf,
    _turn: Turn,
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Says what is wrong with a catalog; `None` if it is sound.
///
/// # Errors
/// [`CatalogError`] if it is not there or not to be read at all, cannot be read here, or a newer
/// version wrote it.
pub fn damage_of(path: &Path, base: &Path) -> Result<Option<String>, CatalogError> {
    connection::check_file(path)?;
    let options = || CatalogOptions {
        read_only: true,
        ..CatalogOptions::default()
    };
    let (_, connection) = connection::open(path, &options())?;
    if connection::is_behind(path, &connection)? {
        let found = quick_check(path, &connection)?;
        return Ok(found.or_else(|| names_no_registry(path)));
    }
    if let Some(detail) = missing_from_schema(path, &connection)? {
        return Ok(Some(detail));
    }
    drop(connection);
    let catalog = Catalog::open(path, base, None, options())?;
    let check = catalog.check_integrity(true)?;
    let mut damage = check.damage.into_iter().chain(check.dangling);
    if let Some(detail) = damage.next().or_else(|| names_no_registry(path)) {
        return Ok(Some(detail));
    }
    let everything = Filter {
        kinds: Kind::ALL.to_vec(),
        ..Filter::default()
    };
    let mut damaged = None;
    let now = catalog.options.clock.now();
    catalog.each_row(&everything, now, |row| {
        if let RowRead::Damaged { id, detail, .. } = row {
            damaged.get_or_insert(format!("artifact {id}: {detail}"));
        }
        Ok::<_, CatalogError>(())
    })?;
    Ok(damaged)
}

/// Says which table, index, view or trigger is not there, or is another than the migrations make:
/// reading may do without it for a while.
fn missing_from_schema(
    path: &Path,
    connection: &Connection,
) -> Result<Option<String>, CatalogError> {
    let sql = |error| CatalogError::sql("checking", path, error);
    let found = schema::of(connection).map_err(sql)?;
    let missing = schema::made(path)?
        .iter()
        .find(|object| !found.contains(object));
    Ok(missing.map(|(kind, name, _)| format!("its {kind} {name} is missing or was changed")))
}

fn quick_check(path: &Path, connection: &Connection) -> Result<Option<String>, CatalogError> {
    let sql = |error| CatalogError::sql("checking", path, error);
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(sql)?;
    Ok((found != "ok").then_some(found))
}

fn names_no_registry(path: &Path) -> Option<String> {
    let detail = || "it does not say which registry it is".to_owned();
    registry_of(path).is_none().then(detail)
}

/// Whether a log or journal with content lies beside a database.
#[must_use]
pub fn has_log(path: &Path) -> bool {
    [BESIDE[0], BESIDE[2]].into_iter().any(|suffix| {
        with(path, suffix)
            .symlink_metadata()
            .is_ok_and(|found| found.len() > 0)
    })
}

/// Reads the id of the registry out of a catalog that may be damaged, if that works.
#[must_use]
pub fn registry_of(path: &Path) -> Option<String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connection::check_file(path).ok()?;
    let connection = Connection::open_with_flags(path, flags).ok()?;
    let id: String = connection
        .query_row(connection::REGISTRY_ID, [], |row| row.get(0))
        .ok()?;
    uuid::Uuid::parse_str(&id).ok().map(|_| id)
}

impl Replacing {
    /// Takes the turn to write, and removes what a killed rebuild has left.
    ///
    /// # Errors
    /// [`CatalogError::LockTimeout`]; [`CatalogError::Io`] if the folder of the catalog is gone
    /// or cannot be written.
    pub fn begin(
        path: &Path,
        timeout: std::time::Duration,
        on_wait: &OnWait,
    ) -> Result<Self, CatalogError> {
        let turn = WriteQueue::new(path, timeout).wait(on_wait)?;
        let replacing = Self {
            path: path.to_owned(),
            staging: with(path, ".rebuild"),
            _turn: turn,
        };
        replacing.clear()?;
        Ok(replacing)
    }

    /// Where the new catalog is made.
    #[must_use]
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Removes the new catalog and all files beside it.
    fn clear(&self) -> Result<(), CatalogError> {
        let suffixes = BESIDE.into_iter().chain(LOCKS).chain([""]);
        for path in suffixes.map(|suffix| with(&self.staging, suffix)) {
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(CatalogError::io("removing", &path, error)),
            }
        }
        Ok(())
    }

    /// Gives the new catalog the permissions of the old one, so that every user of that one can use
    /// this.
    fn take_permissions(&self) -> Result<(), CatalogError> {
        match self.path.symlink_metadata() {
            Ok(old) if old.is_file() => std::fs::set_permissions(&self.staging, old.permissions())
                .map_err(|error| CatalogError::io("rebuilding", &self.staging, error)),
            _ => Ok(()),
        }
    }

    /// Begins the new catalog as the copy of a backup, in the newest version.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn stage_copy(&self, backup: &Path, wal: bool) -> Result<(), CatalogError> {
        backup::copy(backup, &self.staging)?;
        let sql = |error| CatalogError::sql("rebuilding", &self.staging, error);
        let connection = self.open()?;
        if wal {
            connection
                .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
                .map_err(sql)?;
        }
        let transaction = connection.unchecked_transaction().map_err(sql)?;
        if connection::is_behind(&self.staging, &transaction)? {
            migrate::migrate(&transaction)
                .map_err(|error| CatalogError::migration(backup, migrate::NEWEST, error))?;
        }
        transaction.commit().map_err(sql)?;
        connection.close().map_err(|(_, error)| sql(error))
    }

    /// Begins the new catalog empty.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn stage_new(
        &self,
        registry: &str,
        created_at: Timestamp,
        wal: bool,
    ) -> Result<(), CatalogError> {
        create_file(&self.staging, registry, created_at, wal)?;
        self.take_permissions()
    }

    fn open(&self) -> Result<Connection, CatalogError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Connection::open_with_flags(&self.staging, flags)
            .map_err(|error| CatalogError::sql("rebuilding", &self.staging, error))
    }

    /// Puts the new catalog, which no connection has open any more, in the place of the old one.
    /// Gives where the old one is now; `None` if there was none.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if a file cannot be renamed or synced. The old one is then in its
    /// place, or beside it.
    pub fn install(self, now: Timestamp) -> Result<Option<PathBuf>, CatalogError> {
        let sql = |error| CatalogError::sql("rebuilding", &self.staging, error);
        let connection = self.open()?;
        if let Some(detail) = quick_check(&self.staging, &connection)? {
            let path = self.staging.clone();
            return Err(CatalogError::Damaged { path, detail });
        }
        // Renamed without its log, the new catalog would lose what the log holds.
        take_log_in(&connection).map_err(sql)?;
        connection.close().map_err(|(_, error)| sql(error))?;
        let io = |error| CatalogError::io("rebuilding", &self.path, error);
        File::open(&self.staging)
            .and_then(|file| file.sync_all())
            .map_err(io)?;
        let aside = self.free_name(now);
        let is_there = |suffix| with(&self.path, suffix).symlink_metadata().is_ok();
        let old: Vec<&str> = [""]
            .into_iter()
            .chain(BESIDE)
            .filter(|s| is_there(s))
            .collect();
        for suffix in old.iter().filter(|suffix| !suffix.is_empty()) {
            // If the file system has no links, it is renamed below.
            let _ = std::fs::hard_link(with(&self.path, suffix), with(&aside, suffix));
        }
        self.sync_folder().map_err(io)?;
        for suffix in &old {
            let (from, to) = (with(&self.path, suffix), with(&aside, suffix));
            // Two names of one file: then a rename does nothing.
            let moved = match suffix.is_empty() || !is_same(&from, &to) {
                true => std::fs::rename(&from, &to),
                false => std::fs::remove_file(&from),
            };
            match moved {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(io(error)),
            }
        }
        std::fs::rename(&self.staging, &self.path).map_err(io)?;
        self.sync_folder().map_err(io)?;
        Ok(old.first().map(|suffix| with(&aside, suffix)))
    }

    fn sync_folder(&self) -> std::io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        File::open(folder).and_then(|folder| folder.sync_all())
    }

    /// A name beside the catalog that nothing has, nor anything that SQLite would take with it.
    fn free_name(&self, now: Timestamp) -> PathBuf {
        let at = now.compact();
        let taken = |name: &Path| {
            let mut suffixes = [""].into_iter().chain(BESIDE);
            suffixes.any(|suffix| with(name, suffix).symlink_metadata().is_ok())
        };
        let mut name = with(&self.path, &format!(".damaged-{at}"));
        let mut number = 2;
        while taken(&name) {
            name = with(&self.path, &format!(".damaged-{at}-{number}"));
            number += 1;
        }
        name
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        // What is left of a new catalog that did not come to be takes space; the next rebuild tries
        // again to remove it.
        let _ = self.clear();
    }
}

/// Whether two names are those of one file.
fn is_same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let found = path.symlink_metadata().ok()?;
        Some((found.dev(), found.ino()))
    };
    id(one).is_some_and(|found| id(other) == Some(found))
}

/// Writes the log into the file. Closing does that too, and reports no failure.
fn take_log_in(connection: &Connection) -> rusqlite::Result<()> {
    // In the mode of a network file system there is no log, and nothing is done.
    let busy: i64 =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    match busy {
        0 => Ok(()),
        _ => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            Some("another process has the new catalog open".to_owned()),
        )),
    }
}
