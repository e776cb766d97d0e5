//! `scan`: adds rows for what is in the base directory.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::ended::{Next, Parts};
use super::fail::Failure;
use super::flags::{Format, Output, Threads, Verbose};
use super::prompt::confirm;
use super::render::{self, shell_word};
use super::selection;
use super::{files, interrupt};
use crate::catalog::RegistryDir;
use crate::error::Error;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;
use crate::model::name::REGISTRY_DIR;
use crate::model::operation::Action;
use crate::ops::scan::ScanOptions;
use crate::registry::Registry;
use crate::store::NoticeClass;

/// Add every array in the base directory that has no row yet, and checkpoints on request
///
/// Reads zarr v2, zarr v3 and N5. Never descends into an array, never follows a symbolic link,
/// never changes data. Lists what cannot be read or named, and leaves it alone. Scanning again adds
/// what is new. Exit code 3 if something could not be read, 4 if a sealed array is not as it was
/// sealed: with --measure other counts are found too. Its seal stays.
#[derive(Debug, Args)]
pub(super) struct Scan {
    /// Only the runs at these paths, in these folders, or in which these paths are
    #[arg(value_name = "PATH", conflicts_with = "run")]
    paths: Vec<PathBuf>,
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
    next: Next::Again("add the rest with"),
};

pub(super) fn run(context: &mut Context, command: &Scan) -> Result<(), Failure> {
    scan(context, command, true)
}

/// The name that an empty registry gets when one is used above it.
const ASIDE: &str = ".dalsegno-aside";

/// Where the runs most likely are, if all that a scan found lies outside runs.
struct Likely<'a> {
    /// The folder that was scanned.
    old: &'a Path,
    folder: &'a Path,
    /// Whether the registry of the scanned folder is empty and below the other: it can be set aside
    /// so that what is in that folder is found.
    can_go: bool,
}

impl Likely<'_> {
    /// Asks whether that folder was meant, and makes a registry there if it has none. Without a
    /// terminal it says what to type.
    fn is_meant(&self, context: &mut Context, format: Format) -> Result<bool, Failure> {
        let Self {
            old,
            folder,
            can_go,
        } = self;
        let has_registry = matches!(RegistryDir::exists(folder), Ok(true));
        let outside = "all arrays that were found lie outside runs";
        let is_for_people = matches!(format, Format::Table | Format::Tsv);
        if !is_for_people || context.global.quiet || !std::io::stdin().is_terminal() {
            let (word, registry) = (
                shell_word(&folder.display().to_string()),
                shell_word(&old.join(REGISTRY_DIR).display().to_string()),
            );
            let init = match has_registry {
                true => String::new(),
                false => format!("dalsegno --base {word} init && "),
            };
            context.warn(&format!(
                "{outside}; if {} is the folder that holds the runs, take this registry back and \
                 scan there: rm -r {registry} && {init}dalsegno --base {word} scan",
                folder.display(),
            ));
            return Ok(false);
        }
        let (has, then) = match has_registry {
            true => ("it has a registry", "Scan that one"),
            false => ("it has no registry", "Create one there and scan it"),
        };
        // Another catalog that is named would be that of both.
        let catalog = match context.global.catalog {
            Some(_) => ", with a catalog of its own,",
            None => "",
        };
        let aside = match can_go {
            true => ", whose empty registry is then set aside",
            false => "",
        };
        let question = format!(
            "{outside}; {} may be the folder that holds the runs, and {has}\n{then}{catalog} instead \
             of {}{aside}? [y/N] ",
            folder.display(),
            old.display()
        );
        let nothing = format!("the base directory stays {}", old.display());
        match confirm(context, &question, &nothing, "") {
            // The scan itself is done.
            Err(Failure::Declined) => return Ok(false),
            answer => answer?,
        }
        interrupt::changes();
        context.global.catalog = None;
        if *can_go {
            files::set_aside(&old.join(REGISTRY_DIR), &old.join(ASIDE))?;
        }
        if !has_registry {
            context.options().create(folder)?;
            context.say(&format!("created a registry in {}", folder.display()));
        }
        Ok(true)
    }
}

/// Whether a registry has neither rows nor trash, and its catalog in its folder.
fn is_empty(context: &Context, registry: &Registry) -> Result<bool, Failure> {
    let folder = RegistryDir::find(registry.base()).map_err(Error::from)?;
    let is_elsewhere = context.global.catalog.is_some() || folder.elsewhere().is_some();
    let any = Filter::default().kinds(Kind::ALL);
    Ok(!is_elsewhere && !registry.names_any(&any)? && registry.trash()?.is_empty())
}

/// Scans the folder that was meant, and says what becomes of the registry of the other.
fn scan_instead(context: &mut Context, command: &Scan, likely: &Likely<'_>) -> Result<(), Failure> {
    let Likely {
        old,
        folder,
        can_go,
    } = likely;
    context.global.base = Some(folder.to_path_buf());
    scan(context, command, false)?;
    let word = |path: &Path| shell_word(&path.display().to_string());
    let back = word(&old.join(REGISTRY_DIR));
    let next = match (can_go, old.strip_prefix(folder)) {
        (true, _) => {
            let aside = old.join(ASIDE);
            format!(
                "the empty registry is in {}; delete it with: rm -r {}",
                aside.display(),
                word(&aside)
            )
        }
        // A registry is not searched for another.
        (false, Ok(below)) => format!(
            "{} is left out while it has a registry of its own; take that back and scan again: rm \
             -r {back} && dalsegno --base {} scan",
            below.display(),
            word(folder)
        ),
        (false, Err(_)) => format!("take the other registry back with: rm -r {back}"),
    };
    context.say(&next);
    Ok(())
}

/// The runs that paths name; none, which is all of them, if one is the base directory.
fn runs_at(
    context: &Context,
    registry: &Registry,
    paths: &[PathBuf],
) -> Result<Vec<Pattern>, Failure> {
    let mut places = Vec::with_capacity(paths.len());
    for path in paths {
        let path = context.below_base(registry.base(), path);
        if path.as_os_str().is_empty() || path == registry.base() {
            return Ok(Vec::new());
        }
        places.push(registry.base_path(path)?);
    }
    Ok(registry.runs_to_scan(&places))
}

fn scan(context: &mut Context, command: &Scan, may_ask: bool) -> Result<(), Failure> {
    let registry = context.open()?;
    let options = ScanOptions {
        kinds: command.kind.clone(),
        measure: command.measure,
        threads: command.threads.get(),
        runs: match command.paths.is_empty() {
            true => {
                let runs = command.run.iter();
                runs.map(|run| context.run_text(run).into()).collect()
            }
            false => runs_at(context, &registry, &command.paths)?,
        },
    };
    let asked = options.filter();
    registry.require_runs(&asked)?;
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
    }
    let named = match asked.runs.is_empty() {
        true => Ok(()),
        false => context.require_runs(&registry, &asked, ""),
    };
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
    if let Some(folder) = report.likely_base.as_ref().filter(|_| may_ask) {
        let old = registry.base().to_path_buf();
        let can_go = old.starts_with(folder) && is_empty(context, &registry)?;
        drop(registry);
        let likely = Likely {
            old: &old,
            folder,
            can_go,
        };
        if likely.is_meant(context, format)? {
            return scan_instead(context, command, &likely);
        }
    }
    // Other notices, such as symbolic links, were seen and left alone: the scan itself is
    // complete.
    let has = |is: fn(NoticeClass) -> bool| report.notices.iter().any(|found| is(found.class));
    if has(NoticeClass::is_unread) {
        return Err(context.after(named, Failure::Partly));
    }
    match has(NoticeClass::contradicts_seal) {
        true => Err(context.after(named, Failure::Findings)),
        false => named,
    }
}
