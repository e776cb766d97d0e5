//! `runs`: counts and sizes, one run a row.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::render::{
    Align, Column, Record, Rows, count, or_dash, or_empty, short_time, total_cells, total_fields,
    total_text,
};
use super::selection::Asked;
use super::sorting::Sorting;
use crate::catalog::RunRow;
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
    /// Answer from the catalog, without a look on disk first
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    sorting: Sorting,
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
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = total_cells(&self.total);
        vec![
            self.run.clone(),
            self.iterations.to_string(),
            or_dash(self.last_iteration),
            self.present.to_string(),
            self.reserved.to_string(),
            self.missing.to_string(),
            // Seldom anything but 0, and a dash keeps the eye for the runs that have some.
            match self.damaged {
                0 => "-".to_owned(),
                damaged => damaged.to_string(),
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
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &Runs) -> Result<(), Failure> {
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let sort_by = command
        .sorting
        .field::<RunRow>()
        .map_err(|why| Failure::usage(why, "dalsegno runs --help"))?;
    let format = context.format(command.output);
    let filter = |registry: &Registry| command.asked.filter(context, registry);
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = context.with_base("no run matches; add what is on disk with: dalsegno scan");
    let mut rows = Rows::new::<RunRow>(context, format)?;
    let mut total = Total::default();
    let mut kept = Vec::new();
    let mut failure = None;
    registry.runs(&filter, |row| {
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
    let written = rows.finish(&nothing)?;
    // For people; in the other formats, stdout has the numbers to sum.
    if format == Format::Table && written > 0 {
        let rows = count(written, "run");
        context.say(&format!("{rows}, {}", total_text(&total)));
    }
    context.say_nothing(&registry, &filter, format, (written, &nothing))?;
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
