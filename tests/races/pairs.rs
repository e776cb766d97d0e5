//! Two that want the same artifact: one gets it, the other gets an error.

use std::fs;
use std::io::BufRead;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use dalsegno::RemoveOptions;
use dalsegno::ScanOptions;
use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, RestoreTarget};
use rustix::fs::{Mode, OFlags, openat};

use crate::child::command;
use crate::end::End;
use crate::{at_once, base, goes_on, kept, key, remove, target, trash, write};

pub(crate) const ARRAY: &str = "r/validation.zarr/1/a/prediction";
const FILES: usize = 13;

/// An array, recorded and written, and two handles.
fn two() -> (tempfile::TempDir, Registry, Registry) {
    let (folder, one) = base();
    one.record(&key(ARRAY)).unwrap();
    write(folder.path(), ARRAY, 3, 4);
    let other = Registry::open(folder.path()).unwrap();
    (folder, one, other)
}

fn files(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path) } else { 1 }
        })
        .sum()
}

/// Asserts that row and data are both there, whole, or both not; says which.
fn whole(registry: &Registry) -> bool {
    let row = registry.get(&target(ARRAY)).unwrap();
    let data = registry.base().join(ARRAY);
    assert_eq!(row.is_some(), data.exists(), "row and data");
    if row.is_some() {
        assert_eq!(files(&data), FILES, "half an array");
    }
    row.is_some()
}

#[test]
fn of_two_handles_that_remove_an_artifact_one_does_and_the_other_fails() {
    let (folder, one, other) = two();
    for round in 0..300 {
        let keep = if round % 2 == 0 {
            kept()
        } else {
            RemoveOptions::default()
        };
        let (first, second) = at_once(
            || one.remove_target(&target(ARRAY), &keep, &Silent),
            || other.remove_target(&target(ARRAY), &keep, &Silent),
        );
        let (mut removed, mut refused) = (0, 0);
        for result in [first, second] {
            match result {
                Ok(report) => removed += report.artifacts.len(),
                Err(error) => {
                    assert_eq!(error.code(), "not-recorded", "{error}");
                    refused += 1;
                }
            }
        }
        assert_eq!((removed, refused), (1, 1), "round {round}");
        assert!(!whole(&one));
        one.record(&key(ARRAY)).unwrap();
        write(folder.path(), ARRAY, 3, 4);
    }
}

#[test]
fn of_two_processes_that_remove_an_artifact_one_does_and_the_other_fails() {
    let (folder, one, _) = two();
    for round in 0..15 {
        let start = || {
            let mut child = command(&[], "remove", folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
            let ready = lines.find(|line| line.as_ref().unwrap() == "@ready");
            assert!(ready.is_some());
            (child, lines)
        };
        let mut children = [start(), start()];
        for (child, _) in &mut children {
            drop(child.stdin.take());
        }
        let mut said: Vec<String> = children
            .into_iter()
            .map(|(mut child, lines)| {
                // To the end: the child writes more than its answer.
                let lines: Vec<String> = lines.map(Result::unwrap).collect();
                assert!(child.wait().unwrap().success());
                let said = lines.into_iter().find(|line| line.starts_with('@'));
                said.unwrap()
            })
            .collect();
        said.sort();
        assert_eq!(said, ["@not-recorded", "@ok"], "round {round}");
        assert!(!whole(&one));
        assert_eq!(trash(folder.path()), [""; 0].map(std::path::PathBuf::from));
        one.record(&key(ARRAY)).unwrap();
        write(folder.path(), ARRAY, 3, 4);
    }
}

#[test]
fn a_removal_and_a_restore_of_one_artifact_come_one_after_the_other() {
    let (_folder, one, other) = two();
    let (mut back, mut gone) = (0, 0);
    for round in 0..300 {
        if whole(&one) {
            remove(&one, ARRAY).unwrap();
        }
        let (removed, restored) = at_once(
            || remove(&one, ARRAY),
            || other.restore(&RestoreTarget::Path(ARRAY.into())),
        );
        restored.unwrap();
        match removed {
            // It came after the restore.
            Ok(_) => {
                assert!(!whole(&one), "round {round}");
                gone += 1;
            }
            Err(error) => {
                assert_eq!(error.code(), "not-recorded", "{error}");
                assert!(whole(&one), "round {round}");
                back += 1;
            }
        }
        assert_eq!(one.trash().unwrap().len(), usize::from(!whole(&one)));
    }
    assert_eq!(back + gone, 300);
}

#[test]
fn of_a_purge_and_a_restore_just_one_happens() {
    let (folder, one, other) = two();
    let (mut back, mut gone) = (0, 0);
    for round in 0..300 {
        let id = remove(&one, ARRAY).unwrap().removal.unwrap();
        let what = match round % 2 {
            0 => RestoreTarget::Removal(id.clone()),
            _ => RestoreTarget::Path(ARRAY.into()),
        };
        let (emptied, restored) = at_once(
            || one.empty_trash(None, &Silent).unwrap(),
            || other.restore(&what),
        );
        match restored {
            Ok(report) => {
                assert_eq!(report.artifacts.len(), 1);
                assert_eq!((emptied.purged.len(), emptied.left.len()), (0, 0));
                assert!(whole(&one), "round {round}");
                back += 1;
            }
            Err(error) => {
                let codes = ["not-restorable", "not-in-trash"];
                assert!(codes.contains(&error.code()), "{error}");
                // The other handle may have gone on with the purge.
                one.empty_trash(None, &Silent).unwrap();
                assert!(!whole(&one), "round {round}");
                one.record(&key(ARRAY)).unwrap();
                write(folder.path(), ARRAY, 3, 4);
                gone += 1;
            }
        }
        assert_eq!(one.trash().unwrap(), [], "round {round}");
        assert_eq!(trash(folder.path()).len(), 0, "round {round}");
    }
    assert_eq!(back + gone, 300);
}

#[test]
fn a_reader_sees_a_batch_whole_or_not_at_all() {
    let (folder, registry) = base();
    let paths: Vec<String> = (0..50)
        .map(|iteration| format!("r/validation.zarr/{iteration}/a/prediction"))
        .collect();
    for path in &paths {
        registry.record(&key(path)).unwrap();
        write(folder.path(), path, 1, 1);
    }
    let done = AtomicBool::new(false);
    let seen = [AtomicU64::new(0), AtomicU64::new(0)];
    let has_both = || seen.iter().all(|count| count.load(Ordering::Relaxed) > 0);
    std::thread::scope(|scope| {
        let end = End(&done);
        let reader = scope.spawn(|| {
            let reader = Registry::open_read_only(folder.path()).unwrap();
            while !done.load(Ordering::Relaxed) {
                let rows = reader.select(&Filter::default()).unwrap().len();
                assert!(rows == 0 || rows == 50, "{rows} of 50");
                seen[usize::from(rows == 50)].fetch_add(1, Ordering::Relaxed);
            }
        });
        let start = Instant::now();
        let mut rounds = 0;
        while !reader.is_finished() && (rounds < 60 || goes_on(start, has_both())) {
            rounds += 1;
            let report = registry
                .remove_many(&Filter::default(), &kept(), &Silent)
                .unwrap();
            let id = report.removal.unwrap();
            registry.restore(&RestoreTarget::Removal(id)).unwrap();
        }
        drop(end);
        reader.join().unwrap();
    });
    assert!(has_both(), "{seen:?}");
}

#[test]
fn a_scan_does_not_bring_back_what_is_removed_meanwhile() {
    let (folder, registry) = base();
    let done = AtomicBool::new(false);
    // Without it the scans could begin after the last removal.
    let begin = Barrier::new(2);
    std::thread::scope(|scope| {
        let end = End(&done);
        scope.spawn(|| {
            let scanner = Registry::open(folder.path()).unwrap();
            let options = ScanOptions::default().threads(Some(2));
            begin.wait();
            while !done.load(Ordering::Relaxed) {
                scanner.scan(options.clone(), &Silent).unwrap();
            }
        });
        begin.wait();
        for round in 0..200 {
            let path = format!("r/validation.zarr/{round}/a/prediction");
            registry.record(&key(&path)).unwrap();
            write(folder.path(), &path, 1, 1);
            registry.remove_artifact(&target(&path)).unwrap();
        }
        drop(end);
    });
    let present = Filter::default().states([State::Present]);
    let rows = registry.select(&present).unwrap();
    let lost = rows.iter().filter(|row| !row.path().exists());
    let lost: Vec<_> = lost.map(|row| row.location().path()).collect();
    assert_eq!(lost, [""; 0], "present rows without data");
}

#[test]
fn files_that_appear_in_an_array_while_it_is_purged_go_too() {
    let (folder, registry) = base();
    for round in 0..10 {
        registry.record(&key(ARRAY)).unwrap();
        write(folder.path(), ARRAY, 10, 200);
        let inner = folder.path().join(ARRAY).join("5");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let inner = rustix::fs::open(inner, flags, Mode::empty()).unwrap();
        let done = AtomicBool::new(false);
        let (written, report) = at_once(
            || {
                let mut written = 0;
                while !done.load(Ordering::Relaxed) {
                    let create = OFlags::WRONLY | OFlags::CREATE;
                    let name = format!("late-{written}");
                    match openat(&inner, name, create, Mode::RUSR) {
                        Ok(_) => written += 1,
                        // The folder is gone.
                        Err(_) => break,
                    }
                }
                written
            },
            || {
                let end = End(&done);
                let report = registry.remove_artifact(&target(ARRAY));
                drop(end);
                report.unwrap()
            },
        );
        let purge = report.purge.unwrap();
        if !purge.is_done {
            // The writer was faster: what it left is named, and a later purge takes it.
            assert!(purge.failed > 0 && purge.failures[0].0.ends_with("5"));
            let emptied = registry.empty_trash(None, &Silent).unwrap();
            assert!(emptied.left.is_empty(), "{emptied:?}");
        }
        assert!(!folder.path().join(ARRAY).exists());
        assert_eq!(registry.trash().unwrap(), []);
        assert_eq!(trash(folder.path()).len(), 0, "round {round}: {written}");
    }
}

#[test]
fn many_recoveries_at_once_bring_everything_back_once() {
    let (folder, registry) = base();
    let paths: Vec<String> = (0..20)
        .map(|iteration| format!("r/validation.zarr/{iteration}/a/prediction"))
        .collect();
    for path in &paths {
        registry.record(&key(path)).unwrap();
        write(folder.path(), path, 1, 1);
    }
    drop(registry);
    for round in 0..20 {
        // What a removal leaves that was killed before its commit.
        let id = format!("20260101-0000{round:02}-abcdef");
        let removal = folder.path().join(crate::TRASH).join(&id);
        fs::create_dir_all(&removal).unwrap();
        let items = paths.iter().enumerate().map(|(number, path)| {
            let stat = folder.path().join(path).metadata().unwrap();
            serde_json::json!({
                "item": number, "path": path, "device": stat.dev(), "inode": stat.ino(),
            })
        });
        let manifest = serde_json::json!({ "version": 1, "items": items.collect::<Vec<_>>() });
        fs::write(removal.join("manifest.json"), manifest.to_string()).unwrap();
        for (number, path) in paths.iter().enumerate().take(15) {
            fs::rename(folder.path().join(path), removal.join(number.to_string())).unwrap();
        }
        let open = || Registry::open(folder.path()).unwrap();
        let (one, other) = at_once(open, || at_once(open, open));
        let all = [one, other.0, other.1];
        let undone = all.iter().map(|one| one.recovery().undone.len());
        assert_eq!(undone.sum::<usize>(), 1, "round {round}");
        for one in &all {
            assert_eq!(one.recovery().problems, [""; 0]);
            assert_eq!(one.select(&Filter::default()).unwrap().len(), 20);
        }
        for path in &paths {
            assert_eq!(files(&folder.path().join(path)), 2, "{path}");
        }
        assert_eq!(trash(folder.path()).len(), 0);
    }
}
