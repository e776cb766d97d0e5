//! A disk that keeps calls waiting, which `strace` plays here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dalsegno::Registry;
use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;

use crate::child::{answer, command, say};
use crate::{array, assert_nothing_left, base, strace};

const ARRAYS: usize = 300;

/// In a child: removes everything.
pub(crate) fn remove_all(base: &Path) {
    let registry = Registry::open(base).unwrap();
    let report = registry
        .remove_many(&Filter::default(), &RemoveOptions::default(), &Silent)
        .unwrap();
    let purge = report.purge.unwrap();
    assert_eq!(purge.failures, []);
    say(&purge.files.to_string());
}

/// Each array is so small that it takes less time than calls are counted for.
#[test]
fn small_arrays_on_a_slow_disk_are_purged_by_many_threads() {
    if !strace::works("more threads if the disk is slow") {
        return;
    }
    let (folder, registry) = base();
    for number in 0..ARRAYS {
        array(
            &registry,
            &format!("r/validation.zarr/1/a{number}/prediction"),
        );
    }
    drop(registry);
    let log = folder.path().join("calls");
    let calls = [
        "strace",
        "-f",
        "-qq",
        "-o",
        log.to_str().unwrap(),
        "-e",
        "trace=unlinkat",
        "-e",
        "inject=unlinkat:delay_exit=1000",
    ];
    let output = command(&calls, "all", folder.path()).output().unwrap();
    assert_eq!(answer(&output), [ARRAYS.to_string()]);
    let registry = Registry::open(folder.path()).unwrap();
    assert_nothing_left(&registry, &folder.path().join("r/validation.zarr/1"));

    let calls = fs::read_to_string(&log).unwrap();
    let threads: BTreeSet<&str> = calls
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    // Of the 32; the last few may start too late to get an array.
    assert!(threads.len() >= 24, "{} threads", threads.len());
}
