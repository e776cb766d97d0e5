//! What a refresh learns of the data, and what it leaves alone.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::operation::{Action, NewOperation};
use dalsegno::model::progress::Silent;
use dalsegno::testing::{Catalog, CatalogOptions, Observation, Observed, ObservedRow, Seal};
use dalsegno::{NoticeClass, ScanOptions};
use dalsegno::{RefreshOptions, RefreshReport, Registry, Target};

use crate::agent::agent;
use crate::common::{NOW, create, write_array};
use crate::key;

const UNSEEN: RefreshOptions = RefreshOptions::new();
const ALL: RefreshOptions = RefreshOptions::new().all(true);
const MEASURE: RefreshOptions = RefreshOptions::new().measure(true);

fn refresh(registry: &Registry, options: RefreshOptions) -> RefreshReport {
    registry
        .refresh(&Filter::default(), options, &Silent)
        .unwrap()
}

fn row(registry: &Registry, like: &Artifact) -> Artifact {
    registry.get(&Target::Id(like.id)).unwrap().unwrap()
}

/// A registry with one array, recorded and not written.
fn reserved(base: &Path) -> (Registry, Artifact) {
    let registry = create(base);
    let key = key("r/validation.zarr/1/a/prediction");
    let row = registry.record(&key).unwrap().artifact;
    (registry, row)
}

/// Sets the time at which an array's metadata was written.
fn set_written(array: &Path, time: Timestamp) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(time.0.unsigned_abs());
    let file = fs::File::options()
        .write(true)
        .open(array.join(".zarray"))
        .unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn a_reserved_row_is_present_once_its_metadata_is_there() {
    let base = tempfile::tempdir().unwrap();
    let (registry, array) = reserved(base.path());
    let report = refresh(&registry, UNSEEN);
    assert_eq!(
        (report.looked_at, report.present, report.changed),
        (1, 0, 0)
    );
    fs::create_dir_all(array.path()).unwrap();
    assert_eq!(refresh(&registry, ALL).changed, 0, "a folder is no array");
    assert_eq!(row(&registry, &array), array);

    write_array(&array.path());
    set_written(&array.path(), Timestamp(1_000));
    let report = refresh(&registry, UNSEEN);
    assert_eq!(
        (report.looked_at, report.present, report.changed),
        (1, 1, 1)
    );
    let mut present = array.clone();
    present.state = State::Present;
    present.written_at = Some(Timestamp(1_000));
    present.owner = Some(rustix::process::geteuid().as_raw());
    present.metadata = row(&registry, &array).metadata;
    assert!(present.metadata.is_some());
    assert_eq!(row(&registry, &array), present);
    let report = refresh(&registry, UNSEEN);
    assert_eq!(
        report.looked_at, 0,
        "what is present is not looked at again"
    );
}

#[test]
fn data_that_goes_is_missing_and_data_that_comes_back_is_what_it_was() {
    let base = tempfile::tempdir().unwrap();
    let (registry, array) = reserved(base.path());
    write_array(&array.path());
    let sealed = registry.seal(&Target::Id(array.id)).unwrap();
    let aside = base.path().join("aside");
    fs::rename(array.path(), &aside).unwrap();

    assert_eq!(refresh(&registry, UNSEEN).looked_at, 0);
    assert_eq!(row(&registry, &array), sealed);
    let report = refresh(&registry, ALL);
    assert_eq!(
        (report.looked_at, report.present, report.changed),
        (1, 0, 1)
    );
    let mut missing = sealed.clone();
    missing.state = State::Missing;
    assert_eq!(row(&registry, &array), missing, "size and seal are kept");
    assert_eq!(refresh(&registry, ALL).changed, 0);

    fs::rename(&aside, array.path()).unwrap();
    let report = refresh(&registry, UNSEEN);
    assert_eq!((report.looked_at, report.changed), (1, 1));
    assert_eq!(row(&registry, &array), sealed);
}

#[test]
fn rewritten_data_has_no_size_and_no_seal() {
    let base = tempfile::tempdir().unwrap();
    let (registry, array) = reserved(base.path());
    write_array(&array.path());
    set_written(&array.path(), Timestamp(1_000));
    let sealed = registry.seal(&Target::Id(array.id)).unwrap();
    assert!(sealed.size.is_some() && sealed.sealed_at.is_some());
    assert_eq!(
        refresh(&registry, ALL).changed,
        0,
        "nothing was written since"
    );

    fs::write(array.path().join("0/0/1"), "more").unwrap();
    set_written(&array.path(), Timestamp(2_000));
    assert_eq!(refresh(&registry, ALL).changed, 1);
    let mut anew = sealed.clone();
    anew.size = None;
    anew.chunks_there = None;
    anew.sealed_chunks = None;
    anew.disk_bytes = None;
    anew.sealed_at = None;
    anew.written_at = Some(Timestamp(2_000));
    assert_eq!(row(&registry, &array), anew);

    let report = refresh(&registry, MEASURE);
    assert_eq!((report.looked_at, report.changed), (1, 1));
    let counted = row(&registry, &array);
    let (before, after) = (sealed.size.unwrap(), counted.size.unwrap());
    assert_eq!(after.bytes.0, before.bytes.0 + 4);
    assert_eq!(after.files, before.files + 1);
    assert_eq!(counted.sealed_at, None);
    assert_eq!(refresh(&registry, MEASURE).looked_at, 0, "all is counted");
}

#[test]
fn a_scan_notices_rewritten_data_too() {
    let base = tempfile::tempdir().unwrap();
    let (registry, array) = reserved(base.path());
    write_array(&array.path());
    set_written(&array.path(), Timestamp(1_000));
    registry.seal(&Target::Id(array.id)).unwrap();
    set_written(&array.path(), Timestamp(500));
    let report = registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!((report.adopted, report.updated), (0, 1));
    let row = row(&registry, &array);
    assert_eq!((row.size, row.sealed_at), (None, None));
    assert_eq!(
        row.written_at,
        Some(Timestamp(500)),
        "an older date is a new one too"
    );
}

#[test]
fn a_container_is_there_as_soon_as_its_folder_is() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let container = registry.record(&key("r/snapshot.zarr")).unwrap().artifact;
    refresh(&registry, ALL);
    assert_eq!(row(&registry, &container).state, State::Reserved);
    fs::create_dir_all(container.path().parent().unwrap()).unwrap();
    fs::write(container.path(), "a file").unwrap();
    refresh(&registry, ALL);
    assert_eq!(row(&registry, &container).state, State::Reserved);
    fs::remove_file(container.path()).unwrap();
    fs::create_dir(container.path()).unwrap();
    refresh(&registry, ALL);
    assert_eq!(row(&registry, &container).state, State::Present);
}

#[test]
fn only_the_selection_is_looked_at() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    for path in ["a", "b"] {
        let key = key(&format!("{path}/validation.zarr/1/d/prediction"));
        write_array(&registry.record(&key).unwrap().artifact.path());
        registry
            .record(&self::key(&format!("{path}/validation.zarr")))
            .unwrap();
    }
    let filter = Filter::default().runs(["b"]).kinds([Kind::Prediction]);
    let report = registry.refresh(&filter, UNSEEN, &Silent).unwrap();
    assert_eq!((report.looked_at, report.changed), (1, 1));
    let present = Filter::default().states([State::Present]);
    let rows = registry.select(&present).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].key.run().as_str(), "b");
}

#[test]
fn an_array_whose_metadata_cannot_be_read_is_damaged_and_keeps_what_was_known_of_it() {
    let base = tempfile::tempdir().unwrap();
    let (registry, array) = reserved(base.path());
    write_array(&array.path());
    let sealed = registry.seal(&Target::Id(array.id)).unwrap();
    fs::remove_file(array.path().join(".zarray")).unwrap();
    fs::write(array.path().join("zarr.json"), "{").unwrap();
    let report = refresh(&registry, ALL);
    assert_eq!(
        (report.looked_at, report.present, report.changed),
        (1, 0, 1)
    );
    assert_eq!(report.notices.len(), 1);
    assert_eq!(report.notices[0].class, NoticeClass::DamagedMetadata);
    assert_eq!(report.notices[0].path, "r/validation.zarr/1/a/prediction");
    let damaged = row(&registry, &array);
    assert_eq!(damaged.state, State::Damaged);
    assert_eq!(damaged.sealed_at, sealed.sealed_at);
    assert_eq!(damaged.size, sealed.size);
    let counts = registry.counts().unwrap();
    assert_eq!((counts.present, counts.damaged), (0, 1));
    // Nothing changes by looking again, and it cannot be sealed.
    assert_eq!(refresh(&registry, UNSEEN).changed, 0);
    let error = registry.seal(&Target::Id(array.id)).unwrap_err();
    assert_eq!(error.code(), "damaged-metadata");
    let damaged_ones = Filter::default().states([State::Damaged]);
    assert_eq!(registry.select(&damaged_ones).unwrap(), [damaged]);
    // Another look sees that it was mended.
    write_array(&array.path());
    refresh(&registry, UNSEEN);
    assert_eq!(row(&registry, &array).state, State::Present);
}

#[test]
fn a_scan_takes_in_damaged_arrays_as_damaged() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let paths = [
        "r/validation.zarr/1/a/prediction",
        "r/validation.zarr/2/a/prediction",
    ];
    for path in paths {
        write_array(&base.path().join(path));
    }
    let scan = || registry.scan(ScanOptions::default(), &Silent).unwrap();
    let state = |path: &str| {
        let row = registry.get(&Target::Path(path.into())).unwrap();
        row.map(|row| row.state)
    };
    scan();
    // What has a row is an array, whatever its metadata say now.
    fs::write(base.path().join(paths[0]).join(".zarray"), "").unwrap();
    fs::remove_file(base.path().join(paths[1]).join(".zarray")).unwrap();
    fs::write(base.path().join(paths[1]).join("zarr.json"), "{").unwrap();
    let new = base.path().join("r/validation.zarr/3/a/prediction");
    fs::create_dir_all(&new).unwrap();
    fs::write(new.join(".zarray"), "junk").unwrap();
    let group = base.path().join("r/validation.zarr/4");
    fs::create_dir_all(&group).unwrap();
    fs::write(group.join("zarr.json"), "").unwrap();
    let report = scan();
    assert_eq!((report.arrays, report.notices.len()), (0, 4));
    let states = [
        paths[0],
        paths[1],
        "r/validation.zarr/3/a/prediction",
        "r/validation.zarr/4",
    ]
    .map(state);
    assert_eq!(
        states,
        [
            Some(State::Damaged),
            Some(State::Damaged),
            Some(State::Damaged),
            None
        ]
    );
    // And it can be removed by name.
    let target = Target::Path(paths[0].into());
    registry.remove_artifact(&target).unwrap();
    assert!(!base.path().join(paths[0]).exists());
}

#[test]
fn a_row_that_changed_since_it_was_looked_at_is_left_alone() {
    let base = tempfile::tempdir().unwrap();
    let (registry, array) = reserved(base.path());
    write_array(&array.path());
    let sealed = registry.seal(&Target::Id(array.id)).unwrap();
    let path = registry.catalog_path();
    let catalog =
        Catalog::open(path, base.path(), Some(agent()), CatalogOptions::default()).unwrap();
    // What a refresh saw that looked before the seal, and that is slow to say so.
    let seen = Observation::new(Timestamp(1));
    for (state, seen) in [
        (State::Reserved, Some(seen.clone())),
        (State::Missing, None),
    ] {
        let note = ObservedRow {
            id: array.id,
            state,
            seen,
            seal: None,
        };
        assert_eq!(
            catalog
                .observe(NewOperation::new(Action::Refresh, NOW), &[note])
                .unwrap()
                .changed,
            0
        );
        assert_eq!(row(&registry, &array), sealed);
    }
    let gone = ObservedRow {
        id: dalsegno::model::artifact::ArtifactId(array.id.0 + 1),
        state: State::Present,
        seen: Some(seen),
        seal: Some(Seal {
            chunks: None,
            at: NOW,
            content: None,
        }),
    };
    assert_eq!(
        catalog
            .observe(NewOperation::new(Action::Refresh, NOW), &[gone])
            .unwrap(),
        Observed::default(),
        "a row that is gone stays gone"
    );
}
