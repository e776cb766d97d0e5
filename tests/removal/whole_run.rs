//! Removing a run as a whole.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{
    PinSelection, Registry, RemovalReport, RemoveOptions, RestoreTarget, ScanOptions, VerifyOptions,
};
use tempfile::TempDir;

use crate::RestoreAsPlanned as _;

const ARRAY: &str = "r/validation.zarr/1000/crop7/prediction";
const CHECKPOINT: &str = "r/checkpoints/iterations/1000";
const STRAY: [&str; 4] = [
    "r/log.txt",
    "r/checkpoints/trace.pt",
    "r/validation.zarr/notes",
    "r/plots/loss.png",
];

fn scene() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for array in [ARRAY, "other/validation.zarr/1/d/prediction"] {
        fs::create_dir_all(base.join(array)).unwrap();
        fs::write(base.join(array).join(".zarray"), "{}").unwrap();
        fs::write(base.join(array).join("0"), "chunk").unwrap();
    }
    for file in STRAY.iter().chain([&CHECKPOINT]) {
        fs::create_dir_all(base.join(file).parent().unwrap()).unwrap();
        fs::write(base.join(file), "x").unwrap();
    }
    fs::create_dir_all(base.join("r/checkpoints/crop7")).unwrap();
    symlink(base.join(CHECKPOINT), base.join("r/checkpoints/crop7/voi")).unwrap();
    let registry = Registry::create(base).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let checkpoints = ScanOptions::default().kinds([Kind::Checkpoint]);
    registry.scan(checkpoints, &Silent).unwrap();
    (folder, registry)
}

fn remove(registry: &Registry, options: &RemoveOptions) -> dalsegno::Result<RemovalReport> {
    let plan = registry.plan_run_removal(&"r".parse().unwrap())?;
    registry.remove_planned(&plan, options, &Silent)
}

/// As the command line has it: the best links go with the run.
fn options() -> RemoveOptions {
    RemoveOptions::default().ignore_best_links(true)
}

fn files(folder: &TempDir) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.path().join("r")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            found.push(path.display().to_string());
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

fn assert_agrees(registry: &Registry) {
    let found = registry.verify(&Filter::default(), VerifyOptions::new(), &Silent);
    assert_eq!(found.unwrap().findings, []);
}

#[test]
fn the_folder_goes_with_all_that_is_in_it_and_the_plan_names_what_is_unknown() {
    let (folder, registry) = scene();
    let plan = registry.plan_run_removal(&"r".parse().unwrap()).unwrap();
    let [item] = &plan.items[..] else { panic!() };
    assert_eq!((item.path.as_str(), item.artifacts.len()), ("r", 2));
    let unknown: Vec<_> = item
        .unknown
        .iter()
        .map(|path| path.to_str().unwrap())
        .collect();
    assert_eq!(
        unknown,
        [
            "checkpoints/crop7/voi",
            "checkpoints/trace.pt",
            "log.txt",
            "plots/loss.png",
            "validation.zarr/notes"
        ]
    );
    let removed = remove(&registry, &options()).unwrap();
    assert_eq!((removed.artifacts.len(), removed.moved), (2, 1));
    assert!(removed.purge.unwrap().is_done);
    assert!(!folder.path().join("r").exists());
    assert!(folder.path().join("other").exists());
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), 1);
    assert_agrees(&registry);
    let error = remove(&registry, &options()).unwrap_err();
    assert_eq!(error.code(), "not-recorded");
}

#[test]
fn what_goes_without_a_row_is_counted_before_it_goes() {
    let (folder, registry) = scene();
    let base = folder.path();
    // An array that no scan has seen, and one that was only reserved, whose metadata is gone.
    for array in ["r/validation.zarr/9/d/prediction", "r/snapshot.zarr/1000/v"] {
        fs::create_dir_all(base.join(array)).unwrap();
        fs::write(base.join(array).join(".zarray"), "{}").unwrap();
    }
    fs::write(base.join("r/validation.zarr/.zgroup"), "{}").unwrap();
    let reserved = Key::Prediction {
        run: "r".parse().unwrap(),
        iteration: 8,
        dataset: "d".parse().unwrap(),
        container: None,
    };
    let reserved = registry.record(&reserved).unwrap().artifact.path();
    fs::create_dir_all(&reserved).unwrap();
    fs::write(reserved.join("0"), "chunk").unwrap();

    let mut plan = registry.plan_run_removal(&"r".parse().unwrap()).unwrap();
    assert_eq!((plan.items[0].others, plan.others()), (None, None));
    registry.count_others(&mut plan, &Silent).unwrap();
    let others = plan.others().unwrap();
    assert_eq!(plan.items[0].others, Some(others));
    // Of the artifacts, one array of two files and one checkpoint.
    let on_disk = files(&folder)
        .iter()
        .filter(|file| !Path::new(file).is_dir())
        .count();
    let on_disk = u64::try_from(on_disk).unwrap();
    assert_eq!(others.files, on_disk - 3);
    let removed = registry.remove_planned(&plan, &options(), &Silent).unwrap();
    assert_eq!(removed.others, Some(others));
    assert_eq!(removed.purge.unwrap().files, on_disk);
}

#[test]
fn it_comes_back_from_the_trash_as_it_was() {
    let (folder, registry) = scene();
    let before = (files(&folder), registry.select(&Filter::default()).unwrap());
    let removed = remove(&registry, &options().keep(TrashKeep::UntilEmptied)).unwrap();
    assert!(!folder.path().join("r").exists());
    assert_agrees(&registry);
    let target = RestoreTarget::Removal(removed.removal.unwrap());
    assert_eq!(
        registry
            .restore_as_planned(&target)
            .unwrap()
            .artifacts
            .len(),
        2
    );
    assert_eq!(
        (files(&folder), registry.select(&Filter::default()).unwrap()),
        before
    );
    assert_agrees(&registry);
    // By the run, too.
    remove(&registry, &options().keep(TrashKeep::UntilEmptied)).unwrap();
    let target = RestoreTarget::Filter(Filter::default().runs(["r"]));
    registry.restore_as_planned(&target).unwrap();
    assert_eq!(
        (files(&folder), registry.select(&Filter::default()).unwrap()),
        before
    );
}

#[test]
fn a_pin_of_the_run_of_an_iteration_or_of_an_artifact_binds_it() {
    for (runs, iterations, datasets) in [
        (["r"], None, None),
        (["r"], Some("5..6"), None),
        (["r"], None, Some("crop7")),
    ] {
        let (folder, registry) = scene();
        let mut filter = Filter::default().runs(runs);
        if let Some(range) = iterations {
            filter = filter.iterations([range.parse().unwrap()]);
        }
        if let Some(dataset) = datasets {
            filter = filter.datasets([dataset]);
        }
        let pin = PinSelection::Filter(filter);
        let name = "p".parse().unwrap();
        registry.pin(&name, Some("x"), &pin).unwrap();
        let error = remove(&registry, &options()).unwrap_err();
        assert_eq!(error.code(), "pinned", "{iterations:?} {datasets:?}");
        assert!(folder.path().join(ARRAY).exists());
        assert_agrees(&registry);
        remove(&registry, &options().force_pinned(true)).unwrap();
        assert!(!folder.path().join("r").exists());
    }
}

#[test]
fn what_is_not_of_the_run_alone_is_refused() {
    let (folder, registry) = scene();
    let base = folder.path();
    fs::create_dir_all(base.join("r/inner/.dalsegno")).unwrap();
    assert_eq!(
        remove(&registry, &options()).unwrap_err().code(),
        "inner-registry"
    );
    fs::remove_dir(base.join("r/inner/.dalsegno")).unwrap();
    let inner = "r/inner/validation.zarr/1/d/prediction";
    fs::create_dir_all(base.join(inner)).unwrap();
    fs::write(base.join(inner).join(".zarray"), "{}").unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!(
        remove(&registry, &options()).unwrap_err().code(),
        "nested-artifact"
    );
    fs::rename(base.join("r"), base.join("aside")).unwrap();
    symlink("aside", base.join("r")).unwrap();
    assert!(remove(&registry, &options()).is_err());
    assert!(base.join("aside/log.txt").exists());
}

#[test]
fn a_restore_beside_a_run_that_was_written_again_overwrites_nothing() {
    let (folder, registry) = scene();
    let removed = remove(&registry, &options().keep(TrashKeep::UntilEmptied)).unwrap();
    let again = folder.path().join(ARRAY);
    fs::create_dir_all(&again).unwrap();
    fs::write(again.join(".zarray"), "{\"new\":1}").unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let target = RestoreTarget::Removal(removed.removal.unwrap());
    let _ = registry.restore_as_planned(&target);
    assert_eq!(
        fs::read_to_string(again.join(".zarray")).unwrap(),
        "{\"new\":1}"
    );
    assert!(!registry.trash().unwrap().is_empty());
}

/// Writes an array that has no row.
fn write_new(base: &Path, array: &str) {
    fs::create_dir_all(base.join(array)).unwrap();
    fs::write(base.join(array).join(".zarray"), "{}").unwrap();
}

#[test]
fn what_was_written_since_the_plan_is_not_taken() {
    let checkpoint = "r/checkpoints/iterations/2000";
    let written: [fn(&Path); 3] = [
        |base| write_new(base, "r/validation.zarr/2000/crop7/prediction"),
        |base| fs::write(base.join("r/checkpoints/iterations/2000"), "y").unwrap(),
        // Another run has come to be there, by hand.
        |base| {
            fs::rename(base.join("r"), base.join("old")).unwrap();
            write_new(base, "r/validation.zarr/1/crop7/prediction");
        },
    ];
    let named = [
        "r/validation.zarr/2000/crop7/prediction",
        checkpoint,
        "r/validation.zarr/1/crop7/prediction",
    ];
    for (write, named) in written.into_iter().zip(named) {
        let (folder, registry) = scene();
        let plan = registry.plan_run_removal(&"r".parse().unwrap()).unwrap();
        write(folder.path());
        let before = files(&folder);
        for keep_going in [false, true] {
            let options = options().force_pinned(true).keep_going(keep_going);
            match registry.remove_planned(&plan, &options, &Silent) {
                Err(error) => {
                    assert_eq!(error.code(), "changed-meanwhile");
                    assert!(error.to_string().contains(named), "{error}");
                }
                Ok(report) => {
                    assert!(keep_going && report.artifacts.is_empty(), "{report:?}");
                    assert_eq!(report.skipped.len(), 1);
                }
            }
            assert_eq!(files(&folder), before);
        }
    }
}

#[test]
fn a_container_that_was_named_takes_nothing_written_since_the_plan() {
    let (folder, registry) = scene();
    let container = Path::new("r/validation.zarr");
    let chosen = registry.to_remove_at(container).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    write_new(folder.path(), "r/validation.zarr/2000/crop7/prediction");
    let before = files(&folder);
    let refused = registry.remove_planned(&plan, &options(), &Silent);
    assert_eq!(refused.unwrap_err().code(), "changed-meanwhile");
    assert_eq!(files(&folder), before);
    // Planned again, it is part of what goes.
    let chosen = registry.to_remove_at(container).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    registry.remove_planned(&plan, &options(), &Silent).unwrap();
    assert!(!folder.path().join(container).exists());
}

#[test]
fn a_run_that_no_scan_has_seen_does_not_go_with_the_run_above_it() {
    for inner in [
        "r/nested/validation.zarr/1/d/prediction/.zarray",
        "r/nested/checkpoints/iterations/5",
        "r/a/b/snapshot.zarr/1/volumes/.zarray",
    ] {
        let (folder, registry) = scene();
        let inner = folder.path().join(inner);
        fs::create_dir_all(inner.parent().unwrap()).unwrap();
        fs::write(&inner, "{}").unwrap();
        let error = registry.plan_run_removal(&"r".parse().unwrap());
        let error = error.unwrap_err();
        assert_eq!(error.code(), "nested-artifact");
        assert!(inner.exists());
    }
    // What only lies in a folder of the run is the run's own.
    let (folder, registry) = scene();
    write_new(folder.path(), "r/exports/a/crop7");
    remove(&registry, &options()).unwrap();
    assert!(!folder.path().join("r").exists());
}
