//! What is hard to unlink: trees deeper and wider than descriptors and paths reach, folders that
//! may not be written, mounts, links, other owners, and a purge that is killed half-way.
//!
//! What needs root says on stderr when it is left out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "purge/killed.rs"]
mod killed;
#[path = "purge/links.rs"]
mod links;
#[path = "purge/mounts.rs"]
mod mounts;
#[path = "purge/owners.rs"]
mod owners;
#[path = "purge/shapes.rs"]
mod shapes;
#[path = "purge/slow.rs"]
mod slow;
#[path = "child/strace.rs"]
mod strace;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use dalsegno::RemoveOptions;
use dalsegno::model::artifact::Artifact;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Registry, Target};
use tempfile::TempDir;

/// Where the array of most tests lies.
const ARRAY: &str = "r/validation.zarr/1/a/prediction";
const TRASH: &str = ".dalsegno/trash";

/// What a child does.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    let (what, argument) = action.split_once(' ').unwrap_or((&action, ""));
    match what {
        "all" => slow::remove_all(&base),
        "bounded" => shapes::remove_bounded(&base),
        "die" => killed::remove_and_die(&base, argument.parse().unwrap()),
        "mounts" => mounts::with_mounts(&base),
        "trash-mounted" => mounts::with_a_mounted_trash(&base),
        "stuck" => owners::remove_stuck(&base, argument),
        "make" => owners::make_group_array(&base, argument),
        "remove" => owners::remove_group_array(&base, argument),
        "make-some" => owners::make_some(&base, argument),
        "remove-some" => owners::remove_some(&base),
        other => panic!("no action {other}"),
    }
}

/// A base directory with a registry.
fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::create(folder.path()).unwrap();
    (folder, registry)
}

fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

/// Records the array at `path` and writes its metadata.
fn array(registry: &Registry, path: &str) -> Artifact {
    let artifact = registry.record(&key(path)).unwrap().artifact;
    fs::create_dir_all(artifact.path()).unwrap();
    fs::write(artifact.path().join(".zarray"), "{}").unwrap();
    artifact
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn count(registry: &Registry) -> usize {
    registry.select(&Filter::default()).unwrap().len()
}

fn kept() -> RemoveOptions {
    RemoveOptions::default().keep(TrashKeep::UntilEmptied)
}

/// The names in a folder; none if there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Asserts that nothing of a removal is left: no data, no row, no folder in the trash.
fn assert_nothing_left(registry: &Registry, array: &Path) {
    assert!(!array.exists(), "{} is there", array.display());
    assert_eq!(count(registry), 0);
    assert_eq!(registry.trash().unwrap(), []);
    assert_eq!(names(&registry.base().join(TRASH)), [""; 0]);
    assert!(registry.pending().unwrap().is_empty());
}

/// The one line that a child said.
fn only(output: &Output) -> String {
    let answer = child::answer(output);
    assert_eq!(answer.len(), 1, "{answer:?} {output:?}");
    answer.into_iter().next().unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a mount namespace of its own can be had; if not, says what is left out.
fn can_mount(what: &str) -> bool {
    let works = is_root()
        && std::process::Command::new("unshare")
            .args(["--mount", "--propagation", "private", "true"])
            .output()
            .is_ok_and(|output| output.status.success());
    if !works {
        strace::left_out::left_out(&format!("nothing can be mounted here: {what}"));
    }
    works
}
