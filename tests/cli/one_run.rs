//! `gc --run`: what it looks at on disk, counted by strace.

use std::fs;
use std::process::Command;

use crate::gc::date;
use crate::strace;
use crate::world::World;

/// What a command prints, and the paths that it looks at.
fn traced(world: &World, line: &str) -> (String, String) {
    let output = world.dir.join("trace");
    let called = world.call(line);
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-qq", "-s", "4096", "-o"])
        .arg(&output)
        // Neither reads nor writes: a page of the catalog has the names of all runs.
        .args(["-e", "trace=%file,getdents64,fstat,fchmod,fsync", "--"])
        .arg(called.get_program())
        .args(called.get_args());
    for (name, value) in called.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if let Some(folder) = called.get_current_dir() {
        command.current_dir(folder);
    }
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{line}: {said}");
    let printed = String::from_utf8(done.stdout).unwrap();
    (printed, fs::read_to_string(&output).unwrap())
}

/// Runs with three iterations each that are a month old.
fn scanned(runs: &[&str]) -> World {
    let world = World::new();
    for run in runs {
        for iteration in [1000, 2000, 3000] {
            let path = format!("{run}/validation.zarr/{iteration}/crop1/prediction");
            world.write_array(&path);
            date(&world, &format!("{path}/.zarray"), 30);
        }
    }
    for call in ["init --here --quiet", "scan --quiet"] {
        let text = world.transcript(call);
        assert!(!text.contains("exit"), "{text}");
    }
    world
}

#[test]
fn gc_of_one_run_looks_at_no_other() {
    if !strace::works("paths that gc looks at") {
        return;
    }
    let world = scanned(&["asked", "beside", "further"]);
    for line in [
        "gc --run asked --keep-last 1",
        "gc --run asked --keep-last 1 --apply --yes",
        "gc --run asked --keep-last 1 --no-refresh",
    ] {
        let (_, trace) = traced(&world, line);
        assert!(trace.contains("asked"), "{line}: {trace}");
        let others = trace
            .lines()
            .filter(|call| call.contains("beside") || call.contains("further"));
        let others: Vec<&str> = others.collect();
        assert!(others.is_empty(), "{line}: {others:#?}");
    }
}

#[test]
fn what_is_explained_is_looked_for_in_its_run_alone() {
    if !strace::works("paths that gc --explain looks at") {
        return;
    }
    let world = scanned(&["asked", "beside"]);
    let array = "asked/validation.zarr/1000/crop1/prediction";
    for (rules, is_alone) in [
        ("--keep-last 1", true),
        ("--run a* --run b* --keep-last 1", true),
        // The limit is one of all runs.
        ("--max-files 8", false),
    ] {
        let line = format!("gc --explain {array} {rules}");
        let (text, trace) = traced(&world, &line);
        assert!(text.contains("decision    remove"), "{text}");
        assert!(trace.contains("asked"), "{line}");
        assert_eq!(!trace.contains("beside"), is_alone, "{line}\n{trace}");
    }
}
