//! `verify --repair` with something of every kind to repair: killed at its system calls, run twice
//! at once, and run during removals of what it repairs. Afterwards:
//!
//! - every file of the runs is the same inode in the same place; only what an interrupted removal
//!   had moved may be back in its place;
//! - the catalog opens, and its history is whole;
//! - another repair gives the same catalog as a repair without a kill.
//!
//! All calls from the first change to the last are tried, and some before and after. To run a
//! single fault:
//!
//! ```text
//! DALSEGNO_FAULT=pwrite64:7 cargo test --test faults_repair killed -- --nocapture
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
#[path = "child/plain.rs"]
mod plain;
#[path = "faults_repair/scene.rs"]
mod scene;
#[path = "child/strace.rs"]
mod strace;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Barrier;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, Target};

use fault::{CHANGES, in_order, trace};
use scene::{COMPLETE, REMOVED, Scene, repair, rows, verify};

/// Calls that change something on disk.
const WRITING: [&str; 9] = [
    "pwrite64",
    "fsync",
    "fdatasync",
    "renameat2",
    "unlinkat",
    "unlink",
    "mkdirat",
    "ftruncate",
    "fallocate",
];

/// The body of a child: prints `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    assert_eq!(action, "repair");
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    // SAFETY: a plain system call; it lets strace attach if only parents may trace.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    child::say("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let done = Registry::open(&base).and_then(|registry| {
        let report = registry.verify(&Filter::default(), COMPLETE, &Silent)?;
        registry.repair(&report.findings, &Silent)
    });
    child::say(&child::outcome(done));
}

/// Checks the state after an interrupted repair, and after the next one.
fn assert_heals(scene: &Scene, healed: &[String], point: &str) {
    scene.assert_data_untouched(point);
    let registry = Registry::open(scene.base()).unwrap();
    assert_eq!(
        registry.recovery().problems,
        Vec::<String>::new(),
        "{point}"
    );
    assert_eq!(
        registry.check_history(None).unwrap().broken,
        None,
        "{point}"
    );
    let left = repair(&registry);
    assert_eq!(left, scene::LEFT, "{point}");
    assert_eq!(rows(&registry), healed, "{point}");
    assert_eq!(verify(&registry), scene::LEFT, "{point}");
    assert_eq!(
        registry.check_history(None).unwrap().broken,
        None,
        "{point}"
    );
    drop(registry);
    child::assert_sound(&scene.base().join(scene::CATALOG));
    // Under its new name, whether or not a kill came between the list and the commit.
    assert_eq!(scene.listed(), scene::LISTED, "{point}");
    scene.assert_data_untouched(point);
}

#[test]
fn the_scene_has_a_finding_of_every_repair() {
    let scene = Scene::new();
    let registry = Registry::open_read_only(scene.base()).unwrap();
    assert_eq!(verify(&registry), scene::FOUND);
    drop(registry);
    let registry = Registry::open(scene.base()).unwrap();
    assert_eq!(repair(&registry), scene::LEFT);
    assert_eq!(scene.listed(), scene::LISTED);
    scene.assert_data_untouched("repaired");
}

#[test]
fn a_repair_that_is_killed_touches_no_data_and_the_next_one_ends_it() {
    if !strace::works("kills of a repair") {
        return;
    }
    let scene = Scene::new();
    let output = scene.file("trace");
    let expression = format!("trace={CHANGES}");
    let Some(traced) = trace("repair", &scene.base(), &expression, &output) else {
        strace::left_out::left_out("strace cannot join a process here");
        return;
    };
    assert_eq!(traced.said, ["ok"], "{}", traced.stderr);
    let registry = Registry::open(scene.base()).unwrap();
    let healed = rows(&registry);
    drop(registry);
    assert_heals(&scene, &healed, "no kill");

    let calls = in_order(&fs::read_to_string(output).unwrap());
    let is_writing = |(name, _): &(String, usize)| WRITING.contains(&plain::name_of(name));
    let first = calls.iter().position(is_writing).unwrap();
    let last = calls.iter().rposition(is_writing).unwrap();
    let between: BTreeSet<&(String, usize)> = calls[first..=last].iter().collect();
    assert!(between.iter().filter(|call| is_writing(call)).count() > 30);
    let around = calls[..first].iter().chain(&calls[last + 1..]).step_by(9);
    let points: BTreeSet<&(String, usize)> = between.into_iter().chain(around).collect();
    let only = std::env::var("DALSEGNO_FAULT").ok();
    let (mut killed, mut tried) = (0, 0);
    for (call, number) in &points {
        let point = format!("{call}:{number}");
        if only.as_ref().is_some_and(|only| *only != point) || !fault::is_in_sample(call, *number) {
            continue;
        }
        tried += 1;
        let scene = scene.again();
        let expression = format!("inject={call}:signal=SIGKILL:when={number}");
        let traced = trace("repair", &scene.base(), &expression, Path::new("/dev/null")).unwrap();
        assert!(
            !traced.stderr.contains("panicked"),
            "{point}: {}",
            traced.stderr
        );
        // In the next run threads may share the work differently.
        killed += usize::from(traced.said.is_empty());
        assert_heals(&scene, &healed, &point);
    }
    eprintln!("{killed} of {tried} points killed");
    assert!(only.is_some() || 10 * killed > 8 * tried);
}

#[test]
fn the_same_without_noreplace() {
    plain::run_again(&["a_repair_that_is_killed"]);
}

/// Runs both at the same moment, each in a thread of its own.
fn at_once<A: Send, B: Send>(
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| {
            start.wait();
            one()
        });
        start.wait();
        let other = other();
        (one.join().unwrap(), other)
    })
}

#[test]
fn two_repairs_at_once_end_as_one_does() {
    let scene = Scene::new();
    let registry = Registry::open(scene.base()).unwrap();
    repair(&registry);
    let healed = rows(&registry);
    drop(registry);
    for round in 0..20 {
        let scene = scene.again();
        let one = Registry::open(scene.base()).unwrap();
        let other = Registry::open(scene.base()).unwrap();
        let both = [&one, &other].map(|registry| {
            let found = registry.verify(&Filter::default(), COMPLETE, &Silent);
            found.unwrap().findings
        });
        let (first, second) = at_once(
            || one.repair(&both[0], &Silent).unwrap(),
            || other.repair(&both[1], &Silent).unwrap(),
        );
        // The other finds each repair done, or sees it change during its own.
        let done = first.repaired.len().max(second.repaired.len());
        assert!(done > 5, "round {round}: {first:?} {second:?}");
        drop((one, other));
        assert_heals(&scene, &healed, &format!("round {round}"));
    }
}

#[test]
fn what_is_removed_while_it_is_repaired_is_gone_and_the_rest_is_repaired() {
    let scene = Scene::new();
    for round in 0..30 {
        let scene = scene.again();
        let one = Registry::open(scene.base()).unwrap();
        let other = Registry::open(scene.base()).unwrap();
        let found = one.verify(&Filter::default(), COMPLETE, &Silent).unwrap();
        let (repaired, removed) = at_once(
            || one.repair(&found.findings, &Silent).map(drop),
            || {
                let mut removed = Vec::new();
                for path in REMOVED {
                    let options = RemoveOptions::default();
                    let target = Target::Path(path.into());
                    match other.remove_target(&target, &options, &Silent) {
                        Ok(_) => removed.push(path),
                        // The repair adopts it a moment later.
                        Err(error) => assert_eq!(error.code(), "not-recorded", "{path}"),
                    }
                }
                removed
            },
        );
        repaired.unwrap();
        scene.assert_data_untouched_but(&removed, &format!("round {round}"));
        let left = repair(&one);
        assert_eq!(left, scene::LEFT);
        let rows = rows(&other);
        for path in &removed {
            assert!(!scene.base().join(path).exists(), "round {round}: {path}");
            let is_row = rows.iter().any(|row| row.starts_with(&format!("{path} ")));
            assert!(!is_row, "round {round}: {path} has a row");
        }
        assert!(removed.len() >= 3, "{removed:?}");
        assert_eq!(verify(&one), left);
        assert_eq!(one.check_history(None).unwrap().broken, None);
    }
}
