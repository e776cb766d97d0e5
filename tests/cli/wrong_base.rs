//! A registry in a run, above or below the folder that holds the runs: `init` and `scan` there.

use std::fs;

use crate::assert_transcript;
use crate::terminal::answered_in;
use crate::world::{World, stdout};

#[test]
fn a_scan_of_what_lies_outside_runs_asks_for_the_folder_that_holds_them() {
    let world = World::runs();
    world.transcript("init --base mito --here --quiet");
    let mut text = world.transcript("scan --base mito");
    let json = stdout(&mut world.call("scan --base mito --json --quiet"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["scan"]["likely_base"], world.base.to_str().unwrap());
    text += &answered_in(&world, "mito", "scan", "n\n");
    assert!(!world.base.join(".dalsegno").exists());
    text += &answered_in(&world, "mito", "scan", "y\n");
    text += &world.transcript("runs --base . --table");
    // What is in the run is taken in, because its empty registry is set aside.
    assert!(
        world
            .base
            .join("mito/.dalsegno-aside/catalog.sqlite3")
            .exists()
    );
    assert!(!world.base.join("mito/.dalsegno").exists());
    // The folder above has a registry by now.
    fs::remove_dir_all(world.base.join("mito/.dalsegno-aside")).unwrap();
    world.transcript("init --base mito --here --quiet");
    text += &world.transcript("scan --base mito");
    text += &answered_in(&world, "mito", "scan", "y\n");
    assert_transcript!("wrong_base_run", text);
}

#[test]
fn a_scan_asks_with_a_catalog_of_its_own_too_and_keeps_a_registry_that_holds_something() {
    let world = World::runs();
    let catalog = world.dir.join("catalog.sqlite3");
    let catalog = catalog.to_str().unwrap();
    world.transcript(&format!(
        "init --base mito --here --quiet --catalog {catalog}"
    ));
    let text = answered_in(&world, "mito", &format!("scan --catalog {catalog}"), "y\n");
    assert!(
        text.contains("with a catalog of its own, instead of [BASE]/mito? [y/N]"),
        "{text}"
    );
    assert!(text.contains("created a registry in [BASE]"), "{text}");
    assert!(world.catalog().exists());
    // Its catalog is elsewhere, so it stays.
    assert!(
        text.contains("mito is left out while it has a registry of its own"),
        "{text}"
    );
    assert!(world.base.join("mito/.dalsegno").exists());
}

#[test]
fn a_scan_beside_a_registry_asks_for_that() {
    let world = World::runs();
    world.transcript("init --quiet\nscan --quiet");
    let array = world.base.join("mito/extra.zarr/mesh");
    let stray = world.dir.join("raw.zarr/mesh");
    fs::create_dir_all(stray.parent().unwrap()).unwrap();
    fs::rename(array, &stray).unwrap();
    world.transcript("init --base .. --here --quiet");
    let mut text = world.transcript("scan --base ..");
    text += &answered_in(&world, "..", "scan", "y\n");
    assert_transcript!("wrong_base_above", text);
    // Data that has rows is in its place.
    world.transcript("rebuild --base .. --quiet");
    let recorded = "record prediction --run r --iteration 1 --dataset d --quiet --base ..";
    world.transcript(recorded);
    let text = world.transcript("scan --base ..");
    assert!(!text.contains("is the folder that holds"), "{text}");
}

#[test]
fn init_asks_if_the_runs_are_in_a_folder_of_the_base() {
    let world = World::new();
    world.write_array("group/sub/mito/validation.zarr/1/crop1/prediction");
    let text = world.transcript("init");
    assert!(
        text.contains(
            "error: the runs that were found are in [BASE]/group/sub, so their names would begin \
             with group/sub/; nothing was created"
        ),
        "{text}"
    );
    assert!(
        text.contains(
            "  next: create it there with: dalsegno --base [BASE]/group/sub init; or create it \
             here all the same with: dalsegno init --here"
        ),
        "{text}"
    );
    assert!(text.ends_with("exit 2\n"), "{text}");
    let text = answered_in(&world, "", "init", "n\n");
    assert!(
        text.contains("all the same? [y/N] nothing was created"),
        "{text}"
    );
    assert!(!world.base.join(".dalsegno").exists());
    for answer in ["y\n", ""] {
        let text = match answer {
            "" => world.transcript("init --here"),
            answer => answered_in(&world, "", "init", answer),
        };
        assert!(text.contains("created a registry in [BASE]"), "{text}");
        fs::remove_dir_all(world.base.join(".dalsegno")).unwrap();
    }
    let text = world.transcript("init --base group/sub");
    assert!(
        text.contains("created a registry") && !text.contains("begin with"),
        "{text}"
    );
    // Three levels below.
    for folder in ["..", "group"] {
        let text = world.transcript(&format!("init --base {folder}"));
        assert!(text.ends_with("exit 2\n"), "{text}");
        assert!(
            text.contains("[BASE]/group/sub, which has a registry"),
            "{text}"
        );
    }
}
