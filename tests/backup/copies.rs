//! Copies of backups, and a backup in the place of the catalog.

use std::fs;

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::testing::backup;

use super::{CATALOG, NOW, array, ask, base, names_in, open, path};

#[test]
fn a_copy_is_whole_and_replaces_nothing() {
    let folder = base(3);
    let made = open(folder.path(), NOW).back_up(&Silent).unwrap().unwrap();
    let other = tempfile::tempdir().unwrap();
    let to = other.path().join("a copy?.sqlite3");
    backup::copy(&made.path, &to).unwrap();
    assert_eq!(fs::read(&to).unwrap(), fs::read(&made.path).unwrap());
    assert_eq!(
        backup::check(&to).unwrap(),
        backup::check(&made.path).unwrap()
    );
    assert_eq!(names_in(other.path()), ["a copy?.sqlite3"]);

    fs::write(&to, "mine").unwrap();
    let error = backup::copy(&made.path, &to).unwrap_err();
    assert_eq!(error.code(), "catalog-io");
    assert_eq!(fs::read_to_string(&to).unwrap(), "mine");
    let error = backup::copy(&to, &other.path().join("new")).unwrap_err();
    assert_eq!(error.code(), "catalog-damaged");
    assert_eq!(names_in(other.path()), ["a copy?.sqlite3"]);
}

#[test]
fn an_unsound_backup_is_reported() {
    let folder = base(1);
    let made = open(folder.path(), NOW).back_up(&Silent).unwrap().unwrap();
    let bytes = fs::read(&made.path).unwrap();
    let other = folder.path().join("other.sqlite3");
    let newer = {
        let mut bytes = bytes.clone();
        bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
        bytes
    };
    let foreign = {
        let mut bytes = bytes.clone();
        bytes[68..72].fill(0);
        bytes
    };
    let cases: [(&[u8], &str); 6] = [
        (&bytes, "ok"),
        (b"", "catalog-damaged"),
        (&bytes[..4096], "catalog-damaged"),
        (&[7; 4096], "catalog-damaged"),
        (&newer, "catalog-too-new"),
        (&foreign, "catalog-foreign"),
    ];
    for (bytes, expected) in cases {
        fs::write(&other, bytes).unwrap();
        let code = backup::check(&other).map_or_else(|error| error.code(), |_| "ok");
        assert_eq!(code, expected, "{} bytes", bytes.len());
        assert_eq!(fs::read(&other).unwrap(), bytes);
    }
    fs::remove_file(&other).unwrap();
    assert_eq!(backup::check(&other).unwrap_err().code(), "catalog-missing");
    let code = backup::check(folder.path()).unwrap_err().code();
    assert_eq!(code, "catalog-not-a-file");
}

#[test]
fn a_folder_that_is_not_there_has_no_backups() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(backup::list(&folder.path().join("none"), NOW).unwrap(), []);
    fs::write(folder.path().join("file"), "").unwrap();
    let error = backup::list(&folder.path().join("file"), NOW).unwrap_err();
    assert_eq!(error.code(), "catalog-io");
}

#[test]
fn a_backup_in_the_place_of_the_catalog_is_that_catalog() {
    let folder = base(2);
    let catalog = folder.path().join(CATALOG);
    let registry = open(folder.path(), NOW);
    let before = registry.select(&Filter::default()).unwrap();
    let made = registry.back_up(&Silent).unwrap().unwrap();
    array(&registry, &path(3));
    drop(registry);
    assert_eq!(ask(&made.path, "PRAGMA journal_mode"), "delete");
    fs::remove_file(&catalog).unwrap();
    fs::copy(&made.path, &catalog).unwrap();
    let registry = open(folder.path(), NOW);
    assert_eq!(registry.select(&Filter::default()).unwrap(), before);
    assert!(registry.check_history(None).unwrap().is_whole());
    // It has a WAL again, so readers and writers do not block each other.
    assert_eq!(registry.health().unwrap().journal_mode, "wal");
    array(&registry, &path(3));
}
