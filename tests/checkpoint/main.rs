//! Checkpoints: one file each; adopted, listed and removed only if their kind is named.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

#[path = "../common/mod.rs"]
mod common;
mod removal;
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::{Registry, ScanOptions, ScanReport, Target};
use tempfile::TempDir;

/// Unpacks a base directory that DaCapo wrote.
fn unpack(tree: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let archive = fs::File::open(data.join(format!("{tree}.tar.gz"))).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    archive.unpack(folder.path()).unwrap();
    let base = folder.path().join("base");
    (folder, base)
}

fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = common::create(folder.path());
    (folder, registry)
}

/// Writes a checkpoint and returns its path relative to the base directory.
fn write(base: &Path, run: &str, iteration: i64) -> String {
    let path = format!("{run}/checkpoints/iterations/{iteration}");
    fs::create_dir_all(base.join(&path).parent().unwrap()).unwrap();
    fs::write(base.join(&path), format!("weights of {iteration}")).unwrap();
    path
}

fn scan(registry: &Registry, kinds: &[Kind]) -> ScanReport {
    let options = ScanOptions::default().kinds(kinds.iter().copied());
    registry.scan(options, &Silent).unwrap()
}

fn of_kinds(kinds: &[Kind]) -> Filter {
    Filter::default().kinds(kinds.iter().copied())
}

fn paths(registry: &Registry, kinds: &[Kind]) -> Vec<String> {
    let rows = registry.select(&of_kinds(kinds)).unwrap();
    let mut paths: Vec<String> = rows.iter().map(|row| row.location().path()).collect();
    paths.sort();
    paths
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn code<T>(result: dalsegno::Result<T>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}
