//! Numbers in sentences, for people.

use super::size::Size;
use crate::model::shell::shell_word;

/// A number, with a comma between thousands.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and a noun, in the plural if it is not one.
pub(crate) fn count(things: impl TryInto<u64>, thing: &str) -> String {
    match things.try_into() {
        Ok(1) => format!("1 {thing}"),
        Ok(things) => format!("{} {thing}s", number(things)),
        Err(_) => format!("many {thing}s"),
    }
}

/// How many are there, of how many.
pub(crate) fn of(there: u64, all: u64) -> String {
    format!("{}/{}", number(there), number(all))
}

/// Files and bytes, to the byte: sizes that differ by little look different.
pub(crate) fn exact(size: Size) -> String {
    format!(
        "{}, {}",
        count(size.files, "file"),
        count(size.bytes.0, "byte")
    )
}

/// A path in a sentence: in quotes if it has a space, so that its end is seen.
pub(crate) fn in_sentence(path: &str) -> String {
    match path.contains(' ') {
        true => shell_word(path),
        false => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::size::ByteCount;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(number(999), "999");
        assert_eq!(number(1_000), "1,000");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(count(1_u64, "array"), "1 array");
        assert_eq!(count(12_000_usize, "array"), "12,000 arrays");
        assert_eq!(of(1_023, 1_024), "1,023/1,024");
        let size = Size {
            files: 1,
            bytes: ByteCount(40_960),
        };
        assert_eq!(exact(size), "1 file, 40,960 bytes");
    }
}
