//! `du`: what a selection takes on disk.

use clap::{Args, ValueEnum};

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::render::{
    Align, Column, Record, Rows, or_dash, or_empty, total_cells, total_fields, total_text,
};
use super::selection::Selection;
use crate::catalog::{DuGroup, DuRow};
use crate::refresh::RefreshOptions;
use crate::size::Total;

/// Show what a selection takes on disk, largest first
///
/// Arrays that nobody counted are counted first, which walks their folders; --no-refresh shows
/// what the catalog knows. Containers are left out: what lies in them is counted already.
#[derive(Debug, Args)]
pub(super) struct Du {
    /// Sum by
    #[arg(long, value_enum, default_value_t = By::Run)]
    by: By,
    #[command(flatten)]
    selection: Selection,
    /// Do not look on disk first
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Run,
    Kind,
    Iteration,
    Dataset,
}

impl Record for DuRow {
    const NAME: &'static str = "usage";
    const COLUMNS: &'static [Column] = &[
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("ARRAYS", Align::Right),
        Column("WHAT", Align::Left),
    ];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "kind",
        "iteration",
        "dataset",
        "arrays",
        "bytes",
        "files",
        "uncounted",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = total_cells(&self.total);
        let what = match (&self.run, self.kind, self.iteration) {
            (Some(run), _, Some(iteration)) => format!("{run}  iteration {iteration}"),
            (Some(run), ..) => run.clone(),
            (None, Some(kind), _) => kind.to_string(),
            (None, None, _) => or_dash(self.dataset.as_ref()),
        };
        vec![bytes, files, self.arrays.to_string(), what]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files, uncounted] = total_fields(&self.total);
        vec![
            or_empty(self.run.as_ref()),
            or_empty(self.kind),
            or_empty(self.iteration),
            or_empty(self.dataset.as_ref()),
            self.arrays.to_string(),
            bytes,
            files,
            uncounted,
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &Du) -> Result<(), Failure> {
    let filter = command.selection.filter();
    let refresh = (!command.no_refresh).then_some(RefreshOptions {
        measure: true,
        all: false,
    });
    let (registry, partly) = context.open_refreshed(&filter, refresh)?;
    let group = match command.by {
        By::Run => DuGroup::Run,
        By::Kind => DuGroup::Kind,
        By::Iteration => DuGroup::Iteration,
        By::Dataset => DuGroup::Dataset,
    };
    let lines = registry.du(&filter, group)?;
    let form = context.form(command.output);
    let mut total = Total::default();
    lines.iter().for_each(|line| total.merge(line.total));
    let mut rows = Rows::new::<DuRow>(context, form)?;
    lines.iter().try_for_each(|line| rows.push(line))?;
    rows.finish("nothing of the selection is on disk")?;
    if form == Form::Table && lines.len() > 1 {
        context.say(&format!("total {}", total_text(&total)));
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
