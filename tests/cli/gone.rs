//! What commands say of recorded arrays whose data has gone.

use std::fs;

use crate::assert_transcript;
use crate::world::World;

/// A base directory that was taken in and from which these folders went then.
fn without(gone: &[&str]) -> World {
    let world = World::scanned();
    for path in gone {
        fs::remove_dir_all(world.base.join(path)).unwrap();
    }
    world
}

#[test]
fn queries_notice_an_array_an_iteration_and_a_run() {
    for gone in [
        "mito/snapshot.zarr/volumes/raw",
        "mito/validation.zarr/9000",
        "er",
    ] {
        for query in ["list", "iterations", "runs", "du", "scan"] {
            let text = without(&[gone]).transcript(query);
            let said = match gone {
                "mito/validation.zarr/9000" => "err| warning: 3 recorded arrays are gone;",
                _ => "err| warning: 1 recorded array is gone;",
            };
            assert_eq!(
                text.matches(said).count(),
                1,
                "{query} without {gone}\n{text}"
            );
            assert!(!text.contains("exit"), "{text}");
        }
    }
}

#[test]
fn each_form_says_what_is_gone() {
    let text = without(&["mito/validation.zarr/9000"]).transcript(
        "list --table --run mito --iteration 9000
        iterations --table
        runs --table
        du --run er --table
        list --run er --json
        list --run mito --iteration 9000 --kind output --json
        du --run mito --json
        scan --json
        refresh --json",
    );
    assert_transcript!("gone", text);
}

#[test]
fn an_answer_without_a_look_says_as_of_when_it_is_true() {
    let text = without(&["er"]).transcript(
        "list --no-refresh --run er --table
        list --no-refresh --run er --json
        runs --no-refresh --table
        iterations --no-refresh --run er -q --table",
    );
    assert_transcript!("as_of", text);
}
