//! A base directory with something of every kind to repair, and what must be left of it.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use dalsegno::RemoveOptions;
use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Registry, Target, VerifyFinding, VerifyOptions};
use tempfile::TempDir;

pub(crate) const CATALOG: &str = ".dalsegno/catalog.sqlite3";

pub(crate) const COMPLETE: VerifyOptions = VerifyOptions::new()
    .measure(true)
    .read_data(true)
    .indices(true)
    .threads(Some(2));

/// The expected findings: class and repair.
pub(crate) const FOUND: [&str; 13] = [
    "moved follow",
    "copied with-parts",
    "row-without-data mark-missing",
    "data-is-back mark-present",
    "data-without-row adopt",
    "data-without-row adopt",
    "no-metadata mark-missing",
    "wrong-type mark-missing",
    "changed-files note-anew",
    "changed-size note-anew",
    "rewritten note-anew",
    "stale-list rewrite-list",
    "trash-unsettled settle",
];

/// Findings that no repair fixes.
pub(crate) const LEFT: [&str; 2] = ["no-metadata -", "wrong-type -"];

/// What the list names once the repair is done.
pub(crate) const LISTED: &str = "\"moved/validation.zarr/1/x/prediction/.zarray\"";

const GONE: &str = "a/validation.zarr/1/x/prediction";
const BACK: &str = "a/validation.zarr/2/x/prediction";
const BARE: &str = "a/validation.zarr/3/x/prediction";
const FILE: &str = "a/validation.zarr/4/x/prediction";
const FEWER: &str = "a/validation.zarr/5/x/prediction";
const SMALLER: &str = "a/validation.zarr/6/x/prediction";
const REWRITTEN: &str = "a/validation.zarr/7/x/prediction";
const WHOLE: &str = "a/validation.zarr/8/x/prediction";
/// The list of the base directory: it names what is below `b`.
const LIST: &str = ".zmetadata";
/// What a kill may leave of a new one, until the next repair.
const NEW_LIST: &str = ".dalsegno-list.new";
/// Their numbers in the trash.
const CUT_SHORT: [&str; 2] = [
    "a/validation.zarr/10/x/prediction",
    "a/validation.zarr/9/x/prediction",
];
const NEW: &str = "d/validation.zarr/77/y/prediction";
const OF_MOVED: &str = "b/validation.zarr/1/x/prediction";
const OF_COPIED: &str = "c/validation.zarr/1/x/prediction";

/// The arrays that another process removes during the repair.
pub(crate) const REMOVED: [&str; 5] = [FEWER, SMALLER, BACK, WHOLE, NEW];

/// Mode, inode, time, size and content of every file of the runs.
type Files = BTreeMap<String, (u32, u64, i64, Vec<u8>)>;

pub(crate) struct Scene {
    folder: TempDir,
    before: Files,
}

fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Writes an array with times of its own, by which moved or copied data is recognised.
fn write(path: &Path) {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let age = Duration::from_secs(60 * WRITTEN.fetch_add(1, Ordering::Relaxed));
    let times =
        FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1_700_000_000) + age);
    fs::create_dir_all(path).unwrap();
    for name in [".zarray", "0.0", "0.1"] {
        let own: PathBuf = path.components().rev().take(6).collect();
        fs::write(path.join(name), format!("{{\"in\":{own:?}}}")).unwrap();
        let file = File::open(path.join(name)).unwrap();
        file.set_times(times).unwrap();
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        let folder = scratch();
        let template = folder.path().join("template");
        fs::create_dir(&template).unwrap();
        damage(&template);
        Self::of(folder)
    }

    fn of(folder: TempDir) -> Self {
        copy(&folder.path().join("template"), &folder.path().join("base"));
        let before = files(&folder.path().join("base"));
        Self { folder, before }
    }

    /// A copy of the scene in its first state.
    pub(crate) fn again(&self) -> Self {
        let folder = scratch();
        let template = folder.path().join("template");
        copy(&self.folder.path().join("template"), &template);
        Self::of(folder)
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What the list of the base directory names of the run that was renamed by hand.
    pub(crate) fn listed(&self) -> String {
        assert!(!self.base().join(NEW_LIST).exists());
        let list = fs::read_to_string(self.base().join(LIST)).unwrap();
        let metadata = list.split("\"metadata\":{").nth(1).unwrap();
        metadata.split(':').next().unwrap().to_owned()
    }

    pub(crate) fn assert_data_untouched(&self, point: &str) {
        self.assert_data_untouched_but(&[], point);
    }

    /// Checks that every file is the same and in place, except those of these artifacts, which are
    /// gone.
    pub(crate) fn assert_data_untouched_but(&self, removed: &[&str], point: &str) {
        let mut after = files(&self.base());
        for (path, file) in &self.before {
            let is_gone = removed
                .iter()
                .any(|gone| path.starts_with(&format!("{gone}/")));
            if is_gone {
                assert!(!after.contains_key(path), "{point}: {path} is there");
                continue;
            }
            // An interrupted removal is rolled back: the inode shows that it is the same file.
            let at = match after.contains_key(path) {
                true => path.clone(),
                false => place_of(path).unwrap_or_default(),
            };
            let found = after.remove(&at);
            let is_manifest = path.ends_with("/manifest.json");
            assert!(
                found.as_ref() == Some(file) || (is_manifest && found.is_none()),
                "{point}: {path} was {file:?} and is {found:?}"
            );
        }
        assert_eq!(after, Files::new(), "{point}: new files");
    }
}

/// The place that an item in the trash came from.
fn place_of(path: &str) -> Option<String> {
    let rest = path.strip_prefix(".dalsegno/trash/")?;
    let (_, rest) = rest.split_once('/')?;
    let (item, rest) = rest.split_once('/')?;
    let array = CUT_SHORT[item.parse::<usize>().ok()?];
    Some(format!("{array}/{rest}"))
}

fn damage(base: &Path) {
    let all = [
        GONE, BACK, BARE, FILE, FEWER, SMALLER, REWRITTEN, WHOLE, OF_MOVED, OF_COPIED,
    ];
    for array in all.iter().chain(&CUT_SHORT) {
        write(&base.join(array));
    }
    let registry = Registry::create(base).unwrap();
    let options = ScanOptions::default().measure(true);
    registry.scan(options, &Silent).unwrap();
    let path = |array: &str| base.join(array);
    // Marked missing; then its data came back.
    fs::rename(path(BACK), path("aside")).unwrap();
    repair(&registry);
    fs::rename(path("aside"), path(BACK)).unwrap();
    registry.seal(&Target::Path(FEWER.into())).unwrap();
    let kept = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let filter = Filter::default()
        .runs(["a"])
        .iterations(["9..10".parse().unwrap()]);
    let removed = registry.remove_many(&filter, &kept, &Silent).unwrap();
    assert_eq!(removed.moved, 2);
    let id = removed.removal.unwrap().to_string();
    drop(registry);
    // As if it had never been committed.
    let connection = rusqlite::Connection::open(base.join(CATALOG)).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA foreign_keys = off;
             INSERT INTO artifact (id, run_id, kind_id, iteration, dataset_id, parameters_id,
                 container_id, array, origin, state, bytes, files, recorded_at, written_at,
                 sealed_at, owner)
             SELECT artifact_id, run_id, kind_id, iteration, dataset_id, parameters_id,
                 container_id, array, origin, state, bytes, files, recorded_at, written_at,
                 sealed_at, owner FROM removed;
             DELETE FROM removed; DELETE FROM moved; DELETE FROM removal WHERE id = '{id}'"
        ))
        .unwrap();
    drop(connection);
    fs::remove_dir_all(path(GONE)).unwrap();
    fs::remove_file(path(BARE).join(".zarray")).unwrap();
    fs::remove_dir_all(path(FILE)).unwrap();
    fs::write(path(FILE), "mine").unwrap();
    fs::remove_file(path(FEWER).join("0.1")).unwrap();
    fs::write(path(SMALLER).join("0.1"), "").unwrap();
    let metadata = File::open(path(REWRITTEN).join(".zarray")).unwrap();
    metadata.set_modified(UNIX_EPOCH).unwrap();
    write(&path(NEW));
    let entries = format!(r#"{{"{OF_MOVED}/.zarray":{{"zarr_format":2}}}}"#);
    let list = format!(r#"{{"zarr_consolidated_format":1,"metadata":{entries}}}"#);
    fs::write(path(LIST), list).unwrap();
    fs::rename(path("b"), path("moved")).unwrap();
    copy(&path("c"), &path("c_copy"));
}

/// Copies a folder with its times. A catalog's reserve is never read, so only its length is copied.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        let metadata = from.metadata().unwrap();
        if metadata.is_dir() {
            copy(&from, &to);
        } else if from.extension().is_some_and(|end| end == "reserve") {
            let reserve = File::create(&to).unwrap();
            reserve.set_len(metadata.len()).unwrap();
        } else {
            fs::copy(&from, &to).unwrap();
            let times = FileTimes::new().set_modified(metadata.modified().unwrap());
            File::open(&to).unwrap().set_times(times).unwrap();
        }
    }
}

fn files(base: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![base.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(base).unwrap().to_str().unwrap();
            let stat = path.symlink_metadata().unwrap();
            if stat.is_dir() {
                folders.push(path);
            } else if !name.starts_with(CATALOG) && ![LIST, NEW_LIST].contains(&name) {
                let time = stat.mtime() * 1_000_000_000 + stat.mtime_nsec();
                let content = fs::read(&path).unwrap();
                files.insert(name.to_owned(), (stat.mode(), stat.ino(), time, content));
            }
        }
    }
    files
}

fn lines(findings: &[VerifyFinding]) -> Vec<String> {
    let mut findings: Vec<_> = findings.iter().collect();
    findings.sort_by_key(|found| found.class);
    let line = |found: &&VerifyFinding| {
        let repair = found.repair.map_or("-", |repair| repair.as_str());
        format!("{} {repair}", found.class)
    };
    findings.iter().map(line).collect()
}

pub(crate) fn verify(registry: &Registry) -> Vec<String> {
    let report = registry.verify(&Filter::default(), COMPLETE, &Silent);
    lines(&report.unwrap().findings)
}

/// Verifies and repairs; returns the findings that are left.
pub(crate) fn repair(registry: &Registry) -> Vec<String> {
    let report = registry.verify(&Filter::default(), COMPLETE, &Silent);
    let report = registry.repair(&report.unwrap().findings, &Silent);
    lines(&report.unwrap().left)
}

/// Every row without its number and the time when it was recorded.
pub(crate) fn rows(registry: &Registry) -> Vec<String> {
    let rows = registry.select(&Filter::default()).unwrap().into_iter();
    let line = |row: dalsegno::model::artifact::Artifact| {
        let path = row.location().path();
        format!("{path} {} {:?} {:?}", row.state, row.size, row.written_at)
    };
    rows.map(line).collect()
}
