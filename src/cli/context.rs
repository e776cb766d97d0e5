//! What every command works with: the global flags, stdout, and messages on stderr.

use std::cell::{Cell, OnceCell};
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::Path;

use serde::Serialize;

use super::fail::Failure;
use super::flags::{Format, Global, Output, Verbose};
use super::interrupt;
use super::progress::{self, Bar};
use super::render::{Room, count, escape, folded_at, number, plain, shell_word};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::registry::Published;
use crate::store::{Notice, NoticeClass};

/// What only the host with the catalog does, as hints write it.
const FOR_KEEPER: [&str; 12] = [
    "gc --apply",
    "mv",
    "publish",
    "rebuild",
    "refresh",
    "restore",
    "rm",
    "scan",
    "trash empty",
    "undo",
    "unpin",
    "verify --repair",
];

/// Bytes of output that are written at once: the capacity of a pipe on Linux.
const OUTPUT_BUFFER: usize = 64 << 10;

/// Warnings of one kind that are listed on stderr; more are counted.
const MOST_WARNINGS: usize = 20;

pub(super) struct Context {
    pub(super) global: Global,
    /// The arguments as they were typed, without the name of the program.
    pub(super) typed: Vec<String>,
    pub(super) stdout: BufWriter<StdoutLock<'static>>,
    /// Whether to write tables even if stdout is not a terminal.
    force_table: bool,
    /// Whether tables may be wider than the terminal.
    wide: Cell<bool>,
    colour_out: bool,
    colour_err: bool,
    terminal_err: bool,
    said_notice: Cell<bool>,
    /// Whether it was said which base directory is used.
    pub(super) said_base: Cell<bool>,
    /// Whether an answer warns of damaged arrays: where these decide something. Elsewhere they are
    /// a part of it.
    pub(super) warns_of_damage: Cell<bool>,
    /// Whether the command has `--keep-going`, which skips what cannot be moved.
    pub(super) may_skip: Cell<bool>,
    /// Whether the command frees space, so that no hint sends to it.
    pub(super) frees_space: Cell<bool>,
    /// The command, if it takes paths of what is in runs.
    pub(super) by_path: Cell<Option<&'static str>>,
    /// The published copy that the answers are from, once it is known.
    pub(super) published: OnceCell<PublishedCopy>,
    /// What an answer knows of the disk, once it is known.
    pub(super) looked: OnceCell<Looked>,
    /// The host that notes of this command are for, if it leaves notes.
    pub(super) noted: OnceCell<NotedFor>,
}

/// The host that has the catalog and takes in what a command noted, as JSON documents have it.
#[derive(Debug, Serialize)]
pub(super) struct NotedFor {
    /// Null if nothing names it.
    pub(super) host: Option<String>,
}

/// What an answer knows of the disk, as JSON documents have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Looked {
    /// Recorded arrays that the question is about and whose data is gone; null if it did not look.
    pub(super) gone: Option<u64>,
    /// When the catalog was last changed, if the answer is as it was then; null if it looked.
    pub(super) as_of: Option<Timestamp>,
}

/// The published copy that a command answers from, as JSON documents have it.
#[derive(Debug, Serialize)]
pub(super) struct PublishedCopy {
    #[serde(flatten)]
    pub(super) copy: Published,
    /// Seconds since it was made; null if that is in the future.
    pub(super) age_seconds: Option<u64>,
}

impl Context {
    pub(super) fn new(global: Global) -> Self {
        progress::begin();
        // By the convention of no-color.org, an empty value counts as unset.
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal_err = io::stderr().is_terminal();
        Self {
            global,
            typed: Vec::new(),
            stdout: BufWriter::with_capacity(OUTPUT_BUFFER, io::stdout().lock()),
            force_table: false,
            wide: Cell::new(false),
            colour_out: !no_colour && io::stdout().is_terminal(),
            colour_err: !no_colour && terminal_err,
            terminal_err,
            said_notice: Cell::new(false),
            said_base: Cell::new(false),
            may_skip: Cell::new(false),
            frees_space: Cell::new(false),
            warns_of_damage: Cell::new(false),
            by_path: Cell::new(None),
            published: OnceCell::new(),
            looked: OnceCell::new(),
            noted: OnceCell::new(),
        }
    }

    /// Sets another base directory and asks for tables, for `demo`, which runs other commands.
    pub(super) fn show_for(&mut self, base: &Path) {
        self.global.base = Some(base.to_owned());
        // The demonstration's own base has its own catalog, whatever the environment names.
        self.global.catalog = None;
        self.force_table = true;
    }

    pub(super) fn format(&self, output: Output) -> Format {
        self.wide.set(output.wide);
        if output.json {
            Format::Json
        } else if output.jsonl {
            Format::Jsonl
        } else if output.table || self.force_table || io::stdout().is_terminal() {
            Format::Table
        } else {
            Format::Tsv
        }
    }

    pub(super) fn colour(&self) -> bool {
        self.colour_out
    }

    /// The place for a table on stdout.
    pub(super) fn room(&self) -> Room {
        let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) else {
            return Room::Pipe;
        };
        match usize::from(size.ws_col) {
            _ if self.wide.get() => Room::Wide,
            // Some terminals say 0 if they do not know their width.
            0 => Room::Pipe,
            columns => Room::Columns(columns),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }

    /// Writes one line to stdout; on a terminal in several, if it is wider, that go on at this
    /// column.
    pub(super) fn folded_line(&mut self, text: &str, indent: usize) -> Result<(), Failure> {
        match self.room() {
            Room::Columns(columns) => self.line(&folded_at(text, columns, indent)),
            Room::Pipe | Room::Wide => self.line(&plain(text)),
        }
    }

    /// Writes one line to stdout.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.stdout, "{text}")?)
    }

    fn stderr(&self, style: &str, head: &str, text: &str) {
        let text = escape(text);
        match self.colour_err {
            true => progress::print(&format!("\x1b[{style}m{head}\x1b[0m {text}")),
            false => progress::print(&format!("{head} {text}")),
        }
    }

    /// Prints a message on stderr, unless `--quiet`.
    pub(super) fn say(&self, text: &str) {
        if !self.global.quiet {
            progress::print(&escape(text));
        }
    }

    /// Says that so many things were noted, and who takes them into the catalog.
    pub(super) fn say_noted(&self, number: usize, what: &str) {
        let (Some(noted), 1..) = (self.noted.get(), number) else {
            return;
        };
        let them = if number == 1 { "it" } else { "them" };
        self.say(&format!(
            "noted {}; {} takes {them} into the catalog with its next command that writes",
            count(number, what),
            noted
                .host
                .as_deref()
                .unwrap_or("the host that has the catalog")
        ));
    }

    /// Says that an identifier was given and not noted. In spite of `--quiet`, as an error is.
    pub(super) fn say_not_noted(&self, error: &Error) {
        let Some(noted) = self.noted.get() else {
            return;
        };
        self.stderr(
            "33",
            "warning:",
            &format!(
                "could not note it ({}): {error}; when it is written, take it in on {} with: {}",
                error.code(),
                match &noted.host {
                    Some(host) => format!("host {host}"),
                    None => "the host that has the catalog".to_owned(),
                },
                self.with_base("dalsegno scan")
            ),
        );
    }

    /// Prints a warning on stderr, unless `--quiet`.
    pub(super) fn warn(&self, text: &str) {
        if !self.global.quiet {
            self.stderr("33", "warning:", text);
        }
    }

    /// Prints a warning about the registry as a whole, only once in a call that opens it
    /// repeatedly.
    pub(super) fn warn_once(&self, notice: &str) {
        if !self.said_notice.replace(true) {
            self.warn(notice);
        }
    }

    /// Prints who holds the lock of the catalog while a command waits for it.
    pub(super) fn on_wait(&self) -> impl Fn(&str) + Send + Sync + 'static {
        // Copies: the registry keeps this function for longer than it borrows the context.
        let (colour, quiet) = (self.colour_err, self.global.quiet);
        move |holder| {
            if quiet {
                return;
            }
            let head = match colour {
                true => "\x1b[33mwaiting:\x1b[0m",
                false => "waiting:",
            };
            let holder = escape(holder);
            progress::print(&format!("{head} the catalog is locked by {holder}"));
        }
    }

    /// Prints a sentence about something that went on beside a call.
    pub(super) fn on_notice(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let quiet = self.global.quiet;
        move |notice| {
            if !quiet {
                progress::print(&escape(notice));
            }
        }
    }

    /// Prints an error on stderr, and what to do next.
    pub(super) fn error(&self, code: Option<&str>, text: &str, hint: Option<&str>) {
        let head = code.map_or("error:".to_owned(), |code| format!("error[{code}]:"));
        self.stderr("1;31", &head, text);
        if let Some(hint) = hint {
            self.stderr("36", "  next:", hint);
        }
    }

    /// Prints what state Ctrl-C left, and what to type. Returns the exit code.
    pub(super) fn interrupted(&self, state: &str) -> u8 {
        interrupt::says();
        self.stderr("1;31", "interrupted;", &self.with_base(state));
        interrupt::EXIT_CODE
    }

    /// Lists notices on stderr.
    pub(super) fn notices(&self, notices: &[Notice]) {
        self.warn_of(notices.iter().map(notice_text), "notices");
    }

    /// Lists what a walk through everything found. Arrays outside runs are counted in one line: no
    /// row is made for them, and a folder of them is nothing that is wrong.
    pub(super) fn notices_of_walk(&self, notices: &[Notice], flag: Verbose) {
        if flag.verbose {
            notices
                .iter()
                .for_each(|finding| self.warn(&notice_text(finding)));
            return;
        }
        let is_outside = |found: &&Notice| found.class == NoticeClass::OutsideRun;
        let (outside, others): (Vec<&Notice>, Vec<&Notice>) = notices.iter().partition(is_outside);
        self.warn_of(others.into_iter().map(notice_text), "notices");
        match outside.as_slice() {
            [] => {}
            [one] => self.warn(&notice_text(one)),
            [first, ..] => self.warn(&format!(
                "{}: {} are in containers outside any run, such as {}, and have no row; \
                 --verbose lists them",
                first.class.as_str(),
                count(outside.len(), "array"),
                first.path
            )),
        }
    }

    /// Warns of each of several things, up to a number; the rest are counted.
    pub(super) fn warn_of(&self, texts: impl ExactSizeIterator<Item = String>, what: &str) {
        let more = texts.len().saturating_sub(MOST_WARNINGS);
        texts.take(MOST_WARNINGS).for_each(|text| self.warn(&text));
        if more > 0 {
            // Thousands of warnings would push the result off the screen.
            let what = match more {
                1 => what.strip_suffix('s').unwrap_or(what),
                _ => what,
            };
            let more = number(more as u64);
            self.warn(&format!("and {more} more {what}; --json lists them all"));
        }
    }

    /// Lists what a look before an answer found, with at most one line for all damaged arrays, and
    /// says whether something could not be read. Damaged arrays are part of the answer, and data
    /// that contradicts its seal was read.
    pub(super) fn notices_of_query(&self, notices: &[Notice]) -> bool {
        let is_damaged = |found: &&Notice| found.class == NoticeClass::DamagedMetadata;
        let (damaged, others): (Vec<&Notice>, Vec<&Notice>) = notices.iter().partition(is_damaged);
        if let ([first, more @ ..], true) = (damaged.as_slice(), self.warns_of_damage.get()) {
            let more = match more.len() {
                0 => String::new(),
                more => format!(
                    "; so is the metadata of {}: dalsegno list --state damaged",
                    count(more, "other array")
                ),
            };
            self.warn(&self.with_base(&format!(
                "{}: {}: {}{more}",
                first.class.as_str(),
                first.path,
                first.detail
            )));
        }
        let others: Vec<Notice> = others.into_iter().cloned().collect();
        self.notices(&others);
        others.iter().any(|found| !found.class.contradicts_seal())
    }

    /// Warns of recorded arrays whose data is gone.
    pub(super) fn say_gone(&self, gone: u64) {
        let gone = match gone {
            0 => return,
            1 => "1 recorded array is gone".to_owned(),
            gone => format!("{} recorded arrays are gone", number(gone)),
        };
        let hint = self.with_base(
            "see which with: dalsegno list --state missing; if their folder was renamed by hand: \
             dalsegno verify --repair",
        );
        self.warn(&format!("{gone}; {hint}"));
    }

    /// A progress bar on a terminal, else a line from time to time; Ctrl-C cancels the work.
    pub(super) fn monitor(&self) -> Bar {
        self.bar("reading the catalog").interruptible()
    }

    /// The same for work that Ctrl-C ends at once, or that it does not cancel.
    pub(super) fn bar(&self, work: &'static str) -> Bar {
        Bar::new(self.terminal_err, self.global.quiet, work)
    }

    /// Does work that no monitor hears of, with a bar.
    pub(super) fn waiting<T>(&self, work: &'static str, call: impl FnOnce() -> T) -> T {
        let _bar = self.bar(work);
        call()
    }

    /// Makes the commands in a text such that they can be copied: adds `--base` if it was given,
    /// and the host that has the catalog if this one may not run them.
    pub(super) fn with_base(&self, text: &str) -> String {
        let text = self.with_host(text);
        let text = text.as_str();
        // The demonstration ends by naming DALSEGNO_BASE, so its hints need no base directory.
        let Some(base) = self.global.base.as_deref().filter(|_| !self.force_table) else {
            return text.to_owned();
        };
        let base = shell_word(&base.display().to_string());
        let call = format!("dalsegno --base {base} ");
        // First, because otherwise these commands would get a second `--base` below.
        text.replace("dalsegno --base DIR ", "dalsegno ")
            .replace("mkdir DIR ", &format!("mkdir {base} "))
            // Only behind these a call begins; elsewhere the word is part of a sentence.
            .replace(": dalsegno ", &format!(": {call}"))
            .replace("&& dalsegno ", &format!("&& {call}"))
            // A command for another base directory names that.
            .replace(&format!("{call}--base "), "dalsegno --base ")
    }

    /// The command as it was typed, to be typed again. The base directory is left out:
    /// [`Context::with_base`] adds it.
    pub(super) fn again(&self) -> String {
        let mut words = vec!["dalsegno".to_owned()];
        let mut typed = self.typed.iter();
        while let Some(word) = typed.next() {
            match word.as_str() {
                "--base" => drop(typed.next()),
                // Behind it there are only paths.
                "--" => {
                    words.push(word.clone());
                    words.extend(typed.by_ref().map(|word| shell_word(word)));
                }
                word if word.starts_with("--base=") => {}
                word => words.push(shell_word(word)),
            }
        }
        words.join(" ")
    }

    fn with_host(&self, text: &str) -> String {
        // These may come between a command and the flag that makes it one for the keeper.
        let calls = text.replace(" --measure", "").replace(" --read-data", "");
        let is_named = |call: &&str| calls.contains(&format!("dalsegno {call}"));
        match self.published.get() {
            Some(published) if FOR_KEEPER.iter().any(is_named) => {
                format!("{text} (on host {})", published.copy.host)
            }
            _ => text.to_owned(),
        }
    }
}

/// A notice of a walk as a warning.
fn notice_text(finding: &Notice) -> String {
    let Notice { path, detail, .. } = finding;
    let class = finding.class.as_str();
    // Some details begin with it.
    match detail.strip_prefix(&format!("\"{path}\" ")) {
        Some(rest) => format!("{class}: {path} {rest}"),
        None => format!("{class}: {path}: {detail}"),
    }
}
