//! When what is past its time in the trash is unlinked: after changes, and by nothing else.

use std::process::Command;

use rusqlite::Connection;

use crate::world::{World, stdout};

/// A base directory with a removal in the trash whose time is over.
fn world() -> World {
    let world = World::runs();
    // Old enough for a plan to take it.
    let mut touch = Command::new("find");
    touch
        .arg(&world.base)
        .args(["-exec", "touch", "-d", "2020-01-01", "{}", "+"]);
    assert!(touch.status().unwrap().success());
    for call in ["init --quiet", "scan --quiet"] {
        assert_eq!(world.transcript(call), format!("$ dalsegno {call}\n"));
    }
    let catalog = Connection::open(world.catalog()).unwrap();
    catalog
        .execute("UPDATE artifact SET recorded_at = 1", [])
        .unwrap();
    drop(catalog);
    stdout(&mut world.call("rm er/validation.zarr/500 --trash --yes --quiet"));
    let catalog = Connection::open(world.catalog()).unwrap();
    let changed = catalog.execute("UPDATE removal SET purge_after = 1", []);
    assert_eq!(changed.unwrap(), 1);
    world
}

/// Number of removals whose data is in the trash.
fn kept(world: &World) -> usize {
    let folders = std::fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    folders
        .filter(|folder| folder.as_ref().unwrap().path().join("0").exists())
        .count()
}

#[test]
fn questions_dry_runs_and_commands_that_fail_unlink_nothing() {
    let world = world();
    let calls = [
        "list",
        "iterations",
        "runs --measure",
        "du",
        "show mito/validation.zarr/1000/crop1/prediction",
        "pin --list",
        "score",
        "history",
        "verify",
        "doctor",
        "trash list",
        "rm --run mito --dry-run",
        "rm mito/validation.zarr/1000 --trash",
        "rm mitto --yes",
        "rm --run mitto --yes",
        "gc --keep-last 1",
        "gc --keep-last 99 --apply --yes",
        "mv mito mito2 --dry-run",
        "mv mitto mito2",
        "restore --run er --dry-run",
        "restore --run mito",
        "trash empty",
        "pin p --run mitto --reason why",
        "unpin p",
        "seal mito/validation.zarr/7",
        "scan --run mitto",
        "refresh --run mitto",
        "undo 999",
        "publish",
    ];
    for call in calls {
        let text = world.transcript(call);
        assert_eq!(kept(&world), 1, "{text}");
    }
    let text = world.transcript("undo last");
    assert!(text.contains("restored"), "{text}");
}

#[test]
fn what_changed_something_unlinks_what_is_due() {
    let calls = [
        "record prediction --run new --iteration 1 --dataset crop1",
        "scan",
        "refresh",
        "seal mito/validation.zarr/1000/crop1/prediction",
        "pin p --run mito --reason why",
        "score --run mito --iteration 1000 voi=1",
        "mv mito mito2 --yes",
        "rm mito/validation.zarr/1000 --yes",
        "gc --run mito --kind prediction --keep-iterations 9000 --allow-incomplete --apply --yes",
        "verify --repair",
        "trash empty --older-than 999d --yes",
    ];
    for call in calls {
        let world = world();
        let text = world.transcript(call);
        assert_eq!(kept(&world), 0, "{text}");
    }
}
