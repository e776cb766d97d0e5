//! The flags that every command shares: where the registry is, and how data is written.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Global {
    /// Base directory: the folder that holds the runs [default: the nearest parent that has
    /// .dalsegno]
    #[arg(
        long,
        value_name = "DIR",
        env = "DALSEGNO_BASE",
        global = true,
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub(super) base: Option<PathBuf>,
    /// Catalog file, where it is not in the base directory
    #[arg(
        long,
        value_name = "PATH",
        env = "DALSEGNO_CATALOG",
        global = true,
        hide_env_values = true,
        help_heading = "Everywhere"
    )]
    pub(super) catalog: Option<PathBuf>,
    /// How long to wait while others write
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        value_parser = duration,
        global = true,
        help_heading = "Everywhere"
    )]
    pub(super) lock_timeout: Duration,
    /// Say nothing on stderr but errors
    #[arg(long, short, global = true, help_heading = "Everywhere")]
    pub(super) quiet: bool,
}

/// Reads a length of time such as `90s`, `72h`, `14d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 90s, 72h, 14d"))
}

/// How a command writes its data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Args)]
pub(super) struct Output {
    /// One JSON document
    #[arg(long, conflicts_with_all = ["jsonl", "table"], help_heading = "Output")]
    pub(super) json: bool,
    /// One JSON object a line
    #[arg(long, conflicts_with = "table", help_heading = "Output")]
    pub(super) jsonl: bool,
    /// A table, in a pipe too
    #[arg(long, help_heading = "Output")]
    pub(super) table: bool,
}

/// The format of a command's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Tsv,
    Json,
    Jsonl,
}
