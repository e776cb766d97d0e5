//! Validations in other containers than DaCapo's own: N5, and folders whose names say no format.

use std::fs;
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{RemoveOptions, RestoreTarget, ScanOptions, Target};
use rusqlite::Connection;

use crate::common::create;
use crate::{code, key};

const N5: &str =
    r#"{"dimensions":[8],"blockSize":[4],"dataType":"uint8","compression":{"type":"raw"}}"#;
const GROUP_2: &str = r#"{"zarr_format":2}"#;

fn write(base: &Path, path: &str, text: &str) {
    let path = base.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn scan(registry: &dalsegno::Registry) -> dalsegno::ScanReport {
    registry.scan(ScanOptions::default(), &Silent).unwrap()
}

/// Predictions and outputs as DaCapo would write them, of run `r`, iteration 1000, dataset `ds`.
fn validations(base: &Path) -> [String; 6] {
    let paths = ["validation.n5", "validation", "plain"].map(|container| {
        let prediction = format!("r/{container}/1000/ds/prediction");
        let output = format!("r/{container}/1000/ds/output/t");
        for array in [&prediction, &output] {
            write(base, &format!("{array}/attributes.json"), N5);
            write(base, &format!("{array}/0"), "abcd");
        }
        [prediction, output]
    });
    // One of them has the metadata of groups.
    write(base, "r/validation/.zgroup", GROUP_2);
    write(base, "r/validation/1000/attributes.json", "{}");
    let [a, b, c] = paths;
    let mut all = [a, b, c].concat();
    all.sort();
    all.try_into().unwrap()
}

fn present(registry: &dalsegno::Registry) -> Vec<String> {
    let rows = registry.select(&Filter::default()).unwrap();
    let mut paths: Vec<String> = rows
        .into_iter()
        .filter(|row| row.state == dalsegno::model::artifact::State::Present)
        .map(|row| row.location().path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn predictions_in_any_container_of_a_run_are_predictions() {
    let base = tempfile::tempdir().unwrap();
    let paths = validations(base.path());
    let registry = create(base.path());
    let report = scan(&registry);
    assert_eq!(report.notices, []);
    assert_eq!((report.arrays, report.adopted), (6, 6));
    for path in &paths {
        let row = registry
            .get(&Target::Path(path.into()))
            .unwrap()
            .unwrap_or_else(|| panic!("{path}"));
        let kind = match path.ends_with("prediction") {
            true => Kind::Prediction,
            false => Kind::Output,
        };
        assert_eq!(row.key.kind(), kind, "{path}");
        assert_eq!(row.key.run().as_str(), "r", "{path}");
        assert_eq!(row.key.iteration(), Some(1000), "{path}");
        assert_eq!(row.key.dataset().unwrap().as_str(), "ds", "{path}");
        // Key, path and identifier name the same row.
        assert_eq!(row.path(), base.path().join(path));
        let by_key = registry.get(&Target::Key(row.key.clone())).unwrap();
        assert_eq!(by_key.as_ref(), Some(&row), "{path}");
        let identifier = row.identifier().unwrap();
        assert_eq!(identifier.path(), row.path());
        assert_eq!(
            registry.record_identifier(&identifier).unwrap().artifact,
            row
        );
    }
    // DaCapo's own container has no such array.
    let own = key("r/validation.zarr/1000/ds/prediction");
    assert_eq!(registry.get(&Target::Key(own)).unwrap(), None);
    // A second scan finds the same, and counting sees each of them.
    let again = registry
        .scan(ScanOptions::default().measure(true), &Silent)
        .unwrap();
    assert_eq!((again.arrays, again.adopted, again.gone), (6, 0, 0));
    assert_eq!(again.total.uncounted, 0);
    assert_eq!(present(&registry), paths);
}

#[test]
fn the_same_array_in_two_containers_is_removed_by_its_own_path() {
    let base = tempfile::tempdir().unwrap();
    let paths = validations(base.path());
    let own = "r/validation.zarr/1000/ds/prediction";
    write(base.path(), &format!("{own}/.zarray"), "{}");
    let registry = create(base.path());
    scan(&registry);
    let target = |path: &str| Target::Path(path.into());
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    for path in &paths {
        let before = present(&registry);
        assert_eq!(before.len(), 7);
        let row = registry.get(&target(path)).unwrap().unwrap();
        let removed = registry
            .remove_target(&Target::Key(row.key.clone()), &options, &Silent)
            .unwrap();
        assert!(!base.path().join(path).exists(), "{path}");
        assert!(base.path().join(own).exists(), "{path}");
        assert_eq!(present(&registry).len(), 6, "{path}");
        registry
            .restore(&RestoreTarget::Removal(removed.removal.unwrap()))
            .unwrap();
        assert_eq!(present(&registry), before);
        assert_eq!(registry.get(&target(path)).unwrap(), Some(row));
    }
    // The emptied folders go, the container and the run stay.
    let options = RemoveOptions::default();
    for path in ["r/plain/1000/ds/prediction", "r/plain/1000/ds/output/t"] {
        registry
            .remove_target(&target(path), &options, &Silent)
            .unwrap();
    }
    assert_eq!(
        fs::read_dir(base.path().join("r/plain")).unwrap().count(),
        0
    );
}

#[test]
fn a_rebuild_reads_the_same_keys() {
    let base = tempfile::tempdir().unwrap();
    let paths = validations(base.path());
    let registry = create(base.path());
    scan(&registry);
    let keys = |registry: &dalsegno::Registry| {
        let rows = registry.select(&Filter::default()).unwrap();
        let mut keys: Vec<_> = rows.iter().map(|row| row.key.to_string()).collect();
        keys.sort();
        keys
    };
    let before = keys(&registry);
    drop(registry);
    fs::remove_dir_all(base.path().join(".dalsegno")).unwrap();
    let registry = create(base.path());
    scan(&registry);
    assert_eq!(keys(&registry), before);
    assert_eq!(present(&registry), paths);
}

#[test]
fn a_folder_that_is_no_container_is_not_removed_with_what_is_in_it() {
    let base = tempfile::tempdir().unwrap();
    let kept = "exp/one/validation.zarr/1000/ds/prediction";
    write(base.path(), &format!("{kept}/attributes.json"), N5);
    write(
        base.path(),
        "exp/one/checkpoints/iterations/1000",
        "weights",
    );
    for array in ["r/plain/a", "r/plain/b/c"] {
        write(base.path(), &format!("{array}/attributes.json"), N5);
    }
    write(base.path(), "r/plain/notes.txt", "mine");
    let registry = create(base.path());
    let options = ScanOptions::default().kinds(Kind::ALL);
    assert_eq!(registry.scan(options, &Silent).unwrap().adopted, 4);
    let remove = |path: &str| {
        let target = Target::Path(path.into());
        registry.remove_target(&target, &RemoveOptions::default(), &Silent)
    };
    for folder in ["exp/one", "exp/one/checkpoints", "r/other"] {
        assert_eq!(code(remove(folder)), Some("not-recorded"), "{folder}");
    }
    assert_eq!(code(remove("r")), Some("not-recorded"));
    // Arrays that lie in it as in a container go one by one; what else is there stays.
    assert_eq!(remove("r/plain").unwrap().artifacts.len(), 2);
    let left: Vec<_> = fs::read_dir(base.path().join("r/plain"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["notes.txt"]);
    assert!(base.path().join(kept).exists());
}

/// Catalogs of older versions have such arrays as rows of kind `array`.
#[test]
fn a_scan_reads_the_key_of_a_scanned_row_again() {
    let base = tempfile::tempdir().unwrap();
    let path = "r/validation.n5/1000/ds/prediction";
    write(base.path(), &format!("{path}/attributes.json"), N5);
    let registry = create(base.path());
    scan(&registry);
    let before = registry.get(&Target::Path(path.into())).unwrap().unwrap();
    drop(registry);
    let catalog = Connection::open(base.path().join(".dalsegno/catalog.sqlite3")).unwrap();
    catalog
        .execute_batch(
            "INSERT INTO dataset (name) VALUES ('1000/ds/prediction');
             UPDATE artifact SET kind_id = 9, iteration = NULL, dataset_id = last_insert_rowid();",
        )
        .unwrap();
    drop(catalog);
    let registry = create(base.path());
    let old = registry.get(&Target::Path(path.into())).unwrap().unwrap();
    assert_eq!(old.key.kind(), Kind::Array);
    let report = scan(&registry);
    assert_eq!((report.adopted, report.updated), (0, 1));
    let row = registry.get(&Target::Path(path.into())).unwrap().unwrap();
    assert_eq!((row.id, &row.key), (before.id, &before.key));
    assert_eq!(scan(&registry).updated, 0);
}

#[test]
fn a_name_that_the_layout_would_not_find_again_is_not_recorded() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let container = "plain".parse().unwrap();
    let hidden = dalsegno::model::key::Key::Array {
        run: "x.zarr".parse().unwrap(),
        container,
        dataset: None,
    };
    assert_eq!(code(registry.record(&hidden)), Some("layout-no-run"));
    assert_eq!(code(registry.record_many([&hidden])), Some("layout-no-run"));
}

#[test]
fn damaged_metadata_outside_of_named_containers_is_listed() {
    let base = tempfile::tempdir().unwrap();
    let path = "r/plain/1000/ds/prediction";
    write(base.path(), &format!("{path}/.zarray"), "{}");
    let registry = create(base.path());
    scan(&registry);
    write(base.path(), &format!("{path}/.zarray"), "");
    let report = scan(&registry);
    assert_eq!(report.damaged, 1);
    let row = registry.get(&Target::Path(path.into())).unwrap().unwrap();
    assert_eq!(row.state, dalsegno::model::artifact::State::Damaged);
}
