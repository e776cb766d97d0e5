//! The arguments that every command shares, and the list of commands.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

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
    Init(Later<init::Init>),
    Record(Later<record::Record>),
    Seal(Later<seal::Seal>),
    List(Later<list::List>),
    Show(Later<show::Show>),
    Iterations(Later<iterations::Iterations>),
    Runs(Later<runs::Runs>),
    Du(Later<du::Du>),
    Rm(Later<rm::Rm>),
    Pin(Later<pin::PinCommand>),
    Unpin(Later<pin::UnpinCommand>),
    Score(Later<score::ScoreCommand>),
    Gc(Box<Later<gc::Gc>>),
    History(Box<Later<history::History>>),
    Undo(Later<history::Undo>),
    Restore(Later<restore::Restore>),
    Trash(Later<trash::Trash>),
    Scan(Later<scan::Scan>),
    Refresh(Later<refresh::Refresh>),
    Verify(Box<Later<verify::Verify>>),
    Rebuild(Later<rebuild::Rebuild>),
    Doctor(Later<doctor::Doctor>),
    Demo(Later<demo::Demo>),
    Completions(Later<completions::Completions>),
    Man(Later<man::Man>),
}

thread_local! {
    /// Whether the arguments of every command are to be put together.
    static IS_WHOLE: Cell<bool> = const { Cell::new(false) };
}

/// The arguments of all commands, for help, manual pages and completions.
pub(super) fn whole() -> clap::Command {
    IS_WHOLE.set(true);
    let whole = Arguments::command();
    IS_WHOLE.set(false);
    whole
}

/// The arguments of a command, put together only where that command is meant: those of all take
/// longer than many a command itself. What is printed has all of them, see [`whole`].
#[derive(Debug)]
pub(super) struct Later<T>(pub(super) T);

impl<T: Args> Args for Later<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        match IS_WHOLE.get() {
            true => T::augment_args(command),
            false => command.defer(T::augment_args),
        }
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}
