//! Asking for confirmation before something is removed or unlinked.

use std::io::{BufRead, IsTerminal, Write};

use super::context::Context;
use super::fail::Failure;
use super::interrupt::{self, Asking};
use super::progress;
use super::render::escape;

/// Asks on the terminal. Any answer but yes is a no; then it prints `nothing`, which says what was
/// not done. Without a terminal it is a usage error, and `instead` says what to type.
pub(super) fn confirm(
    context: &Context,
    question: &str,
    nothing: &str,
    instead: &str,
) -> Result<(), Failure> {
    // An answer from a pipe may be meant for another question; scripts say --yes.
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            format!("cannot ask for confirmation, because stdin is not a terminal; {nothing}"),
            instead,
        ));
    }
    // Pressed when the work before the question was over.
    if interrupt::is_interrupted() {
        return Err(Failure::Interrupted(format!(
            "{nothing}; to do it, run the same command again"
        )));
    }
    let asking = Asking::begin();
    let mut stderr = std::io::stderr().lock();
    let question = progress::fitting(&escape(question));
    write!(stderr, "{question}").and_then(|()| stderr.flush())?;
    // Not held while the user thinks: other threads print too.
    drop(stderr);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    drop(asking);
    progress::begin();
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    context.say(nothing);
    Err(Failure::Declined)
}
