//! The command `demo`: creates the base directory and runs the steps.

use std::path::{Path, PathBuf};

use clap::Args;

use super::runs;
use super::steps::STEPS;
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::interrupt;
use crate::cli::render::shell_word;

/// Create a small base directory with real zarr arrays, and show what dalsegno does with it
///
/// Prints each step with its command, then runs it. The folder is kept, to try more commands on it.
#[derive(Debug, Args)]
pub(in crate::cli) struct Demo {
    /// Folder to create; may exist if it is empty [default: a new one in the temporary folder]
    dir: Option<PathBuf>,
}

/// The hint if the folder cannot be used.
const ELSEWHERE: &str = "name a folder that does not exist yet: dalsegno demo DIR";

/// A function that runs a command given as words.
type RunCommand = fn(&mut Context, &[&str]) -> Result<(), Failure>;

pub(in crate::cli) fn run(
    context: &mut Context,
    command: &Demo,
    run_command: RunCommand,
) -> Result<(), Failure> {
    interrupt::changes();
    let base = folder(command.dir.as_deref())?;
    context.line(&format!(
        "A base directory with two runs, made for this: {}",
        base.display()
    ))?;
    runs::write(&base).map_err(|error| {
        Failure::Outside(
            format!("writing arrays to {} failed: {error}", base.display()),
            ELSEWHERE,
        )
    })?;
    // From here on, commands run as if they were typed in that folder.
    context.show_for(&base);
    for (text, commands) in STEPS {
        context.line(&format!("\n# {text}"))?;
        for words in *commands {
            step(context, words, run_command)?;
        }
    }
    let base = base.display();
    context.line(&format!(
        "\nIt is yours to play with: export DALSEGNO_BASE={base}"
    ))
}

/// Prints a command and runs it.
fn step(context: &mut Context, words: &[&str], command: RunCommand) -> Result<(), Failure> {
    let (bold, plain) = if context.colour() {
        ("\x1b[1m", "\x1b[0m")
    } else {
        ("", "")
    };
    let shown: Vec<String> = words.iter().map(|word| shell_word(word)).collect();
    context.line(&format!("{bold}$ dalsegno {}{plain}", shown.join(" ")))?;
    // The command is on the screen before what it prints on stderr.
    context.flush()?;
    command(context, words)?;
    context.flush()
}

/// The folder to use: new or empty.
fn folder(given: Option<&Path>) -> Result<PathBuf, Failure> {
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Outside(
            format!("making {} failed: {error}", path.display()),
            ELSEWHERE,
        )
    };
    let Some(path) = given else {
        let temporary = std::env::temp_dir();
        return tempfile::Builder::new()
            .prefix("dalsegno-demo-")
            .tempdir()
            // The user goes on with it after the demonstration.
            .map(tempfile::TempDir::keep)
            .map_err(|error| failed(&temporary, error));
    };
    let path = std::path::absolute(path).map_err(|error| failed(path, error))?;
    if path.exists() && !path.is_dir() {
        return Err(Failure::usage(
            format!("{} is not a folder", path.display()),
            ELSEWHERE,
        ));
    }
    std::fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
    // An existing folder may hold a real base directory, so only an empty one is used.
    let mut entries = std::fs::read_dir(&path).map_err(|error| failed(&path, error))?;
    if entries.next().is_some() {
        return Err(Failure::usage(
            format!("{} is not empty", path.display()),
            ELSEWHERE,
        ));
    }
    Ok(path)
}
