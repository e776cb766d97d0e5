//! What commands say of an array whose metadata cannot be read.

use std::fs;

use crate::assert_transcript;
use crate::gc::date;
use crate::world::World;

/// Two runs, one with two predictions whose metadata is damaged, each of 1003 bytes.
fn damaged() -> World {
    let world = World::runs();
    let date_all = || {
        for path in ["1000/crop1", "1000/crop2", "9000/crop1", "9000/crop2"] {
            let metadata = format!("mito/validation.zarr/{path}/prediction/.zarray");
            date(&world, &metadata, 60);
        }
    };
    date_all();
    world.transcript("init --here -q\nscan -q");
    for path in ["9000/crop1/prediction", "9000/crop2/prediction"] {
        let array = world.base.join("mito/validation.zarr").join(path);
        fs::write(array.join(".zarray"), "cut").unwrap();
        fs::write(array.join("0.0"), [7; 1000]).unwrap();
    }
    date_all();
    world
}

#[test]
fn queries_show_it_and_end_well_with_one_line() {
    let text = damaged().transcript(
        "list --table --run mito --iteration 9000
        du --table
        du --by kind
        du --run mito --json
        runs --table
        iterations --table --run mito
        show mito/validation.zarr/9000/crop1/prediction --table
        du --table --run mito --no-refresh",
    );
    assert_transcript!("damaged_queries", text);
}

#[test]
fn removals_count_its_files() {
    let text = damaged().transcript(
        "rm -n --run mito --iteration 9000 --table
        rm -n --whole-run mito --table
        rm mito/validation.zarr/9000/crop1/prediction --yes --json",
    );
    assert_transcript!("damaged_removals", text);
}

#[test]
fn plans_say_that_it_stays_or_goes() {
    let text = damaged().transcript(
        "gc --run mito --kind prediction --keep-last 1 --table
        gc --explain mito/validation.zarr/9000/crop1/prediction --keep-last 1
        gc --state damaged --table
        gc --state damaged --keep-last 1
        gc --state damaged --policy weekly
        gc --state present --keep-last 1
        gc --state damaged --apply --yes
        gc --state damaged --table",
    );
    assert_transcript!("damaged_plans", text);
}

#[test]
fn a_scan_counts_it_apart() {
    let world = World::runs();
    world.transcript("init --here -q");
    fs::write(world.base.join("mito/extra.zarr/mesh/.zarray"), "cut").unwrap();
    let text = world.transcript("scan --table\nscan --measure --table\nscan --json");
    assert_transcript!("damaged_scan", text);
}
