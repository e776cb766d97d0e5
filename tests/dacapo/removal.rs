//! What `remove` deletes, compared with what DaCapo deletes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use dalsegno::ScanOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{ArrayStore, LocalContainerIdentifier, Registry};
use serde_json::Value;

use crate::{common, vectors};

/// Cases in which `remove`, after a scan alone, differs from DaCapo: the error code, and why.
const REFUSED_REMOVALS: &[(&str, &str)] = &[
    ("r003", "not-recorded"), // the second time
    ("r005", "not-recorded"), // no such container
    ("r006", "not-recorded"), // the container is a file
    ("r009", "not-recorded"), // a FIFO
    ("r010", "not-recorded"), // a chunk folder; DaCapo deletes it
    ("r011", "not-recorded"), // a group; DaCapo deletes it
    ("r014", "not-recorded"), // a plain folder; DaCapo deletes it
    ("r024", "name-dot"),     // DaCapo deletes the array
    ("r029", "name-dot-dot"), // DaCapo deletes the run
    ("r030", "name-dot-dot"), // DaCapo deletes the container
    ("r032", "name-dot-dot"), // DaCapo deletes the weights
    ("r034", "name-dot-dot"), // DaCapo deletes beside the base directory
    ("r036", "not-recorded"), // symbolic links, from here
    ("r037", "not-recorded"),
    ("r038", "not-recorded"),
    ("r039", "not-recorded"),
    ("r040", "not-recorded"),
    ("r041", "not-recorded"), // DaCapo deletes behind the link
    ("r043", "not-recorded"), // DaCapo deletes behind the link
    ("r046", "not-recorded"),
    ("r049", "layout-no-container"), // validation.ZARR
    ("r050", "layout-no-container"), // validation.zarr.bak
    ("r052", "layout-no-container"), // validation.zarr/sub
    ("r055", "name-dot-dot"),        // DaCapo deletes the array
    ("r062", "argument"),            // the dataset is a number
    ("r063", "argument"),            // the dataset is None
];

/// The same if the identifier was recorded first: paths that no scan adopts, because there is no
/// array or a link on the way. Folders that hold arrays or lie in one are left out.
const REFUSED_RECORDED: &[(&str, &str)] = &[
    ("r003", "not-recorded"), // the second time
    ("r006", "not-a-folder"),
    ("r009", "not-a-folder"),
    ("r024", "name-dot"),
    ("r029", "name-dot-dot"),
    ("r030", "name-dot-dot"),
    ("r032", "name-dot-dot"),
    ("r034", "name-dot-dot"),
    ("r036", "symlink"),
    ("r037", "symlink"),
    ("r038", "symlink"),
    ("r039", "symlink"),
    ("r040", "symlink"),
    ("r041", "symlink"),
    ("r043", "symlink"),
    ("r046", "symlink"),
    ("r049", "layout-no-container"),
    ("r050", "layout-no-container"),
    ("r052", "layout-no-container"),
    ("r055", "name-dot-dot"),
    ("r062", "argument"),
    ("r063", "argument"),
];

/// Identifiers of folders that are not arrays: DaCapo deletes them.
const FOLDERS: [&str; 3] = ["r010", "r011", "r014"];

/// DaCapo spares an N5 container only while assertions are on; dalsegno always does.
const N5: &str = "r048";

/// Builds the tree of a removal below `root`.
fn set_up(case: &Value, root: &Path) {
    let link_target = |target: &str| target.replace("$ROOT", root.to_str().unwrap());
    for entry in case["setup"].as_array().unwrap() {
        let text = |index: usize| entry.get(index).map_or("", |text| text.as_str().unwrap());
        let path = root.join(text(1));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text(0) {
            "array" => common::write_array(&path),
            "dir" => fs::create_dir_all(&path).unwrap(),
            "file" => fs::write(&path, text(2)).unwrap(),
            "symlink" => std::os::unix::fs::symlink(link_target(text(2)), &path).unwrap(),
            "hardlink" => fs::hard_link(root.join(text(2)), &path).unwrap(),
            "fifo" => rustix::fs::mknodat(
                rustix::fs::CWD,
                &path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RUSR,
                0,
            )
            .unwrap(),
            other => unreachable!("unknown entry {other}"),
        }
    }
}

/// Everything below `root` except folders and the registry's files: links with their targets, files
/// with their contents.
fn files(root: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                files.insert(name, format!("-> {}", target.display()));
            } else if kind.is_file() {
                files.insert(name, fs::read_to_string(&path).unwrap());
            } else if !kind.is_dir() {
                files.insert(name, "special".to_owned());
            } else if entry.file_name() != ".dalsegno" {
                folders.push(path);
            }
        }
    }
    files
}

/// The paths in an outcome of DaCapo that are not folders.
fn file_paths(expect: &Value, which: &str) -> BTreeSet<String> {
    let all = expect[which].as_array().unwrap().iter();
    all.map(|path| path.as_str().unwrap())
        .filter(|path| !path.ends_with('/'))
        .map(|path| path.split(" -> ").next().unwrap().to_owned())
        .collect()
}

/// The outcome of one removal.
struct Outcome {
    /// The code of the last call's error.
    refused: Option<&'static str>,
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
}

fn removal(case: &Value, record_first: bool) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    set_up(case, root);
    let before = files(root);
    let registry = common::create(&root.join("base"));
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let rows = |registry: &Registry| registry.select(&Filter::default()).unwrap();
    let text = case["container"].as_str().unwrap();
    let container = text.replace("$ROOT", root.to_str().unwrap()).into();
    let mut refused = None;
    match case["dataset"].as_str() {
        None => refused = Some("argument"),
        Some(dataset) => {
            let identifier = LocalContainerIdentifier { container }.array_identifier(dataset);
            if record_first {
                refused = registry
                    .record_identifier(&identifier)
                    .err()
                    .map(|error| error.code());
            }
            let known = rows(&registry);
            for _ in 0..case["times"].as_u64().unwrap_or(1) {
                refused = registry.remove(&identifier).err().map(|error| error.code());
            }
            let left = rows(&registry);
            let gone: Vec<_> = known.iter().filter(|row| !left.contains(row)).collect();
            if refused.is_none() || case["times"].is_u64() {
                assert_eq!(gone.len(), 1);
                assert_eq!(
                    gone[0].identifier().unwrap().container,
                    identifier.container
                );
                let array = Path::new(&identifier.dataset).components();
                assert!(gone[0].path().ends_with(array.collect::<PathBuf>()));
            } else {
                assert!(gone.is_empty(), "a refused removal keeps its row");
            }
            assert!(left.iter().all(|row| known.contains(row)));
        }
    }
    Outcome {
        refused,
        before,
        after: files(root),
    }
}

fn check_removals(record_first: bool, expected_refusals: &[(&str, &str)]) {
    let vectors = vectors();
    let mut refusals = BTreeMap::new();
    for case in vectors["remove_cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        if record_first && FOLDERS.contains(&id) {
            continue;
        }
        let outcome = removal(case, record_first);
        let deleted: BTreeSet<String> = outcome
            .before
            .keys()
            .filter(|path| !outcome.after.contains_key(*path))
            .cloned()
            .collect();
        for (path, content) in &outcome.after {
            assert_eq!(
                outcome.before.get(path),
                Some(content),
                "{id}: {path} is as before"
            );
        }
        assert!(
            deleted.iter().all(|path| !path.starts_with("victim")),
            "{id}"
        );
        let expect = match id {
            N5 => &vectors["remove_under_python_dash_O"]["expect"],
            _ => &case["expect"],
        };
        if let Some(code) = outcome.refused {
            refusals.insert(id, code);
        }
        if case["danger"] == true {
            assert!(outcome.refused.is_some(), "{id} must be refused");
        }
        if outcome.refused.is_some() && case["times"].is_null() {
            assert_eq!(deleted, BTreeSet::new(), "{id}: nothing is touched");
        } else {
            assert_eq!(deleted, file_paths(expect, "deleted"), "{id}");
            let left: BTreeSet<String> = outcome.after.into_keys().collect();
            assert_eq!(left, file_paths(expect, "left"), "{id}");
        }
    }
    assert_eq!(refusals, expected_refusals.iter().copied().collect());
}

#[test]
fn remove_deletes_what_dacapo_deletes_but_for_what_is_listed() {
    check_removals(false, REFUSED_REMOVALS);
}

#[test]
fn remove_of_a_recorded_identifier_never_leaves_the_base_directory() {
    check_removals(true, REFUSED_RECORDED);
}
