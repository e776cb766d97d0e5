//! A page of the documents: what is run of it, in the order in which it is written.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A page, read.
pub(crate) struct Page {
    /// Path below the repository.
    pub(crate) name: PathBuf,
    pub(crate) lines: Vec<String>,
    pub(crate) items: Vec<Item>,
}

/// A part of a page that is run or read by a test.
pub(crate) struct Item {
    /// Line of the page, from 1.
    pub(crate) line: usize,
    pub(crate) what: What,
}

pub(crate) enum What {
    /// A command of a shell and what it prints.
    Command(Call),
    /// A part of `.dalsegno/config.toml`.
    Config(String),
    /// A JSON document.
    Json(String),
    /// A program that `cargo test --doc` runs.
    Rust,
    /// A program that `python/tests/test_documents.py` runs.
    Python,
    /// What the Python program above it prints.
    Printed,
}

pub(crate) struct Call {
    pub(crate) text: String,
    /// The lines of the page that show its output.
    pub(crate) shown: Range<usize>,
    /// Exit code: 0, unless a comment of the command says another.
    pub(crate) exit: i32,
    /// Whether the command is in a comment of the page, and its output is shown nowhere.
    pub(crate) is_hidden: bool,
}

/// README.md and every page of the book.
pub(crate) fn all() -> Vec<Page> {
    let mut names = vec![PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|extension| extension == "md") {
                names.push(name);
            }
        }
    }
    names.sort();
    names.into_iter().map(Page::read).collect()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Page {
    pub(crate) fn read(name: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&name)).unwrap();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let items = items(&name, &lines);
        Self { name, lines, items }
    }

    /// Where an item is, to say what is wrong with it.
    pub(crate) fn place(&self, item: &Item) -> String {
        format!("{}:{}", self.name.display(), item.line)
    }
}

/// Reads the fenced blocks of a page, and the comments `<!-- $ command -->`.
fn items(name: &Path, lines: &[String]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim();
        let start = at;
        at += 1;
        if let Some(command) = line.strip_prefix("<!-- $ ") {
            let text = command
                .strip_suffix(" -->")
                .expect("a comment ends on its line");
            items.push(Item {
                line: start + 1,
                what: What::Command(call(text.to_owned(), at..at, true)),
            });
            continue;
        }
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let length = lines[at..].iter().position(|line| line.trim() == "```");
        let end = at + length.expect("a block ends");
        let text = lines[at..end].join("\n");
        let what = match language {
            "console" => {
                items.extend(calls(lines, at..end));
                at = end + 1;
                continue;
            }
            "toml" => What::Config(text),
            "json" => What::Json(text),
            "rust" => What::Rust,
            "python" => What::Python,
            "text" => What::Printed,
            other => panic!(
                "{}:{}: a block \"{other}\" is run by no test; the languages are console, toml, \
                 json, rust, python and text",
                name.display(),
                start + 1
            ),
        };
        items.push(Item {
            line: start + 1,
            what,
        });
        at = end + 1;
    }
    items
}

/// The commands of a block: each begins with `$ `, goes on after a `\` at the end of its line, and
/// is followed by its output.
fn calls(lines: &[String], block: Range<usize>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = block.start;
    assert!(
        lines[at].trim_start().starts_with("$ "),
        "line {}: a block begins with a command",
        at + 1
    );
    while at < block.end {
        let start = at;
        let mut text = lines[at].trim_start()[2..].to_owned();
        while text.ends_with('\\') {
            at += 1;
            text.push('\n');
            text.push_str(&lines[at]);
        }
        at += 1;
        let output = at;
        while at < block.end && !lines[at].trim_start().starts_with("$ ") {
            at += 1;
        }
        items.push(Item {
            line: start + 1,
            what: What::Command(call(text, output..at, false)),
        });
    }
    items
}

fn call(text: String, shown: Range<usize>, is_hidden: bool) -> Call {
    let comment = text.split_once(" # ").map(|(_, comment)| comment);
    let exit = comment
        .and_then(|comment| comment.split_once("exit code "))
        .map(|(_, rest)| {
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
            digits.unwrap().parse().expect("a number")
        });
    Call {
        text,
        shown,
        exit: exit.unwrap_or(0),
        is_hidden,
    }
}
