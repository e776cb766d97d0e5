//! Scripts that mount, in a mount namespace that ends with them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::left_out::left_out;

/// Runs a script in a folder, with the environment of `program` and its path as the first argument;
/// `None` if nothing can be mounted here, which is said to leave `what` out.
pub(crate) fn run(
    what: &str,
    script: &str,
    program: &Command,
    arguments: &[&str],
    folder: &Path,
) -> Option<Output> {
    let may_mount = Command::new("unshare")
        .args(["-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !may_mount {
        left_out(&format!("nothing can be mounted here: {what}"));
        return None;
    }
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-c", script, "sh"]);
    shell.arg(program.get_program()).args(arguments);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Some(shell.current_dir(folder).output().unwrap())
}
