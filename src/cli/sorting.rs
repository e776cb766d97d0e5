//! `--sort` of `runs` and `iterations`, which have a row for many arrays: rows are kept and sorted.

use std::cmp::Ordering;

use clap::Args;

use super::render::Record;

/// By which column rows are sorted.
#[derive(Debug, Clone, Args)]
pub(super) struct Sorting {
    /// Sort by this column; names are those of the fields in TSV, such as bytes; what has no value
    /// comes last
    #[arg(long, value_name = "COLUMN", help_heading = "Output")]
    sort: Option<String>,
    /// Sort the highest first
    #[arg(long, requires = "sort", help_heading = "Output")]
    reverse: bool,
}

impl Sorting {
    /// Index of the field to sort by; `None` if rows keep their order.
    ///
    /// # Errors
    /// A sentence that names the columns, if there is no such one.
    pub(super) fn field<R: Record>(&self) -> Result<Option<usize>, String> {
        let Some(sort) = &self.sort else {
            return Ok(None);
        };
        let name = match sort.as_str() {
            "size" => "bytes",
            "last" => "last_iteration",
            "written" => "last_written_at",
            name => name,
        };
        let index = R::FIELDS.iter().position(|field| *field == name);
        let names = R::FIELDS.join(", ");
        index
            .map(Some)
            .ok_or_else(|| format!("there is no column {sort} to sort by; columns are {names}"))
    }

    /// Sorts rows by a field. Rows that are equal in it keep their order.
    pub(super) fn sort<R: Record>(&self, rows: &mut [R], field: usize) {
        rows.sort_by_cached_key(|row| Value::of(&row.fields()[field], self.reverse));
    }
}

/// A field that is compared as a number if it is one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Number(Directed<i128>),
    Text(Directed<String>),
    /// After all others, in either direction.
    Absent,
}

impl Value {
    fn of(text: &str, reverse: bool) -> Self {
        match text.parse() {
            Ok(value) => Self::Number(Directed { value, reverse }),
            Err(_) if text.is_empty() || text == "?" => Self::Absent,
            Err(_) => Self::Text(Directed {
                value: text.to_owned(),
                reverse,
            }),
        }
    }
}

/// A value whose order may be turned round.
#[derive(PartialEq, Eq)]
struct Directed<T> {
    value: T,
    reverse: bool,
}

impl<T: Ord> Ord for Directed<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.value.cmp(&other.value);
        if self.reverse { order.reverse() } else { order }
    }
}

impl<T: Ord> PartialOrd for Directed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
