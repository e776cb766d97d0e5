//! `refresh`: looks on disk for the data of artifacts.

use std::ops::ControlFlow;

use clap::Args;

use super::context::Context;
use super::ended::{Next, Parts};
use super::fail::Failure;
use super::flags::Output;
use super::render;
use super::selection::Asked;
use crate::catalog::{RunRow, SummaryOptions};
use crate::model::filter::Filter;
use crate::model::operation::Action;
use crate::ops::refresh::{RefreshOptions, RefreshReport};
use crate::registry::Registry;
use crate::store::Notice;

/// Look on disk for the data of artifacts, and update their rows
///
/// Looks for data that was not seen yet or was missing. Exit code 3 if something could not be
/// read, 4 if a sealed array is not as it was sealed.
#[derive(Debug, Args)]
pub(super) struct Refresh {
    #[command(flatten)]
    asked: Asked,
    /// Also look for data that was present: it may be gone or rewritten
    #[arg(long)]
    all: bool,
    /// Also count bytes and files, including those of present arrays that are sealed or of unknown
    /// size
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    output: Output,
}

/// A refresh looks for some thousand artifacts at a time.
const PARTS: Parts = Parts {
    actions: &[Action::Refresh],
    nothing: "no row was updated",
    thing: "row",
    done: "updated",
    next: Next::Again("look for the rest with"),
};

/// Rows that were left out are counted so far: in a large catalog, counting all would take longer
/// than the refresh.
const MOST_COUNTED: u64 = 100_000;

/// Says how many rows were left out because they were present, and how to look at them.
fn say_not_looked_at(
    context: &Context,
    registry: &Registry,
    filter: &Filter,
    report: &RefreshReport,
) -> Result<(), Failure> {
    let mut present = 0;
    registry.runs_by(filter, &SummaryOptions::default(), |run: RunRow| {
        present += run.present;
        Ok(
            match present.saturating_sub(report.present) > MOST_COUNTED {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            },
        )
    })?;
    let left_out = present.saturating_sub(report.present);
    if left_out > 0 {
        let were = if left_out == 1 { "was" } else { "were" };
        let left_out = match left_out > MOST_COUNTED {
            true => format!("over {}", render::count(MOST_COUNTED, "row")),
            false => render::count(left_out, "row"),
        };
        let hint = context.with_base("look at each with: dalsegno refresh --all");
        context.say(&format!(
            "{left_out} that {were} present {were} not looked at, and may be gone or rewritten; \
             {hint}"
        ));
    }
    Ok(())
}

pub(super) fn run(context: &mut Context, command: &Refresh) -> Result<(), Failure> {
    let registry = context.open()?;
    let options = RefreshOptions {
        all: command.all,
        measure: command.measure,
        // Only a count finds losses in sealed data.
        sealed: command.measure,
        gone: false,
    };
    let monitor = context.monitor();
    let filter = command.asked.filter(context, &registry)?;
    let (before, _) = registry.history_head()?;
    let refreshed = registry.refresh(&filter, options, &monitor);
    drop(monitor);
    let report =
        refreshed.map_err(|error| context.ended_partly(error, &registry, before, &PARTS))?;
    if !filter.is_all() && report.looked_at == 0 && !context.matches_any(&registry, &filter)? {
        return Err(context.nothing_selected(&registry, &filter, "nothing was looked at")?);
    }
    let named = context.require_named(&registry, &filter, &command.asked);
    let format = context.format(command.output);
    if !render::write_json(context, format, "refresh", &report)? {
        context.notices(&report.notices);
        context.say(&format!(
            "looked at {}: {} present, {} changed, {}",
            render::count(report.looked_at, "row"),
            render::number(report.present),
            render::number(report.changed),
            render::count(report.notices.len(), "notice")
        ));
        context.say_gone(registry.count_missing(&filter)?);
        if !command.all {
            say_not_looked_at(context, &registry, &filter, &report)?;
        }
    }
    context.purge_due(&registry);
    // What contradicts a seal was read well; all others could not be.
    let contradicts_seal = |found: &Notice| found.class.contradicts_seal();
    match report.notices.as_slice() {
        [] => named,
        notices if notices.iter().all(contradicts_seal) => {
            Err(context.after(named, Failure::Findings))
        }
        _ => Err(context.after(named, Failure::Partly)),
    }
}
