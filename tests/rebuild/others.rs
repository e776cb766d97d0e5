//! Handles and processes that have the old catalog open, or want the new one.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use dalsegno::model::artifact::State;
use dalsegno::model::progress::{Monitor, Phase, Silent};
use dalsegno::{Options, RebuildOptions, Registry};

use crate::child::{command, outcome, say};
use crate::scene::{
    A1, A2, A3, Scene, assert_is_a_good_rebuild, backup_name, code, everything, from_disk, key,
    rows, target, with,
};

/// The body of a child: prints `ready` and continues when its standard input ends.
pub(crate) fn act(action: &str, base: &Path) {
    let wait = || {
        say("ready");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    };
    match action {
        "rebuild" => {
            wait();
            match Options::new().rebuild(base, &RebuildOptions::default(), &Silent) {
                Ok((_, report)) if !report.scan.notices.is_empty() => say("left"),
                rebuilt => say(&outcome(rebuilt)),
            }
        }
        "hold" => {
            let registry = Registry::open(base).unwrap();
            registry.record(&key(A2)).unwrap();
            wait();
            let rows = registry.select(&everything()).unwrap();
            say(&rows.len().to_string());
            say(&outcome(registry.record(&key(A3))));
            say(&outcome(registry.remove_artifact(&target(A1))));
            drop(registry);
            say(&outcome(
                Registry::open(base).and_then(|registry| registry.record(&key(A3))),
            ));
        }
        "remove" => {
            wait();
            let registry = Registry::open(base);
            say(&outcome(
                registry.and_then(|registry| registry.remove_artifact(&target(A1))),
            ));
        }
        "record ten" => {
            let registry = Registry::open(base).unwrap();
            wait();
            for iteration in 1..=10 {
                let path = format!("run/validation.zarr/{iteration}/b/prediction");
                say(&outcome(registry.record(&key(&path))));
            }
        }
        "record" => {
            wait();
            let registry = Registry::open(base);
            say(&outcome(
                registry.and_then(|registry| registry.record(&key(A3))),
            ));
        }
        other => panic!("there is no action {other}"),
    }
}

struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

fn start(action: &str, base: &Path) -> Running {
    let mut child = command(&[], action, base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "@ready"));
    Running { child, lines }
}

impl Running {
    fn go_on(&mut self) {
        drop(self.child.stdin.take());
    }

    fn said(mut self) -> Vec<String> {
        self.go_on();
        let said = self
            .lines
            .filter_map(|line| line.unwrap().strip_prefix('@').map(str::to_owned))
            .collect();
        self.child.wait().unwrap();
        said
    }
}

fn force() -> RebuildOptions {
    from_disk().force(true)
}

#[test]
fn a_handle_of_this_process_reads_on_and_does_not_write() {
    let scene = Scene::recorded(&[A1]);
    let held = scene.open();
    let before = rows(&held);
    let bytes = fs::read(scene.catalog()).unwrap();
    let (registry, report) = scene.try_rebuild(&force()).unwrap();
    let aside = report.set_aside.unwrap();
    assert_eq!(rows(&held), before);
    for refused in [
        code(held.record(&key(A2))),
        code(held.remove_artifact(&target(A1))),
        code(held.seal(&target(A1))),
        code(held.scan(crate::scene::measured(), &Silent)),
        code(held.empty_trash(None, &Silent)),
    ] {
        // A seal that changes nothing may succeed, and so may emptying an empty trash.
        assert!(matches!(refused, "catalog-replaced" | "ok"), "{refused}");
    }
    assert_eq!(code(held.record(&key(A2))), "catalog-replaced");
    assert_eq!(code(held.remove_artifact(&target(A1))), "catalog-replaced");
    // The new catalog has changes in its log, which the old handle must not delete when it closes.
    registry.record(&key(A3)).unwrap();
    drop(held);
    assert!(with(&scene.catalog(), "-wal").exists());
    assert_eq!(fs::read(&aside).unwrap(), bytes);
    assert!(scene.base.join(A1).join(".zarray").exists());
    let other = scene.open();
    assert_eq!(rows(&other).keys().collect::<Vec<_>>(), [A1, A3]);
    drop((registry, other));
    assert_is_a_good_rebuild(&scene.open());
}

#[test]
fn another_process_reads_on_and_does_not_write() {
    let scene = Scene::recorded(&[A1]);
    let holder = start("hold", &scene.base);
    let (registry, report) = scene.try_rebuild(&force()).unwrap();
    let aside = report.set_aside.unwrap();
    let picture = || {
        let log = fs::read(with(&aside, "-wal"));
        (fs::read(&aside).unwrap(), log.ok())
    };
    let before = picture();
    assert!(before.1.as_ref().is_some_and(|log| !log.is_empty()));
    let said = holder.said();
    assert_eq!(said, ["2", "catalog-replaced", "catalog-replaced", "ok"]);
    assert!(picture() == before);
    assert!(scene.base.join(A1).join(".zarray").exists());
    // A record through the old handle since its commit does not conflict.
    assert_eq!(rows(&registry).keys().collect::<Vec<_>>(), [A1, A3]);
    assert_is_a_good_rebuild(&registry);
}

/// Lets a test run code in the middle of a rebuild.
struct AtScan {
    began: mpsc::Sender<()>,
    go_on: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Monitor for AtScan {
    fn begin(&self, phase: Phase, _total: Option<u64>) {
        if phase == Phase::Scan {
            self.began.send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
        }
    }
}

/// Rebuilds, and calls a function in the middle of it.
fn rebuild_around(scene: &Scene, options: &RebuildOptions, middle: impl FnOnce()) -> &'static str {
    let (began, is_there) = mpsc::channel();
    let (go, go_on) = mpsc::channel();
    let monitor = AtScan {
        began,
        go_on: std::sync::Mutex::new(go_on),
    };
    let rebuild = scene.options();
    std::thread::scope(|scope| {
        let base = &scene.base;
        let monitor = &monitor;
        let rebuilt = scope.spawn(move || code(rebuild.rebuild(base, options, monitor)));
        is_there.recv_timeout(Duration::from_secs(60)).unwrap();
        middle();
        go.send(()).unwrap();
        rebuilt.join().unwrap()
    })
}

#[test]
fn a_writer_that_waits_for_its_turn_finds_the_file_replaced() {
    let scene = Scene::recorded(&[A1]);
    let held = scene.open();
    let (sender, outcome) = mpsc::channel();
    let mut waiting = None;
    let mut process = start("record", &scene.base);
    let rebuilt = rebuild_around(&scene, &force(), || {
        process.go_on();
        waiting = Some(std::thread::spawn(move || {
            sender.send(code(held.record(&key(A2)))).unwrap();
        }));
        // No other process writes while the new catalog is made.
        assert!(outcome.recv_timeout(Duration::from_millis(200)).is_err());
    });
    assert_eq!(rebuilt, "ok");
    waiting.unwrap().join().unwrap();
    assert_eq!(outcome.recv().unwrap(), "catalog-replaced");
    assert_eq!(process.said(), ["catalog-replaced"]);
    let registry = scene.open();
    assert_eq!(rows(&registry).keys().collect::<Vec<_>>(), [A1]);
}

#[test]
fn of_two_rebuilds_one_does_it_and_the_other_says_that_it_is_sound() {
    let scene = Scene::recorded(&[A1, A2]);
    scene.lose();
    let mut both = [start("rebuild", &scene.base), start("rebuild", &scene.base)];
    for running in &mut both {
        running.go_on();
    }
    let mut said: Vec<String> = both.into_iter().flat_map(Running::said).collect();
    said.sort();
    assert_eq!(said, ["catalog-sound", "ok"]);
    let registry = scene.open();
    assert_is_a_good_rebuild(&registry);
    assert_eq!(rows(&registry).len(), 2);
}

#[test]
fn a_removal_that_races_is_done_or_is_refused() {
    for round in 0..6 {
        let scene = Scene::recorded(&[A1, A2]);
        scene.back_up();
        let mut remover = start("remove", &scene.base);
        remover.go_on();
        let options = RebuildOptions::default().force(true);
        let (registry, _) = scene.try_rebuild(&options).unwrap();
        assert_is_a_good_rebuild(&registry);
        let said = remover.said();
        let row = rows(&registry).remove(A1);
        let is_there = scene.base.join(A1).exists();
        let is_present = row.is_some_and(|row| row.state == State::Present);
        assert_eq!(is_there, is_present, "round {round}: {said:?}");
        match said[0].as_str() {
            "ok" => assert!(!is_there, "round {round}"),
            // The first of them may have been in the trash when the rebuild looked.
            "catalog-replaced" | "not-recorded" | "catalog-missing" => {}
            other => panic!("round {round}: {other}"),
        }
    }
}

/// How often this process has a file open.
fn openings(path: &Path) -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    // One that was closed since it was listed has no link any more.
    open.filter(|entry| fs::read_link(entry.as_ref().unwrap().path()).is_ok_and(|to| to == path))
        .count()
}

#[test]
fn a_backup_is_chosen_while_no_process_makes_one() {
    let scene = Scene::recorded(&[A1]);
    let made = scene.back_up();
    scene.lose();
    let lock = super::lock::take(&scene.backups().join("lock"));
    let newer = backup_name(made.at.plus(Duration::from_secs(1)));
    let (options, base) = (scene.options(), &scene.base);
    let report = std::thread::scope(|scope| {
        let rebuild = scope.spawn(move || {
            let (_, report) = options
                .rebuild(base, &RebuildOptions::default(), &Silent)
                .unwrap();
            report
        });
        // The rebuild waits once it has the lock file open too, beside this test.
        while openings(&scene.backups().join("lock")) < 2 {
            assert!(!rebuild.is_finished());
            std::thread::yield_now();
        }
        // A newer, equal backup takes its place.
        fs::rename(&made.path, scene.backups().join(&newer)).unwrap();
        drop(lock);
        rebuild.join().unwrap()
    });
    assert_eq!(report.refused, []);
    let name = report.backup.unwrap().path;
    assert!(name.ends_with(&newer), "{name:?}");
}

#[test]
fn a_rebuild_waits_for_a_backup_no_longer_than_the_lock_timeout() {
    let scene = Scene::recorded(&[A1]);
    scene.back_up();
    scene.lose();
    let lock = super::lock::take(&scene.backups().join("lock"));
    let patience = Duration::from_millis(50);
    let error = scene
        .options()
        .lock_timeout(patience)
        .rebuild(&scene.base, &RebuildOptions::default(), &Silent)
        .err()
        .unwrap();
    assert_eq!(error.code(), "lock-timeout");
    let text = error.to_string();
    assert!(text.contains("a process that makes a backup"), "{text}");
    // Nothing was changed; the next rebuild works.
    assert!(!scene.catalog().exists());
    drop(lock);
    let options = scene.options().lock_timeout(patience);
    let rebuilt = options.rebuild(&scene.base, &RebuildOptions::default(), &Silent);
    assert!(rebuilt.unwrap().1.backup.is_some());
}
