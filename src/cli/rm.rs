//! `rm`: removes artifacts, row and data together.

use std::collections::HashSet;
use std::path::Path;

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::ended::were;
use super::fail::Failure;
use super::flags::{Format, Output};
use super::interrupt;
use super::prompt::confirm;
use super::removal::{
    TrashFlags, destination, report_purge, say_nothing_kept, warn_no_backup, warn_skipped,
    warn_stale_lists,
};
use super::render::{
    self, Align, Column, Record, Rows, others_text, shell_word, size_text, total_cells, total_text,
};
use super::subjects::{Named, Subjects};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::name::{RunName, is_container_name};
use crate::model::removal::{RemovalId, RemovalState, TrashKeep};
use crate::model::size::{Size, Total, as_others};
use crate::ops::refresh::{RefreshOptions, RefreshReport};
use crate::ops::remove::{PlannedItem, RemovalPlan, RemovalReport, RemoveOptions, Skipped};
use crate::registry::{Registry, Target};
use crate::store::{Notice, NoticeClass};

/// Names that a prompt lists; more are counted.
const MOST_NAMES: usize = 10;

/// How often a removal with `--yes` is planned, if a training writes meanwhile.
const MOST_ROUNDS: usize = 5;

/// What a removal that did not come about leaves.
const NOTHING: &str = "nothing was removed";

/// Remove artifacts: row and data together, or neither
///
/// Looks on disk, then asks, with counts, bytes and files; without a terminal, --yes is required.
/// After a crash at any moment, an artifact is either whole or gone. A container that is given by
/// path or by --kind is removed with everything in it. With --trash, `dalsegno restore` brings
/// everything back. --whole-run takes a run's folder with checkpoints, logs and all else, after a
/// prompt that names what the registry does not know. Exit code 3 if something was skipped or could
/// not be unlinked.
#[derive(Debug, Args)]
pub(super) struct Rm {
    #[command(flatten)]
    subjects: Subjects,
    /// Remove this run as a whole: its folder with checkpoints, logs and everything else in it
    #[arg(long, value_name = "RUN")]
    whole_run: Option<String>,
    /// Show what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    /// Reason of the removal, kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not count the bytes and files that were not counted yet, which walks those arrays, nor
    /// what the registry does not know
    #[arg(long)]
    no_count: bool,
    /// Skip what cannot be removed, instead of removing nothing
    #[arg(long)]
    keep_going: bool,
    /// Also remove what is pinned, what a best link of DaCapo protects, what is the data of another
    /// run by its time, and rows whose data was renamed by hand
    #[arg(long)]
    force_pinned: bool,
    /// Also remove what a best link of DaCapo protects: the iterations that its checkpoints call
    /// best
    #[arg(long)]
    ignore_best_links: bool,
    #[command(flatten)]
    trash: TrashFlags,
    #[command(flatten)]
    output: Output,
}

impl Record for PlannedItem {
    const NAME: &'static str = "items";
    const COLUMNS: &'static [Column] = &[
        Column("SIZE", Align::Right),
        Column("FILES", Align::Right),
        Column("ARTIFACTS", Align::Right),
        Column("OTHERS", Align::Right),
        Column("PATH", Align::Text),
    ];
    const MINOR: &'static [&'static str] = &["OTHERS", "FILES", "ARTIFACTS"];
    const FIELDS: &'static [&'static str] = &[
        "path",
        "is_container",
        "artifacts",
        "bytes",
        "files",
        "uncounted",
        "unknown",
        "other_bytes",
        "other_files",
    ];

    fn cells(&self) -> Vec<String> {
        let [bytes, files] = total_cells(&self.total());
        // The slash marks a folder that goes with all that is in it, known to the registry or not.
        let path = if self.is_container {
            format!("{}/", self.path)
        } else {
            self.path.clone()
        };
        let others = match self.others {
            Some(others) if others.files == 0 => "-".to_owned(),
            Some(others) => others.bytes.to_string(),
            None => "?".to_owned(),
        };
        let artifacts = render::number(self.artifacts.len() as u64);
        vec![bytes, files, artifacts, others, path]
    }

    fn fields(&self) -> Vec<String> {
        let [bytes, files, uncounted] = render::total_fields(&self.total());
        vec![
            self.path.clone(),
            self.is_container.to_string(),
            self.artifacts.len().to_string(),
            bytes,
            files,
            uncounted,
            self.unknown.len().to_string(),
            render::or_empty(self.others.map(|others| others.bytes.0)),
            render::or_empty(self.others.map(|others| others.files)),
        ]
    }
}

#[derive(Serialize)]
struct RemovalDocument<'a> {
    items: &'a [PlannedItem],
    stays: &'a [std::path::PathBuf],
    bound: &'a [Skipped],
    artifacts: usize,
    #[serde(flatten)]
    total: Total,
    #[serde(flatten, serialize_with = "as_others")]
    others: Option<Size>,
    /// What `rm --keep-going` would remove: all but what is bound.
    would_go: Going,
}

/// What goes of a plan.
#[derive(Serialize)]
struct Going {
    artifacts: usize,
    #[serde(flatten)]
    total: Total,
    #[serde(flatten, serialize_with = "as_others")]
    others: Option<Size>,
}

impl Rm {
    /// Whether it names a whole run, and no paths.
    pub(super) fn takes_whole_run(&self) -> bool {
        self.whole_run.is_some()
    }
}

pub(super) fn run(context: &mut Context, command: &Rm) -> Result<(), Failure> {
    context.may_skip.set(true);
    // Two selections could be joined or intersected; for a removal, neither may be guessed.
    if command.whole_run.is_some() && !command.subjects.is_empty() {
        return Err(Failure::usage(
            "--whole-run takes a run as a whole; nothing else can be selected with it",
            "leave out the rest, or leave out --whole-run",
        ));
    }
    // A dry run also works on a read-only mount, and beside a process that hangs.
    let look = |registry: Registry| {
        let named = match &command.whole_run {
            Some(_) => Named::Each(Vec::new()),
            None => command.subjects.named(context, &registry, "rm", "remove")?,
        };
        let plan = plan(context, command, &registry, &named)?;
        Ok((registry, named, plan))
    };
    let (registry, named, mut plan) = match command.dry_run {
        true => context.asked(look)?,
        false => look(context.open_to_free()?)?,
    };
    let filter = named.filter();
    let format = context.format(command.output);
    if plan.items.is_empty() {
        if format == Format::Json {
            render::document(context, "plan", &document(&plan, &[], &plan))?;
        }
        return Err(context.nothing_selected(&registry, &filter, "nothing was removed")?);
    }
    context.require_runs(&registry, &filter, "nothing was removed")?;
    let keep = command.trash.keep();
    let options = RemoveOptions {
        reason: command.reason.clone(),
        keep,
        keep_going: command.keep_going,
        force_pinned: command.force_pinned,
        // The links go with the run that they are of.
        ignore_best_links: command.ignore_best_links || command.whole_run.is_some(),
        // Artifacts that a user names go as they are; only a plan of rules depends on their age and
        // size.
        unchanged: false,
        keep_parents: false,
    };
    // Of what is named one by one there is no filter.
    let about_all = match filter.is_all() {
        true => None,
        false => context.about_all_runs(&registry, &filter),
    };
    if let Some(about_all) = about_all
        .as_ref()
        .filter(|_| command.dry_run || command.yes)
    {
        context.warn(about_all);
    }
    if command.dry_run {
        // The removal's own checks, so that the preview shows what it would refuse.
        let bound = registry.protected(&plan, &options)?;
        return show_plan(
            context,
            &registry,
            &plan,
            &bound,
            (command.keep_going, format),
        );
    }
    // No lock is held while the user decides: the transaction checks every row again.
    if !command.yes {
        if let Err(error) = registry.check_removal(&plan, &options) {
            // What the question would have said: it may be of a run that was not meant.
            if let Some(about_all) = &about_all {
                context.warn(about_all);
            }
            return Err(error.into());
        }
        ask(context, &registry, &plan, keep, about_all.as_deref())?;
    }
    let mut rounds = 1;
    let report = loop {
        let monitor = context.monitor();
        context.begins_to_remove();
        let removed = registry.remove_planned(&plan, &options, &monitor);
        drop(monitor);
        match removed {
            // What a training records in a container meanwhile is asked for, too, if nothing was
            // shown and confirmed.
            Err(error) if command.yes && rounds < MOST_ROUNDS && is_newer(&error) => {
                rounds += 1;
                plan = self::plan(context, command, &registry, &named)?;
            }
            // One transaction: what had moved is back at its place.
            removed => break removed.map_err(|error| context.ended(error, NOTHING))?,
        }
    };
    say(context, (&registry, keep), &report, &plan, format)?;
    context.purge_due(&registry);
    // Without a purge, the data is in the trash as it should be.
    let is_unlinked = report.purge.as_ref().is_none_or(|purge| purge.failed == 0);
    if report.skipped.is_empty() && is_unlinked {
        Ok(())
    } else {
        Err(Failure::Partly)
    }
}

/// Whether something came since the removal was planned.
fn is_newer(error: &Error) -> bool {
    matches!(error.code(), "changed-since-plan" | "changed-meanwhile")
}

/// Plans the removal by what is on disk now: straight after a training no row knows its data.
fn plan(
    context: &Context,
    command: &Rm,
    registry: &Registry,
    named: &Named,
) -> Result<RemovalPlan, Failure> {
    let choose = || -> Result<RemovalPlan, Failure> {
        if let Some(run) = &command.whole_run {
            let run = context.run_name(run)?;
            refuse_part_of_run(registry, &run)?;
            return Ok(context.waiting("planning", || registry.plan_run_removal(&run))?);
        }
        let chosen = command.subjects.to_remove(registry, named)?;
        let mut plan = context.waiting("planning", || registry.plan_removal(chosen))?;
        if let Named::Each(targets) = named {
            for target in targets {
                // What is in a folder that the user names, and not gone afterwards, is named.
                if let Target::Path(path) = target {
                    registry.add_stays(&mut plan, path)?;
                }
            }
        }
        Ok(plan)
    };
    let mut plan = choose()?;
    let artifacts: Vec<Artifact> = plan.artifacts().cloned().collect();
    let monitor = context.monitor();
    // For the prompt, which names bytes and files; the removal itself needs no counts.
    let options = RefreshOptions::new().measure(!command.no_count);
    let ended = |error| context.ended(error, NOTHING);
    let seen = match registry.refresh_artifacts(&artifacts, options, &monitor) {
        // A full disk keeps no removal from going on that does not depend on what was seen.
        Err(error) if error.is_full() && !depends_on_look(named) => {
            context.warn(&format!(
                "the catalog was not refreshed from disk: {error}; sizes that it lacks are unknown"
            ));
            // Some of it may have been written.
            plan = choose()?;
            RefreshReport::default()
        }
        seen => {
            let seen = seen.map_err(ended)?;
            // Chosen again, because the selection may depend on what the look has changed.
            if seen.changed > 0 {
                plan = choose()?;
            }
            seen
        }
    };
    plan.count_as(&seen.counts);
    // What goes without a row is in the numbers that the user confirms.
    if !command.no_count {
        registry.count_others(&mut plan, &monitor).map_err(ended)?;
    }
    drop(monitor);
    // What is another run's data the removal refuses by itself, unless it is forced.
    let is_shown = |found: &Notice| command.force_pinned || found.class != NoticeClass::Moved;
    let notices: Vec<Notice> = seen.notices.into_iter().filter(is_shown).collect();
    context.notices_of_query(&notices);
    Ok(plan)
}

/// Whether a selection depends on what a look at the data sees, such as age and state.
fn depends_on_look(named: &Named) -> bool {
    let filter = named.filter();
    filter.without_observed() != filter
}

/// Refuses what is no run, but a container or another folder of one.
fn refuse_part_of_run(registry: &Registry, name: &RunName) -> Result<(), Failure> {
    let path = Path::new(name.as_str());
    let found = registry.at(path)?;
    let Some(first) = found.first() else {
        return Ok(());
    };
    let run = first.key.run();
    let is_part = found.iter().all(|artifact| artifact.key.run() == run)
        && run != name
        && path.starts_with(run.as_str());
    if !is_part {
        return Ok(());
    }
    let what = match is_container_name(name.as_str()) {
        true => "a container",
        false => "a part",
    };
    let [name, whole] = [name, run].map(|name| shell_word(name.as_str()));
    Err(Failure::usage(
        format!("{name} is {what} of run {run}, and --whole-run takes a run"),
        format!(
            "remove it with: dalsegno rm {name}; or the whole run with: dalsegno rm --whole-run \
             {whole}"
        ),
    ))
}

/// The parts of a plan that go and that stay if what is bound stays: what goes by one rename goes
/// or stays as a whole.
fn split(base: &Path, plan: &RemovalPlan, bound: &[Skipped]) -> (RemovalPlan, RemovalPlan) {
    let bound: HashSet<&Path> = bound.iter().map(|one| one.path.as_path()).collect();
    let is_bound = |item: &PlannedItem| {
        let mut artifacts = item.artifacts.iter();
        bound.contains(base.join(&item.path).as_path())
            || artifacts.any(|artifact| bound.contains(artifact.path().as_path()))
            // What the registry does not know may be bound too.
            || item.is_container && bound.iter().any(|path| path.starts_with(base.join(&item.path)))
    };
    let (stay, go) = plan.items.iter().cloned().partition(is_bound);
    let of = |items| RemovalPlan {
        items,
        ..plan.clone()
    };
    (of(go), of(stay))
}

fn document<'a>(
    plan: &'a RemovalPlan,
    bound: &'a [Skipped],
    go: &RemovalPlan,
) -> RemovalDocument<'a> {
    RemovalDocument {
        items: &plan.items,
        stays: &plan.stays,
        bound,
        artifacts: plan.artifacts().count(),
        total: plan.total(),
        others: plan.others(),
        would_go: Going {
            artifacts: go.artifacts().count(),
            total: go.total(),
            others: go.others(),
        },
    }
}

fn show_plan(
    context: &mut Context,
    registry: &Registry,
    plan: &RemovalPlan,
    bound: &[Skipped],
    (keep_going, format): (bool, Format),
) -> Result<(), Failure> {
    let (go, stay) = split(registry.base(), plan, bound);
    if format == Format::Json {
        return render::document(context, "plan", &document(plan, bound, &go));
    }
    let mut rows = Rows::new::<PlannedItem>(context, format)?;
    go.items.iter().try_for_each(|item| rows.push(item))?;
    rows.finish("")?;
    for line in remarks(&go) {
        context.say(&line);
    }
    // These do not change the exit status: a preview that shows them has succeeded.
    context.warn_of(bound.iter().map(|one| one.reason.clone()), "that must stay");
    let text = match (bound.is_empty(), keep_going, go.items.is_empty()) {
        (true, ..) => format!("would remove {}", summary(&go)),
        (false, true, false) => {
            format!(
                "would remove {}; {} must stay",
                summary(&go),
                summary(&stay)
            )
        }
        (false, false, false) => format!(
            "rm would refuse, because {} must stay; with --keep-going it would remove {}",
            summary(&stay),
            summary(&go)
        ),
        (false, true, true) => format!("would remove nothing: {} must stay", summary(&stay)),
        (false, false, true) => format!("rm would refuse, because {} must stay", summary(&stay)),
    };
    context.say(&format!("{text}; nothing was removed"));
    // The preview worked here; the removal will not, and the user should know before the attempt.
    // A full disk is no such case: the reserve lets a removal work there.
    if registry.is_read_only() && registry.notice().is_some() && !registry.may_write() {
        context.say("this process cannot write to the base directory");
    }
    Ok(())
}

/// What a plan removes: artifacts, bytes and files, and those of what the registry does not know.
fn summary(plan: &RemovalPlan) -> String {
    format!(
        "{}, {}{}",
        render::count(plan.artifacts().count(), "artifact"),
        total_text(&plan.total()),
        others_of(plan)
    )
}

/// What goes beside the artifacts, as a clause; empty if it is nothing.
fn others_of(plan: &RemovalPlan) -> String {
    let mut others = Total::default();
    plan.items.iter().for_each(|item| others.add(item.others));
    others_text(&others)
}

/// What is removed although the registry does not know it, and what stays.
fn remarks(plan: &RemovalPlan) -> Vec<String> {
    let mut lines = Vec::new();
    for item in plan.items.iter().filter(|item| !item.unknown.is_empty()) {
        // The size has the metadata of groups too, which is not named.
        let what = match item.others {
            Some(others) => format!(
                "{} that the registry does not know, among them",
                size_text(others.bytes, others.files)
            ),
            None => "what the registry does not know".to_owned(),
        };
        lines.push(format!("{} also contains {what}:", item.path));
        lines.extend(names(
            item.unknown.iter().map(|path| path.display().to_string()),
        ));
    }
    if !plan.stays.is_empty() {
        lines.push("these are in the same folders and stay:".to_owned());
        lines.extend(names(
            plan.stays.iter().map(|path| path.display().to_string()),
        ));
    }
    lines
}

fn names(all: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = all.len().saturating_sub(MOST_NAMES);
    let mut lines: Vec<String> = all
        .take(MOST_NAMES)
        .map(|name| format!("  {name}"))
        .collect();
    if more > 0 {
        lines.push(format!("  and {} more", render::number(more as u64)));
    }
    lines
}

/// Asks on the terminal whether to carry out a plan.
fn ask(
    context: &Context,
    registry: &Registry,
    plan: &RemovalPlan,
    keep: TrashKeep,
    about_all: Option<&str>,
) -> Result<(), Failure> {
    let mut text = String::new();
    for line in names(plan.items.iter().map(|item| item.path.clone())) {
        text.push_str(&format!("{line}\n"));
    }
    for line in remarks(plan) {
        text.push_str(&format!("{line}\n"));
    }
    let destination = destination(registry, keep);
    // Else the words would be about what the registry does not know.
    let comma = match others_of(plan).is_empty() {
        true => "",
        false => ",",
    };
    let summary = summary(plan);
    if let Some(about_all) = about_all {
        text.push_str(&format!("{about_all}\n"));
    }
    text.push_str(&format!("Remove {summary}{comma} {destination}? [y/N] "));
    confirm(
        context,
        &text,
        "nothing was removed",
        "see what would be removed with: dalsegno rm --dry-run …; remove it with: dalsegno rm \
         --yes …",
    )
}

fn say(
    context: &mut Context,
    (registry, keep): (&Registry, TrashKeep),
    report: &RemovalReport,
    plan: &RemovalPlan,
    format: Format,
) -> Result<(), Failure> {
    render::write_json(context, format, "removal", report)?;
    if let Some(failure) = &report.backup_failed {
        warn_no_backup(context, failure);
    }
    // The report has all of them; here they would hide the rest.
    for path in report.missing.iter().take(MOST_NAMES) {
        context.warn(&format!(
            "{} had no data left; its row was removed",
            path.display()
        ));
    }
    warn_skipped(context, &report.skipped);
    warn_stale_lists(context, &report.stale_lists);
    // Repeated only if something stays: then a folder that the user expects to be gone is there.
    for line in remarks(plan).iter().filter(|_| !plan.stays.is_empty()) {
        context.say(line);
    }
    // Everything was skipped, so no removal was made and there is no id to restore.
    let Some(id) = &report.removal else {
        context.say("nothing was removed");
        return Ok(());
    };
    let mut others = Total::default();
    others.add(report.others);
    context.say(&format!(
        "removed {}, {}{} (removal {id})",
        render::count(report.artifacts.len(), "artifact"),
        total_text(&report.total),
        others_text(&others)
    ));
    match &report.purge {
        Some(purge) if !purge.is_done && interrupt::is_interrupted() => {
            return Err(Failure::Interrupted(format!(
                "{} removed; what is left to unlink: dalsegno trash empty {id}",
                were(report.artifacts.len(), "artifact")
            )));
        }
        Some(purge) => {
            report_purge(context, purge);
            if purge.failed > 0 && is_kept(registry, id)? {
                let hint = format!("restore it with: dalsegno restore {id}");
                let hint = context.with_base(&hint);
                context.say(&format!(
                    "nothing of it was unlinked, so it is in the trash; {hint}"
                ));
            }
        }
        // A removal of rows without data moved nothing to the trash.
        None if report.moved > 0 => {
            let hint = format!("restore it with: dalsegno restore {id}");
            context.say(&context.with_base(&hint));
        }
        None => say_nothing_kept(context, registry, keep),
    }
    Ok(())
}

/// Whether the data of a removal can still be restored.
fn is_kept(registry: &Registry, id: &RemovalId) -> Result<bool, Failure> {
    let removal = registry.removal(id)?;
    Ok(removal.is_some_and(|removal| removal.state == RemovalState::Kept))
}
