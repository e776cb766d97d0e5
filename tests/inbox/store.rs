//! The store that hands out identifiers whatever state the catalog is in.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dalsegno::{ArrayStore, RecordingStore, Registry};

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
