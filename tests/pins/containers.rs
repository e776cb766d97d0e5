//! A container is not removed as a whole if something in it is bound, recorded or not.

use std::fs;
use std::path::Path;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::{PinSelection, Registry};

use crate::scene::{base, days, key, of_kinds, paths, pin, prediction, scan, target, write_aged};

const CONTAINER: &str = "mito/validation.zarr";

fn run() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    for iteration in [1000, 2000] {
        write_aged(folder.path(), &prediction(iteration), days(50));
    }
    registry.record(&key(CONTAINER)).unwrap();
    scan(&registry);
    (folder, registry)
}

fn pin_iteration(registry: &Registry, iteration: i64) {
    let scope = Filter::default()
        .runs(["mito"])
        .iterations([iteration.into()]);
    let name = "scope".parse().unwrap();
    registry
        .pin(&name, Some("x"), &PinSelection::Filter(scope))
        .unwrap();
}

/// The error that refuses the removal of the container, for every way to name it.
fn refusal(registry: &Registry, base: &Path) -> String {
    let options = RemoveOptions::default();
    let by_path = registry
        .remove_target(&target(CONTAINER), &options, &Silent)
        .unwrap_err();
    let kind = of_kinds(&[Kind::ValidationContainer]);
    let by_kind = registry.remove_many(&kind, &options, &Silent).unwrap_err();
    assert_eq!(by_path.to_string(), by_kind.to_string());
    assert!(base.join(CONTAINER).exists());
    by_path
        .to_string()
        .replace(&format!("{}/{CONTAINER}/", base.display()), "")
}

#[test]
fn a_pinned_array_keeps_its_container() {
    let (folder, registry) = run();
    pin(&registry, "a", &prediction(2000));
    let text = refusal(&registry, folder.path());
    assert_eq!(text, "2000/crop1/prediction is pinned: a");
    let force = RemoveOptions::default().force_pinned(true);
    registry
        .remove_target(&target(CONTAINER), &force, &Silent)
        .unwrap();
    assert_eq!(paths(&registry), [""; 0]);
}

#[test]
fn unrecorded_data_of_a_pinned_iteration_keeps_its_container() {
    for (file, says) in [
        // An array that a scan would adopt.
        ("3000/crop1/prediction/.zarray", "3000/crop1/prediction"),
        // Chunks of an array whose metadata is lost.
        ("3000/crop1/prediction/0.0", "3000/crop1/prediction/0.0"),
        // Something that DaCapo does not know.
        ("3000/notes.txt", "3000/notes.txt"),
        ("3000/crop1/other/.zarray", "3000/crop1/other"),
    ] {
        let (folder, registry) = run();
        let path = folder.path().join(CONTAINER).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{}").unwrap();
        pin_iteration(&registry, 3000);
        let text = refusal(&registry, folder.path());
        assert_eq!(text, format!("{says} is pinned: scope"));
        assert!(path.exists());
        // If it is of another iteration, it is removed, too.
        registry.unpin(&"scope".parse().unwrap(), None).unwrap();
        pin_iteration(&registry, 4000);
        let options = RemoveOptions::default();
        registry
            .remove_target(&target(CONTAINER), &options, &Silent)
            .unwrap();
        assert!(!path.exists());
    }
}

#[test]
fn what_is_written_of_a_pinned_iteration_after_the_plan_keeps_its_container() {
    let (folder, registry) = run();
    pin_iteration(&registry, 3000);
    let chosen = registry.to_remove(&target(CONTAINER)).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    write_aged(folder.path(), &prediction(3000), days(0));
    let options = RemoveOptions::default();
    let error = registry.remove_planned(&plan, &options, &Silent);
    assert_eq!(error.unwrap_err().code(), "pinned");
    assert!(folder.path().join(prediction(3000)).exists());
}

#[test]
fn a_pin_on_the_run_keeps_its_containers() {
    let (folder, registry) = base();
    fs::create_dir_all(folder.path().join(CONTAINER)).unwrap();
    fs::write(folder.path().join(CONTAINER).join("notes.txt"), "mine").unwrap();
    registry.record(&key(CONTAINER)).unwrap();
    let scope = PinSelection::Filter(Filter::default().runs(["mito"]));
    let name = "whole".parse().unwrap();
    registry.pin(&name, Some("x"), &scope).unwrap();
    let options = RemoveOptions::default();
    let error = registry.remove_target(&target(CONTAINER), &options, &Silent);
    assert_eq!(error.unwrap_err().code(), "pinned");
}

#[test]
fn an_iteration_called_best_keeps_the_container_with_its_unrecorded_data() {
    let (folder, registry) = run();
    let best = folder.path().join("mito/checkpoints/crop1");
    fs::create_dir_all(&best).unwrap();
    std::os::unix::fs::symlink("/gone/checkpoints/iterations/3000", best.join("voi")).unwrap();
    let options = RemoveOptions::default();
    let chunk = folder.path().join(CONTAINER).join("3000/crop1/prediction");
    fs::create_dir_all(&chunk).unwrap();
    fs::write(chunk.join("0.0"), "x").unwrap();
    let error = registry.remove_target(&target(CONTAINER), &options, &Silent);
    assert_eq!(error.unwrap_err().code(), "best-linked");
    let ignoring = options.ignore_best_links(true);
    registry
        .remove_target(&target(CONTAINER), &ignoring, &Silent)
        .unwrap();
}
