//! Values as text: for a screen, for cells and fields, in sentences.

use std::time::Duration;

use crate::model::clock::Timestamp;
use crate::model::size::{ByteCount, Size, Total};
use crate::model::steering::steers;
pub(in crate::cli) use crate::model::words::{count, number};

/// Text that cannot steer a terminal, and is read as it is: control characters are escaped, except
/// line ends, and what changes the direction of text.
pub(in crate::cli) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        // Names come from disk and from other users: an escape sequence could rewrite the screen.
        if steers(character) && character != '\n' {
            out.extend(character.escape_debug());
        } else {
            out.push(character);
        }
    }
    out
}

/// A TSV field: without tabs and line ends.
pub(super) fn flat(text: &str) -> String {
    escape(text).replace('\n', "\\n")
}

/// A value for a table; `-` if it is absent.
pub(in crate::cli) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// A value for TSV; empty if it is absent.
pub(in crate::cli) fn or_empty(value: Option<impl ToString>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// A time for a table: to the minute, in UTC.
pub(in crate::cli) fn short_time(time: Timestamp) -> String {
    let text = time.to_string();
    // `2026-11-20T08:00` of a time in RFC 3339.
    text.get(..16)
        .map_or(text.clone(), |text| text.replace('T', " "))
}

/// An age in its largest fitting unit: `3d`, `5h`, `12m`.
pub(in crate::cli) fn short_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        // Hours up to two days: rounded down to days, 47 hours would lose half of their age.
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Bytes and files of one artifact for a table; `?` if they were not counted.
pub(in crate::cli) fn size_cells(size: Option<Size>) -> [String; 2] {
    match size {
        Some(size) => [size.bytes.to_string(), number(size.files)],
        None => ["?".to_owned(), "?".to_owned()],
    }
}

/// Bytes and files of one artifact for TSV; `?` if they were not counted.
pub(in crate::cli) fn size_fields(size: Option<Size>) -> [String; 2] {
    match size {
        Some(size) => [size.bytes.0.to_string(), size.files.to_string()],
        None => ["?".to_owned(), "?".to_owned()],
    }
}

/// Bytes and files of several artifacts for a table: `?` if none were counted, `+?` after the
/// number if only some were.
pub(in crate::cli) fn total_cells(total: &Total) -> [String; 2] {
    match (total.uncounted, total.is_known()) {
        (0, _) => [total.bytes.to_string(), number(total.files)],
        // Nothing was counted, so the sum of 0 is no number.
        (_, false) => ["?".to_owned(), "?".to_owned()],
        (_, true) => [
            format!("{} +?", total.bytes),
            format!("{} +?", number(total.files)),
        ],
    }
}

/// Bytes, files and the number of uncounted artifacts for TSV; `?` if none were counted.
pub(in crate::cli) fn total_fields(total: &Total) -> [String; 3] {
    let uncounted = total.uncounted.to_string();
    if !total.is_known() {
        return ["?".to_owned(), "?".to_owned(), uncounted];
    }
    [
        total.bytes.0.to_string(),
        total.files.to_string(),
        uncounted,
    ]
}

/// Bytes and files in a sentence.
pub(in crate::cli) fn size_text(bytes: ByteCount, files: u64) -> String {
    format!("{bytes} in {}", count(files, "file"))
}

/// What goes or lies beside artifacts, as a clause; empty if it is nothing.
pub(in crate::cli) fn others_text(others: &Total) -> String {
    let what = match (others.files, others.uncounted) {
        (0, 0) => return String::new(),
        (0, _) => "?".to_owned(),
        (files, 0) => size_text(others.bytes, files),
        (files, _) => format!("at least {}", size_text(others.bytes, files)),
    };
    format!(", and {what} that the registry does not know")
}

/// Bytes and files of several artifacts in a sentence.
pub(in crate::cli) fn total_text(total: &Total) -> String {
    let text = size_text(total.bytes, total.files);
    match (total.uncounted, total.is_known()) {
        (0, _) => text,
        (_, false) => "? (not counted)".to_owned(),
        (uncounted, true) => format!("{text}, and {} not counted", count(uncounted, "array")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_a_terminal_nor_turn_text_around() {
        let text = "a\u{1b}[31mb\u{202e}c\u{2066}d\nأب";
        assert_eq!(escape(text), "a\\u{1b}[31mb\\u{202e}c\\u{2066}d\nأب");
    }
}
