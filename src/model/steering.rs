//! Characters by which a name steers what shows it.

/// Whether a character steers a terminal, or changes the direction of the text around it, so that a
/// name looks like another.
pub(crate) fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Marks, embeddings, overrides and isolates: the Bidi_Control characters of Unicode.
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}
