//! `runs`: counts and sizes, one run a row.

use std::ops::ControlFlow;

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::listing::{Shape, SumRow};
use super::render::{
    Align, Column, Record, number, or_dash, or_empty, short_time, total_cells, total_fields,
};
use super::selection::Asked;
use crate::catalog::{RunRow, SummaryOptions};
use crate::error::Result as LibraryResult;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::size::Total;
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// Show what each run has
///
/// Counts arrays that are present, reserved (recorded, no data seen yet) and missing (the data is
/// gone), and the bytes and files of the present ones.
#[derive(Debug, Args)]
pub(super) struct Runs {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    shape: Shape<RunRow>,
    /// Answer from the catalog, without a look on disk first
    #[arg(long, help_heading = "Output")]
    no_refresh: bool,
    #[command(flatten)]
    output: Output,
}

impl Record for RunRow {
    const NAME: &'static str = "runs";
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATIONS", Align::Right),
        Column("LAST", Align::Right),
        Column("PRESENT", Align::Right),
        Column("RESERVED", Align::Right),
        Column("MISSING", Align::Right),
        Column("DAMAGED", Align::Right),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("WRITTEN (UTC)", Align::Left),
    ];
    const MINOR: &'static [&'static str] = &[
        "FILES",
        "RESERVED",
        "WRITTEN (UTC)",
        "ITERATIONS",
        "DAMAGED",
        "MISSING",
        "PRESENT",
        "LAST",
    ];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "iterations",
        "last_iteration",
        "present",
        "reserved",
        "missing",
        "damaged",
        "bytes",
        "files",
        "uncounted",
        "last_written_at",
        "sealed",
        "pinned",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = total_cells(&self.total);
        vec![
            self.run.clone(),
            number(self.iterations),
            or_dash(self.last_iteration),
            number(self.present),
            number(self.reserved),
            number(self.missing),
            // Seldom anything but 0, and a dash keeps the eye for the runs that have some.
            match self.damaged {
                0 => "-".to_owned(),
                damaged => number(damaged),
            },
            bytes,
            files,
            short_time(self.last_written_at),
        ]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files, uncounted] = total_fields(&self.total);
        vec![
            self.run.clone(),
            self.iterations.to_string(),
            or_empty(self.last_iteration),
            self.present.to_string(),
            self.reserved.to_string(),
            self.missing.to_string(),
            self.damaged.to_string(),
            bytes,
            files,
            uncounted,
            self.last_written_at.to_string(),
            self.sealed.to_string(),
            or_empty(self.pinned),
        ]
    }
}

impl SumRow for RunRow {
    const NOUN: &'static str = "run";
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("size", "bytes"),
        ("last", "last_iteration"),
        ("written", "last_written_at"),
    ];
    const SORT: &'static str = "Sort by this column: age, run, iterations, last, present, \
         reserved, missing, damaged, size, files, written, sealed, pinned, or \
         score:METRIC[:min|max]; what has no value comes last";
    const CHOOSE: &'static str = "Print these columns: age, sealed and pinned (numbers of \
         arrays), score:METRIC[:min|max] (the best score), or those of the table: run, \
         iterations, last, present, reserved, missing, damaged, size, files, written";

    const MIN_SIZE: &'static str = "Only runs whose arrays have at least this size together, such \
         as 500MB or 2GiB; sizes that were not counted are left out";

    fn align(field: &str) -> Align {
        match field {
            "run" => Align::Text,
            "last_written_at" => Align::Left,
            _ => Align::Right,
        }
    }

    fn own_cell(&self, field: &str) -> Option<String> {
        Some(match field {
            "iterations" => number(self.iterations),
            "present" => number(self.present),
            "reserved" => number(self.reserved),
            "missing" => number(self.missing),
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
        registry.runs_by(filter, options, each)
    }
}

pub(super) fn run(context: &mut Context, command: &Runs) -> Result<(), Failure> {
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let format = context.format(command.output);
    let filter = |registry: &Registry| {
        let filter = command.asked.filter(context, registry)?;
        Ok(command.shape.of_size(filter))
    };
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = context.or_new(&registry, "no run matches")?;
    let shape = &command.shape;
    let of = (&command.asked, &filter);
    shape.write(context, &registry, of, format, &nothing)?;
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
