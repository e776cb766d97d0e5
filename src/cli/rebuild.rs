//! `rebuild`: a new catalog in the place of one that is damaged or gone.

use std::path::PathBuf;

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Output, Threads};
use super::render;
use super::selection;
use crate::catalog::CatalogError;
use crate::error::Error;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::key::Kind;
use crate::ops::rebuild::{RebuildFrom, RebuildOptions, RebuildReport};
use crate::ops::scan::ScanOptions;
use crate::store::{NoticeClass, WalkOptions};

/// Make the catalog anew, where it is damaged or gone
///
/// Takes the newest backup that is sound, enters what was moved to the trash since, and brings it up
/// to what is on disk: rows whose data is gone are marked missing, arrays without a row are taken
/// in. Where there is no backup, it is made from the disk and the trash alone.
///
/// What only the catalog knew since the backup is lost: pins, scores, history, parameters of
/// identifiers without data. The command says from when they are. The old catalog is set aside
/// beside the new one, and never deleted. No data is touched but for what an interrupted removal or
/// restore had under way, as at every open for writing.
///
/// Nobody else can write meanwhile. Exit code 3 where something could not be read or settled.
#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// Begin with this backup, rather than with the newest good one
    #[arg(long, value_name = "FILE", conflicts_with = "from_disk")]
    from: Option<PathBuf>,
    /// Take no backup: make it from the disk and the trash alone
    #[arg(long)]
    from_disk: bool,
    /// Rebuild also where nothing is wrong with the catalog, or the disk cannot read it
    #[arg(long)]
    force: bool,
    /// Kinds to take in, as their paths are read; without, every kind, and checkpoints where the
    /// backup has some
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = selection::kind)]
    kind: Vec<Kind>,
    /// Count bytes and files too
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Rebuild) -> Result<(), Failure> {
    let defaults = WalkOptions::default();
    let options = RebuildOptions {
        from: match (&command.from, command.from_disk) {
            (Some(path), _) => RebuildFrom::Backup(std::path::absolute(path)?),
            (None, true) => RebuildFrom::Disk,
            (None, false) => RebuildFrom::Newest,
        },
        force: command.force,
        scan: ScanOptions {
            kinds: command.kind.clone(),
            walk: WalkOptions {
                measure: command.measure,
                threads: command.threads.get().unwrap_or(defaults.threads),
                ..defaults
            },
        },
    };
    let monitor = context.monitor();
    let rebuilt = context
        .options()
        .rebuild(context.base()?, &options, &monitor);
    drop(monitor);
    let (registry, report) = rebuilt.map_err(|error| of_backup(error, &options.from))?;
    drop(registry);
    let format = context.format(command.output);
    if !render::write_json(context, format, "rebuild", &report)? {
        tell(context, &report);
    }
    let unread = |class| {
        matches!(
            class,
            NoticeClass::Unreadable | NoticeClass::DamagedMetadata
        )
    };
    let mut findings = report.scan.findings.iter();
    if findings.any(|finding| unread(finding.class)) || !report.problems.is_empty() {
        return Err(Failure::Partly);
    }
    Ok(())
}

/// What to do where it is the named backup that is no good: the hints of a catalog do not fit it.
fn of_backup(error: Error, from: &RebuildFrom) -> Failure {
    let path = match &error {
        Error::Catalog(
            CatalogError::Missing { path }
            | CatalogError::NotAFile { path, .. }
            | CatalogError::Damaged { path, .. }
            | CatalogError::Foreign { path, .. }
            | CatalogError::TooNew { path, .. }
            | CatalogError::Mismatch { path, .. },
        ) => path,
        _ => return error.into(),
    };
    match from {
        RebuildFrom::Backup(backup) if backup == path => Failure::Outside(
            format!("that is no backup to begin with: {error}"),
            "name another with --from, or leave --from out for the newest good one; nothing was \
             changed",
        ),
        _ => error.into(),
    }
}

fn tell(context: &Context, report: &RebuildReport) {
    context.findings(&report.scan.findings);
    for problem in &report.problems {
        context.warn(problem);
    }
    for refused in &report.refused {
        let path = refused.path.display();
        context.warn(&format!("backup {path} was left out: {}", refused.reason));
    }
    context.say(&format!("rebuilt: {}", report.cause));
    if let Some(path) = &report.set_aside {
        context.say(&format!(
            "the old catalog is set aside as {}",
            path.display()
        ));
    }
    match &report.backup {
        Some(backup) => context.say(&format!(
            "pins, scores and history are those of the backup from {}{}: {}",
            backup.at,
            age(backup.at, SystemClock.now()),
            backup.path.display()
        )),
        None => {
            context.say(
                "made from the disk and the trash alone: pins, scores and history from before are lost",
            );
            context.say(
                &context.with_base(
                    "pin again what must stay, before anything is removed: dalsegno pin",
                ),
            );
            if report.scan.checkpoints == 0 {
                context.say(&context.with_base(
                    "if it had checkpoints, take them in with: dalsegno scan --kind checkpoint",
                ));
            }
        }
    }
    let scan = &report.scan;
    let checkpoints = match scan.checkpoints {
        0 => String::new(),
        some => format!(" and {}", render::count(some, "checkpoint")),
    };
    let taken_in = match report.backup {
        Some(_) => format!("{} of them new to the backup", scan.adopted),
        None => format!("{} taken in", scan.adopted),
    };
    let missing = match report.missing {
        0 => String::new(),
        some => format!("; {} without data", render::count(some, "row")),
    };
    context.say(&format!(
        "on disk: {}{checkpoints}, {taken_in}{missing}",
        render::count(scan.arrays, "array"),
    ));
    context.settled(&report.undone, &report.purged);
    if !report.removals.is_empty() {
        let many = render::count(report.removals.len(), "removal");
        context.say(&context.with_base(&format!(
            "{many} in the trash entered, to be restored or let go: dalsegno trash list"
        )));
    }
    context.say(&context.with_base("compare it with the disk with: dalsegno verify"));
}

/// How long before `now`, to the hour or minute.
fn age(at: Timestamp, now: Timestamp) -> String {
    let Some(age) = at.age_at(now) else {
        return String::new();
    };
    let unit = if age.as_secs() >= 7200 { 3600 } else { 60 };
    let age = std::time::Duration::from_secs(age.as_secs() / unit * unit);
    match age.is_zero() {
        true => String::new(),
        false => format!(" ({} ago)", humantime::format_duration(age)),
    }
}
