//! What the tests about processes and faults share: children, which are the test binary itself
//! again, small base directories, and what a folder looks like.
//!
//! A child runs the test `child_entry` of its binary, which does nothing unless [`ACTION`] is set.
//! It answers with one line for each [`say`].

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use dalsegno::model::key::Key;

/// Environment variable that tells a child what to do.
pub(crate) const ACTION: &str = "DALSEGNO_TEST_ACTION";
/// Environment variable with the base directory that a child works on.
pub(crate) const BASE: &str = "DALSEGNO_TEST_BASE";

/// The command line of a child.
pub(crate) fn arguments() -> [String; 5] {
    let exe = std::env::current_exe().unwrap();
    [
        exe.to_str().unwrap(),
        "--exact",
        "child_entry",
        "--nocapture",
        "--test-threads=1",
    ]
    .map(str::to_owned)
}

/// A child that does `action` to `base`, started through `wrapper` unless that is empty.
pub(crate) fn command(wrapper: &[&str], action: &str, base: &Path) -> Command {
    let own = arguments();
    let mut words = wrapper
        .iter()
        .copied()
        .chain(own.iter().map(String::as_str));
    let mut command = Command::new(words.next().unwrap());
    command.args(words).env(ACTION, action).env(BASE, base);
    command.env("RUST_BACKTRACE", "0");
    command
}

/// Gives a line of a child's answer to its parent.
pub(crate) fn say(line: &str) {
    println!("\n@{line}");
}

/// What a call came to: `ok`, or the code of its error.
pub(crate) fn outcome<T>(result: dalsegno::Result<T>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

/// The lines that a child said. A child that panicked fails the test.
pub(crate) fn answer(output: &Output) -> Vec<String> {
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        !stderr.contains("panicked") && output.status.code() != Some(101),
        "the child panicked\n{stdout}\n{stderr}"
    );
    stdout
        .lines()
        .filter_map(|line| line.strip_prefix('@').map(str::to_owned))
        .collect()
}

/// The key of a prediction.
pub(crate) fn prediction(run: &str, iteration: i64) -> Key {
    Key::Prediction {
        run: run.parse().unwrap(),
        iteration,
        dataset: "crop1".parse().unwrap(),
        container: None,
    }
}

/// Writes a small zarr array, with one chunk, where a key lies below `base`.
pub(crate) fn write_array(base: &Path, key: &Key) {
    let folder = base.join(dalsegno::model::layout::locate(key).path());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(".zarray"), "{}").unwrap();
    fs::write(folder.join("0.0.0"), "chunk").unwrap();
}

/// Everything below a folder: path, mode, owner, and a hash of what is in it. SQLite's index of a
/// WAL and a WAL without content are left out: reading alone makes them.
pub(crate) fn tree(folder: &Path) -> BTreeMap<String, String> {
    let mut tree = BTreeMap::new();
    let mut paths = vec![folder.to_owned()];
    while let Some(path) = paths.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let name = path.to_str().unwrap_or_default();
        if name.ends_with("-shm") || (name.ends_with("-wal") && metadata.len() == 0) {
            continue;
        }
        let content = if metadata.is_dir() {
            paths.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
            "folder".to_owned()
        } else if metadata.is_symlink() {
            format!("link to {}", fs::read_link(&path).unwrap().display())
        } else {
            let mut hasher = DefaultHasher::new();
            fs::read(&path).unwrap().hash(&mut hasher);
            format!("{} bytes, {:x}", metadata.len(), hasher.finish())
        };
        let line = format!("{:o} {} {content}", metadata.mode(), metadata.uid());
        tree.insert(path.display().to_string(), line);
    }
    tree
}

/// Checks a catalog by SQLite itself, with nothing of the library.
pub(crate) fn assert_sound(catalog: &Path) {
    let connection = rusqlite::Connection::open(catalog).unwrap();
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok", "{}", catalog.display());
}
