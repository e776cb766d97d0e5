//! What is gone by its row, because a folder above it was renamed by hand, and is removed then.

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, RemoveOptions, ScanOptions};
use tempfile::TempDir;

use crate::{NOW, array, base, code, kept, key, of_run, open_at, paths, target, write};

const CONTAINER: &str = "r/validation.zarr";
const ARRAYS: [&str; 4] = [
    "r/validation.zarr/1/a/prediction",
    "r/validation.zarr/1/a/output/p",
    "r/validation.zarr/1/b/prediction",
    "r/validation.zarr/2/a/prediction",
];
const CHECKPOINT: &str = "r/checkpoints/iterations/1";
/// A run with arrays at the same places, and one without.
const BESIDE: [&str; 3] = [
    "s/validation.zarr/1/a/prediction",
    "s/validation.zarr/1/a/output/p",
    "t/validation.zarr/3/a/prediction",
];

/// Gives a file a time that no other file has.
fn date(file: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(file).unwrap();
    let written = UNIX_EPOCH + Duration::from_secs(1_600_000_000 + seconds);
    file.set_modified(written).unwrap();
}

fn scene() -> (TempDir, Registry) {
    let (folder, registry) = base();
    for (path, seconds) in ARRAYS.into_iter().chain(BESIDE).zip(0..) {
        registry.record(&key(path)).unwrap();
        write(folder.path(), path);
        date(&folder.path().join(path).join(".zarray"), seconds);
        registry.seal(&target(path)).unwrap();
    }
    let file = folder.path().join(CHECKPOINT);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "8 bytes.").unwrap();
    date(&file, 100);
    registry.record(&key(CHECKPOINT)).unwrap();
    registry.seal(&target(CHECKPOINT)).unwrap();
    (folder, registry)
}

fn rename(base: &Path, from: &str, to: &str) {
    fs::create_dir_all(base.join(to).parent().unwrap()).unwrap();
    fs::rename(base.join(from), base.join(to)).unwrap();
}

/// Folders as a user renames them, and one path of what they hold, before and after.
const RENAMES: [(&str, &str, &str, &str); 7] = [
    (
        "r/validation.zarr/1/a/prediction",
        "r/validation.zarr/1/a/prediction_old",
        "",
        "",
    ),
    (
        "r/validation.zarr/1/a",
        "r/validation.zarr/1/a_old",
        "prediction",
        "prediction",
    ),
    (
        "r/validation.zarr/1",
        "r/validation.zarr/1_old",
        "a/output/p",
        "a/output/p",
    ),
    (
        "r/validation.zarr",
        "r/old.zarr",
        "2/a/prediction",
        "2/a/prediction",
    ),
    (
        "r/validation.zarr",
        "r/validation.zarr.bak",
        "1/b/prediction",
        "1/b/prediction",
    ),
    (
        "r",
        "r2",
        "validation.zarr/1/a/prediction",
        "validation.zarr/1/a/prediction",
    ),
    // Into a run that goes on.
    (
        "r/validation.zarr/1",
        "t/validation.zarr/1",
        "a/prediction",
        "a/prediction",
    ),
];

fn joined(folder: &str, rest: &str) -> String {
    let path = format!("{folder}/{rest}");
    path.trim_end_matches('/').to_owned()
}

#[test]
fn the_row_of_data_that_was_renamed_by_hand_stays() {
    for (from, to, old, new) in RENAMES {
        for is_seen_to_be_gone in [false, true] {
            let (folder, registry) = scene();
            rename(folder.path(), from, to);
            if is_seen_to_be_gone {
                registry
                    .refresh(&Filter::default(), Default::default(), &Silent)
                    .unwrap();
            }
            let before = paths(&registry);
            let (old, new) = (joined(from, old), joined(to, new));
            for options in [RemoveOptions::default(), kept()] {
                let removed = registry.remove_target(&target(&old), &options, &Silent);
                let error = removed.unwrap_err();
                assert_eq!(error.code(), "renamed-by-hand", "{from} {to}");
                let text = error.to_string();
                assert!(text.contains(&old) && text.contains(&new), "{text}");
            }
            let plan = registry
                .plan_removal(registry.to_remove(&target(&old)).unwrap())
                .unwrap();
            let bound = registry
                .protected(&plan, &RemoveOptions::default())
                .unwrap();
            let codes: Vec<_> = bound.iter().map(|bound| bound.code).collect();
            assert_eq!(codes, ["renamed-by-hand"]);
            assert_eq!(paths(&registry), before);
            // The way past it, which leaves the data.
            let forced = RemoveOptions::default().force_pinned(true);
            assert!(registry.protected(&plan, &forced).unwrap().is_empty());
            registry
                .remove_target(&target(&old), &forced, &Silent)
                .unwrap();
            assert_eq!(paths(&registry).len(), before.len() - 1);
            assert!(folder.path().join(&new).join(".zarray").exists());
        }
    }
}

#[test]
fn with_keep_going_it_is_skipped_and_the_rest_goes() {
    let (folder, registry) = scene();
    rename(
        folder.path(),
        "r/validation.zarr/1/a",
        "r/validation.zarr/1/a_old",
    );
    // This one was deleted: its row is no obstacle.
    fs::remove_dir_all(folder.path().join(ARRAYS[2])).unwrap();
    let options = kept().keep_going(true);
    let report = registry
        .remove_many(&of_run("r"), &options, &Silent)
        .unwrap();
    let skipped: Vec<_> = report.skipped.iter().map(|one| one.code).collect();
    assert_eq!(skipped, ["renamed-by-hand"; 2]);
    assert_eq!((report.moved, report.missing.len()), (1, 1));
    let mut left = paths(&registry);
    left.retain(|path| path.starts_with("r/"));
    assert_eq!(left, [ARRAYS[1], ARRAYS[0]]);
}

#[test]
fn a_container_and_a_whole_run_that_were_renamed_or_lost_a_part_stay() {
    let run = |registry: &Registry| registry.plan_run_removal(&"r".parse().unwrap()).unwrap();
    let container = |registry: &Registry| {
        let chosen = registry.to_remove_at(CONTAINER).unwrap();
        registry.plan_removal(chosen).unwrap()
    };
    let cases: [(&str, &str, [&str; 2]); 5] = [
        ("r", "r2", ["renamed-by-hand"; 2]),
        ("r/validation.zarr", "r/old.zarr", ["renamed-by-hand", "ok"]),
        (
            "r/validation.zarr/1",
            "t/validation.zarr/1",
            ["renamed-by-hand"; 2],
        ),
        // It goes with the container, or the run, in which it has another name.
        (
            "r/validation.zarr/1/a",
            "r/validation.zarr/1/a_old",
            ["ok"; 2],
        ),
        (
            "r/checkpoints/iterations/1",
            "r/checkpoints/iterations/1.bak",
            ["ok"; 2],
        ),
    ];
    for (from, to, expected) in cases {
        for (plan, expected) in [container, run].into_iter().zip(expected) {
            let (folder, registry) = scene();
            registry.record(&key(CONTAINER)).unwrap();
            rename(folder.path(), from, to);
            let plan = plan(&registry);
            let removed = registry.remove_planned(&plan, &kept(), &Silent);
            assert_eq!(code(removed), expected, "{from} {to}");
        }
    }
}

#[test]
fn a_checkpoint_is_known_by_its_time_and_size() {
    for (length, expected) in [(8, "renamed-by-hand"), (9, "ok")] {
        let (folder, registry) = scene();
        let there = folder.path().join("r/checkpoints/iterations/1.bak");
        rename(folder.path(), CHECKPOINT, "r/checkpoints/iterations/1.bak");
        fs::write(&there, vec![b'x'; length]).unwrap();
        date(&there, 100);
        assert_eq!(
            code(registry.remove_artifact(&target(CHECKPOINT))),
            expected
        );
    }
}

#[test]
fn a_scan_after_the_rename_leaves_the_question_open_until_its_row_is_sealed() {
    let (folder, _) = scene();
    rename(folder.path(), "r/validation.zarr/1", "r/validation.zarr/10");
    let later = open_at(folder.path(), Timestamp(NOW.0 + 1000));
    later.scan(ScanOptions::default(), &Silent).unwrap();
    let removed = later.remove_artifact(&target(ARRAYS[0]));
    assert_eq!(code(removed), "renamed-by-hand");
    // A seal of the new row says that its user knows of the data.
    let new = "r/validation.zarr/10/a/prediction";
    later.seal(&target(new)).unwrap();
    later.remove_artifact(&target(ARRAYS[0])).unwrap();
    assert!(folder.path().join(new).is_dir());
    // A removal that takes both leaves nothing behind.
    let report = later.remove_many(&of_run("r"), &kept(), &Silent).unwrap();
    assert!(report.skipped.is_empty());
    assert!(!folder.path().join("r/validation.zarr/10").exists());
}

#[test]
fn of_two_places_neither_is_certain_and_the_row_stays() {
    let (folder, registry) = scene();
    let path = |name: &str| format!("r/validation.zarr/1/{name}/prediction");
    for name in ["c", "d"] {
        write(folder.path(), &path(name));
        date(&folder.path().join(path(name)).join(".zarray"), 0);
    }
    fs::remove_dir_all(folder.path().join(ARRAYS[0])).unwrap();
    let error = registry.remove_artifact(&target(ARRAYS[0])).unwrap_err();
    assert_eq!(error.code(), "renamed-by-hand");
    assert!(error.to_string().contains(&path("c")), "{error}");
}

#[test]
fn what_was_deleted_before_a_rename_does_not_hide_the_rest() {
    let (folder, registry) = base();
    let path = |iteration: usize| format!("r/validation.zarr/{iteration}/a/prediction");
    for iteration in 0..60 {
        array(&registry, &path(iteration));
    }
    for iteration in 0..30 {
        fs::remove_dir_all(folder.path().join(path(iteration))).unwrap();
    }
    rename(folder.path(), "r", "r2");
    let options = RemoveOptions::default().keep_going(true);
    let report = registry
        .remove_many(&of_run("r"), &options, &Silent)
        .unwrap();
    assert_eq!(report.skipped.len(), 30);
    assert_eq!(report.missing.len(), 30);
    let mut left: Vec<String> = (30..60).map(path).collect();
    left.sort();
    assert_eq!(paths(&registry), left);
}

#[test]
fn what_was_deleted_goes_though_other_data_is_at_the_same_places_elsewhere() {
    let (folder, registry) = scene();
    // Written again under another name: not what the row is of.
    write(folder.path(), "u/validation.zarr/1/a/prediction");
    fs::remove_dir_all(folder.path().join("r")).unwrap();
    let report = registry.remove_many(&of_run("r"), &RemoveOptions::default(), &Silent);
    assert_eq!(report.unwrap().missing.len(), ARRAYS.len());
}
