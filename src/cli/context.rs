//! What every command works with: the registry that is meant, stdout, stderr.

use std::cell::Cell;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::path::{Component, Path, PathBuf};

use super::args::{Global, Output};
use super::fail::Failure;
use super::progress::Bar;
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::filter::Filter;
use crate::model::name::REGISTRY_DIR;
use crate::model::progress::Monitor;
use crate::model::removal::RemovalId;
use crate::ops::refresh::RefreshOptions;
use crate::registry::{Options, Registry, Target};
use crate::store::Finding;

/// Bytes of output that are written at once: what a pipe holds.
const OUTPUT_BUFFER: usize = 64 << 10;

/// Findings that are listed on stderr; more are counted.
const MOST_FINDINGS: usize = 20;

/// The form of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Tsv,
    Json,
    Jsonl,
}

pub(super) struct Context {
    pub(super) global: Global,
    pub(super) stdout: BufWriter<StdoutLock<'static>>,
    /// Tables whatever stdout is.
    force_table: bool,
    colour_out: bool,
    colour_err: bool,
    terminal_err: bool,
    said_notice: Cell<bool>,
}

impl Context {
    pub(super) fn new(global: Global) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal_err = io::stderr().is_terminal();
        Self {
            global,
            stdout: BufWriter::with_capacity(OUTPUT_BUFFER, io::stdout().lock()),
            force_table: false,
            colour_out: !no_colour && io::stdout().is_terminal(),
            colour_err: !no_colour && terminal_err,
            terminal_err,
            said_notice: Cell::new(false),
        }
    }

    /// Sets another base directory and asks for tables, for a command that calls others.
    pub(super) fn show_for(&mut self, base: &Path) {
        self.global.base = Some(base.to_owned());
        self.global.catalog = None;
        self.force_table = true;
    }

    pub(super) fn form(&self, output: Output) -> Form {
        if output.json {
            Form::Json
        } else if output.jsonl {
            Form::Jsonl
        } else if output.table || self.force_table || io::stdout().is_terminal() {
            Form::Table
        } else {
            Form::Tsv
        }
    }

    pub(super) fn colour(&self) -> bool {
        self.colour_out
    }

    /// Columns of the terminal that stdout is.
    pub(super) fn width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|&columns| columns > 0)
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.stdout.flush()?)
    }

    /// Writes one line to stdout.
    pub(super) fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.stdout, "{text}")?)
    }

    fn stderr(&self, style: &str, head: &str, text: &str) {
        let text = escape(text);
        let mut stderr = io::stderr().lock();
        let _ = if self.colour_err {
            writeln!(stderr, "\x1b[{style}m{head}\x1b[0m {text}")
        } else {
            writeln!(stderr, "{head} {text}")
        };
    }

    /// Says what has been done, unless `--quiet`.
    pub(super) fn say(&self, text: &str) {
        if !self.global.quiet {
            let _ = writeln!(io::stderr().lock(), "{}", escape(text));
        }
    }

    pub(super) fn warn(&self, text: &str) {
        if !self.global.quiet {
            self.stderr("33", "warning:", text);
        }
    }

    pub(super) fn error(&self, code: Option<&str>, text: &str, hint: Option<&str>) {
        let head = code.map_or("error:".to_owned(), |code| format!("error[{code}]:"));
        self.stderr("1;31", &head, text);
        if let Some(hint) = hint {
            self.stderr("36", "  next:", hint);
        }
    }

    /// Lists findings on stderr.
    pub(super) fn findings(&self, findings: &[Finding]) {
        for finding in findings.iter().take(MOST_FINDINGS) {
            self.warn(&format!(
                "{}: {}: {}",
                finding.class.as_str(),
                finding.path,
                finding.detail
            ));
        }
        if findings.len() > MOST_FINDINGS {
            let more = findings.len() - MOST_FINDINGS;
            self.warn(&format!("and {more} more findings; --json gives them all"));
        }
    }

    /// A progress bar, or a line now and then where stderr is no terminal.
    pub(super) fn monitor(&self) -> Bar {
        Bar::new(self.terminal_err, self.global.quiet)
    }

    /// Text with commands in it, made to work for the base directory that was given.
    pub(super) fn with_base(&self, text: &str) -> String {
        let Some(base) = self.global.base.as_deref().filter(|_| !self.force_table) else {
            return text.to_owned();
        };
        let base = shell_word(&base.display().to_string());
        let call = format!("dalsegno --base {base} ");
        text.replace("dalsegno --base DIR ", "dalsegno ")
            .replace("mkdir DIR ", &format!("mkdir {base} "))
            .replace(": dalsegno ", &format!(": {call}"))
            .replace("&& dalsegno ", &format!("&& {call}"))
    }

    /// The base directory that is meant.
    pub(super) fn base(&self) -> Result<PathBuf, Failure> {
        if let Some(base) = &self.global.base {
            return Ok(base.clone());
        }
        let here = std::env::current_dir().map_err(|error| {
            Failure::Outside(
                format!("the current folder cannot be found: {error}"),
                "go to a folder that exists, or give --base DIR",
            )
        })?;
        here.ancestors()
            .find(|folder| folder.join(REGISTRY_DIR).is_dir())
            .map(Path::to_path_buf)
            .ok_or_else(|| CatalogError::NoRegistry { base: here.clone() }.into())
    }

    pub(super) fn options(&self) -> Options {
        let (colour, quiet) = (self.colour_err, self.global.quiet);
        let options = Options::new()
            .lock_timeout(self.global.lock_timeout)
            .monitor(self.monitor())
            .on_wait(move |holder| {
                if !quiet {
                    let head = if colour {
                        "\x1b[33mwaiting:\x1b[0m"
                    } else {
                        "waiting:"
                    };
                    let holder = escape(holder);
                    let _ = writeln!(
                        io::stderr().lock(),
                        "{head} the catalog is locked by {holder}"
                    );
                }
            });
        match &self.global.catalog {
            Some(catalog) => options.catalog(catalog),
            None => options,
        }
    }

    /// Opens the registry for a change.
    pub(super) fn open(&self) -> Result<Registry, Failure> {
        let registry = self.options().open(self.base()?)?;
        self.recovered(&registry);
        Ok(registry)
    }

    /// Says what opening has settled.
    pub(super) fn recovered(&self, registry: &Registry) {
        let recovery = registry.recovery();
        self.settled(&recovery.undone, &recovery.purged);
        for problem in &recovery.problems {
            self.warn(problem);
        }
    }

    /// Says what became of removals that a crash had interrupted.
    pub(super) fn settled(&self, undone: &[RemovalId], purged: &[RemovalId]) {
        for id in undone {
            self.say(&format!(
                "removal {id} was interrupted and is undone: everything of it is back"
            ));
        }
        for id in purged {
            self.say(&format!(
                "what was left of removal {id} in the trash is unlinked"
            ));
        }
    }

    /// Opens the registry for a question about one thing.
    pub(super) fn open_read_only(&self) -> Result<Registry, Failure> {
        let base = self.base()?;
        let reading = || self.options().read_only(true).open(&base);
        let registry = match reading() {
            // After an upgrade, whoever may brings it up, even with a question.
            Err(error @ Error::Catalog(CatalogError::Behind { .. })) => {
                match self.options().open(&base) {
                    Err(Error::Catalog(CatalogError::ReadOnly { .. })) => return Err(error.into()),
                    migrated => self.recovered(&migrated?),
                }
                reading()?
            }
            opened => opened?,
        };
        self.notice(&registry);
        let pending = registry.pending()?;
        if !pending.unsettled.is_empty() {
            let what = match pending.unsettled.len() {
                1 => "a removal is in flight or was interrupted".to_owned(),
                open => format!("{open} removals are in flight or were interrupted"),
            };
            let hint = self.with_base("see: dalsegno doctor");
            self.warn(&format!(
                "{what}; the next command that writes settles that; {hint}"
            ));
        }
        Ok(registry)
    }

    fn notice(&self, registry: &Registry) {
        if let Some(notice) = registry.notice()
            && !self.said_notice.replace(true)
        {
            self.warn(notice);
        }
    }

    /// Opens the registry so that it can be refreshed, where that is wanted and it can be written;
    /// else for reading only.
    pub(super) fn open_to_refresh(&self, refresh: bool) -> Result<Registry, Failure> {
        if !refresh {
            return self.open_read_only();
        }
        match self.options().open(self.base()?) {
            Err(Error::Catalog(CatalogError::ReadOnly { .. })) => {
                let registry = self.open_read_only()?;
                if registry.notice().is_none() {
                    self.warn("the catalog cannot be written; what is shown was not refreshed");
                }
                Ok(registry)
            }
            registry => {
                let registry = registry?;
                self.recovered(&registry);
                Ok(registry)
            }
        }
    }

    /// Opens the registry for a question about a selection, and looks for its data first where
    /// that is wanted and the catalog can be written. The second value says whether something
    /// could not be read.
    pub(super) fn open_refreshed(
        &self,
        filter: &Filter,
        refresh: Option<RefreshOptions>,
    ) -> Result<(Registry, bool), Failure> {
        let Some(refresh) = refresh else {
            return Ok((self.open_read_only()?, false));
        };
        let registry = self.open_to_refresh(true)?;
        if registry.is_read_only() {
            return Ok((registry, false));
        }
        let monitor = self.monitor();
        let about = filter.before_a_look();
        let report = registry.refresh(&about, refresh, &monitor as &dyn Monitor)?;
        drop(monitor);
        self.findings(&report.findings);
        Ok((registry, !report.findings.is_empty()))
    }

    /// What a path on the command line means: below the current folder if that is in the base
    /// directory, else below the base directory.
    pub(super) fn target(&self, registry: &Registry, path: &Path) -> Target {
        let base = registry.base();
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_plain = |path: &Path| !path.components().any(|part| part == Component::ParentDir);
        if absolute.starts_with(base) && is_plain(&absolute) {
            return Target::Path(absolute);
        }
        let real = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        // The last component stays as it is: a link is never taken for what it points to.
        let resolved = absolute.parent().zip(absolute.file_name());
        let resolved =
            resolved.and_then(|(parent, name)| Some(parent.canonicalize().ok()?.join(name)));
        let typed = absolute.clone();
        for place in std::iter::once(absolute).chain(resolved) {
            if let Ok(relative) = place.strip_prefix(&real)
                && is_plain(relative)
            {
                return Target::Path(base.join(relative));
            }
        }
        let mut tidy = PathBuf::new();
        let start = if is_plain(path) { path } else { &typed };
        for part in start.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    tidy.pop();
                }
                part => tidy.push(part),
            }
        }
        Target::Path(tidy)
    }
}

/// A word as a shell reads it.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Text for a screen: control characters but the end of a line are escaped.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            out.extend(character.escape_debug());
        } else {
            out.push(character);
        }
    }
    out
}
