//! Base directories with dated arrays, for what keeps and what goes.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use dalsegno::model::artifact::Artifact;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::pin::PinName;
use dalsegno::model::progress::Silent;
use dalsegno::{Options, PinSelection, RefreshOptions, Registry, ScanOptions, Target};
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) fn days(count: u64) -> Duration {
    Duration::from_secs(86_400 * count)
}

/// Opens the registry of a base directory, or makes one, at a moment.
pub(crate) fn open_at(base: &Path, now: Timestamp) -> Registry {
    let options = Options::new().clock(FixedClock(now));
    options.create(base).unwrap().0
}

pub(crate) fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open_at(folder.path(), NOW);
    (folder, registry)
}

/// Says that a file was written at a moment.
pub(crate) fn date(path: &Path, at: Timestamp) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap());
    let times = FileTimes::new().set_modified(time).set_accessed(time);
    File::open(path).unwrap().set_times(times).unwrap();
}

/// Says that an array with everything in it was written at a moment.
pub(crate) fn date_all(array: &Path, at: Timestamp) {
    for entry in fs::read_dir(array).unwrap() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => date_all(&entry.path(), at),
            false => date(&entry.path(), at),
        }
    }
    date(array, at);
}

/// Writes an array of two files, 9 bytes, that is `age` old at [`NOW`].
pub(crate) fn write_aged(base: &Path, path: &str, age: Duration) {
    let folder = base.join(path);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("0.0"), "a chunk").unwrap();
    fs::write(folder.join(".zarray"), "{}").unwrap();
    date_all(&folder, NOW.minus(age));
}

/// Writes a checkpoint of a run that is `age` old.
pub(crate) fn write_checkpoint(base: &Path, run: &str, iteration: i64, age: Duration) {
    let folder = base.join(run).join("checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(iteration.to_string());
    fs::write(&path, "weights").unwrap();
    date(&path, NOW.minus(age));
}

/// Takes in what lies in a base directory, checkpoints too.
pub(crate) fn scan(registry: &Registry) {
    let options = ScanOptions::default().kinds(Kind::ALL);
    let report = registry.scan(options, &Silent).unwrap();
    assert_eq!(report.notices, []);
    let options = RefreshOptions::new().all(true).measure(true);
    let every = of_kinds(&Kind::ALL);
    registry.refresh(&every, options, &Silent).unwrap();
}

pub(crate) fn of_kinds(kinds: &[Kind]) -> Filter {
    Filter::default().kinds(kinds.iter().copied())
}

pub(crate) fn of_run(run: &str) -> Filter {
    Filter::default().runs([run])
}

pub(crate) fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

pub(crate) fn target(path: &str) -> Target {
    Target::Path(path.into())
}

pub(crate) fn get(registry: &Registry, path: &str) -> Artifact {
    registry.get(&target(path)).unwrap().unwrap()
}

/// Pins the artifact at a path.
pub(crate) fn pin(registry: &Registry, name: &str, path: &str) {
    let name: PinName = name.parse().unwrap();
    let target = PinSelection::Artifacts(vec![get(registry, path)]);
    registry.pin(&name, Some("because"), &target).unwrap();
}

/// Paths of everything that is recorded, sorted.
pub(crate) fn paths(registry: &Registry) -> Vec<String> {
    let artifacts = registry.select(&of_kinds(&Kind::ALL)).unwrap();
    let mut paths: Vec<String> = artifacts
        .iter()
        .map(|artifact| artifact.location().path())
        .collect();
    paths.sort();
    paths
}

/// `mito/validation.zarr/<iteration>/crop1/prediction`.
pub(crate) fn prediction(iteration: i64) -> String {
    format!("mito/validation.zarr/{iteration}/crop1/prediction")
}
