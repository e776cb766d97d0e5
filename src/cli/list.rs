//! `list`: artifacts, one a row.

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::columns::{Chosen, ChosenRows, Scores, column};
use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render::{Rows, count, total_text};
use super::selection::Asked;
use crate::model::artifact::Artifact;
use crate::model::filter::Filter;
use crate::model::order::{Order, SortKey};
use crate::model::size::{ByteCount, Total};
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// List artifacts
///
/// Sorted by run, iteration, kind, dataset and parameters, unless --sort says otherwise. Looks on disk first for data that was
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
    /// Sort by this column: age, size, files, iteration, run, kind, dataset, parameters, container,
    /// state, written, recorded, sealed, pinned, or score:METRIC; what has no value comes last
    #[arg(long, value_name = "COLUMN", help_heading = "Output")]
    sort: Option<SortKey>,
    /// Sort the highest first
    #[arg(long, requires = "sort", help_heading = "Output")]
    reverse: bool,
    /// Print these columns: age, score:METRIC, or fields such as run, iteration, dataset,
    /// parameters, container, path, size, written, sealed and pinned
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
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let format = context.format(command.output);
    let filter = |registry: &Registry| {
        let filter = command.asked.filter(context, registry)?;
        Ok(filter.min_bytes(command.min_size.map(|size| size.0)))
    };
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = "no artifact matches";
    let listing = Listing {
        registry: &registry,
        filter: &filter,
        order: command
            .sort
            .clone()
            .map(|by| Order::new(by).reverse(command.reverse)),
        limit: command.limit,
    };
    let mut sum = Sum::default();
    if command.null {
        let mut written = 0;
        listing.each(|artifact| {
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
        let scores = Scores::read(&registry, &filter, &command.columns)?;
        let mut rows = ChosenRows::new(context, format, &command.columns, scores)?;
        listing.each(|artifact| {
            sum.add(artifact);
            rows.push(artifact)
        })?;
        let written = rows.finish(nothing)?;
        context.say_nothing(&registry, &filter, format, (written, nothing))?;
    } else {
        let mut rows = Rows::new::<Artifact>(context, format)?;
        listing.each(|artifact| {
            sum.add(artifact);
            rows.push(artifact)
        })?;
        let written = rows.finish(nothing)?;
        context.say_nothing(&registry, &filter, format, (written, nothing))?;
    }
    // For people; in the other formats, stdout has the numbers to sum.
    if format == Format::Table && sum.artifacts > 0 {
        let artifacts = count(sum.artifacts, "artifact");
        context.say(&format!("{artifacts}, {}", total_text(&sum.total)));
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}

/// What a listing had.
#[derive(Default)]
struct Sum {
    artifacts: u64,
    total: Total,
}

impl Sum {
    fn add(&mut self, artifact: &Artifact) {
        self.artifacts += 1;
        // A container's size would count its arrays twice.
        if artifact.state.has_data() && !artifact.key.kind().is_container() {
            self.total.add(artifact.size);
        }
    }
}

/// What is listed, and in which order.
struct Listing<'a> {
    registry: &'a Registry,
    filter: &'a Filter,
    order: Option<Order>,
    limit: Option<u64>,
}

impl Listing<'_> {
    /// Passes each artifact to `write`, until one fails or the limit is reached.
    fn each(&self, mut write: impl FnMut(&Artifact) -> Result<(), Failure>) -> Result<(), Failure> {
        // The callback returns errors of the library; a failed write is kept for afterwards.
        let mut failure = None;
        let mut left = self.limit;
        if left == Some(0) {
            return Ok(());
        }
        let each = |artifact: Artifact| {
            left = left.map(|left| left - 1);
            Ok(match write(&artifact) {
                Ok(()) if left == Some(0) => ControlFlow::Break(()),
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            })
        };
        match &self.order {
            Some(order) => self.registry.list_by(self.filter, order, each)?,
            None => self.registry.list(self.filter, each)?,
        }
        failure.map_or(Ok(()), Err)
    }
}
