//! Another process deletes by hand what is being removed, as the hosts that share NFS may.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::{Monitor, Silent};
use dalsegno::{Registry, RestoreTarget, ScanOptions};
use tempfile::TempDir;

use crate::{TRASH, base, is_trash_empty, kept, paths, write};

const NEW: &str = "a chunk that was written meanwhile";

const ARRAYS: [&str; 4] = [
    "r/validation.zarr/1/a/prediction",
    "r/validation.zarr/1/b/prediction",
    "r/validation.zarr/2/a/prediction",
    "r/validation.zarr/2/b/prediction",
];

/// Deletes arrays, and perhaps exchanges another, when a removal asks for the `at`-th time whether
/// it goes on since it has checked everything: by then its manifest is written.
struct Meddler {
    base: PathBuf,
    deleted: &'static [&'static str],
    exchanged: Option<&'static str>,
    at: usize,
    asked: AtomicUsize,
    thread: ThreadId,
}

impl Meddler {
    fn new(base: &Path, deleted: &'static [&'static str], at: usize) -> Self {
        Self {
            base: base.to_path_buf(),
            deleted,
            exchanged: None,
            at,
            asked: AtomicUsize::new(0),
            thread: thread::current().id(),
        }
    }

    fn is_done(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > self.at
    }

    fn has_checked(&self) -> bool {
        let mut removals = fs::read_dir(self.base.join(TRASH)).into_iter().flatten();
        removals.any(|removal| removal.unwrap().path().join("manifest.json").exists())
    }

    fn meddle(&self) {
        for array in self.deleted {
            // It may be in the trash by now.
            let _ = fs::remove_dir_all(self.base.join(array));
        }
        if let Some(array) = self.exchanged {
            let _ = fs::remove_dir_all(self.base.join(array));
            write(&self.base, array);
            fs::write(self.base.join(array).join("0/0/0"), NEW).unwrap();
        }
    }
}

impl Monitor for Meddler {
    fn is_cancelled(&self) -> bool {
        let is_ours = thread::current().id() == self.thread;
        if is_ours && self.has_checked() && self.asked.fetch_add(1, Ordering::Relaxed) == self.at {
            self.meddle();
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
            let meddler = Meddler::new(folder.path(), deleted, at);
            let report = registry
                .remove_many(&Filter::default(), &kept(), &meddler)
                .unwrap();
            if !meddler.is_done() {
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
fn what_comes_after_the_check_is_never_taken() {
    // The second is where something was deleted, or beside it.
    let cases: [(&[&str], &str); 3] = [
        (&[], ARRAYS[3]),
        (&ARRAYS[..1], ARRAYS[3]),
        (&ARRAYS[3..], ARRAYS[0]),
    ];
    for (deleted, exchanged) in cases {
        for keep_going in [false, true] {
            let mut refused = 0;
            for at in 0.. {
                let (folder, registry) = scene();
                let mut meddler = Meddler::new(folder.path(), deleted, at);
                meddler.exchanged = Some(exchanged);
                let options = kept().keep_going(keep_going);
                let removed = registry.remove_many(&Filter::default(), &options, &meddler);
                if !meddler.is_done() {
                    break;
                }
                let chunk = folder.path().join(exchanged).join("0/0/0");
                assert_eq!(fs::read_to_string(chunk).unwrap(), NEW);
                match removed {
                    Ok(report) => refused += report.skipped.len(),
                    Err(error) => {
                        assert_eq!(error.code(), "changed-meanwhile");
                        assert_eq!(paths(&registry).len(), ARRAYS.len());
                        // What had moved and has something new at its place cannot go back.
                        assert!(is_trash_empty(folder.path()) || !deleted.is_empty());
                        refused += 1;
                    }
                }
            }
            assert!(refused > 0, "no removal saw that something was replaced");
        }
    }
}
