//! `list`: artifacts, one a row.

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::artifacts::chunks_cell;
use super::columns::{Listed, Scores, Wanted, without_direction};
use super::context::Context;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::listing::{COUNT, Shape};
use super::render::{Align, or_dash, short_time, size_cells};
use super::selection::Asked;
use crate::error::Result as LibraryResult;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::order::{ParseSortKeyError, SortKey};
use crate::model::size::{ByteCount, Total};
use crate::ops::refresh::RefreshOptions;
use crate::registry::Registry;

/// List artifacts
///
/// Sorted by run, iteration, kind, dataset and parameters, unless --sort says otherwise. Looks on
/// disk first for data that was not seen yet.
#[derive(Debug, Args)]
pub(super) struct ListCommand {
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    shape: Shape<Artifact>,
    /// Answer from the catalog, without a look on disk first
    #[arg(long, help_heading = "Output")]
    no_refresh: bool,
    /// Print paths only, each followed by a NUL byte
    #[arg(
        short = '0',
        long = "null",
        conflicts_with_all = ["json", "jsonl", "table", "columns"],
        help_heading = "Output"
    )]
    null: bool,
    #[command(flatten)]
    output: Output,
}

impl Listed for Artifact {
    type Key = SortKey;
    const NOUN: &'static str = "artifact";
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("size", "bytes"),
        ("on_disk", "disk_bytes"),
        ("recorded", "recorded_at"),
        ("written", "written_at"),
        ("sealed", "sealed_at"),
        ("pinned", "pins"),
    ];
    const SORT: &'static str = "Sort by this column: age, size, files, iteration, run, kind, \
         dataset, parameters, container, state, written, recorded, sealed, pinned, on_disk, or \
         score:METRIC; what has no value comes last";
    const CHOOSE: &'static str = "Print these columns, by their headings: age, score:METRIC, or \
         such as run, iteration, dataset, parameters, container, path, size, written, sealed and \
         pinned; a wrong name lists all";

    fn key(text: &str) -> Result<SortKey, String> {
        text.parse()
            .map_err(|error: ParseSortKeyError| error.to_string())
    }

    fn sorted_by(key: &SortKey) -> Option<&str> {
        match key {
            SortKey::Score(metric) => Some(metric),
            _ => None,
        }
    }

    fn metric(text: &str) -> Result<String, String> {
        // One artifact has one score: its direction says nothing.
        Ok(without_direction(text).to_owned())
    }

    fn align(field: &str) -> Align {
        match field {
            "id" | "iteration" | "bytes" | "files" | "disk_bytes" | "chunks_there"
            | "chunks_expected" => Align::Right,
            // Names may be cut on a narrow terminal.
            "run" | "dataset" | "parameters" | "container" | "array" | "path" | "pins"
            | "content_hash" | "levels" | "iterations" => Align::Text,
            _ => Align::Left,
        }
    }

    fn cell(&self, field: &str) -> Option<String> {
        Some(match field {
            "bytes" => {
                let [bytes, _] = size_cells(self.size);
                bytes
            }
            "files" => {
                let [_, files] = size_cells(self.size);
                files
            }
            "disk_bytes" => or_dash(self.disk_bytes),
            "chunks_there" => chunks_cell(self),
            "recorded_at" => short_time(self.recorded_at),
            "written_at" => or_dash(self.written_at.map(short_time)),
            "sealed_at" => or_dash(self.sealed_at.map(short_time)),
            _ => return None,
        })
    }

    fn dated(&self) -> Timestamp {
        self.written_at.unwrap_or(self.recorded_at)
    }

    fn score(&self, scores: &Scores, metric: &str) -> Option<f64> {
        scores.of(self, metric)
    }

    fn scores(registry: &Registry, filter: &Filter, metrics: &[String]) -> Result<Scores, Failure> {
        Scores::read(registry, filter, metrics)
    }

    const MIN_SIZE: &'static str = "Only arrays of at least this size, such as 500MB or 2GiB; \
         arrays whose size was not counted are left out";

    fn of_size(filter: Filter, least: Option<ByteCount>) -> Filter {
        filter.min_bytes(least.map(|size| size.0))
    }

    fn is_of_size(&self, _: ByteCount) -> bool {
        true
    }

    fn add_to(&self, total: &mut Total) {
        // A container's size would count its arrays twice.
        if self.state.has_data() && !self.key.kind().is_container() {
            total.add(self.size);
        }
    }

    fn count(registry: &Registry, filter: &Filter, _: Option<ByteCount>) -> LibraryResult<u64> {
        Ok(registry.count_of_runs(filter)?.values().sum())
    }

    fn each(
        registry: &Registry,
        filter: &Filter,
        wanted: Wanted<SortKey>,
        each: impl FnMut(Self) -> LibraryResult<ControlFlow<()>>,
    ) -> LibraryResult<()> {
        match &wanted.order {
            Some(order) => registry.list_by(filter, order, each),
            None => registry.list(filter, each),
        }
    }
}

pub(super) fn run(context: &mut Context, command: &ListCommand) -> Result<(), Failure> {
    let refresh = (!command.no_refresh).then_some(RefreshOptions::new().gone(true));
    let format = context.format(command.output);
    let filter = |registry: &Registry| {
        let filter = command.asked.filter(context, registry)?;
        Ok(command.shape.of_size(filter))
    };
    let (registry, filter, partly) = context.open_refreshed(filter, refresh, format)?;
    let nothing = &context.or_new(&registry, "no artifact matches")?;
    if command.null {
        let mut written = 0;
        command.shape.each(&registry, &filter, format, |artifact| {
            written += 1;
            // The exact bytes: a path need not be UTF-8.
            context
                .stdout
                .write_all(artifact.path().as_os_str().as_bytes())?;
            context.stdout.write_all(b"\0")?;
            Ok(())
        })?;
        let nothing =
            &command
                .shape
                .or_none(&registry, &filter, (nothing, &context.with_base(COUNT)))?;
        // There are no words for the format of paths but these.
        let of = (&command.asked, &filter);
        context.say_nothing(&registry, of, Format::Tsv, (written, nothing))?;
    } else {
        let shape = &command.shape;
        let of = (&command.asked, &filter);
        shape.write(context, &registry, of, format, nothing)?;
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
