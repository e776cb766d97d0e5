//! `refresh`: looks on disk for the data of artifacts.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::render;
use super::selection::Selection;
use crate::ops::refresh::RefreshOptions;

/// Look on disk for the data of artifacts, and update their rows
///
/// Looks for data that was not seen yet or was missing. Exit code 3 if something could not be read.
#[derive(Debug, Args)]
pub(super) struct Refresh {
    #[command(flatten)]
    selection: Selection,
    /// Also look for data that was present: it may be gone or rewritten
    #[arg(long)]
    all: bool,
    /// Also count bytes and files, including those of present arrays of unknown size
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Refresh) -> Result<(), Failure> {
    let registry = context.open()?;
    let options = RefreshOptions {
        all: command.all,
        measure: command.measure,
    };
    let monitor = context.monitor();
    let report = registry.refresh(&command.selection.filter(), options, &monitor)?;
    drop(monitor);
    let format = context.format(command.output);
    if !render::write_json(context, format, "refresh", &report)? {
        context.findings(&report.findings);
        context.say(&format!(
            "looked at {}: {} present, {} changed, {}",
            render::count(report.looked_at, "row"),
            report.present,
            report.changed,
            render::count(report.findings.len(), "finding")
        ));
    }
    if report.findings.is_empty() {
        Ok(())
    } else {
        Err(Failure::Partly)
    }
}
