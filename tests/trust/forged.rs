//! Forged manifests, notes and rows, and folders of others that were tampered with.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dalsegno::model::key::Key;
use dalsegno::model::layout;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::scene::{ID, MEMBER, PRIVATE, ROOT, Scene, VICTIM, give, named};

fn checkpoint() -> String {
    let key = Key::Checkpoint {
        run: "private".parse().unwrap(),
        iteration: 9,
    };
    layout::locate(&key).path()
}

fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[test]
fn what_a_member_forges_goes_nowhere_where_he_may_not_write() {
    let Some(scene) = Scene::new() else { return };
    let checkpoint = checkpoint();
    let cases = [
        ("folder", PRIVATE),
        ("folder", "private/validation.zarr/1/crop1/other"),
        ("folder", "private/new.zarr/a"),
        ("file", &checkpoint),
    ];
    for case in cases {
        let item = scene.forged_item(0);
        if case.0 == "file" {
            fs::remove_dir_all(&item).unwrap();
            fs::write(&item, "forged").unwrap();
            give(&item, MEMBER, 0o664);
        }
        scene.forged_manifest(&[case]);
        let before = (scene.data(), scene.in_trash());
        for user in [ROOT, VICTIM, MEMBER] {
            let said = scene.run(user, "open");
            assert_eq!(said[0], "undone 0", "{said:?}");
            let count = |word: &str| said.iter().filter(|line| line.starts_with(word)).count();
            assert_eq!(count("problem"), 1, "{user} {case:?} {said:?}");
            if user != MEMBER {
                assert!(said[2].contains(&format!("user {MEMBER}")), "{said:?}");
                assert!(said[2].contains("may not write in"), "{said:?}");
                assert_eq!(count("left"), 1, "{said:?}");
                assert!(
                    said.iter().any(|line| line.contains("TrashLeftover")),
                    "{said:?}"
                );
            }
            assert_eq!((scene.data(), scene.in_trash()), before, "{user} {case:?}");
        }
        // Nor does it stop the work of others.
        assert_eq!(scene.run(VICTIM, "count"), ["2"]);
        let id = &scene.run(VICTIM, "remove private")[0];
        assert_eq!(scene.run(VICTIM, &format!("restore {id}")), ["ok 1"]);
        fs::remove_dir_all(scene.trash().join(ID)).unwrap();
    }
}

#[test]
fn what_a_member_could_do_himself_is_settled_by_others() {
    for user in [ROOT, VICTIM, MEMBER] {
        let Some(scene) = Scene::new() else { return };
        let item = scene.forged_item(0);
        let path = "shared/validation.zarr/9/crop1/prediction";
        scene.forged_manifest(&[("folder", path)]);
        let said = scene.run(user, "open");
        assert_eq!(said[0], "undone 1", "{user}: {said:?}");
        assert!(!item.exists() && scene.base.join(path).exists());
        assert!(!scene.trash().join(ID).exists());
    }
}

#[test]
fn a_forged_note_of_a_rename_moves_nothing_where_its_writer_may_not() {
    let Some(scene) = Scene::new() else { return };
    // As if the run had been renamed to a folder of the victim's, and its name were free.
    fs::rename(scene.base.join("shared"), scene.base.join("aside")).unwrap();
    let to = "private/validation.zarr/1";
    let found = fs::metadata(scene.base.join(to)).unwrap();
    let folder = scene.trash().join(ID);
    fs::create_dir_all(&folder).unwrap();
    let (device, inode) = (found.dev(), found.ino());
    let note = folder.join("renaming.json");
    fs::write(
        &note,
        format!(
            r#"{{"rename":"{ID}","from":"shared","to":"{to}","operation":999,"device":{device},"inode":{inode}}}"#
        ),
    )
    .unwrap();
    give(&folder, MEMBER, 0o2775);
    give(&note, MEMBER, 0o664);
    let before = scene.data();
    for user in [ROOT, VICTIM, MEMBER] {
        let said = scene.run(user, "open");
        let problems = said.iter().filter(|line| line.starts_with("problem"));
        assert_eq!(problems.count(), 1, "{user} {said:?}");
        assert_eq!(scene.data(), before, "{user}");
        assert!(!scene.base.join("shared").exists(), "{user}");
        assert!(scene.base.join(to).is_dir(), "{user}");
    }
}

#[test]
fn a_manifest_that_others_could_have_written_into_is_theirs() {
    let Some(scene) = Scene::new() else { return };
    scene.forged_item(0);
    let manifest = scene.forged_manifest(&[("folder", PRIVATE)]);
    give(&scene.trash().join(ID), VICTIM, 0o2755);
    give(&scene.trash().join(ID).join("0"), VICTIM, 0o755);
    let before = scene.data();
    for mode in [0o664, 0o646] {
        give(&manifest, VICTIM, mode);
        let said = scene.run(ROOT, "open");
        assert_eq!(said[0], "undone 0", "{mode:o} {said:?}");
        assert_eq!(scene.data(), before, "{mode:o}");
    }
    give(&manifest, VICTIM, 0o644);
    let said = scene.run(ROOT, "open");
    assert_eq!(said[0], "undone 1", "{said:?}");
    assert!(scene.base.join(PRIVATE).exists());
}

/// Rows say that a removal took a live array, and a note that it is on its way back.
fn forge_rows(scene: &Scene, path: &str) {
    scene.sql(&format!(
        "INSERT INTO removal (id, removed_at, user, host, pid, state, purge_after) \
         VALUES ('{ID}', 1, 'x', 'x', 1, 0, 2); \
         CREATE TEMP TABLE found AS SELECT a.*, c.path AS container FROM artifact AS a \
           JOIN container AS c ON c.id = a.container_id \
           WHERE c.path || '/' || a.array = '{path}'; \
         INSERT INTO moved (removal_id, item, path) VALUES ('{ID}', 0, '{path}');"
    ));
    let catalog = rusqlite::Connection::open(scene.base.join(".dalsegno/catalog.sqlite3")).unwrap();
    let columns: Vec<String> = catalog
        .prepare(
            "SELECT name FROM pragma_table_info('artifact') WHERE name NOT IN \
             ('id', 'metadata_file', 'counted')",
        )
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let columns = columns.join(", ");
    drop(catalog);
    scene.sql(&format!(
        "INSERT INTO removed (removal_id, artifact_id, item, {columns}) \
         SELECT '{ID}', id, 0, {columns} FROM artifact WHERE \
         run_id = (SELECT id FROM run WHERE name = 'private');"
    ));
    let folder = scene.trash().join(ID);
    fs::create_dir(&folder).unwrap();
    give(&folder, MEMBER, 0o2775);
    std::os::unix::fs::symlink(scene.base.join(path), folder.join("0")).unwrap();
    fs::remove_file(folder.join("0")).unwrap();
    let found = scene.base.join(path);
    let text = named(&folder, &[("folder", path)]);
    let inode = std::os::unix::fs::MetadataExt::ino(&found.metadata().unwrap());
    let text = text.replace("\"inode\":1", &format!("\"inode\":{inode}"));
    fs::write(folder.join("restoring.json"), text).unwrap();
    give(&folder.join("restoring.json"), MEMBER, 0o644);
}

#[test]
fn forged_rows_and_a_forged_note_take_nothing_that_is_live() {
    for user in [ROOT, VICTIM] {
        let Some(scene) = Scene::new() else { return };
        let before = scene.data();
        forge_rows(&scene, "private/validation.zarr/1/crop1/prediction");
        for action in ["open", "late", "empty"] {
            scene.run(user, action);
            assert_eq!(scene.data(), before, "{user} {action}");
        }
        assert_eq!(scene.run(user, "count"), ["2"]);
    }
}

#[test]
fn forged_rows_and_a_forged_note_take_nothing_that_the_member_may_not_move() {
    for user in [ROOT, VICTIM] {
        let Some(scene) = Scene::new() else { return };
        let before = scene.data();
        forge_rows(&scene, "private/validation.zarr/1/crop1/prediction");
        scene
            .sql("DELETE FROM artifact WHERE run_id = (SELECT id FROM run WHERE name = 'private')");
        for action in ["open", "late", "empty"] {
            let said = scene.run(user, action);
            assert_eq!(scene.data(), before, "{user} {action} {said:?}");
        }
    }
}

/// What is done to the folder of another's removal, which all of a group may write.
#[test]
fn a_removal_that_a_member_has_tampered_with_does_not_come_back() {
    let Some(scene) = Scene::new() else { return };
    let aside = scene.base.join("aside");
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("forged"), "forged").unwrap();
    let id = scene.run(VICTIM, "remove private")[0].clone();
    let folder = scene.trash().join(&id);
    let item = folder.join("0");
    let before = scene.data();
    let refused = |what: &str| {
        for user in [ROOT, VICTIM] {
            let said = scene.run(user, &format!("restore {id}"));
            assert!(said[0].starts_with("trash-untrusted"), "{what}: {said:?}");
            assert!(
                !scene
                    .base
                    .join("private/validation.zarr/1/crop1/prediction")
                    .exists()
            );
        }
    };
    // His own folder, and one of the victim that he may move.
    for owner in [MEMBER, VICTIM] {
        give(&aside, owner, 0o2775);
        exchange(&item, &aside);
        refused(&format!("an item of {owner}"));
        exchange(&item, &aside);
    }
    // His own manifest.
    let manifest = folder.join("manifest.json");
    let forged = scene.base.join("forged.json");
    fs::copy(&manifest, &forged).unwrap();
    give(&forged, MEMBER, 0o644);
    exchange(&manifest, &forged);
    refused("a manifest of the member");
    exchange(&manifest, &forged);
    // No manifest, and another item.
    give(&aside, VICTIM, 0o2775);
    exchange(&item, &aside);
    fs::rename(&manifest, scene.base.join("gone.json")).unwrap();
    refused("no manifest");
    fs::rename(scene.base.join("gone.json"), &manifest).unwrap();
    exchange(&item, &aside);
    // The name of another removal.
    let other = scene.run(VICTIM, "remove shared")[0].clone();
    exchange(&folder, &scene.trash().join(&other));
    refused("the folder of another removal");
    exchange(&folder, &scene.trash().join(&other));
    assert_eq!(scene.run(VICTIM, &format!("restore {other}")), ["ok 1"]);
    fs::remove_dir_all(&aside).unwrap();
    fs::remove_file(&forged).unwrap();
    let mut left = before;
    left.retain(|path, _| !path.contains("/aside"));
    assert_eq!(scene.data(), left);
    // Untouched, it comes back: to the victim, and by root.
    assert_eq!(scene.run(ROOT, &format!("restore {id}")), ["ok 1"]);
}

#[test]
fn a_folder_that_is_made_again_gets_nothing_that_its_remover_could_not_give() {
    use std::os::unix::fs::MetadataExt;

    // What the manifest says of the folder (owner, group, mode), who restores, and what it is then.
    let told = |user, mode| (user, crate::scene::GROUP, mode);
    let cases = [
        (told(ROOT, 0o4777), ROOT, (ROOT, 0o2775)),
        (told(VICTIM, 0o4777), ROOT, (ROOT, 0o2775)),
        (told(MEMBER, 0o6777), ROOT, (MEMBER, 0o2777)),
        ((MEMBER, 0, 0o2777), ROOT, (ROOT, 0o2775)),
        (told(MEMBER, 0o777), VICTIM, (VICTIM, 0o2775)),
        (told(MEMBER, 0o3711), MEMBER, (MEMBER, 0o3711)),
        (told(VICTIM, 0o2711), MEMBER, (MEMBER, 0o2711)),
    ];
    for (told, user, expected) in cases {
        let Some(scene) = Scene::new() else { return };
        let parent = scene.base.join("shared/validation.zarr/1/crop1");
        let id = scene.run(MEMBER, "remove shared").remove(0);
        assert!(!parent.exists());
        let path = scene.trash().join(&id).join("manifest.json");
        let text = fs::read_to_string(&path).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        for folder in manifest["folders"].as_array_mut().unwrap() {
            if folder["path"] == "shared/validation.zarr/1/crop1" {
                folder["uid"] = told.0.into();
                folder["gid"] = told.1.into();
                folder["mode"] = told.2.into();
            }
        }
        fs::write(&path, manifest.to_string()).unwrap();
        assert_eq!(scene.run(user, &format!("restore {id}")), ["ok 1"]);
        let found = fs::metadata(&parent).unwrap();
        assert_eq!(
            (found.uid(), found.mode() & 0o7777, found.gid()),
            (expected.0, expected.1, crate::scene::GROUP),
            "{told:?} by {user}"
        );
    }
}
