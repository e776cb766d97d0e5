//! The backup before a migration: always made, exactly once; no migration runs without it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use dalsegno::Hint;
use dalsegno::model::progress::{Monitor, Phase};
use dalsegno::testing::backup;

use super::child::{answer, assert_sound, command};
use super::frozen::{newest, unpack};
use super::{
    BACKUPS, CATALOG, DAY, NAME, NOW, array, ask, at, backups, code, names, names_in, path, sql,
};

#[test]
fn of_sixteen_that_open_an_older_catalog_at_once_one_backs_it_up() {
    let (_folder, base) = unpack(3);
    let mut children: Vec<Child> = (0..16)
        .map(|_| {
            command(&[], "open", &base)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children.drain(..) {
        assert_eq!(answer(&child.wait_with_output().unwrap()), ["ok"]);
    }
    assert_eq!(names(&base).len(), 2, "{:?}", names(&base));
    let made = backups(&base).remove(0);
    assert_eq!(backup::check(&made.path).unwrap().schema, 3);
    assert_sound(&made.path);
    assert_sound(&base.join(CATALOG));
}

#[test]
fn a_monitor_hears_of_both() {
    struct Phases(Arc<Mutex<Vec<Phase>>>);
    impl Monitor for Phases {
        fn begin(&self, phase: Phase, _items: Option<u64>) {
            self.0.lock().unwrap().push(phase);
        }
    }
    let (_folder, base) = unpack(2);
    let phases = Arc::default();
    let _registry = at(NOW)
        .monitor(Phases(Arc::clone(&phases)))
        .open(&base)
        .unwrap();
    assert_eq!(*phases.lock().unwrap(), [Phase::Backup, Phase::Migrate]);
    // The registry has released the lock.
    assert_eq!(Arc::strong_count(&phases), 1);
}

#[test]
fn without_a_backup_nothing_is_migrated() {
    for (what, is_link) in [("a file", false), ("a link", true)] {
        let (folder, base) = unpack(2);
        if is_link {
            symlink(folder.path(), base.join(BACKUPS)).unwrap();
        } else {
            fs::write(base.join(BACKUPS), "in the way").unwrap();
        }
        let before = fs::read(base.join(CATALOG)).unwrap();
        let error = at(NOW).open(&base).err().unwrap();
        assert_eq!(error.code(), "no-backup", "{what}");
        assert!(error.to_string().contains(BACKUPS), "{error}");
        assert_eq!(error.hint(), Some(Hint::FreeBackupSpace));
        assert_eq!(fs::read(base.join(CATALOG)).unwrap(), before, "{what}");
        assert_eq!(names_in(folder.path()), ["base"], "{what}");
        // After the fix, the migration runs.
        fs::remove_file(base.join(BACKUPS)).unwrap();
        at(NOW).open(&base).unwrap();
        assert_eq!(names(&base), [NAME, "lock"]);
    }
}

#[test]
fn a_reader_of_an_older_catalog_makes_no_backup() {
    let (_folder, base) = unpack(2);
    assert_eq!(code(at(NOW).read_only(true).open(&base)), "catalog-behind");
    assert!(!base.join(BACKUPS).exists());
}

#[test]
fn a_version_that_was_overwritten_is_mended_once_and_pushes_out_no_backup() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().to_owned();
    drop(at(NOW).create(&base).unwrap());
    sql(&base.join(CATALOG), "PRAGMA user_version = 0");
    for _ in 0..5 {
        drop(at(NOW).open(&base).unwrap());
    }
    assert_eq!(names(&base).len(), 2, "{:?}", names(&base));
    at(NOW).read_only(true).open(&base).unwrap();
}

#[test]
fn a_migration_that_fails_again_and_again_pushes_out_no_backup() {
    let (_folder, base) = unpack(1);
    let catalog = base.join(CATALOG);
    let older = base.join(BACKUPS).join("20200101T000000Z.sqlite3");
    fs::create_dir(base.join(BACKUPS)).unwrap();
    fs::copy(&catalog, &older).unwrap();
    sql(
        &catalog,
        "UPDATE refinery_schema_history SET checksum = '1'",
    );
    for day in 0..5 {
        let error = at(NOW.plus(DAY * day)).open(&base).err().unwrap();
        assert_eq!(error.code(), "catalog-migration");
        assert_eq!(backups(&base).len(), 2);
    }
    assert!(older.exists());
}

#[test]
fn a_backup_of_today_does_not_stand_for_the_one_before_a_migration() {
    let (_folder, base) = unpack(2);
    let other = base.join(BACKUPS).join(NAME);
    fs::create_dir(base.join(BACKUPS)).unwrap();
    fs::copy(base.join(CATALOG), &other).unwrap();
    sql(&other, "UPDATE registry SET created_at = 0");
    at(NOW).open(&base).unwrap();
    let made = backups(&base);
    assert_eq!(made.len(), 2);
    assert_eq!(
        ask(
            &made[0].path,
            "SELECT iif(created_at > 0, 'new', 'old') FROM registry"
        ),
        "new"
    );
    // Its second was taken.
    assert!(made[0].path.ends_with("20231114T221321Z.sqlite3"));
    assert_eq!(made[1].path, other);
}

#[test]
fn a_catalog_whose_base_has_no_folder_is_backed_up_beside_it() {
    let (folder, base) = unpack(3);
    let catalog = folder.path().join("catalog");
    fs::copy(base.join(CATALOG), &catalog).unwrap();
    fs::remove_dir_all(base.join(".dalsegno")).unwrap();
    let registry = at(NOW).catalog(&catalog).open(&base).unwrap();
    assert_eq!(registry.health().unwrap().schema, newest());
    array(&registry, &path(7));
    let beside = folder.path().join("catalog.backups");
    assert_eq!(names_in(&beside), [NAME, "lock"]);
    let made = registry.backups().unwrap().remove(0);
    assert_eq!(made.path, beside.join(NAME));
    assert_eq!(backup::check(&made.path).unwrap().schema, 3);
    assert!(!base.join(".dalsegno").exists());
}
