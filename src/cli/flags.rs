//! The flags that every command shares: where the registry is, and how data is written.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

/// The options of every command: which registry, and how to behave.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Base directory: the folder that holds the runs [default: the nearest parent folder that
    /// contains .dalsegno]
    #[arg(
        long,
        value_name = "DIR",
        env = "DALSEGNO_BASE",
        global = true,
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(super) base: Option<PathBuf>,
    /// Catalog file, if it is not in the base directory
    #[arg(
        long,
        value_name = "PATH",
        env = "DALSEGNO_CATALOG",
        global = true,
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(super) catalog: Option<PathBuf>,
    /// How long to wait while another process writes
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        value_parser = duration,
        global = true,
        help_heading = "Global options"
    )]
    pub(super) lock_timeout: Duration,
    /// Print nothing but errors on stderr
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(super) quiet: bool,
    /// Print help: the whole with --help, a line for each flag with -h
    #[arg(
        long,
        short,
        action = ArgAction::Help,
        global = true,
        help_heading = "Global options"
    )]
    help: Option<bool>,
    /// Print the version
    #[arg(
        long,
        short = 'V',
        action = ArgAction::Version,
        global = true,
        help_heading = "Global options"
    )]
    version: Option<bool>,
}

/// Parses a duration such as `90s`, `72h` or `14d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time such as 90s, 72h or 14d"))
}

/// The output flags; [`Format`] is what follows from them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Args)]
pub(super) struct Output {
    /// Print one JSON document
    #[arg(long, conflicts_with_all = ["jsonl", "table"], help_heading = "Output")]
    pub(super) json: bool,
    /// Print one JSON object per line
    #[arg(long, conflicts_with = "table", help_heading = "Output")]
    pub(super) jsonl: bool,
    /// Print a table even if stdout is not a terminal
    #[arg(long, help_heading = "Output")]
    pub(super) table: bool,
    /// Print tables whole: do not shorten them to the width of the terminal
    #[arg(long, conflicts_with_all = ["json", "jsonl"], help_heading = "Output")]
    pub(super) wide: bool,
}

/// The flag that lists what is else counted.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(super) struct Verbose {
    /// List each array outside runs, and every notice: without it, the arrays are counted in one
    /// line, and of many notices the first are listed
    #[arg(long)]
    pub(super) verbose: bool,
}

/// The flag that limits the threads of a walk.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Threads {
    /// Number of threads [default: four per core, at least 8 and at most 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl Threads {
    /// The number that was given, if any.
    pub(super) fn get(self) -> Option<usize> {
        self.threads.map(usize::from)
    }
}

/// The format in which a command writes its data to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Tsv,
    Json,
    Jsonl,
}
