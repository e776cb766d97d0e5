//! The list of commands: their names, help and arguments, and which file runs each.

use std::cell::Cell;
use std::ffi::OsString;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::context::Context;
use super::examples::{self, with_examples};
use super::fail::Failure;
use super::flags::Global;
use super::render::escape;
use super::{
    completions, demo, doctor, du, gc, history, init, interrupt, iterations, list, man, mv, pin,
    publish, rebuild, record, refresh, restore, rm, runs, scan, score, seal, show, trash, undo,
    unpin, verify,
};

/// Registry of the zarr arrays that training runs write: which iterations have validation outputs,
/// where they are, how much space they take. Removes arrays together with their rows.
#[derive(Debug, Parser)]
#[command(
    name = "dalsegno",
    version,
    max_term_width = 100,
    propagate_version = true,
    // Behind the flags that are used more: see `Global`.
    disable_help_flag = true,
    disable_version_flag = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 partly done, 4 findings, \
    10 no registry here, 11 lock timeout, 12 catalog damaged, 13 catalog too new, 130 interrupted."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Init(Deferred<init::Init>),
    Record(Deferred<record::Record>),
    Seal(Deferred<seal::SealCommand>),
    List(Deferred<list::ListCommand>),
    Show(Deferred<show::ShowCommand>),
    Iterations(Deferred<iterations::Iterations>),
    Runs(Deferred<runs::Runs>),
    Du(Deferred<du::Du>),
    Rm(Deferred<rm::Rm>),
    Mv(Deferred<mv::Mv>),
    Pin(Deferred<pin::PinCommand>),
    Unpin(Deferred<unpin::UnpinCommand>),
    Score(Deferred<score::ScoreCommand>),
    Gc(Box<Deferred<gc::Gc>>),
    History(Box<Deferred<history::History>>),
    Undo(Deferred<undo::Undo>),
    Restore(Deferred<restore::Restore>),
    Trash(Deferred<trash::TrashCommand>),
    Scan(Deferred<scan::Scan>),
    Refresh(Deferred<refresh::Refresh>),
    Verify(Box<Deferred<verify::VerifyCommand>>),
    Rebuild(Deferred<rebuild::Rebuild>),
    Publish(Deferred<publish::Publish>),
    Doctor(Deferred<doctor::Doctor>),
    Demo(Deferred<demo::Demo>),
    Completions(Deferred<completions::Completions>),
    Man(Deferred<man::Man>),
}

thread_local! {
    /// Whether [`Deferred`] builds the arguments of every command at once.
    static ALL_COMMANDS: Cell<bool> = const { Cell::new(false) };
}

/// The arguments of all commands, for help, manual pages and completions.
pub(super) fn full_command() -> clap::Command {
    // A thread-local, because clap calls `augment_args` without a context to pass it in.
    ALL_COMMANDS.set(true);
    let command = Arguments::command();
    ALL_COMMANDS.set(false);
    with_examples(command)
}

/// The arguments of one command, built only when that command is called: building those of every
/// command takes longer than many commands run. Help needs all of them, see [`full_command`].
#[derive(Debug)]
pub(super) struct Deferred<T>(pub(super) T);

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        match ALL_COMMANDS.get() {
            true => T::augment_args(command),
            false => command.defer(T::augment_args),
        }
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

/// Parses a command line, the program's name first.
pub(super) fn parse(arguments: &[OsString]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(arguments).or_else(|_| {
        // Deferred arguments are missing from help and usage errors: parse again with all of them.
        let mut command = full_command();
        let arguments = match help_of_help(arguments) {
            Some(asked) => {
                command.build();
                command = command.mut_subcommand("help", |help| {
                    help.after_help(examples::text(&HELP_EXAMPLES))
                });
                asked
            }
            None => arguments.to_vec(),
        };
        let matches = command.try_get_matches_from_mut(arguments)?;
        Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    })
}

/// Calls of `help`, for its own help.
const HELP_EXAMPLES: [&str; 3] = [
    "dalsegno help",
    "dalsegno help gc",
    "dalsegno help trash empty",
];

/// `help help` for a line that asks for the help of `help` in another way, which clap does not
/// know.
fn help_of_help(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let words: Vec<&str> = arguments.iter().map_while(|word| word.to_str()).collect();
    let is_asked = match words.get(1..)? {
        // Not below other commands, where the word may be the path of a run.
        ["help", asked] | ["trash" | "history", "help", asked] => {
            ["--help", "-h", "help"].contains(asked)
        }
        _ => false,
    };
    (is_asked && words.len() == arguments.len()).then(|| {
        let (_, before) = arguments.split_last().expect("three words at least");
        before.iter().cloned().chain(["help".into()]).collect()
    })
}

/// Sets what is said if Ctrl-C ends a command between its work.
fn say_if_interrupted(context: &Context, command: &Command) {
    let again = "run the same command again";
    let (text, only_reads) = match command {
        Command::Gc(gc) if !gc.0.applies() => {
            (format!("nothing was removed; for the plan, {again}"), true)
        }
        Command::List(_)
        | Command::Show(_)
        | Command::Iterations(_)
        | Command::Runs(_)
        | Command::Du(_)
        | Command::History(_) => (format!("no data was touched; for an answer, {again}"), true),
        // Until they begin to remove.
        Command::Gc(_) | Command::Rm(_) => {
            (format!("nothing was removed; to do it, {again}"), false)
        }
        Command::Trash(_) => (format!("nothing was unlinked; to do it, {again}"), false),
        _ => (interrupt::CHANGED.to_owned(), false),
    };
    let text = escape(&context.with_base(&text));
    match only_reads {
        true => interrupt::only_reads(text),
        false => interrupt::leaves(text),
    }
}

/// The name of a command that takes paths of what is in runs, beside flags.
fn by_path(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::Seal(_) => "seal",
        Command::List(_) => "list",
        Command::Show(_) => "show",
        Command::Iterations(_) => "iterations",
        Command::Runs(_) => "runs",
        Command::Du(_) => "du",
        Command::Rm(rm) if !rm.0.takes_whole_run() => "rm",
        Command::Pin(_) => "pin",
        Command::Unpin(_) => "unpin",
        Command::Gc(_) => "gc",
        Command::History(_) => "history",
        Command::Restore(_) => "restore",
        Command::Refresh(_) => "refresh",
        Command::Verify(_) => "verify",
        _ => return None,
    })
}

/// Runs a command.
pub(super) fn run(context: &mut Context, command: Command) -> Result<(), Failure> {
    say_if_interrupted(context, &command);
    context.by_path.set(by_path(&command));
    match command {
        Command::Init(command) => init::run(context, &command.0),
        Command::Record(command) => record::run(context, &command.0),
        Command::Seal(command) => seal::run(context, &command.0),
        Command::List(command) => list::run(context, &command.0),
        Command::Show(command) => show::run(context, &command.0),
        Command::Iterations(command) => iterations::run(context, &command.0),
        Command::Runs(command) => runs::run(context, &command.0),
        Command::Du(command) => du::run(context, &command.0),
        Command::Rm(command) => rm::run(context, &command.0),
        Command::Pin(command) => pin::run(context, &command.0),
        Command::Unpin(command) => unpin::run(context, &command.0),
        Command::Score(command) => score::run(context, &command.0),
        Command::Gc(command) => gc::run(context, &command.0),
        Command::History(command) => history::run(context, &command.0),
        Command::Undo(command) => undo::run(context, &command.0),
        Command::Restore(command) => restore::run(context, &command.0),
        Command::Trash(command) => trash::run(context, &command.0),
        Command::Doctor(command) => doctor::run(context, &command.0),
        Command::Scan(command) => scan::run(context, &command.0),
        Command::Mv(command) => mv::run(context, &command.0),
        Command::Refresh(command) => refresh::run(context, &command.0),
        Command::Verify(command) => verify::run(context, &command.0),
        Command::Rebuild(command) => rebuild::run(context, &command.0),
        Command::Publish(command) => publish::run(context, &command.0),
        Command::Demo(command) => demo::run(context, &command.0, run_words),
        Command::Completions(command) => completions::run(context, &command.0),
        Command::Man(command) => man::run(context, &command.0, full_command()),
    }
}

/// Runs a command that is given as words; `demo` calls it, which must not import this list.
fn run_words(context: &mut Context, words: &[&str]) -> Result<(), Failure> {
    let arguments = std::iter::once("dalsegno").chain(words.iter().copied());
    let arguments: Vec<OsString> = arguments.map(OsString::from).collect();
    let arguments = parse(&arguments)
        .map_err(|error| Failure::Other(format!("the demonstration has a wrong step: {error}")))?;
    run(context, arguments.command)
}
