//! Faults during removal, restore, emptying the trash and recovery: the process is killed at every
//! system call that changes something, and every such call fails, once or from then on. Afterwards,
//! checked by code that does not use the library:
//!
//! - before the next open, every file of every array is in its place or in the trash; or it is
//!   gone, and the catalog holds the committed removal that took it;
//! - after the next open for writing, each artifact's row and data are both there or both gone, or
//!   wait in the trash and come back identical; a second open changes nothing;
//! - every backup of the catalog is sound, and none is deleted before a newer one is there;
//! - acknowledged changes hold, and failed ones have changed nothing;
//! - neighbours that were not to be removed, and files beside the base directory, are untouched.
//!
//! strace tampers with the real system calls of the real program. A shim below the library would
//! reach only code that is written to use it: not SQLite's own calls, which make up half of the
//! protocol, and not a direct call in a later change.
//!
//! A child does the work; `strace` attaches when it is ready. A first run without a fault lists the
//! calls. To run a single fault and see the child's output:
//!
//! ```text
//! DALSEGNO_FAULT=remove-one:kill:renameat2:1 cargo test --test faults_remove -- --nocapture
//! ```
//!
//! The parts are the case, the fault (`kill`, an error such as `EIO`, or a permanent error such as
//! `EIO+`), and the system call with its number in its thread. Without a working `strace` the tests
//! say so and are left out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "child/fault.rs"]
mod fault;
#[path = "faults_remove/full.rs"]
mod full;
#[path = "faults_remove/images.rs"]
mod images;
#[path = "faults_remove/narrow.rs"]
mod narrow;
#[path = "faults_remove/observe.rs"]
mod observe;
#[path = "child/plain.rs"]
mod plain;
#[path = "faults_remove/scene.rs"]
mod scene;
#[path = "child/strace.rs"]
mod strace;
#[path = "faults_remove/sweep.rs"]
mod sweep;

use scene::Case;
use sweep::{Fault, calls_before_unlinking, sweep};

/// Calls that make up the protocol, without those that only open, close and lock.
const PROTOCOL: [&str; 12] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "syncfs",
    "renameat2",
    "mkdirat",
    "unlinkat",
    "unlink",
    "ftruncate",
    "fallocate",
    "flock",
];
/// Every call that can fail. Releasing a lock is left out: SQLite would then wait for itself.
const FAILING: [&str; 13] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "syncfs",
    "renameat2",
    "mkdirat",
    "unlinkat",
    "unlink",
    "ftruncate",
    "fallocate",
    "flock",
];
/// Calls that keep failing once a disk is broken.
const BREAKING: [&str; 5] = ["pwrite64", "fsync", "fdatasync", "renameat2", "unlinkat"];
/// Calls that can fail with ENOSPC.
const GROWING: [&str; 6] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "mkdirat",
    "renameat2",
];
/// Calls of a backup that may fail, or find the disk full.
const BACKING_UP: [&str; 8] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "fallocate",
    "rename",
    "renameat2",
];
/// Errors of a rename or an unlink that have a meaning of their own.
const REFUSALS: [&str; 6] = ["EDQUOT", "EACCES", "EBUSY", "EXDEV", "ESTALE", "ENOTEMPTY"];

/// The body of a child: prints `ready` and begins when its standard input ends.
#[test]
fn child_entry() {
    if !full::child() && !images::child() && !narrow::child() {
        scene::child();
    }
}

#[test]
fn a_removal_frees_a_disk_without_a_byte_left() {
    full::removes_on_a_full_disk("space");
}

#[test]
fn a_removal_frees_a_full_quota() {
    full::removes_over_quota();
}

#[test]
fn a_removal_frees_the_full_disk_of_a_base_directory_without_the_catalog() {
    full::removes_on_a_full_disk("elsewhere");
}

#[test]
fn a_removal_frees_a_disk_without_an_inode_left() {
    full::removes_on_a_full_disk("inodes");
}

#[test]
fn a_removal_frees_a_full_ext4_with_small_blocks() {
    images::rm_frees_a_full_disk_of("ext4-1k");
}

#[test]
fn removals_free_an_ext4_with_any_amount_of_space_left() {
    narrow::removals_free_a_nearly_full_ext4("narrow");
}

#[test]
fn a_removal_of_many_arrays_that_were_not_counted_frees_a_full_ext4() {
    narrow::removals_free_a_nearly_full_ext4("narrow-many");
}

#[test]
fn a_removal_frees_a_full_xfs() {
    images::rm_frees_a_full_disk_of("xfs");
}

/// The second time, a part of the points: every rename, and a sample of the rest.
#[test]
fn faults_are_survived_without_noreplace() {
    plain::run_again(&[
        "a_removal_survives",
        "a_removal_with_a_backup_survives",
        "a_removal_of_many_survives",
        "a_removal_of_a_container_survives",
        "a_removal_into_the_trash_survives",
        "a_restore_survives",
        "a_restore_of_one_of_two_survives",
        "a_restore_beside_a_new_container_survives",
        "emptying_the_trash_survives",
        "recovery_of_a_purge_survives",
        "recovery_of_a_note_survives",
        "recovery_of_a_removal_survives",
        "recovery_of_a_restore_survives",
        "recovery_of_a_restore_beside_a_new_container_survives",
    ]);
}

fn kill(case: Case) {
    sweep(case, Fault::Kill, &PROTOCOL);
}

fn fail(case: Case) {
    sweep(case, Fault::Once("EIO"), &FAILING);
}

fn fail_for_ever(case: Case) {
    sweep(case, Fault::Forever("EIO"), &BREAKING);
}

#[test]
fn a_removal_survives_a_kill_at_every_call() {
    sweep(Case::One, Fault::Kill, &[]);
}

#[test]
fn a_removal_with_a_backup_survives_a_kill_at_every_call() {
    sweep(Case::BackedUp, Fault::Kill, &[]);
}

#[test]
fn a_removal_with_a_backup_survives_an_error_of_every_call() {
    sweep(Case::BackedUp, Fault::Once("EIO"), &BACKING_UP);
}

#[test]
fn a_removal_with_a_backup_survives_a_full_disk_at_every_call() {
    sweep(Case::BackedUp, Fault::Once("ENOSPC"), &BACKING_UP);
}

#[test]
fn a_removal_survives_an_error_of_every_call() {
    fail(Case::One);
}

#[test]
fn a_removal_survives_a_disk_that_breaks_at_any_call() {
    fail_for_ever(Case::One);
}

#[test]
fn a_removal_survives_a_full_disk() {
    sweep(Case::One, Fault::Once("ENOSPC"), &GROWING);
}

#[test]
fn a_removal_survives_every_refusal() {
    for error in REFUSALS {
        sweep(Case::One, Fault::Once(error), &["renameat2", "unlinkat"]);
    }
}

#[test]
fn a_removal_of_many_survives_a_kill_at_every_call() {
    kill(Case::Many);
}

#[test]
fn a_removal_of_many_survives_an_error_of_every_call() {
    sweep(Case::Many, Fault::Once("EIO"), &PROTOCOL);
}

#[test]
fn a_removal_of_many_survives_a_disk_that_breaks_at_any_rename() {
    sweep(Case::Many, Fault::Forever("EIO"), &["renameat2", "fsync"]);
}

#[test]
fn a_removal_of_a_container_survives_a_kill_at_every_call() {
    kill(Case::Container);
}

#[test]
fn a_removal_of_a_container_survives_an_error_of_every_call() {
    fail(Case::Container);
}

#[test]
fn a_removal_into_the_trash_survives_a_kill_at_every_call() {
    kill(Case::Kept);
}

#[test]
fn a_removal_into_the_trash_survives_an_error_of_every_call() {
    fail(Case::Kept);
}

#[test]
fn a_removal_into_the_trash_survives_a_disk_that_breaks_at_any_call() {
    fail_for_ever(Case::Kept);
}

#[test]
fn a_removal_into_the_trash_survives_every_refusal() {
    for error in REFUSALS {
        sweep(Case::Kept, Fault::Once(error), &["renameat2"]);
        sweep(Case::Kept, Fault::Forever(error), &["renameat2"]);
    }
}

#[test]
fn a_restore_survives_a_kill_at_every_call() {
    kill(Case::Restore);
}

#[test]
fn a_restore_survives_an_error_of_every_call() {
    fail(Case::Restore);
}

#[test]
fn a_restore_survives_a_disk_that_breaks_at_any_call() {
    fail_for_ever(Case::Restore);
}

#[test]
fn a_restore_survives_a_full_disk() {
    sweep(Case::Restore, Fault::Once("ENOSPC"), &GROWING);
}

#[test]
fn a_restore_survives_every_refusal() {
    for error in REFUSALS {
        sweep(Case::Restore, Fault::Once(error), &["renameat2"]);
        sweep(Case::Restore, Fault::Forever(error), &["renameat2"]);
    }
}

#[test]
fn a_restore_of_one_of_two_survives_a_kill_at_every_call() {
    kill(Case::RestoreOne);
}

#[test]
fn a_restore_of_one_of_two_survives_an_error_of_every_call() {
    fail(Case::RestoreOne);
}

#[test]
fn a_restore_beside_a_new_container_survives_a_kill_at_every_call() {
    sweep(Case::Beside, Fault::Kill, &[]);
}

#[test]
fn a_restore_beside_a_new_container_survives_an_error_of_every_call() {
    let mut calls = FAILING.to_vec();
    calls.extend(["renameat", "linkat"]);
    sweep(Case::Beside, Fault::Once("EIO"), &calls);
}

#[test]
fn a_restore_beside_a_new_container_survives_a_disk_that_breaks_at_any_call() {
    fail_for_ever(Case::Beside);
}

#[test]
fn recovery_of_a_restore_beside_a_new_container_survives_a_kill_at_every_call() {
    kill(Case::RecoverBeside);
}

#[test]
fn recovery_of_a_restore_beside_a_new_container_survives_an_error_of_every_call() {
    fail(Case::RecoverBeside);
}

#[test]
fn emptying_the_trash_survives_a_kill_at_every_call() {
    kill(Case::Empty);
}

#[test]
fn emptying_the_trash_survives_an_error_of_every_call() {
    fail(Case::Empty);
}

#[test]
fn emptying_the_trash_survives_a_full_disk() {
    sweep(Case::Empty, Fault::Once("ENOSPC"), &GROWING);
}

#[test]
fn recovery_of_a_removal_survives_a_kill_at_every_call() {
    kill(Case::RecoverRemoval);
}

#[test]
fn recovery_of_a_removal_survives_an_error_of_every_call() {
    fail(Case::RecoverRemoval);
}

#[test]
fn recovery_of_a_removal_survives_a_disk_that_breaks_at_any_call() {
    fail_for_ever(Case::RecoverRemoval);
}

#[test]
fn recovery_of_a_restore_survives_a_kill_at_every_call() {
    kill(Case::RecoverRestore);
}

#[test]
fn recovery_of_a_restore_survives_an_error_of_every_call() {
    fail(Case::RecoverRestore);
}

#[test]
fn recovery_of_a_purge_survives_a_kill_at_every_call() {
    kill(Case::RecoverPurge);
}

#[test]
fn recovery_of_a_purge_survives_an_error_of_every_call() {
    fail(Case::RecoverPurge);
}

#[test]
fn recovery_of_a_note_survives_a_kill_at_every_call() {
    kill(Case::RecoverNote);
}

#[test]
fn recovery_of_a_note_survives_an_error_of_every_call() {
    fail(Case::RecoverNote);
}

/// Whatever durability a handle has: the commit is synced before files are unlinked.
#[test]
fn nothing_is_unlinked_before_the_commit_is_durable() {
    let Some(full) = calls_before_unlinking(false) else {
        return;
    };
    let is_sync = |name: &str| name == "fsync" || name == "fdatasync";
    let last_write = full.iter().rposition(|name| name == "pwrite64").unwrap();
    assert!(
        full[last_write..].iter().any(|name| is_sync(name)),
        "{full:?}"
    );
    assert_eq!(calls_before_unlinking(true).unwrap(), full);
}
