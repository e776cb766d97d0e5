//! A damaged catalog: nothing is removed or migrated, and no good backup goes.

use std::fs;
use std::path::Path;

use dalsegno::testing::backup;
use rusqlite::Connection;

use super::{CATALOG, DAY, NOW, at, backups, base, code, names, open, path, remove_at, target};

/// Overwrites the root page of a table that no removal reads.
fn spoil(catalog: &Path, table: &str) {
    let connection = Connection::open(catalog).unwrap();
    let root: usize = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?1",
            [table],
            |row| row.get(0),
        )
        .unwrap();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let mut bytes = fs::read(catalog).unwrap();
    bytes[(root - 1) * 4096..][..100].fill(0xEE);
    fs::write(catalog, bytes).unwrap();
}

#[test]
fn a_damaged_catalog_is_found_by_its_backup_and_nothing_is_removed() {
    let folder = base(6);
    let base = folder.path();
    for number in 1..=3 {
        remove_at(base, number, NOW.plus(DAY * number as u32)).unwrap();
    }
    let older = backups(base);
    assert_eq!(older.len(), 3);
    spoil(&base.join(CATALOG), "score");
    let before = fs::read(base.join(CATALOG)).unwrap();
    for _ in 0..2 {
        let result = remove_at(base, 4, NOW.plus(DAY * 9));
        assert_eq!(code(result), "catalog-damaged");
    }
    assert!(base.join(path(4)).join(".zarray").exists());
    let registry = open(base, NOW);
    assert!(registry.get(&target(&path(4))).unwrap().is_some());
    drop(registry);
    assert_eq!(fs::read(base.join(CATALOG)).unwrap(), before);
    assert_eq!(backups(base), older);
    assert_eq!(names(base).len(), 4, "the copy is gone");
    for one in older {
        backup::check(&one.path).unwrap();
    }
}

#[test]
fn a_damaged_catalog_is_not_migrated() {
    let (_folder, base) = super::frozen::unpack(3);
    spoil(&base.join(CATALOG), "score");
    let before = fs::read(base.join(CATALOG)).unwrap();
    assert_eq!(code(super::at(NOW).open(&base)), "catalog-damaged");
    assert_eq!(fs::read(base.join(CATALOG)).unwrap(), before);
    assert_eq!(names(&base), ["lock"]);
}

#[test]
fn a_catalog_without_a_registry_s_row_is_damaged() {
    let folder = base(1);
    let base = folder.path();
    super::sql(&base.join(CATALOG), "DELETE FROM registry");
    assert_eq!(code(at(NOW).open(base)), "catalog-damaged");
    assert_eq!(backups(base), []);
}
