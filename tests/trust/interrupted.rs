//! A removal that was interrupted, and that recovery leaves to its owner: what it holds is not gone.

use std::fs;

use crate::scene::{ID, MEMBER, ROOT, Scene, VICTIM, array, close, give, named};

const CONTAINER: &str = "private/validation.zarr";

/// As if the victim's removal of an item had been killed after its rename.
fn interrupted(scene: &Scene, path: &str) {
    let folder = scene.trash().join(ID);
    fs::create_dir(&folder).unwrap();
    give(&folder, VICTIM, 0o2775);
    fs::rename(scene.base.join(path), folder.join("0")).unwrap();
    let manifest = folder.join("manifest.json");
    fs::write(&manifest, named(&folder, &[("folder", path)])).unwrap();
    give(&manifest, VICTIM, 0o644);
}

#[test]
fn rows_of_an_interrupted_removal_stay_until_its_owner_writes() {
    for is_closed in [false, true] {
        let Some(scene) = Scene::new() else { return };
        let rows = scene.run(VICTIM, "look");
        assert!(rows[0].ends_with("private present true"), "{rows:?}");
        if is_closed {
            close(&scene.base.join(CONTAINER));
        }
        interrupted(&scene, CONTAINER);
        fs::remove_dir(scene.base.join("private")).unwrap();
        assert_eq!(scene.run(MEMBER, "look"), rows, "looks");
        let refused = |said: &str| {
            assert!(said.starts_with("not-movable "), "{said}");
            assert!(
                said.contains(ID) && said.contains(&VICTIM.to_string()),
                "{said}"
            );
        };
        refused(&scene.run(MEMBER, "remove private")[0]);
        refused(&scene.run(MEMBER, "remove-all")[0]);
        assert_eq!(scene.run(MEMBER, "gc"), ["shared"]);
        refused(&scene.run(MEMBER, "rename shared private")[0]);
        refused(&scene.run(MEMBER, "rename private other")[0]);
        let going = scene.run(MEMBER, "remove-all going");
        assert_eq!(going.len(), 2, "the other run's goes: {going:?}");
        refused(&going[1]);
        assert_eq!(
            scene.run(MEMBER, &format!("restore {}", going[0])),
            ["ok 1"]
        );
        assert_eq!(scene.run(VICTIM, "open")[0], "undone 1");
        assert_eq!(scene.run(VICTIM, "look"), rows, "ids and seals");
        assert!(scene.base.join(array("private")).is_dir());
    }
}

#[test]
fn a_folder_that_another_makes_in_its_place_frees_no_row() {
    let Some(scene) = Scene::new() else { return };
    let rows = scene.run(VICTIM, "look");
    interrupted(&scene, CONTAINER);
    fs::remove_dir(scene.base.join("private")).unwrap();
    fs::create_dir_all(scene.base.join(CONTAINER)).unwrap();
    give(&scene.base.join("private"), MEMBER, 0o2775);
    give(&scene.base.join(CONTAINER), MEMBER, 0o2775);
    assert_eq!(scene.run(MEMBER, "look"), rows, "looks");
    let refused = scene.run(MEMBER, "remove private");
    assert!(refused[0].starts_with("not-movable "), "{refused:?}");
    scene.run(VICTIM, "open");
    assert_eq!(scene.run(VICTIM, "look"), rows, "ids and seals");
}

#[test]
fn a_forged_removal_holds_no_rows_of_others() {
    let Some(scene) = Scene::new() else { return };
    scene.forged_item(0);
    scene.forged_manifest(&[("folder", &array("private"))]);
    fs::remove_dir_all(scene.base.join(array("private"))).unwrap();
    let rows = scene.run(VICTIM, "look");
    assert!(rows[0].ends_with("private missing true"), "{rows:?}");
    let removed = scene.run(VICTIM, "remove private");
    assert!(
        removed[0]
            .parse::<dalsegno::model::removal::RemovalId>()
            .is_ok(),
        "{removed:?}"
    );
    assert_eq!(scene.run(ROOT, "count"), ["1"]);
}
