//! Patterns for names: what `*`, `?` and `[…]` match.
//!
//! The syntax is that of a shell and of Python's `fnmatch`; the catalog writes a pattern in the
//! dialect of its engine from the [`Token`]s.

use serde::{Deserialize, Serialize};

/// A pattern for names: `*` and `?` as in a shell, `[…]` for one of several characters, and `[!…]`
/// or `[^…]` for any other character.
///
/// In brackets, `a-z` is a range, a `]` directly after the opening is a character, and so is a `-`
/// at either end. A `[` that is never closed is a character too. There is no escape character:
/// `[*]` matches a star. `*` also matches `/`.
///
/// If the catalog has a name that is spelled like the pattern, the pattern matches that name alone:
/// a name with brackets, such as `run [a]`, selects just itself without quoting, and removing it
/// removes nothing else. The catalog has every name under which anything was ever recorded,
/// including what was removed since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pattern(String);

/// A part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// `*`: any text.
    Text,
    /// `?`: any character.
    Any,
    /// This character.
    One(char),
    /// A character in one of these ranges, both ends included; if `negated`, one in none of them.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// The patterns of these texts: every setter that takes several reads them by this.
    pub(crate) fn list<P: Into<Self>>(texts: impl IntoIterator<Item = P>) -> Vec<Self> {
        texts.into_iter().map(Into::into).collect()
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it can match other names than the one that it spells, if the catalog does not have
    /// that name.
    ///
    /// Text with a NUL is not a glob, as names have no NUL: SQLite reads a glob up to the first
    /// NUL, so `run*` with a NUL and more after it would match like `run*`.
    #[must_use]
    pub fn is_glob(&self) -> bool {
        let is_one = |token: &Token| matches!(token, Token::One(_));
        !self.0.contains('\0') && !self.tokens().iter().all(is_one)
    }

    /// The parts of the pattern, in order.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut rest = self.0.as_str();
        while let Some(character) = rest.chars().next() {
            rest = &rest[character.len_utf8()..];
            tokens.push(match character {
                '*' => Token::Text,
                '?' => Token::Any,
                '[' => match class(rest) {
                    Some((class, after)) => {
                        rest = after;
                        class
                    }
                    None => Token::One('['),
                },
                character => Token::One(character),
            });
        }
        tokens
    }
}

/// Reads a class from the text after its opening bracket, and gives the text after it; `None` if it
/// is never closed.
fn class(text: &str) -> Option<(Token, &str)> {
    let members = text.strip_prefix(['!', '^']);
    let negated = members.is_some();
    let members = members.unwrap_or(text);
    // A bracket directly after the opening is a member.
    let end = members.char_indices().skip(1).find(|(_, c)| *c == ']')?.0;
    let (members, after) = (&members[..end], &members[end + 1..]);
    let members: Vec<char> = members.chars().collect();
    let mut ranges = Vec::new();
    let mut members = members.as_slice();
    while let [first, rest @ ..] = members {
        let (last, after) = match rest {
            ['-', last, after @ ..] => (last, after),
            // A `-` at the end has nothing behind it and is a member: the other arm.
            rest => (first, rest),
        };
        // A range from high to low has no member.
        if first <= last {
            ranges.push((*first, *last));
        }
        members = after;
    }
    Some((Token::Class { negated, ranges }, after))
}

impl<T: Into<String>> From<T> for Pattern {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_read_as_a_shell_reads_them() {
        let class = |negated, ranges: &[(char, char)]| Token::Class {
            negated,
            ranges: ranges.to_vec(),
        };
        let cases = [
            ("[ab]", vec![class(false, &[('a', 'a'), ('b', 'b')])]),
            ("[!ab]", vec![class(true, &[('a', 'a'), ('b', 'b')])]),
            ("[^a]", vec![class(true, &[('a', 'a')])]),
            ("[a-c]", vec![class(false, &[('a', 'c')])]),
            ("[a-]", vec![class(false, &[('a', 'a'), ('-', '-')])]),
            ("[-a]", vec![class(false, &[('-', '-'), ('a', 'a')])]),
            ("[]a]", vec![class(false, &[(']', ']'), ('a', 'a')])]),
            ("[!]]", vec![class(true, &[(']', ']')])]),
            (
                "[a^!]",
                vec![class(false, &[('a', 'a'), ('^', '^'), ('!', '!')])],
            ),
            ("[c-a]", vec![class(false, &[])]),
            ("[", vec![Token::One('[')]),
            ("[]", vec![Token::One('['), Token::One(']')]),
            (
                "[!]",
                vec![Token::One('['), Token::One('!'), Token::One(']')],
            ),
            ("?*é", vec![Token::Any, Token::Text, Token::One('é')]),
        ];
        for (text, tokens) in cases {
            assert_eq!(Pattern::from(text).tokens(), tokens, "{text}");
        }
    }

    #[test]
    fn text_without_a_closed_class_is_no_glob() {
        for text in ["run", "run [a", "a]", "x\0*", ""] {
            assert!(!Pattern::from(text).is_glob(), "{text}");
        }
        for text in ["run*", "r?n", "run [a]", "[!a]"] {
            assert!(Pattern::from(text).is_glob(), "{text}");
        }
    }
}
