//! How long the trash keeps what was removed.

use std::fs;
use std::path::Path;
use std::time::Duration;

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::{RemovalState, TrashKeep};
use dalsegno::retention::{Limits, Policy};
use dalsegno::{GcOptions, GcRequest, GcRules, Options, RefreshOptions, RemoveOptions};
use dalsegno::{Registry, RestoreTarget};

use crate::{NOW, array, base, is_trash_empty, kept, open_at, paths, target};

const ARRAY: &str = "r/validation.zarr/1/a/prediction";
const HOUR: i64 = 3_600_000;

fn hours(hours: i64) -> Timestamp {
    Timestamp(NOW.0 + hours * HOUR)
}

fn keep_for(base: &Path, time: &str) {
    let config = base.join(".dalsegno/config.toml");
    fs::write(config, format!("[trash]\nkeep = \"{time}\"\n")).unwrap();
}

fn states(registry: &Registry) -> Vec<RemovalState> {
    let removals = registry.trash().unwrap().into_iter();
    removals.map(|removal| removal.state).collect()
}

#[test]
fn without_a_word_nothing_is_kept() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    assert_eq!(registry.resolve_keep(TrashKeep::Configured), TrashKeep::No);
    let report = registry.remove_artifact(&target(ARRAY)).unwrap();
    assert!(report.purge.unwrap().is_done);
    assert!(is_trash_empty(folder.path()));
    let removal = registry.removal(&report.removal.unwrap()).unwrap().unwrap();
    assert_eq!(removal.state, RemovalState::Purged);
}

#[test]
fn the_configuration_keeps_and_the_first_open_after_that_purges() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    drop(registry);
    keep_for(folder.path(), "72h");
    let registry = open_at(folder.path(), NOW);
    assert_eq!(
        registry.resolve_keep(TrashKeep::Configured),
        TrashKeep::For(Duration::from_secs(72 * 3600))
    );
    let report = registry.remove_artifact(&target(ARRAY)).unwrap();
    assert!(report.purge.is_none());
    let id = report.removal.unwrap();
    let listed = registry.trash().unwrap();
    assert_eq!(listed[0].purge_after, Some(hours(72)));
    drop(registry);

    let registry = open_at(folder.path(), Timestamp(hours(72).0 - 1));
    assert_eq!(states(&registry), [RemovalState::Kept]);
    assert!(registry.pending().unwrap().is_empty());
    drop(registry);

    let reader = dalsegno::Options::new()
        .clock(dalsegno::model::clock::FixedClock(hours(72)))
        .read_only(true)
        .open(folder.path())
        .unwrap();
    assert_eq!(reader.pending().unwrap().due, std::slice::from_ref(&id));
    assert_eq!(states(&reader), [RemovalState::Kept]);
    drop(reader);

    let registry = open_at(folder.path(), hours(72));
    assert_eq!(registry.recovery().purged, std::slice::from_ref(&id));
    assert_eq!(states(&registry), []);
    assert!(is_trash_empty(folder.path()));
    let removal = registry.removal(&id).unwrap().unwrap();
    assert_eq!(removal.state, RemovalState::Purged);
}

#[test]
fn what_is_kept_for_a_time_comes_back_within_it() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    drop(registry);
    keep_for(folder.path(), "72h");
    open_at(folder.path(), NOW)
        .remove_artifact(&target(ARRAY))
        .unwrap();
    let registry = open_at(folder.path(), hours(71));
    registry
        .restore(&RestoreTarget::Path(ARRAY.into()))
        .unwrap();
    drop(registry);
    let registry = open_at(folder.path(), hours(100));
    assert_eq!(paths(&registry), [ARRAY]);
    assert!(folder.path().join(ARRAY).join("0/0/0").exists());
}

#[test]
fn what_the_caller_says_goes_before_the_configuration() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    drop(registry);
    keep_for(folder.path(), "72h");
    let registry = open_at(folder.path(), NOW);
    let options = RemoveOptions::default().keep(TrashKeep::No);
    let report = registry.remove_target(&target(ARRAY), &options, &Silent);
    assert!(report.unwrap().purge.unwrap().is_done);
    assert!(is_trash_empty(folder.path()));
}

#[test]
fn what_waits_for_the_trash_to_be_emptied_waits_for_ever() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    registry
        .remove_target(&target(ARRAY), &kept(), &Silent)
        .unwrap();
    drop(registry);
    let registry = open_at(folder.path(), hours(24 * 3650));
    assert_eq!(states(&registry), [RemovalState::Kept]);
    let report = registry.empty_trash(None, &Silent).unwrap();
    assert_eq!((report.purged.len(), report.left.len()), (1, 0));
    assert_eq!((report.purge.is_done, report.purge.files), (true, 2));
    assert!(is_trash_empty(folder.path()));
}

#[test]
fn emptying_takes_only_what_is_older() {
    let folder = tempfile::tempdir().unwrap();
    for (at, run) in [(0, "a"), (10, "b"), (20, "c")] {
        let registry = open_at(folder.path(), hours(at));
        let path = format!("{run}/validation.zarr/1/a/prediction");
        array(&registry, &path);
        registry
            .remove_target(&target(&path), &kept(), &Silent)
            .unwrap();
    }
    let registry = open_at(folder.path(), hours(30));
    let older = |hours: u64| Some(Duration::from_secs(hours * 3600));
    // Ten hours old is not older than ten hours.
    for (than, left) in [(100, 3), (20, 2), (10, 1), (9, 0)] {
        registry.empty_trash(older(than), &Silent).unwrap();
        assert_eq!(states(&registry).len(), left, "{than}");
    }
    assert!(is_trash_empty(folder.path()));
}

#[test]
fn the_manifest_tells_without_the_catalog_what_was_removed() {
    let (folder, registry) = base();
    let sealed = array(&registry, ARRAY);
    let options = kept().reason("no longer needed");
    let report = registry
        .remove_target(&target(ARRAY), &options, &Silent)
        .unwrap();
    let id = report.removal.unwrap();
    let path = folder.path().join(crate::TRASH).join(id.as_str());
    let text = fs::read_to_string(path.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["removal"], id.as_str());
    assert_eq!(manifest["reason"], "no longer needed");
    assert_eq!(manifest["pid"], std::process::id());
    let item = &manifest["items"][0];
    assert_eq!(item["path"], ARRAY);
    let row = &manifest["artifacts"][0];
    assert_eq!(row["id"], sealed.id.0);
    assert_eq!((&row["item"], &row["files"]), (&0.into(), &2.into()));
    assert!(path.join("0/0/0/0").exists());
}

#[test]
fn what_a_power_cut_brings_back_of_a_purge_is_purged_again() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    let report = registry.remove_artifact(&target(ARRAY)).unwrap();
    let id = report.removal.unwrap();
    drop(registry);
    // The note that it is purged was durable, the unlinking was not.
    let item = folder.path().join(crate::TRASH).join(id.as_str()).join("0");
    fs::create_dir_all(item.join("1/a")).unwrap();
    fs::write(item.join("1/a/chunk"), "x").unwrap();
    let registry = open_at(folder.path(), NOW);
    assert_eq!(registry.recovery().problems, [""; 0]);
    assert_eq!(registry.recovery().purged, std::slice::from_ref(&id));
    assert!(is_trash_empty(folder.path()));
    let removal = registry.removal(&id).unwrap().unwrap();
    assert_eq!(removal.state, RemovalState::Purged);
}

#[test]
fn every_removal_with_default_options_follows_the_configuration() {
    let paths: Vec<String> = (1..=3)
        .map(|at| format!("r/validation.zarr/{at}/a/prediction"))
        .collect();
    let (folder, registry) = base();
    for path in &paths {
        array(&registry, path);
    }
    drop(registry);
    keep_for(folder.path(), "72h");
    let registry = open_at(folder.path(), NOW);
    let options = RemoveOptions::default();
    registry.remove_artifact(&target(&paths[0])).unwrap();
    registry
        .remove_target(&target(&paths[1]), &options, &Silent)
        .unwrap();
    let third = Filter::default().iterations([3.into()]);
    registry.remove_many(&third, &options, &Silent).unwrap();
    assert_eq!(states(&registry), [RemovalState::Kept; 3]);
    let trash = registry.trash().unwrap();
    assert!(trash.iter().all(|removal| removal.purge_after.is_some()));

    let now = registry.restore(&RestoreTarget::Path(paths[0].clone().into()));
    assert_eq!(now.unwrap().artifacts.len(), 1);
    let at_once = RemoveOptions::default().keep(TrashKeep::No);
    let report = registry
        .remove_target(&target(&paths[0]), &at_once, &Silent)
        .unwrap();
    assert!(report.purge.unwrap().is_done);
}

#[test]
fn a_plan_carried_out_with_default_options_follows_the_configuration() {
    let (folder, registry) = base();
    array(&registry, ARRAY);
    drop(registry);
    keep_for(folder.path(), "72h");
    // Long after the files were written, whatever the date.
    let registry = open_at(folder.path(), hours(24 * 365 * 50));
    let measure = RefreshOptions::new().measure(true);
    registry
        .refresh(&Filter::default(), measure, &Silent)
        .unwrap();
    let policy = Policy::default()
        .limit(Limits::default().max_files(1))
        .allow_empty_group(true);
    let request = GcRequest::new(Filter::default(), GcRules::Policy(policy));
    let plan = registry.plan_gc(&request).unwrap();
    let report = registry
        .apply_gc(&plan.file, &GcOptions::default(), &Silent, |_| {})
        .unwrap();
    assert_eq!((report.artifacts, report.purge), (1, None));
    assert_eq!(states(&registry), [RemovalState::Kept]);
    assert!(registry.trash().unwrap()[0].purge_after.is_some());
}

/// An age is asked for; what is past its own time goes after each change.
#[test]
fn emptying_by_age_takes_what_is_past_its_own_time_and_leaves_the_rest() {
    let (folder, registry) = base();
    let remove = |registry: &Registry, path: &str, keep: TrashKeep| {
        array(registry, path);
        let options = RemoveOptions::default().keep(keep);
        let report = registry.remove_target(&target(path), &options, &Silent);
        report.unwrap().removal.unwrap()
    };
    let hour = TrashKeep::For(Duration::from_secs(3600));
    let old = remove(
        &registry,
        "r/validation.zarr/1/a/prediction",
        TrashKeep::UntilEmptied,
    );
    drop(registry);
    let registry = open_at(folder.path(), hours(100));
    let waits = TrashKeep::For(Duration::from_secs(36_000));
    let kept = [
        remove(
            &registry,
            "r/validation.zarr/2/a/prediction",
            TrashKeep::UntilEmptied,
        ),
        remove(&registry, "r/validation.zarr/3/a/prediction", waits),
    ];
    let due = remove(&registry, "r/validation.zarr/4/a/prediction", hour);
    drop(registry);
    let options = Options::new().clock(FixedClock(hours(102)));
    let registry = options.purge_due(false).open(folder.path()).unwrap();
    assert_eq!(registry.trash().unwrap().len(), 4);
    let report = registry.empty_trash(Some(Duration::from_secs(36_000)), &Silent);
    assert_eq!(report.unwrap().purged, [old, due]);
    let left = registry.trash().unwrap().into_iter();
    let mut left: Vec<_> = left.map(|removal| removal.id).collect();
    left.sort();
    let mut kept = kept.to_vec();
    kept.sort();
    assert_eq!(left, kept);
}
