//! The inbox: notes of processes that could not write the catalog, and folding them into it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod fold;
mod hostile;
mod seal;
mod store;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::model::artifact::Artifact;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::operation::{HistoryFilter, Operation};
use dalsegno::{Inbox, Registry};
use std::ops::ControlFlow;

const INBOX: &str = ".dalsegno/inbox";

/// The key that the layout reads from a path.
fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

fn prediction(iteration: i64) -> Key {
    key(&format!("r/validation.zarr/{iteration}/a/prediction"))
}

/// Makes a base directory with a registry.
fn base() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    drop(common::create(base.path()));
    base
}

/// Names in the inbox, or in the folder of refused files.
fn names(base: &Path, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(base.join(folder)) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "refused").collect();
    names.sort();
    names
}

fn waiting(base: &Path) -> Vec<String> {
    names(base, INBOX)
}

fn refused(base: &Path) -> Vec<String> {
    names(base, ".dalsegno/inbox/refused")
}

/// The only file of the inbox.
fn file(base: &Path) -> PathBuf {
    let names = waiting(base);
    assert_eq!(names.len(), 1, "{names:?}");
    base.join(INBOX).join(&names[0])
}

/// Leaves notes of this process that these keys were recorded.
fn note(base: &Path, keys: &[Key]) {
    let inbox = Inbox::open(base).unwrap();
    for key in keys {
        inbox.note(record(key)).unwrap();
    }
}

fn record(key: &Key) -> dalsegno::model::note::Note {
    dalsegno::model::note::Note::Record(key.clone())
}

/// Opens the registry, which folds, and gives every row.
fn rows(base: &Path) -> Vec<Artifact> {
    let registry = Registry::open(base).unwrap();
    registry.select(&Filter::default()).unwrap()
}

/// Every operation, the oldest first.
fn operations(base: &Path) -> Vec<Operation> {
    let registry = Registry::open(base).unwrap();
    let mut operations = Vec::new();
    registry
        .history(&HistoryFilter::default(), |operation| {
            operations.push(operation);
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    operations.reverse();
    assert!(registry.check_history(None).unwrap().is_whole());
    operations
}
