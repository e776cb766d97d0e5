//! `list`: the artifacts of a selection.

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

/// List the artifacts of a selection
///
/// In the order run, iteration, kind, dataset, parameters. Rows whose data was not seen yet are
/// looked for on disk first.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    selection: Selection,
    /// Do not look on disk first
    #[arg(long)]
    no_refresh: bool,
    /// Paths only, exact, each followed by a NUL
    #[arg(short = '0', long = "null", conflicts_with_all = ["json", "jsonl", "table"], help_heading = "Output")]
    null: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &List) -> Result<(), Failure> {
    let filter = command.selection.filter();
    let refresh = (!command.no_refresh).then(RefreshOptions::default);
    let (registry, partly) = context.open_refreshed(&filter, refresh)?;
    if command.null {
        each(&registry, &filter, |artifact| {
            context
                .stdout
                .write_all(artifact.path().as_os_str().as_bytes())?;
            context.stdout.write_all(b"\0")?;
            Ok(())
        })?;
    } else {
        let format = context.format(command.output);
        let mut rows = Rows::new::<Artifact>(context, format)?;
        each(&registry, &filter, |artifact| rows.push(artifact))?;
        rows.finish("no artifact is selected")?;
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}

/// Gives every artifact of a selection to `write`; its failure ends the listing.
fn each(
    registry: &Registry,
    filter: &Filter,
    mut write: impl FnMut(&Artifact) -> Result<(), Failure>,
) -> Result<(), Failure> {
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
