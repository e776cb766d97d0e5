//! What is removed after a scan saw it, and before the scan writes it down.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use dalsegno::Registry;
use dalsegno::ScanOptions;
use dalsegno::model::progress::{Monitor, Progress};

use crate::{base, key, remove, target, write};

/// Does something as soon as the walk has seen so many arrays.
struct Once<F> {
    seen: AtomicU64,
    after: u64,
    then: Mutex<Option<F>>,
}

impl<F: FnOnce() + Send> Monitor for Once<F> {
    fn advance(&self, progress: Progress) {
        let seen = self.seen.fetch_add(progress.items, Ordering::SeqCst) + progress.items;
        if seen >= self.after
            && let Some(then) = self.then.lock().unwrap().take()
        {
            then();
        }
    }
}

fn path(index: u64) -> String {
    format!("r/validation.zarr/{index}/a/prediction")
}

/// Scans so many arrays; when all were seen, `then` is done. Gives what was adopted.
fn scan(registry: &Registry, arrays: u64, then: impl FnOnce() + Send) -> u64 {
    let monitor = Once {
        seen: AtomicU64::new(0),
        after: arrays,
        then: Mutex::new(Some(then)),
    };
    let report = registry.scan(ScanOptions::default(), &monitor).unwrap();
    assert!(monitor.then.lock().unwrap().is_none(), "never done");
    assert_eq!(report.arrays, arrays);
    report.adopted
}

fn is_there(registry: &Registry, base: &Path, index: u64) -> bool {
    let row = registry.get(&target(&path(index))).unwrap();
    assert_eq!(row.is_some(), base.join(path(index)).exists(), "{index}");
    row.is_some()
}

#[test]
fn what_is_removed_after_a_scan_saw_it_is_not_taken_in() {
    // Written in one transaction, and in several: the operations of the scan itself do not count as
    // those of another process.
    for arrays in [3, 5000] {
        let (folder, registry) = base();
        (0..arrays).for_each(|index| write(folder.path(), &path(index), 0, 0));
        let gone = [0, arrays - 1];
        for index in gone {
            registry.record(&key(&path(index))).unwrap();
        }
        let other = Registry::open(folder.path()).unwrap();
        let adopted = scan(&registry, arrays, || {
            for index in gone {
                assert_eq!(remove(&other, &path(index)).unwrap().artifacts.len(), 1);
            }
        });
        assert_eq!(adopted, arrays - 2);
        for index in 0..arrays {
            let is_gone = gone.contains(&index);
            assert_eq!(is_there(&registry, folder.path(), index), !is_gone);
        }
    }
}

#[test]
fn what_others_record_meanwhile_keeps_nothing_from_being_taken_in() {
    let (folder, registry) = base();
    (0..20).for_each(|index| write(folder.path(), &path(index), 0, 0));
    let other = Registry::open(folder.path()).unwrap();
    let adopted = scan(&registry, 20, || {
        other.record(&key(&path(7))).unwrap();
        other.record(&key(&path(99))).unwrap();
    });
    assert_eq!(adopted, 19);
    for index in 0..20 {
        assert!(is_there(&registry, folder.path(), index));
    }
}
