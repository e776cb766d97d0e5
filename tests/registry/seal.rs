//! The writer's word that an artifact is whole.

use std::fs;

use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::{RefreshOptions, SealOptions, Target};

use crate::common::{ARRAY_FILES, NOW, create, write_array};
use crate::{code, key};

/// What `common::write_array` writes.
fn array_size() -> Size {
    Size {
        bytes: ByteCount(ARRAY_FILES.iter().map(|(_, text)| text.len() as u64).sum()),
        files: ARRAY_FILES.len() as u64,
    }
}

#[test]
fn a_sealed_array_is_present_and_counted() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let row = registry
        .record(&key("r/validation.zarr/1/a/prediction"))
        .unwrap()
        .artifact;
    write_array(&row.path());
    for target in [
        Target::Id(row.id),
        Target::Key(row.key.clone()),
        Target::Path(row.path()),
    ] {
        let sealed = registry.seal(&target).unwrap();
        assert_eq!(sealed.id, row.id);
        assert_eq!(sealed.state, State::Present);
        assert_eq!(sealed.sealed_at, Some(NOW));
        assert_eq!(sealed.size, Some(array_size()));
        assert!(sealed.written_at.is_some());
        assert_eq!(registry.get(&target).unwrap(), Some(sealed));
    }
}

#[test]
fn a_sealed_container_counts_what_lies_in_it() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let row = registry.record(&key("r/validation.zarr")).unwrap().artifact;
    for array in ["1/a/prediction", "1/b/prediction"] {
        write_array(&row.path().join(array));
    }
    let sealed = registry.seal(&Target::Id(row.id)).unwrap();
    let one = array_size();
    let two = Size {
        bytes: ByteCount(2 * one.bytes.0),
        files: 2 * one.files,
    };
    assert_eq!(sealed.size, Some(two));
}

#[test]
fn what_was_not_written_cannot_be_sealed() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let row = registry
        .record(&key("r/validation.zarr/1/a/prediction"))
        .unwrap()
        .artifact;
    let target = Target::Id(row.id);
    assert_eq!(code(registry.seal(&target)), Some("nothing-written"));
    fs::create_dir_all(row.path()).unwrap();
    assert_eq!(code(registry.seal(&target)), Some("nothing-written"));
    assert_eq!(registry.get(&target).unwrap(), Some(row));
    let unknown = Target::Key(key("r/validation.zarr/2/a/prediction"));
    assert_eq!(code(registry.seal(&unknown)), Some("not-recorded"));
    // Whoever asked by a path is told it, absolute.
    let place = "r/validation.zarr/7/a/prediction";
    let error = registry.seal(&Target::Path(place.into())).unwrap_err();
    assert_eq!(error.path(), Some(&*registry.base().join(place)));
    assert_eq!(error.code(), "not-recorded");
}

#[test]
fn what_cannot_be_read_cannot_be_sealed() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let row = registry
        .record(&key("r/validation.zarr/1/a/prediction"))
        .unwrap()
        .artifact;
    fs::create_dir_all(row.path()).unwrap();
    fs::write(row.path().join("zarr.json"), "{\"node_type\":").unwrap();
    let target = Target::Id(row.id);
    let error = registry.seal(&target).unwrap_err();
    assert_eq!(error.code(), "unreadable");
    assert!(error.to_string().contains(row.path().to_str().unwrap()));
    assert_eq!(registry.get(&target).unwrap(), Some(row));
}

#[test]
fn many_are_sealed_together_or_not_at_all() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let keys = [
        key("r/validation.zarr/1/a/prediction"),
        key("r/validation.zarr/2/a/prediction"),
    ];
    let recorded = registry.record_many(&keys).unwrap();
    let rows: Vec<_> = recorded.into_iter().map(|one| one.artifact).collect();
    write_array(&rows[0].path());
    let result = registry.seal_many(&rows, SealOptions::default(), &Silent);
    assert_eq!(code(result), Some("nothing-written"));
    assert_eq!(registry.select(&Filter::default()).unwrap(), rows);
    write_array(&rows[1].path());
    registry
        .seal_many(&rows, SealOptions::default(), &Silent)
        .unwrap();
    let sealed = registry.select(&Filter::default()).unwrap();
    assert!(sealed.iter().all(|row| row.sealed_at == Some(NOW)));
}

#[test]
fn a_seal_holds_though_somebody_else_saw_the_data_first() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let reserved = registry
        .record(&key("r/validation.zarr/1/a/prediction"))
        .unwrap()
        .artifact;
    write_array(&reserved.path());
    let report = registry
        .refresh(&Filter::default(), RefreshOptions::default(), &Silent)
        .unwrap();
    assert_eq!(report.changed, 1);
    registry
        .seal_many(
            std::slice::from_ref(&reserved),
            SealOptions::default(),
            &Silent,
        )
        .unwrap();
    let row = registry.get(&Target::Id(reserved.id)).unwrap().unwrap();
    assert_eq!(row.sealed_at, Some(NOW));
}
