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

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{AtFlags, FileType, Mode, fchmod, linkat, renameat, unlinkat};
use rustix::io::Errno;

use super::connection::{self, create_file};
use super::file::Catalog;
use super::fork::Registration;
use super::opening::{self, OpenConnection};
use super::options::CatalogOptions;
use super::place::Place;
use super::queue::{OnWait, Turn, WriteQueue};
use super::{backup, migrate, schema};
use crate::catalog::error::CatalogError;
use crate::catalog::query::RowRead;
use crate::disk::{Access, Folder, open_file};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What an open catalog makes beside itself.
const LOCKS: [&str; 2] = [".queue", ".turn"];

/// What a private copy of the published copy adds to the name of the new catalog.
const SALVAGED: &str = ".published";

/// A catalog that is being replaced, with the turn to write.
pub struct Replacing {
    place: Arc<Place>,
    staging: Place,
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
    let place = Place::of(path)?;
    let registration = Registration::new(&place)?;
    let (_, connection) = connection::open(&place, &options(), &registration)?;
    // Tables of an older version differ from those of the migrations, so only pages are checked.
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
    // Named, because an empty list leaves checkpoints out.
    let everything = Filter {
        kinds: Kind::ALL.to_vec(),
        ..Filter::default()
    };
    let mut damaged = None;
    let now = catalog.options.clock.now();
    // Pages can be sound and a row make no sense all the same.
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
    // `-shm` holds nothing that is not in the log.
    [BESIDE[0], BESIDE[2]].into_iter().any(|suffix| {
        with(path, suffix)
            .symlink_metadata()
            .is_ok_and(|found| found.len() > 0)
    })
}

/// Reads the id of the registry out of a catalog that may be damaged, if that works.
#[must_use]
pub fn registry_of(path: &Path) -> Option<String> {
    let place = Place::of(path).ok()?;
    connection::check(&place).ok()?;
    let mut id = String::new();
    let read = |connection: &Connection| {
        schema::check(path, connection)?;
        id = connection
            .query_row(connection::REGISTRY_ID, [], |row| row.get(0))
            .map_err(|error| CatalogError::sql("reading", path, error))?;
        Ok(())
    };
    opening::open(&place, OpenFlags::SQLITE_OPEN_READ_ONLY, read).ok()?;
    // In a damaged catalog it may be any text.
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
        let place = Arc::new(Place::of(path)?);
        let turn = WriteQueue::new(Arc::clone(&place), timeout).wait(on_wait)?;
        let replacing = Self {
            staging: Place::in_folder(place.folder(), place.beside(".rebuild"))?,
            place,
            _turn: turn,
        };
        // With the turn: no other rebuild can be at work on these.
        replacing.clear()?;
        Ok(replacing)
    }

    /// Where the new catalog is made.
    #[must_use]
    pub fn staging(&self) -> &Path {
        self.staging.path()
    }

    /// Where a private copy of the published copy goes, for as long as this lasts.
    #[must_use]
    pub fn salvaged(&self) -> PathBuf {
        with(self.staging.path(), SALVAGED)
    }

    /// Removes the new catalog and all files beside it.
    fn clear(&self) -> Result<(), CatalogError> {
        let suffixes = BESIDE.into_iter().chain(LOCKS).chain([SALVAGED, ""]);
        for suffix in suffixes {
            let removed = self.place.folder().unlink(self.staging.beside(suffix));
            removed.map_err(|error| {
                CatalogError::io("removing", &with(self.staging.path(), suffix), error)
            })?;
        }
        Ok(())
    }

    /// Gives the new catalog the permissions of the old one, so that every user of that one can use
    /// this.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if it cannot get them.
    pub fn take_permissions(&self) -> Result<(), CatalogError> {
        let io = |error| CatalogError::io("rebuilding", self.staging.path(), error);
        let Ok(Some(old)) = self.place.stat("") else {
            return Ok(());
        };
        if FileType::from_raw_mode(old.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        // No connection has the new one open yet, so closing this drops no locks.
        let new = open_file(&self.staging, self.staging.name(), Access::Write).map_err(io)?;
        fchmod(&new, Mode::from_raw_mode(old.st_mode & 0o777)).map_err(|errno| io(errno.into()))
    }

    /// Begins the new catalog as the copy of a backup, in the newest version.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn stage_copy(&self, backup: &Path, wal: bool) -> Result<(), CatalogError> {
        let staging = self.staging.path();
        backup::copy(backup, staging)?;
        let sql = |error| CatalogError::sql("rebuilding", staging, error);
        let mut opened = self.open(|_| Ok(()))?;
        // A backup was checked before it was chosen.
        opened.budget().add_migration(&self.staging);
        let bring_up = |connection: &mut Connection| {
            if wal {
                connection
                    .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
                    .map_err(sql)?;
            }
            let transaction = connection.unchecked_transaction().map_err(sql)?;
            if connection::is_behind(staging, &transaction)? {
                migrate::migrate(&transaction)
                    .map_err(|error| CatalogError::migration(backup, migrate::NEWEST, error))?;
            }
            transaction.commit().map_err(sql)
        };
        opened.confined(bring_up)?;
        opened.close().map_err(sql)
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

    fn open(
        &self,
        first: impl FnOnce(&Connection) -> Result<(), CatalogError> + Send,
    ) -> Result<OpenConnection, CatalogError> {
        connection::check(&self.staging)?;
        opening::open(&self.staging, OpenFlags::SQLITE_OPEN_READ_WRITE, first)
    }

    /// Puts the new catalog, which no connection has open any more, in the place of the old one.
    /// Gives where the old one is now; `None` if there was none.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if a file cannot be renamed or synced. The old one is then in its
    /// place, or beside it.
    pub fn install(self, now: Timestamp) -> Result<Option<PathBuf>, CatalogError> {
        let staging = self.staging.path();
        let sql = |error| CatalogError::sql("rebuilding", staging, error);
        let finish = |connection: &Connection| {
            // Checked while the old one still has its place.
            if let Some(detail) = quick_check(staging, connection)? {
                let path = staging.to_owned();
                return Err(CatalogError::Damaged { path, detail });
            }
            // Renamed without its log, the new catalog would lose what the log holds.
            take_log_in(connection).map_err(sql)
        };
        self.open(finish)?.close().map_err(sql)?;
        let folder = self.place.folder();
        let io = |error| CatalogError::io("rebuilding", self.place.path(), error);
        // Durable before it has the name, or a power cut could leave the name without the content.
        self.staging
            .open_beside("")
            .and_then(|file| file.sync_all())
            .map_err(io)?;
        let aside = self.free_name(now)?;
        let mut old = Vec::new();
        for suffix in [""].into_iter().chain(BESIDE) {
            if self.place.stat(suffix).map_err(io)?.is_some() {
                old.push(suffix);
            }
        }
        for suffix in old.iter().filter(|suffix| !suffix.is_empty()) {
            let (from, to) = (self.place.beside(suffix), aside.beside(suffix));
            // If the file system has no links, it is renamed below.
            let _ = linkat(folder, &from, folder, &to, AtFlags::empty());
        }
        // The second names are durable before any first one goes.
        folder.sync().map_err(io)?;
        for suffix in &old {
            let (from, to) = (self.place.beside(suffix), aside.beside(suffix));
            // Two names of one file: then a rename does nothing.
            let moved = match suffix.is_empty() || !is_same(folder, &from, &to) {
                true => renameat(folder, &from, folder, &to),
                false => unlinkat(folder, &from, AtFlags::empty()),
            };
            match moved {
                // A process that closed the catalog meanwhile has removed its log.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(io(errno.into())),
            }
        }
        // Until here a crash leaves the old catalog or none; from here on, the new one.
        renameat(folder, self.staging.name(), folder, self.place.name())
            .map_err(|errno| io(errno.into()))?;
        folder.sync().map_err(io)?;
        Ok(old.first().map(|suffix| with(aside.path(), suffix)))
    }

    /// A name beside the catalog that nothing has, nor anything that SQLite would take with it.
    fn free_name(&self, now: Timestamp) -> Result<Place, CatalogError> {
        let at = now.compact();
        let mut suffix = format!(".damaged-{at}");
        let mut number = 2;
        loop {
            let name = Place::in_folder(self.place.folder(), self.place.beside(&suffix))?;
            let is_free = |suffix: &str| matches!(name.stat(suffix), Ok(None));
            if [""].into_iter().chain(BESIDE).all(is_free) {
                return Ok(name);
            }
            suffix = format!(".damaged-{at}-{number}");
            number += 1;
        }
    }
}

impl Drop for Replacing {
    fn drop(&mut self) {
        // What is left of a new catalog that did not come to be takes space; the next rebuild tries
        // again to remove it.
        let _ = self.clear();
    }
}

/// Whether two names in a folder are those of one file.
fn is_same(folder: &Folder, one: &OsStr, other: &OsStr) -> bool {
    let id = |name: &OsStr| {
        let found = folder.stat(name).ok()??;
        Some((found.st_dev, found.st_ino))
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
