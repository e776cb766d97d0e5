//! Text in lines that are no wider than a terminal, which breaks lines in the middle of words.
//!
//! Lines are broken between words, and a word that is wider than a line behind a `/` or a `,`. A
//! command to type stays on one line if a line has room for it. A longer one is broken between its
//! words, with a backslash: what is copied is the same command.

use unicode_width::UnicodeWidthChar;

use super::fit::INDENT;

/// Programs that messages say to type.
const PROGRAMS: [&str; 9] = [
    "dalsegno", "chmod", "cp", "df", "ls", "mkdir", "mv", "rm", "sqlite3",
];

/// What is at the end of a line behind which a command goes on.
const CONTINUED: &str = " \\";

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
    fold(line, width, indent)
}

/// What is not broken as long as a line has room for it.
enum Unit {
    Word(String),
    /// The words of a command.
    Command(Vec<String>),
}

fn fold(line: &str, width: usize, indent: usize) -> String {
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
        // Wider than a line.
        for (number, part) in word.split_inclusive(['/', ',']).enumerate() {
            let gap = if number == 0 { gap } else { "" };
            if !self.has_room(gap, columns(part)) {
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

/// The words of a line, each with the spaces before it.
fn units(line: &str) -> Vec<(String, Unit)> {
    let mut units: Vec<(String, Unit)> = Vec::new();
    let mut gap = String::new();
    let mut before = "";
    // The words of a command that goes on.
    let mut command: Option<Vec<String>> = None;
    let mut words = line.split(' ').peekable();
    while let Some(word) = words.next() {
        if word.is_empty() {
            gap.push(' ');
            continue;
        }
        let follows = before.ends_with(':') || before == "&&";
        let mut word = word.to_owned();
        if command.is_some() || (follows && PROGRAMS.contains(&word.as_str())) {
            // A quoted word may have spaces.
            while word.matches('\'').count() % 2 == 1
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
            folded("would keep   21 artifacts, 1 MiB in 3 files", 24),
            "would keep   21\n    artifacts, 1 MiB in\n    3 files"
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
