//! Full file systems on which SQLite's index of the log is at risk: ext4 with blocks of 1 KiB,
//! where a write to the index can end a process with SIGBUS, and XFS, which counts blocks as free
//! that it does not give. `rm` frees space on both, and no command dies by a signal.
//!
//! Needs the right to mount an image; without it the tests say so and are left out.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dalsegno::Registry;
use dalsegno::model::filter::Filter;

use crate::child::{answer, command, prediction, say, write_array};
use crate::full::fill;

/// Name of the action, size of the image in MiB, and how a file system is made in it.
const IMAGES: [(&str, u64, &[&str]); 2] = [
    ("ext4-1k", 40, &["mkfs.ext4", "-q", "-b", "1024", "-m", "0"]),
    // The least that it takes.
    ("xfs", 300, &["mkfs.xfs", "-q"]),
];
const ARRAYS: i64 = 6;
/// Bytes of an array, which its removal frees: more than the reserve lacks of its full length.
const BYTES: usize = 400 << 10;

/// Whether this process is a child of these tests; then it has done its work.
pub(crate) fn child() -> bool {
    let action = std::env::var(crate::child::ACTION).unwrap_or_default();
    if !IMAGES.iter().any(|(name, ..)| *name == action) {
        return false;
    }
    let disk = PathBuf::from(std::env::var_os(crate::child::BASE).unwrap());
    let base = disk.join("base");
    fs::create_dir(&base).unwrap();
    let registry = Registry::create(&base).unwrap();
    for iteration in 1..=ARRAYS {
        let key = prediction("few", iteration);
        let recorded = registry.record(&key).unwrap();
        write_array(&base, &key);
        fs::write(recorded.artifact.path().join("0.0.1"), vec![b'x'; BYTES]).unwrap();
    }
    drop(registry);
    for iteration in 1..=ARRAYS {
        fill_completely(&disk);
        if iteration == 1 {
            no_command_dies(&base);
            fill_completely(&disk);
        }
        let iteration = iteration.to_string();
        let removed = run(
            &base,
            &["rm", "--run", "few", "--iteration", &iteration, "--yes"],
        );
        assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    }
    let registry = Registry::open(&base).unwrap();
    let left = registry.select(&Filter::default()).unwrap();
    let mut left = left.iter().map(|row| row.key.iteration().unwrap());
    assert!(
        left.all(|iteration| iteration > ARRAYS),
        "of the last command"
    );
    drop(registry);
    crate::child::assert_sound(&base.join(".dalsegno/catalog.sqlite3"));
    say("done");
    true
}

pub(crate) fn run(base: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dalsegno"));
    command.arg("--base").arg(base).args(words);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Reads answer; what else is asked for is done or refused.
fn no_command_dies(base: &Path) {
    let reads: [&[&str]; 9] = [
        &["list"],
        &["iterations"],
        &["runs"],
        &["du"],
        &["show", "few/validation.zarr/1/crop1/prediction"],
        &["history"],
        &["doctor"],
        &["trash", "list"],
        &["verify"],
    ];
    for words in reads {
        let done = run(base, words);
        // It finds that the disk is full.
        let expected = if *words == ["doctor"] { 4 } else { 0 };
        assert_eq!(done.status.code(), Some(expected), "{words:?}: {done:?}");
    }
    let writes: [&[&str]; 8] = [
        &[
            "record",
            "--run",
            "few",
            "--iteration",
            "9",
            "--dataset",
            "c",
            "prediction",
        ],
        &["seal", "--run", "few", "--iteration", "1"],
        &["scan", "--measure"],
        &["refresh"],
        &["pin", "kept", "--run", "other", "--reason", "test"],
        &["score", "--run", "few", "--iteration", "1", "voi=0.5"],
        &["gc", "--keep-last", "1"],
        &["trash", "empty", "--yes"],
    ];
    for words in writes {
        let done = run(base, words);
        assert!(done.status.code().is_some(), "{words:?}: {done:?}");
    }
}

/// Takes the last bytes and, in small files, the last blocks.
fn fill_completely(disk: &Path) {
    fill(disk, "space");
    for number in 0..4000 {
        let path = disk.join(format!("small-{number}"));
        if !path.exists() && !File::create(&path).is_ok_and(|mut file| file.write_all(b"z").is_ok())
        {
            break;
        }
    }
}

pub(crate) fn rm_frees_a_full_disk_of(what: &str) {
    let (_, size, make) = IMAGES.iter().find(|(name, ..)| *name == what).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    File::create(&image).unwrap().set_len(size << 20).unwrap();
    let made = Command::new(make[0]).args(&make[1..]).arg(&image).output();
    let mount = format!(
        "mount -o loop {} \"$DALSEGNO_TEST_BASE\" && exec \"$@\"",
        image.display()
    );
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let wrapper = ["unshare", "-m", "sh", "-c", &mount, "sh"];
    let may_mount = Command::new(wrapper[0])
        .args([&wrapper[1..], &["true"]].concat())
        .env("DALSEGNO_TEST_BASE", &disk)
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|made| made.status.success()) || !may_mount.is_ok_and(|ok| ok.success()) {
        let what = format!("no image of {what} can be made and mounted here: full disks");
        return crate::strace::left_out::left_out(&what);
    }
    let output = command(&wrapper, what, &disk).output().unwrap();
    assert_eq!(answer(&output), ["done"], "{output:?}");
}
