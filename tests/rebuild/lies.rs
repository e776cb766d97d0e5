//! The trash is input: invalid entries are reported and left alone, and nothing outside the base
//! directory is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dalsegno::RestoreTarget;
use dalsegno::model::artifact::ArtifactId;
use dalsegno::model::removal::RemovalState;
use serde_json::{Value, json};

use crate::child::tree;
use crate::scene::{A1, A2, A3, Scene, remove, rows, state, write};
use crate::trash::edit;

/// The fault of a folder in the trash, and a word of its report.
type Lie = (&'static str, fn(&Path), &'static str);

fn at<'a>(manifest: &'a mut Value, list: &str, number: usize) -> &'a mut Value {
    &mut manifest[list][number]
}

const LIES: [Lie; 14] = [
    (
        "no manifest",
        |folder| fs::remove_file(folder.join("manifest.json")).unwrap(),
        "manifest",
    ),
    (
        "half a manifest",
        |folder| {
            let text = fs::read(folder.join("manifest.json")).unwrap();
            fs::write(folder.join("manifest.json"), &text[..text.len() / 2]).unwrap();
        },
        "manifest",
    ),
    (
        "a manifest that is a link",
        |folder| {
            let elsewhere = folder.join("../../../../victim/manifest.json");
            fs::rename(folder.join("manifest.json"), &elsewhere).unwrap();
            symlink(elsewhere, folder.join("manifest.json")).unwrap();
        },
        "",
    ),
    (
        "a path that leads out",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "items", 0)["path"] = json!("../victim/validation.zarr/1");
            });
        },
        "..",
    ),
    (
        "an absolute path",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "items", 0)["path"] = json!("/etc");
            });
        },
        "/etc",
    ),
    (
        "a path in the registry's folder",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "items", 0)["path"] = json!(".dalsegno/x.zarr/1");
            });
        },
        ".dalsegno",
    ),
    (
        "a row that does not lie in its item",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "artifacts", 0)["iteration"] = json!(3);
            });
        },
        "does not lie in",
    ),
    (
        "a row of an item that does not exist",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "artifacts", 0)["item"] = json!(9);
            });
        },
        "item 9",
    ),
    (
        "two items of one number",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "items", 1)["item"] = json!(0);
            });
        },
        "twice",
    ),
    (
        "two rows of one number",
        |folder| {
            edit(folder, |manifest| {
                let id = at(manifest, "artifacts", 0)["id"].clone();
                at(manifest, "artifacts", 1)["id"] = id;
            });
        },
        "twice",
    ),
    (
        "one row twice",
        |folder| {
            edit(folder, |manifest| {
                let mut row = at(manifest, "artifacts", 0).clone();
                row["id"] = json!(99);
                manifest["artifacts"].as_array_mut().unwrap().push(row);
            });
        },
        "twice",
    ),
    (
        "a size that no number holds",
        |folder| {
            edit(folder, |manifest| {
                at(manifest, "artifacts", 0)["bytes"] = json!(u64::MAX);
            });
        },
        "size",
    ),
    (
        "an item that is a link",
        |folder| {
            let item = folder.join("0");
            fs::rename(&item, folder.join("../../moved")).unwrap();
            symlink(folder.join("../../../../victim"), item).unwrap();
        },
        "",
    ),
    (
        "an item that is a file",
        |folder| {
            fs::rename(folder.join("0"), folder.join("../../moved")).unwrap();
            fs::write(folder.join("0"), "precious").unwrap();
        },
        "",
    ),
];

#[test]
fn what_makes_no_sense_is_named_and_left_alone() {
    for (name, lie, word) in LIES {
        for has_backup in [true, false] {
            let scene = Scene::recorded(&[A1, A2, A3]);
            if has_backup {
                scene.back_up();
            }
            let victim = scene.folder.path().join("victim");
            write(&victim, "validation.zarr/1");
            let id = remove(&scene.open(), &[A1, A2]);
            lie(&scene.trash(&id));
            scene.lose();
            let picture = || (tree(&scene.trash(&id)), tree(&victim), scene.data());
            let before = picture();

            let (registry, report) = match has_backup {
                true => scene.rebuild(),
                false => scene.rebuild_from_disk(),
            };
            let [problem] = &report.problems[..] else {
                panic!("{name}: {:?}", report.problems);
            };
            assert!(
                problem.contains(id.as_str()) && problem.contains(word),
                "{name}: {problem}"
            );
            assert!(picture() == before, "{name}");
            assert_eq!(state(&registry, &id), None, "{name}");
            drop(registry);
            // No later open touches it, either.
            let registry = scene.open();
            assert_eq!(registry.recovery().problems.len(), 1, "{name}");
            assert!(picture() == before, "{name}");
        }
    }
}

#[test]
fn a_number_that_is_taken_or_leaves_no_room_is_not_believed() {
    for id in [2, 0, -5, i64::MAX] {
        let scene = Scene::recorded(&[A1, A2]);
        scene.back_up();
        let registry = scene.open();
        scene.array(&registry, A3);
        let removal = remove(&registry, &[A3]);
        drop(registry);
        edit(&scene.trash(&removal), |manifest| {
            at(manifest, "artifacts", 0)["id"] = json!(id);
        });
        scene.lose();
        let (registry, _) = scene.rebuild();
        let before = rows(&registry);
        registry.restore(&RestoreTarget::Removal(removal)).unwrap();
        let after = rows(&registry);
        assert_eq!(after.len(), 3);
        assert_eq!(after[A2], before[A2]);
        assert!((3..1000).contains(&after[A3].id.0), "{}", after[A3].id);
        // Other removals still work.
        let new = scene.array(&registry, "run/validation.zarr/4/a/prediction");
        assert!(new.id > ArtifactId(3));
    }
}

#[test]
fn two_manifests_with_the_same_number_both_come_back() {
    let scene = Scene::recorded(&[A1, A2]);
    let registry = scene.open();
    let first = remove(&registry, &[A1]);
    let second = remove(&registry, &[A2]);
    drop(registry);
    for id in [&first, &second] {
        edit(&scene.trash(id), |manifest| {
            at(manifest, "artifacts", 0)["id"] = json!(7);
        });
    }
    scene.lose();
    let (registry, _) = scene.rebuild_from_disk();
    for id in [first, second] {
        registry.restore(&RestoreTarget::Removal(id)).unwrap();
    }
    assert_eq!(rows(&registry).into_keys().collect::<Vec<_>>(), [A1, A2]);
}

#[test]
fn what_a_manifest_does_not_name_is_reported_and_stays() {
    let scene = Scene::recorded(&[A1]);
    let id = remove(&scene.open(), &[A1]);
    let stranger = scene.trash(&id).join("stranger");
    fs::write(&stranger, "precious").unwrap();
    scene.lose();
    let (registry, report) = scene.rebuild_from_disk();
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].contains("stranger"));
    assert_eq!(state(&registry, &id), Some(RemovalState::Kept));
    registry.restore(&RestoreTarget::Removal(id)).unwrap();
    assert_eq!(fs::read_to_string(stranger).unwrap(), "precious");
}

#[test]
fn what_is_no_removals_folder_is_not_looked_at() {
    let scene = Scene::recorded(&[A1]);
    let trash = scene.base.join(".dalsegno/trash");
    fs::create_dir_all(trash.join("notes")).unwrap();
    fs::write(trash.join("20261122-163000-3f9a2c"), "a file").unwrap();
    symlink(scene.folder.path(), trash.join("20261122-163000-3f9a2d")).unwrap();
    scene.lose();
    let before = tree(&trash);
    let rebuilt = scene.try_rebuild(&crate::scene::from_disk());
    let (registry, report) = rebuilt.unwrap();
    assert_eq!(report.problems.len(), 2, "{:?}", report.problems);
    assert_eq!(tree(&trash), before);
    assert_eq!(rows(&registry).len(), 1);
}
