//! Catalogs that can be read but not written: of another user, on a read-only mount, or with a WAL
//! that cannot be checkpointed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::child::{command, tree};
use super::{CATALOG, ask, ask_as_nobody, base_with_registry, folder, is_root};

/// Leaves a catalog with a row in a WAL that is not checkpointed, by killing its writer.
fn leave_a_hot_wal(base: &Path) {
    let mut writer = command(&[], "record-and-hang", base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(writer.stdout.take().unwrap());
    assert!(stdout.lines().any(|line| line.unwrap() == "@recorded"));
    writer.kill().unwrap();
    writer.wait().unwrap();
    let wal = base.join(".dalsegno/catalog.sqlite3-wal");
    assert!(wal.metadata().unwrap().len() > 0);
}

const IMMUTABLE: &str =
    "ok, 1 rows, notice: the catalog cannot be written here; changes by others will not be seen";
const COPY: &str = "ok, 2 rows, notice: the catalog cannot be written here and was left with open \
                    changes; reading a copy";

#[test]
fn a_catalog_of_another_user_can_be_read_and_not_written() {
    if !is_root("a catalog of another user") {
        return;
    }
    let (folder, base) = base_with_registry();
    let before = tree(folder.path());
    assert_eq!(ask_as_nobody("open-read-only", &base), IMMUTABLE);
    assert_eq!(ask_as_nobody("open", &base), "read-only");
    assert_eq!(ask_as_nobody("record", &base), "read-only");
    // The file is writable, its folder is not.
    fs::set_permissions(base.join(CATALOG), PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(ask_as_nobody("open-read-only", &base), IMMUTABLE);
    assert_eq!(ask_as_nobody("open", &base), "read-only");
    fs::set_permissions(base.join(CATALOG), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_hot_wal_of_another_user_is_read() {
    if !is_root("a catalog of another user") {
        return;
    }
    let (folder, base) = base_with_registry();
    leave_a_hot_wal(&base);
    let before = tree(folder.path());
    let answer = ask_as_nobody("open-read-only", &base);
    assert!(answer.starts_with("ok, 2 rows"), "{answer}");
    assert_eq!(ask_as_nobody("open", &base), "read-only");
    assert_eq!(tree(folder.path()), before);

    fs::remove_file(base.join(".dalsegno/catalog.sqlite3-shm")).unwrap();
    let before = tree(folder.path());
    assert_eq!(ask_as_nobody("open-read-only", &base), COPY);
    assert_eq!(ask_as_nobody("open", &base), "read-only");
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_reader_without_permission_sees_what_a_writer_commits() {
    if !is_root("a catalog of another user") {
        return;
    }
    let (_folder, base) = base_with_registry();
    let mut writer = command(&[], "record-and-hang", &base)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "@recorded"));
    assert_eq!(
        ask_as_nobody("open-read-only", &base),
        "ok, 2 rows, notice: none"
    );
    let mut stdin = writer.stdin.take().unwrap();
    stdin.write_all(b"\n").unwrap();
    assert!(lines.any(|line| line.unwrap() == "@again"));
    assert_eq!(
        ask_as_nobody("open-read-only", &base),
        "ok, 3 rows, notice: none"
    );
    drop(stdin);
    assert!(writer.wait().unwrap().success());
}

/// Starts a child in a mount namespace of its own, in which the folder of `base` is read-only.
const READ_ONLY_MOUNT: [&str; 6] = [
    "unshare",
    "-m",
    "sh",
    "-c",
    "mount --bind \"$DALSEGNO_TEST_BASE\" \"$DALSEGNO_TEST_BASE\" && \
     mount -o remount,ro,bind \"$DALSEGNO_TEST_BASE\" && exec \"$@\"",
    "sh",
];

fn can_mount() -> bool {
    if !is_root("a read-only mount") {
        return false;
    }
    let folder = folder();
    let works = Command::new("unshare")
        .args(["-m", "mount", "--bind"])
        .args([folder.path(), folder.path()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        crate::strace::left_out::left_out("nothing can be mounted here: a read-only mount");
    }
    works
}

#[test]
fn a_read_only_mount_answers_queries() {
    if !can_mount() {
        return;
    }
    let (folder, base) = base_with_registry();
    let before = tree(folder.path());
    assert_eq!(ask(&READ_ONLY_MOUNT, "open-read-only", &base), IMMUTABLE);
    assert_eq!(ask(&READ_ONLY_MOUNT, "open", &base), "read-only");
    assert_eq!(ask(&READ_ONLY_MOUNT, "record", &base), "read-only");
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn a_read_only_mount_of_a_busy_catalog_shows_what_was_committed() {
    if !can_mount() {
        return;
    }
    let (folder, base) = base_with_registry();
    leave_a_hot_wal(&base);
    let before = tree(folder.path());
    let answer = ask(&READ_ONLY_MOUNT, "open-read-only", &base);
    assert!(answer.starts_with("ok, 2 rows"), "{answer}");
    assert_eq!(ask(&READ_ONLY_MOUNT, "open", &base), "read-only");
    assert_eq!(tree(folder.path()), before);

    fs::remove_file(base.join(".dalsegno/catalog.sqlite3-shm")).unwrap();
    let before = tree(folder.path());
    assert_eq!(ask(&READ_ONLY_MOUNT, "open-read-only", &base), COPY);
    assert_eq!(tree(folder.path()), before);
}

#[test]
fn nothing_is_made_on_a_read_only_mount() {
    if !can_mount() {
        return;
    }
    let folder = folder();
    let base = folder.path().join("base");
    fs::create_dir(&base).unwrap();
    assert_eq!(ask(&READ_ONLY_MOUNT, "create", &base), "catalog-io");
    assert_eq!(ask(&READ_ONLY_MOUNT, "open", &base), "no-registry");
    assert_eq!(fs::read_dir(&base).unwrap().count(), 0);
}
