//! `man`: the manual pages, made from the help texts.

use std::io::Write;

use clap::Args;

use super::context::Context;
use super::fail::Failure;

/// Print a manual page
///
/// Of the program as a whole, or of a command, such as scan or trash empty.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Command to describe [default: the program as a whole]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(
    context: &mut Context,
    command: &Man,
    mut program: clap::Command,
) -> Result<(), Failure> {
    // Gives each command the global flags, so that its page has them.
    program.build();
    let mut page = program;
    for name in &command.command {
        page = match page.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                return Err(Failure::usage(
                    format!("there is no command \"{}\"", command.command.join(" ")),
                    "list the commands with: dalsegno --help",
                ));
            }
        };
    }
    let mut text = Vec::new();
    // The name by which the page is found, in its footer too.
    let name = page.get_display_name().unwrap_or_else(|| page.get_name());
    let source = format!("{name} {}", page.get_version().unwrap_or_default());
    clap_mangen::Man::new(page)
        .source(source)
        .render(&mut text)?;
    context.stdout.write_all(&text)?;
    Ok(())
}
