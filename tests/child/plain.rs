//! The tests of a binary once more, with renames as on a file system that does not know
//! `RENAME_NOREPLACE`, such as NFS.

use std::process::Command;

use dalsegno::testing::WITHOUT_NOREPLACE;

/// Of the calls that are not renames, one in so many is in the sample.
const ONE_IN: usize = 8;

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

/// Whether a call is in the sample that the second time takes: every rename, and a part of the
/// rest.
pub(crate) fn is_in_sample(call: &str, number: usize) -> bool {
    !is_on() || matches!(call, "renameat" | "linkat") || number % ONE_IN == 1
}
