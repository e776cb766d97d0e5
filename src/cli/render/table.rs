//! Tables for a terminal: aligned columns with two spaces between them. Rows are aligned in pages,
//! so that a listing of any length streams. A later page is never narrower than an earlier one.
//!
//! A page that is wider than the terminal is made to fit (`fit.rs`); it then has its own heading.
//! In a pipe and with `--wide` nothing is cut; in a pipe no bar is drawn.

use std::collections::BTreeSet;
use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

use super::cut::cut_end;
use super::fit::{GAP, Page, fit, total, wrap};
use super::heads::{Align, Heads};
use super::lines::INDENT;
use super::text::flat;

/// Rows that are aligned together.
const PAGE: usize = 500;

/// The place for a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Room {
    /// No terminal: a pipe or a file.
    Pipe,
    /// A terminal of this many columns.
    Columns(usize),
    /// A terminal whose width does not count.
    Wide,
}

pub(super) struct Table {
    heads: Heads,
    colour: bool,
    room: Room,
    rows: Vec<Vec<String>>,
    /// The columns of the last page.
    shown: Vec<usize>,
    widths: Vec<usize>,
    any: bool,
    /// Columns that the user named and that some page had no room for.
    left_out: BTreeSet<usize>,
}

impl Table {
    pub(super) fn new(heads: Heads, colour: bool, room: Room) -> Self {
        let widths = heads.columns.iter().map(|(name, _)| name.width());
        Self {
            widths: widths.collect(),
            heads,
            colour,
            room,
            rows: Vec::new(),
            shown: Vec::new(),
            any: false,
            left_out: BTreeSet::new(),
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

    /// Headings of the columns that the user named and that the terminal had no room for.
    pub(super) fn left_out(&self) -> Vec<&str> {
        let heading = |&index: &usize| self.heads.columns[index].0.as_str();
        self.left_out.iter().map(heading).collect()
    }

    fn page(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut widths = self.widths.clone();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let columns = &self.heads.columns;
        let drawn = |&index: &usize| match columns[index].1 {
            Align::Bar => self.room != Room::Pipe && widths[index] > 0,
            Align::Rare => self.rows.iter().any(|row| row[index] != "-"),
            _ => true,
        };
        let shown: Vec<usize> = (0..columns.len()).filter(drawn).collect();
        let rows = std::mem::take(&mut self.rows);
        let limit = match self.room {
            Room::Columns(limit) if total(&shown, &widths) > limit => Some(limit),
            _ => None,
        };
        // A page that was made to fit has columns of its own, and needs its own heading.
        let heading = !self.any || limit.is_some() || self.shown != shown;
        self.shown.clone_from(&shown);
        let mut page = Page {
            rows,
            shown,
            widths,
            prose: None,
            below: Vec::new(),
        };
        match limit {
            Some(limit) => {
                fit(&mut page, &self.heads, limit);
                if self.heads.chosen {
                    let prose = page.prose.as_ref().map(|prose| prose.index);
                    let is_drawn = |index| page.shown.contains(index) || prose == Some(*index);
                    let left_out = self.shown.iter().filter(|index| !is_drawn(index));
                    self.left_out.extend(left_out);
                }
            }
            // Kept for the next pages, which must not be narrower.
            None => self.widths.clone_from(&page.widths),
        }
        self.any = true;
        self.draw(&page, heading, out)
    }

    fn draw(&self, page: &Page, heading: bool, out: &mut impl Write) -> io::Result<()> {
        let columns = &self.heads.columns;
        let width = total(&page.shown, &page.widths);
        let line = |cells: &dyn Fn(usize) -> String| {
            let cells = page.shown.iter().map(|&index| {
                let cell = cells(index);
                pad(&cell, page.widths[index], columns[index].1)
            });
            cells.collect::<Vec<_>>().join(&" ".repeat(GAP))
        };
        if heading {
            let names = line(&|index| cut_end(&columns[index].0, page.widths[index]));
            let prose = page.prose.as_ref().filter(|prose| prose.beside);
            let name = prose.map_or("", |prose| columns[prose.index].0.as_str());
            let names = beside(&names, width, name);
            if self.colour {
                writeln!(out, "\x1b[1m{names}\x1b[0m")?;
            } else {
                writeln!(out, "{names}")?;
            }
            // A column that the user named is not left out unsaid.
            let below = page.prose.as_ref().filter(|prose| !prose.beside);
            if let Some(prose) = below.filter(|_| self.heads.chosen) {
                let name = cut_end(&columns[prose.index].0, prose.room);
                match self.colour {
                    true => writeln!(out, "{:INDENT$}\x1b[1m{name}\x1b[0m", "")?,
                    false => writeln!(out, "{:INDENT$}{name}", "")?,
                }
            }
        }
        for (number, row) in page.rows.iter().enumerate() {
            let line = line(&|index| row[index].clone());
            let below = page.below.get(number).into_iter().flatten();
            let Some(prose) = &page.prose else {
                // Without the padding of the last column, which a terminal might wrap into an empty
                // line.
                writeln!(out, "{}", line.trim_end())?;
                for part in below {
                    writeln!(out, "{:INDENT$}{part}", "")?;
                }
                continue;
            };
            let mut parts = wrap(&row[prose.index], prose.room).into_iter();
            if prose.beside {
                let part = parts.next().unwrap_or_default();
                writeln!(out, "{}", beside(&line, width, &part))?;
                for part in parts {
                    writeln!(out, "{}", beside("", width, &part))?;
                }
                for part in below {
                    writeln!(out, "{:INDENT$}{part}", "")?;
                }
            } else {
                writeln!(out, "{}", line.trim_end())?;
                for part in below {
                    writeln!(out, "{:INDENT$}{part}", "")?;
                }
                // `-` means no text, which needs no line of its own.
                for part in parts.filter(|part| self.heads.chosen || part != "-") {
                    writeln!(out, "{:INDENT$}{part}", "")?;
                }
            }
        }
        Ok(())
    }
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

/// A cell of its column's width, with spaces before it or after it.
fn pad(cell: &str, width: usize, align: Align) -> String {
    let gap = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Right => gap + cell,
        Align::Left | Align::Text | Align::Rare | Align::Prose | Align::Bar => {
            cell.to_owned() + &gap
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::Column;

    const COLUMNS: &[Column] = &[
        Column("RUN", Align::Text),
        Column("MISSING", Align::Right),
        Column("SIZE", Align::Right),
    ];

    fn render(rows: &[[&str; 3]], limit: Option<usize>) -> String {
        let mut out = Vec::new();
        let room = limit.map_or(Room::Pipe, Room::Columns);
        let mut table = Table::new(Heads::new(COLUMNS, &["MISSING"]), false, room);
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
            render(&rows, Some(25)),
            "RUN         MISSING  SIZE\naffinities        7   1 B\n"
        );
        let unimportant = "RUN         SIZE\naffinities   1 B\n";
        assert_eq!(render(&rows, Some(24)), unimportant);
        assert_eq!(
            render(&rows, Some(15)),
            "RUN        SIZE\naffi…ties   1 B\n"
        );
        for width in 1..40 {
            for line in render(&rows, Some(width)).lines() {
                assert!(line.width() <= width.max(3), "{width}: {line}");
            }
        }
    }

    #[test]
    fn bars_are_for_terminals_and_leave_a_narrow_one_first() {
        const BARS: &[Column] = &[
            Column("MISSING", Align::Right),
            Column("", Align::Bar),
            Column("RUN", Align::Left),
        ];
        let render = |rows: &[[&str; 3]], limit: Option<usize>| {
            let mut out = Vec::new();
            let room = limit.map_or(Room::Pipe, Room::Columns);
            let mut table = Table::new(Heads::new(BARS, &[]), false, room);
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
            Column("REASONS", Align::Prose),
        ];
        let render = |limit: Option<usize>| {
            let mut out = Vec::new();
            let room = limit.map_or(Room::Pipe, Room::Columns);
            let mut table = Table::new(Heads::new(REASONS, &[]), false, room);
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
            \x20   no rule keeps it: 3rd newest of\n\
            \x20   4 iterations\n\
            b            2 B\n"
        );
        assert_eq!(
            render(Some(15)).lines().next(),
            Some("RUN        SIZE"),
            "then names lose their middle"
        );
    }

    #[test]
    fn no_line_of_a_sentence_is_wider_than_the_terminal() {
        const WHAT: &[Column] = &[
            Column("OP", Align::Right),
            Column("WHEN", Align::Left),
            Column("WHAT", Align::Prose),
        ];
        let long = "mito/validation.zarr/1000/watershed_of_38_letters_without_any_mark_0";
        for width in 12..100 {
            let mut out = Vec::new();
            let mut table = Table::new(Heads::new(WHAT, &[]), false, Room::Columns(width));
            let row = ["12", "2026-11-20 08:00", long];
            table
                .push(row.map(str::to_owned).to_vec(), &mut out)
                .unwrap();
            table.finish(&mut out).unwrap();
            let text = String::from_utf8(out).unwrap();
            for line in text.lines() {
                assert!(line.width() <= width, "{width}: {line}");
            }
            let whole = "watershed_of_38_letters_without_any_mark_0";
            assert!(width < 46 || text.contains(whole), "{width}: {text}");
        }
    }

    #[test]
    fn what_tells_rows_apart_is_left_out_last() {
        const KINDS: &[Column] = &[
            Column("RUN", Align::Text),
            Column("KIND", Align::Left),
            Column("DATASET", Align::Text),
            Column("STATE", Align::Left),
        ];
        let render = |kinds: [&str; 2], limit: usize| {
            let mut out = Vec::new();
            let heads = Heads::new(KINDS, &["KIND", "STATE"]);
            let mut table = Table::new(heads, false, Room::Columns(limit));
            for kind in kinds {
                let row = ["affinities", kind, "a/long/name", "present"];
                table
                    .push(row.map(str::to_owned).to_vec(), &mut out)
                    .unwrap();
            }
            table.finish(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            render(["raw", "raw"], 36).lines().next(),
            Some("RUN         DATASET      STATE"),
            "the least important first"
        );
        let heading = |limit| {
            render(["raw", "gt"], limit)
                .lines()
                .next()
                .map(str::to_owned)
        };
        assert_eq!(heading(33).as_deref(), Some("RUN         KIND  DATASET"));
        assert_eq!(heading(24).as_deref(), Some("RUN       KIND  DATASET"));
        for limit in 1..50 {
            for line in render(["raw", "gt"], limit).lines() {
                assert!(line.width() <= limit.max(3), "{limit}: {line}");
            }
        }
    }

    fn paths() -> Vec<String> {
        let name = "output/WatershedPostProcessorParameters(id=3, bias=0.75, context=(32, 32, 32))";
        let mut paths = Vec::new();
        for run in ["affs_run", "affs_run2"] {
            for iteration in ["1", "2"] {
                for array in ["prediction", name] {
                    paths.push(format!("{run}/validation.zarr/{iteration}/val_a/{array}"));
                }
            }
        }
        paths
    }

    fn lines(heads: Heads, rows: &[Vec<String>], limit: usize) -> Vec<String> {
        let mut out = Vec::new();
        let mut table = Table::new(heads, false, Room::Columns(limit));
        for row in rows {
            table.push(row.clone(), &mut out).unwrap();
        }
        table.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.width() <= limit), "{text}");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn paths_show_their_run_and_iteration() {
        const ITEMS: &[Column] = &[
            Column("SIZE", Align::Right),
            Column("FILES", Align::Right),
            Column("ARTIFACTS", Align::Right),
            Column("OTHERS", Align::Right),
            Column("PATH", Align::Text),
        ];
        let row = |path: String| {
            let numbers = ["37.1 KiB", "12", "1", "4 KiB"].map(str::to_owned);
            numbers.into_iter().chain([path]).collect()
        };
        let rows: Vec<Vec<String>> = paths().into_iter().map(row).collect();
        let minor = &["OTHERS", "FILES", "ARTIFACTS"];
        for limit in [60, 80, 100, 130] {
            let lines = lines(Heads::new(ITEMS, minor), &rows, limit);
            assert_eq!(lines.len(), rows.len() + 1, "{lines:#?}");
            for (line, row) in lines[1..].iter().zip(&rows) {
                let mut names = row[4].split('/');
                let start = format!("  {}/", names.next().unwrap());
                let iteration = format!("/{}/", names.nth(1).unwrap());
                assert!(
                    line.contains(&start) && line.contains(&iteration),
                    "{lines:#?}"
                );
            }
        }
    }

    #[test]
    fn beside_sentences_paths_are_not_cut_more_than_they_need() {
        const FOUND: &[Column] = &[
            Column("CLASS", Align::Left),
            Column("PATH", Align::Text),
            Column("DETAIL; NEXT", Align::Prose),
        ];
        let detail = "no data is there; --repair: mark missing ".repeat(3);
        let row = |path: String| vec!["missing".to_owned(), path, detail.clone()];
        let rows: Vec<Vec<String>> = paths().into_iter().map(row).collect();
        for (limit, path) in [(80, 3), (130, 3)] {
            let lines = lines(Heads::new(FOUND, &[]), &rows, limit);
            let shown: Vec<&String> = lines
                .iter()
                .filter(|line| line.starts_with("missing"))
                .collect();
            assert!(
                shown[0].contains("affs_run/validation.zarr/1/val_a/prediction"),
                "{lines:#?}"
            );
            assert!(
                shown[path].contains("/2/val_a/output/Watershed"),
                "{lines:#?}"
            );
            assert!(shown[path].contains("(id=3"), "{lines:#?}");
        }
    }

    #[test]
    fn cells_that_look_alike_are_whole_on_a_second_line() {
        const NAMES: &[Column] = &[
            Column("A", Align::Text),
            Column("B", Align::Text),
            Column("C", Align::Text),
        ];
        let row = |end: &str| {
            let name = format!("{}{end}", "ab".repeat(8));
            vec![name.clone(), format!("1{name}1"), "c".repeat(9)]
        };
        let heads = Heads {
            chosen: true,
            ..Heads::new(NAMES, &[])
        };
        let rows = [
            row("xxxxxxxxxxxxxx1yyyyyyyyyyyyyyyyyyyy"),
            row("xxxxxxxxxxxxxx2yyyyyyyyyyyyyyyyyyyy"),
        ];
        let wide = lines(heads.clone(), &rows, 60);
        assert_eq!(wide.len(), 3, "{wide:#?}");
        let same = |lines: &[String]| lines.iter().collect::<BTreeSet<_>>().len() < lines.len();
        for limit in 14..60 {
            let lines = lines(heads.clone(), &rows, limit);
            assert!(!same(&lines), "{lines:#?}");
        }
    }

    #[test]
    fn a_long_path_is_broken_between_its_names() {
        assert_eq!(
            wrap("of run/validation.zarr/1000/raw and 3 more", 20),
            ["of run/", "validation.zarr/", "1000/raw and 3 more"]
        );
        assert_eq!(wrap("a/b c/d", 4), ["a/b", "c/d"]);
        assert_eq!(
            wrap("of 3 GiB in 2 files", 8),
            ["of 3 GiB", "in", "2 files"]
        );
        assert_eq!(
            wrap("at '/a b/c' here", 9),
            ["at", "'/a b/c'", "here"],
            "a quoted path in one piece"
        );
        assert_eq!(wrap("a threshold_127", 6), ["a", "thresh", "old_12", "7"]);
    }
}
