//! A program that exchanges the trash, and what is in it, for links to elsewhere, while root works.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Registry, RemoveOptions, RestoreTarget, Target};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::child::{prediction, tree, write_array};
use crate::end::End;

/// How long the exchanges go on.
const WORK: Duration = Duration::from_secs(4);
/// How long they go on at most, if a busy machine gives one side no core.
const PATIENCE: Duration = Duration::from_secs(120);
const LEAST_SWAPS: u64 = 100;

fn exactly(folder: &Path) -> BTreeMap<String, String> {
    let add = |(path, line): (String, String)| {
        let stat = Path::new(&path).symlink_metadata().unwrap();
        let times = (
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
        );
        (
            path,
            format!("{line} {times:?} {} {}", stat.nlink(), stat.ino()),
        )
    };
    tree(folder).into_iter().map(add).collect()
}

/// A folder outside with all the names that a removal has.
fn canary(folder: &Path) -> PathBuf {
    let canary = folder.join("canary");
    for path in ["0", "0/0", "1", "20261122-163000-3f9a2c/0"] {
        fs::create_dir_all(canary.join(path)).unwrap();
        fs::write(canary.join(path).join("precious"), "precious").unwrap();
    }
    for name in [
        "manifest.json",
        "purging.json",
        "restoring.json",
        "0/.zarray",
        "0/0.0.0",
    ] {
        fs::write(canary.join(name), "precious").unwrap();
    }
    canary
}

/// Whether enough was exchanged, some calls were done and some were refused.
fn has_shown(seen: &BTreeMap<String, u32>, swaps: &AtomicU64) -> bool {
    swaps.load(Ordering::Relaxed) > LEAST_SWAPS && seen.contains_key("ok") && seen.len() > 1
}

#[test]
fn an_exchanged_trash_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    let canary = canary(folder.path());
    let before = exactly(&canary);
    let registry = Registry::create(&base).unwrap();
    let trash = base.join(".dalsegno/trash");
    fs::create_dir_all(&trash).unwrap();
    let decoys = base.join(".dalsegno/decoys");
    fs::create_dir(&decoys).unwrap();
    let (done, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let end = End(&done);
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                let mut places = vec![trash.clone()];
                for removal in fs::read_dir(&trash).into_iter().flatten().flatten() {
                    let removal = removal.path();
                    for name in ["0", "manifest.json", "purging.json", "restoring.json"] {
                        places.push(removal.join(name));
                    }
                    places.push(removal);
                }
                for place in places {
                    number += 1;
                    let link = decoys.join(number.to_string());
                    let to = match place.extension() {
                        Some(_) => canary.join("manifest.json"),
                        None => canary.clone(),
                    };
                    symlink(to, &link).unwrap();
                    let exchange =
                        || renameat_with(CWD, &place, CWD, &link, RenameFlags::EXCHANGE).is_ok();
                    if exchange() {
                        swaps.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        let _ = (0..100).any(|_| exchange());
                    }
                }
            }
        });
        let start = Instant::now();
        let mut iteration = 0;
        while start.elapsed() < WORK || !has_shown(&seen, &swaps) && start.elapsed() < PATIENCE {
            iteration += 1;
            let key = prediction("run", iteration);
            write_array(&base, &key);
            let mut note = |result: dalsegno::Result<()>| {
                let code = result.map_or_else(|error| error.code().to_owned(), |()| "ok".into());
                *seen.entry(code).or_default() += 1;
            };
            note(registry.record(&key).map(drop));
            let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
            match registry.remove_target(&Target::Key(key), &options, &Silent) {
                Err(error) => note(Err(error)),
                Ok(report) if iteration % 2 == 0 => {
                    let target = RestoreTarget::Removal(report.removal.unwrap());
                    note(registry.restore(&target).map(drop));
                }
                Ok(_) => note(registry.empty_trash(None, &Silent).map(drop)),
            }
            if iteration % 8 == 0 {
                note(Registry::open(&base).map(drop));
            }
        }
        drop(end);
    });
    assert_eq!(exactly(&canary), before, "{seen:?}");
    assert!(has_shown(&seen, &swaps), "{swaps:?} {seen:?}");
    assert!(!seen.contains_key("internal"), "{seen:?}");
}
