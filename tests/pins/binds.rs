//! What a pin binds, from when, and until when.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::{Filter, IterationRange};
use dalsegno::model::key::Kind;
use dalsegno::model::pin::PinName;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{ArrayStore, PinSelection, Registry, RestoreTarget};

use crate::child::{ACTION, BASE, command, say};
use crate::scene::{
    NOW, base, days, get, key, of_kinds, of_run, open_at, paths, pin, prediction, scan, target,
    write_aged, write_checkpoint,
};

fn name(text: &str) -> PinName {
    text.parse().unwrap()
}

fn iterations(run: &str, first: i64, last: i64) -> Filter {
    of_run(run).iterations([IterationRange {
        first: Some(first),
        last: Some(last),
    }])
}

/// A run with predictions at iterations 1000, 2000 and 3000, all old.
fn run() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    for iteration in [1000, 2000, 3000] {
        write_aged(folder.path(), &prediction(iteration), days(50));
    }
    scan(&registry);
    (folder, registry)
}

/// The outcome of removing a path with these options: the error code, or `ok`.
fn remove(registry: &Registry, path: &str, options: &RemoveOptions) -> String {
    let result = registry.remove_target(&target(path), options, &Silent);
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

#[test]
fn an_artifact_with_several_pins_stays_until_the_last_is_gone() {
    let (_folder, registry) = run();
    let path = prediction(1000);
    pin(&registry, "b", &path);
    pin(&registry, "a", &path);
    let scope = PinSelection::Filter(iterations("mito", 0, 1500));
    registry.pin(&name("c"), Some("x"), &scope).unwrap();
    assert_eq!(get(&registry, &path).pins, ["a", "b", "c"]);
    for gone in ["a", "c", "b"] {
        let error = registry
            .remove_target(&target(&path), &RemoveOptions::default(), &Silent)
            .unwrap_err();
        assert_eq!(error.code(), "pinned");
        let pins = get(&registry, &path).pins.join(", ");
        assert!(error.to_string().ends_with(&format!("is pinned: {pins}")));
        assert!(registry.unpin(&name(gone), None).unwrap().whole);
    }
    assert_eq!(get(&registry, &path).pins, [""; 0]);
    assert_eq!(remove(&registry, &path, &RemoveOptions::default()), "ok");
}

#[test]
fn a_pin_binds_every_way_to_remove() {
    let (folder, registry) = run();
    let path = prediction(1000);
    pin(&registry, "a", &path);
    let identifier = registry
        .validation_prediction_array("mito", 1000, "crop1")
        .unwrap();
    let by_store = ArrayStore::remove(&registry, &identifier).unwrap_err();
    assert_eq!(by_store.code(), "pinned");
    assert_eq!(
        registry.remove_artifact(&target(&path)).unwrap_err().code(),
        "pinned"
    );
    let options = RemoveOptions::default();
    let many = registry.remove_many(&of_run("mito"), &options, &Silent);
    assert_eq!(many.unwrap_err().code(), "pinned");
    assert_eq!(
        remove(&registry, "mito/validation.zarr", &options),
        "pinned"
    );
    assert_eq!(paths(&registry).len(), 3);
    assert!(folder.path().join(path).join(".zarray").exists());
}

#[test]
fn what_is_pinned_is_left_out_with_keep_going() {
    let (folder, registry) = run();
    pin(&registry, "a", &prediction(2000));
    let options = RemoveOptions::default().keep_going(true);
    // One by one, because the container is not removed as a whole.
    let filter = of_run("mito").iterations([1000.into(), 2000.into()]);
    let report = registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(report.artifacts.len(), 1);
    let [skipped] = report.skipped.as_slice() else {
        panic!("{:?}", report.skipped);
    };
    assert_eq!(skipped.code, "pinned");
    assert_eq!(skipped.path, folder.path().join(prediction(2000)));
    assert_eq!(paths(&registry), [prediction(2000), prediction(3000)]);
}

#[test]
fn what_is_removed_by_force_is_pinned_again_when_it_is_restored() {
    let (_folder, registry) = run();
    let path = prediction(1000);
    pin(&registry, "a", &path);
    let scope = PinSelection::Filter(iterations("mito", 1000, 1000));
    registry.pin(&name("s"), Some("x"), &scope).unwrap();
    let options = RemoveOptions::default()
        .force_pinned(true)
        .keep(TrashKeep::UntilEmptied);
    let before = get(&registry, &path);
    let report = registry
        .remove_target(&target(&path), &options, &Silent)
        .unwrap();
    assert_eq!(registry.pins().unwrap().len(), 2);
    let restored = RestoreTarget::Removal(report.removal.unwrap());
    registry.restore(&restored).unwrap();
    assert_eq!(get(&registry, &path), before);
    assert_eq!(
        remove(&registry, &path, &RemoveOptions::default()),
        "pinned"
    );
}

#[test]
fn a_pin_on_a_run_binds_what_is_recorded_and_scanned_there_later() {
    let (folder, registry) = run();
    let scope = PinSelection::Filter(of_run("mito"));
    let change = registry.pin(&name("whole"), Some("x"), &scope).unwrap();
    assert_eq!(change.artifacts, 3);
    let recorded = prediction(4000);
    registry.record(&key(&recorded)).unwrap();
    let scanned = "mito/snapshot.zarr/volumes/raw";
    write_aged(folder.path(), scanned, days(9));
    write_aged(folder.path(), &prediction(5000), days(9));
    write_aged(
        folder.path(),
        "er/validation.zarr/1/crop1/prediction",
        days(9),
    );
    write_checkpoint(folder.path(), "mito", 1000, days(9));
    scan(&registry);
    let checkpoint = "mito/checkpoints/iterations/1000";
    for path in [&recorded, scanned, &prediction(5000), checkpoint] {
        assert_eq!(get(&registry, path).pins, ["whole"], "{path}");
        let options = RemoveOptions::default();
        assert_eq!(remove(&registry, path, &options), "pinned", "{path}");
    }
    let other = get(&registry, "er/validation.zarr/1/crop1/prediction");
    assert_eq!(other.pins, [""; 0]);
}

#[test]
fn a_pin_on_iterations_binds_every_kind_of_them_later_and_no_other_iteration() {
    let (folder, registry) = run();
    let scope = PinSelection::Filter(iterations("mito", 1500, 2500));
    registry.pin(&name("range"), Some("x"), &scope).unwrap();
    for iteration in [1499, 1500, 2500, 2501] {
        write_aged(folder.path(), &prediction(iteration), days(9));
        write_checkpoint(folder.path(), "mito", iteration, days(9));
    }
    write_aged(folder.path(), "mito/snapshot.zarr/volumes/raw", days(9));
    scan(&registry);
    let every = registry.select(&of_kinds(&Kind::ALL)).unwrap();
    let mut pinned: Vec<String> = every
        .iter()
        .filter(|artifact| !artifact.pins.is_empty())
        .map(|artifact| artifact.location().path())
        .collect();
    pinned.sort();
    let expected = [
        "mito/checkpoints/iterations/1500".to_owned(),
        "mito/checkpoints/iterations/2500".to_owned(),
        prediction(1500),
        prediction(2000),
        prediction(2500),
    ];
    assert_eq!(pinned, expected);
}

#[test]
fn a_pin_that_comes_between_plan_and_removal_binds() {
    let (_folder, registry) = run();
    let chosen = registry.to_remove(&target(&prediction(1000))).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    pin(&registry, "late", &prediction(1000));
    let options = RemoveOptions::default();
    let error = registry.remove_planned(&plan, &options, &Silent);
    assert_eq!(error.unwrap_err().code(), "pinned");
    assert_eq!(paths(&registry).len(), 3);
}

#[test]
fn a_new_pin_has_a_reason_and_an_old_one_keeps_its_own() {
    let (_folder, registry) = run();
    let scope = PinSelection::Filter(of_run("mito"));
    let pin = |reason| match registry.pin(&name("a"), reason, &scope) {
        Ok(_) => "ok",
        Err(error) => error.code(),
    };
    assert_eq!(pin(None), "pin-without-reason");
    assert_eq!(pin(Some("  ")), "pin-without-reason");
    assert_eq!(registry.pins().unwrap(), []);
    assert_eq!(pin(Some("first")), "ok");
    assert_eq!(pin(Some("second")), "pin-taken");
    assert_eq!(pin(Some("first")), "ok");
    assert_eq!(pin(None), "ok");
    let [known] = registry.pins().unwrap().try_into().unwrap();
    assert_eq!(known.reason, "first");
    assert_eq!(known.scopes.len(), 1, "the same scope is bound once");
}

#[test]
fn a_pin_that_would_bind_nothing_is_not_made() {
    let (_folder, registry) = run();
    let gone = get(&registry, &prediction(1000));
    registry
        .remove_artifact(&target(&prediction(1000)))
        .unwrap();
    let nothing = [
        PinSelection::Filter(of_run("unknown")),
        PinSelection::Filter(iterations("m*", 7, 9)),
        PinSelection::Filter(of_run("mito").datasets(["unknown"])),
        PinSelection::Artifacts(Vec::new()),
        PinSelection::Artifacts(vec![gone]),
    ];
    for target in nothing {
        let error = registry.pin(&name("a"), Some("x"), &target).unwrap_err();
        assert_eq!(error.code(), "pin-binds-nothing", "{target:?}");
    }
    assert_eq!(registry.pins().unwrap(), []);
    assert_eq!(
        registry.unpin(&name("a"), None).unwrap_err().code(),
        "no-pin"
    );
}

#[test]
fn a_pin_lets_go_in_parts() {
    let (_folder, registry) = run();
    let a = name("a");
    let scope = |first, last| PinSelection::Filter(iterations("mito", first, last));
    registry.pin(&a, Some("x"), &scope(1000, 1000)).unwrap();
    registry.pin(&a, None, &scope(2000, 2000)).unwrap();
    pin_one(&registry, &a, &prediction(3000));
    pin_one(&registry, &a, &prediction(2000));

    // Part of a scope cannot be unpinned.
    let target = PinSelection::Artifacts(vec![get(&registry, &prediction(2000))]);
    let change = registry.unpin(&a, Some(&target)).unwrap();
    assert_eq!((change.artifacts, change.whole), (1, false));
    assert_eq!(get(&registry, &prediction(2000)).pins, ["a"]);

    // Scopes inside the range are unpinned, and so are artifacts in it.
    let change = registry.unpin(&a, Some(&scope(1500, 3500))).unwrap();
    assert_eq!((change.scopes.len(), change.whole), (1, false));
    let bound: Vec<usize> = [1000, 2000, 3000]
        .map(|iteration| get(&registry, &prediction(iteration)).pins.len())
        .to_vec();
    assert_eq!(bound, [1, 0, 0]);

    let change = registry.unpin(&a, Some(&scope(1000, 1000))).unwrap();
    assert!(change.whole);
    assert_eq!(registry.pins().unwrap(), []);
}

fn pin_one(registry: &Registry, name: &PinName, path: &str) {
    let target = PinSelection::Artifacts(vec![get(registry, path)]);
    registry.pin(name, None, &target).unwrap();
}

#[test]
fn a_part_of_a_run_is_not_let_go_of_a_pin_on_the_run() {
    let (_folder, registry) = run();
    let a = name("a");
    let scope = PinSelection::Filter(of_run("mito"));
    registry.pin(&a, Some("x"), &scope).unwrap();
    let part = PinSelection::Filter(iterations("mito", 1000, 1000));
    let change = registry.unpin(&a, Some(&part)).unwrap();
    assert_eq!((change.artifacts, change.whole), (0, false));
    assert_eq!(get(&registry, &prediction(1000)).pins, ["a"]);
}

#[test]
fn pins_are_seen_in_a_read_only_catalog() {
    let (folder, registry) = run();
    pin(&registry, "a", &prediction(1000));
    drop(registry);
    let registry = Registry::open_read_only(folder.path()).unwrap();
    assert_eq!(registry.pins().unwrap()[0].name, name("a"));
    assert_eq!(get(&registry, &prediction(1000)).pins, ["a"]);
    let pinned = Filter::default().pinned(true);
    assert_eq!(registry.select(&pinned).unwrap().len(), 1);
    let scope = PinSelection::Filter(of_run("mito"));
    assert!(registry.pin(&name("b"), Some("x"), &scope).is_err());
    assert!(registry.unpin(&name("a"), None).is_err());
}

/// Pins, prints so, and waits.
pub(crate) fn child() {
    if std::env::var(ACTION).is_ok_and(|action| action == "pin") {
        let base = std::env::var_os(BASE).unwrap();
        let registry = open_at(Path::new(&base), NOW);
        pin(&registry, "kept", &prediction(1000));
        say("pinned");
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
}

#[test]
fn a_pin_survives_a_kill_once_it_is_acknowledged() {
    let (folder, registry) = run();
    drop(registry);
    let mut process = command(&[], "pin", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(process.stdout.take().unwrap());
    assert!(stdout.lines().any(|line| line.unwrap() == "@pinned"));
    process.kill().unwrap();
    process.wait().unwrap();
    let registry = open_at(folder.path(), NOW);
    assert_eq!(get(&registry, &prediction(1000)).pins, ["kept"]);
    assert_eq!(
        remove(&registry, &prediction(1000), &RemoveOptions::default()),
        "pinned"
    );
    assert!(fs::exists(folder.path().join(prediction(1000))).unwrap());
}
