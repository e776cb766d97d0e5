//! The arguments that every command shares, and the list of commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use super::{
    completions, demo, doctor, du, gc, history, init, iterations, list, man, pin, rebuild, record,
    refresh, restore, rm, runs, scan, score, seal, show, trash, verify,
};

/// The registry of what training runs wrote: which iterations have validation outputs, where
/// they are, what they take.
#[derive(Debug, Parser)]
#[command(
    name = "dalsegno",
    version,
    max_term_width = 100,
    propagate_version = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 partly done, 4 findings, \
    10 no registry here, 11 lock timeout, 12 catalog damaged, 13 catalog too new, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

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

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(init::Init),
    Record(record::Record),
    Seal(seal::Seal),
    List(list::List),
    Show(show::Show),
    Iterations(iterations::Iterations),
    Runs(runs::Runs),
    Du(du::Du),
    Rm(rm::Rm),
    Pin(pin::PinCommand),
    Unpin(pin::UnpinCommand),
    Score(score::ScoreCommand),
    Gc(Box<gc::Gc>),
    History(Box<history::History>),
    Undo(history::Undo),
    Restore(restore::Restore),
    Trash(trash::Trash),
    Scan(scan::Scan),
    Refresh(refresh::Refresh),
    Verify(Box<verify::Verify>),
    Rebuild(rebuild::Rebuild),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}
