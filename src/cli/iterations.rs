//! `iterations`: which iterations of each run have validation outputs.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render::{
    Align, Column, Record, Rows, count, or_empty, total_cells, total_fields, total_text,
};
use super::selection::Asked;
use super::sorting::Sorting;
use crate::catalog::IterationRow;
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
    /// Answer from the catalog, without a look on disk first
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    sorting: Sorting,
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
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = total_cells(&self.total);
        vec![
            self.run.clone(),
            self.iteration.to_string(),
            // Of all datasets of the run, so that one that no output has yet is seen as missing.
            format!("{}/{}", self.datasets.len(), self.datasets_of_run),
            self.outputs.to_string(),
            self.predictions.to_string(),
            self.others.to_string(),
            bytes,
            files,
            // Without metadata the number of chunks is unknown, and 0/0 would read as whole.
            match self.chunks_expected {
                0 => "-".to_owned(),
                expected => format!("{}/{expected}", self.chunks_there),
            },
            match self.complete {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            }
            .to_owned(),
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
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &Iterations) -> Result<(), Failure> {
    // Presence only: sizes are not worth a walk through every array here.
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let sort_by = command
        .sorting
        .field::<IterationRow>()
        .map_err(|why| Failure::usage(why, "dalsegno iterations --help"))?;
    let format = context.format(command.output);
    context.warns_of_damage.set(true);
    let filter = |registry: &Registry| command.asked.filter(context, registry);
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = "no iteration that matches is recorded with data";
    let mut rows = Rows::new::<IterationRow>(context, format)?;
    let mut total = Total::default();
    let mut kept = Vec::new();
    let mut failure = None;
    registry.iterations(&filter, |row| {
        total.merge(row.total);
        // The callback returns errors of the library; a failed write is kept for afterwards.
        match sort_by {
            Some(_) => kept.push(row),
            None if failure.is_none() => failure = rows.push(&row).err(),
            None => {}
        }
        Ok(())
    })?;
    failure.map_or(Ok(()), Err)?;
    if let Some(field) = sort_by {
        command.sorting.sort(&mut kept, field);
        kept.iter().try_for_each(|row| rows.push(row))?;
    }
    let written = rows.finish(nothing)?;
    // For people; in the other formats, stdout has the numbers to sum.
    if format == Format::Table && written > 0 {
        let rows = count(written, "iteration");
        context.say(&format!("{rows}, {}", total_text(&total)));
    }
    context.say_nothing(&registry, &filter, format, (written, nothing))?;
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
