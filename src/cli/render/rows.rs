//! Rows on stdout as a table, TSV or JSON.

use std::io::Write;

use serde::Serialize;

use super::heads::{Column, Heads};
use super::json::{SCHEMA_VERSION, not_json};
use super::table::Table;
use super::text::flat;
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Format;
use crate::cli::progress::Bar;

/// A row: `Serialize` for JSON, cells for tables, fields for TSV.
pub(in crate::cli) trait Record: Serialize {
    /// The key of the rows in a JSON document.
    const NAME: &'static str;
    /// Columns of the table.
    const COLUMNS: &'static [Column];
    /// Headings of the columns that a narrow terminal loses, the least important first.
    const MINOR: &'static [&'static str] = &[];
    /// Names of the TSV fields.
    const FIELDS: &'static [&'static str];

    /// Cells of the table.
    fn cells(&self) -> Vec<String>;

    /// TSV fields: exact values, not rounded for people.
    fn fields(&self) -> Vec<String>;
}

/// Writes rows as they arrive; only a page of a table is kept in memory.
pub(in crate::cli) struct Rows<'a> {
    context: &'a mut Context,
    /// Shown until the first row is there.
    waiting: Option<Bar>,
    format: Format,
    table: Table,
    written: u64,
    /// The JSON of one row; kept to reuse its memory.
    line: Vec<u8>,
    json_key: &'static str,
}

impl<'a> Rows<'a> {
    pub(in crate::cli) fn new<R: Record>(
        context: &'a mut Context,
        format: Format,
    ) -> Result<Self, Failure> {
        let heads = Heads::new(R::COLUMNS, R::MINOR);
        Self::with(context, format, R::NAME, heads, R::FIELDS)
    }

    /// Rows with chosen columns; JSON has every field in any case.
    pub(in crate::cli) fn with<F: AsRef<str>>(
        context: &'a mut Context,
        format: Format,
        name: &'static str,
        heads: Heads,
        fields: &[F],
    ) -> Result<Self, Failure> {
        let (colour, room) = (context.colour(), context.room());
        let stdout = &mut context.stdout;
        // The beginning goes out before the first row is known, so that rows stream.
        match format {
            Format::Json => {
                write!(stdout, "{{\n  \"schema_version\": {SCHEMA_VERSION},\n")?;
                if let Some(published) = context.published.get() {
                    let published = serde_json::to_string(published).map_err(not_json)?;
                    writeln!(stdout, "  \"published\": {published},")?;
                }
                if let Some(noted) = context.noted.get() {
                    let noted = serde_json::to_string(noted).map_err(not_json)?;
                    writeln!(stdout, "  \"noted\": {noted},")?;
                }
                if let Some(looked) = context.looked.get() {
                    let [gone, as_of] = [
                        serde_json::to_string(&looked.gone).map_err(not_json)?,
                        serde_json::to_string(&looked.as_of).map_err(not_json)?,
                    ];
                    write!(stdout, "  \"gone\": {gone},\n  \"as_of\": {as_of},\n")?;
                }
                write!(stdout, "  \"{name}\": [")?;
            }
            Format::Tsv => {
                let fields: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
                writeln!(stdout, "{}", fields.join("\t"))?;
            }
            Format::Table | Format::Jsonl => {}
        }
        Ok(Self {
            waiting: Some(context.bar("reading the catalog")),
            context,
            format,
            table: Table::new(heads, colour, room),
            written: 0,
            line: Vec::new(),
            json_key: name,
        })
    }

    pub(in crate::cli) fn push<R: Record>(&mut self, row: &R) -> Result<(), Failure> {
        // The key of the document was written from R in `new`.
        debug_assert_eq!(self.json_key, R::NAME);
        self.write(row, || row.cells(), || row.fields())
    }

    /// Writes a row whose cells and fields are those of chosen columns.
    pub(in crate::cli) fn write(
        &mut self,
        row: &impl Serialize,
        cells: impl FnOnce() -> Vec<String>,
        fields: impl FnOnce() -> Vec<String>,
    ) -> Result<(), Failure> {
        self.waiting = None;
        let stdout = &mut self.context.stdout;
        match self.format {
            Format::Table => self.table.push(cells(), stdout)?,
            Format::Tsv => {
                let fields: Vec<String> = fields().iter().map(|field| flat(field)).collect();
                writeln!(stdout, "{}", fields.join("\t"))?;
            }
            Format::Json | Format::Jsonl => {
                // Serialized before it is written, so that an error leaves no half of a line.
                self.line.clear();
                serde_json::to_writer(&mut self.line, row).map_err(not_json)?;
                if self.format == Format::Json {
                    // The comma goes before a row, because the last row is not known as such.
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

    /// Ends the rows. Prints `nothing` on stderr if a table has no rows. Returns the number of
    /// rows.
    pub(in crate::cli) fn finish(mut self, nothing: &str) -> Result<u64, Failure> {
        drop(self.waiting.take());
        let stdout = &mut self.context.stdout;
        match self.format {
            Format::Table => self.table.finish(stdout)?,
            Format::Json if self.written == 0 => writeln!(stdout, "]\n}}")?,
            Format::Json => writeln!(stdout, "\n  ]\n}}")?,
            Format::Tsv | Format::Jsonl => {}
        }
        self.context.flush()?;
        let left_out = self.table.left_out().join(", ");
        if !left_out.is_empty() {
            self.context.say(&format!(
                "the terminal has no room for {left_out}; show all columns with: --wide"
            ));
        }
        if self.format == Format::Table && self.written == 0 {
            self.context.say(nothing);
        }
        Ok(self.written)
    }
}
