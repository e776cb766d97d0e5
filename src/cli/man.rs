//! `man`: the manual pages, made from the help texts.

use std::io::Write;

use clap::Args;

use super::context::Context;
use super::fail::Failure;

/// Print a manual page
///
/// For example: dalsegno man > dalsegno.1, dalsegno man scan > dalsegno-scan.1
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Command to describe [default: the program as a whole]
    command: Option<String>,
}

pub(super) fn run(
    context: &mut Context,
    command: &Man,
    mut program: clap::Command,
) -> Result<(), Failure> {
    // Gives each command the global flags, so that its page has them.
    program.build();
    let page = match &command.command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                return Err(Failure::usage(
                    format!("there is no command \"{name}\""),
                    "list the commands with: dalsegno --help",
                ));
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    context.stdout.write_all(&text)?;
    Ok(())
}
