//! Words of commands that are typed into a shell.

/// A word, quoted for a shell if it needs to be.
pub(crate) fn shell_word(text: &str) -> String {
    // Letters of any script are safe without quotes; all that a shell may expand needs them.
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        // In single quotes only the quote itself is special to a shell.
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
