//! A rebuild that is killed at system calls, or whose calls fail: no data is touched, the damaged
//! file is still there under its old or new name, and the next rebuild ends like one without a
//! fault.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dalsegno::{Error, Options, RebuildOptions};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::child::tree;
use crate::fault::{CHANGES, calls, in_order, trace};
use crate::scene::{
    A1, A2, A3, Scene, assert_is_a_good_rebuild, listing, remove, rows, scratch, with,
};
use crate::strace;

const CATALOG: &str = ".dalsegno/catalog.sqlite3";

/// The start of a sweep: a backup, a removal and an array since then, a damaged catalog with a log;
/// and the result of an undisturbed rebuild.
struct Template {
    folder: TempDir,
    scene: Scene,
    file: Vec<u8>,
    log: Vec<u8>,
    expected: (Vec<String>, Vec<String>),
}

impl Template {
    fn new() -> Self {
        let scene = Scene::recorded(&[A1, A2]);
        scene.back_up();
        let registry = scene.open();
        scene.array(&registry, A3);
        remove(&registry, &[A1]);
        drop(registry);
        let catalog = scene.catalog();
        let connection = Connection::open(&catalog).unwrap();
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .unwrap();
        let update = "UPDATE artifact SET array = '../../victim' WHERE id = 3";
        connection.execute(update, []).unwrap();
        let read = |suffix: &str| fs::read(with(&catalog, suffix)).unwrap();
        let (file, log) = (read(""), read("-wal"));
        drop(connection);
        fs::write(&catalog, &file).unwrap();
        fs::write(with(&catalog, "-wal"), &log).unwrap();
        let mut template = Self {
            folder: scratch(),
            scene,
            file,
            log,
            expected: (Vec::new(), Vec::new()),
        };
        let base = template.base();
        template.expected = finish(&base, false);
        assert_eq!(template.expected.0.len(), 2);
        fs::remove_dir_all(base).unwrap();
        template
    }

    /// A fresh copy that keeps file times, by which unchanged data is recognised.
    fn base(&self) -> PathBuf {
        let base = self.folder.path().join("base");
        let mut copy = Command::new("cp");
        copy.arg("-a").args([&self.scene.base, &base]);
        assert!(copy.status().unwrap().success());
        base
    }

    /// The calls of an undisturbed rebuild, in order.
    fn calls(&self, names: &str) -> Vec<(String, usize)> {
        let base = self.base();
        let output = self.folder.path().join("trace");
        let traced = trace("rebuild", &base, &format!("trace={names}"), &output).unwrap();
        assert_eq!(traced.said, ["ok"], "{}", traced.stderr);
        fs::remove_dir_all(base).unwrap();
        let text = fs::read_to_string(&output).unwrap();
        assert!(!calls(&text).is_empty());
        in_order(&text)
    }

    fn disturb(&self, what: &str, expression: &str) {
        let base = self.base();
        let data = data(&base);
        let traced = trace("rebuild", &base, expression, Path::new("/dev/null")).unwrap();
        assert!(
            !traced.stderr.contains("panicked"),
            "{what}: {}",
            traced.stderr
        );
        for said in &traced.said {
            let is_known =
                matches!(said.as_str(), "ok" | "left") || Error::CODES.contains(&said.as_str());
            assert!(is_known, "{what}: {said}");
        }
        assert_eq!(data, self::data(&base), "{what}");
        self.assert_is_there(&base, what);
        // Unreadable data was reported, and the next rebuild adopts it.
        let force = traced.said == ["left"];
        assert_eq!(
            finish(&base, force),
            self.expected,
            "{what}: {:?}",
            traced.said
        );
        assert_eq!(data, self::data(&base), "{what}");
        self.assert_is_there(&base, what);
        fs::remove_dir_all(base).unwrap();
    }

    /// Checks that the damaged file is there, with its log beside it.
    fn assert_is_there(&self, base: &Path, what: &str) {
        let names = fs::read_dir(base.join(".dalsegno")).unwrap();
        let found = names.map(|entry| entry.unwrap().path()).any(|path| {
            let is_named = path.to_str().unwrap().contains("catalog.sqlite3")
                && !path.to_str().unwrap().ends_with("-wal");
            is_named
                && fs::read(&path).is_ok_and(|bytes| bytes == self.file)
                && fs::read(with(&path, "-wal")).is_ok_and(|bytes| bytes == self.log)
        });
        assert!(
            found,
            "{what}: the old catalog is gone, or parted from its log"
        );
    }
}

/// Data and trash, without the catalog's own files.
fn data(base: &Path) -> std::collections::BTreeMap<String, String> {
    let mut tree = tree(base);
    tree.retain(|path, _| !path.contains("/catalog.sqlite3") && !path.ends_with(".dalsegno"));
    tree
}

/// Rebuilds, unless it is already done. Returns rows and removals.
fn finish(base: &Path, force: bool) -> (Vec<String>, Vec<String>) {
    let silent = &dalsegno::model::progress::Silent;
    let options = RebuildOptions::default().force(force);
    let registry = match Options::new().rebuild(base, &options, silent) {
        Ok((registry, _)) => registry,
        Err(error) if error.code() == "catalog-sound" => dalsegno::Registry::open(base).unwrap(),
        Err(error) => panic!("{error}"),
    };
    assert_is_a_good_rebuild(&registry);
    let seals = rows(&registry).into_values();
    let rows = listing(&registry)
        .into_iter()
        .zip(seals)
        .map(|(line, row)| format!("{line} {:?}", row.sealed_at))
        .collect();
    let removals = registry.trash().unwrap().into_iter();
    (
        rows,
        removals
            .map(|removal| format!("{} {:?}", removal.id, removal.state))
            .collect(),
    )
}

/// One in so many calls, and all of the last ones, which put the new catalog in place.
fn sample(calls: &[(String, usize)], most: usize, last: usize) -> BTreeSet<(String, usize)> {
    let (early, late) = calls.split_at(calls.len().saturating_sub(last));
    let step = early.len().div_ceil(most).max(1);
    early.iter().step_by(step).chain(late).cloned().collect()
}

#[test]
fn a_rebuild_survives_a_kill_at_any_call() {
    if !strace::works("a rebuild that is killed") {
        return;
    }
    let template = Template::new();
    let calls = template.calls(CHANGES);
    let first = calls
        .iter()
        .position(|(name, _)| name.starts_with("link"))
        .unwrap();
    // What opens the new catalog afterwards is an open like any other.
    let moved = calls
        .iter()
        .rposition(|(name, _)| name.starts_with("rename"))
        .unwrap();
    let mut chosen = sample(&calls[..first], 40, 0);
    chosen.extend(
        calls[first.saturating_sub(10)..calls.len().min(moved + 8)]
            .iter()
            .cloned(),
    );
    eprintln!("{} of {} calls", chosen.len(), calls.len());
    for (call, number) in chosen {
        let what = format!("kill at {call} {number}");
        let expression = format!("inject={call}:signal=SIGKILL:when={number}");
        template.disturb(&what, &expression);
    }
}

#[test]
fn a_rebuild_survives_an_error_of_any_call() {
    if !strace::works("a rebuild whose calls fail") {
        return;
    }
    let template = Template::new();
    let names = "openat,write,pwrite64,fsync,fdatasync,?rename,renameat2,linkat,ftruncate,unlink";
    let calls = template.calls(names);
    for error in ["ENOSPC", "EIO"] {
        for (call, number) in sample(&calls, 20, 24) {
            let what = format!("{error} of {call} {number}");
            let expression = format!("inject={call}:error={error}:when={number}");
            template.disturb(&what, &expression);
        }
    }
}

#[test]
fn a_file_system_without_links_will_do() {
    if !strace::works("a file system without links") {
        return;
    }
    let template = Template::new();
    let base = template.base();
    let expression = "inject=?link,linkat:error=EPERM";
    let traced = trace("rebuild", &base, expression, Path::new("/dev/null")).unwrap();
    assert_eq!(traced.said, ["ok"]);
    template.assert_is_there(&base, "without links");
    assert!(
        !with(&base.join(CATALOG), "-wal")
            .metadata()
            .is_ok_and(|log| log.len() > 0)
    );
    assert_eq!(finish(&base, false), template.expected);
}
