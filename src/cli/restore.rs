//! `restore`: restores removed artifacts from the trash.

use clap::Args;

use super::context::Context;
use super::ended::{Next, Parts};
use super::fail::Failure;
use super::flags::Output;
use super::removal::{warn_skipped, warn_stale_lists};
use super::render::{count, number};
use super::selection::Selection;
use super::{artifacts, render};
use crate::model::operation::Action;
use crate::ops::remove::Skipped;
use crate::ops::restore::{OlderRemoved, RestoreReport, RestoreTarget};
use crate::registry::{Registry, Target};

/// The code of what was deleted in the trash by hand.
const LOST: &str = "lost-in-trash";
/// Removals and artifacts that are named one by one.
const MOST_NAMES: usize = 3;

/// Restore removed artifacts from the trash: rows and data, as they were
///
/// Give removal ids (see: dalsegno trash list), paths, or a selection. A path or a selection
/// restores all that is in the trash of it, whichever removals took it; --last restores only what
/// the newest of these took. If a path was removed several times, the last removal of it is
/// restored, and the older ones are named; they stay in the trash. A container that was removed as
/// a whole is restored as a whole; if a new one is at its place, what has no counterpart in that is
/// restored. Nothing is overwritten: what is taken stays in the trash and is named, with exit code
/// 3. So is what was deleted in the trash by hand; its row comes back as missing.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// Removal ids or paths
    #[arg(value_name = "ID|PATH")]
    what: Vec<String>,
    #[command(flatten)]
    selection: Selection,
    /// Of each path and of the selection, restore only what the newest removal took
    #[arg(long)]
    last: bool,
    /// Show what would be restored, and restore nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    #[command(flatten)]
    output: Output,
}

/// One removal after the other comes back, each as a whole.
const PARTS: Parts = Parts {
    actions: &[Action::Restore],
    nothing: "nothing was restored",
    thing: "artifact",
    done: "restored",
    next: Next::Other("what is in the trash: dalsegno trash list"),
};

pub(super) fn run(context: &mut Context, command: &Restore) -> Result<(), Failure> {
    let filter = command.selection.filter(context);
    if command.what.is_empty() && filter.is_all() {
        return Err(Failure::usage(
            "nothing is selected to restore",
            "give an ID, a PATH, or flags such as --run NAME; see: dalsegno trash list",
        ));
    }
    let registry = if command.dry_run {
        // Settles nothing and purges nothing, so what it shows is still there afterwards.
        context.open_read_only()?
    } else {
        context.open()?
    };
    registry.require_runs(&filter)?;
    let mut targets: Vec<RestoreTarget> = Vec::new();
    for what in &command.what {
        // An id first: its form cannot be a path that a removal took.
        targets.push(match what.parse() {
            Ok(id) => RestoreTarget::Removal(id),
            Err(_) => RestoreTarget::Path(context.below_base(registry.base(), what.as_ref())),
        });
    }
    if !filter.is_all() {
        targets.push(RestoreTarget::Filter(filter));
    }
    if command.last {
        let each = targets.into_iter().map(Box::new);
        targets = each.map(RestoreTarget::Last).collect();
    }
    let format = context.format(command.output);
    if command.dry_run {
        let report = context.waiting("planning", || registry.plan_restore(&targets))?;
        if !render::write_json(context, format, "restore", &report)? {
            artifacts::rows(context, format, &report.artifacts)?;
        }
        let what = what_of(&report);
        let lost = lost(&report.skipped);
        let mut stays = match report.skipped.len() - lost {
            0 => String::new(),
            stay => format!(" and leave {} in the trash", number(stay as u64)),
        };
        if lost > 0 {
            let lost = count(lost, "artifact");
            stays.push_str(&format!(", and bring back as missing the rows of {lost}"));
        }
        context.say(&format!(
            "would restore {what}{stays}; nothing was restored"
        ));
        say_older(context, &report.older);
        say_left(context, &registry, &report.skipped);
        return match report.skipped.is_empty() {
            true => Ok(()),
            false => Err(Failure::Partly),
        };
    }
    // One by one: if a later target fails, the earlier ones stay restored.
    let mut report = RestoreReport::default();
    let (before, _) = registry.history_head()?;
    for target in &targets {
        let monitor = context.monitor();
        let restored = registry.restore(target);
        drop(monitor);
        let one =
            restored.map_err(|error| context.ended_partly(error, &registry, before, &PARTS))?;
        report.removals.extend(one.removals);
        report.artifacts.extend(one.artifacts);
        report.moved += one.moved;
        report.skipped.extend(one.skipped);
        report.older.extend(one.older);
        report.stale_lists.extend(one.stale_lists);
    }
    render::write_json(context, format, "restore", &report)?;
    context.say(&format!("restored {}", what_of(&report)));
    say_older(context, &report.older);
    say_left(context, &registry, &report.skipped);
    say_lost(context, &report.skipped);
    warn_stale_lists(context, &report.stale_lists);
    match report.skipped.is_empty() {
        true => Ok(()),
        false => Err(Failure::Partly),
    }
}

/// Says what stays in the trash, and what to do about what is in its way; then what is lost, which
/// nothing is in the way of.
pub(super) fn say_left(context: &Context, registry: &Registry, skipped: &[Skipped]) {
    let (lost, skipped): (Vec<Skipped>, Vec<Skipped>) =
        skipped.iter().cloned().partition(|one| one.code == LOST);
    warn_skipped(context, &skipped);
    let occupied = skipped.iter().filter(|one| one.code == "occupied");
    for one in occupied.take(MOST_NAMES) {
        // What is asked for the words alone must not end the command.
        if let Ok(Some(there)) = registry.get(&Target::Path(one.path.clone())) {
            context.say(&format!(
                "  there: a {}, recorded at {}; see: dalsegno show {}",
                there.key.kind(),
                there.recorded_at,
                render::shell_word(&one.path.display().to_string()),
            ));
        }
    }
    let in_the_way = ["occupied", "not-a-folder", "not-a-file", "symlink"];
    if skipped.iter().any(|one| in_the_way.contains(&one.code)) {
        context.say("  next: move away what is in the way, then restore it again");
    }
    warn_skipped(context, &lost);
}

/// Says what became of the rows of what was deleted in the trash by hand.
pub(super) fn say_lost(context: &Context, skipped: &[Skipped]) {
    let lost = match lost(skipped) {
        0 => return,
        1 => "1 artifact was deleted in the trash; its row is back as missing".to_owned(),
        lost => {
            let lost = count(lost, "artifact");
            format!("{lost} were deleted in the trash; their rows are back as missing")
        }
    };
    let next = "if data was moved away, move it to its old path; see: dalsegno list --state missing; \
                remove such a row with: dalsegno rm PATH";
    context.say(&format!("{lost}; {}", context.with_base(next)));
}

fn lost(skipped: &[Skipped]) -> usize {
    skipped.iter().filter(|one| one.code == LOST).count()
}

/// How many artifacts come back: of how many, if some of them are lost.
pub(super) fn artifacts_of(artifacts: usize, skipped: &[Skipped]) -> String {
    match lost(skipped) {
        0 => count(artifacts, "artifact"),
        _ => {
            let all = count(artifacts + skipped.len(), "artifact");
            format!("{artifacts} of {all}")
        }
    }
}

/// What comes back and which removals took it, in words.
fn what_of(report: &RestoreReport) -> String {
    let what = match report.artifacts.len() {
        // All artifacts of the removal were back before.
        0 if report.moved > 0 => "files that the registry does not know,".to_owned(),
        0 if report.skipped.is_empty() => "metadata of groups that was there,".to_owned(),
        artifacts => artifacts_of(artifacts, &report.skipped),
    };
    let mut removals: Vec<String> = report.removals.iter().map(ToString::to_string).collect();
    removals.sort_unstable();
    removals.dedup();
    match removals.as_slice() {
        [] => what,
        [one] => format!("{what} from removal {one}"),
        some if some.len() <= MOST_NAMES => format!("{what} from removals {}", some.join(", ")),
        many => format!("{what} from {}", count(many.len(), "removal")),
    }
}

/// Names what older removals hold of the places of what came back.
fn say_older(context: &Context, older: &[OlderRemoved]) {
    for OlderRemoved { path, removal, .. } in older.iter().take(MOST_NAMES) {
        context.say(&format!(
            "{path} of the older removal {removal} stays in the trash"
        ));
    }
    if older.len() > MOST_NAMES {
        let more = count(older.len() - MOST_NAMES, "artifact");
        context.say(&format!("and {more} of older removals; --json lists all"));
    }
}
