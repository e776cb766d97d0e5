//! The columns of a table.

/// A column of a table: its heading, and how its cells are aligned.
#[derive(Clone, Copy)]
pub(in crate::cli) struct Column(pub(in crate::cli) &'static str, pub(in crate::cli) Align);

/// How the cells of a column are aligned, and how they may shrink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Align {
    Left,
    /// Left. On a narrow terminal, what all cells have in common is folded, and then cells are cut.
    Text,
    /// As text; not shown on a page of which no row has a value.
    Rare,
    /// Left, the last column: sentences, which are wrapped on a narrow terminal.
    Prose,
    Right,
    /// Left; shown only on a terminal that is wide enough.
    Bar,
}

/// The columns of a table.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Heads {
    /// Heading and alignment of each.
    pub(in crate::cli) columns: Vec<(String, Align)>,
    /// Headings of the columns that a narrow terminal loses, the least important first.
    pub(in crate::cli) minor: &'static [&'static str],
    /// Whether the user named the columns: they are left out only if none of their cells has
    /// room.
    pub(in crate::cli) chosen: bool,
    /// Headings of the columns that a narrow terminal shows even if all their cells are 0.
    pub(in crate::cli) kept: &'static [&'static str],
}

impl Heads {
    pub(in crate::cli) fn new(columns: &[Column], minor: &'static [&'static str]) -> Self {
        let columns = columns.iter().map(|column| (column.0.to_owned(), column.1));
        Self {
            columns: columns.collect(),
            minor,
            chosen: false,
            kept: &[],
        }
    }

    /// The same, with columns in which a 0 is an answer.
    pub(in crate::cli) fn keeping(self, kept: &'static [&'static str]) -> Self {
        Self { kept, ..self }
    }
}
