//! Several at once: the same artifact removed twice, removed and restored, purged and restored,
//! listed, scanned and recovered meanwhile; folders that are swapped for links, files and FIFOs
//! under a removal and under a purge.
//!
//! The swaps go on for as many as `DALSEGNO_SWAPS` says, 100,000 unless set:
//!
//! ```text
//! DALSEGNO_SWAPS=1000000 cargo test --test races swapped
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "common/end.rs"]
mod end;
#[path = "races/pairs.rs"]
mod pairs;
#[path = "races/scans.rs"]
mod scans;
#[path = "races/swaps.rs"]
mod swaps;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use dalsegno::RemoveOptions;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Registry, Target};
use tempfile::TempDir;

const TRASH: &str = ".dalsegno/trash";

/// How long a race goes on at most, in wait of what it must show. On a busy machine one side may
/// get no core for thousands of rounds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether a race goes on: until it has shown what it must, or [`PATIENCE`] is over.
fn goes_on(start: Instant, has_shown: bool) -> bool {
    !has_shown && start.elapsed() < PATIENCE
}

/// What a child does. It says `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    assert_eq!(action, "remove");
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    let registry = Registry::open(&base).unwrap();
    child::say("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let result = registry.remove_artifact(&target(pairs::ARRAY));
    child::say(&child::outcome(result));
}

/// A base directory with a registry, in memory if possible: the races are about the order of calls,
/// not about the disk.
fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.unwrap();
    let registry = Registry::create(folder.path()).unwrap();
    (folder, registry)
}

fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn kept() -> RemoveOptions {
    RemoveOptions::default().keep(TrashKeep::UntilEmptied)
}

fn remove(registry: &Registry, path: &str) -> dalsegno::Result<dalsegno::RemovalReport> {
    registry.remove_target(&target(path), &kept(), &Silent)
}

/// Writes an array of some folders of chunks.
fn write(base: &Path, path: &str, folders: usize, chunks: usize) {
    let path = base.join(path);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join(".zarray"), "{}").unwrap();
    for folder in 0..folders {
        fs::create_dir(path.join(folder.to_string())).unwrap();
        for chunk in 0..chunks {
            let chunk = path.join(format!("{folder}/{chunk}"));
            fs::write(chunk, "x").unwrap();
        }
    }
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

/// The folders of the trash.
fn trash(base: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(base.join(TRASH)).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
