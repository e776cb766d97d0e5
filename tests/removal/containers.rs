//! When a container goes as a whole, and what stays.

use std::fs;
use std::path::PathBuf;

use dalsegno::RemovalPlan;
use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;

use crate::child::tree;
use crate::{array, base, code, is_trash_empty, kept, key, of_run, paths, target, write};

const CONTAINER: &str = "r/validation.zarr";
const ONE: &str = "r/validation.zarr/1/a/prediction";
const TWO: &str = "r/validation.zarr/1/a/output/p";
const THREE: &str = "r/validation.zarr/2/b/prediction";

fn items(plan: &RemovalPlan) -> Vec<&str> {
    plan.items.iter().map(|item| item.path.as_str()).collect()
}

/// A run with three arrays in a container with metadata of every format's groups.
fn run() -> (tempfile::TempDir, dalsegno::Registry) {
    let (folder, registry) = base();
    for path in [ONE, TWO, THREE] {
        array(&registry, path);
    }
    let container = folder.path().join(CONTAINER);
    for file in [
        ".zgroup",
        ".zattrs",
        ".zmetadata",
        "attributes.json",
        "1/.zgroup",
        "1/a/.zattrs",
        "2/zarr.json",
    ] {
        let text = r#"{"node_type": "group", "zarr_format": 3}"#;
        fs::write(container.join(file), text).unwrap();
    }
    (folder, registry)
}

fn remove_run(registry: &dalsegno::Registry) -> dalsegno::RemovalReport {
    let options = RemoveOptions::default();
    registry
        .remove_many(&of_run("r"), &options, &Silent)
        .unwrap()
}

fn plan_run(registry: &dalsegno::Registry) -> RemovalPlan {
    let chosen = registry.select(&of_run("r")).unwrap().into_iter();
    let chosen = chosen.map(dalsegno::ArtifactToRemove::new);
    registry.plan_removal(chosen.collect()).unwrap()
}

#[test]
fn a_container_that_was_not_selected_stays_with_its_group_metadata() {
    let (folder, registry) = run();
    let plan = plan_run(&registry);
    assert_eq!(items(&plan), [TWO, ONE, THREE]);
    let report = remove_run(&registry);
    assert_eq!((report.moved, report.artifacts.len()), (3, 3));
    let container = folder.path().join(CONTAINER);
    assert!(container.join("1/a/.zattrs").exists() && container.join("2/zarr.json").exists());
    assert!(!container.join("1/a/output").exists() && !container.join("2/b").exists());
    assert_eq!(paths(&registry), [""; 0]);
}

#[test]
fn a_selected_container_with_nothing_but_its_arrays_and_group_metadata_goes_by_one_rename() {
    let (folder, registry) = run();
    registry.record(&key(CONTAINER)).unwrap();
    let plan = plan_run(&registry);
    assert_eq!(items(&plan), [CONTAINER]);
    assert_eq!((plan.stays.len(), plan.artifacts().count()), (0, 4));
    assert!(plan.items[0].is_container && plan.items[0].unknown.is_empty());
    let report = remove_run(&registry);
    assert_eq!((report.moved, report.artifacts.len()), (1, 4));
    assert_eq!(report.total.files, 6);
    assert!(!folder.path().join(CONTAINER).exists());
    assert!(folder.path().join("r").is_dir(), "the run's folder stays");
    assert_eq!(paths(&registry), [""; 0]);
    assert!(is_trash_empty(folder.path()));
}

#[test]
fn planning_changes_nothing() {
    let (folder, registry) = run();
    let before = tree(&folder.path().join("r"));
    plan_run(&registry);
    let chosen = registry.to_remove(&target(CONTAINER)).unwrap();
    registry.plan_removal(chosen).unwrap();
    assert_eq!(tree(&folder.path().join("r")), before);
    assert_eq!(paths(&registry).len(), 3);
    assert!(is_trash_empty(folder.path()));
}

#[test]
fn what_is_not_the_registry_s_stays_and_is_named() {
    type Add = fn(&std::path::Path);
    let cases: [(&str, Add); 6] = [
        ("notes.txt", |path| fs::write(path, "x").unwrap()),
        ("1/a/figure.png", |path| fs::write(path, "x").unwrap()),
        ("3/c/prediction", |path| {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join(".zarray"), "{}").unwrap();
        }),
        ("link", |path| {
            std::os::unix::fs::symlink("/", path).unwrap();
        }),
        (".zattrs2", |path| fs::write(path, "x").unwrap()),
        ("1/.zgroup", |path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("elsewhere", path).unwrap();
        }),
    ];
    for (stranger, add) in cases {
        let (folder, registry) = run();
        let full = folder.path().join(CONTAINER).join(stranger);
        add(&full);
        let plan = plan_run(&registry);
        let stays: Vec<PathBuf> = vec![format!("{CONTAINER}/{stranger}").into()];
        assert_eq!(plan.stays, stays, "{stranger}");
        assert_eq!(items(&plan), [TWO, ONE, THREE], "{stranger}");
        let report = remove_run(&registry);
        assert_eq!(report.moved, 3, "{stranger}");
        assert!(full.symlink_metadata().is_ok(), "{stranger}");
        for path in [ONE, TWO, THREE] {
            assert!(!folder.path().join(path).exists(), "{stranger}");
        }
        assert_eq!(paths(&registry), [""; 0], "{stranger}");
    }
}

#[test]
fn an_array_that_was_not_selected_keeps_its_container() {
    let (folder, registry) = run();
    let filter = Filter::default().iterations([1.into()]);
    let options = RemoveOptions::default();
    let report = registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(report.moved, 2);
    assert_eq!(paths(&registry), [THREE]);
    assert!(folder.path().join(THREE).join("0/0/0").exists());
    // `1/a` held group metadata, so it stays with it.
    assert!(folder.path().join(CONTAINER).join("1/a/.zattrs").exists());
}

#[test]
fn a_container_with_a_row_of_its_own_that_is_not_selected_stays() {
    let (folder, registry) = run();
    registry
        .record(&dalsegno::model::key::Key::ValidationContainer {
            run: "r".parse().unwrap(),
        })
        .unwrap();
    let filter = Filter::default().kinds([Kind::Prediction, Kind::Output]);
    let options = RemoveOptions::default();
    let report = registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(report.moved, 3);
    assert_eq!(paths(&registry), [CONTAINER]);
    assert!(folder.path().join(CONTAINER).join(".zgroup").exists());

    // Also if nothing is in it.
    fs::remove_dir_all(folder.path().join(CONTAINER)).unwrap();
    array(&registry, ONE);
    registry.remove_many(&filter, &options, &Silent).unwrap();
    assert!(folder.path().join(CONTAINER).is_dir());
    assert_eq!(
        fs::read_dir(folder.path().join(CONTAINER)).unwrap().count(),
        0
    );
}

#[test]
fn a_container_that_was_named_takes_everything_and_the_plan_names_what_is_unknown() {
    for by_kind in [false, true] {
        let (folder, registry) = run();
        registry
            .record(&dalsegno::model::key::Key::ValidationContainer {
                run: "r".parse().unwrap(),
            })
            .unwrap();
        let container = folder.path().join(CONTAINER);
        fs::write(container.join("notes.txt"), "x").unwrap();
        write(folder.path(), "r/validation.zarr/9/z/prediction");
        let chosen = registry.to_remove(&target(CONTAINER)).unwrap();
        let plan = registry.plan_removal(chosen).unwrap();
        assert_eq!(items(&plan), [CONTAINER]);
        assert_eq!(
            plan.items[0].unknown,
            [PathBuf::from("9/z/prediction"), "notes.txt".into()]
        );
        assert_eq!(plan.artifacts().count(), 4);
        let options = RemoveOptions::default();
        let report = if by_kind {
            let filter = Filter::default().kinds([Kind::ValidationContainer]);
            registry.remove_many(&filter, &options, &Silent)
        } else {
            registry.remove_planned(&plan, &options, &Silent)
        };
        let report = report.unwrap();
        assert_eq!((report.moved, report.artifacts.len()), (1, 4));
        assert!(!container.exists());
        assert_eq!(paths(&registry), [""; 0]);
    }
}

#[test]
fn an_array_that_comes_into_a_container_after_the_plan_is_not_taken() {
    let (folder, registry) = run();
    registry.record(&key(CONTAINER)).unwrap();
    let plan = plan_run(&registry);
    write(folder.path(), "r/validation.zarr/7/late/prediction");
    let before = tree(&folder.path().join("r"));
    let result = registry.remove_planned(&plan, &RemoveOptions::default(), &Silent);
    assert_eq!(code(result), "changed-meanwhile");
    assert_eq!(tree(&folder.path().join("r")), before);
    assert_eq!(paths(&registry).len(), 4);
    assert!(is_trash_empty(folder.path()));
    // And one that was recorded as well.
    registry
        .record(&key("r/validation.zarr/7/late/prediction"))
        .unwrap();
    let result = registry.remove_planned(&plan, &RemoveOptions::default(), &Silent);
    assert_eq!(code(result), "changed-since-plan");
    assert_eq!(tree(&folder.path().join("r")), before);
}

#[test]
fn folders_left_empty_go_and_others_stay() {
    let (folder, registry) = base();
    for path in [ONE, THREE, "r/validation.zarr/2/c/prediction"] {
        array(&registry, path);
    }
    fs::write(folder.path().join(CONTAINER).join(".zgroup"), "{}").unwrap();
    let at = |path: &str| folder.path().join(CONTAINER).join(path).exists();
    registry.remove_artifact(&target(ONE)).unwrap();
    assert!(!at("1") && at("2/b") && at("2/c") && at(".zgroup"));
    registry.remove_artifact(&target(THREE)).unwrap();
    assert!(!at("2/b") && at("2/c/prediction"));
    registry
        .remove_artifact(&target("r/validation.zarr/2/c/prediction"))
        .unwrap();
    // The container was not named: it stays, with its own metadata.
    assert!(!at("2") && at(".zgroup"));
    registry
        .remove_target(&target(CONTAINER), &RemoveOptions::default(), &Silent)
        .unwrap_err();
    assert!(at(".zgroup"), "nothing is recorded in it");
}

#[test]
fn an_array_in_another_goes_only_with_it() {
    let (folder, registry) = base();
    let outer = "r/other.zarr/vol";
    let inner = "r/other.zarr/vol/labels/a";
    // As texts, this one's path is between those of the two.
    let between = "r/other.zarr/vol-2";
    for path in [outer, between, inner, "r/other.zarr/side"] {
        array(&registry, path);
    }
    let before = tree(&folder.path().join("r"));
    let result = registry.remove_artifact(&target(outer));
    let error = result.unwrap_err();
    assert_eq!(error.code(), "nested-artifact");
    for path in [outer, inner] {
        let path = folder.path().join(path);
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
    assert_eq!(tree(&folder.path().join("r")), before);
    assert_eq!(paths(&registry).len(), 4);

    let three = Filter::default().datasets(["vol*"]);
    let report = registry
        .remove_many(&three, &crate::kept(), &Silent)
        .unwrap();
    assert_eq!(report.artifacts.len(), 3);
    assert_eq!(report.moved, 2, "the inner one went with the outer");
    assert_eq!(paths(&registry), ["r/other.zarr/side"]);
    assert!(!folder.path().join(outer).exists());
    let id = report.removal.unwrap();
    registry
        .restore(&dalsegno::RestoreTarget::Removal(id))
        .unwrap();
    assert_eq!(tree(&folder.path().join("r")), before);
    assert_eq!(paths(&registry).len(), 4);
}

#[test]
fn an_inner_array_goes_alone() {
    let (folder, registry) = base();
    let inner = "r/other.zarr/vol/labels/a";
    for path in ["r/other.zarr/vol", inner] {
        array(&registry, path);
    }
    registry.remove_artifact(&target(inner)).unwrap();
    assert!(folder.path().join("r/other.zarr/vol/0/0/0").exists());
    assert!(!folder.path().join("r/other.zarr/vol/labels").exists());
    assert_eq!(paths(&registry), ["r/other.zarr/vol"]);
}

#[test]
fn data_without_metadata_goes_with_its_array_and_is_not_said_to_stay() {
    let (folder, registry) = base();
    registry.record(&key(ONE)).unwrap();
    let path = folder.path().join(ONE);
    fs::create_dir_all(path.join("0")).unwrap();
    fs::write(path.join("0/0"), "half written").unwrap();
    let plan = plan_run(&registry);
    assert_eq!(plan.stays, [""; 0].map(PathBuf::from));
    let report = remove_run(&registry);
    assert_eq!(report.moved, 1);
    assert!(!path.exists());
    assert_eq!(paths(&registry), [""; 0]);
}

#[test]
fn the_row_of_an_array_that_vanished_goes_and_the_report_names_it() {
    let (folder, registry) = base();
    array(&registry, ONE);
    let gone = array(&registry, THREE);
    fs::remove_dir_all(folder.path().join(THREE)).unwrap();
    for round in 0..2 {
        let report = registry
            .remove_many(&of_run("r"), &crate::kept(), &Silent)
            .unwrap();
        assert_eq!((report.artifacts.len(), report.moved), (2, 1));
        assert_eq!(report.missing, [gone.path()], "round {round}");
        assert_eq!(paths(&registry), [""; 0]);
        // Both rows come back, the one with its data and the one that had none.
        let id = report.removal.unwrap();
        let restored = registry
            .restore(&dalsegno::RestoreTarget::Removal(id))
            .unwrap();
        assert_eq!((restored.artifacts.len(), restored.moved), (2, 1));
        assert_eq!(paths(&registry), [ONE, THREE]);
    }
}

#[test]
fn one_that_cannot_go_holds_up_all_unless_it_may_be_left_out() {
    let (folder, registry) = base();
    array(&registry, ONE);
    array(&registry, "q/validation.zarr/1/a/prediction");
    fs::remove_dir_all(folder.path().join(ONE)).unwrap();
    fs::write(folder.path().join(ONE), "in its place").unwrap();
    let everything = Filter::default();
    let options = RemoveOptions::default();
    let before = tree(&folder.path().join("q"));
    let result = registry.remove_many(&everything, &options, &Silent);
    assert_eq!(code(result), "not-a-folder");
    assert_eq!(tree(&folder.path().join("q")), before);
    assert_eq!(paths(&registry).len(), 2);
    let options = RemoveOptions::default().keep_going(true);
    let report = registry
        .remove_many(&everything, &options, &Silent)
        .unwrap();
    assert_eq!((report.artifacts.len(), report.skipped.len()), (1, 1));
    assert_eq!(report.skipped[0].code, "not-a-folder");
    assert_eq!(paths(&registry), [ONE]);
    assert_eq!(
        fs::read_to_string(folder.path().join(ONE)).unwrap(),
        "in its place"
    );
}

#[test]
fn a_recorded_container_stays_with_what_stays_in_it() {
    let (folder, registry) = run();
    registry.record(&key(CONTAINER)).unwrap();
    let stranger = folder.path().join(CONTAINER).join("1/notes.txt");
    fs::write(&stranger, "mine").unwrap();
    // A run is removed: its arrays go; the container, which was not named, is not empty.
    let plan = plan_run(&registry);
    assert_eq!(plan.stays, [PathBuf::from(CONTAINER).join("1/notes.txt")]);
    assert_eq!(remove_run(&registry).artifacts.len(), 3);
    assert_eq!(paths(&registry), [CONTAINER]);
    assert_eq!(fs::read_to_string(&stranger).unwrap(), "mine");
    // The same if something that is recorded stays.
    for path in [ONE, TWO] {
        array(&registry, path);
    }
    let some = of_run("r").kinds([Kind::Prediction, Kind::ValidationContainer]);
    let chosen = registry.select(&some).unwrap().into_iter();
    let chosen = chosen.map(dalsegno::ArtifactToRemove::new);
    let plan = registry.plan_removal(chosen.collect()).unwrap();
    assert_eq!(items(&plan), [ONE]);
    assert_eq!(plan.stays, [PathBuf::from(CONTAINER)]);
    // Without the stranger all of it goes.
    fs::remove_file(&stranger).unwrap();
    assert_eq!(remove_run(&registry).moved, 1);
    assert_eq!(paths(&registry), [""; 0]);
}

#[test]
fn the_array_store_leaves_the_folders_above_as_dacapo_does() {
    use dalsegno::{ArrayStore, LocalArrayIdentifier};
    let (folder, registry) = base();
    for keeps in [false, true] {
        fs::write(
            folder.path().join(".dalsegno/config.toml"),
            if keeps {
                "[trash]\nkeep = \"1h\"\n"
            } else {
                ""
            },
        )
        .unwrap();
        let registry = crate::open_at(folder.path(), crate::NOW);
        let identifier = array(&registry, ONE).identifier().unwrap();
        let LocalArrayIdentifier { .. } = &identifier;
        registry.remove(&identifier).unwrap();
        let above = folder.path().join("r/validation.zarr/1/a");
        assert!(above.is_dir() && !folder.path().join(ONE).exists());
        drop(registry);
        // Nor when the time of the trash is over.
        let later = dalsegno::model::clock::Timestamp(crate::NOW.0 + 7_200_000);
        crate::open_at(folder.path(), later);
        assert!(is_trash_empty(folder.path()) && above.is_dir(), "{keeps}");
    }
    drop(registry);
}

#[test]
fn what_belongs_to_an_inner_registry_is_left_alone() {
    let (folder, registry) = base();
    for path in [
        ONE,
        "r/inner/validation.zarr/1/a/prediction",
        "q/validation.zarr/1/a/prediction",
    ] {
        array(&registry, path);
    }
    let inner = folder.path().join("r/inner");
    dalsegno::Registry::create(&inner).unwrap();
    let before = tree(&inner);
    // By the array in it, by its container, and in a batch.
    for path in [
        "r/inner/validation.zarr/1/a/prediction",
        "r/inner/validation.zarr",
    ] {
        let error = registry.remove_artifact(&target(path)).unwrap_err();
        assert_eq!(error.code(), "inner-registry", "{path}");
        assert!(
            error.to_string().contains(inner.to_str().unwrap()),
            "{error}"
        );
    }
    let options = RemoveOptions::default();
    let result = registry.remove_many(&of_run("r*"), &options, &Silent);
    assert_eq!(code(result), "inner-registry");
    let report = registry
        .remove_many(&of_run("r*"), &options.keep_going(true), &Silent)
        .unwrap();
    assert_eq!((report.moved, report.skipped.len()), (1, 1));
    assert_eq!(report.skipped[0].code, "inner-registry");
    assert!(tree(&inner) == before);
    // A scan does not look into it, and says so.
    let report = registry
        .scan(dalsegno::ScanOptions::default(), &Silent)
        .unwrap();
    assert_eq!(report.arrays, 1);
    let found: Vec<_> = report
        .notices
        .iter()
        .map(|found| (found.class.as_str(), found.path.as_str()))
        .collect();
    assert_eq!(found, [("inner-registry", "r/inner")]);
}

#[test]
fn a_container_that_holds_a_registry_is_refused() {
    let (folder, registry) = run();
    registry.record(&key(CONTAINER)).unwrap();
    let inner = folder.path().join(CONTAINER).join("1/inner");
    fs::create_dir_all(&inner).unwrap();
    dalsegno::Registry::create(&inner).unwrap();
    let before = tree(&folder.path().join("r"));
    let error = registry.remove_artifact(&target(CONTAINER)).unwrap_err();
    assert_eq!(error.code(), "inner-registry");
    assert!(
        error.to_string().contains(inner.to_str().unwrap()),
        "{error}"
    );
    assert!(tree(&folder.path().join("r")) == before);
    // The arrays beside it go; the container stays with it.
    assert_eq!(remove_run(&registry).moved, 3);
    assert!(inner.join(".dalsegno").is_dir());
}

#[test]
fn a_plan_whose_path_was_changed_by_the_caller_takes_no_other_array() {
    let (folder, registry) = base();
    let [taken, pinned, unknown] =
        ["1", "2", "3"].map(|at| format!("r/validation.zarr/{at}/d/prediction"));
    array(&registry, &taken);
    array(&registry, &pinned);
    write(folder.path(), &unknown);
    let row = registry.get(&target(&pinned)).unwrap().unwrap();
    let scope = dalsegno::PinSelection::Artifacts(vec![row]);
    registry
        .pin(&"keep".parse().unwrap(), Some("why"), &scope)
        .unwrap();
    let before = tree(&folder.path().join("r"));
    for (path, refused) in [
        (&pinned, "nested-artifact"),
        (&unknown, "changed-meanwhile"),
    ] {
        for without_artifacts in [false, true] {
            let chosen = registry.to_remove(&target(&taken)).unwrap();
            let mut plan = registry.plan_removal(chosen).unwrap();
            plan.items[0].path.clone_from(path);
            if without_artifacts {
                plan.items[0].artifacts.clear();
            }
            for options in [RemoveOptions::default(), kept()] {
                let result = registry.remove_planned(&plan, &options, &Silent);
                assert_eq!(code(result), refused, "{path}");
            }
        }
    }
    assert_eq!(tree(&folder.path().join("r")), before);
}
