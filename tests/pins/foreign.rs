//! Seals, pins and scores of what is another run's data by its time: runs were renamed by hand.

use std::fs;

use dalsegno::model::filter::{Filter, IterationRange};
use dalsegno::model::key::Kind;
use dalsegno::model::note::Note;
use dalsegno::model::progress::Silent;
use dalsegno::model::score::Score;
use dalsegno::{
    Inbox, PinSelection, RefreshOptions, Registry, RemoveOptions, SealOptions, VerifyOptions,
};
use tempfile::TempDir;

use crate::scene::{base, days, get, key, of_kinds, of_run, paths, pin, scan, target, write_aged};

fn path(run: &str, iteration: i64) -> String {
    format!("{run}/validation.zarr/{iteration}/v/prediction")
}

/// Runs `a` and `b` with the same iterations, written at different times.
fn runs() -> (TempDir, Registry) {
    filled(base())
}

fn filled((folder, registry): (TempDir, Registry)) -> (TempDir, Registry) {
    for (run, age) in [("a", 50), ("b", 40)] {
        for iteration in 1..=3 {
            let age = days(age + u64::try_from(iteration).unwrap());
            write_aged(folder.path(), &path(run, iteration), age);
        }
    }
    scan(&registry);
    (folder, registry)
}

/// Gives the runs each other's names, as by hand.
fn swap(base: &TempDir) {
    let at = |run: &str| base.path().join(run);
    fs::rename(at("a"), at("t")).unwrap();
    fs::rename(at("b"), at("a")).unwrap();
    fs::rename(at("t"), at("b")).unwrap();
}

fn code<T: std::fmt::Debug>(result: dalsegno::Result<T>) -> String {
    result.unwrap_err().code().to_owned()
}

fn score(run: &str, iteration: i64) -> Score {
    let text = format!("run,iteration,voi\n{run},{iteration},0.5\n");
    dalsegno::model::score::parse(&text).unwrap().remove(0)
}

fn repair(registry: &Registry) {
    let report = registry
        .verify(&Filter::default(), VerifyOptions::new(), &Silent)
        .unwrap();
    registry.repair(&report.findings, &Silent).unwrap();
}

#[test]
fn a_seal_of_another_runs_data_is_refused() {
    for is_swap in [true, false] {
        let (folder, registry) = runs();
        if is_swap {
            swap(&folder);
        } else {
            fs::remove_dir_all(folder.path().join("a")).unwrap();
            fs::rename(folder.path().join("b"), folder.path().join("a")).unwrap();
        }
        let before = registry.select(&of_run("a")).unwrap();
        assert_eq!(
            code(registry.seal(&target(&path("a", 1)))),
            "of-another-run"
        );
        for hash in [false, true] {
            let options = SealOptions::new().hash(hash);
            let sealed = registry.seal_many(&before, options, &Silent);
            assert_eq!(code(sealed), "of-another-run");
        }
        assert_eq!(registry.select(&of_run("a")).unwrap(), before);
    }
}

#[test]
fn data_that_was_written_again_is_sealed() {
    let (folder, registry) = runs();
    for iteration in 1..=3 {
        write_aged(folder.path(), &path("a", iteration), days(5));
    }
    let rows = registry.select(&of_run("a")).unwrap();
    registry
        .seal_many(&rows, SealOptions::new(), &Silent)
        .unwrap();
    assert!(get(&registry, &path("a", 1)).sealed_at.is_some());
}

#[test]
fn a_noted_seal_of_another_runs_data_is_set_aside() {
    let (folder, registry) = runs();
    swap(&folder);
    let keys = [key(&path("a", 1))];
    let inbox = Inbox::open(folder.path()).unwrap();
    inbox.seal(&keys, SealOptions::new(), &Silent).unwrap();
    inbox.note(Note::Failed(key(&path("a", 2)))).unwrap();
    let before = registry.select(&of_run("a")).unwrap();
    drop((registry, inbox));
    let registry = Registry::open(folder.path()).unwrap();
    assert_eq!(registry.select(&of_run("a")).unwrap(), before);
    let refused = folder.path().join(".dalsegno/inbox/refused");
    assert_eq!(fs::read_dir(refused).unwrap().count(), 1);
}

#[test]
fn a_pin_on_another_runs_data_is_refused() {
    let (folder, registry) = runs();
    pin(&registry, "keep", &path("b", 1));
    swap(&folder);
    let one = vec![get(&registry, &path("a", 1))];
    let range = IterationRange {
        first: Some(2),
        last: Some(2),
    };
    let targets = [
        PinSelection::Artifacts(one),
        PinSelection::Filter(of_run("a")),
        PinSelection::Filter(of_run("b").iterations([range])),
        PinSelection::Filter(of_kinds(&[Kind::Prediction])),
    ];
    for target in targets {
        let pinned = registry.pin(&"x".parse().unwrap(), Some("figure"), &target);
        assert_eq!(code(pinned), "of-another-run", "{target:?}");
    }
    assert_eq!(registry.pins().unwrap().len(), 1);
    // What is pinned follows its data, and the same pins are taken then.
    repair(&registry);
    assert_eq!(get(&registry, &path("a", 1)).pins, ["keep"]);
    let run = PinSelection::Filter(of_run("a"));
    let change = registry.pin(&"x".parse().unwrap(), Some("figure"), &run);
    assert_eq!(change.unwrap().artifacts, 3);
}

#[test]
fn a_pin_on_what_has_no_data_is_taken() {
    let (folder, registry) = runs();
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    fs::rename(folder.path().join("b"), folder.path().join("a")).unwrap();
    let gone = PinSelection::Filter(of_run("b"));
    let change = registry.pin(&"x".parse().unwrap(), Some("figure"), &gone);
    assert_eq!(change.unwrap().artifacts, 3);
    assert_eq!(get(&registry, &path("b", 1)).pins, ["x"]);
}

#[test]
fn a_score_of_another_runs_data_is_refused() {
    let (folder, registry) = runs();
    swap(&folder);
    let scores = [score("c", 1), score("a", 1)];
    assert_eq!(code(registry.score(&scores)), "of-another-run");
    // An iteration without a row, and a run without one.
    registry.score(&[score("a", 9), score("c", 1)]).unwrap();
    repair(&registry);
    registry.score(&scores).unwrap();
}

#[test]
fn a_refresh_writes_into_no_row_what_is_another_runs() {
    let (folder, registry) = runs();
    swap(&folder);
    let before = registry.select(&of_kinds(&[Kind::Prediction])).unwrap();
    let options = RefreshOptions::new().all(true).measure(true).sealed(true);
    let everything = of_kinds(&[Kind::Prediction]);
    let report = registry.refresh(&everything, options, &Silent).unwrap();
    assert_eq!((report.changed, report.notices.len()), (0, 6));
    assert_eq!(registry.select(&everything).unwrap(), before);
    assert_eq!(paths(&registry).len(), 6);
}

/// What a pin binds goes under no other name that its folder, or the array itself, gets by hand:
/// neither by the row that a scan made there, nor as something unknown in a folder that goes.
#[test]
fn what_is_pinned_goes_under_no_name_that_it_gets_by_hand() {
    let renames: [(&[(&str, &str)], &str); 7] = [
        (&[("a/validation.zarr", "a/v2.zarr")], "a/v2.zarr"),
        (&[("a/validation.zarr", "b/v2.zarr")], "b/v2.zarr"),
        (
            &[("a/validation.zarr/1", "a/validation.zarr/7")],
            "a/validation.zarr/7",
        ),
        (
            &[("a/validation.zarr/1", "b/validation.zarr/7")],
            "b/validation.zarr",
        ),
        (
            &[("a/validation.zarr/1", "b/validation.zarr/old")],
            "b/validation.zarr",
        ),
        (
            &[(
                "a/validation.zarr/1/v/prediction",
                "a/validation.zarr/1/v/other",
            )],
            "a/validation.zarr/1/v/other",
        ),
        (
            &[
                ("a/validation.zarr/1/v", "t"),
                ("b/validation.zarr/2/v", "a/validation.zarr/1/v"),
                ("t", "b/validation.zarr/2/v"),
            ],
            "b/validation.zarr/2/v/prediction",
        ),
    ];
    let options = RemoveOptions::default();
    for (renames, gone) in renames {
        for is_scanned in [false, true] {
            let (folder, registry) = runs();
            pin(&registry, "keep", &path("a", 1));
            for (from, to) in renames {
                fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
            }
            if is_scanned {
                // To a scan an exchange below a container is data that was written again.
                if renames.len() > 1 {
                    continue;
                }
                scan(&registry);
            }
            // Without a scan, only what has a row can be named.
            let Ok(chosen) = registry.to_remove_at(gone) else {
                assert!(!is_scanned, "{gone}");
                continue;
            };
            let plan = registry.plan_removal(chosen).unwrap();
            let removed = registry.remove_planned(&plan, &options, &Silent);
            assert_eq!(
                code(removed),
                "pinned-elsewhere",
                "{renames:?} {is_scanned}"
            );
            // What was written at another time is not it.
            let other = registry.to_remove_at(path("b", 3)).unwrap();
            let plan = registry.plan_removal(other).unwrap();
            registry.remove_planned(&plan, &options, &Silent).unwrap();
        }
    }
}

/// A container follows under its new name also if a scan came in between, with what binds it. Into
/// another run it follows only if no pin of its run would be left behind.
#[test]
fn a_container_follows_after_a_scan_unless_a_pin_of_its_run_would_not() {
    for (to, whole_run, follows) in [
        ("a/v2.zarr", false, true),
        ("a/v2.zarr", true, true),
        ("b/v2.zarr", false, true),
        ("b/v2.zarr", true, false),
    ] {
        // By the clock of the file system, which says when a file was last changed.
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::create(folder.path()).unwrap();
        let (folder, registry) = filled((folder, registry));
        match whole_run {
            true => {
                let what = PinSelection::Filter(of_run("a"));
                let name = "keep".parse().unwrap();
                registry.pin(&name, Some("figure 2"), &what).unwrap();
            }
            false => pin(&registry, "keep", &path("a", 1)),
        }
        let from = folder.path().join("a/validation.zarr");
        fs::rename(&from, folder.path().join(to)).unwrap();
        scan(&registry);
        repair(&registry);
        let new = get(&registry, &format!("{to}/1/v/prediction"));
        let is_same = follows || to.starts_with('a');
        assert_eq!(new.pins == ["keep"], is_same, "{to} {whole_run}");
        let old = registry.at(path("a", 1)).unwrap();
        assert_eq!(old.is_empty(), follows, "{to} {whole_run}");
    }
}

/// By the clock of the file system, which says when a file was last changed.
fn runs_of_now() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::create(folder.path()).unwrap();
    filled((folder, registry))
}

/// A scan that saw a run or container under its new name made rows of the data; no word about them
/// is taken, because the rows of the old name could not follow then.
#[test]
fn no_word_is_taken_about_what_a_scan_saw_under_a_name_given_by_hand() {
    for (from, to) in [
        ("a", "d"),
        ("a/validation.zarr", "a/v2.zarr"),
        ("a/validation.zarr", "b/v2.zarr"),
        ("a/validation.zarr", "d/validation.zarr"),
    ] {
        for is_written_on in [false, true] {
            let (folder, registry) = runs_of_now();
            let base = folder.path();
            pin(&registry, "keep", &path("a", 1));
            let id = get(&registry, &path("a", 1)).id;
            fs::create_dir_all(base.join(to).parent().unwrap()).unwrap();
            fs::rename(base.join(from), base.join(to)).unwrap();
            let new = |n: i64| path("a", n).replacen(from, to, 1);
            if is_written_on {
                // A training goes on under the new name.
                for iteration in 10..50 {
                    write_aged(base, &new(iteration), days(1));
                }
            }
            scan(&registry);
            let rows: Vec<_> = registry
                .select(&Filter::default())
                .unwrap()
                .into_iter()
                .filter(|row| row.location().path().starts_with(&format!("{to}/")))
                .collect();
            let context = format!("{from} {to} {is_written_on}");
            let sealed = registry.seal(&target(&new(1)));
            assert_eq!(code(sealed), "of-another-run", "{context}");
            for hash in [false, true] {
                let options = SealOptions::new().hash(hash);
                let sealed = registry.seal_many(&rows, options, &Silent);
                assert_eq!(code(sealed), "of-another-run", "{context}");
            }
            let name = "x".parse().unwrap();
            for rows in [vec![get(&registry, &new(2))], rows] {
                let what = PinSelection::Artifacts(rows);
                let pinned = registry.pin(&name, Some("figure"), &what);
                assert_eq!(code(pinned), "of-another-run", "{context}");
            }
            if to.starts_with('d') {
                let what = PinSelection::Filter(of_run("d"));
                let pinned = registry.pin(&name, Some("figure"), &what);
                assert_eq!(code(pinned), "of-another-run", "{context}");
                let scored = registry.score(&[score("d", 1)]);
                assert_eq!(code(scored), "of-another-run", "{context}");
            }
            if is_written_on {
                registry.seal(&target(&new(10))).unwrap();
            }
            repair(&registry);
            let row = get(&registry, &new(1));
            assert_eq!(
                (row.id, &row.pins[..]),
                (id, &["keep".to_owned()][..]),
                "{context}"
            );
            registry.seal(&target(&new(1))).unwrap();
            pin(&registry, "x", &new(2));
        }
    }
}

#[test]
fn a_noted_seal_of_what_a_scan_saw_under_a_name_given_by_hand_is_set_aside() {
    let (folder, registry) = runs_of_now();
    fs::rename(folder.path().join("a"), folder.path().join("d")).unwrap();
    scan(&registry);
    let inbox = Inbox::open(folder.path()).unwrap();
    let keys = [key(&path("d", 1))];
    inbox.seal(&keys, SealOptions::new(), &Silent).unwrap();
    drop((registry, inbox));
    let registry = Registry::open(folder.path()).unwrap();
    assert_eq!(get(&registry, &path("d", 1)).sealed_at, None);
    let refused = folder.path().join(".dalsegno/inbox/refused");
    assert_eq!(fs::read_dir(refused).unwrap().count(), 1);
}

/// A copy has files of its own, whatever became of the original.
#[test]
fn a_copy_whose_original_is_gone_is_sealed_and_pinned() {
    let (folder, registry) = runs_of_now();
    for iteration in 1..=3 {
        write_aged(
            folder.path(),
            &path("copy", iteration),
            days(50 + u64::try_from(iteration).unwrap()),
        );
    }
    scan(&registry);
    fs::remove_dir_all(folder.path().join("a")).unwrap();
    registry.seal(&target(&path("copy", 1))).unwrap();
    pin(&registry, "x", &path("copy", 2));
    registry.score(&[score("copy", 3)]).unwrap();
}

/// Writes an array of a shape, in files of one time, as an archive has them.
fn write_shaped(folder: &TempDir, path: &str, side: u32) {
    write_aged(folder.path(), path, days(50));
    let metadata =
        format!(r#"{{"zarr_format":2,"shape":[{side},{side}],"chunks":[2,2],"dtype":"|u1"}}"#);
    let array = folder.path().join(path);
    fs::write(array.join(".zarray"), metadata).unwrap();
    crate::scene::date_all(&array, dalsegno::model::clock::Timestamp(1_690_000_000_000));
}

/// A pin whose array is gone, or damaged, binds what a rename by hand may have made of it: nothing
/// else, though all files have one time.
#[test]
fn what_just_has_the_time_of_a_lost_pinned_array_goes() {
    let lost = "a/validation.zarr/2/v/prediction";
    // Of another kind; of another shape; with fewer files.
    let free = [
        "b/validation.zarr/2/v/output/t=1",
        "b/validation.zarr/2/v/prediction",
        "b/validation.zarr/3/v/prediction",
    ];
    for is_damaged in [false, true] {
        let (folder, registry) = base();
        write_shaped(&folder, lost, 4);
        write_shaped(&folder, free[0], 4);
        write_shaped(&folder, free[1], 8);
        write_shaped(&folder, free[2], 4);
        let chunk = folder.path().join(lost).join("1.1");
        fs::write(&chunk, [1; 9]).unwrap();
        let at = dalsegno::model::clock::Timestamp(1_690_000_000_000);
        crate::scene::date_all(&folder.path().join(lost), at);
        let scanned = dalsegno::ScanOptions::default().measure(true);
        registry.scan(scanned, &Silent).unwrap();
        pin(&registry, "keep", lost);
        match is_damaged {
            true => fs::write(folder.path().join(lost).join(".zarray"), "x").unwrap(),
            false => fs::remove_dir_all(folder.path().join(lost)).unwrap(),
        }
        for path in free {
            let chosen = registry.to_remove_at(path).unwrap();
            let plan = registry.plan_removal(chosen).unwrap();
            let removed = registry.remove_planned(&plan, &RemoveOptions::default(), &Silent);
            removed.unwrap_or_else(|error| panic!("{path} {is_damaged}: {error}"));
        }
    }
    // What is like it in all of that may be it.
    let (folder, registry) = base();
    write_shaped(&folder, lost, 4);
    scan(&registry);
    pin(&registry, "keep", lost);
    fs::rename(folder.path().join("a"), folder.path().join("c")).unwrap();
    scan(&registry);
    let chosen = registry.to_remove_at(lost.replacen('a', "c", 1)).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    let removed = registry.remove_planned(&plan, &RemoveOptions::default(), &Silent);
    assert_eq!(code(removed), "pinned-elsewhere");
}
