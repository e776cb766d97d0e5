//! Text in lines that are no wider than a terminal, which breaks lines in the middle of words.
//!
//! Lines are broken between words, and a word that is wider than a line behind a `/` or a `,`. What
//! is in quotes stays together, and so does a number with its unit. A command to type stays on one
//! line if a line has room for it. A longer one is broken between its words, with a backslash: what
//! is copied is the same command.

use unicode_width::UnicodeWidthChar;

/// Indent of what goes on in a line of its own: of a text, and of a last column below its row.
pub(super) const INDENT: usize = 4;

/// Programs that messages say to type.
const PROGRAMS: [&str; 9] = [
    "dalsegno", "chmod", "cp", "df", "ls", "mkdir", "mv", "rm", "sqlite3",
];

/// What is at the end of a line behind which a command goes on.
const CONTINUED: &str = " \\";

/// Stands for a space at which no line is broken. No text has this character.
const UNBROKEN: char = '\u{fdd0}';

/// A name, such as a path, that is not broken at its spaces. Only for lines that are folded.
pub(in crate::cli) fn unbroken(name: &str) -> String {
    name.replace(' ', &UNBROKEN.to_string())
}

/// The same text without the marks of [`unbroken`].
pub(in crate::cli) fn plain(text: &str) -> String {
    text.replace(UNBROKEN, " ")
}

/// Text in lines of at most this width; those that go on are indented.
pub(in crate::cli) fn folded(text: &str, width: usize) -> String {
    let lines = text.split('\n').map(|line| {
        let start = line.len() - line.trim_start_matches(' ').len();
        fold(line, width, start + INDENT)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A line of a name and its value, in lines of at most this width; the value goes on below itself.
pub(in crate::cli) fn folded_at(line: &str, width: usize, indent: usize) -> String {
    plain(&fold(line, width, indent))
}

/// A name and its value at a column, in lines of at most this width. A value with a word too wide
/// for its column goes on near the margin, so that what can be copied is in one piece.
pub(in crate::cli) fn folded_value(name: &str, value: &str, at: usize, width: usize) -> String {
    plain(fold_value(name, value, at, width, true).trim_end())
}

/// The same, but a word that is wider than a line is not broken.
pub(in crate::cli) fn whole_value(name: &str, value: &str, at: usize, width: usize) -> String {
    plain(fold_value(name, value, at, width, false).trim_end())
}

fn fold_value(name: &str, value: &str, at: usize, width: usize, breaks: bool) -> String {
    let widest = parts(value).into_iter().map(columns).max();
    let indent = match at + widest.unwrap_or(0) <= width && at * 2 <= width {
        true => at,
        false => INDENT.min(at),
    };
    let least = usize::from(!name.is_empty() && !value.is_empty());
    let gap = at.saturating_sub(columns(name)).max(least);
    fold_words(&format!("{name}{:gap$}{value}", ""), width, indent, breaks)
}

/// The parts of a text between which lines are broken: its words. What is in quotes is one part,
/// and a number with the word behind it.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let mut starts = Vec::new();
    let mut at = 0;
    for word in text.split(' ') {
        starts.push((at, word));
        at += word.len() + 1;
    }
    let mut parts = Vec::new();
    let mut next = 0;
    while let Some(&(start, word)) = starts.get(next) {
        let last = match (closes(&starts[next..]), starts.get(next + 1)) {
            (Some(more), _) => next + more,
            (None, Some((_, unit))) if is_number(word) && unit.starts_with(char::is_alphabetic) => {
                next + 1
            }
            _ => next,
        };
        let (end, word) = starts[last];
        parts.push(&text[start..end + word.len()]);
        next = last + 1;
    }
    parts
}

/// How many words after the first one the quotes close that the first one opens.
fn closes(words: &[(usize, &str)]) -> Option<usize> {
    let first = words.first()?.1.trim_start_matches(['(', '[']);
    let quote = first.chars().next().filter(|c| ['\'', '"'].contains(c))?;
    words.iter().position(|(at, word)| {
        let end = word.trim_end_matches(['.', ',', ';', ':', '?', '!', ')', ']']);
        let is_opening = *at == words[0].0 && end.trim_start_matches(['(', '[']).len() == 1;
        // `'\''` is a quote within quotes.
        let is_inside = end.ends_with("'\\''");
        end.ends_with(quote) && !is_opening && !is_inside
    })
}

fn is_number(word: &str) -> bool {
    let word = word.trim_start_matches('(');
    let is_digit = |c: char| c.is_ascii_digit();
    word.starts_with(is_digit)
        && word.ends_with(is_digit)
        && word.chars().all(|c| is_digit(c) || [',', '.'].contains(&c))
}

/// What is not broken as long as a line has room for it.
enum Unit {
    Word(String),
    /// The words of a command.
    Command(Vec<String>),
}

fn fold(line: &str, width: usize, indent: usize) -> String {
    fold_words(line, width, indent, true)
}

/// Folds a line; `breaks` says whether a word that is wider than a line is broken.
fn fold_words(line: &str, width: usize, indent: usize, breaks: bool) -> String {
    // On a terminal that narrow, an indent would leave no room.
    let indent = if indent * 2 > width { 0 } else { indent };
    if columns(line) <= width || width == 0 {
        return line.to_owned();
    }
    let start = line.len() - line.trim_start_matches(' ').len();
    let mut folds = Folds {
        text: line[..start].to_owned(),
        used: start,
        is_begun: false,
        width,
        indent,
        breaks,
    };
    for (gap, unit) in units(&line[start..]) {
        match unit {
            Unit::Word(word) => folds.word(&gap, &word),
            Unit::Command(words) => folds.command(&gap, &words),
        }
    }
    // An answer is typed behind them.
    folds
        .text
        .push_str(&line[line.trim_end_matches(' ').len()..]);
    folds.text
}

/// Lines that are being filled.
struct Folds {
    text: String,
    /// Columns of the last line.
    used: usize,
    /// Whether the last line has a word.
    is_begun: bool,
    width: usize,
    indent: usize,
    /// Whether a word that is wider than a line is broken.
    breaks: bool,
}

impl Folds {
    fn has_room(&self, gap: &str, columns: usize) -> bool {
        let gap = if self.is_begun { gap.len() } else { 0 };
        self.used + gap + columns <= self.width
    }

    fn push(&mut self, gap: &str, part: &str) {
        let gap = if self.is_begun { gap } else { "" };
        self.text.push_str(gap);
        self.text.push_str(part);
        self.used += gap.len() + columns(part);
        self.is_begun = true;
    }

    fn end_line(&mut self, end: &str) {
        if self.is_begun {
            self.text.truncate(self.text.trim_end_matches(' ').len());
            self.text.push_str(end);
            self.text.push('\n');
            self.text.push_str(&" ".repeat(self.indent));
            self.used = self.indent;
            self.is_begun = false;
        }
    }

    fn word(&mut self, gap: &str, word: &str) {
        if self.has_room(gap, columns(word)) {
            return self.push(gap, word);
        }
        if self.indent + columns(word) <= self.width {
            self.end_line("");
            return self.push("", word);
        }
        let pieces: Vec<&str> = match self.breaks {
            true => broken(word).collect(),
            false => vec![word],
        };
        for (number, part) in pieces.into_iter().enumerate() {
            let gap = if number == 0 { gap } else { "" };
            if !self.has_room(gap, columns(part.trim_end())) {
                self.end_line("");
            }
            self.push(gap, part);
        }
    }

    fn command(&mut self, gap: &str, words: &[String]) {
        let whole = words.join(" ");
        if self.has_room(gap, columns(&whole)) {
            return self.push(gap, &whole);
        }
        self.end_line("");
        if self.has_room("", columns(&whole)) {
            return self.push("", &whole);
        }
        for (number, word) in words.iter().enumerate() {
            let is_last = number + 1 == words.len();
            let end = if is_last { 0 } else { CONTINUED.len() };
            if self.is_begun && !self.has_room(" ", columns(word) + end) {
                self.end_line(CONTINUED);
            }
            self.push(" ", word);
        }
    }
}

/// The parts of a word that is wider than a line: behind a `/` or a `,`, or of a quoted sentence
/// behind its words.
pub(super) fn broken(word: &str) -> impl Iterator<Item = &str> {
    let marks = match word.contains('/') {
        true => ['/', ','],
        false => [' ', ','],
    };
    // The first `/` of a path is no end.
    let start = word.len() - word.trim_start_matches(['(', '\'', '"', '/']).len();
    let first = word[start..]
        .find(marks)
        .map_or(word.len(), |at| start + at + 1);
    let (first, rest) = word.split_at(first);
    std::iter::once(first).chain(rest.split_inclusive(marks))
}

/// The words of a line, each with the spaces before it.
fn units(line: &str) -> Vec<(String, Unit)> {
    let mut units: Vec<(String, Unit)> = Vec::new();
    let mut gap = String::new();
    let mut before = "";
    // The words of a command that goes on.
    let mut command: Option<Vec<String>> = None;
    let mut words = parts(line).into_iter().peekable();
    while let Some(word) = words.next() {
        if word.is_empty() {
            // Those in a command are between its words.
            if command.is_none() {
                gap.push(' ');
            }
            continue;
        }
        let follows = before.ends_with(':') || before == "&&";
        let mut word = word.to_owned();
        if command.is_some() || (follows && PROGRAMS.contains(&word.as_str())) {
            // A quoted word may have spaces.
            let quotes = |word: &str| word.matches('\'').count() - word.matches("\\'").count();
            while quotes(&word) % 2 == 1
                && let Some(next) = words.next()
            {
                word.push(' ');
                word.push_str(next);
            }
            before = "";
            let is_end = word.ends_with([';', ',']);
            let is_last = words.peek().is_none();
            // Words in brackets are about the command.
            let is_after = word.starts_with('(');
            match &mut command {
                Some(_) if is_after => {
                    units.extend(
                        command
                            .take()
                            .map(|words| (std::mem::take(&mut gap), Unit::Command(words))),
                    );
                    units.push((" ".to_owned(), Unit::Word(word)));
                    continue;
                }
                Some(words) => words.push(word),
                None => {
                    let first = units.is_empty();
                    gap = if first {
                        String::new()
                    } else {
                        " ".to_owned() + &gap
                    };
                    command = Some(vec![word]);
                }
            }
            if is_end || is_last {
                units.extend(
                    command
                        .take()
                        .map(|words| (std::mem::take(&mut gap), Unit::Command(words))),
                );
            }
            continue;
        }
        let space = match units.is_empty() {
            true => String::new(),
            false => format!(" {}", std::mem::take(&mut gap)),
        };
        units.push((space, Unit::Word(word)));
        before = match units.last() {
            Some((_, Unit::Word(word))) if word == "&&" => "&&",
            Some((_, Unit::Word(word))) if word.ends_with(':') => ":",
            _ => "",
        };
    }
    // Spaces follow it.
    let rest = command.take();
    units.extend(rest.map(|words| (std::mem::take(&mut gap), Unit::Command(words))));
    units
}

/// Columns of a terminal that a text takes, without the escape sequences of colours.
fn columns(text: &str) -> usize {
    let mut used = 0;
    let mut in_sequence = false;
    for character in text.chars() {
        match (in_sequence, character) {
            (false, '\x1b') => in_sequence = true,
            (true, 'm') => in_sequence = false,
            (true, _) => {}
            (false, character) => used += character.width().unwrap_or(0),
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_long_words_behind_their_marks() {
        assert_eq!(folded("short", 20), "short");
        assert_eq!(folded("", 20), "");
        assert_eq!(
            folded("Remove it all? [y/N] ", 18),
            "Remove it all?\n    [y/N] "
        );
        assert_eq!(
            folded("would keep   21 artifacts, 1 MiB in 3 files", 26),
            "would keep   21 artifacts,\n    1 MiB in 3 files"
        );
        assert_eq!(
            folded(
                "at /data/runs/mito/validation.zarr/1000/Watershed(id=3,size=10)",
                30
            ),
            "at /data/runs/mito/\n    validation.zarr/1000/\n    Watershed(id=3,size=10)"
        );
        assert_eq!(
            folded("\x1b[33mwarning:\x1b[0m so it is", 20),
            "\x1b[33mwarning:\x1b[0m so it is",
            "colours take no columns"
        );
        assert_eq!(
            folded("one two three\nfour five six", 9),
            "one two\n    three\nfour five\n    six"
        );
    }

    #[test]
    fn numbers_and_their_units_and_quoted_names_stay_together() {
        assert_eq!(
            parts("(3 GiB in 1,024 files), \"a b\"; '/c d/e'? it's 4, 5"),
            [
                "(3 GiB",
                "in",
                "1,024 files),",
                "\"a b\";",
                "'/c d/e'?",
                "it's",
                "4,",
                "5"
            ]
        );
        assert_eq!(
            parts(r"rm 'it'\''s here' now"),
            ["rm", r"'it'\''s here'", "now"]
        );
        assert_eq!(parts("\"never closed here"), ["\"never", "closed", "here"]);
        assert_eq!(
            folded("would keep 21 artifacts of 3 GiB", 16),
            "would keep\n    21 artifacts\n    of 3 GiB"
        );
        assert_eq!(
            folded("no run \"of two words\" here", 20),
            "no run\n    \"of two words\"\n    here"
        );
        let path = unbroken("/data/my runs/x");
        assert_eq!(
            folded_value("  path", &path, 8, 20),
            "  path\n    /data/my runs/x",
            "a path in one piece"
        );
        assert_eq!(folded_value("  path", "a b c", 8, 10), "  path  a\n    b c");
        assert_eq!(
            folded_value("  x", "/data/of/runs", 8, 12),
            "  x\n    /data/\n    of/runs"
        );
        assert_eq!(
            whole_value("  x", "/data/of/runs", 8, 12),
            "  x\n    /data/of/runs"
        );
    }

    #[test]
    fn a_command_stays_whole_or_is_broken_such_that_it_can_be_copied() {
        assert_eq!(
            folded(
                "  next: see what is recorded with: dalsegno list --run mito; or ask",
                40
            ),
            "  next: see what is recorded with:\n      dalsegno list --run mito; or ask"
        );
        assert_eq!(
            folded(
                "take it back: rm -r '/a dir/.dalsegno' && dalsegno --base /a/very/long/path/x init",
                40
            ),
            "take it back:\n    rm -r '/a dir/.dalsegno' && \\\n    dalsegno --base \\\n    \
             /a/very/long/path/x init"
        );
        assert_eq!(
            folded("seen by: dalsegno verify ", 20),
            "seen by:\n    dalsegno verify "
        );
        // No line is wider, but for words of commands.
        let text = "warning: run \"x\" is gone; if it was renamed by hand: dalsegno verify --repair, \
            or see: dalsegno list --run 'a b c d' (on host here)";
        for width in 20..120 {
            for line in folded(text, width).lines() {
                assert!(columns(line) <= width, "{width}: {line}");
            }
            let joined = folded(text, width)
                .replace(" \\\n", "\n")
                .replace('\n', " ");
            let words: Vec<&str> = joined.split_whitespace().collect();
            assert_eq!(
                words.join(" "),
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
    }
}
