//! Tables for a terminal: aligned columns with two spaces between them. Rows are aligned in pages,
//! so that a listing of any length streams. A later page is never narrower than an earlier one.
//!
//! If a page is wider than the terminal, these steps make it fit, until it does: bars are left out;
//! columns without a value on that page are left out; the last column, if it is text, is wrapped
//! over several lines; long names lose their middle. Each page then has its own heading. In a pipe
//! nothing is cut and no bar is drawn.

use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::text::flat;

/// Rows that are aligned together.
const PAGE: usize = 500;

/// Spaces between columns.
const GAP: usize = 2;

/// Text is not cut below this width.
const SHORTEST: usize = 8;

/// The last column is wrapped in place if it has at least this width, else below its row.
const SENTENCE: usize = 30;

/// Indent of a last column that is wrapped below its row.
const INDENT: usize = 4;

/// A column of a table: its heading, and how its cells are aligned.
pub(in crate::cli) struct Column(pub(in crate::cli) &'static str, pub(in crate::cli) Align);

/// How the cells of a column are aligned, and how they may shrink.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Align {
    Left,
    /// Left. On a narrow terminal, cells may lose their middle; the last column is wrapped there.
    Text,
    Right,
    /// Left; shown only on a terminal that is wide enough.
    Bar,
}

pub(super) struct Table {
    columns: &'static [Column],
    colour: bool,
    /// Width of the terminal, if stdout is one.
    limit: Option<usize>,
    rows: Vec<Vec<String>>,
    widths: Vec<usize>,
    any: bool,
}

impl Table {
    pub(super) fn new(columns: &'static [Column], colour: bool, limit: Option<usize>) -> Self {
        Self {
            columns,
            colour,
            limit,
            rows: Vec::new(),
            widths: columns.iter().map(|column| column.0.width()).collect(),
            any: false,
        }
    }

    pub(super) fn push(&mut self, row: Vec<String>, out: &mut impl Write) -> io::Result<()> {
        self.rows.push(row.iter().map(|cell| flat(cell)).collect());
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
        let mut widths = self.widths.clone();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let drawn = |&index: &usize| {
            self.columns[index].1 != Align::Bar || (self.limit.is_some() && widths[index] > 0)
        };
        let all: Vec<usize> = (0..self.columns.len()).filter(drawn).collect();
        let rows = std::mem::take(&mut self.rows);
        let too_wide = self.limit.filter(|&limit| total(&all, &widths) > limit);
        // A page that was made to fit has columns of its own, and needs its own heading.
        let heading = !self.any || too_wide.is_some();
        let (shown, sentence) = match too_wide {
            Some(limit) => self.fit(all, &mut widths, limit, &rows),
            None => {
                // Kept for the next pages, which must not be narrower.
                self.widths.clone_from(&widths);
                (all, None)
            }
        };
        let width = total(&shown, &widths);
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells = cells.zip(&shown).map(|(cell, &index)| {
                let align = self.columns[index].1;
                pad(&cut(cell, widths[index]), widths[index], align)
            });
            cells.collect::<Vec<_>>().join(&" ".repeat(GAP))
        };
        if heading {
            let names = line(&mut shown.iter().map(|&index| self.columns[index].0));
            let name = sentence.as_ref().filter(|sentence| sentence.beside);
            let name = name.map_or("", |sentence| self.columns[sentence.index].0);
            let names = beside(&names, width, name);
            if self.colour {
                writeln!(out, "\x1b[1m{names}\x1b[0m")?;
            } else {
                writeln!(out, "{names}")?;
            }
        }
        for row in &rows {
            let line = line(&mut shown.iter().map(|&index| row[index].as_str()));
            let Some(sentence) = &sentence else {
                // Without the padding of the last column, which a terminal might wrap into an empty
                // line.
                writeln!(out, "{}", line.trim_end())?;
                continue;
            };
            let mut parts = wrap(&row[sentence.index], sentence.room).into_iter();
            if sentence.beside {
                let part = parts.next().unwrap_or_default();
                writeln!(out, "{}", beside(&line, width, &part))?;
                for part in parts {
                    writeln!(out, "{}", beside("", width, &part))?;
                }
            } else {
                writeln!(out, "{}", line.trim_end())?;
                // `-` means no text, which needs no line of its own.
                for part in parts.filter(|part| part != "-") {
                    writeln!(out, "{:INDENT$}{part}", "")?;
                }
            }
        }
        self.any = true;
        Ok(())
    }

    /// Makes a page fit a terminal, if possible: leaves out bars, then columns without values,
    /// wraps the last column, then narrows the widest columns of text. Returns the columns that are
    /// left, and the wrapped column.
    fn fit(
        &self,
        mut shown: Vec<usize>,
        widths: &mut [usize],
        limit: usize,
        rows: &[Vec<String>],
    ) -> (Vec<usize>, Option<Sentence>) {
        // Bars go first: they repeat a number of the same row.
        shown.retain(|&index| self.columns[index].1 != Align::Bar);
        // From the right: the columns that identify a row are on the left, and the first one stays.
        for index in (1..self.columns.len()).rev() {
            let says_nothing = || {
                // In all rows: a single dash beside numbers says something.
                rows.iter()
                    .all(|row| ["-", "0"].contains(&row[index].as_str()))
            };
            if total(&shown, widths) > limit && says_nothing() {
                shown.retain(|&other| other != index);
            }
        }
        let sentence = self.sentence(&mut shown, widths, limit);
        let mut narrow = widths.to_vec();
        while total(&shown, &narrow) > limit {
            let texts = shown.iter().filter(|&&index| {
                // Never narrower than the heading, which must stay readable.
                let least = SHORTEST.max(self.columns[index].0.width());
                self.columns[index].1 == Align::Text && narrow[index] > least
            });
            match texts.max_by_key(|&&index| narrow[index]) {
                // Column by column, so that the wide ones end up about equal.
                Some(&widest) => narrow[widest] -= 1,
                // Too narrow even so: then a terminal that wraps lines is better than cut names.
                None => return (shown, sentence),
            }
        }
        widths.copy_from_slice(&narrow);
        (shown, sentence)
    }

    /// Takes the last column out of a page that is too wide, to wrap it.
    fn sentence(&self, shown: &mut Vec<usize>, widths: &[usize], limit: usize) -> Option<Sentence> {
        let last = self.columns.len().checked_sub(1)?;
        // With no other column, there would be no row to wrap it beside.
        let is_one = shown.len() > 1 && shown.last() == Some(&last);
        if total(shown, widths) <= limit || !is_one || self.columns[last].1 != Align::Text {
            return None;
        }
        shown.pop();
        let left = limit.saturating_sub(total(shown, widths) + GAP);
        let beside = left >= SENTENCE;
        Some(Sentence {
            index: last,
            beside,
            room: if beside {
                left
            } else {
                limit.saturating_sub(INDENT).max(SHORTEST)
            },
        })
    }
}

/// A last column that is wrapped over several lines.
struct Sentence {
    index: usize,
    /// Whether its lines are in its column; else they are below the row.
    beside: bool,
    /// Width of its lines.
    room: usize,
}

/// A line of `width`, followed by a text.
fn beside(line: &str, width: usize, text: &str) -> String {
    let line = line.trim_end();
    let gap = if text.is_empty() {
        0
    } else {
        GAP + width.saturating_sub(line.width())
    };
    format!("{line}{:gap$}{text}", "")
}

/// Text in lines of at most this width; a longer word is not cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Width of a line with these columns.
fn total(shown: &[usize], widths: &[usize]) -> usize {
    let cells: usize = shown.iter().map(|&index| widths[index]).sum();
    cells + GAP * shown.len().saturating_sub(1)
}

/// A cell of its column's width, with spaces before it or after it.
fn pad(cell: &str, width: usize, align: Align) -> String {
    let gap = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Right => gap + cell,
        Align::Left | Align::Text | Align::Bar => cell.to_owned() + &gap,
    }
}

/// Text of at most this width. Longer text loses its middle, because names of runs and parameters
/// differ at their ends.
fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let fitting = |room: usize, characters: &mut dyn Iterator<Item = char>| {
        // In columns of the terminal: a wide character takes two.
        let mut used = 0;
        let mut part = Vec::new();
        for character in characters {
            used += character.width().unwrap_or(0);
            if used > room {
                break;
            }
            part.push(character);
        }
        part
    };
    let room = width.saturating_sub(1);
    // One column is for the ellipsis. The tail gets the odd one, because iterations and parameters
    // are at the end of a path.
    let head = fitting(room / 2, &mut text.chars());
    let tail = fitting(room - room / 2, &mut text.chars().rev());
    head.into_iter()
        .chain(std::iter::once('…'))
        .chain(tail.into_iter().rev())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[
        Column("RUN", Align::Text),
        Column("MISSING", Align::Right),
        Column("SIZE", Align::Right),
    ];

    fn render(rows: &[[&str; 3]], limit: Option<usize>) -> String {
        let mut out = Vec::new();
        let mut table = Table::new(COLUMNS, false, limit);
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
            render(&[["a", "0", "1 B"], ["日本", "0", "1023 B"]], None),
            "RUN   MISSING    SIZE\na           0     1 B\n日本        0  1023 B\n"
        );
        assert_eq!(render(&[], None), "");
    }

    #[test]
    fn later_pages_keep_the_width_of_earlier_ones() {
        let mut rows = vec![["wide name", "0", "1"]; PAGE];
        rows.push(["a", "0", "2"]);
        let text = render(&rows, Some(80));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), PAGE + 2);
        assert_eq!(lines[1].len(), lines[PAGE + 1].len());
    }

    #[test]
    fn a_narrow_terminal_loses_columns_that_say_nothing_first() {
        let rows = [["affinities", "0", "1 B"]];
        assert_eq!(
            render(&rows, Some(16)),
            "RUN         SIZE\naffinities   1 B\n"
        );
        let rows = [["affinities", "7", "1 B"]];
        assert_eq!(
            render(&rows, Some(23)),
            "RUN       MISSING  SIZE\naff…ties        7   1 B\n"
        );
        assert_eq!(
            render(&rows, Some(25)),
            "RUN         MISSING  SIZE\naffinities        7   1 B\n"
        );
        let too_narrow = Some(20);
        assert_eq!(render(&rows, too_narrow), render(&rows, None));
    }

    #[test]
    fn bars_are_for_terminals_and_leave_a_narrow_one_first() {
        const BARS: &[Column] = &[
            Column("MISSING", Align::Right),
            Column("", Align::Bar),
            Column("RUN", Align::Left),
        ];
        let render = |rows: &[[&str; 3]], limit| {
            let mut out = Vec::new();
            let mut table = Table::new(BARS, false, limit);
            for row in rows {
                table
                    .push(row.map(str::to_owned).to_vec(), &mut out)
                    .unwrap();
            }
            table.finish(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let rows = [["0", "####", "a"], ["0", "", "b"]];
        let without = "MISSING  RUN\n      0  a\n      0  b\n";
        assert_eq!(render(&rows, None), without);
        assert_eq!(
            render(&rows, Some(18)),
            "MISSING        RUN\n      0  ####  a\n      0        b\n"
        );
        assert_eq!(render(&rows, Some(17)), without);
        assert_eq!(
            render(&[["0", "", "a"], ["0", "", "b"]], Some(80)),
            without,
            "bars of nothing take no place"
        );
    }

    #[test]
    fn a_sentence_has_lines_of_its_own_where_a_terminal_is_narrow() {
        const REASONS: &[Column] = &[
            Column("RUN", Align::Text),
            Column("SIZE", Align::Right),
            Column("REASONS", Align::Text),
        ];
        let render = |limit| {
            let mut out = Vec::new();
            let mut table = Table::new(REASONS, false, limit);
            let long = "no rule keeps it: 3rd newest of 4 iterations";
            for row in [["affinities", "1 B", long], ["b", "2 B", "-"]] {
                table
                    .push(row.map(str::to_owned).to_vec(), &mut out)
                    .unwrap();
            }
            table.finish(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let whole = "RUN         SIZE  REASONS\n\
            affinities   1 B  no rule keeps it: 3rd newest of 4 iterations\n\
            b            2 B  -\n";
        assert_eq!(render(None), whole);
        assert_eq!(render(Some(62)), whole);
        assert_eq!(
            render(Some(48)),
            "RUN         SIZE  REASONS\n\
            affinities   1 B  no rule keeps it: 3rd newest\n\
            \x20                 of 4 iterations\n\
            b            2 B  -\n"
        );
        assert_eq!(
            render(Some(47)),
            "RUN         SIZE\n\
            affinities   1 B\n\
            \x20   no rule keeps it: 3rd newest of 4\n\
            \x20   iterations\n\
            b            2 B\n"
        );
        assert_eq!(
            render(Some(15)).lines().next(),
            Some("RUN        SIZE"),
            "then names lose their middle"
        );
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        assert_eq!(cut("threshold_127", 13), "threshold_127");
        assert_eq!(cut("threshold_127", 8), "thr…_127");
        assert_eq!(cut("日本語の名前です", 8), "日…です");
    }
}
