//! Copies of a catalog and its WAL, for a reader that cannot open the catalog itself.
//!
//! What others write meanwhile does not tear a copy if the header of the WAL is the same before and
//! after. The catalog file changes only when commits of the WAL are folded into it, and those stay
//! in the WAL until it is begun again, which gives it another header: a higher count and a new
//! random number. The file is copied first. So the copied WAL has every page that was being folded
//! in, and SQLite reads those pages from there, whatever the copied file has. A commit that was
//! being appended has no whole chain of checksums, and SQLite leaves it out.
//!
//! # Locks
//! Closing a file drops all locks of this process on it. So only a process copies that cannot
//! write the catalog, or has no other handle of it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

use tempfile::TempDir;

use super::place::Place;
use crate::catalog::error::CatalogError;

/// Bytes of the header of a WAL.
const HEADER: usize = 32;

/// Copies a catalog, as `catalog`, and its WAL to a temporary folder; `None` if the WAL was begun
/// again meanwhile, or is gone.
pub(super) fn copy(place: &Place) -> Result<Option<TempDir>, CatalogError> {
    copy_with(place, || {})
}

/// As [`copy`]; `between` is called between the two files.
fn copy_with(place: &Place, between: impl FnOnce()) -> Result<Option<TempDir>, CatalogError> {
    let io = |error| CatalogError::io("copying", place.path(), error);
    let Some(before) = header(place).map_err(io)? else {
        return Ok(None);
    };
    let folder = copy_alone(place)?;
    between();
    let wal = File::create_new(folder.path().join("catalog-wal")).map_err(io)?;
    match copy_file(place, "-wal", wal) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        copied => copied.map_err(io)?,
    }
    let is_whole = header(place).map_err(io)? == Some(before);
    Ok(is_whole.then_some(folder))
}

/// Copies a catalog that has no WAL, as `catalog`, to a temporary folder.
pub(super) fn copy_alone(place: &Place) -> Result<TempDir, CatalogError> {
    let io = |error| CatalogError::io("copying", place.path(), error);
    let folder = tempfile::Builder::new()
        .prefix("dalsegno-")
        .tempdir()
        .map_err(io)?;
    let copy = File::create_new(folder.path().join("catalog")).map_err(io)?;
    copy_file(place, "", copy).map_err(io)?;
    Ok(folder)
}

fn copy_file(place: &Place, suffix: &str, mut to: File) -> std::io::Result<()> {
    let mut from = place.open_beside(suffix)?;
    // A file with holes is larger than all disks, and no file of SQLite's.
    let found = from.metadata()?;
    if found.len() / 2 > found.blocks().saturating_mul(512).saturating_add(1 << 20) {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it has holes"));
    }
    std::io::copy(&mut from.by_ref().take(found.len()), &mut to).map(drop)
}

/// Reads the header of the WAL; `None` if the catalog has no WAL.
fn header(place: &Place) -> std::io::Result<Option<[u8; HEADER]>> {
    let mut header = [0; HEADER];
    let read = place
        .open_beside("-wal")
        .and_then(|wal| wal.read_exact_at(&mut header, 0));
    match read {
        Ok(()) => Ok(Some(header)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    /// A database with a WAL in which every row of `t` is the same number.
    fn database(path: &std::path::Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE t (n INTEGER, filler BLOB);
                 WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 200)
                 INSERT INTO t SELECT 0, randomblob(2000) FROM c;",
            )
            .unwrap();
        connection
    }

    fn add_one(connection: &Connection) {
        connection.execute("UPDATE t SET n = n + 1", []).unwrap();
    }

    fn numbers(copied: &TempDir) -> (i64, i64) {
        let connection = Connection::open(copied.path().join("catalog")).unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        connection
            .query_row("SELECT min(n), max(n) FROM t", [], read)
            .unwrap()
    }

    #[test]
    fn commits_and_their_folding_in_do_not_tear_a_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sqlite3");
        let connection = database(&path);
        let place = Place::of(&path).unwrap();
        let copied = copy_with(&place, || {
            add_one(&connection);
            let folded = "PRAGMA wal_checkpoint(PASSIVE)";
            connection.query_row(folded, [], |_| Ok(())).unwrap();
        });
        assert_eq!(numbers(&copied.unwrap().unwrap()), (1, 1));
    }

    #[test]
    fn a_copy_beside_a_log_that_is_begun_again_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.sqlite3");
        let connection = database(&path);
        let place = Place::of(&path).unwrap();
        for how in ["RESTART", "TRUNCATE"] {
            add_one(&connection);
            let copied = copy_with(&place, || {
                let again = format!("PRAGMA wal_checkpoint({how})");
                connection.query_row(&again, [], |_| Ok(())).unwrap();
                add_one(&connection);
            });
            assert!(copied.unwrap().is_none(), "{how}");
        }
        let copied = copy(&place).unwrap().unwrap();
        assert_eq!(numbers(&copied), (4, 4));
        drop(connection);
        assert!(copy(&place).unwrap().is_none());
    }
}
