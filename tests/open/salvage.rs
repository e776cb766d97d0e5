//! The published copy of a catalog that is lost: a rebuild begins with it if it is the newest, and
//! never lets the next one replace the only file that has a pin.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Options, PinSelection, RebuildFrom, RebuildOptions, RebuildReport, Registry};
use tempfile::TempDir;

use super::child::{prediction, write_array};
use super::{NOBODY, folder, is_root};

const COPY: &str = ".dalsegno/published.sqlite3";
const BACKUP: &str = ".dalsegno/backups/20200101T000000Z.sqlite3";

/// A base directory whose catalog is in another folder and has a pin, with its published copy.
struct Scene {
    _folder: TempDir,
    base: PathBuf,
    catalog: PathBuf,
}

impl Scene {
    /// Backs the catalog up before the pin.
    fn new() -> Self {
        let folder = folder();
        let (base, disk) = (folder.path().join("base"), folder.path().join("disk"));
        fs::create_dir(&base).unwrap();
        fs::create_dir(&disk).unwrap();
        let scene = Self {
            _folder: folder,
            base,
            catalog: disk.join("c.sqlite3"),
        };
        write_array(&scene.base, &prediction("run", 1));
        let options = Options::new().catalog(&scene.catalog);
        let (registry, _) = options.create(&scene.base).unwrap();
        registry.record(&prediction("run", 1)).unwrap();
        drop(registry);
        fs::create_dir(scene.base.join(".dalsegno/backups")).unwrap();
        fs::copy(scene.copy(), scene.base.join(BACKUP)).unwrap();
        scene.pin("fig3");
        scene
    }

    fn copy(&self) -> PathBuf {
        self.base.join(COPY)
    }

    fn pin(&self, name: &str) {
        let registry = Registry::open(&self.base).unwrap();
        let rows = registry.select(&Filter::default()).unwrap();
        let pinned = PinSelection::Artifacts(rows);
        let name = name.parse().unwrap();
        registry.pin(&name, Some("paper"), &pinned).unwrap();
    }

    fn without_backup(self) -> Self {
        fs::remove_file(self.base.join(BACKUP)).unwrap();
        self
    }

    fn damaged(self) -> Self {
        fs::write(&self.catalog, [0; 4096]).unwrap();
        self
    }

    fn rebuild(&self, options: &RebuildOptions) -> RebuildReport {
        let rebuilt = Options::new().rebuild(&self.base, options, &Silent);
        let (registry, report) = rebuilt.unwrap();
        drop(registry);
        let left = fs::read_dir(self.catalog.parent().unwrap()).unwrap();
        for entry in left {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains(".rebuild"), "{name} is left");
        }
        report
    }

    /// Rebuilds, and returns what it began with.
    fn begun_with(&self) -> (Option<PathBuf>, RebuildReport) {
        let report = self.rebuild(&RebuildOptions::default());
        let path = report.backup.as_ref().map(|backup| backup.path.clone());
        (path, report)
    }

    fn pins(&self) -> Vec<String> {
        pins_of(&Registry::open(&self.base).unwrap())
    }

    /// The pins that a copy which was set aside has.
    fn pins_in(copy: &Path) -> Vec<String> {
        let connection = rusqlite::Connection::open(copy).unwrap();
        let mut names = connection.prepare("SELECT name FROM pin").unwrap();
        let names = names.query_map([], |row| row.get(0)).unwrap();
        names.map(Result::unwrap).collect()
    }
}

fn pins_of(registry: &Registry) -> Vec<String> {
    let pins = registry.pins().unwrap();
    pins.iter().map(|pin| pin.name.to_string()).collect()
}

#[test]
fn a_lost_catalog_begins_with_the_published_copy_if_that_is_the_newest() {
    let deleted = |scene: Scene| {
        fs::remove_file(&scene.catalog).unwrap();
        scene
    };
    for scene in [
        Scene::new().damaged(),
        Scene::new().without_backup().damaged(),
        deleted(Scene::new()),
        deleted(Scene::new().without_backup()),
    ] {
        let (begun, report) = scene.begun_with();
        assert_eq!(begun, Some(scene.copy()));
        assert_eq!(report.copy_set_aside, None);
        assert_eq!(scene.pins(), ["fig3"]);
    }
}

#[test]
fn a_new_catalog_from_the_copy_has_the_permissions_of_the_old_one() {
    let scene = Scene::new().damaged();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    fs::set_permissions(&scene.catalog, fs::Permissions::from_mode(0o600)).unwrap();
    scene.begun_with();
    assert_eq!(mode(&scene.catalog), 0o600);
}

#[test]
fn a_copy_that_is_older_than_the_backup_is_not_taken() {
    let scene = Scene::new();
    let older = fs::read(scene.copy()).unwrap();
    scene.pin("fig4");
    // The names of backups are no measure: the clock that gave them may have been wrong.
    fs::copy(scene.copy(), scene.base.join(BACKUP)).unwrap();
    fs::write(scene.copy(), older).unwrap();
    let scene = scene.damaged();
    let (begun, report) = scene.begun_with();
    assert_eq!(begun, Some(scene.base.join(BACKUP)));
    assert_eq!(report.copy_set_aside, None);
    assert_eq!(scene.pins(), ["fig3", "fig4"]);
}

#[test]
fn a_copy_that_cannot_be_used_is_skipped_with_a_reason_and_kept() {
    let other = Scene::new();
    type Spoil<'a> = &'a dyn Fn(&Scene);
    let spoil: [(&str, Spoil<'_>); 5] = [
        ("belongs to registry", &|scene| {
            fs::copy(other.copy(), scene.copy()).unwrap();
        }),
        ("file is not a database", &|scene| {
            fs::write(scene.copy(), [7; 8192]).unwrap();
        }),
        ("symbolic link", &|scene| {
            let to = scene.base.join("elsewhere");
            fs::rename(scene.copy(), &to).unwrap();
            symlink(&to, scene.copy()).unwrap();
        }),
        ("it is a folder", &|scene| {
            fs::remove_file(scene.copy()).unwrap();
            fs::create_dir(scene.copy()).unwrap();
        }),
        ("other users may write it", &|scene| {
            fs::set_permissions(scene.copy(), fs::Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (why, spoil) in spoil {
        let scene = Scene::new().damaged();
        spoil(&scene);
        let (begun, report) = scene.begun_with();
        assert_eq!(begun, Some(scene.base.join(BACKUP)), "{why}");
        // The damaged catalog itself is named too.
        let (copies, others): (Vec<_>, Vec<_>) = report
            .refused
            .iter()
            .partition(|one| one.path == scene.copy());
        let ([refused], [catalog]) = (&*copies, &*others) else {
            panic!("{why}: {:?}", report.refused);
        };
        assert_eq!(catalog.path, report.catalog);
        assert!(refused.reason.contains(why), "{why}: {}", refused.reason);
        assert!(!refused.reason.contains(".rebuild"), "{}", refused.reason);
        let aside = report.copy_set_aside.unwrap();
        assert!(aside.symlink_metadata().is_ok(), "{}", aside.display());
        assert!(scene.pins().is_empty());
    }
}

#[test]
fn a_copy_of_a_user_without_a_say_is_skipped() {
    if !is_root("a copy of another user") {
        return;
    }
    let scene = Scene::new().damaged();
    chown(scene.copy(), Some(NOBODY), None).unwrap();
    let (begun, report) = scene.begun_with();
    assert_eq!(begun, Some(scene.base.join(BACKUP)));
    let reason = &report.refused[0].reason;
    assert!(reason.contains("belongs to user 65534"), "{reason}");
    // Whoever trusts it names it.
    let aside = report.copy_set_aside.unwrap();
    let options = RebuildOptions::default().force(true);
    scene.rebuild(&options.from(RebuildFrom::Backup(aside)));
    assert_eq!(scene.pins(), ["fig3"]);
}

#[test]
fn what_the_new_catalog_lacks_is_kept_under_another_name() {
    for has_backup in [false, true] {
        let scene = Scene::new().damaged();
        let from = match has_backup {
            true => RebuildFrom::Backup(scene.base.join(BACKUP)),
            false => RebuildFrom::Disk,
        };
        let report = scene.rebuild(&RebuildOptions::default().from(from));
        let aside = report.copy_set_aside.unwrap();
        assert_eq!(Scene::pins_in(&aside), ["fig3"]);
        assert!(Scene::pins_in(&scene.copy()).is_empty());
        assert!(scene.pins().is_empty());
        // The one that is published now lacks nothing of the new catalog.
        let again = scene.rebuild(&RebuildOptions::default().force(true));
        assert_eq!(again.backup.unwrap().path, scene.copy());
        assert_eq!(again.copy_set_aside, None);
    }
}
