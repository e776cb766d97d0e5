//! Shortens the cells of a column such that what differs between them stays.

use std::collections::{BTreeMap, BTreeSet};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The longest part of a common beginning or end that stays readable.
const LONGEST: usize = 12;

/// The sign for what was left out.
const ELLIPSIS: char = '…';

/// Folds what cells that begin with the same word have in common at their beginning and end: of
/// `WatershedParameters(id=3, size=10)` and `WatershedParameters(id=4, size=10)` it leaves
/// `Watershed…(id=3…)` and `Watershed…(id=4…)`. Of a common beginning as many words stay as a cell of
/// this width has room for. Cells that have room stay whole.
pub(super) fn fold_column(rows: &mut [Vec<String>], index: usize, width: usize) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for family in families(rows, index) {
        let cells: Vec<&str> = family
            .iter()
            .map(|&row| rows[row][index].as_str())
            .collect();
        let folds = Folds::of(&cells.iter().copied().collect());
        let folded = folds.map(|folds| folds.all(&cells, width));
        // Another family may begin with other words and fold to the same.
        let folded = folded.filter(|folded| folded.iter().all(|cell| !taken.contains(cell)));
        let folded = folded.unwrap_or_else(|| cells.iter().map(|&cell| cell.to_owned()).collect());
        for (row, cell) in family.into_iter().zip(folded) {
            taken.insert(cell.clone());
            rows[row][index] = cell;
        }
    }
}

/// Indexes of the rows whose cells begin with the same word.
fn families(rows: &[Vec<String>], index: usize) -> Vec<Vec<usize>> {
    let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let cell = row[index].as_str();
        let end = cell.find(|c: char| !c.is_alphanumeric());
        let word = &cell[..end.unwrap_or(cell.len())];
        families.entry(word).or_default().push(number);
    }
    families.into_values().collect()
}

/// What a family of cells has in common, and what is shown in its place.
struct Folds {
    prefix: String,
    suffix: String,
}

impl Folds {
    /// None if nothing differs.
    fn of(values: &BTreeSet<&str>) -> Option<Self> {
        let (first, last) = values.first().zip(values.last())?;
        if first == last {
            return None;
        }
        // What the first and the last in their order begin with, all between them begin with.
        let start = common(first.chars(), last.chars());
        let start = whole_words(values, start, str::chars);
        let ends = values
            .iter()
            .map(|value| common(first.chars().rev(), value.chars().rev()));
        // The end must not reach into the beginning, even of the shortest.
        let rest = values.iter().map(|value| value.chars().count() - start);
        let end = ends.chain(rest).min().unwrap_or(0);
        let end = whole_words(values, end, |value| value.chars().rev());
        let length = first.chars().count();
        Some(Self {
            prefix: first.chars().take(start).collect(),
            suffix: first.chars().skip(length - end).collect(),
        })
    }

    fn middle<'a>(&self, cell: &'a str) -> &'a str {
        &cell[self.prefix.len()..cell.len() - self.suffix.len()]
    }

    /// What differs alone, and signs for what is common.
    fn bare(&self, cell: &str) -> String {
        let sign = |part: &str| if part.is_empty() { "" } else { "…" };
        let middle = self.middle(cell);
        merged(&format!(
            "{}{middle}{}",
            sign(&self.prefix),
            sign(&self.suffix)
        ))
    }

    /// All cells folded, none wider than this if that can be.
    fn all(&self, cells: &[&str], width: usize) -> Vec<String> {
        let widest = cells.iter().map(|cell| self.middle(cell).width()).max();
        let room = width.saturating_sub(widest.unwrap_or(0));
        let short = (fold_prefix(&self.prefix, 0), fold_suffix(&self.suffix));
        let prefixes = word_ends(&self.prefix).into_iter();
        let prefixes = prefixes.map(|end| fold_prefix(&self.prefix, end));
        let longer = prefixes.chain([short.0.clone()]).flat_map(|prefix| {
            let suffixes = [short.1.clone(), self.suffix.clone()];
            suffixes.map(|suffix| (prefix.clone(), suffix))
        });
        // What has room is not left out.
        let wide = |(prefix, suffix): &(String, String)| prefix.width() + suffix.width();
        let fitting = longer.filter(|ends| wide(ends) <= room).max_by_key(wide);
        let (prefix, suffix) = fitting.unwrap_or(short);
        let fold = |cell: &&str| match cell.width() <= width {
            true => (*cell).to_owned(),
            false => format!("{prefix}{}{suffix}", self.middle(cell)),
        };
        cells.iter().map(fold).collect()
    }
}

/// Where the words of a text end that are more than its first one.
fn word_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut before = None;
    for (at, character) in text.char_indices() {
        if before.is_some_and(of_word) && !of_word(character) {
            ends.push(at);
        }
        before = Some(character);
    }
    ends
}

/// Number of characters that both begin with.
fn common(a: impl Iterator<Item = char>, b: impl Iterator<Item = char>) -> usize {
    a.zip(b).take_while(|(a, b)| a == b).count()
}

/// Characters of names and numbers, which are not folded in part.
fn of_word(character: char) -> bool {
    character.is_alphanumeric() || "._-+".contains(character)
}

/// Length of a common beginning without the word that differs; of a common end if the characters
/// come from the end.
fn whole_words<'a, C: Iterator<Item = char>>(
    values: &BTreeSet<&'a str>,
    mut length: usize,
    characters: impl Fn(&'a str) -> C,
) -> usize {
    let is_inside = |length: usize| {
        values.iter().any(|value| {
            let mut around = characters(value).skip(length - 1);
            around.next().is_some_and(of_word) && around.next().is_none_or(of_word)
        })
    };
    while length > 0 && is_inside(length) {
        length -= 1;
    }
    length
}

/// The first word of a common beginning, or more of it up to this byte, and what directly precedes
/// the part that differs.
fn fold_prefix(prefix: &str, least: usize) -> String {
    let mut humps = 0;
    let head: String = prefix
        .chars()
        .take_while(|&character| {
            // The first word of a name such as `WatershedParameters`.
            humps += usize::from(character.is_uppercase());
            character.is_alphanumeric() && humps < 2
        })
        .take(LONGEST)
        .collect();
    let head = match least > head.len() {
        true => &prefix[..least],
        false => &head,
    };
    // From the last mark but those at the very end: `(id=` or `/crop1/`.
    let inner = prefix.trim_end_matches(|c: char| !of_word(c));
    let mark = inner.rfind(|c: char| "(,;:/[{ ".contains(c));
    let tail = mark.map_or(&prefix[inner.len()..], |mark| &prefix[mark..]);
    let tail = if tail.chars().count() > LONGEST {
        &prefix[inner.len()..]
    } else {
        tail
    };
    shorter(prefix, format!("{head}{ELLIPSIS}{}", tail.trim_start()))
}

/// The brackets that close a common end.
fn fold_suffix(suffix: &str) -> String {
    let inner = suffix.trim_end_matches([')', ']', '}']);
    // One bracket: the ones before it close what was left out.
    let last = suffix[inner.len()..].chars().next_back();
    let closing: String = last.into_iter().collect();
    shorter(suffix, format!("{ELLIPSIS}{closing}"))
}

/// The folded text, if it is shorter.
fn shorter(text: &str, folded: String) -> String {
    if folded.width() < text.width() {
        folded
    } else {
        text.to_owned()
    }
}

/// Cuts the cells of a column to a width. Of their end, middle and beginning, and of all that they
/// have in common, that is left out without which most of them differ, in all that they differ in.
pub(super) fn cut_column(rows: &mut [Vec<String>], index: usize, width: usize) {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for family in families(rows, index) {
        let cells: Vec<&str> = family
            .iter()
            .map(|&row| rows[row][index].as_str())
            .collect();
        if cells.iter().all(|cell| cell.width() <= width) {
            continue;
        }
        let folds = Folds::of(&cells.iter().copied().collect());
        let middle = |cell| folds.as_ref().map_or("", |folds| folds.middle(cell));
        let bare = |cell: &&str| match cell.width() <= width {
            // What has room stays whole.
            true => folds.as_ref().map(|_| (*cell).to_owned()),
            false => folds.as_ref().map(|folds| folds.bare(cell)),
        };
        let whole: Vec<String> = cells.iter().map(|&cell| cell.to_owned()).collect();
        let bare: Option<Vec<String>> = cells.iter().map(bare).collect();
        let ways = bare.iter().chain([&whole]).flat_map(|texts| {
            let loses = [Lose::Start, Lose::End, Lose::Middle];
            let all = |lose| texts.iter().map(move |text| cut(text, width, lose));
            loses.map(|lose| {
                (
                    all(lose).collect::<Vec<String>>(),
                    Some(texts) == bare.as_ref(),
                )
            })
        });
        // Of equals, `max_by_key` gives the last.
        let best = ways.max_by_key(|(way, is_bare)| {
            let distinct: BTreeSet<&String> = way.iter().collect();
            // The first word of a family may be all that tells it from another one.
            let alike = distinct
                .iter()
                .filter(|cell| taken.contains(**cell))
                .count();
            let mut pairs = way.iter().zip(&cells);
            let is_whole = pairs.all(|(cut, cell)| cut.contains(middle(cell)));
            // Where the differing part must be cut too, as much of it as can be stays.
            (distinct.len() - alike, is_whole, is_whole != *is_bare)
        });
        let best = best.map_or_else(Vec::new, |(way, _)| way);
        for (row, cell) in family.into_iter().zip(best) {
            taken.insert(cell.clone());
            rows[row][index] = cell;
        }
    }
}

/// Text of at most this width, without its end.
pub(super) fn cut_end(text: &str, width: usize) -> String {
    cut(text, width, Lose::End)
}

/// The part of a text that is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lose {
    Start,
    Middle,
    End,
}

/// Text of at most this width.
fn cut(text: &str, width: usize, lose: Lose) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    // One column is for the ellipsis. The tail gets the odd one, because iterations and parameters
    // are at the end of a path.
    let room = width.saturating_sub(1);
    let (head, tail) = match lose {
        Lose::Start => (0, room),
        Lose::Middle => (room / 2, room - room / 2),
        Lose::End => (room, 0),
    };
    let head = fitting(head, &mut text.chars());
    let tail = fitting(tail, &mut text.chars().rev());
    let cut: String = head
        .into_iter()
        .chain(std::iter::once(ELLIPSIS))
        .chain(tail.into_iter().rev())
        .collect();
    merged(&cut)
}

/// Text in which signs for what was left out that follow each other are one.
fn merged(text: &str) -> String {
    let mut merged = String::with_capacity(text.len());
    for character in text.chars() {
        if character != ELLIPSIS || !merged.ends_with(ELLIPSIS) {
            merged.push(character);
        }
    }
    merged
}

/// The first characters that fit, in columns of the terminal: a wide character takes two.
fn fitting(room: usize, characters: &mut dyn Iterator<Item = char>) -> Vec<char> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(cells: &[&str]) -> Vec<String> {
        let mut rows: Vec<Vec<String>> =
            cells.iter().map(|cell| vec![(*cell).to_owned()]).collect();
        fold_column(&mut rows, 0, 0);
        rows.concat()
    }

    #[test]
    fn what_all_cells_have_in_common_is_folded() {
        assert_eq!(
            folded(&[
                "WatershedPostProcessorParameters(id=3, bias=0.75, context=(32, 32))",
                "WatershedPostProcessorParameters(id=31, bias=0.5, context=(32, 32))",
                "-",
            ]),
            [
                "Watershed…(id=3, bias=0.75…)",
                "Watershed…(id=31, bias=0.5…)",
                "-"
            ]
        );
        assert_eq!(
            folded(&[
                "mito/validation.zarr/1000/crop1/raw",
                "mito/validation.zarr/1000/crop1/gt"
            ]),
            ["mito…/crop1/raw", "mito…/crop1/gt"]
        );
        assert_eq!(
            folded(&["a/x", "a/y"]),
            ["a/x", "a/y"],
            "nothing would be won"
        );
        assert_eq!(folded(&["same", "same", "-"]), ["same", "same", "-"]);
        assert_eq!(
            folded(&["threshold=1", "threshold=10"]),
            ["threshold=1", "threshold=10"]
        );
    }

    #[test]
    fn a_word_or_number_is_never_folded_in_part() {
        for cells in [["bias=0.75", "bias=0.76"], ["prediction-a", "prediction-b"]] {
            let cells = folded(&cells);
            assert!(
                cells[0].ends_with("0.75") || cells[0] == "prediction-a",
                "{cells:?}"
            );
        }
        // One value ends where the other goes on.
        assert_eq!(
            folded(&["abcdefgh", "abcdefgh(x)"]),
            ["abcdefgh", "abcdefgh(x)"]
        );
    }

    #[test]
    fn folded_cells_differ_as_before() {
        let words = [
            "",
            "a",
            "abc",
            "Watershed",
            "(id=1",
            ", ",
            "/",
            "日本",
            ")",
            "))",
            "1",
            "12",
        ];
        let mut cells: Vec<String> = Vec::new();
        for a in words {
            for b in words {
                for c in ["", "Parameters(x, y))", "/raw"] {
                    cells.push(format!("LongCommonStart(scale=8, {a}{b}{c}, bias=1.0)"));
                    cells.push(format!("{a}{b}{c}"));
                }
            }
        }
        for pair in cells.windows(3) {
            let texts: Vec<&str> = pair.iter().map(String::as_str).collect();
            let distinct: BTreeSet<&str> = texts.iter().copied().collect();
            let after: BTreeSet<String> = folded(&texts).into_iter().collect();
            assert_eq!(after.len(), distinct.len(), "{texts:?}: {after:?}");
        }
    }

    #[test]
    fn what_has_room_is_not_folded() {
        let paths = [
            "mito/validation.zarr/1000/crop1/raw",
            "mito/validation.zarr/1000/crop1/gt",
        ];
        let folded = |width| {
            let mut rows = paths.map(|cell| vec![cell.to_owned()]);
            fold_column(&mut rows, 0, width);
            rows.concat()
        };
        assert_eq!(folded(15), ["mito…/crop1/raw", "mito…/crop1/gt"]);
        let more = "mito/validation.zarr…/crop1/raw";
        assert_eq!(folded(more.width())[0], more);
        assert_eq!(folded(more.width() - 1)[0], "mito…/crop1/raw");
        assert_eq!(folded(paths[0].len()), paths);
    }

    #[test]
    fn families_never_fold_to_the_same() {
        let cells = [
            "WatershedPost(id=1, context=(32, 32), bias=0.5)",
            "WatershedPost(id=2, context=(32, 32), bias=0.5)",
            "WatershedPrior(id=1, context=(32, 32), bias=0.5)",
            "WatershedPrior(id=2, context=(32, 32), bias=0.5)",
        ];
        let folded: BTreeSet<String> = folded(&cells).into_iter().collect();
        assert_eq!(folded.len(), cells.len(), "{folded:?}");
    }

    #[test]
    fn cut_cells_keep_what_differs() {
        let cut = |cells: [&str; 2], width| {
            let mut rows = cells.map(|cell| vec![cell.to_owned()]);
            cut_column(&mut rows, 0, width);
            rows.concat()
        };
        assert_eq!(
            cut(["threshold_127", "threshold_128"], 8),
            ["thr…_127", "thr…_128"]
        );
        assert_eq!(
            cut(["long/1/name/raw", "long/2/name/raw"], 9),
            ["long/1/n…", "long/2/n…"]
        );
        assert_eq!(cut(["日本語の名前です", "a"], 8), ["日…です", "a"]);
        // What is common goes first, also if it was folded before.
        let folded = [
            "Watershed…(id=3, bias=0.75…)",
            "Watershed…(id=31, bias=0.5…)",
        ];
        assert_eq!(cut(folded, 16), ["…=3, bias=0.75…)", "…=31, bias=0.5…)"]);
        assert_eq!(cut(folded, 12), ["…3, b…=0.75…", "…31, …s=0.5…"]);
        // Another word at the start may be all that tells cells apart.
        let other = ["Watershed…(id=3, x…)", "Threshold…(id=3, x…)"];
        let cut = cut(other, 10);
        assert_ne!(cut[0], cut[1]);
    }
}
