//! `list`: artifacts, one a row.

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::columns::{Chosen, ChosenRows, column};
use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render::Rows;
use super::selection::Asked;
use crate::model::artifact::Artifact;
use crate::model::filter::Filter;
use crate::model::size::ByteCount;
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// List artifacts
///
/// Sorted by run, iteration, kind, dataset and parameters. Looks on disk first for data that was
/// not seen yet.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    asked: Asked,
    /// Answer from the catalog, without a look on disk first
    #[arg(long)]
    no_refresh: bool,
    /// Only arrays of at least this size, such as 500MB or 2GiB; arrays whose size was not counted
    /// are left out
    #[arg(long, value_name = "SIZE", help_heading = "Selection")]
    min_size: Option<ByteCount>,
    /// Print at most so many
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<u64>,
    /// Print these columns: age, or fields such as run, iteration, dataset, parameters, container,
    /// path, bytes, written_at, sealed_at and pins
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = column,
        conflicts_with_all = ["json", "jsonl", "null"],
        help_heading = "Output"
    )]
    columns: Vec<Chosen>,
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
    let limit = command.limit;
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let format = context.format(command.output);
    let filter = |registry: &Registry| {
        let filter = command.asked.filter(context, registry)?;
        Ok(filter.min_bytes(command.min_size.map(|size| size.0)))
    };
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = "no artifact matches";
    if command.null {
        let mut written = 0;
        each(&registry, &filter, limit, |artifact| {
            written += 1;
            // The exact bytes: a path need not be UTF-8.
            context
                .stdout
                .write_all(artifact.path().as_os_str().as_bytes())?;
            context.stdout.write_all(b"\0")?;
            Ok(())
        })?;
        // There are no words for the format of paths but these.
        context.say_nothing(&registry, &filter, Format::Tsv, (written, nothing))?;
    } else if !command.columns.is_empty() {
        let mut rows = ChosenRows::new(context, format, &command.columns)?;
        each(&registry, &filter, limit, |artifact| rows.push(artifact))?;
        let written = rows.finish(nothing)?;
        context.say_nothing(&registry, &filter, format, (written, nothing))?;
    } else {
        let mut rows = Rows::new::<Artifact>(context, format)?;
        each(&registry, &filter, limit, |artifact| rows.push(artifact))?;
        let written = rows.finish(nothing)?;
        context.say_nothing(&registry, &filter, format, (written, nothing))?;
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}

/// Passes each artifact of a selection to `write`, until one fails or `limit` are written.
fn each(
    registry: &Registry,
    filter: &Filter,
    limit: Option<u64>,
    mut write: impl FnMut(&Artifact) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // The callback returns errors of the library; a failed write is kept for afterwards.
    let mut failure = None;
    let mut left = limit;
    if left == Some(0) {
        return Ok(());
    }
    registry.list(filter, |artifact| {
        left = left.map(|left| left - 1);
        Ok(match write(&artifact) {
            Ok(()) if left == Some(0) => ControlFlow::Break(()),
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })
    })?;
    failure.map_or(Ok(()), Err)
}
