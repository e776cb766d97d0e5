//! `gc`: what may go by a policy, and carrying that out.

mod rules;
mod show;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::files;
use super::render::{self, count, total_text};
use super::rm::{self, TrashFlags};
use super::selection::Selection;
use crate::model::filter::Filter;
use crate::model::progress::Monitor;
use crate::ops::gc::{GcOptions, GcPlan, GcReport, GcRequest, PlanFile, line_at};
use crate::ops::refresh::RefreshOptions;
use crate::registry::{Registry, Target};

use rules::Rules;

/// Plan what may go, with a reason for every artifact, and carry the plan out
///
/// Without --apply nothing is removed. Looks on disk first, and counts what nobody counted. Flags of the selection say what may go at all; what a rule
/// keeps stays; with a limit, only as much of the rest goes as the limit needs, the oldest first.
/// Rules compare the iterations of one run, kind and dataset. Pinned artifacts, the iterations that
/// DaCapo's checkpoints call best, and what was recorded or written within the last hour always
/// stay. Checkpoints are looked at only where --kind names them. Exit code 3 where something was
/// skipped, or could not be read or unlinked.
#[derive(Debug, Args)]
pub(super) struct Gc {
    #[command(flatten)]
    selection: Selection,
    #[command(flatten)]
    rules: Rules,
    /// Say of one artifact what every rule says
    #[arg(long, value_name = "PATH", conflicts_with_all = ["apply", "plan_out"])]
    explain: Option<PathBuf>,
    /// Write the plan to a new file, for --apply FILE
    #[arg(long, value_name = "FILE", conflicts_with = "apply")]
    plan_out: Option<PathBuf>,
    /// Carry the plan out: the one of these rules, or the one of a file as it is
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[expect(
        clippy::option_option,
        reason = "a flag with a value that may be left out"
    )]
    apply: Option<Option<PathBuf>>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    /// Why; is remembered
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    trash: TrashFlags,
    /// Do not look on disk first
    #[arg(long)]
    no_refresh: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(context: &mut Context, command: &Gc) -> Result<(), Failure> {
    let mut filter = command.selection.filter();
    if !filter.states.is_empty() || filter.pinned {
        return Err(Failure::usage(
            "gc looks at what is present, and what is pinned always stays",
            "dalsegno gc without --state and --pinned",
        ));
    }
    if let Some(Some(file)) = &command.apply {
        if !filter.is_all() || command.rules.any() {
            return Err(Failure::usage(
                "a plan of a file is carried out as it is; it takes no selection and no rules",
                "dalsegno gc --apply FILE",
            ));
        }
        return apply_file(context, command, file);
    }
    let age = command.selection.age();
    filter.older_than = None;
    let rules = |registry: &Registry| command.rules.read(&filter, age, registry);
    let (registry, request, partly) = open(context, command, &rules)?;
    if let Some(path) = &command.explain {
        return show::explain(context, &registry, &request, path, command.output);
    }
    let plan = registry.plan_gc(&request)?;
    let result = match &command.apply {
        Some(_) => apply(context, command, &registry, &plan),
        None => {
            let told = show::plan(context, &plan, command.output);
            told.and_then(|()| keep(context, command, &plan))
        }
    };
    match result {
        Ok(()) if partly => Err(Failure::Partly),
        result => result,
    }
}

type ReadRules<'a> = &'a dyn Fn(&Registry) -> Result<GcRequest, Failure>;

/// Opens the registry and looks on disk for what the request is about: a plan trusts what the
/// catalog knows. The last value says whether something could not be read.
fn open(
    context: &mut Context,
    command: &Gc,
    rules: ReadRules<'_>,
) -> Result<(Registry, GcRequest, bool), Failure> {
    let applies = command.apply.is_some();
    let registry = if applies {
        context.open()?
    } else {
        context.open_to_refresh(!command.no_refresh)?
    };
    let request = rules(&registry)?;
    if command.no_refresh || registry.is_read_only() {
        return Ok((registry, request, false));
    }
    let mut partly = false;
    for filter in registry.gc_selection(&request) {
        let monitor = context.monitor();
        let mut look = |filter: &Filter, options| -> Result<(), Failure> {
            let report = registry.refresh(filter, options, &monitor as &dyn Monitor)?;
            context.findings(&report.findings);
            partly |= !report.findings.is_empty();
            Ok(())
        };
        // Age is what the look itself may change.
        let filter = Filter {
            older_than: None,
            ..filter
        };
        let all = RefreshOptions {
            all: true,
            measure: false,
        };
        look(&filter, all)?;
        let uncounted = RefreshOptions {
            all: false,
            measure: true,
        };
        look(&filter, uncounted)?;
    }
    Ok((registry, request, partly))
}

/// Writes the plan to the file that was asked for.
fn keep(context: &Context, command: &Gc, plan: &GcPlan) -> Result<(), Failure> {
    let Some(path) = &command.plan_out else {
        if plan.plan.removed().next().is_some() {
            context.say("nothing was removed; the same command with --apply carries it out");
        }
        return Ok(());
    };
    let mut text = plan.file.text()?;
    text.push('\n');
    files::write_new(path, &text)?;
    let word = super::context::shell_word(&path.display().to_string());
    let hint = context.with_base(&format!("carry it out with: dalsegno gc --apply {word}"));
    context.say(&format!("nothing was removed; {hint}"));
    Ok(())
}

fn apply_file(context: &mut Context, command: &Gc, path: &Path) -> Result<(), Failure> {
    let text = files::read(path, "give a file that dalsegno gc --plan-out wrote")?;
    let plan = PlanFile::parse(&text)?;
    let registry = context.open()?;
    carry_out(context, command, &registry, &plan)
}

fn apply(
    context: &mut Context,
    command: &Gc,
    registry: &Registry,
    plan: &GcPlan,
) -> Result<(), Failure> {
    let form = context.form(command.output);
    if form == Form::Table && std::io::stdout().is_terminal() && !command.yes {
        show::lines(context, &plan.plan, form)?;
    }
    for remark in plan.plan.unmet.iter().chain(&plan.plan.notices) {
        context.warn(remark);
    }
    carry_out(context, command, registry, &plan.file)
}

fn carry_out(
    context: &mut Context,
    command: &Gc,
    registry: &Registry,
    plan: &PlanFile,
) -> Result<(), Failure> {
    let form = context.form(command.output);
    if plan.items.is_empty() {
        context.say("nothing may go; nothing was removed");
        let report = GcReport {
            plan: plan.id.clone(),
            ..GcReport::default()
        };
        return tell(context, &report, form);
    }
    let keep = command.trash.keep(registry);
    if !command.yes {
        let artifacts = count(plan.items.len(), "artifact");
        let total = total_text(&plan.total());
        rm::confirm(
            context,
            &format!(
                "plan {} of {}: {}\nRemove {artifacts}, {total}, {}? [y/N] ",
                plan.id,
                render::short_time(plan.made_at),
                plan.policy,
                rm::whither(keep)
            ),
            "nothing was removed",
            "look at the plan with: dalsegno gc …, then carry it out with: dalsegno gc … --apply \
             --yes",
        )?;
    }
    let options = GcOptions {
        reason: command.reason.clone(),
        keep,
    };
    let monitor = context.monitor();
    let mut done = 0;
    let result = registry.apply_gc(plan, &options, &monitor, |report| done = report.artifacts);
    drop(monitor);
    if done > 0 && result.is_err() {
        let done = count(done, "artifact");
        context.say(&format!(
            "{done} of the plan were removed before the error, in removals of their own"
        ));
    }
    let report = result?;
    tell(context, &report, form)?;
    if let Some(failure) = &report.backup_failed {
        rm::no_backup(context, failure);
    }
    rm::skipped(context, &report.skipped);
    if report.missing > 0 {
        let missing = count(report.missing, "artifact");
        context.warn(&format!(
            "{missing} had no data any more; the rows are gone"
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
        Some(purge) => rm::purged(context, purge),
        None if !report.removals.is_empty() => {
            let hint = "bring a removal back with: dalsegno restore ID; see: dalsegno trash list";
            context.say(&context.with_base(hint));
        }
        None => {}
    }
    let is_unlinked = report.purge.as_ref().is_none_or(|purge| purge.failed == 0);
    if report.skipped.is_empty() && is_unlinked {
        Ok(())
    } else {
        Err(Failure::Partly)
    }
}

/// Writes the report to stdout, where it is to be read by programs.
fn tell(context: &mut Context, report: &GcReport, form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => render::document(context, "gc", report),
        Form::Jsonl => {
            let line = render::json(report)?;
            context.line(&line)
        }
        Form::Table | Form::Tsv => Ok(()),
    }
}

/// The path of an artifact that was named on the command line, relative to the base directory.
fn relative(context: &Context, registry: &Registry, path: &Path) -> Result<PathBuf, Failure> {
    let target = context.target(registry, path);
    match &target {
        Target::Path(found) => Ok(found
            .strip_prefix(registry.base())
            .unwrap_or(found)
            .to_path_buf()),
        _ => Err(registry.not_recorded(&target).into()),
    }
}
