//! Removals in the trash: entered in the new catalog, restorable, or purged further.

use std::fs;
use std::path::Path;

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::{RemovalId, RemovalState};
use dalsegno::{RestoreTarget, ScanOptions};

use crate::child::tree;
use crate::scene::{
    A1, A2, A3, Scene, everything, inode, kept, key, remove, rows, state, target, write,
};

/// Changes the manifest of a removal.
pub(crate) fn edit(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("manifest.json");
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    fs::write(path, manifest.to_string()).unwrap();
}

/// The row without its pins and times.
fn plain(row: &Artifact) -> Artifact {
    let mut plain = row.clone();
    plain.pins.clear();
    plain
}

#[test]
fn a_removal_since_the_backup_is_kept_and_comes_back_whole() {
    for has_backup in [true, false] {
        let scene = Scene::empty();
        let registry = scene.open();
        // In the backup its row is reserved.
        registry.record(&key(A1)).unwrap();
        scene.array(&registry, A3);
        if has_backup {
            scene.back_up();
        }
        write(&scene.base, A1);
        registry.seal(&target(A1)).unwrap();
        scene.array(&registry, A2);
        let (before, data) = (rows(&registry), scene.data());
        let id = remove(&registry, &[A1, A2]);
        let removal = registry.removal(&id).unwrap().unwrap();
        let trash = tree(&scene.trash(&id));
        drop(registry);
        scene.lose();

        let (registry, report) = match has_backup {
            true => scene.rebuild(),
            false => scene.rebuild_from_disk(),
        };
        assert_eq!(report.removals, std::slice::from_ref(&id));
        assert_eq!(report.problems, Vec::<String>::new());
        assert_eq!(tree(&scene.trash(&id)), trash);
        assert_eq!(rows(&registry).into_keys().collect::<Vec<_>>(), [A3]);
        assert_eq!(registry.removal(&id).unwrap().unwrap(), removal);

        registry.restore(&RestoreTarget::Removal(id)).unwrap();
        assert_eq!(scene.data(), data);
        let after = rows(&registry);
        assert_eq!(plain(&after[A1]), plain(&before[A1]));
        assert_eq!(plain(&after[A2]), plain(&before[A2]));
        assert_eq!(after.len(), 3);
        assert!(registry.check_history(None).unwrap().is_whole());
    }
}

#[test]
fn a_container_with_its_arrays_and_a_checkpoint_come_back() {
    let container = "run/validation.zarr";
    let weights = "run/checkpoints/iterations/5";
    let scene = Scene::recorded(&[A1, A2, "run/validation.zarr/1/a/output/p"]);
    fs::create_dir_all(scene.base.join("run/checkpoints/iterations")).unwrap();
    fs::write(scene.base.join(weights), "weights").unwrap();
    let registry = scene.open();
    registry.record(&key(container)).unwrap();
    let all = ScanOptions::default().kinds(Kind::ALL);
    registry.scan(all, &Silent).unwrap();
    let (before, data) = (rows(&registry), scene.data());
    assert!(before.contains_key(weights), "{:?}", before.keys());
    let of_container = remove(&registry, &[container]);
    let of_weights = remove(&registry, &[weights]);
    drop(registry);
    scene.lose();
    let (registry, report) = scene.rebuild_from_disk();
    assert_eq!(report.removals.len(), 2);
    assert_eq!(rows(&registry).len(), 0);
    for id in [of_container, of_weights] {
        registry.restore(&RestoreTarget::Removal(id)).unwrap();
    }
    assert_eq!(scene.data(), data);
    assert_eq!(rows(&registry), before);
}

#[test]
fn checkpoints_are_adopted_if_the_backup_has_some() {
    let scene = Scene::empty();
    let folder = scene.base.join("run/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("5"), "weights").unwrap();
    let registry = scene.open();
    let checkpoints = ScanOptions::default().kinds([Kind::Checkpoint]);
    registry.scan(checkpoints, &Silent).unwrap();
    drop(registry);
    scene.back_up();
    fs::write(folder.join("6"), "weights").unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild();
    assert_eq!((report.scan.checkpoints, rows(&registry).len()), (2, 2));
    drop(registry);
    // Without a backup, nothing says that they are to be recorded.
    scene.lose();
    assert_eq!(rows(&scene.rebuild_from_disk().0).len(), 0);
}

#[test]
fn an_array_that_was_removed_twice_comes_back_from_either() {
    let scene = Scene::recorded(&[A1]);
    scene.back_up();
    let registry = scene.open();
    let first = remove(&registry, &[A1]);
    let again = scene.array(&registry, A1);
    // One second later, so that the folders have an order.
    drop(registry);
    let registry = scene.open();
    let second = remove(&registry, &[A1]);
    drop(registry);
    scene.lose();
    let (registry, report) = scene.rebuild();
    assert_eq!(report.removals, [first.clone(), second.clone()]);
    registry
        .restore(&RestoreTarget::Removal(second.clone()))
        .unwrap();
    assert_eq!(plain(&rows(&registry)[A1]), plain(&again));
    let blocked = registry.restore(&RestoreTarget::Removal(first.clone()));
    assert_eq!(crate::scene::code(blocked), "occupied");
    assert_eq!(state(&registry, &first), Some(RemovalState::Kept));
}

/// A backup with a kept removal of three arrays, all of them pinned.
fn known() -> (Scene, RemovalId, Vec<Artifact>) {
    let scene = Scene::recorded(&[A1, A2, A3]);
    let registry = scene.open();
    let pinned = dalsegno::PinSelection::Artifacts(registry.select(&everything()).unwrap());
    let name = "paper".parse().unwrap();
    registry.pin(&name, Some("why"), &pinned).unwrap();
    let rows = rows(&registry).into_values().collect();
    let chosen = [A1, A2, A3]
        .iter()
        .flat_map(|path| registry.to_remove(&target(path)).unwrap())
        .collect();
    let plan = registry.plan_removal(chosen).unwrap();
    let options = kept().force_pinned(true);
    let report = registry.remove_planned(&plan, &options, &Silent).unwrap();
    drop(registry);
    scene.back_up();
    (scene, report.removal.unwrap(), rows)
}

#[test]
fn what_was_restored_since_the_backup_has_its_row_again() {
    let (scene, id, before) = known();
    let registry = scene.open();
    registry
        .restore(&RestoreTarget::Removal(id.clone()))
        .unwrap();
    assert_eq!(scene.open().trash().unwrap(), []);
    drop(registry);
    scene.lose();
    let (registry, report) = scene.rebuild();
    let after: Vec<Artifact> = rows(&registry).into_values().collect();
    // With its number, seal and pin.
    assert_eq!(after, before);
    assert_eq!(state(&registry, &id), Some(RemovalState::Restored));
    assert_eq!((report.scan.adopted, report.removals.len()), (0, 0));
}

#[test]
fn what_was_partly_restored_is_partly_in_the_trash() {
    let (scene, id, before) = known();
    let registry = scene.open();
    registry.restore(&RestoreTarget::Path(A2.into())).unwrap();
    drop(registry);
    scene.lose();
    let (registry, _) = scene.rebuild();
    assert_eq!(rows(&registry).into_keys().collect::<Vec<_>>(), [A2]);
    assert_eq!(rows(&registry)[A2], before[1]);
    assert_eq!(state(&registry, &id), Some(RemovalState::Kept));
    registry
        .restore(&RestoreTarget::Removal(id.clone()))
        .unwrap();
    assert_eq!(rows(&registry).into_values().collect::<Vec<_>>(), before);
    assert_eq!(state(&registry, &id), Some(RemovalState::Restored));
}

#[test]
fn what_was_purged_since_the_backup_is_gone() {
    let (scene, id, _) = known();
    let registry = scene.open();
    registry.empty_trash(None, &Silent).unwrap();
    drop(registry);
    scene.lose();
    let (registry, _) = scene.rebuild();
    assert_eq!(rows(&registry).len(), 0);
    assert_eq!(state(&registry, &id), Some(RemovalState::Purged));
    assert_eq!(registry.trash().unwrap(), []);
}

#[test]
fn what_was_restored_and_removed_again_is_in_the_later_removal() {
    let (scene, id, before) = known();
    let registry = scene.open();
    registry.restore(&RestoreTarget::Path(A2.into())).unwrap();
    let chosen = registry.to_remove(&target(A2)).unwrap();
    let plan = registry.plan_removal(chosen).unwrap();
    let options = kept().force_pinned(true);
    let report = registry.remove_planned(&plan, &options, &Silent).unwrap();
    let later = report.removal.unwrap();
    drop(registry);
    scene.lose();
    let (registry, _) = scene.rebuild();
    assert_eq!(rows(&registry).len(), 0);
    for id in [id, later] {
        registry.restore(&RestoreTarget::Removal(id)).unwrap();
    }
    assert_eq!(rows(&registry).into_values().collect::<Vec<_>>(), before);
}

/// Starts the purge of a removal: its first file is unlinked.
fn begin_purge(folder: &Path) {
    fs::rename(folder.join("manifest.json"), folder.join("purging.json")).unwrap();
    fs::remove_file(folder.join("0/.zarray")).unwrap();
}

#[test]
fn a_purge_that_had_begun_goes_on_and_is_never_taken_back() {
    for has_backup in [true, false] {
        let (scene, id, _) = known();
        begin_purge(&scene.trash(&id));
        scene.lose();
        let (registry, report) = match has_backup {
            true => scene.rebuild(),
            false => scene.rebuild_from_disk(),
        };
        assert_eq!(report.purged, std::slice::from_ref(&id));
        assert_eq!(state(&registry, &id), Some(RemovalState::Purged));
        assert_eq!(rows(&registry).len(), 0);
        assert!(!scene.trash(&id).exists());
        assert_eq!(
            scene
                .data()
                .keys()
                .filter(|path| path.ends_with("/a"))
                .count(),
            0
        );
    }
}

#[test]
fn a_purge_leaves_alone_what_was_restored_before_it() {
    for has_backup in [true, false] {
        let (scene, id, before) = known();
        let registry = scene.open();
        registry.restore(&RestoreTarget::Path(A2.into())).unwrap();
        drop(registry);
        begin_purge(&scene.trash(&id));
        scene.lose();
        let (registry, _) = match has_backup {
            true => scene.rebuild(),
            false => scene.rebuild_from_disk(),
        };
        assert_eq!(state(&registry, &id), Some(RemovalState::Purged));
        let after = rows(&registry);
        assert_eq!(after.keys().collect::<Vec<_>>(), [A2]);
        assert_eq!(after[A2].state, State::Present);
        if has_backup {
            assert_eq!(after[A2], before[1]);
        }
        assert!(scene.base.join(A2).join("0/0/0").exists());
    }
}

#[test]
fn of_an_interrupted_removal_what_was_moved_is_kept_and_what_was_not_is_a_row() {
    let scene = Scene::recorded(&[A1, A2, A3]);
    let registry = scene.open();
    let before = rows(&registry);
    let data = scene.data();
    let id = remove(&registry, &[A1, A2]);
    drop(registry);
    // Killed between its two renames.
    let folder = scene.trash(&id);
    let path = scene.base.join(A2);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::rename(folder.join("1"), &path).unwrap();
    let at = inode(&path);
    scene.lose();
    let (registry, report) = scene.rebuild_from_disk();
    assert_eq!(report.removals, std::slice::from_ref(&id));
    let after = rows(&registry);
    assert_eq!(after.keys().collect::<Vec<_>>(), [A2, A3]);
    // The manifest takes precedence over the scan.
    assert_eq!(plain(&after[A2]), plain(&before[A2]));
    assert_eq!(inode(&path), at);
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    assert_eq!(scene.data(), data);
    assert_eq!(plain(&rows(&registry)[A1]), plain(&before[A1]));
}

#[test]
fn a_removal_that_moved_nothing_leaves_nothing() {
    let scene = Scene::recorded(&[A1]);
    let registry = scene.open();
    let before = rows(&registry);
    let id = remove(&registry, &[A1]);
    drop(registry);
    let path = scene.base.join(A1);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::rename(scene.trash(&id).join("0"), &path).unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild_from_disk();
    assert_eq!((report.removals.len(), state(&registry, &id)), (0, None));
    assert!(!scene.trash(&id).exists());
    assert_eq!(rows(&registry), before);
}

#[test]
fn a_restore_that_was_interrupted_leaves_what_is_back_in_its_place() {
    let scene = Scene::recorded(&[A1, A2]);
    let registry = scene.open();
    let (before, data) = (rows(&registry), scene.data());
    let id = remove(&registry, &[A1, A2]);
    drop(registry);
    let folder = scene.trash(&id);
    edit(&folder, |manifest| {
        let note = serde_json::json!({ "items": manifest["items"] });
        fs::write(folder.join("restoring.json"), note.to_string()).unwrap();
    });
    let path = scene.base.join(A1);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::rename(folder.join("0"), &path).unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild_from_disk();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(rows(&registry).into_keys().collect::<Vec<_>>(), [A1]);
    drop(registry);
    let registry = scene.open();
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    assert_eq!((rows(&registry), scene.data()), (before, data));
}

#[test]
fn manifests_of_older_versions_say_less_and_are_read() {
    let scene = Scene::recorded(&[A1]);
    let registry = scene.open();
    let before = rows(&registry);
    let id = remove(&registry, &[A1]);
    drop(registry);
    edit(&scene.trash(&id), |manifest| {
        let row = manifest["artifacts"][0].as_object_mut().unwrap();
        assert!(row.remove("origin").is_some() && row.remove("owner").is_some());
    });
    scene.lose();
    let (registry, _) = scene.rebuild_from_disk();
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    let mut expected = before[A1].clone();
    expected.owner = None;
    assert_eq!(rows(&registry)[A1], expected);
}

#[test]
fn a_row_without_data_that_went_with_others_comes_back_with_them() {
    let scene = Scene::recorded(&[A1]);
    let registry = scene.open();
    registry.record(&key(A2)).unwrap();
    drop(registry);
    scene.back_up();
    let registry = scene.open();
    let before = rows(&registry);
    let id = remove(&registry, &[A1, A2]);
    drop(registry);
    scene.lose();
    let (registry, _) = scene.rebuild();
    assert_eq!(rows(&registry).len(), 0);
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    assert_eq!(rows(&registry), before);
}

#[test]
fn the_trash_of_a_base_directory_that_was_copied_comes_back() {
    let scene = Scene::recorded(&[A1, A2]);
    let registry = scene.open();
    let data = scene.data();
    let id = remove(&registry, &[A1]);
    drop(registry);
    scene.lose();
    // Every inode has changed.
    let original = scene.folder.path().join("original");
    fs::rename(&scene.base, &original).unwrap();
    crate::fault::copy(&original, &scene.base);
    let (registry, report) = scene.rebuild_from_disk();
    assert_eq!(report.removals, std::slice::from_ref(&id));
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    assert_eq!(scene.data(), data);
    assert_eq!(rows(&registry).len(), 2);
}

/// Writes an array at a path, one second after what was there.
fn write_later(scene: &Scene, path: &str, was: &Artifact) {
    write(&scene.base, path);
    let later = was.written_at.unwrap().0 as u64 + 1000;
    let later = std::time::UNIX_EPOCH + std::time::Duration::from_millis(later);
    for name in [".zarray", ".zattrs", "0/0/0"] {
        let file = fs::File::open(scene.base.join(path).join(name)).unwrap();
        file.set_modified(later).unwrap();
    }
}

#[test]
fn what_a_purge_took_is_not_back_because_new_data_is_at_its_place() {
    // The backup knows the removal, or only the rows before it, or there is none.
    for backup in ["kept", "before", "none"] {
        let (scene, id, before) = match backup {
            "kept" => known(),
            _ => {
                let scene = Scene::recorded(&[A1, A2, A3]);
                scene.back_up();
                let registry = scene.open();
                let before = rows(&registry).into_values().collect();
                let id = remove(&registry, &[A1, A2, A3]);
                (scene, id, before)
            }
        };
        let folder = scene.trash(&id);
        begin_purge(&folder);
        for item in ["0", "1", "2"] {
            fs::remove_dir_all(folder.join(item)).unwrap();
        }
        write_later(&scene, A2, &before[1]);
        scene.lose();
        let (registry, report) = match backup {
            "none" => scene.rebuild_from_disk(),
            _ => scene.rebuild(),
        };
        assert_eq!(report.undone, [], "{backup}");
        assert_eq!(report.purged, std::slice::from_ref(&id), "{backup}");
        assert_eq!(state(&registry, &id), Some(RemovalState::Purged));
        let after = rows(&registry);
        assert_eq!(after.keys().collect::<Vec<_>>(), [A2], "{backup}");
        // A row of its own, without the pins of the old one.
        assert_ne!(after[A2].id, before[1].id, "{backup}");
        assert!(after[A2].pins.is_empty() && after[A2].sealed_at.is_none());
        assert_eq!(report.scan.adopted, 1, "{backup}");
    }
}
