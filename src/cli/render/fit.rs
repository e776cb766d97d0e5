//! Makes a page of a table fit a terminal.
//!
//! These steps are taken until it fits: bars are left out; columns without a value on the page are
//! left out; what all cells of a column of text have in common is folded (`fold.rs`); the last
//! column, if it is prose, is wrapped over several lines; long cells of text are cut, as far as
//! they stay legible; columns are left out, the least important first, but those that tell rows
//! apart stay as long as cells can be cut further and are legible; else the most important number
//! stays in their place. Columns that the user named are left out last: their cells are cut
//! shorter, and their headings. Different cells that look alike even so are whole on a second line.
//! What is left is always as narrow as the terminal, because a terminal wraps lines in the middle
//! of words.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use unicode_width::UnicodeWidthStr;

use super::cut::{Lose, cut, cut_end};
use super::fold::Shortening;
use super::heads::{Align, Heads};
use super::lines::{INDENT, broken, parts};

/// Spaces between columns.
pub(super) const GAP: usize = 2;

/// Text is not cut below this width while lesser columns can be left out.
const READABLE: usize = 16;

/// So many of the minor columns, the most important ones, stay until text is cut to [`CLOSE`].
const GREATER: usize = 2;

/// Text is not cut below this width while any column can be left out.
const CLOSE: usize = 10;

/// A number stays rather than text, besides the first of a row, that is cut below this width.
const LEGIBLE: usize = 12;

/// Other columns are not left out to show more of a text than this.
const MOST_LEGIBLE: usize = 40;

/// Text is not cut below this width.
const SHORTEST: usize = 8;

/// Text in columns that the user named is not cut below this width.
const LEAST: usize = 5;

/// Words and times in such columns are not cut below this width while text can be cut: a date has
/// it.
const DATE: usize = 11;

/// The last column is wrapped in place if it has at least this width, else below its row.
const SENTENCE: usize = 30;

/// Rows with the columns that are shown of them.
pub(super) struct Page {
    pub(super) rows: Vec<Vec<String>>,
    /// Indexes of the columns, from the left.
    pub(super) shown: Vec<usize>,
    /// Widths of all columns.
    pub(super) widths: Vec<usize>,
    /// The wrapped column, which is not in `shown`.
    pub(super) prose: Option<Prose>,
    /// Lines below each row, if there are any: whole cells that look as other ones do.
    pub(super) below: Vec<Vec<String>>,
}

/// A last column that is wrapped over several lines.
pub(super) struct Prose {
    pub(super) index: usize,
    /// Whether its lines are in its column; else they are below the row.
    pub(super) beside: bool,
    /// Width of its lines.
    pub(super) room: usize,
}

/// Makes a page as narrow as a terminal of `limit` columns.
pub(super) fn fit(page: &mut Page, heads: &Heads, limit: usize) {
    let align = |index: usize| heads.columns[index].1;
    let is_text = |index: usize| matches!(align(index), Align::Text | Align::Rare);
    let heading = |index: usize| heads.columns[index].0.width();
    if !heads.chosen {
        page.leave_out_empty(heads, limit);
    }
    let columns = page.fold(heads, limit);
    wrap_last(page, heads, limit);
    let whole = page.widths.clone();
    // From whole cells again: what was left out meanwhile makes room.
    let narrow = |page: &mut Page, least: usize| {
        page.widths.clone_from(&whole);
        if page.width() <= limit {
            return;
        }
        let floors = columns.iter().map(|(&index, column)| {
            let floor = match least {
                READABLE => column.legible(),
                CLOSE => column.distinct(),
                _ => 0,
            };
            (index, floor.max(least).max(heading(index)))
        });
        let floors: BTreeMap<usize, usize> = floors.collect();
        page.narrow(limit, |index, width| {
            floors.get(&index).is_some_and(|&floor| width > floor)
        });
    };
    let no_news = |page: &Page, index: usize| !page.tells_apart(heads, index);
    let (lesser, greater) = heads
        .minor
        .split_at(heads.minor.len().saturating_sub(GREATER));
    narrow(page, READABLE);
    page.leave_out_minor(heads, lesser, limit, no_news);
    narrow(page, CLOSE);
    let before = page.shown.clone();
    page.leave_out_minor(heads, greater, limit, no_news);
    narrow(page, CLOSE);
    let lost = |index: &&usize| !page.shown.contains(*index) && align(**index) == Align::Right;
    if before.iter().any(|index| lost(&index)) {
        // In its place goes what is hardly legible even without it.
        let texts = page.shown.iter().copied().filter(|&index| is_text(index));
        let is_cut = |index: &usize| page.widths[*index] < LEGIBLE.min(whole[*index]);
        let cut = texts.clone().skip(1).filter(is_cut);
        // That without which most rows still differ.
        let worth = |index: &usize| (page.distinct(heads, Some(*index)), whole[*index]);
        if let Some(cut) = cut.max_by_key(worth) {
            let others = before.into_iter().filter(|&index| index != cut).collect();
            let shown = std::mem::replace(&mut page.shown, others);
            narrow(page, CLOSE);
            if page.width() > limit {
                page.shown = shown;
            }
        }
    }
    narrow(page, SHORTEST);
    page.leave_out_minor(heads, heads.minor, limit, |_, _| true);
    while page.width() > limit {
        if heads.chosen {
            page.narrow_chosen(heads, limit);
        }
        if page.width() <= limit || page.shown.len() == 1 {
            break;
        }
        page.shown.pop();
        narrow(page, SHORTEST);
    }
    page.narrow(limit, |_, width| width > 1);
    for &index in &page.shown {
        match align(index) {
            // The beginning of a word, of a time or of a sentence says most.
            Align::Left | Align::Prose => {
                for row in &mut page.rows {
                    row[index] = cut_end(&row[index], page.widths[index]);
                }
            }
            Align::Text | Align::Rare => {}
            _ => {
                for row in &mut page.rows {
                    row[index] = cut(&row[index], page.widths[index], Lose::Middle);
                }
            }
        }
    }
    page.shorten(&columns, heads, limit);
    if let Some(prose) = &mut page.prose {
        // Columns may have been left out since it was placed.
        if prose.beside {
            prose.room = limit.saturating_sub(total(&page.shown, &page.widths) + GAP);
        }
    }
}

/// A column of text that may be shortened.
struct Column {
    shortening: Shortening,
    /// With this width, all cells differ; counted when it is needed.
    distinct: OnceCell<usize>,
}

impl Column {
    fn distinct(&self) -> usize {
        *self
            .distinct
            .get_or_init(|| self.shortening.least(MOST_LEGIBLE))
    }

    /// With this width, cells show whole what they differ in.
    fn legible(&self) -> usize {
        self.shortening
            .legible()
            .min(MOST_LEGIBLE)
            .max(self.distinct())
    }
}

impl Page {
    /// Leaves out of cells of text what all of a column have in common, as far as the page is too
    /// wide. Gives the columns of text.
    fn fold(&mut self, heads: &Heads, limit: usize) -> BTreeMap<usize, Column> {
        let mut columns = BTreeMap::new();
        if self.width() <= limit {
            return columns;
        }
        let is_text = |&index: &usize| matches!(heads.columns[index].1, Align::Text | Align::Rare);
        let mut texts: Vec<usize> = self.shown.iter().copied().filter(is_text).collect();
        for &index in &texts {
            let shortening = Shortening::of(self.rows.iter().map(|row| row[index].as_str()));
            let distinct = OnceCell::new();
            columns.insert(
                index,
                Column {
                    shortening,
                    distinct,
                },
            );
        }
        texts.sort_by_key(|&index| std::cmp::Reverse(self.widths[index]));
        let whole = self.widths.clone();
        let last = self.shown.last().copied().filter(|_| self.shown.len() > 1);
        let prose = last.filter(|&last| heads.columns[last].1 == Align::Prose);
        // A last column that is wrapped needs so many columns beside the others, or none below
        // them.
        let targets = match prose {
            Some(last) => [self.widths[last], 2 * SENTENCE, SENTENCE]
                .map(|room| room.min(self.widths[last]))
                .to_vec(),
            None => vec![0],
        };
        let all = self.shown.clone();
        self.shown.retain(|&index| prose != Some(index));
        let mut limits: Vec<usize> = match prose {
            Some(_) => targets
                .iter()
                .map(|target| limit.saturating_sub(target + GAP))
                .collect(),
            None => Vec::new(),
        };
        limits.push(limit);
        for limit in limits {
            self.widths.clone_from(&whole);
            for &index in &texts {
                let over = self.width().saturating_sub(limit);
                let folded = columns[&index].shortening.folded();
                let heading = heads.columns[index].0.width();
                let room = self.widths[index].saturating_sub(over);
                self.widths[index] = self.widths[index].min(room.max(folded).max(heading));
            }
            if self.width() <= limit {
                break;
            }
        }
        self.shown = all;
        columns
    }

    /// Shortens the cells of the columns of text to their widths. What one column does not need,
    /// the next one may have.
    fn shorten(&mut self, columns: &BTreeMap<usize, Column>, heads: &Heads, limit: usize) {
        let limit = match &self.prose {
            Some(prose) if prose.beside => limit.saturating_sub(GAP + prose.room),
            _ => limit,
        };
        let texts: Vec<usize> = self
            .shown
            .iter()
            .copied()
            .filter(|index| columns.contains_key(index))
            .collect();
        let needs = |index: usize, width: usize| {
            let shown = columns[&index].shortening.shown(width);
            let widest = shown.values().map(|cell| cell.width()).max();
            widest
                .unwrap_or(0)
                .max(heads.columns[index].0.width())
                .min(width)
        };
        let given = self.widths.clone();
        for &index in &texts {
            self.widths[index] = needs(index, self.widths[index]);
        }
        for &index in &texts {
            let spare = limit.saturating_sub(self.width());
            if spare > 0 {
                self.widths[index] = needs(index, given[index].max(self.widths[index] + spare));
            }
            // It must not take more than there is.
            if self.width() > limit {
                self.widths[index] = needs(index, given[index]);
            }
        }
        self.below = vec![Vec::new(); self.rows.len()];
        for &index in &texts {
            let shown = columns[&index].shortening.shown(self.widths[index]);
            let mut as_shown: BTreeMap<&str, usize> = BTreeMap::new();
            for cell in shown.values() {
                *as_shown.entry(cell).or_default() += 1;
            }
            for (row, below) in self.rows.iter_mut().zip(&mut self.below) {
                let Some(cell) = shown.get(row[index].as_str()) else {
                    continue;
                };
                if as_shown[cell.as_str()] > 1 && limit >= INDENT + SHORTEST {
                    below.extend(wrap(&row[index], limit - INDENT));
                }
                row[index].clone_from(cell);
            }
        }
    }

    fn width(&self) -> usize {
        total(&self.shown, &self.widths)
    }

    /// Leaves out bars, and columns that say nothing, until the page fits.
    fn leave_out_empty(&mut self, heads: &Heads, limit: usize) {
        // Bars go first: they repeat a number of the same row, or are there only if there is room.
        self.shown
            .retain(|&index| heads.columns[index].1 != Align::Bar);
        // From the right: the columns that identify a row are on the left, and the first one stays.
        for index in (1..heads.columns.len()).rev() {
            // In all rows: a single dash beside numbers says something.
            let says_nothing = |row: &Vec<String>| ["-", "0"].contains(&row[index].as_str());
            let is_kept = heads.kept.contains(&heads.columns[index].0.as_str());
            if self.width() > limit && !is_kept && self.rows.iter().all(says_nothing) {
                self.shown.retain(|&other| other != index);
            }
        }
    }

    /// Makes columns that the user named narrower than others may be: cells, and headings. Of
    /// numbers only the heading is cut.
    fn narrow_chosen(&mut self, heads: &Heads, limit: usize) {
        let align = |index: usize| heads.columns[index].1;
        let numbers = self.widths_of_cells();
        for (text, words) in [(SHORTEST, DATE), (LEAST, DATE), (LEAST, SHORTEST)] {
            self.narrow(limit, |index, width| match align(index) {
                Align::Text | Align::Rare => width > text,
                Align::Right => width > numbers[index].max(LEAST),
                Align::Left | Align::Prose | Align::Bar => width > words,
            });
        }
    }

    /// Widths of the columns without their headings.
    fn widths_of_cells(&self) -> Vec<usize> {
        let widest = |index: usize| self.rows.iter().map(|row| row[index].width()).max();
        (0..self.widths.len())
            .map(|index| widest(index).unwrap_or(0))
            .collect()
    }

    /// Leaves out minor columns that may go, the least important first, until the page fits.
    fn leave_out_minor(
        &mut self,
        heads: &Heads,
        minor: &[&str],
        limit: usize,
        may_go: impl Fn(&Self, usize) -> bool,
    ) {
        for name in minor {
            let mut named = self.shown.iter().skip(1);
            let named = named.find(|&&index| heads.columns[index].0 == *name);
            if let Some(&index) = named
                && self.width() > limit
                && may_go(self, index)
            {
                self.shown.retain(|&other| other != index);
            }
        }
    }

    /// Whether rows would look alike without a column. Minor numbers, such as sizes, say nothing of
    /// what a row is about.
    fn tells_apart(&self, heads: &Heads, index: usize) -> bool {
        says_what(heads, index) && self.distinct(heads, Some(index)) < self.distinct(heads, None)
    }

    /// How many rows differ, without a column, in what they are about.
    fn distinct(&self, heads: &Heads, without: Option<usize>) -> usize {
        let shown = |&column: &usize| says_what(heads, column) && Some(column) != without;
        let columns: Vec<usize> = self.shown.iter().copied().filter(shown).collect();
        let cells = |row: &Vec<String>| columns.iter().map(|&at| row[at].clone()).collect();
        let rows: BTreeSet<Vec<String>> = self.rows.iter().map(cells).collect();
        rows.len()
    }

    /// Takes columns of the terminal from the widest of those that may be narrower, until the page
    /// fits or none is left.
    fn narrow(&mut self, limit: usize, may: impl Fn(usize, usize) -> bool) {
        while self.width() > limit {
            let shrinking = self
                .shown
                .iter()
                .filter(|&&index| may(index, self.widths[index]));
            // One by one, so that the wide ones end up about equal.
            match shrinking.max_by_key(|&&index| self.widths[index]) {
                Some(&widest) => self.widths[widest] -= 1,
                None => return,
            }
        }
    }
}

/// Whether a column says what a row is about: no minor number does.
fn says_what(heads: &Heads, column: usize) -> bool {
    let (name, align) = &heads.columns[column];
    *align != Align::Right || !heads.minor.contains(&name.as_str())
}

/// Takes the last column, if it is prose, out of a page that is too wide, to wrap it.
fn wrap_last(page: &mut Page, heads: &Heads, limit: usize) {
    // With no other column, there would be no row to wrap it beside.
    let Some(&last) = page.shown.last().filter(|_| page.shown.len() > 1) else {
        return;
    };
    if page.width() <= limit || heads.columns[last].1 != Align::Prose {
        return;
    }
    // Below its row, a column of dashes would be lines of dashes.
    if heads.chosen && page.widths[last] <= heads.columns[last].0.width() {
        return;
    }
    page.shown.pop();
    let left = limit.saturating_sub(page.width() + GAP);
    let widest = page.rows.iter().map(|row| widest_part(&row[last])).max();
    // Below its row, a long name has room in one piece.
    let beside = left >= SENTENCE && left >= widest.unwrap_or(0).min(limit.saturating_sub(INDENT));
    page.prose = Some(Prose {
        index: last,
        beside,
        room: if beside {
            left
        } else {
            limit.saturating_sub(INDENT).max(SHORTEST)
        },
    });
}

/// Width of a line with these columns.
pub(super) fn total(shown: &[usize], widths: &[usize]) -> usize {
    let cells: usize = shown.iter().map(|&index| widths[index]).sum();
    cells + GAP * shown.len().saturating_sub(1)
}

/// Text in lines of at most this width, broken between words. A word that is longer is broken after
/// a `/` or a `,`, and what is longer still anywhere.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in parts(text).into_iter().filter(|part| !part.is_empty()) {
        let mut gap = " ";
        let pieces: Vec<&str> = match word.width() > width {
            true => broken(word).collect(),
            false => vec![word],
        };
        for mut piece in pieces {
            match lines.last_mut() {
                Some(line) if line.width() + gap.len() + piece.trim_end().width() <= width => {
                    line.push_str(gap);
                    line.push_str(piece);
                }
                _ => {
                    while piece.trim_end().width() > width {
                        let (line, rest) = split_at_width(piece, width);
                        lines.push(line.to_owned());
                        piece = rest;
                    }
                    lines.push(piece.to_owned());
                }
            }
            gap = "";
        }
    }
    lines
        .iter()
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// The part of a text that has room, at least one character, and the rest.
fn split_at_width(text: &str, width: usize) -> (&str, &str) {
    let fits = |end: usize| text[..end].width() <= width;
    let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let first = ends.next().unwrap_or(0);
    let end = ends.take_while(|&end| fits(end)).last().unwrap_or(first);
    text.split_at(end)
}

/// Columns of the widest part of a text that [`wrap`] breaks nowhere if it has room.
fn widest_part(text: &str) -> usize {
    let words = text.split(' ').flat_map(broken);
    words.map(|part| part.trim_end().width()).max().unwrap_or(0)
}
