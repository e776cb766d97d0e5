//! Pipes, and what is said where.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use dalsegno::Registry;
use dalsegno::model::key::Key;

use crate::world::{World, stdout};

#[test]
fn a_pipe_that_closes_ends_the_program_quietly() {
    let world = World::new();
    let keys: Vec<Key> = (0..5000)
        .map(|iteration| Key::Prediction {
            run: "mito".parse().unwrap(),
            iteration,
            dataset: "crop1".parse().unwrap(),
            container: None,
        })
        .collect();
    Registry::create(&world.base)
        .unwrap()
        .record_many(&keys)
        .unwrap();
    for form in ["--no-refresh", "--table", "--json", "--jsonl", "-0"] {
        let mut child = world
            .program()
            .args(["list", "--no-refresh", "--quiet"])
            .args(Some(form).filter(|form| *form != "--no-refresh"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::with_capacity(64, child.stdout.take().unwrap());
        let end = if form == "-0" { b'\0' } else { b'\n' };
        let mut first = Vec::new();
        reader.read_until(end, &mut first).unwrap();
        assert!(first.len() > 1, "{form}");
        drop(reader);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{form}");
        assert_eq!(output.status.code(), Some(0), "{form}");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let world = World::scanned();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = world.call("list").stdout(full).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.starts_with("error: writing the output failed: No space left"),
        "{text}"
    );
    assert!(text.contains("next: "), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn colour_never_reaches_a_pipe() {
    let world = World::scanned();
    for call in [
        "list --table",
        "runs --table",
        "--help",
        "list --frob",
        "show nothing",
    ] {
        let output = world.call(call).env("CLICOLOR", "1").output().unwrap();
        let bytes = [output.stdout, output.stderr].concat();
        assert!(!bytes.contains(&0x1b), "{call}");
    }
}

#[test]
fn quiet_says_nothing_but_errors() {
    let world = World::runs();
    std::os::unix::fs::symlink("mito", world.base.join("link")).unwrap();
    for call in [
        "init --here -q",
        "init --here -q",
        "scan -q",
        "refresh -q",
        "list --run 'nobody*' --table -q",
    ] {
        assert_eq!(stdout(&mut world.call(call)), "", "{call}");
    }
    let text = world.transcript("show nothing.zarr/x -q");
    assert!(text.contains("err| error[not-recorded]"), "{text}");
}

#[test]
fn what_is_typed_is_printed_escaped() {
    let world = World::scanned();
    let red = "\u{1b}[31mred";
    for arguments in [
        vec![
            "record",
            "prediction",
            "--run",
            red,
            "--iteration",
            "1",
            "--dataset",
            "x",
        ],
        vec!["list", "--state", red],
        vec!["show", red],
        vec!["list", "--base", red],
        vec!["man", red],
    ] {
        let output = world.program().args(&arguments).output().unwrap();
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stderr.contains(&0x1b), "{arguments:?}");
    }
}
