//! `iterations`: which iterations of each run have validation outputs.

use std::ops::ControlFlow;

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::listing::{Shape, SumRow};
use super::render::{Align, Column, Record, number, or_empty, total_cells, total_fields};
use super::selection::Asked;
use crate::catalog::{IterationRow, SummaryOptions};
use crate::error::Result as LibraryResult;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::size::Total;
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// Show which iterations of each run have validation outputs
///
/// Counts arrays that are present on disk. COMPLETE is yes if the iteration has every prediction
/// and output, by dataset and parameters, that any iteration of the run has; MISSING names the
/// others, and those that are damaged or lack chunks that the sealed ones of other iterations have.
/// COMPLETE is - if the iteration has nothing of a validation, such as a snapshot alone.
#[derive(Debug, Args)]
pub(super) struct Iterations {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    shape: Shape<IterationRow>,
    /// Answer from the catalog, without a look on disk first
    #[arg(long, help_heading = "Output")]
    no_refresh: bool,
    #[command(flatten)]
    output: Output,
}

impl Record for IterationRow {
    const NAME: &'static str = "iterations";
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATION", Align::Right),
        Column("DATASETS", Align::Right),
        Column("OUTPUTS", Align::Right),
        Column("PREDICTIONS", Align::Right),
        Column("OTHERS", Align::Right),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("CHUNKS", Align::Right),
        Column("COMPLETE", Align::Left),
        Column("MISSING", Align::Prose),
    ];
    const MINOR: &'static [&'static str] = &[
        "FILES",
        "OTHERS",
        "PREDICTIONS",
        "OUTPUTS",
        "CHUNKS",
        "DATASETS",
        "SIZE",
    ];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "iteration",
        "datasets",
        "datasets_of_run",
        "complete",
        "outputs",
        "predictions",
        "others",
        "damaged",
        "bytes",
        "files",
        "uncounted",
        "chunks_there",
        "chunks_expected",
        "missing",
        "last_written_at",
        "sealed",
        "pinned",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = total_cells(&self.total);
        vec![
            self.run.clone(),
            self.iteration.to_string(),
            datasets_cell(self),
            number(self.outputs),
            number(self.predictions),
            number(self.others),
            bytes,
            files,
            chunks_cell(self),
            complete_cell(self),
            match self.missing.is_empty() {
                true => "-".to_owned(),
                false => self.missing.join(" "),
            },
        ]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files, uncounted] = total_fields(&self.total);
        vec![
            self.run.clone(),
            self.iteration.to_string(),
            self.datasets.len().to_string(),
            self.datasets_of_run.to_string(),
            or_empty(self.complete),
            self.outputs.to_string(),
            self.predictions.to_string(),
            self.others.to_string(),
            self.damaged.to_string(),
            bytes,
            files,
            uncounted,
            self.chunks_there.to_string(),
            self.chunks_expected.to_string(),
            self.missing.join(" "),
            self.last_written_at.to_string(),
            self.sealed.to_string(),
            or_empty(self.pinned),
        ]
    }
}

/// Datasets, of all of the run, so that one that no output has yet is seen as missing.
fn datasets_cell(row: &IterationRow) -> String {
    format!("{}/{}", row.datasets.len(), row.datasets_of_run)
}

fn chunks_cell(row: &IterationRow) -> String {
    // Without metadata the number of chunks is unknown, and 0/0 would read as whole.
    match row.chunks_expected {
        0 => "-".to_owned(),
        expected => format!("{}/{}", number(row.chunks_there), number(expected)),
    }
}

fn complete_cell(row: &IterationRow) -> String {
    let words = match row.complete {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    words.to_owned()
}

impl SumRow for IterationRow {
    const NOUN: &'static str = "iteration";
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("size", "bytes"),
        ("chunks", "chunks_there"),
        ("written", "last_written_at"),
    ];
    const SORT: &'static str = "Sort by this column: age, run, iteration, datasets, outputs, \
         predictions, others, size, files, chunks, complete, missing, written, sealed, pinned, or \
         score:METRIC[:min|max]; what has no value comes last";
    const CHOOSE: &'static str = "Print these columns: age, written, sealed and pinned (numbers \
         of arrays), score:METRIC[:min|max] (the best score), or those of the table: run, \
         iteration, datasets, outputs, predictions, others, size, files, chunks, complete, missing";

    const MIN_SIZE: &'static str = "Only iterations whose arrays have at least this size together, \
         such as 500MB or 2GiB; sizes that were not counted are left out";

    fn align(field: &str) -> Align {
        match field {
            "run" => Align::Text,
            "complete" | "last_written_at" => Align::Left,
            "missing" => Align::Prose,
            _ => Align::Right,
        }
    }

    fn own_cell(&self, field: &str) -> Option<String> {
        Some(match field {
            "datasets" => datasets_cell(self),
            "chunks_there" => chunks_cell(self),
            "complete" => complete_cell(self),
            "outputs" => number(self.outputs),
            "predictions" => number(self.predictions),
            "others" => number(self.others),
            "damaged" => number(self.damaged),
            "sealed" => number(self.sealed),
            _ => return None,
        })
    }

    fn total(&self) -> &Total {
        &self.total
    }

    fn last_written_at(&self) -> Timestamp {
        self.last_written_at
    }

    fn read(
        registry: &Registry,
        filter: &Filter,
        options: &SummaryOptions<Self>,
        each: impl FnMut(Self) -> LibraryResult<ControlFlow<()>>,
    ) -> LibraryResult<()> {
        registry.iterations_by(filter, options, each)
    }
}

pub(super) fn run(context: &mut Context, command: &Iterations) -> Result<(), Failure> {
    // Presence only: sizes are not worth a walk through every array here.
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let format = context.format(command.output);
    context.warns_of_damage.set(true);
    let filter = |registry: &Registry| {
        let filter = command.asked.filter(context, registry)?;
        Ok(command.shape.of_size(filter))
    };
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = &context.or_new(&registry, "no iteration that matches is recorded with data")?;
    let shape = &command.shape;
    let of = (&command.asked, &filter);
    shape.write(context, &registry, of, format, nothing)?;
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
