//! The pieces of a cell: the names between the slashes of a path, and the fields between the
//! brackets of parameters.

use std::collections::BTreeSet;

use unicode_width::UnicodeWidthStr;

/// The longest first word of a name that is shown alone.
const LONGEST: usize = 12;

/// A part of a name is not shown with fewer columns.
pub(super) const FEWEST: usize = 3;

/// What a piece of a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// A name in a path.
    Name,
    /// A part of what is in brackets, or of a list.
    Field,
    /// What is behind the brackets.
    Close,
}

/// The place of a piece: of a name its number, counted from 0 again behind a container; of a field also
/// the name that it follows, and its own.
pub(super) type Place = (usize, Option<(String, usize, String)>);

/// Number of the name of a container among the names of a path.
pub(super) const CONTAINER: usize = 1_000;

/// The first word of a long name such as `WatershedPostProcessorParameters`.
pub(super) fn head(text: &str) -> &str {
    if text.width() <= LONGEST {
        return text;
    }
    let mut humps = 0;
    let mut end = 0;
    for (number, (at, character)) in text.char_indices().enumerate() {
        humps += usize::from(character.is_uppercase());
        if !character.is_alphanumeric() || humps > 1 || number == LONGEST {
            break;
        }
        end = at + character.len_utf8();
    }
    // A short beginning of names in lower case, such as `run_`, says nothing.
    match text.starts_with(char::is_uppercase) && end >= FEWEST {
        true => &text[..end],
        false => text,
    }
}

/// Characters that different texts begin and end with; together no more than the shortest has.
pub(super) fn common(texts: &[&str]) -> (usize, usize) {
    let Some((first, others)) = texts.split_first().filter(|(_, others)| !others.is_empty()) else {
        return (0, 0);
    };
    let equal =
        |pairs: &mut dyn Iterator<Item = (char, char)>| pairs.take_while(|(a, b)| a == b).count();
    let starts = others
        .iter()
        .map(|text| equal(&mut first.chars().zip(text.chars())));
    let ends = others
        .iter()
        .map(|text| equal(&mut first.chars().rev().zip(text.chars().rev())));
    let shortest = texts
        .iter()
        .map(|text| text.chars().count())
        .min()
        .unwrap_or(0);
    let start = starts.min().unwrap_or(0);
    // Digits are read as a whole.
    let is_digit = |at: usize| first.chars().nth(at).is_some_and(|c| c.is_ascii_digit());
    let mut start = start;
    while start > 0 && is_digit(start - 1) {
        start -= 1;
    }
    (start, ends.min().unwrap_or(0).min(shortest - start))
}

/// The pieces of a cell: what each is, what is before it, its text and its place.
pub(super) fn pieces_of(cell: &str) -> Vec<(Form, &'static str, &str, Place)> {
    let is_container = |name: &str| name.ends_with(".zarr") || name.ends_with(".n5");
    let mut pieces: Vec<(Form, &'static str, &str, Place)> = Vec::new();
    let mut names = 0;
    let mut fields = 0;
    let mut depth = 0_usize;
    let (mut form, mut gap, mut start) = (Form::Name, "", 0);
    let mut name = String::new();
    let mut push = |form: Form, gap: &'static str, text| match form {
        Form::Name => {
            if is_container(text) {
                names = names.max(CONTAINER);
            }
            fields = 0;
            name = text.to_owned();
            pieces.push((form, gap, text, (names, None)));
            names += 1;
        }
        _ => {
            let key = text.split_once('=').map_or("", |(key, _)| key).to_owned();
            let place = (names - 1, Some((name.clone(), fields, key)));
            pieces.push((form, gap, text, place));
            fields += 1;
        }
    };
    let mut characters = cell.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let rest = &cell[at + character.len_utf8()..];
        let next = match character {
            // A slash at the end is a part of the name.
            '/' if depth == 0 && !rest.is_empty() => Some((Form::Name, "/")),
            '(' if depth == 0 && form == Form::Name => Some((Form::Field, "(")),
            ',' if depth <= 1 && form != Form::Close && rest.starts_with(' ') => {
                Some((Form::Field, ", "))
            }
            ',' if depth <= 1 && form != Form::Close => Some((Form::Field, ",")),
            ')' if depth == 1 => Some((Form::Close, ")")),
            _ => None,
        };
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if let Some((next, after)) = next {
            push(form, gap, &cell[start..at]);
            (form, gap, start) = (next, after, at + after.len());
            if after == ", " {
                characters.next();
            }
        }
    }
    push(form, gap, &cell[start..]);
    pieces
}

/// A part of a cell.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) form: Form,
    /// What is between the piece before and this one.
    pub(super) gap: &'static str,
    pub(super) text: String,
    pub(super) slot: usize,
    /// Columns of the text, and of its first word with the sign for the rest.
    pub(super) width: usize,
    pub(super) head_width: usize,
    /// Columns of its shortest form.
    pub(super) least: usize,
    /// Whether it is all of its cell: then its middle goes.
    pub(super) is_alone: bool,
}

/// The pieces at one place of all cells.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) place: Place,
    pub(super) form: Form,
    pub(super) values: BTreeSet<String>,
    /// Whether all cells that could have it have the same.
    pub(super) is_same: bool,
    /// Characters that all values begin and end with, of values that differ.
    pub(super) common: (usize, usize),
    pub(super) is_last: bool,
    pub(super) is_number: bool,
    /// Whether cells differ only by it.
    pub(super) is_needed: bool,
}

impl Slot {
    pub(super) fn is_run(&self) -> bool {
        self.form == Form::Name && self.place.0 < CONTAINER && !(self.is_last && self.place.0 > 0)
    }

    pub(super) fn is_iteration(&self) -> bool {
        self.form == Form::Name && self.place.0 > CONTAINER && self.is_number
    }

    /// Runs, then iterations, then other names, then fields, each from the first.
    pub(super) fn rank(&self) -> (u8, usize, usize) {
        let class = match self.form {
            Form::Name if self.is_run() => 0,
            Form::Name if self.is_iteration() => 1,
            // The dataset, and what an array is, before other names.
            Form::Name if self.place.0 == CONTAINER + 2 => 2,
            Form::Name if self.is_last => 3,
            Form::Name => 4,
            Form::Field | Form::Close => 5,
        };
        let field = self.place.1.as_ref().map_or(0, |(_, number, _)| *number);
        (class, self.place.0, field)
    }
}
