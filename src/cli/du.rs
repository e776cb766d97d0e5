//! `du`: what a selection takes on disk.

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::render::{
    Align, Column, Record, Rows, or_dash, or_empty, total_cells, total_fields, total_text,
};
use super::selection::Selection;
use crate::catalog::{DuGroup, DuRow};
use crate::refresh::RefreshOptions;
use crate::removals::Removal;
use crate::size::Total;

/// Show what a selection takes on disk, largest first
///
/// Arrays that nobody counted are counted first, which walks their folders; --no-refresh shows
/// what the catalog knows. Containers are left out: what lies in them is counted already. Without
/// a selection, what is in the trash is a line of its own: it takes space until it is unlinked.
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

/// A line: what a group of arrays takes, or the trash.
#[derive(Serialize)]
struct Usage {
    #[serde(flatten)]
    row: DuRow,
    trash: bool,
}

impl Usage {
    /// What is in the trash, kept or being unlinked; none where it is empty.
    fn of_trash(removals: &[Removal]) -> Option<Self> {
        let mut row = DuRow {
            run: None,
            kind: None,
            iteration: None,
            dataset: None,
            arrays: 0,
            total: Total::default(),
        };
        for removal in removals {
            row.arrays += removal.artifacts;
            row.total.merge(removal.total);
        }
        (!removals.is_empty()).then_some(Self { row, trash: true })
    }
}

impl Record for Usage {
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
        "trash",
    ];

    fn cells(&self) -> Vec<String> {
        let row = &self.row;
        let [bytes, files] = total_cells(&row.total);
        let what = match (&row.run, row.kind, row.iteration) {
            _ if self.trash => "in the trash".to_owned(),
            (Some(run), _, Some(iteration)) => format!("{run}  iteration {iteration}"),
            (Some(run), ..) => run.clone(),
            (None, Some(kind), _) => kind.to_string(),
            (None, None, _) => or_dash(row.dataset.as_ref()),
        };
        vec![bytes, files, row.arrays.to_string(), what]
    }

    fn fields(&self) -> Vec<String> {
        let row = &self.row;
        let [bytes, files, uncounted] = total_fields(&row.total);
        vec![
            or_empty(row.run.as_ref()),
            or_empty(row.kind),
            or_empty(row.iteration),
            or_empty(row.dataset.as_ref()),
            row.arrays.to_string(),
            bytes,
            files,
            uncounted,
            self.trash.to_string(),
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
    let lines = registry.du(&filter, group)?.into_iter();
    let mut lines: Vec<Usage> = lines.map(|row| Usage { row, trash: false }).collect();
    if filter.is_all() {
        lines.extend(Usage::of_trash(&registry.trash()?));
    }
    let form = context.form(command.output);
    let mut total = Total::default();
    lines.iter().for_each(|line| total.merge(line.row.total));
    let mut rows = Rows::new::<Usage>(context, form)?;
    lines.iter().try_for_each(|line| rows.push(line))?;
    rows.finish("nothing of the selection is on disk")?;
    if form == Form::Table && lines.len() > 1 {
        context.say(&format!("total {}", total_text(&total)));
    }
    if partly { Err(Failure::Partly) } else { Ok(()) }
}
