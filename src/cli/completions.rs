//! `completions`: a completion script for a shell.

use clap::Args;
use clap_complete::Shell;

use super::context::Context;
use super::fail::Failure;

/// Print a completion script for a shell
///
/// For example: dalsegno completions bash > ~/.local/share/bash-completion/completions/dalsegno
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// Shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(
    context: &mut Context,
    command: &Completions,
    mut program: clap::Command,
) -> Result<(), Failure> {
    // Into memory first, because clap_complete panics if the pipe closes while it writes.
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut program, "dalsegno", &mut script);
    std::io::Write::write_all(&mut context.stdout, &script)?;
    Ok(())
}
