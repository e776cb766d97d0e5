//! What a purge unlinks, for whom, and what it leaves as it was.

use std::fs;
use std::path::PathBuf;

use crate::scene::{ID, MEMBER, ROOT, Scene, VICTIM, give};

const ARRAY: &str = "private/validation.zarr/1/crop1/prediction";

#[test]
fn a_purge_by_who_may_not_unlink_leaves_the_removal_as_it_was() {
    let Some(scene) = Scene::new() else { return };
    let id = scene.run(VICTIM, "remove private")[0].clone();
    let before = scene.in_trash();
    for _ in 0..2 {
        let said = scene.run(MEMBER, "empty");
        assert_eq!(said[0], "purged 0 left 1");
        assert!(
            said[1].contains(&id) && said[1].contains("ermission"),
            "{said:?}"
        );
        assert_eq!(scene.in_trash(), before);
    }
    assert_eq!(scene.run(VICTIM, &format!("restore {id}")), ["ok 1"]);
    assert!(scene.base.join(ARRAY).join("0.0.0").exists());
}

#[test]
fn a_folder_deep_in_an_array_is_found_before_anything_is_unlinked() {
    let Some(scene) = Scene::new() else { return };
    let inner = scene
        .base
        .join("shared/validation.zarr/1/crop1/prediction/0");
    fs::create_dir_all(inner.join("1/2")).unwrap();
    fs::write(inner.join("1/2/3"), "chunk").unwrap();
    for (path, mode) in [
        ("", 0o2775),
        ("1", 0o2775),
        ("1/2", 0o755),
        ("1/2/3", 0o644),
    ] {
        give(&inner.join(path), VICTIM, mode);
    }
    let id = scene.run(VICTIM, "remove shared")[0].clone();
    let before = scene.in_trash();
    let said = scene.run(MEMBER, "empty");
    assert_eq!(said[0], "purged 0 left 1");
    assert!(said[1].contains("/0/1/2: "), "{said:?}");
    assert_eq!(scene.in_trash(), before);
    assert_eq!(scene.run(VICTIM, &format!("restore {id}")), ["ok 1"]);
}

#[test]
fn an_open_by_who_may_not_unlink_leaves_what_is_due() {
    let Some(scene) = Scene::new() else { return };
    scene.run(VICTIM, "remove private!");
    let before = scene.in_trash();
    let said = scene.run(MEMBER, "late open");
    assert_eq!(said[..2], ["undone 0", "purged 0"], "{said:?}");
    assert_eq!(scene.in_trash(), before);
    // It is due, and a restore unlinks nothing before it looks.
    let said = scene.run(VICTIM, "late restore");
    assert_eq!(said[1], "purged 0", "{said:?}");
    assert_eq!(said.last().unwrap(), "ok", "{said:?}");
    assert!(scene.base.join(ARRAY).join("0.0.0").exists());
}

#[test]
fn a_group_empties_what_its_members_removed_from_where_all_may_write() {
    for user in [ROOT, VICTIM, MEMBER] {
        let Some(scene) = Scene::new() else { return };
        scene.run(VICTIM, "remove shared");
        assert_eq!(scene.run(user, "empty"), ["purged 1 left 0"], "{user}");
    }
    let Some(scene) = Scene::new() else { return };
    scene.run(VICTIM, "remove private");
    assert_eq!(scene.run(ROOT, "empty"), ["purged 1 left 0"]);
}

/// A folder of the victim that the member may move, and in it one that only the victim may change.
fn lured(scene: &Scene) -> PathBuf {
    let lured = scene.base.join("lured");
    fs::create_dir_all(lured.join("kept/inner")).unwrap();
    fs::write(lured.join("kept/precious"), "precious").unwrap();
    fs::write(lured.join("kept/inner/precious"), "precious").unwrap();
    for (path, mode) in [
        ("", 0o2775),
        ("kept", 0o755),
        ("kept/inner", 0o755),
        ("kept/precious", 0o644),
        ("kept/inner/precious", 0o644),
    ] {
        give(&lured.join(path), VICTIM, mode);
    }
    lured
}

#[test]
fn nothing_is_unlinked_in_a_folder_where_the_remover_may_not_write() {
    for state in ["0", "1"] {
        let Some(scene) = Scene::new() else { return };
        let item = scene.forged_item(0);
        let lured = lured(&scene);
        fs::rename(&lured, item.join("lured")).unwrap();
        scene.forged_manifest(&[("folder", "shared/validation.zarr/9/crop1/prediction")]);
        scene.sql(&format!(
            "INSERT INTO removal (id, removed_at, user, host, pid, state, purge_after) \
             VALUES ('{ID}', 1, 'x', 'x', 1, {state}, 2)"
        ));
        for user in [ROOT, VICTIM, MEMBER] {
            for action in ["open", "late", "empty"] {
                let said = scene.run(user, action);
                let kept = scene.trash().join(ID).join("0/lured/kept");
                for name in ["precious", "inner/precious"] {
                    assert!(kept.join(name).exists(), "{user} {action} {said:?}");
                }
            }
        }
    }
}

#[test]
fn what_a_member_adds_to_another_s_removal_is_not_unlinked() {
    let Some(scene) = Scene::new() else { return };
    let id = scene.run(VICTIM, "remove shared")[0].clone();
    let folder = scene.trash().join(&id);
    for name in ["7", "deep-1-1", "0"] {
        let lured = lured(&scene);
        if name == "0" {
            fs::rename(folder.join("0"), scene.base.join("shared/aside")).unwrap();
        }
        fs::rename(&lured, folder.join(name)).unwrap();
        for user in [ROOT, VICTIM, MEMBER] {
            let said = scene.run(user, "empty");
            assert_eq!(said[0], "purged 0 left 1", "{name} {user} {said:?}");
            assert!(folder.join(name).join("kept/inner/precious").exists());
        }
        fs::remove_dir_all(folder.join(name)).unwrap();
    }
    fs::rename(scene.base.join("shared/aside"), folder.join("0")).unwrap();
    assert_eq!(scene.run(VICTIM, "empty"), ["purged 1 left 0"]);
}
