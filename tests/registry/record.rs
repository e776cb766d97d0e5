//! Recording and looking up.

use dalsegno::ScanOptions;
use dalsegno::model::artifact::{ArtifactId, Origin, State};
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::{ArrayStore, Hint, LocalArrayIdentifier, Options, Registry, Target};

use crate::common::{NOW, create, write_array};
use crate::{code, count, key, misread};

fn scan(registry: &Registry) -> u64 {
    let report = registry.scan(ScanOptions::default(), &Silent).unwrap();
    report.adopted
}

#[test]
fn a_key_gives_the_same_row_and_path_for_ever() {
    let base = tempfile::tempdir().unwrap();
    let keys = [
        "r/validation.zarr/1/a/prediction",
        "r/validation.zarr/1/a/output/threshold_127",
        "r/validation.zarr/inputs/raw",
        "r/validation.zarr/inputs/a/b/gt",
        "r/validation.zarr/crop7/voi",
        "r/snapshot.zarr/10/volumes/raw",
        "r/snapshot.zarr/volumes/raw",
        "r/snapshot.zarr",
        "r/validation.zarr",
        "r/other.n5/x/y",
        "r/other.zarr",
    ]
    .map(key);
    let registry = create(base.path());
    let first = keys
        .each_ref()
        .map(|key| registry.record(key).unwrap())
        .map(|recorded| {
            assert!(recorded.is_new);
            assert_eq!(recorded.artifact.state, State::Reserved);
            assert_eq!(recorded.artifact.origin, Origin::Recorded);
            assert_eq!(recorded.artifact.recorded_at, NOW);
            assert_eq!(recorded.artifact.size, None);
            recorded.artifact
        });
    drop(registry);
    let later = Options::new()
        .clock(FixedClock(Timestamp(NOW.0 + 1)))
        .open(base.path())
        .unwrap();
    for (key, first) in keys.iter().zip(&first) {
        let again = later.record(key).unwrap();
        assert!(!again.is_new, "{key}");
        assert_eq!(&again.artifact, first);
        assert_eq!(first.path(), base.path().join(layout::locate(key).path()));
        assert_eq!(&first.key, key);
    }
    let many = later.record_many(&keys).unwrap();
    assert!(many.iter().all(|recorded| !recorded.is_new));
    assert_eq!(count(&later), keys.len());
}

#[test]
fn many_keys_are_recorded_together_or_not_at_all() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    registry.record(&misread()).unwrap();
    let new = key("r/validation.zarr/1/a/prediction");
    let taken = key("r/validation.zarr/1/a/output/prediction");
    let other = key("other/validation.zarr/1/a/prediction");
    let error = registry.record_many([&new, &taken, &other]).unwrap_err();
    assert_eq!(error.code(), "path-taken");
    assert_eq!(count(&registry), 1, "not even those before the bad one");
    let recorded = registry.record_many([&new, &other, &new]).unwrap();
    assert_eq!(
        recorded.iter().map(|one| one.is_new).collect::<Vec<_>>(),
        [true, true, false]
    );
    assert_eq!(recorded[0].artifact, recorded[2].artifact);
    assert_eq!(recorded[1].artifact.key, other);
    assert_eq!(count(&registry), 3);
    assert!(registry.record_many([]).unwrap().is_empty());
}

#[test]
fn a_path_that_another_key_has_is_taken() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let prediction = key("r/validation.zarr/1/a/output/prediction");
    assert_eq!(
        layout::locate(&prediction).path(),
        layout::locate(&misread()).path()
    );
    let first = registry.record(&prediction).unwrap().artifact;
    let error = registry.record(&misread()).unwrap_err();
    assert_eq!(error.code(), "path-taken");
    let text = error.to_string();
    assert!(
        text.contains("r/validation.zarr/1/a/output/prediction"),
        "{text}"
    );
    assert!(text.contains("dataset a/output"), "{text}");
    assert_eq!(registry.get(&Target::Id(first.id)).unwrap(), Some(first));
    assert_eq!(registry.get(&Target::Key(misread())).unwrap(), None);
}

#[test]
fn a_row_that_a_scan_guessed_becomes_the_key_s_that_is_recorded() {
    let base = tempfile::tempdir().unwrap();
    write_array(&base.path().join("r/validation.zarr/1/a/output/prediction"));
    let registry = create(base.path());
    assert_eq!(scan(&registry), 1);
    let guess = key("r/validation.zarr/1/a/output/prediction");
    let scanned = registry.get(&Target::Key(guess.clone())).unwrap().unwrap();
    assert_eq!(scanned.origin, Origin::Scanned);

    let recorded = registry.record(&misread()).unwrap();
    assert!(!recorded.is_new);
    assert_eq!(recorded.artifact.id, scanned.id);
    assert_eq!(recorded.artifact.key, misread());
    assert_eq!(recorded.artifact.state, State::Present);
    let row = registry.get(&Target::Id(scanned.id)).unwrap();
    assert_eq!(row, Some(recorded.artifact));
    assert_eq!(registry.get(&Target::Key(guess.clone())).unwrap(), None);
    assert_eq!(code(registry.record(&guess)), Some("path-taken"));

    assert_eq!(scan(&registry), 0);
    let row = registry.get(&Target::Id(scanned.id)).unwrap().unwrap();
    assert_eq!(row.key, misread(), "a scan never takes a recorded key back");
}

#[test]
fn a_guess_that_a_caller_records_is_certain_from_then_on() {
    let base = tempfile::tempdir().unwrap();
    write_array(&base.path().join("r/validation.zarr/1/a/output/prediction"));
    let registry = create(base.path());
    assert_eq!(scan(&registry), 1);
    let guess = key("r/validation.zarr/1/a/output/prediction");
    assert_eq!(
        registry.record(&guess).unwrap().artifact.origin,
        Origin::Recorded
    );
    assert_eq!(code(registry.record(&misread())), Some("path-taken"));
    assert_eq!(
        registry
            .get(&Target::Key(guess.clone()))
            .unwrap()
            .unwrap()
            .key,
        guess
    );
}

#[test]
fn an_artifact_is_found_by_key_path_and_number() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let text = "run 1/validation.zarr/1/[mito]/output/f(x=1, y=2)";
    let row = registry.record(&key(text)).unwrap().artifact;
    let container = registry.validation_container("run 1").unwrap();
    for target in [
        Target::Key(key(text)),
        Target::Path(text.into()),
        Target::Path(base.path().join(text)),
        Target::Path(format!("{text}/").into()),
        Target::Path(text.replace('/', "//").into()),
        Target::Id(row.id),
    ] {
        let found = registry.get(&target).unwrap();
        assert_eq!(found.as_ref(), Some(&row), "{target:?}");
    }
    let found = registry
        .get(&Target::Path(container.path().to_owned()))
        .unwrap();
    assert_eq!(found.unwrap().container(), container);
    for target in [
        Target::Key(key("run 1/validation.zarr/2/[mito]/output/f(x=1, y=2)")),
        Target::Path("run 1/validation.zarr/1/[mito]/output".into()),
        Target::Path("run 2/validation.zarr".into()),
        Target::Id(ArtifactId(row.id.0 + 100)),
        Target::Id(ArtifactId(-1)),
    ] {
        assert_eq!(registry.get(&target).unwrap(), None, "{target:?}");
    }
    for (path, expected) in [
        ("/elsewhere/r/validation.zarr", "outside-base"),
        ("../r/validation.zarr", "name-dot-dot"),
        ("", "name-empty"),
        ("run 1", "not-recorded"),
        ("run 7", "not-recorded"),
    ] {
        let result = registry.get(&Target::Path(path.into()));
        assert_eq!(code(result), Some(expected), "{path}");
    }
    let base_itself = registry.get(&Target::Path(base.path().to_owned()));
    assert_eq!(code(base_itself), Some("name-empty"));
    let run = Target::Path(base.path().join("run 1"));
    let error = registry.get(&run).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("run 1 is a run, and no artifact")
    );
    assert_eq!(error.hint(), Some(Hint::ListRun));
    for number in [1, 2] {
        let key = format!("run 1/validation.zarr/7/ds {number}/prediction");
        registry.record(&layout::parse(&key).unwrap()).unwrap();
    }
    for (folder, holds) in [
        ("run 1/validation.zarr/7/ds 1", "1 artifact"),
        ("run 1/validation.zarr/7", "2 artifacts"),
    ] {
        let error = registry.not_recorded(&Target::Path(folder.into()));
        let says = format!("{folder} is a folder with {holds}, and no artifact itself");
        assert_eq!(error.to_string(), says);
        assert_eq!(error.hint(), Some(Hint::ListFolder));
        assert_eq!(error.path(), Some(&*base.path().join(folder)));
    }
    let mistyped = Target::Path("run 1/validation.zarr/7/ds".into());
    let error = registry.not_recorded(&mistyped).to_string();
    assert!(error.contains("did you mean"), "{error}");
    assert_eq!(code(registry.to_remove(&run)), Some("not-recorded"));
}

#[test]
fn an_identifier_is_recorded_under_the_key_of_its_path_and_only_below_the_base_directory() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let container = registry.snapshot_container("r").unwrap();
    let identifier = container.array_identifier("10/volumes/raw");
    let recorded = registry.record_identifier(&identifier).unwrap();
    assert!(recorded.is_new);
    assert_eq!(recorded.artifact.key, key("r/snapshot.zarr/10/volumes/raw"));
    assert!(!registry.record_identifier(&identifier).unwrap().is_new);
    let output = registry.record(&misread()).unwrap().artifact;
    let known = registry
        .record_identifier(&output.identifier().unwrap())
        .unwrap();
    assert_eq!(known.artifact, output, "a recorded key wins over a guess");
    let rows = count(&registry);
    for (container, dataset, expected) in [
        ("/elsewhere/r/validation.zarr".into(), "a", "outside-base"),
        (base.path().join("r"), "a", "layout-no-container"),
        (
            base.path().join("r/validation.zarr/1"),
            "a",
            "layout-no-container",
        ),
        (base.path().join("validation.zarr"), "a", "layout-no-run"),
        (
            base.path().join(".dalsegno/validation.zarr"),
            "a",
            "name-reserved",
        ),
        (
            base.path().join("r/../r/validation.zarr"),
            "a",
            "name-dot-dot",
        ),
        (base.path().join("r/validation.zarr"), "", "name-empty"),
        (
            base.path().join("r/validation.zarr"),
            "../x",
            "name-dot-dot",
        ),
        (base.path().join("r/validation.zarr"), "/x", "name-absolute"),
    ] {
        let identifier = LocalArrayIdentifier {
            container,
            dataset: dataset.to_owned(),
        };
        let result = registry.record_identifier(&identifier);
        assert_eq!(code(result), Some(expected), "{identifier}");
    }
    assert_eq!(count(&registry), rows);
}

#[test]
fn a_path_has_one_row_even_where_names_look_like_containers() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let keys = [
        Key::Prediction {
            run: "r".parse().unwrap(),
            iteration: 1,
            dataset: "a/snapshot.zarr".parse().unwrap(),
            container: None,
        },
        Key::Array {
            run: "validation.zarr".parse().unwrap(),
            container: "x.zarr".parse().unwrap(),
            dataset: Some("a".parse().unwrap()),
        },
        Key::Array {
            run: "r".parse().unwrap(),
            container: "x.zarr".parse().unwrap(),
            dataset: Some("y.n5/a".parse().unwrap()),
        },
    ];
    for key in &keys {
        let row = registry.record(key).unwrap().artifact;
        write_array(&row.path());
        let identifier = row.identifier().unwrap();
        assert_eq!(identifier.path(), row.path());
        assert_eq!(
            identifier.container,
            base.path().join(layout::locate(key).container)
        );
        let found = registry.get(&Target::Path(row.path())).unwrap();
        assert_eq!(found.as_ref(), Some(&row));
        let known = registry.record_identifier(&identifier).unwrap();
        assert_eq!(known.artifact, row);
        assert_eq!(&registry.record(key).unwrap().artifact, &row);
    }
    assert_eq!(scan(&registry), 0, "what was recorded is not adopted again");
    assert_eq!(count(&registry), keys.len());
    for key in &keys {
        let row = registry.get(&Target::Key(key.clone())).unwrap().unwrap();
        assert_eq!(row.state, State::Present);
        registry.remove(&row.identifier().unwrap()).unwrap();
        assert!(!row.path().exists());
    }
    assert_eq!(count(&registry), 0);
}

#[test]
fn numbers_are_never_given_out_twice() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let first = registry.record(&misread()).unwrap().artifact;
    registry.remove_artifact(&Target::Id(first.id)).unwrap();
    let second = registry.record(&misread()).unwrap();
    assert!(second.is_new);
    assert!(second.artifact.id > first.id);
}
