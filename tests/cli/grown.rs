//! Arrays that have grown since they were counted.

use std::fs;
use std::process::Command;

use crate::strace;
use crate::world::{World, stdout};

const FLAT: &str = "mito/validation.zarr/1000/crop1/prediction";
/// Chunks in folders, as with the separator `/`.
const DEEP: &str = "er/validation.zarr/500/crop1/prediction";

/// Adds chunks of 1,000 bytes to a folder of an array.
fn grow(world: &World, folder: &str) {
    for chunk in 1..=20 {
        let path = world.base.join(folder).join(format!("{chunk}.0"));
        fs::write(path, [1; 1000]).unwrap();
    }
}

/// Two arrays of which each was counted and got 20 chunks since, one of them in a folder.
fn world() -> World {
    let world = World::runs();
    fs::create_dir(world.base.join(DEEP).join("7")).unwrap();
    for call in ["init --quiet", "scan --measure --quiet"] {
        stdout(&mut world.call(call));
    }
    grow(&world, FLAT);
    grow(&world, &format!("{DEEP}/7"));
    world
}

#[test]
fn rm_counts_anew_what_has_grown() {
    for array in [FLAT, DEEP] {
        let world = world();
        let json = stdout(&mut world.call(&format!("rm {array} --dry-run --json --quiet")));
        let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(plan["plan"]["files"], 22, "{array}: {json}");
        assert_eq!(plan["plan"]["bytes"], 20_064, "{array}: {json}");
        // Counted now, and the index says so.
        let text = world.transcript(&format!("rm {array} --yes"));
        assert_eq!(text.matches("22 files").count(), 1, "{text}");
    }
}

#[test]
fn a_limit_of_gc_counts_what_has_grown_and_stays() {
    let world = world();
    // Each is of 64 bytes by its old count.
    let text = world.transcript("gc --run er --run mito --kind prediction --max-size 15kB --json");
    assert!(text.contains("20064"), "{text}");
    let text = world.transcript("list --kind prediction --json --no-refresh");
    assert_eq!(text.matches(r#""files":22"#).count(), 2, "{text}");
}

#[test]
fn what_has_not_grown_is_not_counted_again() {
    if !strace::works("files that rm looks at") {
        return;
    }
    let world = world();
    let output = world.dir.join("trace");
    let looked_at = || {
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-e", "trace=newfstatat,statx,getdents64", "-o"]);
        traced.arg(&output).arg(env!("CARGO_BIN_EXE_dalsegno"));
        traced.args(["rm", "--run", "mito", "--dry-run", "--quiet"]);
        let program = world.program();
        let envs = program
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        traced.current_dir(&world.base).envs(envs);
        assert!(traced.output().unwrap().status.success());
        let text = fs::read_to_string(&output).unwrap();
        text.lines().filter(|line| line.contains("\"0.0\"")).count()
    };
    // Of the one that has grown alone, and only once.
    assert_eq!(looked_at(), 1);
    assert_eq!(looked_at(), 0);
}

/// A sealed array keeps the counts of its seal, as evidence; what would be freed is on disk.
#[test]
fn a_sealed_array_that_has_grown_counts_with_what_is_on_disk_and_keeps_its_seal() {
    let sealed = || {
        let world = World::runs();
        for call in [
            "init --quiet",
            "scan --measure --quiet",
            "seal --run mito --quiet",
        ] {
            stdout(&mut world.call(call));
        }
        grow(&world, FLAT);
        world
    };
    let row = |world: &World| stdout(&mut world.call(&format!("list {FLAT} --jsonl --no-refresh")));
    let world = sealed();
    let before = row(&world);
    assert!(before.contains(r#""files":2"#), "{before}");
    // What is new stays under any limit.
    let text = world.transcript("gc --run mito --kind prediction --max-files 10 --json");
    assert!(
        text.contains("max-files 10: 28 files would still be there"),
        "{text}"
    );
    assert!(text.contains("20256"), "{text}");
    assert_eq!(row(&world), before);
    let json = stdout(&mut world.call(&format!("rm {FLAT} --dry-run --json --quiet")));
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(plan["plan"]["files"], 22, "{json}");
    assert_eq!(plan["plan"]["bytes"], 20_064, "{json}");
    assert_eq!(row(&world), before);
    // What was removed is said by the same count, and comes back with its seal.
    let text = world.transcript(&format!("rm {FLAT} --trash --yes"));
    assert!(text.contains("22 files"), "{text}");
    world.transcript("restore --run mito");
    assert_eq!(row(&world), before);
}
