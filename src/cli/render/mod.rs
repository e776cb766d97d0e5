//! Rows to stdout: tables, TSV, JSON.

mod bar;
mod table;

use std::io::Write;

use serde::Serialize;
use serde::ser::SerializeMap;

use super::context::{Context, Form, escape};
use super::fail::Failure;
use crate::model::clock::Timestamp;
use crate::model::size::{ByteCount, Size, Total};

use table::Table;

pub(super) use bar::Ink;

/// Version of the JSON documents; a field that goes or changes its meaning raises it.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// A column: its name in a table, and whether it holds numbers.
pub(super) struct Column(pub(super) &'static str, pub(super) Align);

/// Where the cells of a column stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// Left, and may lose its middle on a narrow terminal; as the last column, goes on lines of
    /// its own there.
    Text,
    Right,
    /// Left, only on a terminal, and not on a narrow one.
    Bar,
}

/// A row: JSON by its `Serialize`, cells for tables, fields for TSV.
pub(super) trait Record: Serialize {
    /// The key of the rows in a JSON document.
    const NAME: &'static str;
    /// Columns of the table.
    const COLUMNS: &'static [Column];
    /// Names of the TSV fields.
    const FIELDS: &'static [&'static str];

    /// Cells of the table.
    fn cells(&self) -> Vec<String>;

    /// TSV fields, exact.
    fn fields(&self) -> Vec<String>;
}

/// Writes rows as they come.
pub(super) struct Rows<'a> {
    context: &'a mut Context,
    form: Form,
    table: Table,
    written: u64,
    /// The row that is being written, kept for the next.
    line: Vec<u8>,
    json_key: &'static str,
}

impl<'a> Rows<'a> {
    pub(super) fn new<R: Record>(context: &'a mut Context, form: Form) -> Result<Self, Failure> {
        let (colour, width) = (context.colour(), context.width());
        let stdout = &mut context.stdout;
        match form {
            Form::Json => write!(
                stdout,
                "{{\n  \"schema_version\": {SCHEMA_VERSION},\n  \"{}\": [",
                R::NAME
            )?,
            Form::Tsv => writeln!(stdout, "{}", R::FIELDS.join("\t"))?,
            Form::Table | Form::Jsonl => {}
        }
        Ok(Self {
            context,
            form,
            table: Table::new(R::COLUMNS, colour, width),
            written: 0,
            line: Vec::new(),
            json_key: R::NAME,
        })
    }

    pub(super) fn push<R: Record>(&mut self, row: &R) -> Result<(), Failure> {
        debug_assert_eq!(self.json_key, R::NAME);
        let stdout = &mut self.context.stdout;
        match self.form {
            Form::Table => self.table.push(row.cells(), stdout)?,
            Form::Tsv => {
                let fields: Vec<String> = row.fields().iter().map(|field| flat(field)).collect();
                writeln!(stdout, "{}", fields.join("\t"))?;
            }
            Form::Json | Form::Jsonl => {
                // Whole before it is written: what cannot be, leaves no half of a line.
                self.line.clear();
                serde_json::to_writer(&mut self.line, row).map_err(not_json)?;
                if self.form == Form::Json {
                    let comma = if self.written == 0 { "" } else { "," };
                    write!(stdout, "{comma}\n    ")?;
                    stdout.write_all(&self.line)?;
                } else {
                    self.line.push(b'\n');
                    stdout.write_all(&self.line)?;
                }
            }
        }
        self.written += 1;
        Ok(())
    }

    /// Ends the rows. `nothing` is said on stderr where a table has none.
    pub(super) fn finish(mut self, nothing: &str) -> Result<u64, Failure> {
        let stdout = &mut self.context.stdout;
        match self.form {
            Form::Table => self.table.finish(stdout)?,
            Form::Json if self.written == 0 => writeln!(stdout, "]\n}}")?,
            Form::Json => writeln!(stdout, "\n  ]\n}}")?,
            Form::Tsv | Form::Jsonl => {}
        }
        self.context.flush()?;
        if self.form == Form::Table && self.written == 0 {
            self.context.say(nothing);
        }
        Ok(self.written)
    }
}

/// One value as a JSON document of its own, with the schema version.
pub(super) fn document<T: Serialize>(
    context: &mut Context,
    key: &str,
    value: &T,
) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&Document { key, value }).map_err(not_json)?;
    context.line(&text)
}

/// A document whose key is known only when it is written; fields keep their order.
struct Document<'a, T> {
    key: &'a str,
    value: &'a T,
}

impl<T: Serialize> Serialize for Document<'_, T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("schema_version", &SCHEMA_VERSION)?;
        map.serialize_entry(self.key, self.value)?;
        map.end()
    }
}

/// One value as one line of JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(not_json)
}

fn not_json(error: serde_json::Error) -> Failure {
    Failure::Other(format!("the result cannot be written as JSON: {error}"))
}

/// A TSV field: no tab, no end of line.
fn flat(text: &str) -> String {
    escape(text).replace('\n', "\\n")
}

/// What is absent, in a table.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

/// What is absent, in TSV.
pub(super) fn or_empty(value: Option<impl ToString>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

/// A time for a table: to the minute, in UTC.
pub(super) fn short_time(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..16)
        .map_or(text.clone(), |text| text.replace('T', " "))
}

/// Bytes and files of one artifact for a table; `?` where nobody counted.
pub(super) fn size_cells(size: Option<Size>) -> [String; 2] {
    match size {
        Some(size) => [size.bytes.to_string(), size.files.to_string()],
        None => ["?".to_owned(), "?".to_owned()],
    }
}

/// Bytes and files of one artifact for TSV; `?` where nobody counted.
pub(super) fn size_fields(size: Option<Size>) -> [String; 2] {
    match size {
        Some(size) => [size.bytes.0.to_string(), size.files.to_string()],
        None => ["?".to_owned(), "?".to_owned()],
    }
}

/// Bytes and files of several artifacts for a table: `?` where nobody counted any, `+?` behind
/// what was counted where nobody counted the rest.
pub(super) fn total_cells(total: &Total) -> [String; 2] {
    match (total.uncounted, total.is_known()) {
        (0, _) => [total.bytes.to_string(), total.files.to_string()],
        (_, false) => ["?".to_owned(), "?".to_owned()],
        (_, true) => [format!("{} +?", total.bytes), format!("{} +?", total.files)],
    }
}

/// Bytes, files and the number of uncounted artifacts for TSV; `?` where nobody counted any.
pub(super) fn total_fields(total: &Total) -> [String; 3] {
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

/// A number of things.
pub(super) fn count(number: impl TryInto<u64>, thing: &str) -> String {
    match number.try_into() {
        Ok(1) => format!("1 {thing}"),
        Ok(number) => format!("{number} {thing}s"),
        Err(_) => format!("many {thing}s"),
    }
}

/// Bytes and files in a sentence.
pub(super) fn size_text(bytes: ByteCount, files: u64) -> String {
    format!("{bytes} in {}", count(files, "file"))
}

/// Bytes and files of several artifacts in a sentence.
pub(super) fn total_text(total: &Total) -> String {
    let text = size_text(total.bytes, total.files);
    match (total.uncounted, total.is_known()) {
        (0, _) => text,
        (_, false) => "? (not counted)".to_owned(),
        (uncounted, true) => format!("{text}, and {} not counted", count(uncounted, "array")),
    }
}
