//! Shapes of arrays: deep, wide, long, empty.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use dalsegno::Registry;
use dalsegno::RemoveOptions;
use dalsegno::model::progress::{Monitor, Progress, Silent};
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::child::{command, say};
use crate::{ARRAY, array, assert_nothing_left, base, names, only, target};

/// Descriptors that a child may have.
const DESCRIPTORS: u64 = 64;

/// Counts the descriptors of this process whenever work was done.
struct Watch(AtomicUsize);

impl Monitor for Watch {
    fn advance(&self, _progress: Progress) {
        self.0.fetch_max(descriptors(), Ordering::Relaxed);
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// Most memory that this process has had, in KiB.
fn most_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

/// In a child: removes the array with few descriptors, and says what that took.
pub(crate) fn remove_bounded(base: &Path) {
    let limit = Rlimit {
        current: Some(DESCRIPTORS),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let registry = Registry::open(base).unwrap();
    let before = most_memory();
    let watch = Watch(AtomicUsize::new(0));
    let report = registry
        .remove_target(&target(ARRAY), &RemoveOptions::default(), &watch)
        .unwrap();
    let purge = report.purge.unwrap();
    assert_eq!(purge.failures, []);
    say(&format!(
        "{} {} {} {} {}",
        purge.is_done,
        purge.files,
        purge.folders,
        watch.0.into_inner(),
        most_memory() - before
    ));
}

/// What a bounded removal said.
struct Bounded {
    files: u64,
    folders: u64,
    descriptors: u64,
    kib: u64,
}

fn bounded(base: &Path) -> Bounded {
    let output = command(&[], "bounded", base).output().unwrap();
    let line = only(&output);
    let numbers = line.strip_prefix("true ").unwrap_or_default();
    let numbers: Vec<u64> = numbers
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let [files, folders, descriptors, kib] = numbers[..] else {
        panic!("{line}");
    };
    Bounded {
        files,
        folders,
        descriptors,
        kib,
    }
}

/// Makes a chain of folders, each with `name`, with a file in every hundredth and in the last.
fn chain(top: &Path, name: &str, depth: usize) -> u64 {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let name = CString::new(name).unwrap();
    let mut folder: OwnedFd = openat(CWD, top, flags, Mode::empty()).unwrap();
    let mut files = 0;
    for level in 1..=depth {
        mkdirat(&folder, name.as_c_str(), Mode::RWXU).unwrap();
        folder = openat(&folder, name.as_c_str(), flags, Mode::empty()).unwrap();
        if level % 100 == 0 || level == depth {
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            openat(&folder, c"chunk", create, Mode::RUSR).unwrap();
            files += 1;
        }
    }
    files
}

#[test]
fn a_tree_5000_levels_deep_goes_with_64_descriptors() {
    let (folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    let files = chain(&path, "0", 5000);
    let took = bounded(folder.path());
    assert_eq!((took.files, took.folders), (files + 1, 5001));
    assert!(took.descriptors <= DESCRIPTORS, "{}", took.descriptors);
    assert_nothing_left(&registry, &path);
}

#[test]
fn paths_longer_than_the_system_takes_go() {
    let (folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    let mut files = 1;
    for letter in ["a", "b", "c"] {
        // 40 names of 250 bytes: more than twice the longest path.
        files += chain(&path, &letter.repeat(250), 40);
    }
    let took = bounded(folder.path());
    assert_eq!((took.files, took.folders), (files, 121));
    assert_nothing_left(&registry, &path);
}

#[test]
fn a_deep_tree_goes_and_comes_back() {
    let (_folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    chain(&path, "0", 300);
    let report = registry
        .remove_target(&target(ARRAY), &crate::kept(), &Silent)
        .unwrap();
    assert!(!path.exists());
    let id = report.removal.unwrap();
    registry
        .restore(&dalsegno::RestoreTarget::Removal(id))
        .unwrap();
    let deepest = path.join(["0"; 300].join("/")).join("chunk");
    assert!(deepest.exists());
}

#[test]
fn a_hundred_thousand_files_in_one_folder_go_in_bounded_memory() {
    let (folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    for number in 0..100_000 {
        fs::write(path.join(number.to_string()), "").unwrap();
    }
    let took = bounded(folder.path());
    assert_eq!((took.files, took.folders), (100_001, 1));
    assert!(took.descriptors <= DESCRIPTORS, "{}", took.descriptors);
    // The names alone would take more than this were they held at once, with an allocation each.
    assert!(took.kib < 16 << 10, "{} KiB", took.kib);
    assert_nothing_left(&registry, &path);
}

#[test]
fn thousands_of_folders_beside_each_other_and_below_go_with_64_descriptors() {
    let (folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    for outer in 0..100 {
        for inner in 0..40 {
            let chunks = path.join(format!("{outer}/{inner}"));
            fs::create_dir_all(&chunks).unwrap();
            fs::write(chunks.join("0"), "x").unwrap();
            fs::write(chunks.join("1"), "y").unwrap();
        }
    }
    let took = bounded(folder.path());
    assert_eq!((took.files, took.folders), (8001, 4101));
    assert!(took.descriptors <= DESCRIPTORS, "{}", took.descriptors);
    assert_nothing_left(&registry, &path);
}

#[test]
fn an_empty_array_and_one_of_a_single_file_go() {
    for file in [None, Some(".zarray"), Some("0")] {
        let (_folder, registry) = base();
        let path = registry.record(&crate::key(ARRAY)).unwrap().artifact.path();
        fs::create_dir_all(&path).unwrap();
        if let Some(file) = file {
            fs::write(path.join(file), "{}").unwrap();
        }
        let report = registry.remove_artifact(&target(ARRAY)).unwrap();
        let purge = report.purge.unwrap();
        assert_eq!((report.moved, purge.folders), (1, 1), "{file:?}");
        assert_eq!(purge.files, u64::from(file.is_some()), "{file:?}");
        assert_nothing_left(&registry, &path);
        assert_eq!(names(&registry.base().join("r/validation.zarr")), [""; 0]);
    }
}

#[test]
fn a_container_that_is_an_array_itself_goes() {
    let (_folder, registry) = base();
    let path = array(&registry, "r/other.zarr").path();
    fs::write(path.join("0.0"), "x").unwrap();
    let report = registry.remove_artifact(&target("r/other.zarr")).unwrap();
    assert_eq!(report.purge.unwrap().files, 2);
    assert_nothing_left(&registry, &path);
}

#[test]
fn names_that_are_no_text_go() {
    use std::os::unix::ffi::OsStrExt;
    let (_folder, registry) = base();
    let path = array(&registry, ARRAY).path();
    for name in [&b"\xff\xfe"[..], b"a\nb", b"-rf", b"\x1b[31m"] {
        let folder = path.join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(std::ffi::OsStr::from_bytes(name)), "x").unwrap();
    }
    let report = registry.remove_artifact(&target(ARRAY)).unwrap();
    assert_eq!(report.purge.unwrap().files, 5);
    assert_nothing_left(&registry, &path);
}
