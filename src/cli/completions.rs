//! `completions`: a completion script for a shell.

use clap::{Args, ValueEnum as _};
use clap_complete::Shell;

use super::complete;
use super::context::Context;
use super::fail::Failure;

/// Print a completion script for a shell
///
/// It completes commands, flags and names: of runs, datasets, kinds, states, pins, policies,
/// metrics, removals and operations, as the catalog has them at that moment. Have the shell read it
/// at each start, with a line in its configuration:
///
///   bash: source <(dalsegno completions bash)
///   zsh:  source <(dalsegno completions zsh)     after compinit
///   fish: dalsegno completions fish | source
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Completions {
    /// Shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(context: &mut Context, command: &Completions) -> Result<(), Failure> {
    let shell = command.shell.to_possible_value();
    let script = complete::script(shell.as_ref().map_or("", |shell| shell.get_name()))?;
    std::io::Write::write_all(&mut context.stdout, &script)?;
    Ok(())
}
