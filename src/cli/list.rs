//! `list`: the artifacts of a selection.

use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use clap::Args;

use super::args::Output;
use super::context::Context;
use super::fail::Failure;
use super::render::{Align, Column, Record, Rows, or_dash, or_empty, size_cells, size_fields};
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

impl Record for Artifact {
    const NAME: &'static str = "artifacts";
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATION", Align::Right),
        Column("KIND", Align::Left),
        Column("DATASET", Align::Text),
        Column("PARAMETERS", Align::Text),
        Column("STATE", Align::Left),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
    ];
    const FIELDS: &'static [&'static str] = &[
        "id",
        "run",
        "kind",
        "iteration",
        "dataset",
        "parameters",
        "container",
        "array",
        "path",
        "state",
        "bytes",
        "files",
        "recorded_at",
        "written_at",
        "sealed_at",
        "content_hash",
        "pins",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = size_cells(self.size);
        vec![
            self.key.run().to_string(),
            or_dash(self.key.iteration()),
            self.key.kind().to_string(),
            or_dash(self.key.dataset()),
            or_dash(self.key.parameters()),
            self.state.to_string(),
            bytes,
            files,
        ]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files] = size_fields(self.size);
        vec![
            self.id.to_string(),
            self.key.run().to_string(),
            self.key.kind().to_string(),
            or_empty(self.key.iteration()),
            or_empty(self.key.dataset()),
            or_empty(self.key.parameters()),
            self.container().to_string(),
            or_empty(self.location().array),
            self.path().display().to_string(),
            self.state.to_string(),
            bytes,
            files,
            self.recorded_at.to_string(),
            or_empty(self.written_at),
            or_empty(self.sealed_at),
            or_empty(self.content_hash),
            self.pins.join(","),
        ]
    }
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
        let form = context.form(command.output);
        let mut rows = Rows::new::<Artifact>(context, form)?;
        each(&registry, &filter, |artifact| rows.push(artifact))?;
        rows.finish("no artifact is selected")?;
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}

/// Gives every artifact of a selection to `write`; its failure ends the listing.
pub(super) fn each(
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
