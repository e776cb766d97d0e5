//! `rebuild`: replaces a catalog that is damaged or gone.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::{Output, Threads, Verbose};
use super::interrupt;
use super::opening::MOST_LINES;
use super::render::{self, total_text};
use super::selection;
use crate::catalog::{CatalogError, PUBLISHED_FILE};
use crate::error::Error;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::key::Kind;
use crate::model::removal::{Removal, RemovalState};
use crate::model::words;
use crate::ops::rebuild::{RebuildFrom, RebuildOptions, RebuildReport, RebuildSalvage};
use crate::ops::scan::ScanOptions;
use crate::registry::Registry;

/// Replace a catalog that is damaged or gone
///
/// Starts from the newest good backup, or from the published copy of a catalog elsewhere
/// (.dalsegno/published.sqlite3) if that is newer; adds the removals that were moved to the trash
/// since, and updates it from disk: marks rows without data missing, adds arrays without a row.
/// Without a backup, makes the catalog from the disk and the trash alone. If only the header of the
/// old catalog was overwritten, starts from that one and its log, and nothing is lost.
///
/// If pages of the old catalog are damaged, adds what can be read of it that the backup lacks:
/// identifiers, seals, pins and scores. The command prints how many, how many rows could not be
/// read, and how old the backup is. The history since the backup is lost. The old catalog is kept
/// beside the new one and never deleted, and so is a published copy that the new catalog does not
/// hold. No data is touched, except that an interrupted removal or restore is settled (undone or
/// completed), as at every open for writing.
///
/// Other processes cannot write meanwhile. Exit code 3 if something could not be read or settled.
#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// Start from this backup or published copy instead of the newest good one
    #[arg(long, value_name = "FILE", conflicts_with = "from_disk")]
    from: Option<PathBuf>,
    /// Use no backup and no published copy: make the catalog from the disk and the trash alone
    #[arg(long)]
    from_disk: bool,
    /// Rebuild even if the catalog is sound, or cannot be read because of the disk
    #[arg(long)]
    force: bool,
    /// Kinds to add, as read from the paths [default: all; checkpoints only if the backup has some]
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = selection::kind)]
    kind: Vec<Kind>,
    /// Also count bytes and files
    #[arg(long)]
    measure: bool,
    #[command(flatten)]
    threads: Threads,
    #[command(flatten)]
    verbose: Verbose,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Rebuild) -> Result<(), Failure> {
    interrupt::changes();
    let options = RebuildOptions {
        from: match (&command.from, command.from_disk) {
            // Relative to the current folder, like every path that is typed.
            (Some(path), _) => RebuildFrom::Backup(std::path::absolute(path)?),
            (None, true) => RebuildFrom::Disk,
            (None, false) => RebuildFrom::Newest,
        },
        force: command.force,
        scan: ScanOptions {
            kinds: command.kind.clone(),
            measure: command.measure,
            threads: command.threads.get(),
            runs: Vec::new(),
        },
    };
    let monitor = context.monitor();
    // Not through an open registry: the catalog may be damaged or gone, and would not open.
    let rebuilt = context
        .options()
        // Once the new catalog is in its place, nothing may fail any more.
        .interrupt(|| false)
        .rebuild(context.base()?, &options, &monitor);
    drop(monitor);
    let (registry, report) = rebuilt.map_err(|error| match error {
        Error::Cancelled { .. } => {
            context.ended(error, "the catalog was not rebuilt, and is as it was")
        }
        error => backup_failure(error, &options.from),
    })?;
    let format = context.format(command.output);
    if !render::write_json(context, format, "rebuild", &report)? {
        print(context, &registry, &report, command.verbose);
    }
    drop(registry);
    let mut notices = report.scan.notices.iter();
    // A place that could not be read may hold arrays that now have no row.
    if notices.any(|finding| finding.class.is_unread()) || !report.problems.is_empty() {
        return Err(Failure::Partly);
    }
    Ok(())
}

/// The failure if it is the given backup that cannot be used: the hints for a catalog do not apply
/// to it.
fn backup_failure(error: Error, from: &RebuildFrom) -> Failure {
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
        // Only if the user named the file: an error about the catalog itself keeps its usual hint.
        RebuildFrom::Backup(backup) if backup == path => Failure::Outside(
            format!("cannot start from that backup: {error}"),
            "give another one with --from, or leave --from out to use the newest good one; nothing \
             was changed",
        ),
        _ => error.into(),
    }
}

fn print(context: &Context, registry: &Registry, report: &RebuildReport, verbose: Verbose) {
    // First what could not be read, because it limits all that follows.
    context.notices_of_walk(&report.scan.notices, verbose);
    for problem in &report.problems {
        context.warn(problem);
    }
    for refused in &report.refused {
        let path = refused.path.display().to_string();
        // Most reasons name the file.
        let noun = noun(report, &refused.path);
        context.warn(
            &match refused.reason.contains(&path) && refused.path != report.catalog {
                true => format!("skipped a {noun}: {}", refused.reason),
                false => format!("skipped the {noun} {path}: {}", refused.reason),
            },
        );
    }
    context.say(&format!("rebuilt: {}", report.cause));
    if let Some(path) = &report.set_aside {
        context.say(&format!("the old catalog was moved to {}", path.display()));
    }
    if let Some(path) = &report.copy_set_aside {
        context.say(&format!(
            "the published copy may have pins, scores and history that the new catalog lacks, and \
             is kept as {}",
            path.display()
        ));
    }
    if let Some(salvaged) = &report.salvaged {
        say_salvaged(context, salvaged);
    }
    match &report.backup {
        Some(backup) if backup.path == report.catalog => context.say(
            "only its header was damaged: every row, pin and score and the history are from the old \
             catalog and its log",
        ),
        Some(backup) => context.say(&format!(
            "pins, scores and history are from the {} of {}{}: {}",
            noun(report, &backup.path),
            backup.at,
            age(backup.at, SystemClock.now()),
            backup.path.display()
        )),
        None => {
            context.say(match report.salvaged {
                Some(_) => {
                    "made from the disk, the trash and what could be read of the old catalog: its history is \
                     lost"
                }
                None => {
                    "made from the disk and the trash alone: earlier pins, scores and history are lost"
                }
            });
            // Without a backup, all pins are gone, and the next gc would remove what they bound.
            context.say(
                &context.with_base(
                    "before anything is removed, pin again what must stay: dalsegno pin",
                ),
            );
            // Without a backup, nothing says whether the catalog had checkpoints, so none were
            // added.
            if report.scan.checkpoints == 0 {
                context.say(&context.with_base(
                    "if the catalog had checkpoints, add them with: dalsegno scan --kind \
                     checkpoint",
                ));
            }
        }
    }
    let scan = &report.scan;
    let checkpoints = match scan.checkpoints {
        0 => String::new(),
        some => format!(" and {}", render::count(some, "checkpoint")),
    };
    let taken_in = match &report.backup {
        Some(backup) => format!(
            "{} of them not in the {}",
            scan.adopted,
            noun(report, &backup.path)
        ),
        None => format!("{} added", scan.adopted),
    };
    let missing = match report.missing {
        0 => String::new(),
        some => format!("; {} without data", render::count(some, "row")),
    };
    context.say(&format!(
        "on disk: {}{checkpoints}, {taken_in}{missing}",
        render::count(scan.arrays, "array"),
    ));
    context.settled(registry, &report.undone, &report.purged);
    let trash = registry.trash().unwrap_or_default();
    let (kept, begun): (Vec<_>, Vec<_>) = trash
        .iter()
        .partition(|removal| removal.state == RemovalState::Kept);
    // No other line says that a half unlinked removal cannot be restored.
    for removal in begun.iter().take(MOST_LINES) {
        context.say(&context.with_base(&being_purged(registry, removal)));
    }
    if begun.len() > MOST_LINES {
        let more = render::count(begun.len() - MOST_LINES, "other removal");
        let hint = context.with_base("unlink the rest with: dalsegno trash empty");
        context.say(&format!("so it is with {more}; {hint}"));
    }
    let is_new = |removal: &&&Removal| report.removals.contains(&removal.id);
    let added: Vec<_> = kept.iter().filter(is_new).collect();
    if !added.is_empty() {
        let many = render::count(added.len(), "removal");
        let id = match added.as_slice() {
            [removal] => removal.id.to_string(),
            _ => "ID".to_owned(),
        };
        context.say(&context.with_base(&format!(
            "added {many} from the trash; restore one with: dalsegno restore {id}, or delete all \
             with: dalsegno trash empty"
        )));
    }
    context.say(&context.with_base("check it against the disk with: dalsegno verify"));
}

/// Says what was read of the old catalog, and what could not be.
fn say_salvaged(context: &Context, salvaged: &RebuildSalvage) {
    let counted = [
        (salvaged.artifacts, "identifier"),
        (salvaged.updated, "seal or name"),
        (salvaged.pins, "pin"),
        (salvaged.scores, "score"),
    ];
    let counted = counted.iter().filter(|(count, _)| *count > 0);
    let mut counted: Vec<String> = counted
        .map(|(count, noun)| match (*noun, count) {
            ("seal or name", 2..) => format!("{} seals or names", words::number(*count)),
            _ => render::count(*count, noun),
        })
        .collect();
    let last = counted.pop();
    let all = match (counted.is_empty(), last) {
        (_, None) => "nothing that was lacking".to_owned(),
        (true, Some(last)) => last,
        (false, Some(last)) => format!("{} and {last}", counted.join(", ")),
    };
    context.say(&format!("read from the old catalog: {all}"));
    if salvaged.is_cut {
        context.warn(
            "reading the old catalog took too long, or failed too often, and was not finished; what was not \
             read is only in the old file",
        );
    }
    if salvaged.unread > 0 {
        context.warn(&format!(
            "up to {} of the old catalog could not be read: identifiers without data, pins and scores may be \
             missing",
            render::count(salvaged.unread, "row")
        ));
    }
}

/// Says that a removal cannot be restored, because its purge has begun, and how to end that.
fn being_purged(registry: &Registry, removal: &Removal) -> String {
    let id = &removal.id;
    format!(
        "removal {id} is being purged and cannot be restored; what is left to unlink of {} ({}) is in \
         {}: dalsegno trash empty {id}",
        render::count(removal.artifacts, "artifact"),
        total_text(&removal.total),
        registry
            .base()
            .join(".dalsegno/trash")
            .join(id.as_str())
            .display(),
    )
}

/// What a rebuild began with, or might have.
fn noun(report: &RebuildReport, path: &Path) -> &'static str {
    match path.file_name() == Some(PUBLISHED_FILE.as_ref()) {
        _ if path == report.catalog => "old catalog",
        true => "published copy",
        false => "backup",
    }
}

/// How long before `now`, in hours and days or in minutes.
fn age(at: Timestamp, now: Timestamp) -> String {
    let Some(age) = at.age_at(now) else {
        // The backup is dated in the future: the clock was changed, and the age is unknown.
        return String::new();
    };
    // From two hours on, minutes say little.
    let unit = if age.as_secs() >= 7200 { 3600 } else { 60 };
    let age = std::time::Duration::from_secs(age.as_secs() / unit * unit);
    match age.is_zero() {
        true => String::new(),
        false => format!(" ({} ago)", humantime::format_duration(age)),
    }
}
