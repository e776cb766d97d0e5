//! A catalog of which only the header was overwritten loses nothing: rows, pins, scores and history
//! are in the file, and in the log of a process that had it open.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno::model::key::Key;
use dalsegno::{Options, PinSelection, RebuildOptions, RebuildReport, Registry};

use crate::fault::trace;
use crate::scene::{
    A1, A2, Scene, assert_is_a_good_rebuild, code, from_disk, reserved, rows, with,
};
use crate::strace;

/// Overwrites the first bytes of a file with zeros, in another process: closing the file in this
/// one would drop the locks of SQLite.
fn zero(path: &Path, bytes: u64) {
    let dd = Command::new("dd")
        .arg("if=/dev/zero")
        .arg(format!("of={}", path.display()))
        .arg(format!("bs={bytes}"))
        .args(["count=1", "conv=notrunc", "status=none"])
        .status();
    assert!(dd.unwrap().success());
}

fn copy(from: &Path, to: &Path) {
    let cp = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(cp.unwrap().success());
}

fn history(base: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
    command.arg("--base").arg(base).args(["history", "--table"]);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

fn rebuild(base: &Path) -> (Registry, RebuildReport) {
    let options = RebuildOptions::default();
    let rebuilt = Options::new().rebuild(base, &options, &dalsegno::model::progress::Silent);
    let (registry, report) = rebuilt.unwrap();
    assert_is_a_good_rebuild(&registry);
    (registry, report)
}

/// A registry with pins and a row without data, and more of them in its log; rebuilt after the
/// header was overwritten, as a killed process leaves it, and after the process has closed it.
fn rebuilt(bytes: u64, has_backup: bool) {
    let scene = Scene::recorded(&[A1, A2]);
    if has_backup {
        scene.back_up();
    }
    let registry = scene.open();
    let before: Vec<Key> = (10..15).map(reserved).collect();
    registry.record_many(&before).unwrap();
    let chosen = rows(&registry).remove(A1).unwrap();
    registry
        .pin(
            &"best".parse().unwrap(),
            Some("a reason"),
            &PinSelection::Artifacts(vec![chosen]),
        )
        .unwrap();
    drop(registry);
    let registry = scene.open();
    registry.record(&reserved(20)).unwrap();
    let expected = rows(&registry);
    let killed = scene.folder.path().join("killed");
    copy(&scene.base, &killed);
    zero(&killed.join(".dalsegno/catalog.sqlite3"), bytes);
    assert_eq!(code(Registry::open(&killed)), "catalog-damaged");
    zero(&scene.catalog(), bytes);
    drop(registry);
    for base in [&killed, &scene.base] {
        let catalog = base.join(".dalsegno/catalog.sqlite3");
        // What the log had of the first page may have healed the file.
        if Registry::open(base).is_ok() {
            zero(&catalog, bytes);
        }
        let (registry, report) = rebuild(base);
        let shown = report.backup.as_ref().map(|backup| &backup.path);
        assert_eq!(shown, Some(&catalog), "{bytes} {report:?}");
        assert!(report.refused.is_empty(), "{:?}", report.refused);
        let words = history(base);
        assert!(words.contains("rebuilt from the old catalog"), "{words}");
        let found = rows(&registry);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        assert_eq!(registry.pins().unwrap().len(), 1);
        for (path, row) in &expected {
            assert_eq!((found[path].id, &found[path].key), (row.id, &row.key));
        }
        // The old file is set aside as it was.
        let aside = fs::File::open(report.set_aside.unwrap()).unwrap();
        let mut header = [1; 16];
        aside.read_exact_at(&mut header, 0).unwrap();
        assert_eq!(header, [0; 16]);
    }
}

#[test]
fn a_catalog_whose_header_was_overwritten_loses_nothing() {
    rebuilt(100, false);
    rebuilt(16, true);
    // A header that only begins as one.
    let scene = Scene::recorded(&[A1]);
    let bytes = fs::read(scene.catalog()).unwrap();
    zero(&scene.catalog(), 100);
    let file = fs::File::options()
        .write(true)
        .open(scene.catalog())
        .unwrap();
    file.write_all_at(&bytes[..16], 0).unwrap();
    drop(file);
    let (registry, report) = rebuild(&scene.base);
    assert_eq!(report.backup.unwrap().path, scene.catalog());
    assert_eq!(rows(&registry).len(), 1);
}

#[test]
fn a_first_page_that_was_overwritten_comes_from_a_backup() {
    rebuilt(4096, true);
}

#[test]
fn a_catalog_that_this_process_has_open_is_not_replaced_without_a_look_at_it() {
    let scene = Scene::recorded(&[A1, A2]);
    let registry = scene.open();
    registry.record(&reserved(9)).unwrap();
    zero(&scene.catalog(), 100);
    let before = fs::metadata(scene.catalog()).unwrap();
    let refused = scene.try_rebuild(&RebuildOptions::default());
    let refused = format!("{:?}", refused.map(drop).unwrap_err());
    assert!(refused.contains("close each registry"), "{refused}");
    assert_eq!(before.ino(), fs::metadata(scene.catalog()).unwrap().ino());
    drop(registry);
    let (registry, report) = rebuild(&scene.base);
    assert_eq!(report.backup.unwrap().path, scene.catalog());
    assert_eq!(rows(&registry).len(), 3);
}

#[test]
fn without_a_folder_for_a_copy_nothing_is_rebuilt() {
    let scene = Scene::recorded(&[A1, A2]);
    scene.open().record(&reserved(9)).unwrap();
    zero(&scene.catalog(), 100);
    let call = |folder: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
        command.arg("--base").arg(&scene.base).arg("rebuild");
        command.env("TMPDIR", folder).output().unwrap()
    };
    let refused = call("/nonexistent");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("/nonexistent"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    assert!(call(folder.path().to_str().unwrap()).status.success());
    assert_eq!(rows(&scene.open()).len(), 3);
}

#[test]
fn free_pages_of_a_catalog_without_a_header_are_no_damage() {
    let scene = Scene::empty();
    let registry = scene.open();
    let many: Vec<Key> = (0..2000).map(reserved).collect();
    registry.record_many(&many).unwrap();
    drop(registry);
    let catalog = rusqlite::Connection::open(scene.catalog()).unwrap();
    catalog
        .execute_batch(
            "CREATE TABLE much (x);
             INSERT INTO much SELECT zeroblob(3000) FROM artifact LIMIT 50;
             DROP TABLE much",
        )
        .unwrap();
    let free: i64 = catalog
        .pragma_query_value(None, "freelist_count", |row| row.get(0))
        .unwrap();
    assert!(free > 0);
    drop(catalog);
    zero(&scene.catalog(), 100);
    let (registry, report) = rebuild(&scene.base);
    assert_eq!(report.backup.unwrap().path, scene.catalog());
    assert_eq!(rows(&registry).len(), 2000);
}

/// A base directory whose catalog has a log with a row, as a killed process leaves it; its pages but
/// the first were overwritten.
fn killed_and_overwritten(scene: &Scene) -> PathBuf {
    let registry = scene.open();
    registry.record(&reserved(30)).unwrap();
    let killed = scene.folder.path().join("killed");
    copy(&scene.base, &killed);
    drop(registry);
    let catalog = killed.join(".dalsegno/catalog.sqlite3");
    assert!(with(&catalog, "-wal").metadata().unwrap().len() > 0);
    let file = fs::File::options().write(true).open(&catalog).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    for page in 1..pages {
        file.write_all_at(&[0xA5; 4096], page * 4096).unwrap();
    }
    killed
}

#[test]
fn what_else_is_damaged_is_said_and_the_backup_is_taken() {
    let scene = Scene::recorded(&[A1, A2]);
    let backup = scene.back_up();
    let killed = killed_and_overwritten(&scene);
    let catalog = killed.join(".dalsegno/catalog.sqlite3");
    zero(&catalog, 100);
    let (_, report) = rebuild(&killed);
    assert_eq!(
        report.backup.unwrap().path.file_name(),
        backup.path.file_name()
    );
    let [refused] = &*report.refused else {
        panic!("{:?}", report.refused);
    };
    assert_eq!(refused.path, catalog);
    assert!(
        refused
            .reason
            .starts_with("its header is damaged, and more: "),
        "{refused:?}"
    );
    assert!(!refused.reason.contains("/dalsegno-"), "{refused:?}");
}

#[test]
fn without_a_backup_the_log_is_read_and_what_lacks_its_names_is_counted() {
    let scene = Scene::recorded(&[A1]);
    let killed = killed_and_overwritten(&scene);
    let (_, report) = rebuild(&killed);
    assert!(report.refused.is_empty(), "{report:?}");
    // The name of its run is in a page that was overwritten.
    assert!(report.salvaged.as_ref().unwrap().unread > 0, "{report:?}");
}

#[test]
fn a_log_that_is_moved_unread_is_named() {
    let scene = Scene::recorded(&[A1]);
    drop(scene.back_up());
    let killed = killed_and_overwritten(&scene);
    let (_, report) = rebuild(&killed);
    assert!(
        report.refused[0].reason.starts_with("its log may hold"),
        "{report:?}"
    );
    // Who asks for the disk alone wants nothing else.
    zero(&scene.catalog(), 100);
    let (_, report) = scene.try_rebuild(&from_disk()).unwrap();
    assert!(report.backup.is_none() && report.refused.is_empty());
}

#[test]
fn a_change_costs_one_look_at_the_header_and_opens_no_file_for_it() {
    if !strace::works("system calls are not counted") {
        return;
    }
    let scene = Scene::empty();
    let output = scene.folder.path().join("trace");
    let expression = "trace=pread64,openat,open";
    let Some(traced) = trace("record ten", &scene.base, expression, &output) else {
        return;
    };
    assert_eq!(traced.said, ["ok"; 10], "{}", traced.stderr);
    let text = fs::read_to_string(output).unwrap();
    // SQLite reads more or less at a time.
    let looks = text.lines().filter(|line| line.contains("16, 0) = 16"));
    assert_eq!(looks.count(), 10, "{text}");
    let opened = text
        .lines()
        .filter(|line| line.contains("open") && line.contains("catalog.sqlite3\""));
    assert_eq!(opened.count(), 0, "{text}");
}
