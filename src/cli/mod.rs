//! The command line: one file a command, `render` for tables and JSON.
//!
//! stdout carries data only: a table on a terminal, TSV in a pipe, `--json`, `--jsonl`, `-0`.
//! Everything else goes to stderr. A pipe that closes ends the program quietly.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 3 partly done, 4 findings, 10 no registry here, 11 lock
//! timeout, 12 catalog damaged, 13 catalog too new, 130 interrupted.

mod args;
mod completions;
mod context;
mod demo;
mod doctor;
mod du;
mod fail;
mod files;
mod gc;
mod history;
mod init;
mod iterations;
mod list;
mod man;
mod pin;
mod progress;
mod rebuild;
mod record;
mod refresh;
mod render;
mod restore;
mod rm;
mod runs;
mod scan;
mod score;
mod seal;
mod selection;
mod show;
mod trash;
mod verify;
mod zarr;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{FromArgMatches, Parser};

use args::{Arguments, Command};
use context::Context;
use fail::Failure;

/// Runs the program with these arguments, the first one its name, and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(status(arguments))
}

/// Does the same for a host that ends the process itself, such as Python.
pub fn status(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match parse(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout with 0, usage errors to stderr with 2.
            let code = if error.use_stderr() { 2 } else { 0 };
            print(&error);
            return code;
        }
    };
    let mut context = Context::new(arguments.global);
    let result = run(&mut context, arguments.command).and_then(|()| context.flush());
    match result {
        Ok(()) => 0,
        Err(failure) => {
            let _ = context.flush();
            failure.report(&context)
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(arguments).or_else(|_| {
        // Help and usage errors speak of every command.
        let mut whole = args::whole();
        let matches = whole.try_get_matches_from_mut(arguments)?;
        Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut whole))
    })
}

/// Prints help, the version or a usage error; what was typed cannot steer the terminal.
fn print(error: &clap::Error) {
    let text = error.to_string();
    let is_tame = |c: char| !c.is_control() || c == '\n';
    let _ = if text.chars().all(is_tame) {
        error.print()
    } else {
        write!(std::io::stderr().lock(), "{}", context::escape(&text))
    };
}

fn run(context: &mut Context, command: Command) -> Result<(), Failure> {
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
        Command::Unpin(command) => pin::run_unpin(context, &command.0),
        Command::Score(command) => score::run(context, &command.0),
        Command::Gc(command) => gc::run(context, &command.0),
        Command::History(command) => history::run(context, &command.0),
        Command::Undo(command) => history::run_undo(context, &command.0),
        Command::Restore(command) => restore::run(context, &command.0),
        Command::Trash(command) => trash::run(context, &command.0),
        Command::Doctor(command) => doctor::run(context, &command.0),
        Command::Scan(command) => scan::run(context, &command.0),
        Command::Refresh(command) => refresh::run(context, &command.0),
        Command::Verify(command) => verify::run(context, &command.0),
        Command::Rebuild(command) => rebuild::run(context, &command.0),
        Command::Demo(command) => demo::run(context, &command.0),
        Command::Completions(command) => completions::run(context, &command.0),
        Command::Man(command) => man::run(context, &command.0),
    }
}
