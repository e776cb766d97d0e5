//! Patterns in the dialect of SQLite's `GLOB`.
//!
//! SQLite has no escape character, negates a class by `^` alone, and lets an unclosed class match
//! nothing. In a class, `]` is a member only if it comes first, `-` only if it comes last, and `^`
//! only if it does not come first.

use crate::model::pattern::{Pattern, Token};

/// The pattern as SQLite's `GLOB` reads it.
pub(super) fn sqlite_glob(pattern: &Pattern) -> String {
    let mut glob = String::new();
    for token in pattern.tokens() {
        match token {
            Token::Text => glob.push('*'),
            Token::Any => glob.push('?'),
            Token::One('[') => glob.push_str("[[]"),
            Token::One(character) => glob.push(character),
            Token::Class { negated, ranges } => push_class(&mut glob, negated, &ranges),
        }
    }
    glob
}

/// Every character that a name can hold.
const ALL: (char, char) = ('\u{1}', char::MAX);

/// Members that SQLite reads as such at one place of a class only.
const SPECIAL: [char; 3] = [']', '-', '^'];

fn push_class(glob: &mut String, negated: bool, ranges: &[(char, char)]) {
    let holds = |character: char| {
        let within = |(first, last): &(char, char)| (*first..=*last).contains(&character);
        ranges.iter().any(within)
    };
    // A range that begins or ends with a special character could not be written: those are cut out
    // of the ranges, and each is written at its place.
    let mut plain = ranges.to_vec();
    for special in SPECIAL {
        plain = plain
            .into_iter()
            .flat_map(|range| without(range, special))
            .collect();
    }
    // A class without members matches any character if it is negated, otherwise none: `[^…]` of
    // all characters.
    match (plain.is_empty(), SPECIAL.map(holds)) {
        (true, [false, false, false]) if negated => return glob.push('?'),
        (true, [false, false, false]) => return push_class(glob, true, &[ALL]),
        // `[^]` would be unclosed.
        (true, [false, false, true]) if !negated => return glob.push('^'),
        _ => {}
    }
    glob.push('[');
    if negated {
        glob.push('^');
    }
    // The special characters at their places: see the header of the module.
    if holds(']') {
        glob.push(']');
    }
    for (first, last) in plain {
        glob.push(first);
        if first != last {
            glob.push('-');
            glob.push(last);
        }
    }
    if holds('^') {
        glob.push('^');
    }
    if holds('-') {
        glob.push('-');
    }
    glob.push(']');
}

/// What is left of a range without one character.
fn without((first, last): (char, char), character: char) -> impl Iterator<Item = (char, char)> {
    let parts = if (first..=last).contains(&character) {
        let before = char::from_u32(u32::from(character) - 1);
        let after = char::from_u32(u32::from(character) + 1);
        [
            before.map(|before| (first, before)),
            after.map(|after| (after, last)),
        ]
    } else {
        [Some((first, last)), None]
    };
    parts
        .into_iter()
        .flatten()
        .filter(|(first, last)| first <= last)
}
