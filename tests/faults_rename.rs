//! A rename of a run, killed and failed at every call that changes something: afterwards the run
//! has one name or the other, everywhere, and the next open for writing leaves nothing behind.
//!
//! ```text
//! DALSEGNO_FAULT=pwrite64:7 cargo test --all-features --test faults_rename killed -- --nocapture
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "child/fault.rs"]
mod fault;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "child/plain.rs"]
mod plain;
#[path = "child/strace.rs"]
mod strace;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::score::Score;
use dalsegno::{
    PinSelection, Registry, RemoveOptions, RenameOptions, ScanOptions, ScoreQuery, VerifyClass,
    VerifyOptions,
};
use tempfile::TempDir;

use fault::{CHANGES, in_order, trace};

/// The body of a child: prints `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    // SAFETY: a plain system call; it lets strace attach if only parents may trace.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    child::say("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let done = Registry::open(&base).and_then(|registry| {
        if action == "open" {
            return Ok(());
        }
        if action == "remove" {
            let plan = registry.plan_run_removal(&"a".parse().unwrap())?;
            let options = RemoveOptions::default().force_pinned(true);
            return registry.remove_planned(&plan, &options, &Silent).map(drop);
        }
        let options = RenameOptions::default().active(true);
        registry.rename_run(&"a".parse().unwrap(), &"b/c".parse().unwrap(), &options)?;
        Ok(())
    });
    child::say(&child::outcome(done));
}

/// Consolidated metadata of the base directory, which a run does not take along.
const LIST: &str = ".zmetadata";

fn list(run: &str) -> String {
    let entry = |key| {
        let path = dalsegno::model::layout::locate(&key).path();
        format!(r#""{path}/.zarray":{{}}"#)
    };
    let arrays = [
        child::prediction(run, 1),
        child::prediction(run, 2),
        child::prediction("other", 1),
    ];
    // In the order that zarr writes, which a rename keeps.
    let mut entries = arrays.map(entry);
    entries.sort();
    let entries = entries.join(",");
    format!(r#"{{"metadata":{{{entries}}},"zarr_consolidated_format":1}}"#)
}

fn scene() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let base = folder.path();
    for iteration in [1, 2] {
        child::write_array(base, &child::prediction("a", iteration));
    }
    child::write_array(base, &child::prediction("other", 1));
    fs::write(base.join("a/log.txt"), "x").unwrap();
    fs::write(base.join(LIST), list("a")).unwrap();
    let registry = Registry::create(base).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let score = Score::new("a".parse().unwrap(), 1, "voi".parse().unwrap(), 0.5);
    registry.score(&[score]).unwrap();
    let pinned = PinSelection::Filter(Filter::default().runs(["a"]));
    registry
        .pin(&"p".parse().unwrap(), Some("x"), &pinned)
        .unwrap();
    folder
}

/// What a child finds that does this.
fn scene_of(action: &str) -> TempDir {
    match action {
        "open" => interrupted(),
        _ => scene(),
    }
}

/// A rename that was killed before its commit, and whose old name a training took again.
fn interrupted() -> TempDir {
    let folder = scene();
    let base = folder.path();
    let registry = Registry::open(base).unwrap();
    let last = registry.select(&Filter::default()).unwrap().len();
    drop(registry);
    let inode = fs::metadata(base.join("a")).unwrap().ino();
    fs::create_dir(base.join("b")).unwrap();
    fs::rename(base.join("a"), base.join("b/c")).unwrap();
    let id = "20260101-000000-abcdef";
    let trash = base.join(".dalsegno/trash").join(id);
    fs::create_dir_all(&trash).unwrap();
    let note = format!(
        r#"{{"rename":"{id}","from":"a","to":"b/c","operation":99,"last_row":{last},"device":1,"inode":{inode}}}"#
    );
    fs::write(trash.join("renaming.json"), note).unwrap();
    child::write_array(base, &child::prediction("a", 1));
    folder
}

/// The same if the list could not be written: then `verify` finds it, and mends it.
fn is_renamed_but_for_the_list(base: &Path, point: &str) -> bool {
    let name = if base.join("b/c").is_dir() {
        "b/c"
    } else {
        "a"
    };
    if fs::read_to_string(base.join(LIST)).unwrap() != list(name) {
        let registry = Registry::open(base).unwrap();
        let report = registry.verify(&Filter::default(), VerifyOptions::new(), &Silent);
        let found = report.unwrap().findings;
        let classes: Vec<VerifyClass> = found.iter().map(|found| found.class).collect();
        assert_eq!(classes, [VerifyClass::StaleList], "{point}");
        assert_eq!(
            registry.repair(&found, &Silent).unwrap().left,
            [],
            "{point}"
        );
        // A repair takes out what is gone, and puts nothing in.
        fs::write(base.join(LIST), list(name)).unwrap();
    }
    is_renamed(base, point)
}

/// Checks that everything has one name, and says whether that is the new one.
fn is_renamed(base: &Path, point: &str) -> bool {
    let registry = Registry::open(base).unwrap();
    let is_new = base.join("b/c").is_dir();
    let name = if is_new { "b/c" } else { "a" };
    assert_ne!(base.join("a").exists(), is_new, "{point}");
    let listed = fs::read_to_string(base.join(LIST)).unwrap();
    assert_eq!(listed, list(name), "{point}");
    let rows = registry.select(&Filter::default()).unwrap();
    let runs: BTreeSet<&str> = rows.iter().map(|row| row.key.run().as_str()).collect();
    assert_eq!(runs, BTreeSet::from([name, "other"]), "{point}");
    let pinned = rows.iter().filter(|row| row.pins == ["p"]);
    assert_eq!(pinned.count(), 2, "{point}");
    is_scored(&registry, name, point);
    is_settled(&registry, point);
    is_new
}

/// Writes the old name anew, as a training that goes on does, and scans: what was bound to the run
/// has the name of its data, and the new data is bound by nothing.
fn is_renamed_beside_a_training(base: &Path, point: &str) -> bool {
    let is_new = base.join("b/c").is_dir();
    if is_new {
        for iteration in [1, 9] {
            child::write_array(base, &child::prediction("a", iteration));
        }
    }
    let registry = Registry::open(base).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let name = if is_new { "b/c" } else { "a" };
    let rows = registry.select(&Filter::default()).unwrap();
    let of = |run: &str, pins: &[&str]| {
        let rows = rows.iter().filter(|row| row.key.run().as_str() == run);
        rows.filter(|row| row.pins == pins).count()
    };
    assert_eq!(of(name, &["p"]), 2, "{point}");
    assert_eq!(of("a", &[]), if is_new { 2 } else { 0 }, "{point}");
    assert_eq!(rows.len(), if is_new { 5 } else { 3 }, "{point}");
    is_scored(&registry, name, point);
    is_settled(&registry, point);
    is_new
}

/// Checks that the score is that of the run with this name.
fn is_scored(registry: &Registry, name: &str, point: &str) {
    let mut scored = Vec::new();
    let query = ScoreQuery::default();
    registry
        .scores(&query, |score| {
            scored.push(score.run.to_string());
            Ok(())
        })
        .unwrap();
    assert_eq!(scored, [name], "{point}");
}

/// Checks that nothing is left to do or to find.
fn is_settled(registry: &Registry, point: &str) {
    assert_eq!(registry.recovery().problems, [""; 0], "{point}");
    let options = VerifyOptions::new().indices(true);
    let report = registry.verify(&Filter::default(), options, &Silent);
    assert_eq!(report.unwrap().findings, [], "{point}");
    let checked = registry.check_history(None).unwrap();
    assert_eq!(checked.broken, None, "{point}");
    let trash = registry.base().join(".dalsegno/trash");
    assert_eq!(fs::read_dir(trash).map_or(0, Iterator::count), 0, "{point}");
}

/// Says of a base directory and the name of a point whether the change is done.
type Check = fn(&Path, &str) -> bool;

/// Checks that the run is whole or gone, and says whether it is gone.
fn is_gone(base: &Path, point: &str) -> bool {
    let registry = Registry::open(base).unwrap();
    let is_gone = !base.join("a").exists();
    let rows = registry.select(&Filter::default()).unwrap();
    assert_eq!(rows.len(), if is_gone { 1 } else { 3 }, "{point}");
    assert_ne!(base.join("a/log.txt").exists(), is_gone, "{point}");
    is_settled(&registry, point);
    is_gone
}

/// Every call of a rename that changes something, from its first to its last.
fn points(action: &str, is_done: Check) -> Option<Vec<(String, usize)>> {
    let scene = scene_of(action);
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("trace");
    let expression = format!("trace={CHANGES}");
    let Some(traced) = trace(action, scene.path(), &expression, &output) else {
        strace::left_out::left_out("strace cannot join a process here");
        return None;
    };
    assert_eq!(traced.said, ["ok"], "{}", traced.stderr);
    assert!(is_done(scene.path(), "no fault"));
    let calls = in_order(&fs::read_to_string(output).unwrap());
    assert!(calls.len() > 20, "{calls:?}");
    let calls: BTreeSet<(String, usize)> = calls.into_iter().collect();
    let only = std::env::var("DALSEGNO_FAULT").ok();
    let is_asked = |(call, number): &(String, usize)| match &only {
        Some(only) => *only == format!("{call}:{number}"),
        None => fault::is_in_sample(call, *number),
    };
    Some(calls.into_iter().filter(is_asked).collect())
}

fn sweep(
    (action, is_done): (&str, Check),
    what: &str,
    takes: impl Fn(&str) -> bool,
) -> Vec<(bool, Vec<String>)> {
    let mut outcomes = Vec::new();
    let points = points(action, is_done).unwrap_or_default();
    for (call, number) in points.into_iter().filter(|(call, _)| takes(call)) {
        let point = format!("{call}:{number}");
        let scene = scene_of(action);
        let expression = format!("inject={call}:{what}:when={number}");
        let output = Path::new("/dev/null");
        let traced = trace(action, scene.path(), &expression, output).unwrap();
        assert!(
            !traced.stderr.contains("panicked"),
            "{point}: {}",
            traced.stderr
        );
        let is_new = is_done(scene.path(), &point);
        // What was acknowledged is done, and what failed is not.
        if traced.said == ["ok"] {
            assert!(is_new, "{point}");
        } else if !traced.said.is_empty() {
            assert!(!is_new, "{point}: {:?}", traced.said);
        }
        outcomes.push((is_new, traced.said));
    }
    outcomes
}

/// Kills a change at every call: some kills come before it is done, and some after.
fn is_done_or_not_when_killed(what: &str, action: &str, is_done: Check) {
    if !strace::works(what) {
        return;
    }
    let outcomes = sweep((action, is_done), "signal=SIGKILL", |_| true);
    if outcomes.len() > 20 {
        assert!(outcomes.iter().any(|(is_done, _)| *is_done));
        assert!(outcomes.iter().any(|(is_done, _)| !is_done));
    }
}

#[test]
fn a_rename_that_is_killed_is_done_or_not_done_everywhere() {
    is_done_or_not_when_killed("kills of a rename", "rename", is_renamed);
}

#[test]
fn what_a_killed_rename_moved_keeps_what_binds_it_beside_a_training() {
    let what = "kills of a rename beside a training";
    is_done_or_not_when_killed(what, "rename", is_renamed_beside_a_training);
}

#[test]
fn the_completion_of_a_rename_survives_a_kill_at_every_call() {
    if !strace::works("kills of the completion of a rename") {
        return;
    }
    let check = ("open", is_renamed_beside_a_training as Check);
    let outcomes = sweep(check, "signal=SIGKILL", |_| true);
    assert!(outcomes.iter().all(|(is_new, _)| *is_new));
}

#[test]
fn a_rename_that_fails_at_any_call_is_not_done() {
    if !strace::works("errors of a rename") {
        return;
    }
    // What reading and locking fail with is for other tests.
    let is_change = |call: &str| !matches!(call, "openat" | "close" | "fcntl" | "flock");
    let checked = ("rename", is_renamed_but_for_the_list as Check);
    let outcomes = sweep(checked, "error=EIO", is_change);
    let failed = outcomes.iter().filter(|(_, said)| said != &["ok"]).count();
    assert!(failed > 5 || outcomes.len() < 20, "{outcomes:?}");
}

#[test]
fn a_removal_of_a_whole_run_that_is_killed_takes_all_or_nothing() {
    is_done_or_not_when_killed("kills of a removal", "remove", is_gone);
}

#[test]
fn the_same_without_noreplace() {
    plain::run_again(&["a_rename_that", "a_removal_of"]);
}
