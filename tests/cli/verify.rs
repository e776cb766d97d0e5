//! `verify`: what is shown, said and mended.

use std::fs;

use crate::assert_transcript;
use crate::world::World;

/// A counted base directory in which several things went wrong.
fn damaged() -> World {
    let world = World::scanned();
    world.transcript(
        "refresh --measure --quiet
        seal mito/validation.zarr/1000/crop1/prediction --quiet",
    );
    let path = |path: &str| world.base.join(path);
    fs::remove_file(path("mito/validation.zarr/1000/crop1/prediction/0.0")).unwrap();
    fs::remove_dir_all(path("mito/snapshot.zarr/volumes/raw")).unwrap();
    fs::remove_file(path("mito/extra.zarr/mesh/.zarray")).unwrap();
    fs::rename(path("er"), path("er_old")).unwrap();
    world
}

#[test]
fn verify_agrees_where_nothing_is_wrong() {
    let world = World::scanned();
    let before = world.tree();
    let text = world.transcript(
        "verify
        verify --table
        verify --json
        verify --jsonl
        verify --repair --run er --quick",
    );
    assert!(world.tree() == before);
    assert_transcript!("verify_agrees", text);
}

#[test]
fn verify_lists_what_is_wrong_and_repair_mends_it() {
    let world = damaged();
    let before = world.tree();
    let text = world.transcript(
        "verify --table
        verify --run er
        verify --run mito --kind snapshot --jsonl
        verify --quick --quiet --run mito
        verify --json",
    );
    assert!(world.tree() == before);
    let mended = world.transcript(
        "verify --repair --table
        verify --table
        verify --quiet --measure --quick",
    );
    // The times of files are those of the test.
    assert_transcript!("verify", text + &mended);
}

/// A hash is asked for, compared and dropped.
#[test]
fn contents_are_sealed_and_compared() {
    let world = World::scanned();
    let array = "mito/validation.zarr/1000/crop1/prediction";
    let sealed = world.transcript(&format!(
        "seal --hash {array} --json
        seal --hash --run mito --iteration 9000 --table
        show {array} --table
        list --run mito --iteration 1000 --dataset crop1 --jsonl
        seal mito/snapshot.zarr/volumes/raw --quiet
        verify --read-data
        verify --read-data --json
        verify --read-data --quick"
    ));
    // As many bytes, and the time of the metadata is as it was.
    fs::write(world.base.join(array).join("0.0"), [8; 4]).unwrap();
    let found = world.transcript(
        "verify
        verify --read-data --table
        verify --read-data --jsonl --quiet
        verify --read-data --repair
        verify --read-data --run mito --iteration 1000",
    );
    let containers = world.transcript(
        "record validation-container --run mito
        seal --hash --kind validation-container
        seal --hash mito/validation.zarr
        seal --hash mito/validation.zarr mito/extra.zarr/mesh --table
        seal --hash --run none
        seal --hash --threads 0 --run mito",
    );
    assert_transcript!("contents", sealed + &found + &containers);
}

/// A scan that measures finds what is gone of a sealed array, as often as it runs.
#[test]
fn a_scan_reports_what_sealed_arrays_lost() {
    let world = World::scanned();
    let array = "mito/validation.zarr/1000/crop1/prediction";
    world.transcript(&format!("seal {array} --quiet"));
    fs::remove_file(world.base.join(array).join("0.0")).unwrap();
    let text = world.transcript(&format!(
        "scan
        scan --measure
        scan --measure --json
        refresh --measure
        show {array}
        verify --run mito"
    ));
    assert_transcript!("sealed_lost", text);
}

#[test]
fn a_damaged_array_is_said_once_and_a_void_seal_too() {
    let world = World::scanned();
    let array = world
        .base
        .join("mito/validation.zarr/1000/crop1/prediction");
    fs::write(array.join(".zarray"), "{").unwrap();
    for flags in ["--table", "--json"] {
        let text = world.transcript(&format!("verify {flags}"));
        let count = text.matches("damaged-metadata").count();
        // In the list and in the sum.
        assert_eq!(count, 2, "{text}");
        assert!(!text.contains("notice,"), "{text}");
    }
    let sealed = "mito/validation.zarr/9000/crop1/prediction";
    world.transcript(&format!("seal {sealed} --quiet"));
    fs::write(world.base.join(sealed).join("0.1"), "more").unwrap();
    let text = world.transcript("verify --measure --repair");
    assert!(
        text.contains("the seal of 1 artifact is void, because its data changed"),
        "{text}"
    );
    assert!(text.contains("dalsegno seal PATH"), "{text}");
    let text = world.transcript(&format!("show {sealed} --table"));
    assert!(text.contains("sealed      -"), "{text}");
}
