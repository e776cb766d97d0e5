//! The command `history` and its subcommands.

use clap::{Args, Subcommand};

use super::list::HistoryList;
use super::{export, head, list, show, verify};
use crate::cli::context::Context;
use crate::cli::fail::Failure;

/// Show who changed the catalog, when and why, newest first
///
/// Every change is an operation with a number. A PATH also finds what was removed there long ago.
/// On a terminal, the last 50 operations are shown.
#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(in crate::cli) struct History {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    list: HistoryList,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    Show(show::HistoryShow),
    Head(head::Head),
    Verify(verify::HistoryVerify),
    Export(export::Export),
}

pub(in crate::cli) fn run(context: &mut Context, command: &History) -> Result<(), Failure> {
    let Some(subcommand) = &command.command else {
        return list::run(context, &command.list);
    };
    // Global options are allowed anywhere; those of the list would be ignored by a subcommand.
    if command.list != HistoryList::default() {
        return Err(Failure::usage(
            "options of the list are given before a subcommand",
            "leave them out, or give them after the subcommand; see: dalsegno history --help",
        ));
    }
    match subcommand {
        HistoryCommand::Show(show) => show::run(context, show),
        HistoryCommand::Head(head) => head::run(context, head),
        HistoryCommand::Verify(verify) => verify::run(context, verify),
        HistoryCommand::Export(export) => export::run(context, export),
    }
}
