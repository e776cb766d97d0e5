//! A thread that swaps folders for what they are not, while removals and purges run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, RestoreTarget};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use crate::child::tree;
use crate::end::End;
use crate::pairs::ARRAY;
use crate::{base, goes_on, key, remove, target, trash, write};

/// Swaps that the first race must see, whatever it sees besides.
const LEAST_SWAPS: u64 = 3000;

/// Puts each in the place of the other, at once.
fn exchange(one: &Path, other: &Path) -> bool {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok()
}

/// Whether a race was one: some removals were done, and some were refused because of a swap.
/// Nothing else refuses them.
fn has_both(seen: &BTreeMap<&str, u32>) -> bool {
    seen.contains_key("ok") && seen.len() > 1
}

/// What [`tree`] gives, with times and numbers of links.
fn exactly(folder: &Path) -> BTreeMap<String, String> {
    let add = |(path, line): (String, String)| {
        let stat = Path::new(&path).symlink_metadata().unwrap();
        let times = (stat.mtime(), stat.mtime_nsec(), stat.ctime_nsec());
        let line = format!("{line} {times:?} {} {}", stat.nlink(), stat.ino());
        (path, line)
    };
    tree(folder).into_iter().map(add).collect()
}

/// A folder that is to stay as it is, with everything in it that a removal would look for.
fn canary(folder: &Path) -> PathBuf {
    let canary = folder.join("canary");
    for path in [
        "",
        "a/prediction",
        "1/a/prediction",
        "validation.zarr/1/a/prediction",
        "prediction",
    ] {
        write(&canary, path, 3, 3);
    }
    fs::write(canary.join("manifest.json"), "{\"items\": []}").unwrap();
    canary
}

#[test]
fn an_array_that_is_swapped_for_something_else_is_refused_and_comes_through_whole() {
    let (folder, registry) = base();
    registry.record(&key(ARRAY)).unwrap();
    write(folder.path(), ARRAY, 3, 3);
    // So that the array goes by itself, not with its container.
    fs::write(folder.path().join("r/validation.zarr/notes"), "x").unwrap();
    let canary = canary(folder.path());
    let before = exactly(&canary);
    let array = folder.path().join(ARRAY);
    let contents: Vec<String> = fs::read_dir(&array)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let decoys = ["link", "file", "fifo", "nowhere"].map(|name| folder.path().join(name));
    symlink(&canary, &decoys[0]).unwrap();
    fs::write(&decoys[1], "precious").unwrap();
    mknodat(CWD, &decoys[2], FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink("nowhere", &decoys[3]).unwrap();

    let done = AtomicBool::new(false);
    let swaps = AtomicU64::new(0);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let end = End(&done);
        scope.spawn(|| {
            for decoy in decoys.iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                if exchange(&array, decoy) {
                    // Back, once it is there again: a removal may be moving it.
                    while !exchange(&array, decoy) {
                        std::hint::spin_loop();
                    }
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let start = Instant::now();
        let mut rounds = 0;
        let has_shown = |seen: &BTreeMap<&str, u32>| {
            has_both(seen) && swaps.load(Ordering::Relaxed) > LEAST_SWAPS
        };
        while rounds < 3000 || goes_on(start, has_shown(&seen)) {
            rounds += 1;
            match remove(&registry, ARRAY) {
                Ok(report) => {
                    assert_eq!((report.moved, report.artifacts.len()), (1, 1));
                    *seen.entry("ok").or_default() += 1;
                    let id = report.removal.unwrap();
                    let item = folder.path().join(crate::TRASH).join(id.as_str()).join("0");
                    assert!(item.symlink_metadata().unwrap().is_dir());
                    registry.restore(&RestoreTarget::Removal(id)).unwrap();
                }
                Err(error) => *seen.entry(error.code()).or_default() += 1,
            }
        }
        drop(end);
    });
    let expected = [
        "changed-meanwhile",
        "not-a-folder",
        "ok",
        "symlink",
        "storage-io",
    ];
    assert!(seen.keys().all(|code| expected.contains(code)), "{seen:?}");
    assert!(has_both(&seen), "{seen:?}");
    assert!(swaps.into_inner() > LEAST_SWAPS);
    assert_eq!(exactly(&canary), before);
    for name in contents {
        assert!(array.join(&name).exists(), "{name}");
    }
    assert_eq!(fs::read_to_string(&decoys[1]).unwrap(), "precious");
    assert_eq!(registry.select(&Filter::default()).unwrap().len(), 1);
    assert_eq!(trash(folder.path()).len(), 0);
}

fn wanted_swaps() -> u64 {
    let wanted = std::env::var("DALSEGNO_SWAPS").ok();
    wanted.map_or(100_000, |text| text.parse().unwrap())
}

/// Folders that the swapping thread swaps in one round.
fn swapped(base: &Path, run: &str) -> Vec<PathBuf> {
    let run = base.join(run);
    let array = run.join("validation.zarr/1/a/prediction");
    let mut swapped = vec![
        array.join("0"),
        array.join("2"),
        array.clone(),
        run.join("validation.zarr/1/a"),
        run.join("validation.zarr/1"),
        run.join("validation.zarr"),
        run,
    ];
    for removal in trash(base) {
        for inner in ["0/0", "0/1", "0/2", "0"] {
            swapped.push(removal.join(inner));
        }
    }
    swapped
}

#[test]
fn nothing_is_followed_to_where_a_swapped_folder_leads() {
    let (folder, registry) = base();
    let canary = canary(folder.path());
    let before = exactly(&canary);
    fs::create_dir(folder.path().join("decoys")).unwrap();
    let round = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let swaps = AtomicU64::new(0);
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    std::thread::scope(|scope| {
        let end = End(&done);
        scope.spawn(|| {
            let mut links = 0;
            let mut skip = 0;
            while !done.load(Ordering::Relaxed) {
                let now = round.load(Ordering::Acquire);
                if now == skip {
                    std::thread::yield_now();
                    continue;
                }
                for path in swapped(folder.path(), &format!("r{now}")) {
                    links += 1;
                    let link = folder.path().join(format!("decoys/{links}"));
                    symlink(&canary, &link).unwrap();
                    if !exchange(&path, &link) {
                        fs::remove_file(&link).unwrap();
                        continue;
                    }
                    swaps.fetch_add(1, Ordering::Relaxed);
                    // Paths below this one lead to the canary until it is back. If it does not come
                    // back, because the link was moved or unlinked, this round is over.
                    let is_back = (0..1000).any(|_| exchange(&path, &link));
                    if !is_back {
                        skip = now;
                        break;
                    }
                    fs::remove_file(&link).unwrap();
                }
            }
        });
        let start = Instant::now();
        while swaps.load(Ordering::Relaxed) < wanted_swaps()
            || round.load(Ordering::Relaxed) < 300
            || goes_on(start, has_both(&seen))
        {
            let now = round.load(Ordering::Relaxed) + 1;
            let path = format!("r{now}/validation.zarr/1/a/prediction");
            registry.record(&key(&path)).unwrap();
            write(folder.path(), &path, 4, 8);
            round.store(now, Ordering::Release);
            for _ in 0..20 {
                let options = RemoveOptions::default();
                match registry.remove_target(&target(&path), &options, &Silent) {
                    Ok(_) => {
                        *seen.entry("ok").or_default() += 1;
                        break;
                    }
                    Err(error) => *seen.entry(error.code()).or_default() += 1,
                }
            }
        }
        drop(end);
    });
    assert_eq!(exactly(&canary), before, "{seen:?}");
    // Which error a swap causes depends on the step that meets it.
    assert!(has_both(&seen), "{seen:?}");
    assert!(!seen.contains_key("internal"), "{seen:?}");
    // And the registry is still in order.
    drop(registry);
    Registry::open(folder.path())
        .unwrap()
        .empty_trash(None, &Silent)
        .unwrap();
    assert_eq!(exactly(&canary), before);
}
