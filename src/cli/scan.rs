//! `scan`: adds rows for what is in the base directory.

use std::io::IsTerminal;
use std::path::Path;

use clap::Args;

use super::context::Context;
use super::ended::Parts;
use super::fail::Failure;
use super::flags::{Format, Output, Threads, Verbose};
use super::interrupt;
use super::prompt::confirm;
use super::render::{self, shell_word};
use super::selection;
use crate::catalog::RegistryDir;
use crate::model::key::Kind;
use crate::model::name::REGISTRY_DIR;
use crate::model::operation::Action;
use crate::ops::scan::ScanOptions;
use crate::store::NoticeClass;

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
    scan(context, command, true)
}

/// Asks whether another folder was meant, in which the runs most likely are, and makes a registry
/// there if it has none. Without a terminal it says what to type.
fn meant(context: &Context, base: &Path, likely: &Path, format: Format) -> Result<bool, Failure> {
    let has_registry = matches!(RegistryDir::exists(likely), Ok(true));
    let (likely_word, old) = (
        shell_word(&likely.display().to_string()),
        shell_word(&base.join(REGISTRY_DIR).display().to_string()),
    );
    let outside = "all arrays that were found lie outside runs";
    let is_for_people = matches!(format, Format::Table | Format::Tsv);
    // Another catalog that is named would be that of both.
    let may_ask = is_for_people && !context.global.quiet && context.global.catalog.is_none();
    if !may_ask || !std::io::stdin().is_terminal() {
        let init = match has_registry {
            true => String::new(),
            false => format!("dalsegno --base {likely_word} init && "),
        };
        context.warn(&format!(
            "{outside}; if {} is the folder that holds the runs, take this registry back and scan \
             there: rm -r {old} && {init}dalsegno --base {likely_word} scan",
            likely.display(),
        ));
        return Ok(false);
    }
    let (has, then) = match has_registry {
        true => ("it has a registry", "Scan that one"),
        false => ("it has no registry", "Create one there and scan it"),
    };
    let likely_shown = likely.display();
    let question = format!(
        "{outside}; {likely_shown} may be the folder that holds the runs, and {has}\n{then} instead of \
         {}? [y/N] ",
        base.display()
    );
    let nothing = format!("the base directory stays {}", base.display());
    match confirm(context, &question, &nothing, "") {
        // The scan itself is done.
        Err(Failure::Declined) => return Ok(false),
        answer => answer?,
    }
    if !has_registry {
        interrupt::changes();
        context.options().create(likely)?;
        context.say(&format!("created a registry in {likely_shown}"));
    }
    Ok(true)
}

fn scan(context: &mut Context, command: &Scan, may_ask: bool) -> Result<(), Failure> {
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
        if found == 0 && report.notices.is_empty() {
            return Err(context.nothing_selected(&registry, &asked, "nothing was added")?);
        }
        context.say_unmatched(&registry, &asked)?;
    }
    let format = context.format(command.output);
    if !render::write_json(context, format, "scan", &report)? {
        context.notices_of_walk(&report.notices, command.verbose);
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
            render::number(report.adopted),
            render::number(report.updated),
            render::count(report.notices.len(), "notice")
        ));
    }
    context.purge_due(&registry);
    let meant = match &report.likely_base {
        Some(likely) if may_ask => {
            let old = registry.base().to_path_buf();
            drop(registry);
            meant(context, &old, likely, format)?.then_some((old, likely))
        }
        _ => None,
    };
    if let Some((old, likely)) = meant {
        context.global.base = Some(likely.clone());
        scan(context, command, false)?;
        let back = shell_word(&old.join(REGISTRY_DIR).display().to_string());
        let next = match old.strip_prefix(likely) {
            // A registry is not searched for another.
            Ok(below) => format!(
                "{} is left out while it has a registry of its own; take that back and scan again: \
                 rm -r {back} && dalsegno --base {} scan",
                below.display(),
                shell_word(&likely.display().to_string())
            ),
            Err(_) => format!("take the other registry back with: rm -r {back}"),
        };
        context.say(&next);
        return Ok(());
    }
    // Other notices, such as symbolic links, were seen and left alone: the scan itself is
    // complete.
    let has = |is: fn(NoticeClass) -> bool| report.notices.iter().any(|found| is(found.class));
    if has(NoticeClass::is_unread) {
        return Err(Failure::Partly);
    }
    match has(NoticeClass::contradicts_seal) {
        true => Err(Failure::Findings),
        false => Ok(()),
    }
}
