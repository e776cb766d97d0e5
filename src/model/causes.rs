//! An error with its causes as one line of text.

use std::error::Error;

/// An error and each of its causes, on one line, separated by colons.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    // By convention an error leaves its causes out of its own text.
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
