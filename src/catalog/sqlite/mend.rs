//! Mending a catalog of which only the header was overwritten.
//!
//! The first 100 bytes of a file of SQLite's say how to read the rest. Without them no program
//! opens it, though every row is there: in the file, and in its log, to which a process that had
//! the catalog open may have written since. Entry: [`mend_header`].
//!
//! A private copy of file and log gets a header. All that differs between catalogs of one version
//! is the number of pages and the list of free ones. The number is known, and there are no free
//! pages once the copy is rewritten (`VACUUM`). If the list of tables, which is behind the header,
//! is gone too, the first page is that of a backup: only a migration changes the list.
//!
//! The copy counts only if it is sound as a whole, by the same check as the catalog itself. The
//! damaged file is not changed.
//!
//! # Locks
//! The caller holds the turn to write. Closing a file drops all locks of this process on it, so
//! only a process without another handle of the catalog reads it here.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::budget::{Budget, bytes_of};
use super::connection::{self, APPLICATION_ID};
use super::fork::{MAGIC, Registration};
use super::place::Place;
use super::replace::damage_of;
use super::{migrate, opening, schema, wal_copy};
use crate::catalog::error::CatalogError;
use crate::model::causes::with_causes;

/// Bytes of the header.
pub(super) const HEADER: usize = 100;
/// Bytes of a page: every catalog has pages of SQLite's usual size.
pub(super) const PAGE: usize = 4096;
/// How often a copy is tried while the log is begun again.
const TRIES: usize = 8;

/// What came of mending.
pub enum Mended {
    /// There is no file, or its header is as it should be.
    NoNeed,
    /// It cannot be mended; why.
    Refused(String),
    /// A sound copy of all that file and log hold.
    Copy(MendedCopy),
}

/// A copy of a catalog with another header, for as long as it is not dropped.
pub struct MendedCopy(TempDir);

impl MendedCopy {
    /// The file, which has no log.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.0.path().join("catalog")
    }
}

/// Copies a catalog and its log, and gives the copy a header if that of the catalog was
/// overwritten. `backup` is an earlier copy of the same catalog, if there is one.
///
/// # Errors
/// [`CatalogError::Io`] if the copy cannot be made: there is no space for it or no temporary folder,
/// or this process has the catalog open. Anything else is in the result.
pub fn mend_header(
    path: &Path,
    base: &Path,
    backup: Option<&Path>,
) -> Result<Mended, CatalogError> {
    let place = Place::of(path)?;
    if connection::check(&place).is_err() {
        return Ok(Mended::NoNeed);
    }
    let refused = |why: &str| Ok(Mended::Refused(why.to_owned()));
    let mut registration = Registration::new(&place)?;
    if !registration.is_only() {
        // By the descriptor that the other handle holds: another must not be closed.
        registration.hold(&place);
        return match registration.require_header(path) {
            Err(CatalogError::Damaged { .. }) => {
                let open = "this process has it open; close each registry that uses it first";
                let open = std::io::Error::other(open);
                Err(CatalogError::io("mending", path, open))
            }
            _ => Ok(Mended::NoNeed),
        };
    }
    let is_whole = place.open_beside("").and_then(|file| {
        let mut header = [0; HEADER];
        file.read_exact_at(&mut header, 0)?;
        Ok(is_header(&header))
    });
    match is_whole {
        Ok(true) => return Ok(Mended::NoNeed),
        Ok(false) => {}
        Err(error) => return refused(&error.to_string()),
    }
    // Without a place for the copy nothing is known of it, and a backup would lack what it has.
    tempfile::tempdir().map_err(|error| {
        CatalogError::io(
            "making a copy of the catalog in",
            &std::env::temp_dir(),
            error,
        )
    })?;
    let mut why = "its log was begun again and again while it was copied".to_owned();
    for first in [None, backup] {
        let mended = copied(&place).and_then(|folder| {
            let Some(folder) = folder else {
                return Ok(Err(why.clone()));
            };
            let copy = MendedCopy(folder);
            let shown = path.display().to_string();
            let damage = mend(&copy.file(), base, first)?
                // The private copy is gone when this is read.
                .map(|damage| damage.replace(&copy.file().display().to_string(), &shown));
            Ok(damage.map_or(Ok(copy), Err))
        });
        match mended {
            Ok(Ok(copy)) => return Ok(Mended::Copy(copy)),
            Ok(Err(damage)) => why = damage,
            // With space it may work, and then nothing is lost.
            Err(CatalogError::Io { source, .. })
                if matches!(
                    source.kind(),
                    ErrorKind::StorageFull | ErrorKind::QuotaExceeded
                ) =>
            {
                let folder = std::env::temp_dir();
                return Err(CatalogError::io("copying the catalog to", &folder, source));
            }
            Err(error) => why = with_causes(&error),
        }
        // Without a backup there is no other first page.
        if backup.is_none() {
            break;
        }
    }
    Ok(Mended::Refused(why))
}

/// Copies a catalog and its log; `None` if the log does not stay as it is for that long.
pub(super) fn copied(place: &Place) -> Result<Option<TempDir>, CatalogError> {
    for _ in 0..TRIES {
        if !connection::has_wal(place) {
            return wal_copy::copy_alone(place).map(Some);
        }
        if let Some(folder) = wal_copy::copy(place)? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// Gives a private copy a header, behind which is its own list of tables, or that of a backup. Says
/// what is damaged then; `None` if it is sound.
fn mend(copy: &Path, base: &Path, backup: Option<&Path>) -> Result<Option<String>, CatalogError> {
    let io = |error| CatalogError::io("mending", copy, error);
    let file = File::options().read(true).write(true).open(copy);
    let file = file.map_err(io)?;
    let pages = file.metadata().map_err(io)?.len() / PAGE as u64;
    let mut first = vec![0; PAGE];
    if let Some(backup) = backup {
        // A backup is opened as a file that no process changes, so there are no locks on it.
        let backup = Place::of(backup)?.open_beside("").map_err(io)?;
        backup.read_exact_at(&mut first, 0).map_err(io)?;
    } else {
        file.read_exact_at(&mut first, 0).map_err(io)?;
    }
    first[..HEADER].copy_from_slice(&header(u32::try_from(pages).unwrap_or(u32::MAX)));
    file.write_all_at(&first, 0).map_err(io)?;
    drop(file);
    match rewrite(copy).and_then(|()| damage_of(copy, base)) {
        Err(error) if error.is_damage() => Ok(Some(with_causes(&error))),
        damage => damage,
    }
}

/// Opens a private copy for writing: it is input, and may do no more than a catalog of so many
/// bytes.
pub(super) fn open_copy(copy: &Path, bytes: u64) -> rusqlite::Result<(Connection, Budget)> {
    // Links are not refused: only this user can reach the temporary folder.
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
    let mut connection = Connection::open_with_flags(copy, flags)?;
    let budget = opening::guard(&mut connection, move || bytes)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok((connection, budget))
}

/// Takes the log of a private copy in, and writes all its pages again.
fn rewrite(copy: &Path) -> Result<(), CatalogError> {
    let sql = |error| CatalogError::sql("mending", copy, error);
    let place = Place::of(copy)?;
    let (connection, budget) = open_copy(copy, bytes_of(&place)).map_err(sql)?;
    let prepare = |connection: &Connection| -> rusqlite::Result<()> {
        // Only the end matters: a copy that is half written is dropped.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
    };
    prepare(&connection).map_err(sql)?;
    schema::check(copy, &connection)?;
    // Pages that lead to the same page again and again would be written without end.
    if let Some(detail) = damaged_page(&connection).map_err(sql)? {
        let path = copy.to_owned();
        return Err(CatalogError::Damaged { path, detail });
    }
    budget.renew();
    budget.add_migration(&place);
    connection.execute_batch("VACUUM").map_err(sql)?;
    connection.close().map_err(|(_, error)| sql(error))
}

/// What SQLite finds in the pages, other than that some are free: the header lists none.
fn damaged_page(connection: &Connection) -> rusqlite::Result<Option<String>> {
    // Damage comes before free pages, so a limit cuts off only these.
    let mut statement = connection.prepare("PRAGMA quick_check(100)")?;
    let found: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut lines = found.iter().flat_map(|text| text.lines());
    let is_damage =
        |line: &&str| !(*line == "ok" || line.starts_with("***") || line.ends_with("never used"));
    Ok(lines.find(is_damage).map(str::to_owned))
}

/// Whether these bytes are the header of a catalog, as far as they are the same in all of them.
pub(super) fn is_header(found: &[u8; HEADER]) -> bool {
    let made = header(0);
    let same = [0..18, 20..24, 68..72];
    same.into_iter()
        .all(|range| found[range.clone()] == made[range])
}

/// The header of a catalog of this version with so many pages, none of which is free. See
/// <https://sqlite.org/fileformat2.html#the_database_header>.
pub(super) fn header(pages: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |value: i64| u32::try_from(value).unwrap_or_default().to_be_bytes();
    put(0, MAGIC);
    put(16, &u16::try_from(PAGE).unwrap_or_default().to_be_bytes());
    // It has a log, no reserved bytes, and the fractions that every file has.
    put(18, &[2, 2, 0, 64, 32, 32]);
    // The number of pages counts only if the changes that were counted at 24 and 92 are the same.
    put(24, &number(1));
    put(28, &pages.to_be_bytes());
    put(40, &number(1));
    // The format of the tables, and UTF-8.
    put(44, &number(4));
    put(56, &number(1));
    put(60, &number(migrate::NEWEST));
    put(68, &number(APPLICATION_ID));
    put(92, &number(1));
    put(96, &number(rusqlite::version_number().into()));
    header
}
