//! Full disks: a small file system in memory, filled to the last byte or the last inode.
//! With no byte left, a removal still works, in the space of the reserve, and frees space. With no
//! inode left it cannot: it needs two, for a folder in the trash and a manifest, and a new process
//! two more, for SQLite's log. It then changes nothing and fails with the reason. No backup takes
//! the space that a removal needs. A quota is the same disk with a library that turns "no space" into
//! "over quota" before SQLite sees it.
//!
//! Needs the right to mount; without it the tests say so and are left out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dalsegno::RemoveOptions;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, Registry, RestoreTarget, ScanOptions, Target};

use crate::child::{answer, command, prediction, say, tree};
use crate::scene::Case;

/// What fills up: name of the action, options of the mount.
const DISKS: [(&str, &str); 4] = [
    ("space", "size=12m"),
    ("quota", "size=12m"),
    ("inodes", "size=64m,nr_inodes=600"),
    ("elsewhere", "size=12m"),
];

/// Whether this process is a child of these tests; then it has done its work.
pub(crate) fn child() -> bool {
    let action = std::env::var(crate::child::ACTION).unwrap_or_default();
    if !DISKS.iter().any(|(name, _)| *name == action) {
        return false;
    }
    let disk = PathBuf::from(std::env::var_os(crate::child::BASE).unwrap());
    let base = disk.join("base");
    if action == "elsewhere" || action == "quota" {
        match action.as_str() {
            "quota" => with_the_catalog_over_quota(&disk),
            _ => with_the_catalog_elsewhere(&disk),
        }
        say("done");
        return true;
    }
    Case::write(&disk);
    let registry = Registry::open(&base).unwrap();
    fill(&disk, &action);
    if action == "inodes" {
        without_inodes(&disk, registry);
    } else {
        without_bytes(&disk, registry);
    }
    crate::child::assert_sound(&base.join(".dalsegno/catalog.sqlite3"));
    say("done");
    true
}

fn target(iteration: i64) -> Target {
    Target::Key(prediction("few", iteration))
}

fn without_inodes(disk: &Path, registry: Registry) {
    let base = registry.base().to_owned();
    let (files, count) = (arrays(&base), rows(&registry));
    let is_clear = |code: &str| ["no-space", "catalog-full"].contains(&code);
    for _ in 0..3 {
        let removed = registry.remove_artifact(&target(1));
        assert!(is_clear(removed.unwrap_err().code()));
        assert_eq!((arrays(&base), rows(&registry)), (files.clone(), count));
        fill(disk, "inodes");
    }
    drop(registry);
    fill(disk, "inodes");
    if let Err(error) = Registry::open(&base) {
        assert!(is_clear(error.code()), "{}: {error}", error.code());
    }
    assert_eq!(arrays(&base), files);
    // Four inodes are enough to begin with.
    for number in 0..4 {
        fs::remove_file(disk.join(format!("fill-inodes-{number}"))).unwrap();
    }
    let registry = Registry::open(&base).unwrap();
    let report = registry.remove_artifact(&target(1)).unwrap();
    // A backup would have used them up.
    assert_eq!(report.backup_failed.unwrap().code, "catalog-io");
    assert_eq!(registry.backups().unwrap(), []);
    assert_eq!(rows(&registry), count - 1);
    File::create(disk.join("room")).unwrap();
}

fn without_bytes(disk: &Path, registry: Registry) {
    let base = registry.base().to_owned();
    let count = rows(&registry);
    // Through a new handle, as the command does; closing the first one freed some space.
    drop(registry);
    fill(disk, "space");
    let registry = Registry::open(&base).unwrap();
    let report = registry.remove_artifact(&target(1)).unwrap();
    assert!(report.purge.unwrap().is_done);
    assert_eq!(report.backup_failed.unwrap().code, "catalog-io");
    assert_eq!(registry.backups().unwrap(), []);
    assert_eq!(rows(&registry), count - 1);
    drop(registry);

    // Without the reserve, for which such small arrays free too little space: all or nothing.
    fill(disk, "space");
    let before = arrays(&base);
    let removed = Registry::open(&base).and_then(|registry| {
        let kept = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
        registry.remove_target(&target(2), &kept, &Silent)
    });
    fs::remove_file(disk.join("fill-space-0")).unwrap();
    let registry = Registry::open(&base).unwrap();
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    match removed {
        Ok(report) => {
            let target = RestoreTarget::Removal(report.removal.unwrap());
            registry.restore(&target).unwrap();
        }
        Err(error) => {
            let codes = ["catalog-full", "no-space"];
            assert!(codes.contains(&error.code()), "{error}");
        }
    }
    assert_eq!((arrays(&base), rows(&registry)), (before, count - 1));
    let all = registry.remove_many(&Filter::default(), &RemoveOptions::default(), &Silent);
    assert!(all.unwrap().purge.unwrap().is_done);
    // The reserve is back: a sixteenth of the disk, so that the rest of what was freed stays free.
    let reserve = base.join(".dalsegno/catalog.sqlite3.reserve");
    assert_eq!(reserve.metadata().unwrap().len(), 768 << 10);
}

/// The disk of the base directory is full, that of the catalog is not.
fn with_the_catalog_elsewhere(disk: &Path) {
    let base = disk.join("base");
    for iteration in 1..=2 {
        let array = base.join(format!("r/validation.zarr/{iteration}/d/prediction"));
        fs::create_dir_all(&array).unwrap();
        fs::write(array.join(".zarray"), "{}").unwrap();
        fs::write(array.join("0"), vec![1; 2 << 20]).unwrap();
    }
    let catalog = tempfile::tempdir().unwrap();
    let options = || Options::new().catalog(catalog.path().join("c.sqlite3"));
    let (registry, _) = options().create(&base).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let reserve = base.join(".dalsegno/removals.reserve");
    assert_eq!(reserve.metadata().unwrap().len(), 768 << 10);
    drop(registry);
    fill(disk, "space");
    let registry = options().open(&base).unwrap();
    let filter = Filter::default().iterations(["1".parse().unwrap()]);
    let report = registry.remove_many(&filter, &RemoveOptions::default(), &Silent);
    assert!(report.unwrap().purge.unwrap().is_done);
    assert_eq!(rows(&registry), 1);
    assert!(!base.join("r/validation.zarr/1").exists());
    // It is back, in what was freed.
    assert_eq!(reserve.metadata().unwrap().len(), 768 << 10);
}

/// The disk of the catalog is full, that of the base directory is not: so only SQLite finds it full.
fn with_the_catalog_over_quota(disk: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for iteration in 1..=2 {
        let array = base.join(format!("r/validation.zarr/{iteration}/d/prediction"));
        fs::create_dir_all(&array).unwrap();
        fs::write(array.join(".zarray"), "{}").unwrap();
    }
    let options = Options::new().catalog(disk.join("c.sqlite3"));
    let (registry, _) = options.create(base).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    for iteration in ["1", "2"] {
        fill(disk, "space");
        let filter = Filter::default().iterations([iteration.parse().unwrap()]);
        let report = registry.remove_many(&filter, &RemoveOptions::default(), &Silent);
        assert!(report.unwrap().purge.unwrap().is_done);
    }
    assert_eq!(rows(&registry), 0);
}

fn rows(registry: &Registry) -> usize {
    registry.select(&Filter::default()).unwrap().len()
}

/// Files of the recorded arrays.
fn arrays(base: &Path) -> BTreeMap<String, String> {
    let mut files = tree(base);
    files.retain(|path, line| {
        let is_known = path.contains("/crop1/") || path.contains("/prediction/");
        !path.contains(".dalsegno") && is_known && !line.ends_with("folder")
    });
    files
}

/// Fills a disk completely.
pub(crate) fn fill(disk: &Path, what: &str) {
    for number in 0.. {
        let path = disk.join(format!("fill-{what}-{number}"));
        if path.exists() {
            continue;
        }
        let Ok(mut file) = File::create(&path) else {
            break;
        };
        if what == "inodes" {
            continue;
        }
        let mut block = vec![7; 1 << 16];
        while !block.is_empty() {
            if file.write_all(&block).is_err() {
                block.truncate(block.len() / 2);
            }
        }
        break;
    }
    assert!(
        what != "inodes" || File::create(disk.join("one more")).is_err(),
        "an inode is left"
    );
}

fn may_mount() -> bool {
    let works = Command::new("unshare")
        .args(["-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        crate::strace::left_out::left_out("nothing can be mounted here: full disks");
    }
    works
}

/// Calls of SQLite that fail without space, in C.
const QUOTA: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/types.h>
#include <unistd.h>
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
static ssize_t over(ssize_t result) {
    if (result < 0 && errno == ENOSPC) errno = EDQUOT;
    return result;
}
ssize_t write(int f, const void *b, size_t n) { return over(REAL(write)(f, b, n)); }
ssize_t pwrite(int f, const void *b, size_t n, off_t at) { return over(REAL(pwrite)(f, b, n, at)); }
ssize_t pwrite64(int f, const void *b, size_t n, off64_t at) {
    return over(REAL(pwrite64)(f, b, n, at));
}
int ftruncate(int f, off_t n) { return over(REAL(ftruncate)(f, n)); }
int ftruncate64(int f, off64_t n) { return over(REAL(ftruncate64)(f, n)); }
"#;

/// Builds the library that makes a quota of a full disk; `None` without a C compiler.
fn quota(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("quota.c"), folder.join("quota.so"));
    fs::write(&source, QUOTA).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-w", "-o"])
        .args([&library, &source])
        .status();
    built
        .is_ok_and(|status| status.success())
        .then_some(library)
}

pub(crate) fn removes_on_a_full_disk(what: &str) {
    if may_mount() {
        removes(what, None);
    }
}

pub(crate) fn removes_over_quota() {
    if !may_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    match quota(folder.path()) {
        Some(library) => removes("quota", Some(&library)),
        None => crate::strace::left_out::left_out("there is no C compiler: a full quota"),
    }
}

fn removes(what: &str, library: Option<&Path>) {
    let options = DISKS.iter().find(|(name, _)| *name == what).unwrap().1;
    let folder = tempfile::tempdir().unwrap();
    let mount = format!("mount -t tmpfs -o {options} tmpfs \"$DALSEGNO_TEST_BASE\" && exec \"$@\"");
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let mut child = command(&wrapper, what, folder.path());
    if let Some(library) = library {
        child.env("LD_PRELOAD", library);
    }
    let output = child.output().unwrap();
    assert_eq!(answer(&output), ["done"], "{output:?}");
}
