//! Whether system calls can be watched and tampered with on this machine.

#[path = "../common/left_out.rs"]
pub(crate) mod left_out;

use std::process::{Command, Stdio};

use left_out::left_out;

/// Whether strace works here; says on stderr that `what` is left out if it does not.
pub(crate) fn works(what: &str) -> bool {
    let works = Command::new("strace")
        .args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=chdir:error=EIO:when=1",
            "true",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        left_out(&format!("strace does not work here: {what}"));
    }
    works
}
