//! `scan`: takes in what lies in the base directory.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::render;
use super::selection;
use crate::model::key::Kind;
use crate::ops::scan::ScanOptions;
use crate::store::{NoticeClass, WalkOptions};

/// Take in every array of the base directory that has no row, and checkpoints on request
///
/// Reads zarr v2, zarr v3 and N5. Never descends into an array, never follows a symbolic link,
/// never changes data. What cannot be read or named is listed and left alone; exit code 3 where
/// something could not be read. Scanning again takes in what is new.
#[derive(Debug, Args)]
pub(super) struct Scan {
    /// Kinds to take in, as their paths are read; without, every kind but checkpoint
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = selection::kind)]
    kind: Vec<Kind>,
    /// Count bytes and files too; those of checkpoints always are
    #[arg(long)]
    measure: bool,
    /// Threads; without, four for each core, at least 8 and at most 16
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Scan) -> Result<(), Failure> {
    let registry = context.open()?;
    let defaults = WalkOptions::default();
    let options = ScanOptions {
        kinds: command.kind.clone(),
        walk: WalkOptions {
            measure: command.measure,
            threads: command.threads.map_or(defaults.threads, usize::from),
            ..defaults
        },
    };
    let (arrays, checkpoints) = (options.wants_arrays(), options.wants(Kind::Checkpoint));
    let monitor = context.monitor();
    let report = registry.scan(options, &monitor)?;
    drop(monitor);
    let format = context.format(command.output);
    if !render::write_json(context, format, "scan", &report)? {
        context.findings(&report.findings);
        let mut found = Vec::new();
        if arrays {
            found.push(render::count(report.arrays, "array"));
        }
        if checkpoints {
            found.push(render::count(report.checkpoints, "checkpoint"));
        }
        let size = if command.measure || !arrays {
            format!(", {}", render::total_text(&report.total))
        } else {
            String::new()
        };
        context.say(&format!(
            "{}{size}: {} new, {} updated, {}",
            found.join(", "),
            report.adopted,
            report.updated,
            render::count(report.findings.len(), "finding")
        ));
    }
    let unread = |class| {
        matches!(
            class,
            NoticeClass::Unreadable | NoticeClass::DamagedMetadata
        )
    };
    if report.findings.iter().any(|finding| unread(finding.class)) {
        return Err(Failure::Partly);
    }
    Ok(())
}
