//! Verify and repair: every class by hand on a small tree, random damage, other processes at work.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

#[path = "verify/classes.rs"]
mod classes;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod common;
#[path = "verify/contents.rs"]
mod contents;
#[path = "common/left_out.rs"]
mod left_out;
#[path = "verify/limits.rs"]
mod limits;
#[path = "verify/meanwhile.rs"]
mod meanwhile;
#[path = "verify/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dalsegno::ScanOptions;
use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, Target, VerifyClass, VerifyFinding, VerifyOptions, VerifyReport};
use tempfile::TempDir;

/// Arrays of the run `a`, relative to its folder.
const ARRAYS: [&str; 4] = [
    "validation.zarr/1/crop/prediction",
    "validation.zarr/1/crop/output/t",
    "validation.zarr/2/crop/prediction",
    "snapshot.zarr/raw",
];
const SEALED: &str = "a/validation.zarr/1/crop/prediction";
const CATALOG: &str = ".dalsegno/catalog.sqlite3";

struct World {
    folder: TempDir,
    registry: Registry,
}

impl World {
    /// Run `a` with four counted arrays of six files, one of them sealed; run `b` with one array.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for array in ARRAYS {
            write(&folder.path().join("a").join(array));
        }
        write(&folder.path().join("b/validation.zarr/9/other/prediction"));
        let registry = common::create(folder.path());
        let options = ScanOptions::default().measure(true);
        registry.scan(options, &Silent).unwrap();
        registry.seal(&Target::Path(SEALED.into())).unwrap();
        Self { folder, registry }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn verify(&self) -> VerifyReport {
        self.verify_with(&Filter::default(), VerifyOptions::default())
    }

    /// Verifies, and checks that this changed nothing.
    fn verify_with(&self, filter: &Filter, options: VerifyOptions) -> VerifyReport {
        let before = (tree(self.folder.path()), self.operations());
        let report = self.registry.verify(filter, options, &Silent).unwrap();
        assert_eq!(before, (tree(self.folder.path()), self.operations()));
        report
    }

    /// Repairs, and checks that data is unchanged and that the history says why.
    fn repair(&self, findings: &[VerifyFinding]) -> dalsegno::RepairReport {
        // Only the consolidated metadata that a finding names is written again, in its folder.
        let lists = findings
            .iter()
            .filter(|found| found.class == VerifyClass::StaleList);
        let written: Vec<String> = lists
            .flat_map(|found| ["", "/.zmetadata", "/zarr.json"].map(|end| found.path.clone() + end))
            .collect();
        let data = || {
            let mut data = tree(self.folder.path());
            data.retain(|path, _| !written.contains(path));
            data
        };
        let (before, operations) = (data(), self.operations());
        let report = self.registry.repair(findings, &Silent).unwrap();
        assert_eq!(before, data());
        let most = self.operations() - operations;
        self.assert_told(most);
        report
    }

    /// Checks that the last operations have the reason of a repair.
    fn assert_told(&self, most: u64) {
        let connection = rusqlite::Connection::open(self.path(CATALOG)).unwrap();
        let mut statement = connection
            .prepare("SELECT reason FROM operation ORDER BY id DESC LIMIT ?1")
            .unwrap();
        let reasons: Vec<Option<String>> = statement
            .query_map([most], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let is_told = |reason: &Option<String>| reason.as_deref() == Some("verify --repair");
        assert!(reasons.iter().all(is_told), "{reasons:?}");
    }

    fn operations(&self) -> u64 {
        let connection = rusqlite::Connection::open(self.path(CATALOG)).unwrap();
        let count = "SELECT count(*) FROM operation";
        connection.query_row(count, [], |row| row.get(0)).unwrap()
    }

    /// Every row as text, by path.
    fn states(&self) -> BTreeMap<String, State> {
        let rows = self.registry.select(&Filter::default().kinds(Kind::ALL));
        let rows = rows.unwrap().into_iter();
        rows.map(|row| (row.location().path(), row.state)).collect()
    }

    /// Checks that exactly the rows with metadata on disk are present, and that every array has a
    /// row.
    fn assert_agrees(&self) {
        let mut on_disk: Vec<String> = tree(self.folder.path())
            .into_keys()
            .filter_map(|path| match path.strip_suffix("/.zarray") {
                Some(array) => Some(array.to_owned()),
                None => path.contains("/checkpoints/iterations/").then_some(path),
            })
            .collect();
        on_disk.sort();
        let states = self.states();
        let present = states.iter().filter(|(_, state)| **state == State::Present);
        let present: Vec<String> = present.map(|(path, _)| path.clone()).collect();
        assert_eq!(present, on_disk);
    }

    fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path(CATALOG)).unwrap();
        connection
            .execute_batch(&format!("PRAGMA foreign_keys = off; {sql}"))
            .unwrap();
    }
}

/// An array of metadata and five chunks.
fn write(path: &Path) {
    fs::create_dir_all(path).unwrap();
    fs::write(path.join(".zarray"), r#"{"zarr_format":2}"#).unwrap();
    for chunk in 0..5 {
        fs::write(path.join(format!("0.{chunk}")), "chunk").unwrap();
    }
}

/// Every file except the catalog's, with its inode, time and size, which show a change.
fn tree(base: &Path) -> BTreeMap<String, (u64, i64, u64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(base)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let stat = path.symlink_metadata().unwrap();
            if stat.is_dir() {
                folders.push(path);
            }
            let is_registry = name.starts_with(".dalsegno") && !name.contains("/trash/");
            if !is_registry {
                let time = stat.mtime() * 1_000_000_000 + stat.mtime_nsec();
                found.insert(name, (stat.ino(), time, stat.size()));
            }
        }
    }
    found
}

/// Findings as lines: class, path, repair.
fn lines(findings: &[VerifyFinding]) -> Vec<String> {
    let line = |found: &VerifyFinding| {
        let repair = found.repair.map_or("-", |repair| repair.as_str());
        format!("{} {} [{repair}]", found.class, found.path)
    };
    findings.iter().map(line).collect()
}
