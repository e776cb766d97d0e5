//! Whole runs.

use std::fs;
use std::path::Path;

use dalsegno::Registry;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::removal::TrashKeep;
use dalsegno::retention::{Decision, RunPolicy};
use dalsegno::{GcRequest, GcRules};

use crate::apply::{apply, removed, skipped};
use crate::scene::{
    NOW, base, date, days, key, of_kinds, paths, pin, scan, write_aged, write_checkpoint,
};

fn older_than(count: u64) -> GcRequest {
    GcRequest::new(
        Filter::default(),
        GcRules::Runs(RunPolicy::default().older_than(days(count)).last(1)),
    )
    .words(format!("whole runs, older-than {count}d, keep-last 1"))
}

/// Runs `a`, 10 days old, and `b` and `c`, 100 days old, with containers that have rows.
fn runs() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    for (run, age) in [("a", 10), ("b", 100), ("c", 100)] {
        for iteration in [1, 2] {
            let path = format!("{run}/validation.zarr/{iteration}/d/prediction");
            write_aged(folder.path(), &path, days(age));
        }
        write_aged(
            folder.path(),
            &format!("{run}/snapshot.zarr/volumes/raw"),
            days(age),
        );
        write_checkpoint(folder.path(), run, 1, days(age));
        fs::write(folder.path().join(run).join("config.yaml"), "").unwrap();
    }
    scan(&registry);
    (folder, registry)
}

/// Records the containers of run `b`, long ago.
fn record_containers(folder: &Path) -> Registry {
    let then = NOW.minus(days(100));
    let registry = crate::scene::open_at(folder, then);
    for container in ["b/validation.zarr", "b/snapshot.zarr"] {
        registry.record(&key(container)).unwrap();
        date(&folder.join(container), then);
    }
    drop(registry);
    let registry = crate::scene::open_at(folder, NOW);
    scan(&registry);
    registry
}

fn left_of(base: &Path, run: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(base.join(run))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn old_runs_go_with_their_containers_and_their_other_files_stay() {
    let (folder, registry) = runs();
    let plan = registry.plan_gc(&older_than(90)).unwrap();
    assert_eq!(removed(&plan).len(), 6);
    assert!(removed(&plan).iter().all(|path| !path.starts_with("a/")));
    let report = apply(&registry, &plan.file, TrashKeep::UntilEmptied);
    assert_eq!((report.artifacts, report.skipped.len()), (6, 0));
    let trash = folder.path().join(".dalsegno/trash");
    let removal = trash.join(report.removals[0].as_str());
    // Two containers of two runs, each by one rename, and the manifest.
    assert_eq!(fs::read_dir(removal).unwrap().count(), 5);
    for run in ["b", "c"] {
        assert_eq!(left_of(folder.path(), run), ["checkpoints", "config.yaml"]);
    }
}

#[test]
fn the_newest_runs_stay_however_old_they_are() {
    let (_folder, registry) = runs();
    let mut request = older_than(5);
    let plan = registry.plan_gc(&request).unwrap();
    assert!(removed(&plan).iter().all(|path| !path.starts_with("a/")));
    request.rules = GcRules::Runs(RunPolicy::default().older_than(days(5)));
    let error = registry.plan_gc(&request).unwrap_err();
    assert_eq!(error.code(), "plan-empties-group");
}

#[test]
fn checkpoints_go_where_their_kind_is_named() {
    let (folder, registry) = runs();
    let request = older_than(90).of(of_kinds(&[Kind::Checkpoint]));
    let plan = registry.plan_gc(&request).unwrap();
    let checkpoints = ["b/checkpoints/iterations/1", "c/checkpoints/iterations/1"];
    assert_eq!(removed(&plan), checkpoints);
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(report.artifacts, 2);
    assert!(folder.path().join("a/checkpoints/iterations/1").exists());
    assert!(folder.path().join("b/validation.zarr").exists());
    assert!(!folder.path().join("b/checkpoints/iterations/1").exists());
}

#[test]
fn a_recorded_container_goes_with_what_is_in_it() {
    let (folder, registry) = runs();
    drop(registry);
    let registry = record_containers(folder.path());
    let plan = registry.plan_gc(&older_than(90)).unwrap();
    assert_eq!(removed(&plan).len(), 8);
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(skipped(&registry, &report), [""; 0]);
    assert_eq!(report.artifacts, 8);
    assert_eq!(left_of(folder.path(), "b"), ["checkpoints", "config.yaml"]);
}

#[test]
fn a_pinned_array_stays_with_its_container_and_the_rest_of_its_run_goes() {
    let (folder, registry) = runs();
    drop(registry);
    let registry = record_containers(folder.path());
    let pinned = "b/validation.zarr/2/d/prediction";
    pin(&registry, "p", pinned);
    let plan = registry.plan_gc(&older_than(90)).unwrap();
    let held: Vec<String> = plan
        .plan
        .lines
        .iter()
        .filter(|line| line.decision == Decision::Keep && line.artifact.key.run().as_str() == "b")
        .map(|line| format!("{} {}", line.artifact.location().path(), line.reasons[0]))
        .collect();
    assert_eq!(
        held,
        [
            format!("{pinned} pinned: p"),
            "b/validation.zarr pinned: p".to_owned(),
        ]
    );
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(skipped(&registry, &report), [""; 0]);
    assert_eq!(report.artifacts, 6);
    let of_b: Vec<String> = paths(&registry)
        .into_iter()
        .filter(|path| path.starts_with("b/v") || path.starts_with("b/s"))
        .collect();
    assert_eq!(of_b, ["b/validation.zarr", pinned]);
}

#[test]
fn an_array_that_is_pinned_since_the_plan_keeps_its_container_and_nothing_else() {
    let (folder, registry) = runs();
    drop(registry);
    let registry = record_containers(folder.path());
    let plan = registry.plan_gc(&older_than(90)).unwrap();
    let pinned = "b/validation.zarr/2/d/prediction";
    pin(&registry, "p", pinned);
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(
        skipped(&registry, &report),
        [
            format!(
                "b/validation.zarr nested-artifact: {pinned} lies in b/validation.zarr, which was \
                 to be removed without it"
            ),
            format!("{pinned} pinned: {pinned} is pinned: p"),
        ]
    );
    assert_eq!(report.artifacts, 6);
}

#[test]
fn a_recorded_container_with_something_strange_in_it_stays_and_the_rest_goes() {
    let (folder, registry) = runs();
    drop(registry);
    fs::write(folder.path().join("b/snapshot.zarr/notes.txt"), "mine").unwrap();
    let registry = record_containers(folder.path());
    let plan = registry.plan_gc(&older_than(90)).unwrap();
    assert_eq!(removed(&plan).len(), 8);
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(
        skipped(&registry, &report),
        [
            "b/snapshot.zarr nested-artifact: b/snapshot.zarr/notes.txt lies in b/snapshot.zarr, \
             which was to be removed without it; the registry does not know it"
        ]
    );
    assert_eq!(report.artifacts, 7);
    assert!(folder.path().join("b/snapshot.zarr/notes.txt").exists());
    assert!(!folder.path().join("b/snapshot.zarr/volumes").exists());
}
