//! A purge that is killed in the middle: the next open goes on.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dalsegno::RemoveOptions;
use dalsegno::model::progress::{Monitor, Phase, Progress, Silent};
use dalsegno::model::removal::RemovalState;
use dalsegno::{Registry, RestoreTarget};
use rustix::process::{Signal, getpid, kill_process};

use crate::child::{assert_sound, command};
use crate::{ARRAY, TRASH, array, assert_nothing_left, base, names, target};

const FILES: u64 = 20_000;

/// Kills this process once so many files were unlinked.
struct Die {
    after: u64,
    unlinked: AtomicU64,
    is_purging: AtomicBool,
}

impl Die {
    fn look(&self) {
        if self.unlinked.load(Ordering::Relaxed) >= self.after {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    }
}

impl Monitor for Die {
    fn begin(&self, phase: Phase, _items: Option<u64>) {
        // Before the removal, data is compared with that of other runs.
        self.is_purging
            .store(phase == Phase::Purge, Ordering::Relaxed);
        if phase == Phase::Purge {
            self.look();
        }
    }

    fn advance(&self, progress: Progress) {
        if !self.is_purging.load(Ordering::Relaxed) {
            return;
        }
        self.unlinked.fetch_add(progress.files, Ordering::Relaxed);
        self.look();
    }
}

/// In a child: removes the array and dies after so many files.
pub(crate) fn remove_and_die(base: &Path, after: u64) {
    let registry = Registry::open(base).unwrap();
    registry.back_up(&Silent).unwrap();
    let die = Die {
        after,
        unlinked: AtomicU64::new(0),
        is_purging: AtomicBool::new(false),
    };
    let _ = registry.remove_target(&target(ARRAY), &RemoveOptions::default(), &die);
    panic!("alive after the purge");
}

/// Number of files in a tree.
fn files(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => files(&entry.path()),
                false => 1,
            }
        })
        .sum()
}

#[test]
fn a_killed_purge_is_shown_and_the_next_open_finishes_it() {
    for after in [0, 5_000, FILES - 2_000] {
        let (folder, registry) = base();
        let path = array(&registry, ARRAY).path();
        for outer in 0..20 {
            let chunks = path.join(outer.to_string());
            fs::create_dir(&chunks).unwrap();
            for inner in 0..FILES / 20 {
                fs::write(chunks.join(inner.to_string()), "x").unwrap();
            }
        }
        registry.seal(&target(ARRAY)).unwrap();
        drop(registry);
        let output = command(&[], &format!("die {after}"), folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.signal(), Some(9), "{output:?}");

        assert!(!path.exists());
        let reader = Registry::open_read_only(folder.path()).unwrap();
        let listed = reader.trash().unwrap();
        assert_eq!(listed.len(), 1);
        let removal = &listed[0];
        assert_eq!(removal.state, RemovalState::Purging);
        assert_eq!((removal.artifacts, removal.total.files), (1, FILES + 1));
        assert_eq!(
            reader.pending().unwrap().due,
            std::slice::from_ref(&removal.id)
        );
        let in_trash = folder.path().join(TRASH).join(removal.id.as_str());
        let left = files(&in_trash) - 1;
        assert!(left > 0 && left <= FILES + 1 - after, "{after}: {left}");
        assert_eq!(left == FILES + 1, after == 0);
        let restore = reader.restorable(&RestoreTarget::Removal(removal.id.clone()));
        assert_eq!(restore.unwrap_err().code(), "not-restorable");
        drop(reader);

        let registry = Registry::open(folder.path()).unwrap();
        let opened = registry.recovery();
        assert_eq!(opened.problems, [""; 0]);
        if opened.purged.is_empty() {
            // Slow disk: opening goes on for a moment only, emptying to the end.
            let emptied = registry
                .empty_trash(None, &dalsegno::model::progress::Silent)
                .unwrap();
            assert_eq!(emptied.purged, std::slice::from_ref(&removal.id));
        } else {
            assert_eq!(opened.purged, std::slice::from_ref(&removal.id));
        }
        let ended = registry.removal(&removal.id).unwrap().unwrap();
        assert_eq!(ended.state, RemovalState::Purged);
        assert_nothing_left(&registry, &path);
        assert_eq!(names(&folder.path().join("r/validation.zarr")), [""; 0]);
        drop(registry);
        assert_sound(&folder.path().join(".dalsegno/catalog.sqlite3"));
    }
}
