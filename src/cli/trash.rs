//! `trash list` and `trash empty`: removals whose data is still on disk.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::context::Context;
use super::ended::part_of;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::interrupt;
use super::opening::MOST_LINES;
use super::prompt::confirm;
use super::removal::report_purge;
use super::render::{
    self, Align, Column, Record, Rows, or_empty, others_text, total_cells, total_fields, total_text,
};
use super::time;
use crate::error::Error;
use crate::model::removal::{Removal, RemovalId, RemovalState};
use crate::model::size::{ByteCount, Total};
use crate::ops::others::OtherUse;
use crate::ops::trash::EmptyReport;
use crate::registry::Registry;
use crate::retention::length;

/// List what is in the trash, or empty it
#[derive(Debug, Args)]
pub(super) struct TrashCommand {
    #[command(subcommand)]
    command: TrashAction,
}

#[derive(Debug, Subcommand)]
enum TrashAction {
    List(TrashList),
    Empty(Empty),
}

/// List the removals whose data is in the trash
///
/// A removal in state kept can be restored; one that is being purged cannot.
#[derive(Debug, Args)]
struct TrashList {
    #[command(flatten)]
    output: Output,
}

/// Unlink what is in the trash, and finish interrupted purges
///
/// Exit code 3 if something could not be unlinked.
#[derive(Debug, Args)]
struct Empty {
    /// Only these removals
    #[arg(value_name = "ID", value_parser = removal, conflicts_with = "older_than")]
    removals: Vec<RemovalId>,
    /// Only what was removed longer ago than 72h, or before 2026-05-18, and what is past its own
    /// time
    #[arg(long, value_name = "TIME", value_parser = time::age)]
    older_than: Option<Duration>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: Output,
}

fn removal(text: &str) -> Result<RemovalId, String> {
    text.parse()
        .map_err(|_| "it is not the id of a removal; see: dalsegno trash list".to_owned())
}

/// A removal, and what lies in its trash beside its artifacts.
#[derive(Serialize)]
struct TrashLine<'a> {
    #[serde(flatten)]
    removal: &'a Removal,
    /// None if it was not counted.
    other_bytes: Option<ByteCount>,
    other_files: Option<u64>,
}

impl<'a> TrashLine<'a> {
    fn new(removal: &'a Removal, others: &Others) -> Self {
        let size = others.get(&removal.id).and_then(Option::as_ref);
        let size = size.map(|others| others.size);
        Self {
            removal,
            other_bytes: size.map(|size| size.bytes),
            other_files: size.map(|size| size.files),
        }
    }
}

/// What lies in the trash of removals beside their artifacts.
type Others = BTreeMap<RemovalId, Option<OtherUse>>;

/// What else some removals have in the trash, as a clause; empty if it is nothing.
fn others_of(removals: &[Removal], others: &Others) -> String {
    let mut total = Total::default();
    let kept = |removal: &&Removal| removal.state == RemovalState::Kept;
    for removal in removals.iter().filter(kept) {
        let of_one = others.get(&removal.id).and_then(Option::as_ref);
        total.add(of_one.map(|others| others.size));
    }
    others_text(&total)
}

impl Record for TrashLine<'_> {
    const NAME: &'static str = "removals";
    const COLUMNS: &'static [Column] = &[
        Column("REMOVAL", Align::Left),
        Column("STATE", Align::Left),
        Column("ARTIFACTS", Align::Right),
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("OTHERS", Align::Right),
        Column("BY", Align::Left),
        Column("PURGE AFTER", Align::Left),
        Column("REASON", Align::Prose),
    ];
    const MINOR: &'static [&'static str] =
        &["OTHERS", "FILES", "BY", "ARTIFACTS", "PURGE AFTER", "SIZE"];
    const FIELDS: &'static [&'static str] = &[
        "id",
        "removed_at",
        "user",
        "host",
        "pid",
        "reason",
        "state",
        "purge_after",
        "artifacts",
        "bytes",
        "files",
        "uncounted",
        "other_bytes",
        "other_files",
    ];

    fn cells(&self) -> Vec<String> {
        let Self { removal, .. } = self;
        let [bytes, files] = total_cells(&removal.total);
        vec![
            removal.id.to_string(),
            removal.state.to_string(),
            render::number(removal.artifacts),
            bytes,
            files,
            match (self.other_bytes, self.other_files) {
                (Some(_), Some(0)) => "-".to_owned(),
                // It goes while it would be counted.
                _ if removal.state != RemovalState::Kept => "-".to_owned(),
                (Some(bytes), Some(_)) => bytes.to_string(),
                _ => "?".to_owned(),
            },
            removal.actor.user.clone(),
            // Only a kept removal waits for its time.
            match (removal.state, removal.purge_after) {
                (RemovalState::Kept, Some(time)) => time.to_string(),
                (RemovalState::Kept, None) => "emptied by hand".to_owned(),
                _ => "-".to_owned(),
            },
            removal.reason.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }

    fn fields(&self) -> Vec<String> {
        let Self { removal, .. } = self;
        let [bytes, files, uncounted] = total_fields(&removal.total);
        vec![
            removal.id.to_string(),
            removal.removed_at.to_string(),
            removal.actor.user.clone(),
            removal.actor.host.clone(),
            removal.actor.pid.to_string(),
            or_empty(removal.reason.as_ref()),
            removal.state.to_string(),
            or_empty(removal.purge_after),
            removal.artifacts.to_string(),
            bytes,
            files,
            uncounted,
            or_empty(self.other_bytes.map(|bytes| bytes.0)),
            or_empty(self.other_files),
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &TrashCommand) -> Result<(), Failure> {
    match &command.command {
        TrashAction::List(list) => run_list(context, list),
        TrashAction::Empty(empty) => run_empty(context, empty),
    }
}

fn run_list(context: &mut Context, command: &TrashList) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let removals = registry.trash()?;
    let format = context.format(command.output);
    let mut total = Total::default();
    removals
        .iter()
        .for_each(|removal| total.merge(removal.total));
    let monitor = context.monitor();
    let others = registry.trash_others(&monitor)?;
    drop(monitor);
    let mut rows = Rows::new::<TrashLine<'_>>(context, format)?;
    for removal in &removals {
        rows.push(&TrashLine::new(removal, &others))?;
    }
    rows.finish("the trash is empty")?;
    context.trash_problems(&registry.left_alone()?);
    // Of what was lost in the trash and put back later, the rows are in the catalog already.
    let is_rest =
        |removal: &&Removal| removal.state == RemovalState::Kept && removal.artifacts == 0;
    for removal in removals.iter().filter(is_rest).take(MOST_LINES) {
        let id = &removal.id;
        context.say(&context.with_base(&format!(
            "the rows of removal {id} are back; what is in the trash of it, as what was put back there, \
             comes back with: dalsegno restore {id}"
        )));
    }
    // For people; in the other formats, stdout has the numbers to sum.
    if format == Format::Table && !removals.is_empty() {
        let hint = context.with_base("empty the trash with: dalsegno trash empty");
        let others = others_of(&removals, &others);
        context.say(&format!("{}{others}; {hint}", total_text(&total)));
    }
    Ok(())
}

fn run_empty(context: &mut Context, command: &Empty) -> Result<(), Failure> {
    let registry = context.open_to_free()?;
    let ids = &command.removals;
    let mut meant = registry.trash()?;
    meant.retain(|removal| ids.is_empty() || ids.contains(&removal.id));
    // Only kept removals can still be restored, so only they need a confirmation.
    let kept = meant
        .iter()
        .any(|removal| removal.state == RemovalState::Kept);
    if kept && !command.yes {
        let mut total = Total::default();
        meant.iter().for_each(|removal| total.merge(removal.total));
        let monitor = context.monitor();
        let others = registry.trash_others(&monitor)?;
        drop(monitor);
        let total = format!("{}{}", total_text(&total), others_of(&meant, &others));
        let what = match command.older_than {
            None if !ids.is_empty() => format!(
                "{} of the trash ({total})",
                render::count(meant.len(), "removal")
            ),
            Some(age) => format!(
                "what was removed longer ago than {} or is past its own time (the whole trash is \
                 {total})",
                length(age)
            ),
            None => format!("what is in the trash ({total})"),
        };
        confirm(
            context,
            &format!("Unlink {what} for good? [y/N] "),
            "nothing was unlinked",
            &format!(
                "see what is in it with: dalsegno trash list; empty it with: dalsegno trash empty \
                 {}--yes",
                ids.iter().map(|id| format!("{id} ")).collect::<String>()
            ),
        )?;
    }
    let monitor = context.monitor();
    context.begins_to_remove();
    let emptied = match ids.is_empty() {
        true => registry.empty_trash(command.older_than, &monitor),
        false => registry.purge_removals(ids, &monitor),
    };
    // The bar goes before the result is printed.
    drop(monitor);
    let is_whole = |report: &EmptyReport| report.purge.is_done;
    if interrupt::is_interrupted() && !emptied.as_ref().is_ok_and(is_whole) {
        return match emptied {
            Ok(_) | Err(Error::Cancelled { .. }) => ended(&registry, &meant, ids),
            Err(error) => Err(error.into()),
        };
    }
    let report = emptied?;
    let format = context.format(command.output);
    render::write_json(context, format, "emptied", &report)?;
    report_purge(context, &report.purge);
    let unlinked = format!(
        "{}, {}",
        render::count(report.purge.files, "file"),
        render::count(report.purge.folders, "folder")
    );
    context.say(&match (report.purged.len(), report.left.len()) {
        (0, 0) => "nothing was unlinked: there was nothing to purge".to_owned(),
        // Part of a removal is gone, and the rest is named above.
        (0, left) => {
            let left = render::count(left, "removal");
            format!("no removal is purged whole; of {left} there were unlinked: {unlinked}")
        }
        (purged, _) => format!("purged {}: {unlinked}", render::count(purged, "removal")),
    });
    // What is left stays recorded as being purged, and the next purge tries again.
    if report.purge.failed > 0 {
        Err(Failure::Partly)
    } else {
        Ok(())
    }
}

/// Says what Ctrl-C left of the removals that were meant, by what is in the trash now.
fn ended(registry: &Registry, meant: &[Removal], ids: &[RemovalId]) -> Result<(), Failure> {
    let left = registry.trash()?;
    let state = |meant: &Removal| {
        let found = left.iter().find(|left| left.id == meant.id);
        found.map(|left| left.state)
    };
    let done = meant.iter().filter(|meant| state(meant).is_none()).count();
    let begun = |meant: &&Removal| state(meant) == Some(RemovalState::Purging);
    let begun: Vec<String> = meant
        .iter()
        .filter(begun)
        .map(|meant| meant.id.to_string())
        .collect();
    let unlinked = part_of(done as u64, meant.len() as u64, "removal");
    let begun_text = match begun.as_slice() {
        [] => String::new(),
        [id] => format!("; {id} is partly unlinked and cannot be restored"),
        ids => format!(
            "; {} are partly unlinked and cannot be restored",
            ids.join(", ")
        ),
    };
    let rest = match meant.len() - done - begun.len() {
        0 => "",
        _ => "; the rest is untouched",
    };
    let ids: String = ids.iter().map(|id| format!(" {id}")).collect();
    Err(Failure::Interrupted(format!(
        "{unlinked} unlinked{begun_text}{rest}; what is left to unlink: dalsegno trash empty{ids}"
    )))
}
