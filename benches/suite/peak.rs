//! The most memory that a child process had.
//!
//! The kernel counts to a child what its parent had when it was started, so the measured process
//! is started by a small one: this program, called with `peak`.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::measure::Result;

/// The word that makes this program the small one.
pub(crate) const WORD: &str = "peak";

/// Runs a command and gives the most bytes of memory that it had at once.
pub(crate) fn of(command: &mut Command) -> Result<u64> {
    let mut small = Command::new(std::env::current_exe()?);
    small
        .arg(WORD)
        .arg(command.get_program())
        .args(command.get_args());
    let output = small.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// The small program: runs what it is given, and gives the bytes.
pub(crate) fn run(words: &[OsString]) -> Result<u64> {
    let (program, words) = words.split_first().ok_or("what is to be run?")?;
    let status = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()?;
    if !status.success() {
        return Err(format!("{}: {status}", program.display()).into());
    }
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    Ok(usage.max_rss() as u64 * 1024)
}
