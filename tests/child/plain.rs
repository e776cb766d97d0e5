//! The tests of a binary once more, with renames as on a file system that does not know
//! `RENAME_NOREPLACE`, such as NFS.

use std::process::Command;

use dalsegno::testing::WITHOUT_NOREPLACE;

use crate::fault::ONE_IN;

/// Whether this process is that second time.
pub(crate) fn is_on() -> bool {
    std::env::var_os(WITHOUT_NOREPLACE).is_some()
}

/// Runs the tests whose names begin with one of these, or all if none is given, in a process of
/// their own; what they print is printed.
pub(crate) fn run_again(names: &[&str]) {
    if is_on() {
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(names).env(WITHOUT_NOREPLACE, "1");
    // Only the renames differ.
    command.env(ONE_IN, "8");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    print!("{said}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "it fails without RENAME_NOREPLACE");
    assert!(!said.contains("running 0 tests"), "no test has such a name");
}

/// The call that a sweep knows a call as: it names the rename that is used with the flag.
pub(crate) fn name_of(call: &str) -> &str {
    match call {
        "renameat" | "linkat" if is_on() => "renameat2",
        call => call,
    }
}
