//! An array is as old as the newest of its metadata, its folders and its chunks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::retention::{KeepRules, Limits, Policy, RunPolicy, SelectRules};
use dalsegno::{GcRequest, GcRules, Registry, RemoveOptions};

use crate::apply::{apply, keep_last, removed, skipped};
use crate::scene::{
    NOW, base, date, date_all, days, of_kinds, open_at, paths, prediction, scan, write_aged,
};

const HOUR: Duration = Duration::from_secs(3600);

/// Three predictions that are ten days old by metadata, folders and chunks.
fn old() -> (tempfile::TempDir, Registry) {
    let (folder, registry) = base();
    for iteration in 1..=3 {
        write_aged(folder.path(), &prediction(iteration), days(10));
    }
    scan(&registry);
    (folder, registry)
}

/// Writes a chunk of an array at a moment; its metadata stays as old as it is.
fn write_chunk(base: &Path, array: &str, chunk: &str, at: Timestamp) {
    let path = base.join(array).join(chunk);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "a chunk").unwrap();
    let mut folder = path.as_path();
    while folder != base.join(array) {
        date(folder, at);
        folder = folder.parent().unwrap();
    }
    date(folder, at);
}

fn policy(keep: KeepRules) -> GcRequest {
    GcRequest::new(
        Filter::default(),
        GcRules::Policy(Policy::default().keep(keep)),
    )
}

fn goes(registry: &Registry, request: &GcRequest) -> Vec<String> {
    removed(&registry.plan_gc(request).unwrap())
}

#[test]
fn what_workers_still_fill_stays_though_its_metadata_is_old() {
    let (folder, registry) = old();
    let keep = KeepRules::default().last(1).within(2 * HOUR);
    assert_eq!(goes(&registry, &policy(keep.clone())).len(), 2);
    for (iteration, chunk) in [(1, "0.1"), (2, "0/1")] {
        let at = NOW.minus(HOUR + HOUR / 2);
        write_chunk(folder.path(), &prediction(iteration), chunk, at);
    }
    assert_eq!(goes(&registry, &policy(keep)), Vec::<String>::new());
    // The rule alone would take both; the guard holds for what was written within the last hour.
    assert_eq!(goes(&registry, &keep_last(1)).len(), 2);
    write_chunk(folder.path(), &prediction(2), "0/2", NOW.minus(HOUR / 2));
    assert_eq!(goes(&registry, &keep_last(1)), [prediction(1)]);
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let line = plan.line_at(Path::new(&prediction(2))).unwrap();
    assert_eq!(line.reasons[0].to_string(), "recent: written 30m ago");
    assert_eq!(line.age, Some(HOUR / 2));
}

#[test]
fn a_chunk_that_is_written_in_place_counts() {
    let (folder, registry) = old();
    date(&folder.path().join(prediction(1)).join("0.0"), NOW);
    assert_eq!(goes(&registry, &keep_last(1)), [prediction(2)]);
}

#[test]
fn a_limit_takes_what_is_at_rest_instead() {
    let (folder, registry) = old();
    write_chunk(folder.path(), &prediction(1), "0.1", NOW);
    scan(&registry);
    let limits = Limits::default().max_files(4);
    let rules = GcRules::Policy(Policy::default().limit(limits));
    let request = GcRequest::new(Filter::default(), rules);
    assert_eq!(goes(&registry, &request), [prediction(2), prediction(3)]);
}

#[test]
fn selections_by_age_go_by_the_data() {
    let (folder, registry) = old();
    write_chunk(folder.path(), &prediction(1), "0.1", NOW.minus(days(3)));
    let select = SelectRules::default().older_than(days(7));
    let keep = KeepRules::default().iterations([3]);
    let rules = GcRules::Policy(Policy::default().select(select).keep(keep));
    let request = GcRequest::new(Filter::default(), rules);
    assert_eq!(goes(&registry, &request), [prediction(2)]);
    let within = policy(KeepRules::default().within(days(7)));
    assert_eq!(goes(&registry, &within), [prediction(2), prediction(3)]);
    let rules = GcRules::Runs(RunPolicy::default().older_than(days(7)));
    let runs = GcRequest::new(of_kinds(&[Kind::Prediction]), rules);
    assert_eq!(goes(&registry, &runs), Vec::<String>::new());

    let filter = Filter::default().older_than(days(7));
    let options = RemoveOptions::default();
    registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(paths(&registry), [prediction(1)]);
}

#[test]
fn a_container_is_as_old_as_what_is_in_it() {
    let (folder, registry) = base();
    write_aged(folder.path(), &prediction(1), days(10));
    registry
        .record(&crate::scene::key("mito/validation.zarr"))
        .unwrap();
    scan(&registry);
    date_all(&folder.path().join("mito"), NOW.minus(days(10)));
    scan(&registry);
    write_chunk(folder.path(), &prediction(1), "0.1", NOW.minus(days(3)));
    let filter = of_kinds(&[Kind::ValidationContainer]).older_than(days(7));
    let options = RemoveOptions::default();
    let report = registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(report.removal, None);
    assert!(folder.path().join(prediction(1)).join("0.1").exists());
}

#[test]
fn what_is_written_after_the_plan_stays() {
    let (folder, registry) = old();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    let later = NOW.plus(5 * HOUR);
    write_chunk(folder.path(), &prediction(1), "1/0", later);
    let registry = open_at(folder.path(), later);
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(
        skipped(&registry, &report),
        [
            "mito/validation.zarr/1/crop1/prediction changed-since-plan: \
             mito/validation.zarr/1/crop1/prediction was written since it was planned"
        ]
    );
    assert_eq!(report.artifacts, 1);

    // A removal that was selected by age checks it again, too.
    let filter = Filter::default().iterations([1.into()]).older_than(HOUR);
    date_all(&folder.path().join(prediction(1)), later.minus(2 * HOUR));
    let chosen = registry.to_remove_selected(&filter).unwrap();
    assert_eq!(chosen.len(), 1);
    write_chunk(folder.path(), &prediction(1), "1/1", later);
    let options = RemoveOptions::default();
    let error = registry
        .remove_artifacts(chosen, &options, &Silent)
        .unwrap_err();
    assert_eq!(error.code(), "changed-since-plan");
}

#[test]
fn what_cannot_be_looked_at_stays() {
    // Root reads every folder.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let (folder, registry) = old();
    let chunks = folder.path().join(prediction(1)).join("1");
    write_chunk(folder.path(), &prediction(1), "1/0", NOW.minus(days(9)));
    fs::set_permissions(&chunks, fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(goes(&registry, &keep_last(1)), [prediction(2)]);
    fs::set_permissions(&chunks, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_stays_and_was_damaged_since_the_plan_lets_nothing_go() {
    let (folder, registry) = old();
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    assert_eq!(removed(&plan), [prediction(1), prediction(2)]);
    fs::write(folder.path().join(prediction(3)).join(".zarray"), "").unwrap();
    let report = apply(&registry, &plan.file, TrashKeep::No);
    assert_eq!(report.artifacts, 1);
    assert_eq!(
        skipped(&registry, &report)[0].split(':').next(),
        Some("mito/validation.zarr/2/crop1/prediction plan-empties-group")
    );
    assert!(folder.path().join(prediction(2)).exists());
    // A plan that is made now does the same by itself.
    let plan = registry.plan_gc(&keep_last(1)).unwrap();
    assert_eq!(removed(&plan), Vec::<String>::new());
}

#[test]
fn what_is_damaged_can_be_removed_by_its_state() {
    let (folder, registry) = old();
    fs::write(folder.path().join(prediction(1)).join(".zarray"), "junk").unwrap();
    let options = dalsegno::RefreshOptions::new().all(true);
    registry
        .refresh(&Filter::default(), options, &Silent)
        .unwrap();
    let filter = Filter::default()
        .states([dalsegno::model::artifact::State::Damaged])
        .older_than(days(7));
    date_all(&folder.path().join(prediction(1)), NOW.minus(days(9)));
    let options = RemoveOptions::default();
    registry.remove_many(&filter, &options, &Silent).unwrap();
    assert_eq!(paths(&registry), [prediction(2), prediction(3)]);
    assert!(!folder.path().join(prediction(1)).exists());
}
