//! Another process deletes by hand what is being removed, as the hosts that share NFS may.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::{Monitor, Silent};
use dalsegno::{Registry, RestoreTarget, ScanOptions};
use tempfile::TempDir;

use crate::{base, is_trash_empty, kept, paths, write};

const ARRAYS: [&str; 4] = [
    "r/validation.zarr/1/a/prediction",
    "r/validation.zarr/1/b/prediction",
    "r/validation.zarr/2/a/prediction",
    "r/validation.zarr/2/b/prediction",
];

/// Deletes arrays when the thread of a removal asks for the `at`-th time whether it goes on, and
/// writes one of them again when it has asked `again` times more.
struct Deleting {
    base: PathBuf,
    arrays: &'static [&'static str],
    at: usize,
    again: Option<usize>,
    asked: AtomicUsize,
    thread: ThreadId,
}

impl Deleting {
    fn new(base: &Path, arrays: &'static [&'static str], at: usize) -> Self {
        Self {
            base: base.to_path_buf(),
            arrays,
            at,
            again: None,
            asked: AtomicUsize::new(0),
            thread: thread::current().id(),
        }
    }

    fn is_done(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > self.at
    }
}

impl Monitor for Deleting {
    fn is_cancelled(&self) -> bool {
        if thread::current().id() != self.thread {
            return false;
        }
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked == self.at {
            for array in self.arrays {
                // It may be in the trash by now.
                let _ = fs::remove_dir_all(self.base.join(array));
            }
        }
        if self.again.is_some_and(|again| asked == self.at + again) {
            write(&self.base, self.arrays[0]);
        }
        false
    }
}

fn scene() -> (TempDir, Registry) {
    let (folder, registry) = base();
    for path in ARRAYS {
        write(folder.path(), path);
    }
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    (folder, registry)
}

#[test]
fn a_removal_goes_on_without_what_is_deleted_meanwhile() {
    let mut gone = 0;
    for deleted in [&ARRAYS[1..2], &ARRAYS[..]] {
        for at in 0.. {
            let (folder, registry) = scene();
            let monitor = Deleting::new(folder.path(), deleted, at);
            let report = registry
                .remove_many(&Filter::default(), &kept(), &monitor)
                .unwrap();
            if !monitor.is_done() {
                break;
            }
            assert_eq!(report.artifacts.len(), ARRAYS.len());
            let missing = ARRAYS.len() - usize::try_from(report.moved).unwrap();
            assert_eq!(report.missing.len(), missing);
            gone += missing;
            assert_eq!(paths(&registry), [""; 0]);
            if report.moved == 0 {
                assert!(is_trash_empty(folder.path()));
                continue;
            }
            // What was moved comes back.
            let target = RestoreTarget::Removal(report.removal.unwrap());
            let restored = registry.restore(&target).unwrap();
            assert_eq!(restored.moved, report.moved);
        }
    }
    assert!(gone > 0, "no removal saw that something was gone");
}

#[test]
fn what_is_written_after_the_deletion_is_not_taken() {
    let mut refused = 0;
    for at in 0.. {
        let mut is_reached = false;
        for again in [1, 2] {
            let (folder, registry) = scene();
            let mut monitor = Deleting::new(folder.path(), &ARRAYS[3..], at);
            monitor.again = Some(again);
            let removed = registry.remove_many(&Filter::default(), &kept(), &monitor);
            is_reached |= monitor.is_done();
            let Err(error) = removed else { continue };
            assert_eq!(error.code(), "changed-meanwhile");
            refused += 1;
            assert_eq!(paths(&registry).len(), ARRAYS.len());
            assert!(folder.path().join(ARRAYS[0]).exists());
            assert!(folder.path().join(ARRAYS[3]).join("0/0/0").exists());
            assert!(is_trash_empty(folder.path()));
        }
        if !is_reached {
            break;
        }
    }
    assert!(refused > 0, "no removal saw that something was replaced");
}
