//! The checks of the fuzz targets, on every input that is kept in `fuzz/corpus`: what fuzzing has
//! found stays found, with a stable compiler and without cargo-fuzz.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read its inputs has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// Runs a check on every input of its target.
#[expect(
    clippy::print_stdout,
    reason = "shown if the test fails: the input that it failed on comes last"
)]
fn replay(target: &str) {
    let (_, check) = fuzz::TARGETS
        .into_iter()
        .find(|(name, _)| *name == target)
        .unwrap();
    let mut inputs: Vec<PathBuf> = fs::read_dir(corpus().join(target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(inputs.len() > 3, "{target} has hardly any input");
    check(&[]);
    for input in inputs {
        println!("{}", input.display());
        check(&fs::read(&input).unwrap());
    }
}

macro_rules! replay {
    ($($target:ident),+) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )+

        const REPLAYED: &[&str] = &[$(stringify!($target)),+];
    };
}

replay!(
    names, layout, filter, config, plan, scores, manifest, catalog
);

#[test]
fn every_target_is_replayed_and_run() {
    let replayed: BTreeSet<&str> = REPLAYED.iter().copied().collect();
    let targets: BTreeSet<&str> = fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(replayed, targets);
    let files = |folder: PathBuf| -> BTreeSet<String> {
        let names = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        names
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    };
    let targets: BTreeSet<String> = targets.into_iter().map(str::to_owned).collect();
    assert_eq!(files(corpus()), targets);
    assert_eq!(files(corpus().join("../fuzz_targets")), targets);
    let script = fs::read_to_string(corpus().join("../run.sh")).unwrap();
    for target in &targets {
        assert!(
            script.contains(target.as_str()),
            "run.sh leaves {target} out"
        );
    }
}

#[test]
fn the_corpus_stays_small() {
    let (mut files, mut bytes) = (0, 0);
    for folder in fs::read_dir(corpus()).unwrap() {
        for input in fs::read_dir(folder.unwrap().path()).unwrap() {
            files += 1;
            bytes += input.unwrap().metadata().unwrap().len();
        }
    }
    assert!(files <= 200, "{files} files; see MINIMIZE in fuzz/run.sh");
    assert!(bytes <= 500_000, "{bytes} bytes");
}
