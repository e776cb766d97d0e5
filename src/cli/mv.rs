//! `mv`: renames a run.

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::flags::Output;
use super::prompt::confirm;
use super::removal::warn_stale_lists;
use super::render::{self, count, shell_word};
use crate::error::listed;
use crate::ops::rename::{RenameOptions, RenameReport};

/// Rename a run: its folder, rows, scores, pins and seals
///
/// All of it in one transaction: after a crash the run has one name or the other, everywhere. What
/// is in the trash keeps the old name. If data was written within the last hour, it asks first: a
/// training that goes on would make its old folder again.
#[derive(Debug, Args)]
pub(super) struct Mv {
    /// Name of the run
    #[arg(value_name = "RUN")]
    run: String,
    /// New name
    #[arg(value_name = "NEW")]
    to: String,
    /// Show what would be renamed, and rename nothing
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Rename without asking, even a run that was written to within the last hour
    #[arg(long, short = 'y')]
    yes: bool,
    /// Why; kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Mv) -> Result<(), Failure> {
    let (run, to) = (
        &context.run_name(&command.run)?,
        &context.run_name(&command.to)?,
    );
    let registry = match command.dry_run {
        // A preview also works for users who may only read.
        true => context.open_read_only()?,
        false => context.open()?,
    };
    let format = context.format(command.output);
    // For the prompt and the preview: the rename plans again in its own transaction.
    let planned = context.waiting("planning", || registry.plan_rename(run, to))?;
    if command.dry_run {
        render::write_json(context, format, "rename", &planned)?;
        context.say(&format!(
            "would rename run {run} to {to}: {}; nothing was renamed",
            along(&planned)
        ));
        say_trash(context, &planned);
        notices(context, &planned);
        return Ok(());
    }
    // Before the question: there may be no way back to the old name.
    say_trash(context, &planned);
    if let (Some(at), false) = (planned.active_at, command.yes) {
        context.warn(&format!(
            "run {run} was written to at {at}; a training may be at work"
        ));
        confirm(
            context,
            &format!("rename run {run} to {to} nevertheless? [y/N] "),
            "nothing was renamed",
            &format!(
                "dalsegno mv --yes {} {}",
                shell_word(run.as_str()),
                shell_word(to.as_str())
            ),
        )?;
    }
    let options = RenameOptions::default()
        // The consent covers what was shown: a run that became active since then is refused.
        .active(planned.active_at.is_some() || command.yes)
        .reason(command.reason.clone());
    let report = context.waiting("renaming", || registry.rename_run(run, to, &options))?;
    render::write_json(context, format, "rename", &report)?;
    context.say(&format!("renamed run {run} to {to}: {}", along(&report)));
    notices(context, &report);
    warn_stale_lists(context, &report.stale_lists);
    context.purge_due(&registry);
    Ok(())
}

/// What goes along, as a phrase.
fn along(report: &RenameReport) -> String {
    let mut parts = vec![count(report.artifacts, "artifact")];
    if report.scores > 0 {
        parts.push(count(report.scores, "score"));
    }
    // What pins bind of a run, in the word that users know.
    if report.scopes > 0 {
        parts.push(count(report.scopes, "pin"));
    }
    parts.join(", ")
}

/// Says what of the old name is in the trash, and that it binds the name.
fn say_trash(context: &Context, report: &RenameReport) {
    if report.in_trash == 0 {
        return;
    }
    let hint = context.with_base(&format!(
        "to free the name, delete them for good with: dalsegno trash empty {}",
        listed(&report.removals)
    ));
    context.warn(&format!(
        "the trash has {} of the old name; a restore brings them back to {run}, and while they are \
         there no run can be renamed to {run}; {hint}",
        count(report.in_trash, "item"),
        run = report.run
    ));
}

/// Says what else keeps the old name.
fn notices(context: &Context, report: &RenameReport) {
    if report.links > 0 {
        context.warn(&format!(
            "{} among the checkpoints to the old path; dangling, it binds as before",
            count(report.links, "link")
        ));
    }
    // They are named and not changed, because they belong to DaCapo.
    if !report.left.is_empty() {
        let left: Vec<String> = report
            .left
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        context.warn(&format!(
            "DaCapo's own files keep the old name: {}",
            left.join(", ")
        ));
    }
}
