//! Tables for a terminal: aligned, two spaces between columns, in pages, so that a listing of any
//! length streams. A later page is never narrower than an earlier one.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width};

use super::{Align, Column};

/// Rows that are aligned together.
const PAGE: usize = 500;

pub(super) struct Table {
    columns: &'static [Column],
    colour: bool,
    rows: Vec<Vec<String>>,
    widths: Vec<u16>,
    any: bool,
}

impl Table {
    pub(super) fn new(columns: &'static [Column], colour: bool) -> Self {
        Self {
            columns,
            colour,
            rows: Vec::new(),
            widths: vec![0; columns.len()],
            any: false,
        }
    }

    pub(super) fn push(&mut self, row: Vec<String>, out: &mut impl Write) -> io::Result<()> {
        self.rows
            .push(row.iter().map(|cell| super::flat(cell)).collect());
        if self.rows.len() >= PAGE {
            self.page(out)?;
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.page(out)
    }

    fn page(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        let heading = !self.any;
        if heading {
            table.add_row(self.columns.iter().map(|column| column.0));
        }
        table.add_rows(self.rows.drain(..));
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(layout) = table.column_mut(index) {
                layout.set_padding((0, 2));
                layout.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(
                    self.widths[index],
                )));
                if column.1 == Align::Right {
                    layout.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        self.widths = table
            .column_max_content_widths()
            .iter()
            .map(|width| width + 2)
            .zip(&self.widths)
            .map(|(new, &old)| new.max(old))
            .collect();
        for (index, line) in table.lines().enumerate() {
            let line = line.trim_end();
            if heading && index == 0 && self.colour {
                writeln!(out, "\x1b[1m{line}\x1b[0m")?;
            } else {
                writeln!(out, "{line}")?;
            }
        }
        self.any = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[Column("RUN", Align::Left), Column("SIZE", Align::Right)];

    fn render(rows: &[[&str; 2]]) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(COLUMNS, false);
        for row in rows {
            table
                .push(row.map(str::to_owned).to_vec(), &mut out)
                .unwrap();
        }
        table.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        assert_eq!(
            render(&[["a", "1 B"], ["日本", "1023 B"]]),
            "RUN     SIZE\na        1 B\n日本  1023 B\n"
        );
        assert_eq!(render(&[]), "");
    }

    #[test]
    fn later_pages_keep_the_width_of_earlier_ones() {
        let mut rows = vec![["wide name", "1"]; PAGE];
        rows.push(["a", "2"]);
        let text = render(&rows);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), PAGE + 2);
        assert_eq!(lines[1].len(), lines[PAGE + 1].len());
    }
}
