//! `gc --apply`: carries a plan out and reports what was done.

use std::io::IsTerminal;
use std::path::Path;

use super::plan;
use super::summary::nothing_to_remove;
use crate::cli::context::Context;
use crate::cli::ended::part_of;
use crate::cli::fail::Failure;
use crate::cli::files;
use crate::cli::flags::{Format, Output};
use crate::cli::interrupt;
use crate::cli::prompt::confirm;
use crate::cli::removal::{
    TrashFlags, destination, report_purge, say_nothing_kept, warn_no_backup, warn_skipped,
    warn_stale_lists,
};
use crate::cli::render::{self, count, total_text};
use crate::error::Error;
use crate::model::removal::{RemovalState, TrashKeep};
use crate::ops::gc::{GcOptions, GcPlan, GcReport, PlanFile};
use crate::registry::Registry;

/// What is said at a Ctrl-C after a plan was carried out.
const DONE: &str = "the plan was carried out before; nothing is left to do";

/// The flags that say how a plan is carried out.
pub(super) struct CarryOut<'a> {
    /// What the question says first if the plan is about all runs; see
    /// [`Context::about_all_runs`].
    pub(super) about_all: Option<String>,
    /// The file that the plan was read from; `-` is the standard input.
    pub(super) file: Option<&'a Path>,
    pub(super) yes: bool,
    pub(super) reason: Option<&'a str>,
    pub(super) trash: TrashFlags,
    pub(super) form: plan::Form,
    pub(super) output: Output,
}

pub(super) fn file(
    context: &mut Context,
    command: &CarryOut<'_>,
    path: &Path,
) -> Result<(), Failure> {
    // Read before the registry is opened, so that a wrong file waits for no lock.
    let text = files::read(path, "give a file that dalsegno gc --plan-out wrote")?;
    let plan = PlanFile::parse(&text)?;
    let registry = context.open_to_free()?;
    let keep = command.trash.keep();
    // A plan of rules says this in its notices; one of a file may be older than the setting.
    if !plan.items.is_empty() && registry.resolve_keep(keep) != TrashKeep::No {
        context.say(&format!(
            "what the plan removes goes {} and frees nothing until it is unlinked there; without \
             the trash: --no-trash",
            destination(&registry, keep)
        ));
    }
    carry_out(context, command, &registry, (&plan, None))
}

pub(super) fn plan(
    context: &mut Context,
    command: &CarryOut<'_>,
    registry: &Registry,
    made: &GcPlan,
) -> Result<(), Failure> {
    let format = context.format(command.output);
    // The prompt is about these lines. Without a prompt, what was done is printed instead.
    if format == Format::Table && std::io::stdout().is_terminal() && !command.yes {
        plan::lines(context, (registry, &made.plan), command.form, format)?;
    }
    // Also with --yes: that a limit is not met concerns scripts most.
    for remark in made.plan.unmet.iter().chain(&made.plan.notices) {
        context.warn(remark);
    }
    plan::say_goal(context, &made.plan);
    let nothing = nothing_to_remove(&made.plan);
    carry_out(context, command, registry, (&made.file, nothing))
}

fn carry_out(
    context: &mut Context,
    command: &CarryOut<'_>,
    registry: &Registry,
    (plan, nothing): (&PlanFile, Option<String>),
) -> Result<(), Failure> {
    let format = context.format(command.output);
    // Success: a plan that is carried out every night is often empty.
    if plan.items.is_empty() {
        context.say(nothing.as_deref().unwrap_or("the plan removes nothing"));
        let report = GcReport {
            plan: plan.id.clone(),
            ..GcReport::default()
        };
        return write(context, &report, format);
    }
    let keep = command.trash.keep();
    if !command.yes {
        let artifacts = count(plan.items.len(), "artifact");
        let total = total_text(&plan.total());
        let about_all = command.about_all.as_ref();
        let about_all = about_all.map_or(String::new(), |about| format!("{about}\n"));
        let again = match command.file {
            Some(file) => {
                let file = render::shell_word(&file.display().to_string());
                format!("dalsegno gc --apply {file} --yes")
            }
            None => "dalsegno gc … --apply --yes".to_owned(),
        };
        confirm(
            context,
            &format!(
                "plan {} of {}: {}\n{about_all}Remove {artifacts}, {total}, {}? [y/N] ",
                plan.id,
                render::short_time(plan.made_at),
                plan.policy,
                destination(registry, keep)
            ),
            "nothing was removed",
            &format!("see the plan with: dalsegno gc …; carry it out with: {again}"),
        )?;
    }
    let options = GcOptions {
        reason: command.reason.map(str::to_owned),
        keep,
    };
    let monitor = context.monitor();
    context.begins_to_remove();
    let mut done = GcReport::default();
    // An error returns no report, so the count is taken on the way.
    let result = registry.apply_gc(plan, &options, &monitor, |report| {
        done = report.clone();
    });
    drop(monitor);
    // Each batch commits on its own: what an earlier batch removed stays removed.
    let report = match result {
        Ok(report) => {
            if report.purge.as_ref().is_none_or(|purge| purge.is_done) {
                interrupt::leaves(DONE.to_owned());
            }
            report
        }
        Err(Error::Cancelled { .. }) if interrupt::is_interrupted() => {
            return Err(ended(plan.items.len(), &done));
        }
        Err(error) => {
            if done.artifacts > 0 {
                let done = count(done.artifacts, "artifact");
                context.say(&format!(
                    "{done} of the plan were removed before the error, in separate removals"
                ));
            }
            return Err(error.into());
        }
    };
    write(context, &report, format)?;
    if let Some(failure) = &report.backup_failed {
        warn_no_backup(context, failure);
    }
    warn_skipped(context, &report.skipped);
    warn_stale_lists(context, &report.stale_lists);
    if report.missing > 0 {
        let missing = count(report.missing, "artifact");
        context.warn(&format!(
            "no data was left of {missing}; removed from the catalog only"
        ));
    }
    if report.removals.is_empty() {
        context.say("nothing was removed");
    } else {
        context.say(&format!(
            "removed {}, {} ({})",
            count(report.artifacts, "artifact"),
            total_text(&report.total),
            count(report.removals.len(), "removal")
        ));
    }
    match &report.purge {
        Some(purge) if !purge.is_done && interrupt::is_interrupted() => {
            return Err(ended(plan.items.len(), &report));
        }
        Some(purge) => report_purge(context, purge),
        None if !report.removals.is_empty() => {
            // A removal of rows without data moved nothing to the trash, and is over.
            let mut kept = Vec::new();
            for id in &report.removals {
                let removal = registry.removal(id)?;
                kept.extend(removal.filter(|removal| removal.state == RemovalState::Kept));
            }
            match kept.as_slice() {
                [] => say_nothing_kept(context, registry, keep),
                [removal] => context.say(
                    &context
                        .with_base(&format!("restore it with: dalsegno restore {}", removal.id)),
                ),
                _ => context.say(&context.with_base(
                    "restore a removal with: dalsegno restore ID; see: dalsegno trash list",
                )),
            }
        }
        None => {}
    }
    if !report.removals.is_empty() {
        context.purge_due(registry);
    }
    let is_unlinked = report.purge.as_ref().is_none_or(|purge| purge.failed == 0);
    if report.skipped.is_empty() && is_unlinked {
        Ok(())
    } else {
        Err(Failure::Partly)
    }
}

/// What Ctrl-C left of a plan that is carried out in several removals.
fn ended(all: usize, done: &GcReport) -> Failure {
    let all = all as u64;
    let removed = part_of(done.artifacts, all, "artifact");
    let is_all = done.artifacts == all;
    let rest = match done.artifacts {
        0 => "nothing was removed".to_owned(),
        _ if is_all => format!("{removed} removed"),
        _ => format!("{removed} removed; the rest is untouched"),
    };
    // Each removal is unlinked before the next one begins.
    let is_left = done.purge.as_ref().is_some_and(|purge| !purge.is_done);
    let next = match done.removals.last().filter(|_| is_left) {
        Some(id) => format!("what is left to unlink: dalsegno trash empty {id}"),
        None if is_all => "nothing is left to do".to_owned(),
        None => "to go on, run the same command again".to_owned(),
    };
    Failure::Interrupted(format!("{rest}; {next}"))
}

/// Writes the report to stdout, if JSON was asked for.
fn write(context: &mut Context, report: &GcReport, format: Format) -> Result<(), Failure> {
    render::write_json(context, format, "gc", report)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PurgeReport;

    #[test]
    fn after_all_was_removed_nothing_is_left_to_do() {
        let said = |artifacts, is_purged: Option<bool>| {
            let done = GcReport {
                artifacts,
                removals: vec!["20261129-141106-f7ea5e".parse().unwrap()],
                purge: is_purged.map(|is_done| PurgeReport {
                    is_done,
                    ..PurgeReport::default()
                }),
                ..GcReport::default()
            };
            match ended(95, &done) {
                Failure::Interrupted(text) => text,
                _ => panic!("no words"),
            }
        };
        let all = "95 of 95 artifacts were removed; nothing is left to do";
        assert_eq!(said(95, None), all);
        assert_eq!(said(95, Some(true)), all);
        assert!(said(95, Some(false)).contains("dalsegno trash empty 20261129-141106-f7ea5e"));
        assert!(said(94, None).ends_with("to go on, run the same command again"));
    }
}
