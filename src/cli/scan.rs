//! `scan`: adds rows for what is in the base directory.

use std::path::Path;

use clap::Args;

use super::context::Context;
use super::ended::Parts;
use super::fail::Failure;
use super::flags::{Output, Threads, Verbose};
use super::render::{self, shell_word};
use super::selection;
use crate::disk::registry_above;
use crate::model::key::Kind;
use crate::model::name::REGISTRY_DIR;
use crate::model::operation::Action;
use crate::ops::scan::ScanOptions;
use crate::store::{Notice, NoticeClass};

/// Add every array in the base directory that has no row yet, and checkpoints on request
///
/// Reads zarr v2, zarr v3 and N5. Never descends into an array, never follows a symbolic link,
/// never changes data. Lists what cannot be read or named, and leaves it alone. Scanning again adds
/// what is new. Exit code 3 if something could not be read, 4 if a sealed array is not as it was
/// sealed: with --measure other counts are found too. Its seal stays.
#[derive(Debug, Args)]
pub(super) struct Scan {
    /// Only these runs (name or glob): walks their folders; a glob walks everything
    #[arg(long, value_name = "GLOB")]
    run: Vec<String>,
    /// Kinds to add, as read from the paths [default: all but checkpoint]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = selection::kind)]
    kind: Vec<Kind>,
    /// Also count bytes and files; those of checkpoints are always counted
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    verbose: Verbose,
    #[command(flatten)]
    output: Output,
}

/// A scan adds some thousand rows at a time.
const PARTS: Parts = Parts {
    actions: &[Action::Scan],
    nothing: "nothing was added",
    thing: "row",
    done: "added or updated",
    next: "add the rest with: dalsegno scan",
};

pub(super) fn run(context: &mut Context, command: &Scan) -> Result<(), Failure> {
    let registry = context.open()?;
    let options = ScanOptions {
        kinds: command.kind.clone(),
        measure: command.measure,
        threads: command.threads.get(),
        runs: command
            .run
            .iter()
            .map(|run| context.run_text(run).into())
            .collect(),
    };
    let asked = options.filter();
    let (arrays, checkpoints) = (options.wants_arrays(), options.wants(Kind::Checkpoint));
    let monitor = context.monitor();
    let (before, _) = registry.history_head()?;
    let scanned = registry.scan(options, &monitor);
    drop(monitor);
    let report = scanned.map_err(|error| context.ended_partly(error, &registry, before, &PARTS))?;
    if !asked.runs.is_empty() {
        let found = report.arrays + report.damaged + report.checkpoints + report.gone;
        if found == 0 && report.findings.is_empty() {
            return Err(context.nothing_selected(&registry, &asked, "nothing was added")?);
        }
        context.say_unmatched(&registry, &asked)?;
    }
    let format = context.format(command.output);
    if !render::write_json(context, format, "scan", &report)? {
        context.findings_of_walk(&report.findings, command.verbose);
        let mut found = Vec::new();
        if arrays {
            found.push(render::count(report.arrays, "array"));
            if report.damaged > 0 {
                found.push(render::count(report.damaged, "damaged array"));
            }
        }
        if checkpoints {
            found.push(render::count(report.checkpoints, "checkpoint"));
        }
        // Checkpoints are counted in any case; arrays only with --measure.
        let size = if command.measure || !arrays {
            format!(", {}", render::total_text(&report.total))
        } else {
            String::new()
        };
        if report.levels > 0 {
            context.say(&format!(
                "{} of pyramids became part of the row of their group",
                render::count(
                    usize::try_from(report.levels).unwrap_or(usize::MAX),
                    "level"
                )
            ));
        }
        context.say_gone(report.gone);
        context.say(&format!(
            "{}{size}: {} new, {} updated, {}",
            found.join(", "),
            report.adopted,
            report.updated,
            render::count(report.findings.len(), "notice")
        ));
    }
    context.purge_due(&registry);
    let is_outside = |found: &Notice| {
        matches!(
            found.class,
            NoticeClass::OutsideRun | NoticeClass::OutsideContainer
        )
    };
    let outside = report
        .findings
        .iter()
        .filter(|found| is_outside(found))
        .count();
    let parent = registry.base().parent();
    if let (0, 0, 1.., Some(parent)) = (report.arrays, report.checkpoints, outside, parent) {
        let word = |path: &Path| shell_word(&path.display().to_string());
        let (base, what) = match registry_above(registry.base()) {
            Some(above) => (above, "list"),
            None => (parent.to_path_buf(), "init"),
        };
        context.warn(&format!(
            "all arrays that were found lie outside runs; if {} is the folder that holds the runs: \
             dalsegno --base {} {what}; take this registry back with: rm -r {}",
            base.display(),
            word(&base),
            word(&registry.base().join(REGISTRY_DIR))
        ));
    }
    // Other notices, such as symbolic links, were seen and left alone: the scan itself is
    // complete.
    let has = |is: fn(NoticeClass) -> bool| report.findings.iter().any(|found| is(found.class));
    if has(NoticeClass::is_unread) {
        return Err(Failure::Partly);
    }
    match has(NoticeClass::contradicts_seal) {
        true => Err(Failure::Findings),
        false => Ok(()),
    }
}
