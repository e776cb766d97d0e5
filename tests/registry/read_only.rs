//! A registry that is open for reading only.

use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{ArrayStore, RefreshOptions, Registry, Target};

use crate::common::{create, write_array};
use crate::{code, key};

#[test]
fn every_change_is_refused_and_every_question_answered() {
    let base = tempfile::tempdir().unwrap();
    let known = key("r/validation.zarr/1/a/prediction");
    let written = create(base.path()).record(&known).unwrap().artifact;
    write_array(&written.path());
    let registry = Registry::open_read_only(base.path()).unwrap();
    assert!(registry.is_read_only());

    assert_eq!(registry.record(&known).unwrap().artifact, written);
    assert_eq!(
        registry.select(&Filter::default()).unwrap(),
        std::slice::from_ref(&written)
    );
    let by_store = registry.validation_prediction_array("r", 1, "a").unwrap();
    assert_eq!(by_store.path(), written.path());

    let new = key("r/validation.zarr/2/a/prediction");
    let refused = Some("read-only");
    let target = Target::Id(written.id);
    assert_eq!(code(registry.record(&new)), refused);
    assert_eq!(code(registry.record_many([&new])), refused);
    assert_eq!(code(registry.snapshot_container("r")), refused);
    assert_eq!(code(registry.seal(&target)), refused);
    let refreshed = registry.refresh(&Filter::default(), RefreshOptions::default(), &Silent);
    assert_eq!(code(refreshed), refused);
    assert_eq!(
        code(registry.scan(ScanOptions::default(), &Silent)),
        refused
    );
    assert_eq!(code(registry.remove_artifact(&target)), refused);
    assert_eq!(code(registry.remove(&by_store)), refused);

    assert!(written.path().join(".zarray").exists());
    let rows = Registry::open(base.path()).unwrap();
    assert_eq!(rows.select(&Filter::default()).unwrap(), [written]);
}

#[test]
fn a_row_that_a_scan_guessed_can_be_asked_for() {
    let base = tempfile::tempdir().unwrap();
    write_array(&base.path().join("r/validation.zarr/1/a/prediction"));
    create(base.path())
        .scan(ScanOptions::default(), &Silent)
        .unwrap();
    let registry = Registry::open_read_only(base.path()).unwrap();
    let array = registry.validation_prediction_array("r", 1, "a").unwrap();
    assert!(array.path().join(".zarray").exists());
}
