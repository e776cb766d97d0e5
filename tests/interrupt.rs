//! A call that is given up ends, and leaves nothing half done.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;
#[path = "common/lock.rs"]
mod lock;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::progress::{Monitor, Phase, Progress, Silent};
use dalsegno::model::removal::{RemovalState, TrashKeep};
use dalsegno::{
    Options, RefreshOptions, Registry, RemoveOptions, Target, VerifyOptions, VerifyReport,
};

/// Cancels after some steps.
#[derive(Default)]
struct Impatient {
    steps: AtomicU64,
    after: u64,
}

impl Impatient {
    fn after(after: u64) -> Self {
        Self {
            after,
            ..Self::default()
        }
    }
}

impl Monitor for Impatient {
    fn advance(&self, _: Progress) {
        self.steps.fetch_add(1, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.steps.load(Ordering::SeqCst) >= self.after
    }
}

/// Cancels as soon as unlinking begins.
#[derive(Default)]
struct AtPurge(AtomicBool);

impl Monitor for AtPurge {
    fn begin(&self, phase: Phase, _: Option<u64>) {
        self.0.store(phase == Phase::Purge, Ordering::SeqCst);
    }

    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

fn write_arrays(base: &Path, count: u32) {
    for number in 0..count {
        let array = base.join(format!("r/validation.zarr/{number}/d/prediction"));
        common::write_array(&array);
    }
}

fn prediction(run: &str, iteration: i64, dataset: &str) -> Key {
    Key::Prediction {
        run: run.parse().unwrap(),
        iteration,
        dataset: dataset.parse().unwrap(),
        container: None,
    }
}

fn rows(registry: &Registry) -> usize {
    registry.select(&Filter::default()).unwrap().len()
}

#[test]
fn a_cancelled_scan_fails_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 50);
    let registry = common::create(folder.path());
    let error = registry
        .scan(ScanOptions::default(), &Impatient::after(5))
        .unwrap_err();
    assert_eq!(error.code(), "walk-interrupted");
    assert_eq!(error.path().unwrap(), registry.base());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!(rows(&registry), 50);
}

#[test]
fn a_cancelled_look_takes_nothing_for_missing() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 50);
    let registry = common::create(folder.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let before = registry.select(&Filter::default()).unwrap();
    let all = Filter::default();
    let options = RefreshOptions::new().all(true).measure(true);
    for after in [0, 1, 7] {
        let refreshed = registry.refresh(&all, options, &Impatient::after(after));
        assert_eq!(refreshed.unwrap_err().code(), "walk-interrupted");
        let verified: Result<VerifyReport, _> =
            registry.verify(&all, VerifyOptions::default(), &Impatient::after(after));
        assert_eq!(verified.unwrap_err().code(), "walk-interrupted");
    }
    assert_eq!(registry.select(&all).unwrap(), before);
}

#[test]
fn a_removal_that_is_given_up_before_anything_moved_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 5);
    let registry = common::create(folder.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let before = registry.select(&Filter::default()).unwrap();
    let options = RemoveOptions::default().keep_going(true);
    let error = registry
        .remove_many(&Filter::default(), &options, &Impatient::after(0))
        .unwrap_err();
    assert!(error.code().ends_with("interrupted"), "{error}");
    assert_eq!(registry.select(&Filter::default()).unwrap(), before);
    assert!(before.iter().all(|artifact| artifact.path().exists()));
    assert_eq!(registry.trash().unwrap(), []);
}

/// Cancels when it is asked for the nth time, and then whenever it is asked.
struct Counting {
    asked: AtomicU64,
    at: u64,
}

impl Counting {
    fn at(at: u64) -> Self {
        let asked = AtomicU64::new(0);
        Self { asked, at }
    }

    fn was_reached(&self) -> bool {
        self.asked.load(Ordering::SeqCst) > self.at
    }
}

impl Monitor for Counting {
    fn is_cancelled(&self) -> bool {
        self.asked.fetch_add(1, Ordering::SeqCst) >= self.at
    }
}

/// Everything below a base directory but the registry's own files.
fn data(base: &Path) -> Vec<std::path::PathBuf> {
    let mut folders = vec![base.to_path_buf()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() == ".dalsegno" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

/// Given up at every moment at which the call asks, until it is done all the same: one by one, and
/// as a whole container.
#[test]
fn a_removal_that_is_given_up_puts_back_what_it_had_moved() {
    for whole in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        write_arrays(folder.path(), 5);
        common::write_array(&folder.path().join("r/validation.zarr/0/e/prediction"));
        let registry = common::create(folder.path());
        if whole {
            // The container goes as a whole only if it is selected itself.
            let run = "r".parse().unwrap();
            registry.record(&Key::ValidationContainer { run }).unwrap();
        }
        registry.scan(ScanOptions::default(), &Silent).unwrap();
        let before = registry.select(&Filter::default()).unwrap();
        let on_disk = data(folder.path());
        let done = registry.history_head().unwrap();
        let filter = Filter::default().datasets((!whole).then_some("d"));
        let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
        let mut given_up = 0;
        let report = loop {
            let monitor = Counting::at(given_up);
            match registry.remove_many(&filter, &options, &monitor) {
                Ok(report) => break report,
                Err(error) => {
                    assert!(error.code().ends_with("interrupted"), "{error}");
                    assert!(monitor.was_reached());
                }
            }
            given_up += 1;
            assert_eq!(registry.select(&Filter::default()).unwrap(), before);
            assert_eq!(data(folder.path()), on_disk);
            assert_eq!(registry.history_head().unwrap(), done);
            assert_eq!(registry.trash().unwrap(), []);
            let trash = folder.path().join(".dalsegno/trash");
            let left = fs::read_dir(trash).map_or(0, Iterator::count);
            assert_eq!(left, 0, "nothing is left in the trash");
        };
        // Each array is looked at, noted and moved; or the container is, and what lies in it.
        assert!(given_up >= if whole { 8 } else { 16 }, "{given_up}");
        assert_eq!(report.moved, if whole { 1 } else { 5 });
        let report = registry.verify(&Filter::default(), VerifyOptions::default(), &Silent);
        assert!(report.unwrap().findings.is_empty());
    }
}

/// Given up once it is committed: the folders that are empty now stay.
#[test]
fn a_removal_that_is_given_up_after_its_commit_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let registry = common::create(folder.path());
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let mut at = 0;
    // Later by one question each time, until the folders are being taken away.
    loop {
        write_arrays(folder.path(), 5);
        common::write_array(&folder.path().join("r/validation.zarr/0/e/prediction"));
        registry.scan(ScanOptions::default(), &Silent).unwrap();
        let filter = Filter::default().datasets(["d"]);
        let monitor = Counting::at(at);
        if registry.remove_many(&filter, &options, &monitor).is_ok() {
            assert!(
                monitor.was_reached(),
                "a call does not ask after the commit"
            );
            break;
        }
        at += 1;
    }
    assert_eq!(rows(&registry), 1);
    let below = |place: &str| folder.path().join("r/validation.zarr").join(place);
    assert!(below("0/d").exists(), "nothing was taken away");
    assert!(!below("0/d/prediction").exists());
    assert!(below("0/e/prediction").exists());
    let report = registry.verify(&Filter::default(), VerifyOptions::default(), &Silent);
    assert!(report.unwrap().findings.is_empty());
    registry.empty_trash(None, &Silent).unwrap();
    assert_eq!(registry.trash().unwrap(), []);
}

/// A restore asks the registry's interrupt between two moves, and puts back what it had moved.
#[test]
fn a_restore_that_is_interrupted_restores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 5);
    let ends = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicU64::new(0));
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let (registry, _) = Options::new()
        .interrupt({
            let (ends, asked, left) = (Arc::clone(&ends), Arc::clone(&asked), Arc::clone(&left));
            move || {
                asked.fetch_add(1, Ordering::SeqCst);
                ends.load(Ordering::SeqCst)
                    || asked.load(Ordering::SeqCst) > left.load(Ordering::SeqCst)
            }
        })
        .create(folder.path())
        .unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let removed = registry.remove_many(&Filter::default(), &options, &Silent);
    let removal = removed.unwrap().removal.unwrap();
    // Folders that were made for what came back stay, empty.
    let files = || {
        data(folder.path())
            .into_iter()
            .filter(|path| path.is_file())
            .count()
    };
    assert_eq!(files(), 0);
    let head = registry.history_head().unwrap();
    let target = dalsegno::RestoreTarget::Removal(removal);
    let mut given_up = 0;
    loop {
        asked.store(0, Ordering::SeqCst);
        left.store(given_up, Ordering::SeqCst);
        let restored = registry.restore(&target);
        left.store(u64::MAX, Ordering::SeqCst);
        match restored {
            Ok(report) => {
                assert_eq!(report.artifacts.len(), 5);
                break;
            }
            Err(error) => assert_eq!(error.code(), "interrupted"),
        }
        given_up += 1;
        assert_eq!((rows(&registry), files()), (0, 0));
        assert_eq!(registry.history_head().unwrap(), head);
    }
    assert!(given_up >= 5, "it asks before each move: {given_up}");
    let report = registry.verify(&Filter::default(), VerifyOptions::default(), &Silent);
    assert!(report.unwrap().findings.is_empty());
}

/// What was not begun can still be restored.
#[test]
fn a_trash_that_is_emptied_in_part_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 3);
    let registry = common::create(folder.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    for iteration in 0..3 {
        let target = Target::Key(prediction("r", iteration, "d"));
        registry.remove_target(&target, &options, &Silent).unwrap();
    }
    let report = registry.empty_trash(None, &AtPurge::default()).unwrap();
    assert!(!report.purge.is_done);
    assert_eq!((report.purged.len(), report.left.len()), (0, 3));
    let trash = registry.trash().unwrap();
    let kept = trash
        .iter()
        .filter(|removal| removal.state == RemovalState::Kept);
    assert_eq!(kept.count(), 2);
    for removal in &trash[1..] {
        let target = dalsegno::RestoreTarget::Removal(removal.id.clone());
        registry.restore(&target).unwrap();
    }
    assert_eq!(rows(&registry), 2);
}

#[test]
fn a_cancelled_purge_leaves_a_removal_that_the_next_one_finishes() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 1);
    let array = folder.path().join("r/validation.zarr/0/d/prediction");
    for number in 0..2000 {
        fs::write(array.join(format!("{number}.0.0")), "chunk").unwrap();
    }
    let registry = common::create(folder.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let options = RemoveOptions::default().keep(TrashKeep::No);
    let report = registry
        .remove_target(&Target::Path(array.clone()), &options, &AtPurge::default())
        .unwrap();
    assert!(!array.exists(), "it is removed");
    assert!(!report.purge.unwrap().is_done);
    assert_eq!(rows(&registry), 0);
    let emptied = registry.empty_trash(None, &Silent).unwrap();
    assert!(emptied.purge.is_done);
    assert_eq!(registry.trash().unwrap(), []);
}

/// Panics the nth time that one of its methods is called, on whichever thread.
struct Broken {
    asked: AtomicU64,
    at: u64,
}

impl Broken {
    fn step(&self) {
        assert_ne!(self.asked.fetch_add(1, Ordering::SeqCst), self.at, "broken");
    }
}

impl Monitor for Broken {
    fn advance(&self, _: Progress) {
        self.step();
    }

    fn is_cancelled(&self) -> bool {
        self.step();
        false
    }
}

/// Whether some work panics; fails if it never ends.
fn panics(work: impl FnOnce() + Send + 'static) -> bool {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        sender.send(result.is_err()).unwrap();
    });
    let ended = receiver.recv_timeout(Duration::from_secs(120));
    ended.expect("the work ends")
}

/// A panic of a worker goes on in the call, and no thread waits for ever; the next open of the
/// registry settles what was left.
#[test]
fn a_panic_ends_the_work_that_it_happens_in() {
    let calls: [fn(&Registry, &Broken); 3] = [
        |registry, monitor| drop(registry.scan(ScanOptions::default(), monitor).unwrap()),
        |registry, monitor| {
            let options = RefreshOptions::new().all(true).measure(true);
            registry
                .refresh(&Filter::default(), options, monitor)
                .unwrap();
        },
        |registry, monitor| {
            let options = RemoveOptions::default();
            registry
                .remove_many(&Filter::default(), &options, monitor)
                .unwrap();
        },
    ];
    for call in calls {
        let folder = tempfile::tempdir().unwrap();
        write_arrays(folder.path(), 3);
        let mut at = 0;
        loop {
            let registry = common::create(folder.path());
            registry.scan(ScanOptions::default(), &Silent).unwrap();
            let asked = AtomicU64::new(0);
            let monitor = Broken { asked, at };
            if !panics(move || call(&registry, &monitor)) {
                break;
            }
            let registry = common::create(folder.path());
            let verified = registry.verify(&Filter::default(), VerifyOptions::default(), &Silent);
            assert!(verified.unwrap().findings.is_empty(), "{at}");
            at += 1;
            if rows(&registry) == 0 {
                write_arrays(folder.path(), 3);
            }
        }
        assert!(at > 3, "{at}");
    }
}

#[test]
fn a_writer_that_is_interrupted_leaves_the_line_and_has_written_nothing() {
    let folder = tempfile::tempdir().unwrap();
    common::create(folder.path());
    let ends = Arc::new(AtomicBool::new(false));
    let registry = Options::new()
        .lock_timeout(Duration::from_secs(600))
        .interrupt({
            let ends = Arc::clone(&ends);
            move || ends.load(Ordering::SeqCst)
        })
        .open(folder.path())
        .unwrap();
    let turn = lock::take(&folder.path().join(".dalsegno/catalog.sqlite3.turn"));
    let key = prediction("r", 1, "d");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| registry.record(&key));
        ends.store(true, Ordering::SeqCst);
        let error = waiting.join().unwrap().unwrap_err();
        assert_eq!(error.code(), "interrupted");
    });
    let listed = registry.select(&Filter::default());
    ends.store(false, Ordering::SeqCst);
    // A read of a few rows is over before it asks.
    assert_eq!(listed.unwrap(), []);
    drop(turn);
    registry.record(&key).unwrap();
    assert_eq!(rows(&registry), 1);
}

#[test]
fn what_is_unsealed_keeps_its_data_and_is_not_whole() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path(), 1);
    let registry = common::create(folder.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let target = Target::Key(prediction("r", 0, "d"));
    let sealed = registry.seal(&target).unwrap();
    let chosen = [sealed.clone()];
    assert_eq!(registry.unseal(&chosen).unwrap(), 1);
    let unsealed = registry.get(&target).unwrap().unwrap();
    let mut expected = sealed;
    expected.sealed_at = None;
    expected.sealed_chunks = None;
    assert_eq!(unsealed, expected);
    assert_eq!(registry.unseal(&chosen).unwrap(), 0);
}

#[test]
fn a_long_read_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let (registry, _) = Options::new()
        .interrupt({
            let ends = Arc::clone(&ends);
            move || ends.load(Ordering::SeqCst)
        })
        .create(folder.path())
        .unwrap();
    let keys: Vec<_> = (0..2000).map(|at| prediction("r", at, "d")).collect();
    registry.record_many(&keys).unwrap();
    ends.store(true, Ordering::SeqCst);
    let error = registry.select(&Filter::default()).unwrap_err();
    assert_eq!(error.code(), "interrupted");
    // That is no fault of the history.
    let error = registry.check_history(None).unwrap_err();
    assert_eq!(error.code(), "interrupted");
    ends.store(false, Ordering::SeqCst);
    assert!(registry.check_history(None).unwrap().is_whole());
    assert_eq!(rows(&registry), 2000);
    assert_eq!(registry.run_names(&[]).unwrap(), ["r"]);
    assert_eq!(registry.run_names(&["x*".into()]).unwrap(), [""; 0]);
}
