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

use clap::Parser;

use args::{Arguments, Command};
use context::Context;
use fail::Failure;

/// Runs the program with these arguments, the first one its name, and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    ExitCode::from(status(arguments))
}

/// Does the same for a host that ends the process itself, such as Python.
pub fn status(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
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
        Command::Init(command) => init::run(context, &command),
        Command::Record(command) => record::run(context, &command),
        Command::Seal(command) => seal::run(context, &command),
        Command::List(command) => list::run(context, &command),
        Command::Show(command) => show::run(context, &command),
        Command::Iterations(command) => iterations::run(context, &command),
        Command::Runs(command) => runs::run(context, &command),
        Command::Du(command) => du::run(context, &command),
        Command::Rm(command) => rm::run(context, &command),
        Command::Pin(command) => pin::run(context, &command),
        Command::Unpin(command) => pin::run_unpin(context, &command),
        Command::Score(command) => score::run(context, &command),
        Command::Gc(command) => gc::run(context, &command),
        Command::History(command) => history::run(context, &command),
        Command::Undo(command) => history::run_undo(context, &command),
        Command::Restore(command) => restore::run(context, &command),
        Command::Trash(command) => trash::run(context, &command),
        Command::Doctor(command) => doctor::run(context, &command),
        Command::Scan(command) => scan::run(context, &command),
        Command::Refresh(command) => refresh::run(context, &command),
        Command::Verify(command) => verify::run(context, &command),
        Command::Rebuild(command) => rebuild::run(context, &command),
        Command::Demo(command) => demo::run(context, &command),
        Command::Completions(command) => completions::run(context, &command),
        Command::Man(command) => man::run(context, &command),
    }
}
