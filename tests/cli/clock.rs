//! A clock before 1970: every command ends with an error, and none panics or changes anything.
//!
//! Needs libfaketime, which gives a program another time; without it the test is left out.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::world::World;

/// The library that gives a program another time.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|library| library.exists())
}

fn in_1960(library: &std::path::Path, command: &mut Command) -> Output {
    let command = command.env("LD_PRELOAD", library);
    let output = command.env("FAKETIME", "1960-01-01 00:00:00").output();
    output.unwrap()
}

#[test]
fn a_clock_before_1970_is_an_error_of_every_command() {
    let Some(library) = faketime() else {
        return crate::left_out::left_out("libfaketime is not installed: a clock before 1970");
    };
    let asked = in_1960(&library, Command::new("date").arg("+%s"));
    if !asked.stdout.starts_with(b"-") {
        return crate::left_out::left_out("libfaketime does not work: a clock before 1970");
    }
    let world = World::scanned();
    let array = world
        .base
        .join("mito/validation.zarr/1000/crop1/prediction");
    let before = world.transcript("list --no-refresh --json");
    let commands = "init
        record prediction --run er --iteration 1 --dataset x
        seal --run mito
        list
        list --no-refresh
        iterations
        runs
        du
        show ARRAY
        history
        rm --run mito --yes
        pin kept --run mito --reason test
        score --run mito --iteration 1000 voi=1
        gc --keep-last 1
        trash list
        trash empty --yes
        scan
        refresh
        verify
        rebuild --force
        publish";
    for line in commands.lines() {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
        command.arg("--base").arg(&world.base);
        command.args(line.split_whitespace().map(|word| match word {
            "ARRAY" => array.to_str().unwrap(),
            word => word,
        }));
        let output = in_1960(&library, &mut command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("error[clock-before-epoch]"), "{line}: {said}");
        assert!(!said.contains("panicked"), "{line}: {said}");
    }
    // Help for finding faults works all the same.
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
    let said = in_1960(
        &library,
        doctor.arg("--base").arg(&world.base).arg("doctor"),
    );
    let said =
        String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(
        said.contains("before 1970") && !said.contains("panicked"),
        "{said}"
    );
    assert_eq!(world.transcript("list --no-refresh --json"), before);
}
