//! A base directory that is moved, renamed, or reached in another way.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dalsegno::DuGroup;
use dalsegno::ScanOptions;
use dalsegno::model::artifact::Artifact;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{ArrayStore, RefreshOptions, Registry, Target};

use crate::common::{create, write_array};
use crate::{code, key};

fn fill(base: &Path) -> Vec<Artifact> {
    let registry = create(base);
    for path in [
        "run 1/validation.zarr/1/a/prediction",
        "run 1/validation.zarr/1/a/output/p",
        "run 1/snapshot.zarr/volumes/raw",
        "run 2/other.n5/x",
    ] {
        let row = registry.record(&key(path)).unwrap().artifact;
        write_array(&row.path());
        registry.seal(&Target::Id(row.id)).unwrap();
    }
    registry.record(&key("run 1/validation.zarr")).unwrap();
    registry.select(&Filter::default()).unwrap()
}

/// Checks that the registry at `base` answers as the one that `before` was read from.
fn answers_the_same(base: &Path, before: &[Artifact]) {
    let registry = create(base);
    assert_eq!(registry.base(), base);
    let rows = registry.select(&Filter::default()).unwrap();
    assert_eq!(rows.len(), before.len());
    for (row, before) in rows.iter().zip(before) {
        let mut moved = before.clone();
        moved.base = base.into();
        assert_eq!(row, &moved);
        assert_eq!(row.path(), base.join(row.location().path()));
        for target in [
            Target::Id(row.id),
            Target::Key(row.key.clone()),
            Target::Path(row.path()),
            Target::Path(row.location().path().into()),
        ] {
            assert_eq!(registry.get(&target).unwrap().as_ref(), Some(row));
        }
    }
    let array = registry
        .validation_prediction_array("run 1", 1, "a")
        .unwrap();
    assert_eq!(array.container, base.join("run 1/validation.zarr"));
    let all = RefreshOptions::new().all(true);
    let sealed = Filter::default().min_bytes(1);
    let report = registry.refresh(&sealed, all, &Silent).unwrap();
    assert_eq!((report.present, report.changed), (4, 0));
    let report = registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!((report.arrays, report.adopted, report.updated), (4, 0, 0));
    assert_eq!(report.notices, []);
    assert_eq!(
        registry.du(&Filter::default(), DuGroup::Run).unwrap().len(),
        2
    );
}

#[test]
fn a_base_directory_that_was_moved_answers_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (
        folder.path().join("old"),
        folder.path().join("deep/er/new name"),
    );
    fs::create_dir(&old).unwrap();
    let before = fill(&old);
    fs::create_dir_all(new.parent().unwrap()).unwrap();
    fs::rename(&old, &new).unwrap();
    answers_the_same(&new, &before);
    let registry = Registry::open(&new).unwrap();
    let old_path = Target::Path(before[0].path());
    assert_eq!(code(registry.get(&old_path)), Some("outside-base"));
    assert!(!old.exists(), "nothing is written at the old place");
    let removed = registry.remove_artifact(&Target::Id(before[1].id)).unwrap();
    assert!(removed.artifacts[0].path().starts_with(&new));
    assert!(!removed.artifacts[0].path().exists());
}

#[test]
fn a_handle_whose_base_directory_was_renamed_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    fs::create_dir(&old).unwrap();
    let before = fill(&old);
    let open = Registry::open(&old).unwrap();
    fs::rename(&old, &new).unwrap();
    assert_eq!(code(open.snapshot_container("r")), Some("catalog-replaced"));
    let removed = open.remove_artifact(&Target::Id(before[1].id));
    assert_eq!(code(removed), Some("catalog-replaced"));
    drop(open);
    assert!(!old.exists(), "nothing is written at the old place");
    answers_the_same(&new, &before);
}

#[test]
fn a_base_directory_answers_through_a_symbolic_link() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    let before = fill(&real);
    symlink(&real, &link).unwrap();
    answers_the_same(&link, &before);
    let registry = Registry::open(&link).unwrap();
    let output = registry
        .validation_output_array("run 1", 1, "p", "a")
        .unwrap();
    registry.remove(&output).unwrap();
    assert!(!real.join("run 1/validation.zarr/1/a/output/p").exists());
    assert!(real.join("run 1/validation.zarr/1/a/prediction").exists());
}
