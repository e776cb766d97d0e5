//! A nearly full ext4: every amount of free space from none to 128 KiB, after a reader that left
//! SQLite's log and its index behind and without one, with arrays that were counted and arrays that
//! were not. `rm` and `trash empty` free space at each; what only informs, such as counting, never
//! stops them.
//!
//! Needs the right to mount an image; without it the tests say so and are left out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dalsegno::model::progress::Silent;
use dalsegno::{RefreshOptions, Registry, ScanOptions};

use crate::child::{answer, command, say};
use crate::full::fill;
use crate::images::run;

/// Name of the action, and number of arrays of the run that is removed.
const CASES: [(&str, usize); 2] = [("narrow", 1), ("narrow-many", 300)];
/// KiB that are left free.
const FREE: std::ops::RangeInclusive<usize> = 0..=128;
const STEP: usize = 8;

/// Whether this process is a child of these tests; then it has done its work.
pub(crate) fn child() -> bool {
    let action = std::env::var(crate::child::ACTION).unwrap_or_default();
    let Some((_, arrays)) = CASES.iter().find(|(name, _)| *name == action) else {
        return false;
    };
    let folder = PathBuf::from(std::env::var_os(crate::child::BASE).unwrap());
    for is_counted in [false, true] {
        prepare(&folder, *arrays, is_counted);
        let step = if *arrays == 1 { STEP } else { 10 * STEP };
        for free in FREE.step_by(step) {
            for reader in [false, true] {
                frees(&folder, free, reader, is_counted);
            }
        }
    }
    say("done");
    true
}

fn succeed(program: &str, words: &[&std::ffi::OsStr]) {
    let done = Command::new(program).args(words).status().unwrap();
    assert!(done.success(), "{program} {words:?}");
}

fn mount(folder: &Path, image: &str) -> PathBuf {
    let disk = folder.join("disk");
    let image = folder.join(image);
    succeed(
        "mount",
        &[
            "-o".as_ref(),
            "loop".as_ref(),
            image.as_ref(),
            disk.as_ref(),
        ],
    );
    disk
}

fn umount(disk: &Path) {
    succeed("umount", &[disk.as_ref()]);
}

/// Makes an image with a registry in it, whose arrays a training has just written.
fn prepare(folder: &Path, arrays: usize, is_counted: bool) {
    let image = folder.join("prepared");
    File::create(&image).unwrap().set_len(60 << 20).unwrap();
    let words = ["-q", "-F", "-b", "4096", "-N", "8000", "-m", "0"];
    let words = words.map(std::ffi::OsStr::new);
    let mut words = words.to_vec();
    words.push(image.as_ref());
    succeed("mkfs.ext4", &words);
    let disk = mount(folder, "prepared");
    let base = disk.join("base");
    for run in ["first", "second", "trashed"] {
        for iteration in 1..=arrays {
            let array = base.join(format!("{run}/validation.zarr/{iteration}/d/prediction"));
            fs::create_dir_all(&array).unwrap();
            let metadata = r#"{"zarr_format":2,"shape":[4],"chunks":[2],"dtype":"|u1",
                "compressor":null,"fill_value":0,"order":"C","filters":null}"#;
            fs::write(array.join(".zarray"), metadata).unwrap();
            fs::write(array.join("0"), "ab").unwrap();
        }
    }
    let registry = Registry::create(&base).unwrap();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    if is_counted {
        let options = RefreshOptions::new().measure(true);
        registry.refresh(&<_>::default(), options, &Silent).unwrap();
    }
    drop(registry);
    let words = ["rm", "--run", "trashed", "--trash", "--yes"];
    assert_eq!(run(&base, &words).status.code(), Some(0));
    umount(&disk);
}

fn frees(folder: &Path, free: usize, has_reader: bool, is_counted: bool) {
    fs::copy(folder.join("prepared"), folder.join("image")).unwrap();
    let disk = mount(folder, "image");
    let base = disk.join("base");
    if has_reader {
        assert_eq!(run(&base, &["trash", "list"]).status.code(), Some(0));
    }
    fs::write(disk.join("hole"), vec![1; free << 10]).unwrap();
    fill(&disk, "space");
    // A journaling file system gives out freed blocks only after its own commit.
    File::open(disk.join("hole")).unwrap().sync_all().unwrap();
    fs::remove_file(disk.join("hole")).unwrap();
    succeed("sync", &[]);
    let calls: [&[&str]; 3] = [
        &["rm", "--run", "first", "--yes"],
        &["trash", "empty", "--yes"],
        &["rm", "--run", "second", "--yes"],
    ];
    for words in calls {
        let done = run(&base, words);
        assert_eq!(
            done.status.code(),
            Some(0),
            "{words:?} with {free} KiB free, reader: {has_reader}, counted: {is_counted}: {done:?}"
        );
    }
    for run in ["first", "second"] {
        let arrays = base.join(run).join("validation.zarr");
        let left = fs::read_dir(arrays).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{run}");
    }
    crate::child::assert_sound(&base.join(".dalsegno/catalog.sqlite3"));
    umount(&disk);
}

pub(crate) fn removals_free_a_nearly_full_ext4(what: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("disk")).unwrap();
    let image = folder.path().join("try");
    File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let mut make = Command::new("mkfs.ext4");
    let made = make.args(["-q", "-F"]).arg(&image).status();
    let made = made.is_ok_and(|made| made.success());
    let wrapper = ["unshare", "-m"];
    let may_mount = made
        && Command::new(wrapper[0])
            .args([wrapper[1], "mount", "-o", "loop"])
            .arg(&image)
            .arg(folder.path().join("disk"))
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|mounted| mounted.success());
    if !may_mount {
        let what = "no image of ext4 can be made and mounted here: nearly full disks";
        return crate::strace::left_out::left_out(what);
    }
    let output = command(&wrapper, what, folder.path()).output().unwrap();
    assert_eq!(answer(&output), ["done"], "{output:?}");
}
