//! `list`: artifacts, one a row.

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::render::Rows;
use super::selection::Selection;
use crate::model::artifact::Artifact;
use crate::model::filter::Filter;
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// List artifacts
///
/// Sorted by run, iteration, kind, dataset and parameters. Looks on disk first for data that was
/// not seen yet.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    selection: Selection,
    /// Answer from the catalog, without a look on disk first
    #[arg(long)]
    no_refresh: bool,
    /// Print paths only, each followed by a NUL byte
    #[arg(
        short = '0',
        long = "null",
        conflicts_with_all = ["json", "jsonl", "table"],
        help_heading = "Output"
    )]
    null: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &ListCommand) -> Result<(), Failure> {
    let filter = command.selection.filter();
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let format = context.format(command.output);
    let (registry, partly) = context.open_refreshed(&filter, refresh, format)?;
    if command.null {
        each(&registry, &filter, |artifact| {
            // The exact bytes: a path need not be UTF-8.
            context
                .stdout
                .write_all(artifact.path().as_os_str().as_bytes())?;
            context.stdout.write_all(b"\0")?;
            Ok(())
        })?;
    } else {
        let mut rows = Rows::new::<Artifact>(context, format)?;
        each(&registry, &filter, |artifact| rows.push(artifact))?;
        rows.finish("no artifact matches")?;
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}

/// Passes each artifact of a selection to `write`, until one fails.
fn each(
    registry: &Registry,
    filter: &Filter,
    mut write: impl FnMut(&Artifact) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // The callback returns errors of the library; a failed write is kept for afterwards.
    let mut failure = None;
    registry.list(filter, |artifact| {
        Ok(match write(&artifact) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })
    })?;
    failure.map_or(Ok(()), Err)
}
