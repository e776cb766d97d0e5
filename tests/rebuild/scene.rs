//! A base directory, its catalog, and the state that must be the same afterwards.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use dalsegno::Backup;
use dalsegno::RemoveOptions;
use dalsegno::model::artifact::Artifact;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::operation::{Action, HistoryFilter};
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::{RemovalId, RemovalState, TrashKeep};
use dalsegno::testing::{Catalog, CatalogOptions};
use dalsegno::{
    Options, RebuildFrom, RebuildOptions, RebuildReport, Registry, ScanOptions, Target,
};
use tempfile::TempDir;

use crate::child;
use crate::common_agent::agent;

pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);
pub(crate) const A1: &str = "run/validation.zarr/1/a/prediction";
pub(crate) const A2: &str = "run/validation.zarr/2/a/prediction";
pub(crate) const A3: &str = "run/validation.zarr/3/a/prediction";
/// An identifier whose parameters the layout cannot read back from its path.
pub(crate) const OUTPUT: &str = "run/validation.zarr/2/a/output/t/0.5";

pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) base: PathBuf,
    seconds: Cell<i64>,
}

pub(crate) fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

pub(crate) fn target(path: &str) -> Target {
    Target::Path(path.into())
}

pub(crate) fn code<T>(result: dalsegno::Result<T>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}

pub(crate) fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A file system in memory, if there is one: faster, and the tests do not depend on it.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Writes an array of three files at `path`.
pub(crate) fn write(base: &Path, path: &str) {
    let folder = base.join(path);
    fs::create_dir_all(folder.join("0/0")).unwrap();
    fs::write(folder.join(".zarray"), "{}").unwrap();
    fs::write(folder.join(".zattrs"), format!("{{\"of\": \"{path}\"}}")).unwrap();
    fs::write(folder.join("0/0/0"), "a chunk").unwrap();
}

impl Scene {
    /// An empty base directory with a registry.
    pub(crate) fn empty() -> Self {
        let folder = scratch();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        let scene = Self {
            folder,
            base,
            seconds: Cell::new(0),
        };
        drop(scene.open());
        scene
    }

    /// A base directory with arrays of every kind, adopted and measured by a scan.
    pub(crate) fn scanned() -> Self {
        let scene = Self::empty();
        for path in [
            A1,
            A2,
            A3,
            OUTPUT,
            "run/validation.zarr/inputs/raw",
            "run/validation.zarr/inputs/0/gt",
            "run/validation.zarr/0/voi",
            "run/snapshot.zarr/volumes/raw",
            "group/run 2/validation.zarr/7/b/c/prediction",
            "other/extra.n5/mesh",
        ] {
            write(&scene.base, path);
        }
        scene.open().scan(measured(), &Silent).unwrap();
        scene
    }

    /// A base directory with recorded and sealed arrays.
    pub(crate) fn recorded(paths: &[&str]) -> Self {
        let scene = Self::empty();
        let registry = scene.open();
        // An unrecorded file, so that a removal of all arrays does not take the container as a
        // whole.
        fs::create_dir_all(scene.base.join("run/validation.zarr")).unwrap();
        fs::write(scene.base.join("run/validation.zarr/notes.txt"), "precious").unwrap();
        for path in paths {
            scene.array(&registry, path);
        }
        drop(registry);
        scene
    }

    /// Records, writes and seals an array.
    pub(crate) fn array(&self, registry: &Registry, path: &str) -> Artifact {
        registry.record(&key(path)).unwrap();
        write(&self.base, path);
        registry.seal(&target(path)).unwrap()
    }

    /// One second later.
    pub(crate) fn options(&self) -> Options {
        self.seconds.set(self.seconds.get() + 1);
        let now = Timestamp(NOW.0 + 1000 * self.seconds.get());
        Options::new().clock(FixedClock(now))
    }

    pub(crate) fn open(&self) -> Registry {
        self.options().create(&self.base).unwrap().0
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.base.join(".dalsegno/catalog.sqlite3")
    }

    pub(crate) fn backups(&self) -> PathBuf {
        self.base.join(".dalsegno/backups")
    }

    /// Makes a backup, days after the last one.
    pub(crate) fn back_up(&self) -> Backup {
        let options = CatalogOptions {
            backups: Some(self.backups()),
            ..CatalogOptions::default()
        };
        let catalog = Catalog::open(&self.catalog(), &self.base, Some(agent()), options).unwrap();
        self.seconds.set(self.seconds.get() + 2 * 24 * 60 * 60);
        let now = Timestamp(NOW.0 + 1000 * self.seconds.get());
        catalog.back_up_daily(now, &Silent).unwrap().unwrap()
    }

    /// Deletes the catalog and SQLite's files beside it.
    pub(crate) fn lose(&self) {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(with(&self.catalog(), suffix));
        }
    }

    pub(crate) fn try_rebuild(
        &self,
        options: &RebuildOptions,
    ) -> dalsegno::Result<(Registry, RebuildReport)> {
        self.options().rebuild(&self.base, options, &Silent)
    }

    pub(crate) fn rebuild(&self) -> (Registry, RebuildReport) {
        let (registry, report) = self.try_rebuild(&RebuildOptions::default()).unwrap();
        assert_is_a_good_rebuild(&registry);
        (registry, report)
    }

    /// Rebuilds from disk and trash alone.
    pub(crate) fn rebuild_from_disk(&self) -> (Registry, RebuildReport) {
        let (registry, report) = self.try_rebuild(&from_disk()).unwrap();
        assert_is_a_good_rebuild(&registry);
        (registry, report)
    }

    /// Everything in the base directory except the registry's files.
    pub(crate) fn data(&self) -> BTreeMap<String, String> {
        fs::read_dir(&self.base)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| !path.ends_with(".dalsegno"))
            .flat_map(|path| child::tree(&path))
            .collect()
    }

    pub(crate) fn trash(&self, id: &RemovalId) -> PathBuf {
        self.base.join(".dalsegno/trash").join(id.as_str())
    }

    /// The names beside the catalog of files that were set aside.
    pub(crate) fn set_aside(&self) -> Vec<String> {
        let names = fs::read_dir(self.base.join(".dalsegno")).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".damaged-"))
            .collect();
        names.sort();
        names
    }
}

/// Checks what holds after every rebuild: the history is whole and names it, there are no leftovers
/// of making the new catalog, and SQLite's check finds nothing.
pub(crate) fn assert_is_a_good_rebuild(registry: &Registry) {
    assert!(registry.check_history(None).unwrap().is_whole());
    let filter = HistoryFilter::default().actions([Action::Rebuild]);
    let mut operations = 0;
    registry
        .history(&filter, |_| {
            operations += 1;
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .unwrap();
    assert!(operations > 0, "the history does not name the rebuild");
    child::assert_sound(registry.catalog_path());
    let folder = registry.catalog_path().parent().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.contains(".rebuild"), "{name} was left");
    }
}

pub(crate) fn from_disk() -> RebuildOptions {
    RebuildOptions::default()
        .from(RebuildFrom::Disk)
        .scan(measured())
}

pub(crate) fn measured() -> ScanOptions {
    ScanOptions::default().measure(true)
}

pub(crate) fn everything() -> Filter {
    Filter::default().kinds(Kind::ALL)
}

/// Every row, by path.
pub(crate) fn rows(registry: &Registry) -> BTreeMap<String, Artifact> {
    let rows = registry.select(&everything()).unwrap();
    rows.into_iter()
        .map(|row| (row.location().path(), row))
        .collect()
}

/// The part of every row that can be read from the disk.
pub(crate) fn listing(registry: &Registry) -> Vec<String> {
    let rows = rows(registry).into_values();
    rows.map(|row| {
        format!(
            "{} {} {:?} {:?} {:?} {:?}",
            row.location().path(),
            row.key,
            row.state,
            row.size,
            row.written_at,
            row.owner
        )
    })
    .collect()
}

pub(crate) fn kept() -> RemoveOptions {
    RemoveOptions::default()
        .keep(TrashKeep::UntilEmptied)
        .reason("no longer needed")
}

/// Moves arrays to the trash, by one removal.
pub(crate) fn remove(registry: &Registry, paths: &[&str]) -> RemovalId {
    let chosen = paths
        .iter()
        .flat_map(|path| registry.to_remove(&target(path)).unwrap())
        .collect();
    let plan = registry.plan_removal(chosen).unwrap();
    let report = registry.remove_planned(&plan, &kept(), &Silent).unwrap();
    report.removal.unwrap()
}

/// The state of a removal, if the catalog knows it.
pub(crate) fn state(registry: &Registry, id: &RemovalId) -> Option<RemovalState> {
    Some(registry.removal(id).unwrap()?.state)
}

pub(crate) fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

/// The name of a backup of this time.
pub(crate) fn backup_name(at: Timestamp) -> String {
    let seconds = at.to_string();
    let seconds = seconds.split('.').next().unwrap();
    format!("{}Z.sqlite3", seconds.replace(['-', ':'], ""))
}

/// An identifier without data: no scan finds it.
pub(crate) fn reserved(iteration: i64) -> Key {
    Key::Prediction {
        run: "run".parse().unwrap(),
        iteration,
        dataset: "a".parse().unwrap(),
        container: None,
    }
}
