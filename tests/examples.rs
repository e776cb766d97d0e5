//! The programs of `examples/`: each runs, and prints what its snapshot in `tests/snapshots/`
//! shows.

#![expect(
    clippy::unwrap_used,
    reason = "an example that cannot be run has failed"
)]

use std::process::Command;

/// Runs an example and gives what it printed.
fn output_of(example: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--locked", "--example", example])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{example} failed:\n{stderr}");
    assert_eq!(stderr, "", "{example} wrote on stderr");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn record_writes_an_array_and_finds_it_again() {
    insta::assert_snapshot!(output_of("record"));
}

#[test]
fn gc_removes_what_its_plan_names() {
    insta::assert_snapshot!(output_of("gc"));
}

#[test]
fn progress_is_heard_and_cancels() {
    insta::assert_snapshot!(output_of("progress"));
}

#[test]
fn restore_brings_back_what_was_removed() {
    insta::assert_snapshot!(output_of("restore"));
}

#[test]
fn every_example_has_a_test() {
    let tests = include_str!("examples.rs");
    let mut examples = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(tests.contains(&format!("output_of(\"{name}\")")), "{name}");
            examples += 1;
        }
    }
    assert!(examples >= 4, "the examples were not found");
}
