//! What shells need beside the engine of completion: they pass words as they are typed, with quotes
//! and backslashes; and bash breaks words at `=` and `:`, and inserts what it is answered as it is.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

use clap_complete::engine;
use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Shells, Zsh};

/// The shells with which completion works.
pub(super) const SHELLS: Shells<'static> = Shells(&[
    &Bash,
    &Quoting {
        shell: &Zsh,
        only_last: false,
        flags_last: false,
    },
    &Quoting {
        shell: &Fish,
        only_last: true,
        flags_last: true,
    },
    &Elvish,
    &Powershell,
]);

/// Set by the script to the number of the word that is completed.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";
/// Set by the script of zsh to the mark between answers.
const MARK: &str = "_CLAP_IFS";
/// Set by the script of bash to the part of that word before the cursor.
const TYPED: &str = "_DALSEGNO_COMPLETE_WORD";

/// The words without quotes, if the shell passed them with theirs.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

/// The words of the line that is completed.
pub(super) fn words() -> Vec<OsString> {
    WORDS.get().cloned().unwrap_or_else(|| {
        // Before these, the words of a host of this program may come, such as Python.
        let words = std::env::args_os().skip_while(|word| word != "--");
        words.collect()
    })
}

struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        _name: &str,
        program: &str,
        completer: &str,
        buffer: &mut dyn Write,
    ) -> io::Result<()> {
        writeln!(
            buffer,
            r#"_{program}() {{
    mapfile -t COMPREPLY < <(
        {INDEX}=$COMP_CWORD {TYPED}=$2 {variable}=bash \
            {completer} -- "${{COMP_WORDS[@]}}" 2>/dev/null
    )
    # More of a path or of a value may follow.
    if [[ ${{#COMPREPLY[@]}} -eq 1 && ${{COMPREPLY[0]}} == *[=/:] ]]; then
        compopt -o nospace
    fi
}}
complete -o bashdefault -o nosort -F _{program} {program} 2>/dev/null ||
    complete -o bashdefault -F _{program} {program}"#
        )
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        buffer: &mut dyn Write,
    ) -> io::Result<()> {
        let index = index();
        let line = Line::of_bash(&words, index, std::env::var(TYPED).ok().as_deref());
        let all = line.words.iter().map(OsString::from).collect();
        let words: &Vec<OsString> = WORDS.get_or_init(|| all);
        let mut found = engine::complete(command, words.clone(), line.index, folder)?;
        found.sort_by_key(|candidate| is_flag(&candidate.get_value().to_string_lossy()));
        for candidate in found {
            let value = candidate.get_value().to_string_lossy();
            let value = value.strip_prefix(&line.kept).unwrap_or(&value);
            // A line is one answer.
            if !value.contains('\n') {
                writeln!(buffer, "{}", quoted(value, line.quote))?;
            }
        }
        Ok(())
    }
}

/// A shell whose words have quotes, and which quotes what it is answered itself.
struct Quoting {
    shell: &'static dyn EnvCompleter,
    /// Whether the word that is completed is the only one with quotes.
    only_last: bool,
    /// Whether it shows flags behind names. Another one lists what has a description first, so that it
    /// is answered flags only if there are no names.
    flags_last: bool,
}

impl EnvCompleter for Quoting {
    fn name(&self) -> &'static str {
        self.shell.name()
    }

    fn is(&self, name: &str) -> bool {
        self.shell.is(name)
    }

    fn write_registration(
        &self,
        variable: &str,
        name: &str,
        program: &str,
        completer: &str,
        buffer: &mut dyn Write,
    ) -> io::Result<()> {
        let shell = self.shell;
        shell.write_registration(variable, name, program, completer, buffer)
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        buffer: &mut dyn Write,
    ) -> io::Result<()> {
        let last = words.len().saturating_sub(1);
        let meant = words.into_iter().enumerate().map(|(number, word)| {
            match number == last || !self.only_last {
                true => unquoted(&text(&word)).0.into(),
                false => word,
            }
        });
        let words: &Vec<OsString> = WORDS.get_or_init(|| meant.collect());
        let mut answer = Vec::new();
        self.shell
            .write_complete(command, words.clone(), folder, &mut answer)?;
        // A line is one answer, unless the shell asks for another mark between them.
        let mark = std::env::var(MARK).ok().filter(|mark| mark.len() == 1);
        let mark = mark.unwrap_or_else(|| "\n".to_owned());
        let answer = String::from_utf8_lossy(&answer);
        let mut lines: Vec<&str> = answer.split(mark.as_str()).collect();
        let end = match lines.pop_if(|last| last.is_empty()) {
            Some(_) => mark.as_str(),
            None => "",
        };
        lines.sort_by_key(|line| is_flag(line));
        if !self.flags_last && lines.first().is_some_and(|line| !is_flag(line)) {
            lines.retain(|line| !is_flag(line));
        }
        write!(buffer, "{}{end}", lines.join(&mark))
    }
}

/// Whether an answer is a flag: those come behind the names that a command takes.
fn is_flag(answer: &str) -> bool {
    answer.starts_with('-')
}

fn index() -> usize {
    let index = std::env::var(INDEX).ok();
    index.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn text(word: &OsStr) -> String {
    word.to_string_lossy().into_owned()
}

/// A line as its words are meant.
struct Line {
    words: Vec<String>,
    /// Which word is completed.
    index: usize,
    /// The part of that word that bash does not replace.
    kept: String,
    /// The quote in which it is.
    quote: Option<char>,
}

impl Line {
    /// `typed`: the part of the completed word before the cursor.
    fn of_bash(words: &[OsString], index: usize, typed: Option<&str>) -> Self {
        let mut line = Self {
            words: Vec::new(),
            index,
            kept: String::new(),
            quote: None,
        };
        let mut joins = false;
        for (number, raw) in words.iter().enumerate() {
            let raw = text(raw);
            let breaks = !raw.is_empty() && raw.chars().all(|c| "=:".contains(c));
            let is_last = number == index;
            // Bash leaves the quote that is open out of what is typed.
            let (whole, quote) = unquoted(&raw);
            let word = match typed.filter(|_| is_last && !breaks) {
                Some(typed) => unquoted(typed).0,
                None => whole,
            };
            match line.words.last_mut() {
                // The value of a flag is a word of its own as well.
                Some(flag) if word == "=" && flag.starts_with("--") => {
                    if is_last {
                        line.words.push(String::new());
                    }
                }
                Some(before) if breaks || joins => {
                    if is_last {
                        let end = if breaks { word.len() } else { 0 };
                        line.kept = format!("{before}{}", &word[..end]);
                    }
                    before.push_str(&word);
                    joins = breaks;
                }
                _ => line.words.push(word),
            }
            if is_last {
                line.index = line.words.len() - 1;
                line.quote = quote;
            }
        }
        line
    }
}

/// What a word, whole or half-typed, means, and the quote that is open at its end.
fn unquoted(word: &str) -> (String, Option<char>) {
    let mut meant = String::with_capacity(word.len());
    let mut quote = None;
    let mut characters = word.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            ('\\', None) => meant.extend(characters.next()),
            ('\\', Some('"')) if characters.peek().is_some_and(|c| "\"$`\\".contains(*c)) => {
                meant.extend(characters.next());
            }
            _ => meant.push(character),
        }
    }
    (meant, quote)
}

/// A name as bash is to insert it after a quote, or without one.
fn quoted(name: &str, quote: Option<char>) -> String {
    if quote == Some('\'') {
        return name.replace('\'', r"'\''");
    }
    let mut word = String::with_capacity(name.len());
    for character in name.chars() {
        let is_plain = match quote {
            Some(_) => !"\"$`\\".contains(character),
            None => character.is_alphanumeric() || "/._-+=,:@%".contains(character),
        };
        if !is_plain {
            word.push('\\');
        }
        word.push(character);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_bash_reads_back() {
        for name in [
            "plain", "run [a]", "a'b\"c", "x=1,y:2", "$HOME *", "é", "a\\b",
        ] {
            for quote in [None, Some('"'), Some('\'')] {
                let open: String = quote.into_iter().collect();
                let word = format!("{open}{}", quoted(name, quote));
                assert_eq!(unquoted(&word), (name.to_owned(), quote), "{word}");
            }
        }
        assert_eq!(quoted("run [a]", None), "run\\ \\[a\\]");
        assert_eq!(unquoted("a' b'\\ c"), ("a b c".to_owned(), None));
    }

    #[test]
    fn words_that_bash_broke_are_joined() {
        let line = |words: &[&str], typed: &str| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let line = Line::of_bash(&words, words.len() - 1, Some(typed));
            assert_eq!(line.index, line.words.len() - 1);
            (line.words.join("|"), line.kept)
        };
        let same = |words: &str, kept: &str| (words.to_owned(), kept.to_owned());
        assert_eq!(
            line(&["d", "--run", "=", "mi"], "mi"),
            same("d|--run|mi", "")
        );
        assert_eq!(line(&["d", "--run", "="], ""), same("d|--run|", ""));
        assert_eq!(
            line(&["d", "--columns", "score", ":", "v"], "v"),
            same("d|--columns|score:v", "score:")
        );
        assert_eq!(
            line(&["d", "--columns", "score", ":"], ""),
            same("d|--columns|score:", "score:")
        );
        assert_eq!(
            line(&["d", "--parameters", "t", "=", "0"], "0"),
            same("d|--parameters|t=0", "t=")
        );
        assert_eq!(
            line(&["d", "--base", "=", "'/my runs'", "list", "\"mi"], "\"mi"),
            same("d|--base|/my runs|list|mi", "")
        );
    }
}
