//! Whether system calls can be watched and tampered with on this machine.

use std::process::{Command, Stdio};

/// Whether strace works here; says on stderr that `what` is left out where it does not.
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
        eprintln!("left out, because strace does not work here: {what}");
    }
    works
}
