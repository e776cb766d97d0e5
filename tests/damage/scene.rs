//! A base directory with a small real tree, files beside it, and what must be left of both.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use dalsegno::RemoveOptions;
use dalsegno::ScanOptions;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, PinSelection, Registry, Target};
use rusqlite::Connection;
use tempfile::TempDir;

/// When everything was written and recorded.
pub(crate) const THEN: Timestamp = Timestamp(1_700_000_000_000);
/// When the commands are run: ten days later, so that nothing counts as recent for `gc`.
pub(crate) const NOW: Timestamp = Timestamp(1_700_864_000_000);

/// The array that `rm` removes.
pub(crate) const VICTIM: &str = "a/validation.zarr/1/crop/prediction";
/// The container that `rm` removes with everything in it.
pub(crate) const CONTAINER: &str = "a/snapshot.zarr";
/// A pinned array.
pub(crate) const PINNED: &str = "b/validation.zarr/2/crop/prediction";
/// An array in the trash.
pub(crate) const TRASHED: &str = "c/validation.zarr/5/crop/prediction";
/// The run whose last iteration and pinned arrays `gc` keeps.
pub(crate) const GC_RUN: &str = "b";
/// The arrays of that run that `gc` removes.
pub(crate) const GC_PATHS: [&str; 2] = [
    "b/validation.zarr/1/crop/prediction",
    "b/validation.zarr/3/crop/prediction",
];

pub(crate) const CATALOG: &str = ".dalsegno/catalog.sqlite3";

/// Every array of the tree.
pub(crate) const ARRAYS: [&str; 12] = [
    VICTIM,
    "a/validation.zarr/1/crop/output/t",
    "a/validation.zarr/2/crop/prediction",
    "a/validation.zarr/inputs/crop/raw",
    "a/snapshot.zarr/volumes/raw",
    "a/snapshot.zarr/volumes/gt",
    GC_PATHS[0],
    PINNED,
    GC_PATHS[1],
    "b/validation.zarr/4/crop/prediction",
    TRASHED,
    "c/validation.zarr/6/crop/prediction",
];

/// Every file except the catalog's: path below the scene, and content.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A folder with a base directory and other files beside it.
pub(crate) struct Scene {
    folder: TempDir,
    pub(crate) before: Files,
}

/// A file system in memory, if there is one: faster, and the tests do not depend on it.
pub(crate) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

fn template() -> &'static Path {
    static TEMPLATE: OnceLock<TempDir> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| {
        let folder = scratch();
        write_scene(folder.path());
        folder
    });
    template.path()
}

fn write_scene(folder: &Path) {
    let base = folder.join("base");
    for array in ARRAYS {
        write_array(&base.join(array));
    }
    for (path, text) in [
        ("base/a/validation.zarr/.zgroup", "{}"),
        ("base/a/notes.txt", "precious"),
        ("beside/file", "not of the base directory"),
    ] {
        fs::create_dir_all(folder.join(path).parent().unwrap()).unwrap();
        fs::write(folder.join(path), text).unwrap();
    }
    write_array(&folder.join("beside/validation.zarr/1/crop/prediction"));
    let registry = open(&base, THEN, true).unwrap();
    let options = ScanOptions::default().measure(true);
    registry.scan(options, &Silent).unwrap();
    registry.seal(&Target::Path(VICTIM.into())).unwrap();
    // Reserved identifiers, so that the catalog has enough pages to be truncated.
    let keys: Vec<Key> = (0..400).map(|iteration| key("bulk", iteration)).collect();
    registry.record_many(&keys).unwrap();
    let pinned = registry.get(&Target::Path(PINNED.into())).unwrap();
    let target = PinSelection::Artifacts(vec![pinned.unwrap()]);
    let name = "paper".parse().unwrap();
    registry.pin(&name, Some("figure 3"), &target).unwrap();
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let trashed = Target::Path(TRASHED.into());
    registry.remove_target(&trashed, &options, &Silent).unwrap();
}

/// Opens or makes the registry of a base directory, with a fixed clock.
pub(crate) fn open(base: &Path, now: Timestamp, make: bool) -> dalsegno::Result<Registry> {
    let options = Options::new()
        .lock_timeout(Duration::from_secs(5))
        .clock(FixedClock(now));
    match make {
        true => options.create(base).map(|(registry, _)| registry),
        false => options.open(base),
    }
}

pub(crate) fn key(run: &str, iteration: i64) -> Key {
    Key::Prediction {
        run: run.parse().unwrap(),
        iteration,
        dataset: "crop".parse().unwrap(),
        container: None,
    }
}

/// Writes an array of four old files, each with its own path as content.
pub(crate) fn write_array(array: &Path) {
    fs::create_dir_all(array.join("0")).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(THEN.0 as u64);
    for name in [".zarray", ".zattrs", "0/0", "0/1"] {
        let path = array.join(name);
        let own: PathBuf = path.components().rev().take(8).collect();
        let text = format!("{{\"zarr_format\":2,\"path\":{own:?}}}");
        fs::write(&path, text).unwrap();
        let times = FileTimes::new().set_modified(time);
        File::open(&path).unwrap().set_times(times).unwrap();
    }
    // An array is as new as its folders: chunks come and go in them.
    for folder in [array.join("0"), array.to_owned()] {
        let times = FileTimes::new().set_modified(time);
        File::open(folder).unwrap().set_times(times).unwrap();
    }
}

/// Copies a folder with its times, which show whether an array was rewritten. A catalog's reserve
/// is never read, so only its length is copied.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
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
    let times = FileTimes::new().set_modified(from.metadata().unwrap().modified().unwrap());
    File::open(to).unwrap().set_times(times).unwrap();
}

impl Scene {
    /// A copy of the scene with a damaged base directory.
    pub(crate) fn with(damage: &dyn Fn(&Path)) -> Self {
        let folder = scratch();
        copy(template(), folder.path());
        damage(&folder.path().join("base"));
        let before = files(folder.path());
        Self { folder, before }
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    /// Checks that everything is still there except these artifacts, all of which are gone. Data in
    /// the trash may be back in its place: recovery does that if the catalog no longer knows the
    /// removal.
    pub(crate) fn assert_nothing_lost(&self, gone: &[String], name: &str) {
        let after = files(self.folder.path());
        let back = |path: &str| {
            let rest = path.strip_prefix("base/.dalsegno/trash/")?;
            let (_, rest) = rest.split_once("/0/")?;
            Some(format!("base/{TRASHED}/{rest}"))
        };
        let is_gone = |path: &str| {
            let path = back(path).unwrap_or_else(|| path.to_owned());
            gone.iter()
                .any(|gone| path.starts_with(&format!("base/{gone}/")))
        };
        let mut known: Vec<String> = Vec::new();
        for (path, content) in &self.before {
            let found = after.get(path).map(|found| (path.clone(), found));
            let moved = || back(path).and_then(|back| Some((back.clone(), after.get(&back)?)));
            match found.or_else(moved) {
                Some((at, found)) => {
                    assert!(!is_gone(path), "{name}: {path} was to be gone");
                    assert!(found == content, "{name}: {path} has another content");
                    known.push(at);
                }
                // The manifest is deleted with the last item of its removal.
                None if path.ends_with("/manifest.json") => {}
                None => assert!(is_gone(path), "{name}: {path} is lost"),
            }
        }
        let mut new = after.keys().filter(|path| !known.contains(path));
        assert_eq!(new.next(), None, "{name}: a new file");
    }

    /// Checks that the catalog's file is the one that was there, with only registry files beside
    /// it.
    pub(crate) fn assert_no_new_catalog(&self, before: &Standing, name: &str) {
        let now = Standing::of(&self.base().join(CATALOG));
        let fits = match (before, &now) {
            // A change may grow it, and a checkpoint never truncates it.
            (Standing::File(before), Standing::File(after)) => after >= before,
            (before, after) => before == after,
        };
        assert!(fits, "{name}: {before:?} became {now:?}");
        for entry in fs::read_dir(self.base()).unwrap() {
            let entry = entry.unwrap().file_name().into_string().unwrap();
            assert!(!entry.starts_with(".dalsegno."), "{name}: {entry}");
        }
    }
}

/// What is at the path of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    File(u64),
    Folder,
    Link(PathBuf),
}

impl Standing {
    pub(crate) fn of(path: &Path) -> Self {
        let Ok(metadata) = path.symlink_metadata() else {
            return Self::Nothing;
        };
        if metadata.is_dir() {
            Self::Folder
        } else if metadata.is_symlink() {
            Self::Link(fs::read_link(path).unwrap())
        } else {
            Self::File(metadata.len())
        }
    }
}

/// Every file below a folder except those beside the catalog; for a symbolic link, its target.
pub(crate) fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_dir() {
                folders.push(path);
            } else if is_catalogs_own(name) {
                // The catalog itself is checked separately.
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string();
                files.insert(name.to_owned(), target.into_encoded_bytes());
            } else {
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Whether a file is the catalog, one of SQLite's beside it, or a backup.
fn is_catalogs_own(name: &str) -> bool {
    name.starts_with(&format!("base/{CATALOG}")) || name.starts_with("base/.dalsegno/backups/")
}

/// Changes the catalog of a base directory by plain SQL, as a user with `sqlite3` might.
pub(crate) fn sql(base: &Path, sql: &str) {
    let connection = Connection::open(base.join(CATALOG)).unwrap();
    let off = "PRAGMA foreign_keys = off; PRAGMA ignore_check_constraints = on;";
    connection.execute_batch(&format!("{off}{sql}")).unwrap();
}

/// Paths of the rows that the library lists.
pub(crate) fn listed(registry: &Registry) -> dalsegno::Result<Vec<String>> {
    let rows = registry.select(&Filter::default())?.into_iter();
    Ok(rows.map(|row| row.location().path()).collect())
}
