//! Shortens the cells of a column of names, paths or parameters to a width.
//!
//! A cell is a sequence of pieces: the names between the slashes of a path, and the fields between
//! the brackets of parameters. Pieces at the same place of different cells share a slot. What is
//! the same in all cells goes first: the end of a long name, the container, fields from the last to
//! the first, other names. Then go pieces without which all cells still differ. Runs and iterations
//! go last. What is left is cut within its names, where these are the same. Different cells are
//! shown as the same text only if they have no room to differ.

use std::collections::{BTreeMap, BTreeSet};

use unicode_width::UnicodeWidthStr;

use super::cut::{ELLIPSIS, Lose, cut, fitting};
use super::pieces::{CONTAINER, FEWEST, Form, Piece, Place, Slot, common, head, pieces_of};

/// Something that makes cells shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Of a name only the first word stays.
    Head(usize),
    Omit(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    Head,
    Omitted,
    /// This many columns of it, and where the cells differ.
    Part(usize),
}

/// The different cells of a column, and what is left out of them in which order.
pub(super) struct Shortening {
    cells: Vec<(String, Vec<Piece>)>,
    slots: Vec<Slot>,
    steps: Vec<Step>,
    /// So many of the first steps leave out only what is the same in all cells.
    folding: usize,
    /// So many leave whole what cells differ in, runs and iterations.
    legible: usize,
}

impl Shortening {
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a str>) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        let mut places: BTreeMap<Place, usize> = BTreeMap::new();
        let mut read = Vec::new();
        let cells: BTreeSet<&str> = cells.collect();
        for &cell in &cells {
            let mut pieces = Vec::new();
            for (form, gap, text, place) in pieces_of(cell) {
                let slot = *places.entry(place.clone()).or_insert_with(|| {
                    slots.push(Slot {
                        place,
                        form,
                        values: BTreeSet::new(),
                        is_same: false,
                        common: (0, 0),
                        is_last: false,
                        is_number: true,
                        is_needed: false,
                    });
                    slots.len() - 1
                });
                slots[slot].values.insert(text.to_owned());
                slots[slot].is_number &=
                    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                pieces.push(Piece {
                    form,
                    gap,
                    slot,
                    width: text.width(),
                    head_width: (head(text).width() + 1).min(text.width()),
                    text: text.to_owned(),
                    least: 0,
                    is_alone: false,
                });
            }
            let last = pieces.iter().rfind(|piece| piece.form == Form::Name);
            if let Some(last) = last {
                slots[last.slot].is_last = true;
            }
            if let [alone] = pieces.as_mut_slice() {
                alone.is_alone = true;
            }
            read.push((cell.to_owned(), pieces));
        }
        let mut all = Self {
            cells: read,
            slots,
            steps: Vec::new(),
            folding: 0,
            legible: 0,
        };
        all.compare();
        all.plan();
        all
    }

    /// Finds out what is the same in all cells.
    fn compare(&mut self) {
        for index in 0..self.slots.len() {
            let slot = &self.slots[index];
            let has = |pieces: &[Piece], slot: usize| pieces.iter().any(|piece| piece.slot == slot);
            let could_have = |pieces: &[Piece]| match &slot.place.1 {
                None => true,
                // Fields of other names are others.
                Some((name, ..)) => pieces.iter().any(|piece| {
                    let other = &self.slots[piece.slot];
                    other.place.0 == slot.place.0 && other.form == Form::Name && piece.text == *name
                }),
            };
            let mut could = self.cells.iter().filter(|(_, pieces)| could_have(pieces));
            let is_same = slot.values.len() == 1 && could.all(|(_, pieces)| has(pieces, index));
            let texts: Vec<&str> = slot.values.iter().map(String::as_str).collect();
            let common = match is_same {
                true => (0, 0),
                false => common(&texts),
            };
            let slot = &mut self.slots[index];
            (slot.is_same, slot.common) = (is_same, common);
        }
    }

    /// Whether all cells differ in what they have in these slots.
    fn differ_by(&self, kept: &BTreeSet<usize>) -> bool {
        let mut seen = BTreeSet::new();
        self.cells.iter().all(|(_, pieces)| {
            let kept = pieces.iter().filter(|piece| kept.contains(&piece.slot));
            let kept: Vec<(usize, &str)> = kept
                .map(|piece| (piece.slot, piece.text.as_str()))
                .collect();
            seen.insert(kept)
        })
    }

    /// Decides on the order in which cells get shorter.
    fn plan(&mut self) {
        let slots = &self.slots;
        let mut order: Vec<usize> = (0..slots.len())
            .filter(|&slot| slots[slot].form != Form::Close)
            .collect();
        order.sort_by(|&a, &b| slots[a].rank().cmp(&slots[b].rank()));
        // The least important first.
        let backwards = || order.iter().rev().copied();
        let same = |slot: &usize| slots[*slot].is_same;
        let mut needed: BTreeSet<usize> =
            order.iter().copied().filter(|slot| !same(slot)).collect();
        let mut spare = Vec::new();
        for slot in backwards().filter(|slot| !same(slot)) {
            needed.remove(&slot);
            match self.differ_by(&needed) {
                true => spare.push(slot),
                false => drop(needed.insert(slot)),
            }
        }
        let mut steps = Vec::new();
        let names = || backwards().filter(|&slot| slots[slot].form == Form::Name);
        let has_heads = |slot: &usize| {
            let heads = slots[*slot].values.iter().map(|text| head(text));
            let heads: BTreeSet<&str> = heads.collect();
            heads.len() == slots[*slot].values.len()
        };
        steps.extend(names().filter(same).map(Step::Head));
        let is_container = |slot: &usize| slots[*slot].place == (CONTAINER, None);
        steps.extend(names().filter(same).filter(is_container).map(Step::Omit));
        let fields = || backwards().filter(|&slot| slots[slot].form == Form::Field);
        // Of what does not differ, the first field says most.
        let is_first = |slot: &usize| match &slots[*slot].place.1 {
            Some((name, 0, _)) => {
                let of_name =
                    |other: &&Slot| matches!(&other.place.1, Some((of, ..)) if of == name);
                slots.iter().filter(of_name).all(|other| other.is_same)
            }
            _ => false,
        };
        let dropped = fields().filter(same).filter(|slot| !is_first(slot));
        steps.extend(dropped.map(Step::Omit));
        steps.extend(
            names()
                .filter(|slot| !same(slot))
                .filter(has_heads)
                .map(Step::Head),
        );
        self.folding = steps.len();
        let is_middle = |slot: &usize| {
            let slot = &slots[*slot];
            !slot.is_last && !slot.is_run() && !slot.is_iteration() && slot.place.0 != CONTAINER
        };
        steps.extend(names().filter(same).filter(is_middle).map(Step::Omit));
        // Runs and iterations say what a row is about, also where other pieces tell rows apart.
        let is_late = |slot: &usize| slots[*slot].is_run() || slots[*slot].is_iteration();
        let (late, early): (Vec<usize>, Vec<usize>) = spare.into_iter().partition(is_late);
        steps.extend(early.into_iter().map(Step::Omit));
        self.legible = steps.len();
        let is_rest = |slot: &usize| !is_middle(slot) && !is_container(slot);
        let (last, others): (Vec<usize>, Vec<usize>) = names()
            .filter(same)
            .filter(is_rest)
            .partition(|&slot| slots[slot].is_last);
        steps.extend(last.into_iter().map(Step::Omit));
        steps.extend(fields().filter(same).filter(is_first).map(Step::Omit));
        steps.extend(others.into_iter().chain(late).map(Step::Omit));
        self.steps = steps;
        for slot in needed {
            self.slots[slot].is_needed = true;
        }
        let mut cells = std::mem::take(&mut self.cells);
        for piece in cells.iter_mut().flat_map(|(_, pieces)| pieces) {
            piece.least = self.shown_piece(piece, State::Part(0)).width();
        }
        self.cells = cells;
    }

    /// Columns of the widest cell if only that is left out which is the same in all, and not needed
    /// to say what they are about.
    pub(super) fn folded(&self) -> usize {
        let folded = self.cells.iter().map(|(cell, pieces)| {
            let mut states = vec![State::Whole; pieces.len()];
            for step in &self.steps[..self.folding] {
                self.apply(*step, pieces, &mut states);
            }
            self.width(pieces, &states).min(cell.width())
        });
        folded.max().unwrap_or(0)
    }

    /// Columns of the widest cell that shows whole what cells differ in; 0 if no cell has several
    /// pieces.
    pub(super) fn legible(&self) -> usize {
        let several = self.cells.iter().filter(|(_, pieces)| pieces.len() > 1);
        let widths = several.map(|(cell, pieces)| {
            let mut states = vec![State::Whole; pieces.len()];
            for step in &self.steps[..self.legible] {
                self.apply(*step, pieces, &mut states);
            }
            self.width(pieces, &states).min(cell.width())
        });
        widths.max().unwrap_or(0)
    }

    /// Columns with which all cells differ, at most so many.
    pub(super) fn least(&self, most: usize) -> usize {
        let differ = |width: usize| {
            let shown = self.shown(width);
            let distinct: BTreeSet<&String> = shown.values().collect();
            distinct.len() == shown.len()
        };
        if self.cells.len() < 2 || !differ(most) {
            return 0;
        }
        let (mut least, mut enough) = (1, most);
        while least < enough {
            let middle = (least + enough) / 2;
            match differ(middle) {
                true => enough = middle,
                false => least = middle + 1,
            }
        }
        enough
    }

    /// All different cells, and each as it is shown in at most this width.
    pub(super) fn shown(&self, width: usize) -> BTreeMap<&str, String> {
        let each = |least: usize| {
            let cells = self.cells.iter();
            cells.map(move |(cell, pieces)| (cell.as_str(), self.short(cell, pieces, width, least)))
        };
        let mut best: BTreeMap<&str, String> = each(0).collect();
        let distinct =
            |shown: &BTreeMap<&str, String>| shown.values().collect::<BTreeSet<_>>().len();
        for least in [self.folding, self.steps.len()] {
            if distinct(&best) == self.cells.len() {
                break;
            }
            // Cells that all leave out the same cannot look alike by leaving out different pieces.
            let other = each(least).collect();
            if distinct(&other) > distinct(&best) {
                best = other;
            }
        }
        if best.values().any(|text| text.width() > width) {
            // What is alone in a cell has a beginning and an end that say something.
            let alone = self.cells.iter().filter(|(_, pieces)| pieces.len() == 1);
            let alone: BTreeSet<&str> = alone.map(|(cell, _)| cell.as_str()).collect();
            let loses = [Lose::Start, Lose::Middle, Lose::End];
            let ways =
                [Lose::Start, Lose::End, Lose::Middle].map(|lose| loses.map(|other| (lose, other)));
            let ways = ways.into_iter().flatten().map(|(of_alone, of_others)| {
                let all = best.iter().map(|(cell, text)| match alone.contains(cell) {
                    true if text.width() > width => (*cell, cut(cell, width, of_alone)),
                    _ => (*cell, cut(text, width, of_others)),
                });
                all.collect::<BTreeMap<&str, String>>()
            });
            best = ways.max_by_key(distinct).unwrap_or(best);
        }
        best
    }

    /// A cell that leaves out as little as it can; if it is cut at all, at least so many steps.
    fn short(&self, cell: &str, pieces: &[Piece], width: usize, least: usize) -> String {
        if cell.width() <= width {
            return cell.to_owned();
        }
        let mut states = vec![State::Whole; pieces.len()];
        let mut done: Vec<(usize, State)> = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            if number >= least && self.width(pieces, &states) <= width {
                break;
            }
            done.extend(self.apply(*step, pieces, &mut states));
        }
        if self.width(pieces, &states) > width {
            self.shrink(pieces, &mut states, width);
        }
        // What was left out early may have room, because more was left out later.
        for (index, before) in done.into_iter().rev().filter(|_| least == 0) {
            let now = std::mem::replace(&mut states[index], before);
            let used = |states: &[State]| self.width(pieces, states);
            if used(&states) <= width {
                continue;
            }
            states[index] = now;
            let is_name =
                self.slots[pieces[index].slot].is_last && pieces[index].form == Form::Name;
            let room = width.saturating_sub(used(&states));
            if let Some((name, part)) = self.trimmed(pieces, &states, (index, before), width) {
                (states[index], states[name]) = (before, part);
                continue;
            }
            if is_name && now == State::Omitted && room >= FEWEST {
                states[index] = State::Part(room);
                if used(&states) > width {
                    states[index] = now;
                }
            }
        }
        let text = self.render(pieces, &states);
        debug_assert_eq!(text.width(), self.width(pieces, &states), "{text}");
        text
    }

    /// A field that was left out has room again if the name before it loses a few characters: which
    /// name, and what stays of it.
    fn trimmed(
        &self,
        pieces: &[Piece],
        states: &[State],
        (index, before): (usize, State),
        width: usize,
    ) -> Option<(usize, State)> {
        if pieces[index].form != Form::Field {
            return None;
        }
        let name = pieces[..index]
            .iter()
            .rposition(|piece| piece.form == Form::Name)?;
        let is_free = states[name] == State::Head && !self.slots[pieces[name].slot].is_needed;
        let mut states = states.to_vec();
        states[index] = before;
        let over = self.width(pieces, &states).saturating_sub(width);
        let left = pieces[name].head_width.saturating_sub(over + 1);
        states[name] = State::Part(left);
        let fits = is_free && left > FEWEST && self.width(pieces, &states) <= width;
        fits.then_some((name, State::Part(left)))
    }

    /// Applies a step to a cell, unless nothing would be left; gives the piece and its state
    /// before.
    fn apply(&self, step: Step, pieces: &[Piece], states: &mut [State]) -> Option<(usize, State)> {
        let (slot, state) = match step {
            Step::Head(slot) => (slot, State::Head),
            Step::Omit(slot) => (slot, State::Omitted),
        };
        let index = pieces.iter().position(|piece| piece.slot == slot)?;
        let is_shown = |other: usize| {
            other != index && pieces[other].form != Form::Close && states[other] != State::Omitted
        };
        if state == State::Omitted && !(0..pieces.len()).any(is_shown) {
            return None;
        }
        let before = std::mem::replace(&mut states[index], state);
        Some((index, before))
    }

    /// Cuts what is shown of a cell within its names, at most to what differs, until it fits.
    fn shrink(&self, pieces: &[Piece], states: &mut [State], width: usize) {
        loop {
            let over = self.width(pieces, states).saturating_sub(width);
            if over == 0 {
                return;
            }
            let can = |&index: &usize| {
                let (piece, state) = (&pieces[index], states[index]);
                if piece.form == Form::Close || state == State::Omitted {
                    return None;
                }
                let now = match state {
                    State::Whole => piece.width,
                    State::Head => piece.head_width,
                    State::Part(_) | State::Omitted => self.shown_piece(piece, state).width(),
                };
                let least = piece.least;
                (now > least).then(|| (now - least, now, index))
            };
            let most = (0..pieces.len()).filter_map(|index| can(&index)).max();
            let Some((spare, now, index)) = most else {
                return;
            };
            // Half of it at most, so that long names end up about equal.
            let next = now - over.min(spare.div_ceil(2)).max(1);
            states[index] = State::Part(next.saturating_sub(1).max(1));
            if self.shown_piece(&pieces[index], states[index]).width() >= now {
                states[index] = State::Part(0);
                if self.shown_piece(&pieces[index], states[index]).width() >= now {
                    return;
                }
            }
        }
    }

    /// A piece that is shown.
    fn shown_piece(&self, piece: &Piece, state: State) -> String {
        let text = piece.text.as_str();
        let short = match state {
            State::Whole => return text.to_owned(),
            State::Omitted => return ELLIPSIS.to_string(),
            State::Head => format!("{}{ELLIPSIS}", head(text)),
            State::Part(room) => self.part(piece, room),
        };
        match short.width() < text.width() {
            true => short,
            false => text.to_owned(),
        }
    }

    /// About so many columns of a piece, and all in which the cells differ.
    fn part(&self, piece: &Piece, room: usize) -> String {
        let slot = &self.slots[piece.slot];
        let text = piece.text.as_str();
        let take = |text: &str, room: usize| -> String {
            fitting(room, &mut text.chars()).into_iter().collect()
        };
        if piece.is_alone && !slot.is_needed {
            return cut(text, room + 1, Lose::Middle);
        }
        if !slot.is_needed {
            let shown = take(text, room.max(1));
            return format!("{shown}{ELLIPSIS}");
        }
        let (start, end) = slot.common;
        let count = text.chars().count();
        let at = |number: usize| {
            text.char_indices()
                .nth(number)
                .map_or(text.len(), |(at, _)| at)
        };
        let (prefix, rest) = text.split_at(at(start));
        let (core, suffix) = rest.split_at(at(count - end) - at(start));
        let room = room.saturating_sub(core.width());
        // The end goes first, then the middle of the beginning.
        let room_of_prefix = room.saturating_sub(usize::from(!suffix.is_empty()));
        let prefix = match prefix.width() <= room_of_prefix {
            true => prefix.to_owned(),
            false => {
                let tail = room_of_prefix / 2;
                let head = take(prefix, room_of_prefix - tail);
                let tail: Vec<char> = fitting(tail, &mut prefix.chars().rev());
                let tail: String = tail.into_iter().rev().collect();
                format!("{head}{ELLIPSIS}{tail}")
            }
        };
        let suffix = match suffix.width() <= room.saturating_sub(prefix.width()) {
            true => suffix.to_owned(),
            false => format!(
                "{}{ELLIPSIS}",
                take(suffix, room.saturating_sub(prefix.width() + 1))
            ),
        };
        format!("{prefix}{core}{suffix}")
    }

    /// Columns of a cell as it is rendered.
    fn width(&self, pieces: &[Piece], states: &[State]) -> usize {
        let (mut width, mut is_open, mut is_cut) = (0, false, false);
        for (piece, &state) in pieces.iter().zip(states) {
            let is_omitted = state == State::Omitted;
            match piece.form {
                Form::Name => {
                    is_open = false;
                    let is_after = width == 0 || is_cut && is_omitted;
                    width += if is_after { 0 } else { piece.gap.len() };
                    is_cut = is_cut && is_after;
                }
                Form::Field if is_omitted => {
                    if !is_cut && piece.gap == "(" {
                        width += piece.gap.len();
                        is_open = true;
                    }
                }
                Form::Field => {
                    let is_after = is_cut && piece.gap != "(";
                    width += if is_after { 0 } else { piece.gap.len() };
                    is_cut = is_cut && is_after;
                    is_open = true;
                }
                Form::Close => {
                    if is_open || !is_cut {
                        width += piece.gap.len();
                    }
                    width += piece.width;
                    is_cut = false;
                    continue;
                }
            }
            match state {
                State::Whole => {
                    width += piece.width;
                    is_cut = is_cut && piece.width == 0;
                }
                State::Omitted => {
                    width += usize::from(!is_cut);
                    is_cut = true;
                }
                State::Head if piece.head_width < piece.width => {
                    width += piece.head_width;
                    is_cut = true;
                }
                State::Head | State::Part(_) => {
                    let shown = self.shown_piece(piece, state);
                    let is_double = is_cut && shown.starts_with(ELLIPSIS);
                    width += shown.width() - usize::from(is_double);
                    is_cut = shown.ends_with(ELLIPSIS);
                }
            }
        }
        width
    }

    fn render(&self, pieces: &[Piece], states: &[State]) -> String {
        let mut text = String::new();
        let mut is_open = false;
        for (piece, &state) in pieces.iter().zip(states) {
            let is_omitted = state == State::Omitted;
            match piece.form {
                Form::Name => {
                    is_open = false;
                    let follows = text.ends_with(ELLIPSIS) && is_omitted;
                    if !follows {
                        text.push_str(if text.is_empty() { "" } else { piece.gap });
                    }
                }
                Form::Field if is_omitted => {
                    if !text.ends_with(ELLIPSIS) && piece.gap == "(" {
                        text.push_str(piece.gap);
                        is_open = true;
                    }
                }
                Form::Field => {
                    let is_after = text.ends_with(ELLIPSIS) && piece.gap != "(";
                    text.push_str(if is_after { "" } else { piece.gap });
                    is_open = true;
                }
                Form::Close => {
                    if is_open || !text.ends_with(ELLIPSIS) {
                        text.push_str(piece.gap);
                    }
                    text.push_str(&piece.text);
                    continue;
                }
            }
            let shown = self.shown_piece(piece, state);
            let is_double = shown.starts_with(ELLIPSIS) && text.ends_with(ELLIPSIS);
            text.push_str(if is_double {
                &shown[ELLIPSIS.len_utf8()..]
            } else {
                &shown
            });
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &str = "context=(32, 32, 32))";

    fn shown(cells: &[&str], width: usize) -> Vec<String> {
        let column = Shortening::of(cells.iter().copied());
        let shown = column.shown(width);
        cells.iter().map(|cell| shown[cell].clone()).collect()
    }

    fn folded(cells: &[&str]) -> Vec<String> {
        shown(cells, Shortening::of(cells.iter().copied()).folded())
    }

    #[test]
    fn what_all_cells_have_in_common_is_left_out_first() {
        let three = format!("WatershedPostProcessorParameters(id=3, bias=0.75, {CONTEXT}");
        let other = format!("WatershedPostProcessorParameters(id=31, bias=0.5, {CONTEXT}");
        assert_eq!(
            folded(&[&three, &other, "-"]),
            [
                "Watershed…(id=3, bias=0.75…)",
                "Watershed…(id=31, bias=0.5…)",
                "-"
            ]
        );
        assert_eq!(
            shown(&[&three, &other], 18),
            ["Watershed…(id=3…)", "Watershed…(id=31…)"]
        );
        assert_eq!(
            shown(&[&three, &other], 12),
            ["Wate…(id=3…)", "Wat…(id=31…)"]
        );
        let paths = [
            "mito/validation.zarr/1000/crop1/raw",
            "mito/validation.zarr/1000/crop1/gt",
        ];
        assert_eq!(
            folded(&paths),
            ["mito/…/1000/crop1/raw", "mito/…/1000/crop1/gt"]
        );
        assert_eq!(folded(&["a/x", "a/y"]), ["a/x", "a/y"]);
        assert_eq!(shown(&["same", "same", "-"], 4), ["same", "same", "-"]);
    }

    #[test]
    fn runs_and_iterations_stay_longest() {
        let mut cells = Vec::new();
        for run in ["affs_run", "affs_run2"] {
            for iteration in [1, 2] {
                let at = format!("{run}/validation.zarr/{iteration}/val_a");
                cells.push(format!("{at}/prediction"));
                for id in [3, 31] {
                    cells.push(format!(
                        "{at}/output/WatershedParameters(id={id}, bias=0.5, {CONTEXT}"
                    ));
                }
            }
        }
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let of = |width: usize| shown(&cells, width)[4].clone();
        assert_eq!(
            of(60),
            "affs_run/…/2/val_a/output/WatershedParameters(id=3…)"
        );
        assert_eq!(of(43), "affs_run/…/2/val_a/output/Watershed…(id=3…)");
        assert_eq!(of(30), "affs_run/…/2/…/output/…(id=3…)");
        assert_eq!(of(21), "affs_run/…/2/…(id=3…)");
    }

    #[test]
    fn where_nothing_differs_the_head_and_the_first_fields_stay() {
        let cell = format!("WatershedPostProcessorParameters(id=3, bias=0.75, {CONTEXT}");
        let of = |width| shown(&[&cell], width).concat();
        assert_eq!(of(60), format!("Watershed…(id=3, bias=0.75, {CONTEXT}"));
        assert_eq!(of(30), "Watershed…(id=3, bias=0.75…)");
        assert_eq!(of(16), "Watershe…(id=3…)");
        let path = format!("affs_run/validation.zarr/1/val_a/output/{cell}");
        assert_eq!(
            shown(&[&path], 60),
            ["affs_run/…/1/val_a/output/Watershed…(id=3, bias=0.75…)"]
        );
    }

    #[test]
    fn names_are_cut_where_they_are_the_same() {
        assert_eq!(
            shown(&["threshold_127", "threshold_128"], 8),
            ["th…d_127", "th…d_128"]
        );
        assert_eq!(
            shown(&["long/1/name/raw", "long/2/name/raw"], 9),
            ["long/1/…", "long/2/…"]
        );
        assert_eq!(shown(&["日本語の名前です", "a"], 8), ["日…です", "a"]);
        let numbers = shown(&["mito/1000/raw", "mito/1007/raw"], 9);
        assert!(
            numbers[0].contains("1000") && numbers[1].contains("1007"),
            "{numbers:?}"
        );
        let cells = shown(&["Watershed(id=3, x=1)", "Threshold(id=3, x=1)"], 10);
        assert_ne!(cells[0], cells[1]);
    }

    /// Numbers that are the same in each run of the test.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 % end as u64).unwrap()
        }

        fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
            all[self.below(all.len())]
        }

        fn cell(&mut self) -> String {
            let seed = "experiments/2024/affinities_lr1e-3_seed1";
            let other = "experiments/2024/affinities_lr1e-3_seed2";
            let run = self.of(&[
                "affs_run",
                "affs_run2",
                "rawgt_run",
                seed,
                other,
                "日本語の実験",
            ]);
            let container = self.of(&["validation.zarr", "snapshot.zarr", "v.n5"]);
            let region = [
                "a_very_long_dataset_name_of_region_12",
                "a_very_long_dataset_name_of_region_13",
            ];
            let dataset = self.of(&["val_a", "val_b", "crop7", region[0], region[1]]);
            let long = [
                "WatershedPostProcessorParameters",
                "ThresholdPostProcessorParameters",
            ];
            let name = self.of(&["prediction", "raw", "threshold_127", long[0], long[1]]);
            let mut name = name.to_owned();
            if long.contains(&name.as_str()) {
                let all = [
                    "id=3",
                    "id=31",
                    "bias=0.5",
                    "bias=0.75",
                    "context=(32, 32, 32)",
                    "sigma=1.25",
                ];
                let fields: Vec<&str> = (0..=self.below(4)).map(|_| self.of(&all)).collect();
                name.push_str(&format!("({})", fields.join(", ")));
            }
            let iteration = self.below(3) * 1_000;
            match self.below(8) {
                0 => name,
                1 => format!("{run}/{container}/{iteration}"),
                _ => format!("{run}/{container}/{iteration}/{dataset}/{name}"),
            }
        }
    }

    #[test]
    fn different_cells_are_shown_as_different_texts() {
        let mut numbers = Numbers(42);
        for _ in 0..60 {
            let cells: Vec<String> = (0..=numbers.below(12)).map(|_| numbers.cell()).collect();
            let column = Shortening::of(cells.iter().map(String::as_str));
            for width in [8, 44, 60, 80, 100, 130] {
                let shown = column.shown(width);
                for (cell, pieces) in &column.cells {
                    let states = vec![State::Head; pieces.len()];
                    let text = column.render(pieces, &states);
                    assert_eq!(
                        column.width(pieces, &states),
                        text.width(),
                        "{cell}: {text}"
                    );
                }
                assert!(
                    shown.values().all(|cell| cell.width() <= width),
                    "{width}: {shown:#?}"
                );
                let distinct: BTreeSet<&String> = shown.values().collect();
                assert!(
                    width < 44 || distinct.len() == shown.len(),
                    "{width}: {shown:#?}"
                );
                let has_room =
                    |(cell, text): (&&str, &String)| cell.width() > width || cell == text;
                assert!(shown.iter().all(has_room), "{width}: {shown:#?}");
            }
            let least = column.least(60);
            let shown = column.shown(least);
            let distinct: BTreeSet<&String> = shown.values().collect();
            assert_eq!(distinct.len(), if least == 0 { 1 } else { shown.len() });
        }
    }
}
