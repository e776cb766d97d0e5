//! The command `gc`: its flags, and the look on disk before a plan.

use std::path::PathBuf;

use clap::Args;

use super::apply::CarryOut;
use super::rules::Rules;
use super::{apply, explain, plan};
use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::files;
use crate::cli::flags::Output;
use crate::cli::removal::TrashFlags;
use crate::cli::render::shell_word;
use crate::cli::selection::Asked;
use crate::model::artifact::State;
use crate::model::progress::Monitor;
use crate::ops::gc::{GcPlan, GcRequest};
use crate::ops::refresh::Question;
use crate::registry::Registry;

/// Plan what to remove, with a reason for every artifact, and carry the plan out
///
/// Without --apply, nothing is removed. Looks on disk first, and counts arrays of unknown size.
/// Only what the selection flags match may be removed; what a rule keeps stays; with a limit, only
/// as much of the rest is removed as the limit needs, oldest first. Rules compare the iterations of
/// one run, kind and dataset. Pinned artifacts, the iterations that DaCapo's checkpoints call best,
/// and what was recorded or written within the last hour always stay. An array is as old as the
/// newest of its metadata, chunks and folders. Checkpoints are considered
/// only if --kind names them. Damaged arrays, whose metadata cannot be read, count for no rule and
/// stay; with --state damaged, these go and nothing else. Exit code 3 if something was skipped, or
/// could not be read or unlinked.
#[derive(Debug, Args)]
pub(in crate::cli) struct Gc {
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    asked: Asked,
    /// List what stays too, instead of a summary for each run; TSV and JSON have all in any case
    #[arg(long, help_heading = "Output")]
    all: bool,
    /// Show what every rule says about one artifact
    #[arg(long, value_name = "PATH", conflicts_with_all = ["apply", "plan_out"])]
    explain: Option<PathBuf>,
    /// Write the plan to a new file, for --apply FILE
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    plan_out: Option<PathBuf>,
    /// Carry out the plan of these rules or, with FILE, the plan that --plan-out wrote there
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "a flag whose value is optional")]
    apply: Option<Option<PathBuf>>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    /// Reason of the removal, kept in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    trash: TrashFlags,
    /// Plan from the catalog, without a look on disk first; only what would be removed is looked
    /// at, for the time at which it was last written, and sealed arrays that stay in its place
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    output: Output,
}

impl Gc {
    fn carry_out(&self) -> CarryOut<'_> {
        CarryOut {
            about_all: None,
            file: self.apply.as_ref().and_then(Option::as_deref),
            yes: self.yes,
            reason: self.reason.as_deref(),
            trash: self.trash,
            form: self.form(),
            output: self.output,
        }
    }

    /// Whether a plan is carried out.
    pub(in crate::cli) fn applies(&self) -> bool {
        self.apply.is_some()
    }

    fn form(&self) -> plan::Form {
        match self.all {
            true => plan::Form::All,
            false => plan::Form::Short,
        }
    }
}

pub(in crate::cli) fn run(context: &mut Context, command: &Gc) -> Result<(), Failure> {
    let mut filter = command.asked.selection().filter(context);
    let damaged = filter.states == [State::Damaged];
    // A flag that cannot change the plan is refused, so that it is not taken for a rule.
    if (!filter.states.is_empty() && !damaged) || filter.pinned {
        return Err(Failure::usage(
            "gc considers present artifacts or, with --state damaged, only those whose metadata \
             cannot be read; pinned ones always stay",
            "leave out --state and --pinned, or give --state damaged",
        ));
    }
    if damaged && command.rules.decides() {
        return Err(Failure::usage(
            "rules, limits and policies decide on arrays that can be read, so with --state damaged \
             there are none",
            "dalsegno gc --state damaged, with --run, --kind, --older-than … to select less",
        ));
    }
    if let Some(Some(file)) = &command.apply {
        if !filter.is_all() || command.asked.names_paths() || command.rules.any() {
            return Err(Failure::usage(
                "a plan in a file is carried out as it is, so --apply FILE takes no selection and \
                 no rules",
                "dalsegno gc --apply FILE",
            ));
        }
        let carry_out = command.carry_out();
        return apply::file(context, &carry_out, file);
    }
    let age = command.asked.selection().age();
    // The age becomes a rule: a request refuses a filter with an age.
    filter.older_than = None;
    // Read once the registry is open, because its configuration has the named policies.
    let rules = |registry: &Registry| {
        let filter = command.asked.narrowed(filter.clone(), context, registry)?;
        let read = command.rules.read(&filter, age, registry);
        read.or_else(|failure| {
            // A mistyped name first: rules about nothing are mended in vain.
            context.say_unmatched(registry, &filter)?;
            Err(failure)
        })
    };
    let (registry, request, partly) = open(context, command, &rules)?;
    let filter = command.asked.narrowed(filter.clone(), context, &registry)?;
    if let Some(path) = &command.explain {
        return explain::explain(context, &registry, &request, path, command.output);
    }
    let plan = context.waiting("planning", || registry.plan_gc(&request));
    if plan.is_err() {
        context.say_unmatched(&registry, &filter)?;
    }
    let plan = plan?;
    if plan.plan.lines.is_empty() && !filter.is_all() && !registry.names_any(&filter)? {
        let nothing = context.nothing_selected(&registry, &filter, "nothing was removed")?;
        // What is named one by one fails in a plan too.
        let fails =
            command.apply.is_some() || context.names_in_vain(&registry, &filter, &command.asked)?;
        match (fails, nothing) {
            (false, Failure::Nothing(why, _)) => context.say(&why),
            (_, nothing) => return Err(nothing),
        }
    } else {
        // Before anything is removed: what is named in vain may be mistyped.
        context.waiting("reading the catalog", || {
            context.require_named(&registry, &filter, &command.asked)
        })?;
    }
    // A policy names its runs itself.
    let about_all = match command.rules.is_named() || plan.file.items.is_empty() {
        true => None,
        false => context.about_all_runs(&registry, &filter),
    };
    let asks = command.apply.is_some() && !command.yes;
    if let Some(about_all) = about_all.as_ref().filter(|_| !asks) {
        context.warn(about_all);
    }
    let result = match &command.apply {
        Some(_) => {
            let mut carry_out = command.carry_out();
            carry_out.about_all = about_all;
            apply::plan(context, &carry_out, &registry, &plan)
        }
        // Shown before it is saved, so that the user sees it even if the file cannot be written.
        None => {
            let shown = plan::show(context, (&registry, &plan), command.form(), command.output);
            shown.and_then(|()| save(context, command, &plan))
        }
    };
    match result {
        Ok(()) if partly => Err(Failure::Partly),
        result => result,
    }
}

type ReadRules<'a> = &'a dyn Fn(&Registry) -> Result<GcRequest, Failure>;

/// Opens the registry and looks on disk for what the request covers, because a plan trusts the
/// catalog. The last value says whether something could not be read.
fn open(
    context: &Context,
    command: &Gc,
    rules: ReadRules<'_>,
) -> Result<(Registry, GcRequest, bool), Failure> {
    let look = |registry| look(context, command, rules, registry);
    match (command.apply.is_some(), command.no_refresh) {
        // Carrying out needs to write in any case, so a read-only catalog is an error here.
        (true, _) => look(context.open_to_free()?),
        (false, true) => look(context.open_read_only()?),
        (false, false) => context.asked(look),
    }
}

/// Looks on disk for what the request covers, if the catalog can be written.
fn look(
    context: &Context,
    command: &Gc,
    rules: ReadRules<'_>,
    registry: Registry,
) -> Result<(Registry, GcRequest, bool), Failure> {
    let mut request = rules(&registry)?.keep(command.trash.keep());
    if let Some(path) = &command.explain
        && let Some(artifact) = explain::artifact(context, &registry, path)?
    {
        request = registry.for_run(request, artifact.key.run())?;
    }
    // Without a look, the plan reads write times of its candidates itself.
    if command.no_refresh || registry.is_read_only() {
        return Ok((registry, request, false));
    }
    // What is due is free space that nothing has to go for.
    if command.apply.is_some() && request.wants_free() {
        context.purge_due(&registry);
    }
    let monitor = context.monitor();
    let seen = registry.refresh_for(Question::Gc(&request), &monitor as &dyn Monitor);
    drop(monitor);
    let report = seen.map_err(|error| context.ended(error, "nothing was removed"))?;
    context.warns_of_damage.set(true);
    let partly = context.notices_of_query(&report.notices);
    let request = request.unread(&report.notices).counts(&report.counts);
    Ok((registry, request, partly))
}

/// Writes the plan to the file that --plan-out names, or says how to carry it out.
fn save(context: &Context, command: &Gc, plan: &GcPlan) -> Result<(), Failure> {
    let Some(path) = &command.plan_out else {
        // Nothing to carry out, so no hint to do it.
        if plan.plan.removed().next().is_some() {
            let host = context.published.get().map(|copy| &copy.copy.host);
            let there = host.map_or(String::new(), |host| format!(" on host {host}"));
            context.say(&format!(
                "nothing was removed; to carry the plan out, run the same command with --apply\
                 {there}"
            ));
        }
        return Ok(());
    };
    let mut text = plan.file.text()?;
    text.push('\n');
    // Never over an existing file, which may be a plan that was approved.
    files::write_new(path, &text)?;
    let word = shell_word(&path.display().to_string());
    let hint = context.with_base(&format!("carry it out with: dalsegno gc --apply {word}"));
    context.say(&format!("nothing was removed; {hint}"));
    Ok(())
}
