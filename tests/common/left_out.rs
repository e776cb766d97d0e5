//! What a test says if it leaves something out.

use std::io::Write as _;

/// Says on stderr that something is left out, and why. Written to the descriptor, because the
/// harness hides what tests print that pass.
pub(crate) fn left_out(why: &str) {
    let line = format!("left out, because {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
