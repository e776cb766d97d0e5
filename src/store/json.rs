//! JSON as Python writes it, made readable for strict parsers.

use std::borrow::Cow;

/// The same text, with U+FFFD in the place of each half of a surrogate pair that is alone. Python's
/// `json` writes such halves (`"\ud800"`) and reads them; as text they have no meaning. No byte
/// changes its place.
pub(super) fn without_lone_surrogates(text: &[u8]) -> Cow<'_, [u8]> {
    let mut clean = Cow::Borrowed(text);
    // Most texts have none, which this finds faster than the loop below.
    if !text.contains(&b'\\') {
        return clean;
    }
    let mut at = 0;
    // Outside of strings, JSON has no backslash.
    while let Some(skipped) = text[at..].iter().position(|byte| *byte == b'\\') {
        at += skipped;
        at += match (surrogate(text, at), surrogate(text, at + 6)) {
            (Some(Half::First), Some(Half::Second)) => 12,
            (Some(_), _) => {
                clean.to_mut()[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            // With the escaped character, which may be a backslash.
            (None, _) => 2,
        };
        if at >= text.len() {
            break;
        }
    }
    clean
}

#[derive(PartialEq, Eq)]
enum Half {
    First,
    Second,
}

/// The half of a pair that is written at a place.
fn surrogate(text: &[u8], at: usize) -> Option<Half> {
    let [b'\\', b'u', b'd' | b'D', second, third, fourth] = text.get(at..at + 6)? else {
        return None;
    };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Half::First),
        b'c'..=b'f' | b'C'..=b'F' => Some(Half::Second),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_halves_that_are_alone_change() {
        let cases = [
            (r#""\ud800""#, r#""\ufffd""#),
            (r#""\uDC00x""#, r#""\ufffdx""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud800\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud800\u0041""#, r#""\ufffd\u0041""#),
            (r#""\ud83d\n""#, r#""\ufffd\n""#),
            (r#""\\ud800""#, r#""\\ud800""#),
            (r#""\\\ud800""#, r#""\\\ufffd""#),
            (r#""\ud7ff""#, r#""\ud7ff""#),
            (r#""\ud80"#, r#""\ud80"#),
            ("\\", "\\"),
            ("", ""),
        ];
        for (text, expected) in cases {
            let clean = without_lone_surrogates(text.as_bytes());
            assert_eq!(std::str::from_utf8(&clean), Ok(expected), "{text}");
        }
    }
}
