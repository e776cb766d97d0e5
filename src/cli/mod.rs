//! The command line: one file a command, `render` for tables and JSON.
//!
//! stdout carries data only: a table on a terminal, TSV in a pipe, `--json`, `--jsonl`, `-0`.
//! Everything else goes to stderr. A pipe that closes ends the program quietly.
//!
//! Exit codes: 0 done, 1 failed, 2 usage, 3 partly done, 4 findings, 10 no registry here, 11 lock
//! timeout, 12 catalog damaged, 13 catalog too new, 130 interrupted.

mod artifacts;
mod columns;
mod commands;
mod complete;
mod completions;
mod context;
mod demo;
mod doctor;
mod du;
mod ended;
mod examples;
mod fail;
mod files;
mod flags;
mod former;
mod gc;
mod hints;
mod history;
mod init;
mod interrupt;
mod iterations;
mod list;
mod listing;
mod man;
mod mv;
mod nothing;
mod opening;
mod pin;
mod pins;
mod progress;
mod prompt;
mod publish;
mod rebuild;
mod record;
mod refresh;
mod removal;
mod render;
mod report;
mod restore;
mod rm;
mod runs;
mod scan;
mod score;
mod seal;
mod selection;
mod shells;
mod show;
mod subjects;
mod target;
mod time;
mod trash;
mod undo;
mod unpin;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use crate::model::steering::steers;
use context::Context;
use render::escape;

/// Runs the program with these arguments, the first one its name, and gives its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    interrupt::watch(progress::print);
    let status = status(arguments);
    interrupt::finish();
    if status == interrupt::EXIT_CODE {
        interrupt::end_process();
    }
    ExitCode::from(status)
}

/// Does the same for a host that ends the process itself, such as Python.
pub fn status(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if complete::complete(&arguments, commands::full_command) {
        return 0;
    }
    let typed = arguments.iter().skip(1);
    let typed = typed
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let arguments = match commands::parse(&arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to stdout with 0, usage errors to stderr with 2.
            let code = if error.use_stderr() { 2 } else { 0 };
            print(&error);
            return code;
        }
    };
    let mut context = Context::new(arguments.global);
    context.typed = typed;
    let result = commands::run(&mut context, arguments.command).and_then(|()| context.flush());
    match result {
        Ok(()) => 0,
        Err(failure) => {
            // Rows that were written before the failure still go out; the failure is what counts.
            let _ = context.flush();
            report::report(&failure, &context)
        }
    }
}

/// Prints help, the version or a usage error; what was typed cannot steer the terminal.
fn print(error: &clap::Error) {
    let text = error.to_string();
    let is_tame = |c: char| !steers(c) || c == '\n';
    let fitting = match error.use_stderr() {
        true => progress::fitting(&text),
        // Help is as wide as the terminal already.
        false => text.clone(),
    };
    let _ = if text.chars().all(is_tame) && fitting == text {
        // clap's own printing has colours, and is used unless something must be escaped or folded.
        error.print()
    } else {
        write!(std::io::stderr().lock(), "{}", escape(&fitting))
    };
}
