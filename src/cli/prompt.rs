//! Asking before something is unlinked.

use std::io::{BufRead, IsTerminal, Write};

use super::context::Context;
use super::fail::Failure;
use super::render::escape;

/// Asks on the terminal; anything but yes is a no, and then `nothing` is said.
pub(super) fn confirm(
    context: &Context,
    question: &str,
    nothing: &str,
    instead: &str,
) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            format!("there is no terminal to ask on; {nothing}"),
            instead,
        ));
    }
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{}", escape(question)).and_then(|()| stderr.flush())?;
    drop(stderr);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    context.say(nothing);
    Err(Failure::Declined)
}
