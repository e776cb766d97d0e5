//! Cuts a text to a number of columns of the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The sign for what was left out.
pub(super) const ELLIPSIS: char = '…';

/// Text of at most this width, without its end.
pub(super) fn cut_end(text: &str, width: usize) -> String {
    cut(text, width, Lose::End)
}

/// The part of a text that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lose {
    Start,
    Middle,
    End,
}

/// Text of at most this width.
pub(super) fn cut(text: &str, width: usize, lose: Lose) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    // One column is for the ellipsis. The tail gets the odd one, because iterations and parameters
    // are at the end of a path.
    let room = width.saturating_sub(1);
    let (head, tail) = match lose {
        Lose::Start => (0, room),
        Lose::Middle => (room / 2, room - room / 2),
        Lose::End => (room, 0),
    };
    let head = fitting(head, &mut text.chars());
    let tail = fitting(tail, &mut text.chars().rev());
    let cut: String = head
        .into_iter()
        .chain(std::iter::once(ELLIPSIS))
        .chain(tail.into_iter().rev())
        .collect();
    merged(&cut)
}

/// Text in which signs for what was left out that follow each other are one.
fn merged(text: &str) -> String {
    let mut merged = String::with_capacity(text.len());
    for character in text.chars() {
        if character != ELLIPSIS || !merged.ends_with(ELLIPSIS) {
            merged.push(character);
        }
    }
    merged
}

/// The first characters that fit, in columns of the terminal: a wide character takes two.
pub(super) fn fitting(room: usize, characters: &mut dyn Iterator<Item = char>) -> Vec<char> {
    let mut used = 0;
    let mut part = Vec::new();
    for character in characters {
        used += character.width().unwrap_or(0);
        if used > room {
            break;
        }
        part.push(character);
    }
    part
}
