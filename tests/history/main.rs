//! History through the library: every change is one operation with the right images, and nothing
//! else is an operation; no tampering goes unnoticed; undo works for every operation that supports
//! it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

mod at_once;
mod chain;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "../child/mod.rs"]
mod child;
mod reading;
mod undo;
mod written;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use dalsegno::RemoveOptions;
use dalsegno::model::artifact::Artifact;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::operation::{Action, HistoryFilter, Image, Operation, Side};
use dalsegno::model::removal::TrashKeep;
use dalsegno::model::score::Score;
use dalsegno::{Options, Registry, Target};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const CATALOG: &str = ".dalsegno/catalog.sqlite3";
const ARRAY: &str = "mito/validation.zarr/1000/crop1/prediction";
const OTHER: &str = "mito/validation.zarr/2000/crop1/prediction";

/// The body of a child process.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = std::env::var_os(child::BASE).unwrap();
    at_once::act(&action, base.as_ref());
}

fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    (folder, registry)
}

fn open(base: &Path) -> Registry {
    let options = Options::new().clock(FixedClock(NOW));
    options.create(base).unwrap().0
}

fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn get(registry: &Registry, path: &str) -> Artifact {
    registry.get(&target(path)).unwrap().unwrap()
}

/// Writes an array with a chunk at `path`.
fn write(base: &Path, path: &str) {
    let path = base.join(path);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join(".zarray"), "{}").unwrap();
    fs::write(path.join("0.0"), "a chunk").unwrap();
}

/// Records, writes and seals the array at `path`, each in an operation of its own.
fn array(registry: &Registry, path: &str) -> Artifact {
    registry.record(&key(path)).unwrap();
    write(registry.base(), path);
    registry.seal(&target(path)).unwrap()
}

fn kept(reason: &str) -> RemoveOptions {
    RemoveOptions::default()
        .keep(TrashKeep::UntilEmptied)
        .reason(reason)
}

fn remove(registry: &Registry, path: &str) {
    let options = kept("superseded");
    let monitor = &dalsegno::model::progress::Silent;
    registry
        .remove_target(&target(path), &options, monitor)
        .unwrap();
}

fn score(iteration: i64, metric: &str, value: f64) -> Score {
    let run = "mito".parse().unwrap();
    Score::new(run, iteration, metric.parse().unwrap(), value)
}

/// The operations of a filter, the newest first.
fn selected(registry: &Registry, filter: &HistoryFilter) -> Vec<Operation> {
    let mut operations = Vec::new();
    registry
        .history(filter, |operation| {
            operations.push(operation);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    operations
}

/// Every operation, the oldest first.
fn history(registry: &Registry) -> Vec<Operation> {
    let mut operations = selected(registry, &HistoryFilter::default());
    operations.reverse();
    operations
}

/// Runs a change and returns the operations that it made, with their images.
fn made(registry: &Registry, change: impl FnOnce()) -> Vec<(Operation, Vec<Image>)> {
    let (before, _) = registry.history_head().unwrap();
    change();
    let (after, _) = registry.history_head().unwrap();
    let made = (before + 1..=after).map(|id| registry.operation(id).unwrap());
    let made: Vec<_> = made.collect();
    for (operation, images) in &made {
        assert_eq!(operation.images, images.len() as u64);
    }
    assert!(registry.check_history(None).unwrap().is_whole());
    made
}

/// Runs a change that makes one operation, and returns the operation.
fn one(registry: &Registry, action: Action, change: impl FnOnce()) -> (Operation, Vec<Image>) {
    let mut made = made(registry, change);
    assert_eq!(made.len(), 1, "{made:#?}");
    let (operation, images) = made.remove(0);
    assert_eq!(operation.action, action);
    (operation, images)
}

fn before(artifact: &Artifact) -> Image {
    image(Side::Before, artifact)
}

fn after(artifact: &Artifact) -> Image {
    image(Side::After, artifact)
}

/// Checks that an image equals the row; images hold no pins.
fn image(side: Side, artifact: &Artifact) -> Image {
    let mut artifact = artifact.clone();
    artifact.pins.clear();
    Image::new(side, artifact)
}

fn code<T>(result: dalsegno::Result<T>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}
