//! `du` beside the program of that name.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::Value;

use crate::world::World;

/// What the program `du` says that a run takes on disk.
fn by_du(world: &World, run: &str) -> u64 {
    let output = Command::new("du")
        .args(["-s", "--block-size=1", run])
        .current_dir(&world.base)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

/// The lines of `du --run mito --json`, and the sum of what they take on disk.
fn lines(world: &World) -> (Vec<Value>, u64) {
    let output = world.call("du --run mito --json").output().unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = document["usage"].as_array().unwrap().clone();
    let bytes = lines.iter().filter_map(|line| line["disk_bytes"].as_u64());
    let sum = bytes.sum();
    (lines, sum)
}

#[test]
fn the_lines_add_up_to_what_du_says() {
    let world = World::scanned();
    let run = world.base.join("mito");
    assert_eq!(lines(&world).1, by_du(&world, "mito"));
    // Checkpoints that are not taken in, logs, a zip, a stray folder, a link.
    fs::create_dir_all(run.join("checkpoints/iterations")).unwrap();
    fs::write(run.join("checkpoints/iterations/1000"), vec![1; 100_000]).unwrap();
    fs::write(run.join("train.log"), "epoch 1\n").unwrap();
    fs::write(run.join("validation.zarr/1000/stray.zip"), vec![1; 9000]).unwrap();
    fs::create_dir_all(run.join("empty/folders")).unwrap();
    symlink("/nowhere", run.join("latest")).unwrap();
    // A sparse chunk, and a file with two names outside of arrays and one with two in an array.
    let array = run.join("snapshot.zarr/volumes/raw");
    let sparse = File::create(array.join("0.1")).unwrap();
    sparse.set_len(10_000_000).unwrap();
    (&sparse).write_all(b"data").unwrap();
    fs::write(run.join("one"), vec![1; 20_000]).unwrap();
    fs::hard_link(run.join("one"), run.join("two")).unwrap();
    fs::hard_link(array.join("0.0"), array.join("1.0")).unwrap();
    world.transcript("refresh --all -q\nscan --measure -q");
    let (of_run, sum) = lines(&world);
    assert_eq!(sum, by_du(&world, "mito"), "{of_run:?}");
    let other = of_run.iter().find(|line| line["state"] == "other").unwrap();
    assert_eq!(other["files"], 6, "{other}");
    assert!(of_run[0]["disk_bytes"].as_u64() < of_run[0]["bytes"].as_u64());
    // With the checkpoint taken in, the sum is the same.
    world.transcript("scan --kind checkpoint -q");
    assert_eq!(lines(&world).1, sum);
    // Of a kind, nothing else is counted.
    let text = world.transcript("du --run mito --kind output --json");
    assert!(!text.contains("\"other\""), "{text}");
}
