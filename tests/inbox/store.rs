//! The store that hands out identifiers whatever state the catalog is in.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dalsegno::model::filter::Filter;
use dalsegno::{ArrayStore, Options, PinSelection, RecordingStore, Registry};

use crate::{base, refused, rows, waiting};

/// Damages the registry of a base directory.
type Damage = fn(&std::path::Path);

/// A store, and the codes of the errors that it reported.
fn store(base: &std::path::Path) -> (RecordingStore, Arc<Mutex<Vec<&'static str>>>) {
    let codes = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&codes);
    let store = RecordingStore::new(base)
        .unwrap()
        .wait(Duration::from_millis(100))
        .on_failure(move |error| heard.lock().unwrap().push(error.code()));
    (store, codes)
}

fn ask(store: &dyn ArrayStore, iteration: i64) -> [String; 7] {
    let (raw, gt) = store.validation_input_arrays("r", Some("a")).unwrap();
    [
        store
            .validation_prediction_array("r", iteration, "a")
            .unwrap()
            .to_string(),
        store
            .validation_output_array("r", iteration, "p=1", "a")
            .unwrap()
            .to_string(),
        raw.to_string(),
        gt.to_string(),
        store
            .best_validation_array("r", "voi", None)
            .unwrap()
            .to_string(),
        store.snapshot_container("r").unwrap().to_string(),
        store.validation_container("r").unwrap().to_string(),
    ]
}

#[test]
fn identifiers_are_those_of_the_registry_and_are_recorded() {
    let (one, other) = (base(), base());
    let (store, codes) = store(one.path());
    let registry = Registry::open(other.path()).unwrap();
    let relative = |base: &std::path::Path, paths: [String; 7]| {
        paths.map(|path| path.replace(base.to_str().unwrap(), ""))
    };
    assert_eq!(
        relative(one.path(), ask(&store, 1)),
        relative(other.path(), ask(&registry, 1))
    );
    assert!(codes.lock().unwrap().is_empty());
    assert!(waiting(one.path()).is_empty());
    assert_eq!(rows(one.path()).len(), 7);
}

#[test]
fn a_store_without_a_registry_makes_it() {
    let base = tempfile::tempdir().unwrap();
    let (store, codes) = store(base.path());
    store.snapshot_container("r").unwrap();
    assert!(codes.lock().unwrap().is_empty());
    assert_eq!(rows(base.path()).len(), 1);
}

#[test]
fn a_name_that_is_refused_is_the_only_error() {
    let (store, _) = store(std::path::Path::new("/nowhere/at/all"));
    let refused = store.snapshot_container("../r").unwrap_err();
    assert_eq!(refused.code(), "name-dot-dot");
    let given = store.snapshot_container("r").unwrap();
    assert_eq!(given.to_string(), "/nowhere/at/all/r/snapshot.zarr");
}

#[test]
fn whatever_is_wrong_with_the_catalog_identifiers_are_given_and_noted() {
    let damages: [(&str, Damage); 5] = [
        ("config-invalid", |base| {
            fs::write(base.join(".dalsegno/config.toml"), "[catalog\npath = ").unwrap();
        }),
        ("catalog-damaged", |base| {
            fs::write(base.join(".dalsegno/catalog.sqlite3"), "not SQLite").unwrap();
        }),
        ("catalog-missing", |base| {
            fs::remove_file(base.join(".dalsegno/catalog.sqlite3")).unwrap();
        }),
        ("catalog-not-a-file", |base| {
            fs::remove_file(base.join(".dalsegno/catalog.sqlite3")).unwrap();
            fs::create_dir(base.join(".dalsegno/catalog.sqlite3")).unwrap();
        }),
        ("catalog-too-new", |base| {
            let catalog = base.join(".dalsegno/catalog.sqlite3");
            let catalog = rusqlite::Connection::open(catalog).unwrap();
            catalog.pragma_update(None, "user_version", 99).unwrap();
        }),
    ];
    for (code, damage) in damages {
        let base = base();
        let kept = tempfile::tempdir().unwrap();
        let whole = kept.path().join("whole");
        copy(&base.path().join(".dalsegno"), &whole);
        damage(base.path());
        let (store, codes) = store(base.path());
        let asked: Vec<_> = (0..20).map(|iteration| ask(&store, iteration)).collect();
        assert_eq!(asked.len(), 20);
        let mut said = codes.lock().unwrap().clone();
        said.dedup();
        assert_eq!(said, [code]);
        // The catalog comes back, from a copy.
        fs::rename(
            base.path().join(".dalsegno/inbox"),
            kept.path().join("inbox"),
        )
        .unwrap();
        fs::remove_dir_all(base.path().join(".dalsegno")).unwrap();
        fs::rename(whole, base.path().join(".dalsegno")).unwrap();
        fs::rename(
            kept.path().join("inbox"),
            base.path().join(".dalsegno/inbox"),
        )
        .unwrap();
        assert_eq!(rows(base.path()).len(), 45, "{code}");
        assert!(waiting(base.path()).is_empty() && refused(base.path()).is_empty());
    }
}

#[test]
fn a_catalog_that_is_locked_costs_one_wait_and_not_one_for_each_call() {
    let base = base();
    let catalog = base.path().join(".dalsegno/catalog.sqlite3");
    let other = rusqlite::Connection::open(catalog).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (store, codes) = store(base.path());
    let start = Instant::now();
    for iteration in 0..5 {
        ask(&store, iteration);
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
    assert!(
        codes
            .lock()
            .unwrap()
            .iter()
            .all(|code| *code == "lock-timeout")
    );
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    drop(store);
    assert_eq!(rows(base.path()).len(), 15);
}

/// Overwrites the header of a catalog, in another process: closing the file in this one would drop
/// the locks of SQLite.
fn zero_header(catalog: &std::path::Path) {
    let dd = std::process::Command::new("dd")
        .args(["if=/dev/zero", "bs=100", "count=1", "conv=notrunc"])
        .args(["status=none", &format!("of={}", catalog.display())])
        .status();
    assert!(dd.unwrap().success());
}

#[test]
fn a_header_that_is_overwritten_while_the_catalog_is_open_is_noticed_at_the_next_identifier() {
    let base = base();
    let catalog = base.path().join(".dalsegno/catalog.sqlite3");
    let (store, codes) = store(base.path());
    ask(&store, 0);
    // The first page may be in the log, from where it comes back to the file.
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let other = rusqlite::Connection::open(&catalog).unwrap();
    other.query_row(sql, [], |_| Ok(())).unwrap();
    drop(other);
    zero_header(&catalog);
    ask(&store, 1);
    assert_eq!(codes.lock().unwrap()[0], "catalog-damaged");
    assert!(
        codes
            .lock()
            .unwrap()
            .iter()
            .all(|code| *code == "catalog-damaged")
    );
    assert_eq!(waiting(base.path()).len(), 1);
    drop(store);
    let options = dalsegno::RebuildOptions::default();
    let silent = dalsegno::model::progress::Silent;
    let rebuilt = dalsegno::Options::new().rebuild(base.path(), &options, &silent);
    drop(rebuilt.unwrap());
    assert_eq!(rows(base.path()).len(), 9);
    assert!(waiting(base.path()).is_empty() && refused(base.path()).is_empty());
}

/// A store that says what it notices, and what fails.
fn noticing(base: &std::path::Path) -> (RecordingStore, Arc<Mutex<Vec<String>>>) {
    let notices = Arc::new(Mutex::new(Vec::new()));
    let (failed, heard) = (Arc::clone(&notices), Arc::clone(&notices));
    let store = RecordingStore::new(base)
        .unwrap()
        .on_failure(move |error| failed.lock().unwrap().push(error.to_string()))
        .on_notice(move |notice| heard.lock().unwrap().push(notice.to_owned()));
    (store, notices)
}

#[test]
fn a_registry_s_folder_that_is_deleted_costs_no_row_of_a_catalog_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let (base, disk) = (folder.path().join("base"), folder.path().join("disk"));
    fs::create_dir(&base).unwrap();
    fs::create_dir(&disk).unwrap();
    let catalog = disk.join("c.sqlite3");
    let create = || Options::new().catalog(&catalog).create(&base).unwrap();
    let id = create().0.id().unwrap();
    let (store, notices) = noticing(&base);
    ask(&store, 0);
    let registry = Registry::open(&base).unwrap();
    let chosen = registry.select(&Filter::default()).unwrap();
    let (name, reason) = ("kept".parse().unwrap(), Some("a reason"));
    registry
        .pin(&name, reason, &PinSelection::Artifacts(chosen))
        .unwrap();
    drop(registry);
    let own = base.join(".dalsegno");
    fs::remove_dir_all(&own).unwrap();
    for iteration in 1..5 {
        ask(&store, iteration);
    }
    assert!(!own.exists());
    let said = notices.lock().unwrap().clone();
    let [said] = &*said else {
        panic!("{said:?}");
    };
    let call = format!(
        "dalsegno --base {} init --here --catalog {}",
        base.display(),
        catalog.display()
    );
    assert!(said.ends_with(&call), "{said}");
    assert!(said.contains("is gone; its catalog is"), "{said}");
    // A catalog that another user put there is not taken.
    let me = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&catalog).unwrap());
    if me == 0 {
        std::os::unix::fs::chown(&catalog, Some(65_533), None).unwrap();
        let refused = Options::new().catalog(&catalog).create(&base);
        assert_eq!(refused.unwrap_err().code(), "catalog-taken");
        std::os::unix::fs::chown(&catalog, Some(me), None).unwrap();
        assert!(!own.exists());
    }
    // What was said takes the base directory up again, while the store goes on.
    let (registry, is_new) = create();
    assert!(is_new);
    assert_eq!(registry.id().unwrap(), id);
    assert_eq!(rows(&base).len(), 5 + 2 * 5);
    assert_eq!(registry.pins().unwrap().len(), 1);
    ask(&store, 5);
    assert_eq!(rows(&base).len(), 5 + 2 * 6);
    assert!(waiting(&base).is_empty());
    assert_eq!(notices.lock().unwrap().len(), 1);
    drop(store);
    assert!(own.join("published.sqlite3").exists());

    // Another base directory does not get it, and hears whose it is.
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let refused = Options::new().catalog(&catalog).create(&other);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "catalog-taken");
    let whose = format!("it belongs to {}", base.canonicalize().unwrap().display());
    assert!(refused.to_string().contains(&whose), "{refused}");

    // If the catalog is damaged too, the folder is made for a rebuild.
    drop(registry);
    fs::remove_dir_all(&own).unwrap();
    let file = fs::File::options().write(true).open(&catalog).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 100], 0).unwrap();
    drop(file);
    let refused = Options::new().catalog(&catalog).create(&base);
    assert_eq!(refused.unwrap_err().code(), "catalog-damaged");
    let options = dalsegno::RebuildOptions::default();
    let (registry, _) = Options::new()
        .rebuild(&base, &options, &dalsegno::model::progress::Silent)
        .unwrap();
    assert_eq!(registry.id().unwrap(), id);
    assert_eq!(registry.pins().unwrap().len(), 1);
}

#[test]
fn a_registry_that_is_deleted_with_its_catalog_is_made_again_and_said_to_be_lost() {
    let base = base();
    let (store, notices) = noticing(base.path());
    ask(&store, 0);
    fs::remove_dir_all(base.path().join(".dalsegno")).unwrap();
    ask(&store, 1);
    fs::remove_dir_all(base.path().join(".dalsegno")).unwrap();
    ask(&store, 2);
    assert_eq!(rows(base.path()).len(), 7);
    let said = notices.lock().unwrap().clone();
    let [said] = &*said else {
        panic!("{said:?}");
    };
    assert!(
        said.contains("with the catalog, its pins and scores"),
        "{said}"
    );
    let call = format!("dalsegno --base {} scan", base.path().display());
    assert!(said.ends_with(&call), "{said}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}
