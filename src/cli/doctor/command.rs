//! The command `doctor`: gathers the report and writes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::machine::{self, Machine, Program, User};
use super::{layout, redact};
use crate::catalog::backup::{self, Backup};
use crate::catalog::{
    self, CATALOG_FILE, CatalogCounts, CatalogFiles, CatalogHealth, RegistryDir, Unpublished,
};
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::Output;
use crate::cli::opening::MOST_LINES;
use crate::cli::render::number;
use crate::cli::verify::NEXT_OF_MISSING;
use crate::cli::{render, report};
use crate::error::Error;
use crate::model::causes::with_causes;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::name::REGISTRY_DIR;
use crate::model::operation::OperationHash;
use crate::model::size::{ByteCount, Total};
use crate::ops::inbox::InboxState;
use crate::ops::left_alone::LeftAlone;
use crate::registry::{Inbox, Registry};
use crate::store::{FileSystem, StorageError, sticky_folders};

/// Free bytes of a disk below which a change may fail: the log of a catalog grows in it.
const LEAST_FREE: u64 = 1 << 20;

/// A report waits for other writers less long than a change does.
const PATIENCE: Duration = Duration::from_secs(5);

/// Show the state of a registry and of the machine, for a bug report
///
/// Covers the program, the machine, file systems and their free space, the catalog, counts, who
/// holds the lock, interrupted removals, leftovers in the trash, the inbox. If the registry cannot
/// be opened, the report includes the error, and the exit code is that of the error. Changes
/// nothing. Exit code 4 if something is pending, or wrong, as a full disk or damaged arrays.
///
/// The report contains no passwords and no command lines, and of the environment only
/// DALSEGNO_BASE, DALSEGNO_CATALOG, TERM, LANG and NO_COLOR. It contains paths, names of policies
/// and the host name; --redact replaces the base directory, the catalog, the home directory, user
/// and host.
#[derive(Debug, Args)]
pub(in crate::cli) struct Doctor {
    /// Replace paths, user and host with placeholders such as [BASE]
    #[arg(long)]
    redact: bool,
    #[command(flatten)]
    output: Output,
}

/// The report, one group per field; null if it could not be read.
#[derive(Serialize)]
struct Report {
    program: Program,
    machine: Machine,
    user: User,
    environment: BTreeMap<String, String>,
    base: Option<BaseReport>,
    catalog: Option<CatalogReport>,
    config: Option<ConfigReport>,
    registry: Option<Opened>,
    pending: Option<PendingReport>,
    inbox: Option<InboxState>,
    error: Option<Problem>,
}

/// A folder and its file system.
#[derive(Serialize)]
struct BaseReport {
    path: PathBuf,
    file_system: FileSystem,
    /// The group that may write in the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_with: Option<String>,
    /// Folders of the registry with the sticky bit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sticky: Vec<PathBuf>,
}

#[derive(Serialize)]
struct CatalogReport {
    path: PathBuf,
    #[serde(flatten)]
    files: CatalogFiles,
    file_system: FileSystem,
    backups: Vec<BackupLine>,
    /// Lock files that users may read who may not write them: these can hold up all others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    readable_locks: Vec<PathBuf>,
}

/// The keys of `config.toml` that are set. None of them holds a secret.
#[derive(Default, Serialize)]
struct ConfigReport {
    #[serde(rename = "catalog.path")]
    catalog: Option<PathBuf>,
    #[serde(rename = "catalog.registry")]
    registry: Option<String>,
    #[serde(rename = "catalog.host")]
    host: Option<String>,
    #[serde(rename = "catalog.single-host")]
    single_host: Option<String>,
    #[serde(rename = "trash.keep")]
    keep: Option<String>,
    policies: Vec<String>,
}

/// What is known only if the registry can be opened.
#[derive(Serialize)]
struct Opened {
    id: String,
    notice: Option<&'static str>,
    /// When the copy was made that answers on a host without the catalog.
    published: Option<Timestamp>,
    /// What the copy for other hosts lacks, on the host that has the catalog.
    #[serde(skip_serializing_if = "Option::is_none")]
    unpublished: Option<Unpublished>,
    #[serde(flatten)]
    health: CatalogHealth,
    counts: CatalogCounts,
    operations: i64,
    history_head: OperationHash,
    /// Bytes and files in the trash, as far as they were counted.
    trash: Total,
}

#[derive(Default, Serialize)]
struct PendingReport {
    interrupted: Vec<String>,
    purging: Vec<String>,
    kept: Vec<String>,
    strangers_in_trash: Vec<String>,
    /// What recovery leaves to other users, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_alone: Vec<String>,
    /// How many of the removals that are due this user may not unlink.
    #[serde(skip)]
    not_unlinkable: usize,
    /// How many folders recovery leaves to other users.
    #[serde(skip)]
    folders_left_alone: usize,
}

/// A backup of the catalog: its file name, and when it was made.
#[derive(Serialize)]
struct BackupLine {
    name: String,
    at: Timestamp,
}

/// The error that ended the report.
#[derive(Serialize)]
struct Problem {
    code: &'static str,
    message: String,
    next: Option<String>,
}

fn line_of(backup: &Backup) -> BackupLine {
    let name = backup.path.file_name().unwrap_or_default();
    BackupLine {
        name: name.to_string_lossy().into_owned(),
        at: backup.at,
    }
}

pub(in crate::cli) fn run(context: &mut Context, command: &Doctor) -> Result<(), Failure> {
    let mut failure = None;
    // Kept for later: the report is written all the same.
    let base = context.base().map_err(|error| failure = Some(error)).ok();
    // Without a registry, the current folder and its file system still explain why.
    let base = base.or_else(|| std::env::current_dir().ok());
    let base = base.and_then(|base| std::path::absolute(base).ok());
    let (mut registry, mut pending, mut keeper, mut noted) = (None, None, None, None);
    let mut may_write = true;
    let mut closed = None;
    if let (Some(base), None) = (&base, &failure) {
        let patience = PATIENCE.min(context.global.lock_timeout);
        // Read-only, because an open for writing would settle what the report is to show.
        let options = context.options().lock_timeout(patience).read_only(true);
        // Each part is kept as soon as it is read, so that a later error does not lose it.
        let result = options.open(base).and_then(|open| {
            keeper = open.published()?.map(|published| published.host);
            // What is pending is the keeper's to settle, and the copy may be older than the trash.
            if keeper.is_none() {
                pending = Some(pending_of(&open)?);
            }
            registry = Some(opened(&open)?);
            closed = open.closed_to_group();
            if keeper.is_none() {
                may_write = open.may_write();
                noted = Some(open.inbox()?);
            }
            Ok(())
        });
        failure = result.map_err(Failure::from).err();
    }
    let inbox = match noted {
        Some(noted) => Ok(Some(noted)),
        None => base.as_deref().map(inbox).transpose(),
    };
    // An error of the registry explains more than that of the inbox, which may follow from it.
    let inbox = inbox.unwrap_or_else(|error| {
        failure.get_or_insert(error.into());
        None
    });
    if let (Some(base), None) = (&base, &failure) {
        failure = in_the_way(base).map(|error| Failure::from(Error::from(error)));
    }
    let report = Report {
        program: Program::of_this(),
        machine: Machine::of_this(),
        user: User::of_this(),
        environment: machine::environment(),
        catalog: base.as_deref().and_then(|base| catalog(context, base)),
        config: base.as_deref().and_then(config),
        inbox,
        base: base.map(|path| BaseReport {
            file_system: FileSystem::of(&path),
            sticky: sticky_folders(&path),
            shared_with: shared_with(&path, command.redact),
            path,
        }),
        registry,
        pending,
        error: failure.as_ref().map(|failure| problem(context, failure)),
    };
    let pending = report.pending.as_ref();
    let none = PendingReport::default();
    let pending = pending.unwrap_or(&none);
    let empty = InboxState::default();
    let inbox = report.inbox.as_ref().unwrap_or(&empty);
    let readable = report
        .catalog
        .as_ref()
        .map(|catalog| &catalog.readable_locks);
    let is_readable = readable.is_some_and(|locks| !locks.is_empty());
    let refused = inbox.refused.len() + inbox.changed.len();
    let mut wrong = Vec::new();
    if let Some(keeper) = keeper {
        let is_here = report
            .catalog
            .as_ref()
            .is_some_and(|catalog| catalog.files.bytes.is_some());
        let keeper = if command.redact { "[HOST]" } else { &keeper };
        wrong.push(match is_here {
            true => hint(
                context,
                command,
                &format!(
                    "the catalog is on host {keeper}, and a file of its name is here; if this is \
                     that host under a new name: dalsegno init --keeper"
                ),
            ),
            false => format!("the catalog is on host {keeper}; see what is pending there"),
        });
    }
    // What recovery leaves to other users, no command of this user resolves.
    if pending.interrupted.len() > pending.folders_left_alone {
        wrong.push("the next command that writes resolves the interrupted removals".to_owned());
    }
    // The rest is named with what its owner can type.
    if pending.purging.len() > pending.not_unlinkable {
        let text = "finish the unlinking with: dalsegno trash empty";
        wrong.push(hint(context, command, text));
    }
    if !pending.strangers_in_trash.is_empty() {
        let text = "no removal explains what is in the trash besides removals; see it with: \
                    dalsegno verify";
        wrong.push(hint(context, command, text));
    }
    if is_readable {
        wrong.push(
            "users who may only read the lock files can hold up all others; the next command that \
             writes mends that, if their owner or root runs it"
                .to_owned(),
        );
    }
    let unpublished = report.registry.as_ref();
    let unpublished = unpublished.and_then(|registry| registry.unpublished.as_ref());
    let is_behind = unpublished.is_some();
    wrong.extend(unpublished.map(|behind| hint(context, command, &behind_text(behind))));
    let full = full_disks(&report);
    let is_full = !full.is_empty();
    wrong.extend(full.into_iter().map(|text| hint(context, command, &text)));
    let sticky = report.base.as_ref().map(|base| &base.sticky);
    let is_sticky = sticky.is_some_and(|folders| !folders.is_empty());
    wrong.extend(sticky.and_then(|folders| sticky_text(folders, command.redact)));
    if !may_write {
        // That is no finding: who only asks need not write.
        wrong.push(
            "this user may not write the catalog, or not in its folder: questions are answered, \
             and changes fail"
                .to_owned(),
        );
    }
    let second = report.base.as_ref();
    let second = second.and_then(|base| second_catalog(&base.path, command.redact));
    let is_second = second.is_some();
    wrong.extend(second.map(|text| hint(context, command, &text)));
    let is_closed = closed.is_some();
    // It names paths and accounts.
    wrong.extend(closed.map(|closed| match command.redact {
        true => "the group that shares .dalsegno cannot write the catalog".to_owned(),
        false => closed,
    }));
    if refused > 0 || !inbox.strangers.is_empty() {
        let text = "see what is wrong in the inbox with: dalsegno verify";
        wrong.push(hint(context, command, text));
    }
    let counts = report.registry.as_ref().map(|registry| &registry.counts);
    let not_whole = counts.map(not_whole).unwrap_or_default();
    let is_not_whole = !not_whole.is_empty();
    wrong.extend(
        not_whole
            .into_iter()
            .map(|text| hint(context, command, &text)),
    );
    // Whatever the error: the report is what explains it.
    let written = write(context, command, &report, &wrong)?;
    let lists = [
        &pending.interrupted,
        &pending.purging,
        &pending.strangers_in_trash,
        &inbox.strangers,
    ];
    // The error decides the exit code: it is why parts of the report are missing.
    match failure {
        // It names paths, so its words are taken from the report, which has them redacted.
        Some(Failure::Library(error)) if command.redact => {
            let text = |name: &str| written["error"][name].as_str();
            let message = text("message").unwrap_or_default();
            context.error(Some(error.code()), message, text("next"));
            Err(Failure::ReportedAs(error.code()))
        }
        Some(failure) => Err(failure),
        None if lists.iter().all(|list| list.is_empty())
            && refused == 0
            && !is_readable
            && !is_behind
            && !is_full
            && !is_sticky
            && !is_closed
            && !is_second
            && !is_not_whole =>
        {
            Ok(())
        }
        None => Err(Failure::Findings),
    }
}

/// Says how many artifacts are damaged or missing by the catalog, and what shows them; the disk is
/// not looked at.
fn not_whole(counts: &CatalogCounts) -> Vec<String> {
    let of = [
        (
            counts.damaged,
            "damaged",
            "metadata cannot be read",
            "see why with: dalsegno verify; list with: dalsegno list --state damaged",
        ),
        // A verification has found these before.
        (counts.missing, "missing", "data is gone", NEXT_OF_MISSING),
    ];
    let some = of.into_iter().filter(|(count, ..)| *count > 0);
    some.map(|(count, state, why, next)| {
        let (are, whose) = match count {
            1 => ("artifact is", "its"),
            _ => ("artifacts are", "their"),
        };
        let count = number(count);
        format!("{count} recorded {are} {state} ({whose} {why}); {next}")
    })
    .collect()
}

/// The group that shares the registry of a base directory, in words.
fn shared_with(base: &Path, redact: bool) -> Option<String> {
    let folder = RegistryDir::find(base).ok()?;
    let group = catalog::shared_with(&folder)?;
    Some(if redact { "a group".to_owned() } else { group })
}

/// Says that a base directory has two catalogs, and how to go back to one.
fn second_catalog(base: &Path, redact: bool) -> Option<String> {
    let folder = RegistryDir::find(base).ok()?;
    let (path, host) = folder.second()?;
    let own = folder.dir().join(CATALOG_FILE);
    let word = |path: &Path| match redact {
        true => "PATH".to_owned(),
        false => render::shell_word(&path.display().to_string()),
    };
    let mut aside = own.clone().into_os_string();
    aside.push(".aside");
    let mv = format!("mv {} {}", word(&own), word(Path::new(&aside)));
    if let Some(used) = folder.elsewhere() {
        return Some(format!(
            "there is a second catalog in {REGISTRY_DIR}, which is not used: it was made while \
             config.toml did not name {}; what was recorded in it is only there. Move it away, while \
             no command runs, with: {mv}; then add what is on disk with: dalsegno scan",
            word(used)
        ));
    }
    let place = path.as_deref().map_or("PATH".to_owned(), word);
    let there = match host {
        Some(_) if redact => " on host [HOST]".to_owned(),
        Some(host) => format!(" on host {host}"),
        None => String::new(),
    };
    Some(format!(
        "there is a second catalog, {place}{there}, outside of the base directory: config.toml has \
         lost it, and the one in {REGISTRY_DIR} was made instead; pins, scores and history in it do \
         not count here. To go back to it, while no command runs: {mv}; then{there}: dalsegno init \
         --here --catalog {place}, and dalsegno scan"
    ))
}

/// Says that the copy for other hosts is behind, and why.
fn behind_text(behind: &Unpublished) -> String {
    let what = match behind.at {
        Some(at) => match at.if_known() {
            Some(at) => format!("the published copy of {at} lacks what was changed since"),
            None => "the published copy, made at an unknown time, lacks what was changed since"
                .to_owned(),
        },
        None => "there is no published copy".to_owned(),
    };
    let next = "publish one with: dalsegno publish";
    match (&behind.holder, behind.is_held) {
        (Some(holder), _) => format!(
            "{what}, because {holder} has the lock of those who publish; once it goes on or is \
             ended, {next}"
        ),
        (None, true) => format!(
            "{what}, because a process that cannot be seen has the lock of those who publish; once \
             it goes on or is ended, {next}"
        ),
        (None, false) => format!("{what}; {next}"),
    }
}

/// Says of the disks of the catalog and the base directory which have no space for a change.
fn full_disks(report: &Report) -> Vec<String> {
    let catalog = report.catalog.as_ref().map(|catalog| &catalog.file_system);
    let base = report.base.as_ref().map(|base| &base.file_system);
    let of = [("the catalog", catalog), ("the base directory", base)];
    let full = of.into_iter().filter_map(|(what, disk)| {
        let disk = disk?;
        let what_is_left = match (disk.free_bytes, disk.free_inodes, disk.inodes) {
            (Some(free), ..) if free < LEAST_FREE => ByteCount(free).to_string(),
            // A file system that makes inodes as it needs them counts none.
            (_, Some(0), Some(1..)) => "no inode".to_owned(),
            _ => return None,
        };
        Some(format!(
            "the disk of {what} is full ({what_is_left} free), so changes may fail; free space with: \
             dalsegno trash empty, or: dalsegno rm"
        ))
    });
    full.collect()
}

/// Says of folders of the registry that they have the sticky bit, and what to type; `None` without
/// any.
fn sticky_text(folders: &[PathBuf], redact: bool) -> Option<String> {
    if folders.is_empty() {
        return None;
    }
    let what = match folders.len() {
        1 => "a folder of the registry has".to_owned(),
        some => format!("{} folders of the registry have", number(some as u64)),
    };
    let typed: Vec<String> = folders
        .iter()
        .take(MOST_LINES)
        .map(|folder| render::shell_word(&folder.display().to_string()))
        .collect();
    let next = match redact {
        true => String::new(),
        false => format!(" with: chmod -t {}", typed.join(" ")),
    };
    Some(format!(
        "{what} the sticky bit, so no member can publish, fold notes or restore over what another \
         one made; their owner, or root, takes it away{next}"
    ))
}

/// A text with commands that can be copied; without the base directory if that is hidden.
fn hint(context: &Context, command: &Doctor, text: &str) -> String {
    match command.redact {
        true => text.to_owned(),
        false => context.with_base(text),
    }
}

/// Writes the report, and returns what was written.
///
/// A text begins with the verdict; beside JSON, what is wrong is said on stderr.
fn write(
    context: &mut Context,
    command: &Doctor,
    report: &Report,
    wrong: &[String],
) -> Result<Value, Failure> {
    // As a value, so that one redaction serves both formats.
    let mut json = serde_json::to_value(report)
        .map_err(|error| Failure::Other(format!("the report cannot be written: {error}")))?;
    if command.redact {
        redact::redact(&mut json);
    }
    let format = context.format(command.output);
    if render::write_json(context, format, "doctor", &json)? {
        wrong.iter().for_each(|wrong| context.say(wrong));
        return Ok(json);
    }
    let mut verdict = wrong.to_vec();
    // From the report, which has paths redacted.
    let left_alone = json["pending"]["left_alone"].as_array();
    let left_alone = left_alone.into_iter().flatten();
    let left_alone: Vec<&str> = left_alone.filter_map(Value::as_str).collect();
    verdict.extend(
        left_alone
            .iter()
            .take(MOST_LINES)
            .map(|it| (*it).to_owned()),
    );
    let more = left_alone.len().saturating_sub(MOST_LINES);
    if more > 0 {
        let more = number(more as u64);
        let text = format!("and {more} more such lines; see each with: dalsegno verify");
        verdict.push(hint(context, command, &text));
    }
    if json["error"].is_object() {
        let text = |name: &str| json["error"][name].as_str();
        let message = text("message").unwrap_or_default();
        let next = text("next").map_or(String::new(), |next| format!("; next: {next}"));
        // First: it is why parts of the report are missing.
        verdict.insert(0, format!("{message}{next}"));
    }
    layout::lines(context, &json, &verdict)?;
    Ok(json)
}

/// The catalog's file, read without opening the registry.
fn catalog(context: &Context, base: &Path) -> Option<CatalogReport> {
    let given = context.global.catalog.as_deref();
    // Absolute: the reader of the report does not know the current folder.
    let given = given.and_then(|path| std::path::absolute(path).ok());
    let found = RegistryDir::find(base).ok().map(|folder| folder.catalog());
    let folder = base.join(REGISTRY_DIR);
    let backups = RegistryDir::find(base).ok().map(|folder| folder.backups());
    // An unreadable folder gives an empty list: the report must come out just when things are
    // broken.
    let backups = backups.and_then(|folder| backup::list(&folder, SystemClock.now()).ok());
    let path = given
        .or(found)
        // If the configuration cannot be read, the catalog is most likely at its usual path.
        .or_else(|| folder.exists().then(|| folder.join(CATALOG_FILE)))?;
    Some(CatalogReport {
        files: CatalogFiles::of(&path),
        file_system: FileSystem::of(path.parent().unwrap_or(Path::new("/"))),
        backups: backups.iter().flatten().map(line_of).collect(),
        readable_locks: RegistryDir::find(base)
            .map(|folder| CatalogFiles::readable_locks(&path, &folder.backups()))
            .unwrap_or_default(),
        path,
    })
}

fn config(base: &Path) -> Option<ConfigReport> {
    let config = RegistryDir::find(base).ok()?.config;
    let catalog = config.catalog.unwrap_or_default();
    let keep = config.trash.and_then(|trash| trash.keep);
    Some(ConfigReport {
        catalog: catalog.path,
        registry: catalog.registry,
        host: catalog.host,
        single_host: catalog.single_host,
        keep: keep.map(|keep| humantime::format_duration(keep).to_string()),
        policies: config.policy.into_keys().collect(),
    })
}

/// Something that is no file in the place of a lock, or no folder in that of the backups: every
/// command that writes, or the daily backup, fails at it.
fn in_the_way(base: &Path) -> Option<StorageError> {
    let folder = RegistryDir::find(base).ok()?;
    let catalog = folder.catalog();
    let beside = |suffix: &str| {
        let mut name = catalog.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    for path in [beside(".turn"), beside(".queue"), folder.backups()] {
        let Ok(found) = path.symlink_metadata() else {
            continue;
        };
        let wants_folder = path == folder.backups();
        if found.is_symlink() {
            return Some(StorageError::Symlink { path });
        }
        if wants_folder && !found.is_dir() {
            return Some(StorageError::NotAFolder { path });
        }
        if !wants_folder && !found.is_file() {
            return Some(StorageError::NotAFile { path });
        }
    }
    None
}

/// What is in the inbox, read without opening the registry.
fn inbox(base: &Path) -> Result<InboxState, Error> {
    Inbox::open(base)?.state()
}

fn opened(registry: &Registry) -> Result<Opened, Error> {
    let (operations, history_head) = registry.history_head()?;
    let mut trash = Total::default();
    for removal in registry.trash()? {
        trash.merge(removal.total);
    }
    Ok(Opened {
        id: registry.id()?,
        notice: registry.notice(),
        published: registry.published()?.and_then(|published| published.at),
        unpublished: registry.unpublished()?,
        health: registry.health()?,
        counts: registry.counts()?,
        operations,
        history_head,
        trash,
    })
}

fn pending_of(registry: &Registry) -> Result<PendingReport, Error> {
    let pending = registry.pending()?;
    let text = |ids: &[crate::model::removal::RemovalId]| -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    };
    // Asked only then, because it reads manifests.
    let left_alone = match pending.unsettled.is_empty() {
        true => LeftAlone::default(),
        false => registry.folders_left_alone()?,
    };
    let not_unlinkable = match pending.due.is_empty() {
        true => Vec::new(),
        false => registry.not_unlinkable()?,
    };
    let purging = text(&pending.due);
    let kept = registry.trash()?.into_iter();
    let kept = kept.map(|removal| removal.id.to_string());
    Ok(PendingReport {
        interrupted: text(&pending.unsettled),
        // A kept removal whose time is over is due, and listed as such.
        kept: kept.filter(|id| !purging.contains(id)).collect(),
        purging,
        strangers_in_trash: pending.strangers,
        folders_left_alone: left_alone.count(),
        not_unlinkable: not_unlinkable.len(),
        left_alone: {
            let mut sentences = left_alone.sentences();
            sentences.extend(not_unlinkable);
            sentences
        },
    })
}

fn problem(context: &Context, failure: &Failure) -> Problem {
    match failure {
        Failure::Library(error) => Problem {
            code: error.code(),
            message: with_causes(error),
            next: report::next(error, context),
        },
        Failure::Outside(message, next) => Problem {
            code: "outside",
            message: message.clone(),
            next: Some((*next).to_owned()),
        },
        // Opening fails in no other way.
        _ => Problem {
            code: "internal",
            message: "the report is not complete".to_owned(),
            next: None,
        },
    }
}
