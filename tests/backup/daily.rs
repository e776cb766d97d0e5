//! The backup before a removal: once a day, three kept, and what happens if it cannot be made.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Mutex;

use dalsegno::Durability;
use dalsegno::RemoveOptions;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::progress::{Monitor, Phase, Silent};
use dalsegno::retention::Policy;
use dalsegno::testing::backup;
use dalsegno::{ArrayStore, LocalArrayIdentifier, Options, Registry};
use dalsegno::{GcOptions, GcRequest, GcRules};

use super::lock;
use super::{
    BACKUPS, CATALOG, DAY, HOUR, NAME, NOW, array, at, backups, base, code, names, open, path,
    remove_at, target,
};

#[test]
fn a_removal_backs_the_catalog_up_once_a_day() {
    let folder = base(4);
    let base = folder.path();
    assert_eq!(names(base), Vec::<String>::new());
    let last = open(base, NOW).history_head().unwrap().0;
    let report = remove_at(base, 1, NOW).unwrap();
    assert_eq!(report.backup_failed, None);
    assert_eq!(names(base), [NAME, "lock"]);
    let made = backups(base).remove(0);
    assert_eq!(made.at, Timestamp(NOW.0 / 1000 * 1000));
    // The backup was made before the removal.
    let checked = backup::check(&made.path).unwrap();
    assert_eq!(checked.artifacts, 4);
    assert_eq!(checked.registry, open(base, NOW).id().unwrap());
    assert_eq!(checked.last.unwrap().number, last);
    assert_eq!(checked.last.unwrap().at, NOW);

    remove_at(base, 2, NOW.plus(DAY).minus(HOUR)).unwrap();
    assert_eq!(backups(base).len(), 1);
    remove_at(base, 3, made.at.plus(DAY)).unwrap();
    let now = backups(base);
    assert_eq!(now.len(), 2);
    assert_eq!(now[1], made);
    assert_eq!(backup::check(&now[0].path).unwrap().artifacts, 2);
    // Reading the backups left no files beside them.
    assert_eq!(names(base).len(), 3);
}

#[test]
fn the_last_three_are_kept() {
    let folder = base(6);
    let base = folder.path();
    let mut made = Vec::new();
    for number in 1..=6 {
        let now = NOW.plus(DAY * u32::try_from(number).unwrap());
        remove_at(base, number, now).unwrap();
        made.insert(0, backups(base).remove(0));
        made.truncate(3);
        assert_eq!(backups(base), made);
    }
    let artifacts = made
        .iter()
        .map(|one| backup::check(&one.path).unwrap().artifacts);
    assert_eq!(artifacts.collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn every_way_to_remove_makes_one() {
    let policy = |keep_last| {
        let mut policy = Policy::default();
        policy.select.kinds = vec![dalsegno::model::key::Kind::Prediction];
        policy.keep.last = Some(keep_last);
        policy
    };
    type Way<'a> = (&'a str, &'a dyn Fn(&Registry));
    let ways: [Way<'_>; 4] = [
        ("by path", &|registry| {
            registry.remove_artifact(&target(&path(1))).unwrap();
        }),
        ("by filter", &|registry| {
            let options = RemoveOptions::default();
            registry
                .remove_many(&Default::default(), &options, &Silent)
                .unwrap();
        }),
        ("by the store", &|registry| {
            let (container, dataset) = path(1)
                .split_once(".zarr/")
                .map(|(run, dataset)| {
                    (
                        registry.base().join(format!("{run}.zarr")),
                        dataset.to_owned(),
                    )
                })
                .unwrap();
            registry
                .remove(&LocalArrayIdentifier { container, dataset })
                .unwrap();
        }),
        ("by retention", &|registry| {
            let request =
                GcRequest::new(Default::default(), GcRules::Policy(policy(1))).words(String::new());
            let plan = registry.plan_gc(&request).unwrap();
            let report = registry
                .apply_gc(&plan.file, &GcOptions::default(), &Silent, |_| {})
                .unwrap();
            assert_eq!(report.artifacts, 2);
            assert_eq!(report.backup_failed, None);
        }),
    ];
    for (way, remove) in ways {
        let folder = base(3);
        // Much later, because arrays written within the last hour, by the disk's clock, are kept.
        remove(&open(folder.path(), NOW.plus(DAY * 36500)));
        assert_eq!(backups(folder.path()).len(), 1, "{way}");
    }
}

#[test]
fn no_backup_is_made_if_nothing_is_removed() {
    let folder = base(1);
    let registry = open(folder.path(), NOW);
    let nothing = dalsegno::model::filter::Filter::default().runs(["nobody"]);
    registry
        .remove_many(&nothing, &RemoveOptions::default(), &Silent)
        .unwrap();
    assert_eq!(
        code(registry.remove_artifact(&target("mito/none.zarr/x"))),
        "not-recorded"
    );
    assert_eq!(names(folder.path()), Vec::<String>::new());
    let reader = at(NOW).read_only(true).open(folder.path()).unwrap();
    assert_eq!(code(reader.back_up(&Silent)), "read-only");
    assert_eq!(code(reader.remove_artifact(&target(&path(1)))), "read-only");
    assert_eq!(reader.backups().unwrap(), []);
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[test]
fn a_backup_that_cannot_be_made_holds_up_no_removal() {
    let folder = base(3);
    let base = folder.path();
    // A file, then a link to another folder, takes the place of the folder of backups.
    fs::write(base.join(BACKUPS), "a file").unwrap();
    let report = remove_at(base, 1, NOW).unwrap();
    let failure = report.backup_failed.unwrap();
    assert_eq!(failure.code, "catalog-io");
    assert!(
        failure.reason.contains("Not a directory"),
        "{}",
        failure.reason
    );
    fs::remove_file(base.join(BACKUPS)).unwrap();

    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), base.join(BACKUPS)).unwrap();
    let report = remove_at(base, 2, NOW).unwrap();
    assert_eq!(report.backup_failed.unwrap().code, "registry-not-a-folder");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    fs::remove_file(base.join(BACKUPS)).unwrap();

    // Once a backup can be made again, one is made.
    assert_eq!(remove_at(base, 3, NOW).unwrap().backup_failed, None);
    assert_eq!(names(base), [NAME, "lock"]);
}

#[test]
fn what_is_not_a_backup_is_left_alone() {
    let folder = base(5);
    let base = folder.path();
    let dir = base.join(BACKUPS);
    fs::create_dir(&dir).unwrap();
    let strangers = [
        "notes.txt",
        "new-mine.sqlite3",
        "20200101T000000Z.sqlite3.old",
        "catalog.sqlite3",
    ];
    for name in strangers {
        fs::write(dir.join(name), name).unwrap();
    }
    fs::create_dir(dir.join("20200101T000000Z.sqlite3")).unwrap();
    symlink("/nowhere", dir.join("20200102T000000Z.sqlite3")).unwrap();
    // Left by a process that was killed while it made a backup.
    let left = dir.join(format!("new-{}.sqlite3", "0a".repeat(16)));
    fs::write(&left, "half a catalog").unwrap();
    for number in 1..=5 {
        let now = NOW.plus(DAY * u32::try_from(number).unwrap());
        remove_at(base, number, now).unwrap();
    }
    assert_eq!(backups(base).len(), 3);
    for name in strangers {
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap(), name);
    }
    assert!(dir.join("20200101T000000Z.sqlite3").is_dir());
    assert!(dir.join("20200102T000000Z.sqlite3").is_symlink());
    assert!(!left.exists());
}

#[test]
fn backups_dated_in_the_future_stop_no_new_one_and_go_first() {
    let folder = base(5);
    let base = folder.path();
    // Two backups, by a clock that is ten years ahead.
    let ahead = NOW.plus(DAY * 3650);
    remove_at(base, 1, ahead).unwrap();
    remove_at(base, 2, ahead.plus(DAY)).unwrap();
    let wrong = backups(base);
    assert_eq!(wrong.len(), 2);
    for number in 3..=4 {
        let now = NOW.plus(DAY * u32::try_from(number).unwrap());
        remove_at(base, number, now).unwrap();
        // Still at most one a day.
        assert!(
            open(base, now.plus(HOUR))
                .back_up(&Silent)
                .unwrap()
                .is_none()
        );
    }
    let kept: Vec<bool> = backups(base)
        .iter()
        .map(|one| wrong.contains(one))
        .collect();
    assert_eq!(kept, [true, false, false]);
    remove_at(base, 5, NOW.plus(DAY * 5)).unwrap();
    assert!(backups(base).iter().all(|one| !wrong.contains(one)));
    assert_eq!(backups(base).len(), 3);
}

#[test]
fn nothing_is_overwritten_by_a_backup() {
    let folder = base(1);
    let dir = folder.path().join(BACKUPS);
    fs::create_dir_all(dir.join(NAME)).unwrap();
    symlink("/nowhere", dir.join("20231114T221321Z.sqlite3")).unwrap();
    let made = open(folder.path(), NOW).back_up(&Silent).unwrap().unwrap();
    assert_eq!(made.path, dir.join("20231114T221322Z.sqlite3"));
    assert_eq!(made, backups(folder.path())[0]);
    assert!(dir.join(NAME).is_dir());
    assert!(dir.join("20231114T221321Z.sqlite3").is_symlink());
}

#[test]
fn one_that_equals_the_newest_takes_its_place() {
    let folder = base(1);
    let base = folder.path();
    let first = open(base, NOW).back_up(&Silent).unwrap().unwrap();
    let second = open(base, NOW.plus(DAY)).back_up(&Silent).unwrap().unwrap();
    assert_eq!(backups(base), std::slice::from_ref(&second));
    assert!(!first.path.exists());
    let registry = open(base, NOW.plus(DAY * 2));
    array(&registry, &path(2));
    let third = registry.back_up(&Silent).unwrap().unwrap();
    assert_eq!(backups(base), [third, second]);
}

#[test]
fn a_removal_goes_on_without_a_backup_if_another_process_has_the_lock_and_says_so() {
    let folder = base(2);
    let base = folder.path();
    fs::create_dir(base.join(BACKUPS)).unwrap();
    let lock = lock::take(&base.join(BACKUPS).join("lock"));
    let report = remove_at(base, 1, NOW).unwrap();
    // Whether the other process makes one is unknown, so the user is told.
    assert_eq!(report.backup_failed.unwrap().code, "lock-timeout");
    assert_eq!(names(base), ["lock"]);
    drop(lock);
    remove_at(base, 2, NOW).unwrap();
    assert_eq!(names(base), [NAME, "lock"]);
}

#[test]
fn a_backup_waits_for_no_writer_and_sees_only_what_is_committed() {
    let folder = base(1);
    let base = folder.path();
    let registry = at(NOW)
        .lock_timeout(std::time::Duration::ZERO)
        .open(base)
        .unwrap();
    let writer = rusqlite::Connection::open(base.join(CATALOG)).unwrap();
    writer
        .execute_batch("BEGIN IMMEDIATE; UPDATE artifact SET bytes = 12345")
        .unwrap();
    let made = registry.back_up(&Silent).unwrap().unwrap();
    writer.execute_batch("COMMIT").unwrap();
    let bytes = super::ask(&made.path, "SELECT group_concat(bytes) FROM artifact");
    assert_eq!(bytes, "9");
}

#[test]
fn a_catalog_elsewhere_is_backed_up_in_the_base_directory() {
    let (folder, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let catalog = local.path().join("catalog");
    let (registry, _) = at(NOW).catalog(&catalog).create(folder.path()).unwrap();
    array(&registry, &path(1));
    registry.remove_artifact(&target(&path(1))).unwrap();
    assert_eq!(names(folder.path()), [NAME, "lock"]);
    let beside = super::names_in(local.path());
    assert!(
        beside.iter().all(|name| !name.contains("backup")),
        "{beside:?}"
    );
    // The disk is lost; the registry survives.
    drop(registry);
    drop(local);
    let local = tempfile::tempdir_in(catalog.parent().unwrap().parent().unwrap()).unwrap();
    fs::create_dir(catalog.parent().unwrap()).unwrap();
    backup::copy(&backups(folder.path())[0].path, &catalog).unwrap();
    let registry = at(NOW).open(folder.path()).unwrap();
    assert_eq!(registry.select(&Default::default()).unwrap().len(), 1);
    drop((registry, local));
    fs::remove_dir_all(catalog.parent().unwrap()).unwrap();
}

#[test]
fn handles_of_every_durability_make_them() {
    type Handle<'a> = (&'a str, fn() -> Options);
    let options: [Handle<'_>; 2] = [
        ("relaxed", || at(NOW).durability(Durability::Relaxed)),
        ("single host", || at(NOW).single_host(true)),
    ];
    for (what, options) in options {
        let folder = tempfile::tempdir().unwrap();
        let (registry, _) = options().create(folder.path()).unwrap();
        array(&registry, &path(1));
        let report = registry.remove_artifact(&target(&path(1))).unwrap();
        assert_eq!(report.backup_failed, None, "{what}");
        let made = backups(folder.path()).remove(0);
        assert_eq!(backup::check(&made.path).unwrap().artifacts, 1, "{what}");
    }
}

#[test]
fn a_backup_has_the_permissions_of_the_catalog() {
    for mode in [0o600, 0o640, 0o664] {
        let folder = base(1);
        let catalog = folder.path().join(CATALOG);
        fs::set_permissions(&catalog, PermissionsExt::from_mode(mode)).unwrap();
        let made = open(folder.path(), NOW).back_up(&Silent).unwrap().unwrap();
        let found = made.path.metadata().unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode);
    }
}

#[test]
fn a_monitor_hears_of_the_backup() {
    #[derive(Default)]
    struct Phases(Mutex<Vec<Option<Phase>>>);
    impl Monitor for Phases {
        fn begin(&self, phase: Phase, _items: Option<u64>) {
            self.0.lock().unwrap().push(Some(phase));
        }
        fn end(&self) {
            self.0.lock().unwrap().push(None);
        }
    }
    let folder = base(1);
    let phases = Phases::default();
    let registry = open(folder.path(), NOW);
    registry.back_up(&phases).unwrap().unwrap();
    assert_eq!(*phases.0.lock().unwrap(), [Some(Phase::Backup), None]);
    assert!(registry.back_up(&phases).unwrap().is_none());
    assert_eq!(phases.0.lock().unwrap().len(), 2);
}
