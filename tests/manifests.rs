//! What the trash and its notes say is input: whatever they say, nothing outside the base directory
//! is read into it or moved, nothing is taken that a removal did not take, and what cannot be
//! settled is left alone and reported.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use child::{prediction, tree, write_array};
use dalsegno::RemoveOptions;
use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, Registry, RestoreTarget, Target};
use rusqlite::Connection;

const ID: &str = "20261122-163000-3f9a2c";
const PLACE: &str = "run/validation.zarr/9/crop1/prediction";

/// A base directory with two arrays, and a folder beside it that nothing may touch.
struct Scene {
    folder: tempfile::TempDir,
    base: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        let scene = Self { folder, base };
        let registry = scene.open().unwrap();
        for iteration in [1, 2] {
            let key = prediction("run", iteration);
            write_array(&scene.base, &key);
            registry.record(&key).unwrap();
            registry.seal(&Target::Key(key)).unwrap();
        }
        write_array(&scene.victim(), &prediction("run", 1));
        fs::create_dir(scene.trash()).unwrap();
        scene
    }

    fn open(&self) -> dalsegno::Result<Registry> {
        let options = Options::new().clock(FixedClock(Timestamp(1_700_000_000_000)));
        options.create(&self.base).map(|(registry, _)| registry)
    }

    fn victim(&self) -> PathBuf {
        self.folder.path().join("victim")
    }

    fn trash(&self) -> PathBuf {
        self.base.join(".dalsegno/trash")
    }

    /// Puts an item into the folder of a removal that the catalog does not know.
    fn item(&self, number: u32) -> PathBuf {
        let item = self.trash().join(ID).join(number.to_string());
        fs::create_dir_all(&item).unwrap();
        fs::write(item.join(".zarray"), format!("{{\"item\": {number}}}")).unwrap();
        item
    }

    /// Writes a manifest that says where these items were.
    fn manifest(&self, paths: &[&str]) {
        let items: Vec<_> = (0..)
            .zip(paths)
            .map(|(item, path)| {
                let folder = self.trash().join(ID).join(format!("{item}"));
                let inode = folder.symlink_metadata().map_or(0, |found| found.ino());
                let device = self.base.metadata().unwrap().dev();
                serde_json::json!({
                    "item": item, "path": path, "device": device, "inode": inode,
                })
            })
            .collect();
        let manifest = serde_json::json!({ "version": 1, "items": items });
        fs::create_dir_all(self.trash().join(ID)).unwrap();
        fs::write(
            self.trash().join(ID).join("manifest.json"),
            manifest.to_string(),
        )
        .unwrap();
    }

    /// Everything but the catalog's own files.
    fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = tree(self.folder.path());
        tree.retain(|path, _| !path.contains("/catalog.sqlite3"));
        tree
    }

    fn artifact(&self, iteration: i64) -> PathBuf {
        let key = prediction("run", iteration);
        self.base.join(dalsegno::model::layout::locate(&key).path())
    }

    /// Opens twice: each time the problem is reported and nothing is touched.
    fn assert_left_alone(&self, what: &str) {
        let before = self.tree();
        for _ in 0..2 {
            let registry = self.open().unwrap();
            let problems = &registry.recovery().problems;
            assert_eq!(problems.len(), 1, "{what}: {problems:?}");
            assert!(problems[0].contains(ID), "{what}: {problems:?}");
            let rows = registry
                .select(&dalsegno::model::filter::Filter::default())
                .unwrap();
            assert_eq!(rows.len(), 2, "{what}");
            drop(registry);
            assert_eq!(self.tree(), before, "{what}");
        }
    }

    /// Removes the first array into the trash.
    fn remove(&self) -> String {
        let registry = self.open().unwrap();
        let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
        let target = Target::Key(prediction("run", 1));
        let report = registry.remove_target(&target, &options, &Silent).unwrap();
        report.removal.unwrap().to_string()
    }

    fn sql(&self, sql: &str) {
        let catalog = Connection::open(self.base.join(".dalsegno/catalog.sqlite3")).unwrap();
        assert_eq!(catalog.execute(sql, []).unwrap(), 1, "{sql}");
    }
}

/// Paths that no removal writes.
fn bad_paths(scene: &Scene) -> Vec<String> {
    let absolute = scene.victim().join("run/validation.zarr/9");
    [
        "../victim/run/validation.zarr/9",
        "run/validation.zarr/../../../victim/run/validation.zarr/9",
        "new/validation.zarr/../../../victim/9",
        "..",
        ".",
        "",
        "/",
        ".dalsegno/new",
        ".dalsegno/validation.zarr/new",
        "run",
        "notes",
        "run/validation.zarr/./9",
        "run/validation.zarr/9\n",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([absolute.to_str().unwrap().to_owned()])
    .collect()
}

#[test]
fn a_removal_that_was_cut_short_goes_back() {
    let scene = Scene::new();
    let item = scene.item(0);
    scene.manifest(&[PLACE]);
    let registry = scene.open().unwrap();
    assert_eq!(registry.recovery().undone.len(), 1);
    assert!(registry.recovery().problems.is_empty());
    assert!(!item.exists() && scene.base.join(PLACE).join(".zarray").exists());
    assert!(!scene.trash().join(ID).exists());
}

#[test]
fn a_manifest_that_leads_elsewhere_moves_nothing() {
    let scene = Scene::new();
    for bad in bad_paths(&scene) {
        scene.item(0);
        scene.manifest(&[&bad]);
        scene.assert_left_alone(&bad);
        // Nor does a sibling that would be right.
        scene.item(1);
        scene.manifest(&[PLACE, &bad]);
        scene.assert_left_alone(&bad);
        fs::remove_dir_all(scene.trash().join(ID)).unwrap();
    }
}

#[test]
fn a_manifest_that_cannot_be_read_moves_nothing() {
    let whole = Scene::new();
    whole.item(0);
    whole.manifest(&[PLACE]);
    let text = fs::read(whole.trash().join(ID).join("manifest.json")).unwrap();
    let cut = &text[..text.len() / 2];
    type Plant<'a> = Box<dyn Fn(&Path) + 'a>;
    let cases: [(&str, Plant<'_>); 7] = [
        ("none", Box::new(|_| {})),
        ("empty", Box::new(|path| fs::write(path, "").unwrap())),
        ("cut", Box::new(move |path| fs::write(path, cut).unwrap())),
        (
            "other",
            Box::new(|path| fs::write(path, "{\"items\": [{}]}").unwrap()),
        ),
        (
            "bytes",
            Box::new(|path| fs::write(path, [0xff, 0, 0xfe]).unwrap()),
        ),
        ("a folder", Box::new(|path| fs::create_dir(path).unwrap())),
        (
            "a link to one that would be right",
            Box::new(|path| {
                symlink(whole.trash().join(ID).join("manifest.json"), path).unwrap();
            }),
        ),
    ];
    for (what, plant) in cases {
        let scene = Scene::new();
        scene.item(0);
        plant(&scene.trash().join(ID).join("manifest.json"));
        scene.assert_left_alone(what);
    }
}

#[test]
fn an_item_that_is_no_folder_moves_nothing() {
    type Plant = fn(&Scene, &Path);
    let cases: [(&str, Plant); 3] = [
        ("a link out", |scene, item| {
            symlink(scene.victim(), item).unwrap()
        }),
        ("a link to nowhere", |_, item| {
            symlink("nowhere", item).unwrap()
        }),
        ("a file", |_, item| fs::write(item, "precious").unwrap()),
    ];
    for (what, plant) in cases {
        let scene = Scene::new();
        scene.item(0);
        plant(&scene, &scene.trash().join(ID).join("1"));
        scene.manifest(&[PLACE, "run/validation.zarr/8/crop1/prediction"]);
        scene.assert_left_alone(what);
    }
}

#[test]
fn an_item_that_the_manifest_does_not_name_stays() {
    let scene = Scene::new();
    scene.item(0);
    let stranger = scene.item(7);
    scene.manifest(&[PLACE]);
    for _ in 0..2 {
        let registry = scene.open().unwrap();
        assert_eq!(registry.recovery().problems.len(), 1);
        assert!(stranger.join(".zarray").exists());
        assert!(scene.base.join(PLACE).exists());
    }
}

#[test]
fn a_trash_that_is_a_link_is_not_followed() {
    let scene = Scene::new();
    let outside = scene.victim().join(ID);
    fs::create_dir(&outside).unwrap();
    symlink(&outside, scene.trash().join(ID)).unwrap();
    scene.assert_left_alone("the folder of a removal");

    fs::remove_dir_all(scene.trash()).unwrap();
    symlink(scene.victim(), scene.trash()).unwrap();
    let before = scene.tree();
    let registry = scene.open().unwrap();
    assert_eq!(registry.recovery().problems.len(), 1);
    let rows = registry.select(&dalsegno::model::filter::Filter::default());
    let target = dalsegno::Target::Id(rows.unwrap()[0].id);
    let options = dalsegno::RemoveOptions::default();
    let removed = registry.remove_target(&target, &options, &Silent);
    assert_eq!(removed.unwrap_err().code(), "symlink");
    drop(registry);
    // Made before the removal was refused.
    fs::remove_dir_all(scene.base.join(".dalsegno/backups")).unwrap();
    assert_eq!(scene.tree(), before);
    let reader = Registry::open_read_only(&scene.base).unwrap();
    assert_eq!(
        reader
            .select(&dalsegno::model::filter::Filter::default())
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_kept_removal_whose_folder_became_a_link_is_reported_and_not_followed() {
    let scene = Scene::new();
    let id = scene.remove();
    let folder = scene.trash().join(&id);
    let aside = scene.folder.path().join("aside");
    fs::rename(&folder, &aside).unwrap();
    symlink(&aside, &folder).unwrap();
    let before = scene.tree();
    let registry = scene.open().unwrap();
    assert_eq!(registry.recovery().problems.len(), 1);
    let target = RestoreTarget::Removal(id.parse().unwrap());
    assert_eq!(registry.restore(&target).unwrap_err().code(), "symlink");
    assert!(registry.empty_trash(None, &Silent).is_err());
    assert_eq!(scene.tree(), before);
}

/// A manifest that was overtaken: there is new data at the old path. Both stay.
#[test]
fn an_occupied_place_keeps_both() {
    let scene = Scene::new();
    scene.item(0);
    let place = "run/validation.zarr/1/crop1/prediction";
    scene.manifest(&[place]);
    let before = tree(&scene.artifact(1));
    let registry = scene.open().unwrap();
    assert_eq!(registry.recovery().undone.len(), 1);
    let problems = &registry.recovery().problems;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains(ID) && problems[0].contains(place),
        "{problems:?}"
    );
    assert_eq!(tree(&scene.artifact(1)), before);
    assert_eq!(registry.trash().unwrap().len(), 1);
    assert!(scene.trash().join(ID).join("0/.zarray").exists());
    let target = RestoreTarget::Removal(ID.parse().unwrap());
    assert_eq!(registry.restore(&target).unwrap_err().code(), "occupied");
    fs::rename(scene.artifact(1), scene.folder.path().join("aside")).unwrap();
    registry.restore(&target).unwrap();
    let restored = fs::read_to_string(scene.artifact(1).join(".zarray")).unwrap();
    assert_eq!(restored, "{\"item\": 0}");
}

/// A folder that came back, say from a backup, after its removal was purged or restored.
#[test]
fn a_folder_of_a_removal_that_is_over_is_left_alone() {
    let scene = Scene::new();
    let id = scene.remove();
    let registry = scene.open().unwrap();
    let target = RestoreTarget::Removal(id.parse().unwrap());
    registry.restore(&target).unwrap();
    drop(registry);
    let item = scene.trash().join(&id).join("0");
    fs::create_dir_all(&item).unwrap();
    fs::write(item.join("precious"), "").unwrap();
    let before = scene.tree();
    let registry = scene.open().unwrap();
    let problems = &registry.recovery().problems;
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("the removal was restored, so it is left alone"));
    // Queries, which settle nothing, say the same.
    assert_eq!(registry.left_alone().unwrap(), *problems);
    assert_eq!(registry.empty_trash(None, &Silent).unwrap().purged, []);
    assert_eq!(scene.tree(), before);
}

#[test]
fn a_moved_row_that_leads_elsewhere_restores_nothing() {
    let scene = Scene::new();
    let id = scene.remove();
    let mut bad = bad_paths(&scene);
    // A place in the base directory, but another than the row's.
    bad.push(PLACE.to_owned());
    bad.push("run/validation.zarr/1/crop1/predictio".to_owned());
    for bad in bad {
        scene.sql(&format!("UPDATE moved SET path = '{bad}'"));
        let before = scene.tree();
        let registry = scene.open().unwrap();
        let target = RestoreTarget::Removal(id.parse().unwrap());
        let error = registry.restore(&target).unwrap_err();
        assert_ne!(error.code(), "internal", "{bad}");
        assert_eq!(registry.trash().unwrap().len(), 1, "{bad}");
        drop(registry);
        assert_eq!(scene.tree(), before, "{bad}");
    }
    scene.sql("UPDATE moved SET path = 'run/validation.zarr/1/crop1/prediction'");
    let registry = scene.open().unwrap();
    let target = RestoreTarget::Removal(id.parse().unwrap());
    registry.restore(&target).unwrap();
    assert!(scene.artifact(1).join(".zarray").exists());
}

/// A note that items are on their way back takes nothing that the removal did not hold.
#[test]
fn a_note_of_a_restore_that_does_not_fit_takes_nothing() {
    let scene = Scene::new();
    let id = scene.remove();
    let folder = scene.trash().join(&id);
    // The item is not in the trash, so that the note would have it taken from somewhere.
    fs::rename(folder.join("0"), scene.folder.path().join("aside")).unwrap();
    let live = "run/validation.zarr/2/crop1/prediction".to_owned();
    for path in bad_paths(&scene).into_iter().chain([live]) {
        let (inode, device) = scene
            .base
            .join(&path)
            .metadata()
            .map_or((0, 0), |found| (found.ino(), found.dev()));
        let note = serde_json::json!({
            "items": [{ "item": 0, "path": path, "inode": inode, "device": device }],
        });
        fs::write(folder.join("restoring.json"), note.to_string()).unwrap();
        let before = scene.tree();
        let registry = scene.open().unwrap();
        assert_eq!(registry.recovery().problems.len(), 1, "{path}");
        drop(registry);
        assert_eq!(scene.tree(), before, "{path}");
    }
}
