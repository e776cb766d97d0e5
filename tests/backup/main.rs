//! Backups of the catalog: when one is made, what it holds, which are kept. No migration runs
//! without one, and a full disk can be freed without one. Also: catalogs that older versions wrote.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "../child/mod.rs"]
mod child;
mod copies;
mod daily;
mod damage;
mod frozen;
#[path = "../common/lock.rs"]
mod lock;
mod migration;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno::Backup;
use dalsegno::model::artifact::Artifact;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::layout;
use dalsegno::testing::backup;
use dalsegno::{Options, Registry, RemovalReport, Target};
use rusqlite::Connection;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_700_000_000_123);
/// The name of a backup made at this time.
const NAME: &str = "20231114T221320Z.sqlite3";
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const CATALOG: &str = ".dalsegno/catalog.sqlite3";
const BACKUPS: &str = ".dalsegno/backups";
const ARRAY: &str = "mito/validation.zarr/1000/crop1/prediction";

/// The body of a child process.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    match action.as_str() {
        "open" => child::say(&child::outcome(Registry::open(&base))),
        other => panic!("no action {other}"),
    }
}

fn at(now: Timestamp) -> Options {
    Options::new().clock(FixedClock(now))
}

/// Opens or makes the registry of a base directory, with a fixed clock.
fn open(base: &Path, now: Timestamp) -> Registry {
    at(now).create(base).unwrap().0
}

/// Makes a base directory with this many arrays, from iteration 1000 on.
fn base(arrays: usize) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path(), NOW);
    for number in 1..=arrays {
        array(&registry, &path(number));
    }
    folder
}

fn path(number: usize) -> String {
    format!("mito/validation.zarr/{number}000/crop1/prediction")
}

/// Records, writes and seals an array.
fn array(registry: &Registry, path: &str) -> Artifact {
    registry.record(&layout::parse(path).unwrap()).unwrap();
    let folder = registry.base().join(path);
    fs::create_dir_all(folder.join("0/0")).unwrap();
    fs::write(folder.join(".zarray"), "{}").unwrap();
    fs::write(folder.join("0/0/0"), "a chunk").unwrap();
    registry.seal(&target(path)).unwrap()
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

/// Removes an array at this time, through a new handle.
fn remove_at(base: &Path, number: usize, now: Timestamp) -> dalsegno::Result<RemovalReport> {
    open(base, now).remove_artifact(&target(&path(number)))
}

fn backups(base: &Path) -> Vec<Backup> {
    backup::list(&base.join(BACKUPS), Timestamp(i64::MAX)).unwrap()
}

/// Lists the folder of backups.
fn names(base: &Path) -> Vec<String> {
    names_in(&base.join(BACKUPS))
}

fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn sql(catalog: &Path, sql: &str) {
    let connection = Connection::open(catalog).unwrap();
    connection.execute_batch(sql).unwrap();
}

fn ask(catalog: &Path, sql: &str) -> String {
    let connection = Connection::open(catalog).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn code<T>(result: dalsegno::Result<T>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}
