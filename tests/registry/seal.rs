//! The writer's word that an artifact is whole.

use std::fs;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::operation::HistoryFilter;
use dalsegno::model::progress::{Monitor, Progress, Silent};
use dalsegno::model::size::{ByteCount, Size};
use dalsegno::{
    Notice, RefreshOptions, RefreshReport, Registry, ScanOptions, ScanReport, SealOptions, Target,
};

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
    // A caller who gave a path gets it back, absolute.
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
    assert_eq!(error.code(), "damaged-metadata");
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
fn a_seal_holds_even_if_another_call_saw_the_data_first() {
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

/// Looks at everything, and counts.
fn measure(registry: &Registry) -> RefreshReport {
    let options = RefreshOptions::default().all(true).measure(true);
    registry
        .refresh(&Filter::default(), options, &Silent)
        .unwrap()
}

fn scan_measured(registry: &Registry) -> ScanReport {
    let options = ScanOptions::default().measure(true);
    registry.scan(options, &Silent).unwrap()
}

fn classes(findings: &[Notice]) -> Vec<(&str, &str)> {
    let mut classes = Vec::new();
    for found in findings {
        assert!(found.detail.contains("its seal"), "{}", found.detail);
        classes.push((found.class.as_str(), found.path.as_str()));
    }
    classes
}

const PLACE: &str = "r/validation.zarr/1/a/prediction";

/// An array that is sealed with a hash.
fn hashed(registry: &Registry) -> Artifact {
    let row = registry.record(&key(PLACE)).unwrap().artifact;
    write_array(&row.path());
    let options = SealOptions::default().hash(true);
    registry
        .seal_many(std::slice::from_ref(&row), options, &Silent)
        .unwrap();
    registry.get(&Target::Id(row.id)).unwrap().unwrap()
}

#[test]
fn a_measurement_of_lost_added_or_grown_files_reports_and_leaves_the_seal() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let sealed = hashed(&registry);
    let row = || registry.get(&Target::Id(sealed.id)).unwrap().unwrap();
    let operations = || {
        let mut count = 0;
        let each = |_| {
            count += 1;
            Ok(ControlFlow::Continue(()))
        };
        registry.history(&HistoryFilter::default(), each).unwrap();
        count
    };
    let before = operations();
    let chunk = sealed.path().join("0/0/0");
    let text = fs::read(&chunk).unwrap();
    fs::write(&chunk, "otherwise").unwrap();
    for _ in 0..2 {
        assert_eq!(
            classes(&measure(&registry).notices),
            [("changed-size", PLACE)]
        );
        let report = scan_measured(&registry);
        assert_eq!(classes(&report.notices), [("changed-size", PLACE)]);
        assert_eq!(report.updated, 0);
        assert_eq!(row(), sealed);
    }
    fs::remove_file(&chunk).unwrap();
    for _ in 0..2 {
        assert_eq!(
            classes(&measure(&registry).notices),
            [("changed-files", PLACE)]
        );
        assert_eq!(
            classes(&scan_measured(&registry).notices),
            [("changed-files", PLACE)]
        );
        assert_eq!(row(), sealed);
    }
    fs::write(&chunk, text).unwrap();
    assert_eq!(measure(&registry).notices, []);
    assert_eq!(scan_measured(&registry).notices, []);
    assert_eq!(row(), sealed);
    assert_eq!(
        operations(),
        before,
        "a look that changes nothing leaves no operation"
    );
}

#[test]
fn a_loss_is_reported_though_the_metadata_was_written_again_too() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let sealed = hashed(&registry);
    fs::remove_file(sealed.path().join("0/0/0")).unwrap();
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    let metadata = fs::File::open(sealed.path().join(".zarray")).unwrap();
    metadata.set_modified(later).unwrap();
    for _ in 0..2 {
        assert_eq!(
            classes(&scan_measured(&registry).notices),
            [("changed-files", PLACE)]
        );
        let row = registry.get(&Target::Id(sealed.id)).unwrap().unwrap();
        let held = (row.sealed_at, row.size, row.content_hash);
        assert_eq!(held, (sealed.sealed_at, sealed.size, sealed.content_hash));
        assert_eq!(
            row.written_at,
            Some(Timestamp(60_000)),
            "rules of age see it"
        );
    }
}

#[test]
fn a_seal_that_a_look_voids_is_reported() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let sealed = hashed(&registry);
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    let metadata = fs::File::open(sealed.path().join(".zarray")).unwrap();
    metadata.set_modified(later).unwrap();
    assert_eq!(
        classes(&scan_measured(&registry).notices),
        [("rewritten", PLACE)]
    );
    let row = registry.get(&Target::Id(sealed.id)).unwrap().unwrap();
    assert_eq!((row.sealed_at, row.content_hash), (None, None));
    assert_eq!(scan_measured(&registry).notices, []);
}

#[test]
fn what_a_scan_saw_before_a_seal_does_not_void_it() {
    /// Writes the rest of the array and seals it while the scan waits to commit what it saw.
    struct SealMeanwhile<'a> {
        other: &'a Registry,
        row: &'a Artifact,
        is_done: AtomicBool,
    }
    impl Monitor for SealMeanwhile<'_> {
        fn advance(&self, progress: Progress) {
            if progress.items > 0 && !self.is_done.swap(true, Ordering::SeqCst) {
                fs::write(self.row.path().join("0/0/1"), "the rest").unwrap();
                self.other.seal(&Target::Id(self.row.id)).unwrap();
            }
        }
    }
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let row = registry.record(&key(PLACE)).unwrap().artifact;
    write_array(&row.path());
    let other = Registry::open(base.path()).unwrap();
    for is_scan in [true, false] {
        other
            .unseal(&[other.get(&Target::Id(row.id)).unwrap().unwrap()])
            .unwrap();
        let _ = fs::remove_file(row.path().join("0/0/1"));
        let monitor = SealMeanwhile {
            other: &other,
            row: &row,
            is_done: AtomicBool::new(false),
        };
        let findings = if is_scan {
            let options = ScanOptions::default().measure(true);
            registry.scan(options, &monitor).unwrap().notices
        } else {
            let options = RefreshOptions::default().all(true).measure(true);
            let report = registry.refresh(&Filter::default(), options, &monitor);
            report.unwrap().notices
        };
        assert!(monitor.is_done.load(Ordering::SeqCst));
        assert_eq!(findings, [], "what was seen is older than the seal");
        let now = registry.get(&Target::Id(row.id)).unwrap().unwrap();
        assert!(now.sealed_at.is_some());
        assert_eq!(now.size.unwrap().files, 4);
    }
}
