//! `history` and `undo`: who changed what, when, why; whether all of that is still there; and
//! taking it back.

mod export;
mod one;
mod time;
mod words;

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::Output;
use super::context::{Context, Form};
use super::fail::Failure;
use super::render::{self, Align, Column, Record, Rows, count, or_empty, short_time};
use crate::model::artifact::ArtifactId;
use crate::model::operation::{Action, Hash, HistoryFilter, Operation};
use crate::registry::{Registry, Target, UndoReport};

pub(super) use words::{Shown, tell_of_gone};

/// Operations in a table where nobody said how many.
const MOST: u64 = 50;

/// Show what was done: who changed the catalog, when, and why, the newest first
///
/// Every change is an operation with a number. A PATH also answers for what was removed there long
/// ago. On a terminal the last 50 are shown.
#[derive(Debug, Args)]
#[command(subcommand_precedence_over_arg = true)]
pub(super) struct History {
    #[command(subcommand)]
    command: Option<HistoryCommand>,
    #[command(flatten)]
    list: List,
}

/// Which operations are listed, and how.
#[derive(Debug, Default, PartialEq, Args)]
struct List {
    /// Operations on the artifacts that are or were at these paths
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Operations on this artifact, by number
    #[arg(long, value_name = "N", help_heading = "Selection")]
    id: Vec<i64>,
    /// Operations on these runs, by name or glob
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    run: Vec<String>,
    /// What was done: record, scan, refresh, seal, remove, restore, purge, recover, pin, unpin,
    /// score, unscore, rebuild
    #[arg(long, value_name = "ACTION", value_delimiter = ',', value_parser = action, help_heading = "Selection")]
    action: Vec<Action>,
    /// Who did it, by user name
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    user: Vec<String>,
    /// Since then: 2026-11-20, 2026-11-20T08:00:00Z, or an age such as 7d; days are in UTC
    #[arg(long, value_name = "TIME", value_parser = time::since, help_heading = "Selection")]
    since: Option<time::Moment>,
    /// Until then; a day is included
    #[arg(long, value_name = "TIME", value_parser = time::until, help_heading = "Selection")]
    until: Option<time::Moment>,
    /// At most so many, the newest
    #[arg(long, value_name = "N", help_heading = "Selection")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum HistoryCommand {
    Show(one::Show),
    Head(Head),
    Verify(Verify),
    Export(export::Export),
}

/// Print number and hash of the last operation
///
/// Who notes them elsewhere can tell later, with `history verify --head`, whether the history was
/// cut or written anew.
#[derive(Debug, Args)]
struct Head {
    #[command(flatten)]
    output: Output,
}

/// Check that no operation was changed or taken out
///
/// Each operation carries a hash over itself, its artifacts before and after, and the operation
/// before it. Exit code 4 where one does not fit; the first that does not is named.
#[derive(Debug, Args)]
struct Verify {
    /// A hash that `history head` printed; exit code 4 where no operation has it
    #[arg(long, value_name = "HASH")]
    head: Option<Hash>,
    #[command(flatten)]
    output: Output,
}

/// Take an operation back
///
/// What it removed is restored from the trash; what it pinned is let go, and the other way round;
/// scores are what they were. Refused where that was changed again since.
#[derive(Debug, Args)]
pub(super) struct Undo {
    /// Number of the operation; see: dalsegno history
    #[arg(value_name = "OP")]
    operation: i64,
    #[command(flatten)]
    output: Output,
}

fn action(text: &str) -> Result<Action, String> {
    text.parse()
        .map_err(|error: crate::model::operation::UnknownAction| error.to_string())
}

impl Record for Operation {
    const NAME: &'static str = "operations";
    const COLUMNS: &'static [Column] = &[
        Column("OP", Align::Right),
        Column("WHEN (UTC)", Align::Left),
        Column("WHO", Align::Left),
        Column("ACTION", Align::Left),
        Column("ARTIFACTS", Align::Right),
        Column("WHAT", Align::Text),
    ];
    const FIELDS: &'static [&'static str] = &[
        "id",
        "at",
        "action",
        "user",
        "host",
        "pid",
        "command",
        "job",
        "version",
        "reason",
        "detail",
        "image_count",
        "hash",
        "artifacts",
        "path",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            short_time(self.at),
            format!("{}@{}", self.agent.actor.user, self.agent.actor.host),
            self.action.to_string(),
            self.artifacts.to_string(),
            words::of(self),
        ]
    }

    fn fields(&self) -> Vec<String> {
        let actor = &self.agent.actor;
        vec![
            self.id.to_string(),
            self.at.to_string(),
            self.action.to_string(),
            actor.user.clone(),
            actor.host.clone(),
            actor.pid.to_string(),
            or_empty(self.agent.command.as_ref()),
            or_empty(self.agent.job.as_ref()),
            self.agent.version.clone(),
            or_empty(self.reason.as_ref()),
            or_empty(self.detail.as_ref()),
            self.images.to_string(),
            self.hash.to_string(),
            self.artifacts.to_string(),
            or_empty(self.path.as_ref()),
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &History) -> Result<(), Failure> {
    let Some(subcommand) = &command.command else {
        return list(context, &command.list);
    };
    // Options that every command has may stand anywhere.
    if command.list != List::default() {
        return Err(Failure::usage(
            "a selection and the output of history stand before a subcommand",
            "leave them out, or give them behind it; see: dalsegno history --help",
        ));
    }
    match subcommand {
        HistoryCommand::Show(show) => one::run(context, show),
        HistoryCommand::Head(head) => run_head(context, head),
        HistoryCommand::Verify(verify) => run_verify(context, verify),
        HistoryCommand::Export(export) => export::run(context, export),
    }
}

fn list(context: &mut Context, command: &List) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let form = context.form(command.output);
    let mut artifacts: Vec<ArtifactId> = command.id.iter().copied().map(ArtifactId).collect();
    let mut gone = Vec::new();
    for path in &command.paths {
        let target = context.target(&registry, path);
        let Target::Path(place) = &target else {
            continue;
        };
        let known = registry.artifacts_ever_at(place)?;
        if known.is_empty() {
            return Err(registry.not_recorded(&target).into());
        }
        artifacts.extend(known);
        if registry.get(&target)?.is_none() {
            gone.extend(registry.gone_from(place)?.into_iter().next());
        }
    }
    let cap = match form {
        Form::Table => Some(MOST),
        _ => None,
    };
    let most = command.limit.or(cap);
    let filter = HistoryFilter {
        actions: command.action.clone(),
        users: command.user.clone(),
        since: command.since.map(|moment| moment.0),
        until: command.until.map(|moment| moment.0),
        runs: command.run.iter().map(Into::into).collect(),
        artifacts,
        before: None,
        // One more than is shown, to know whether there are more.
        most: most.map(|most| most.saturating_add(1)),
    };
    let written = rows(context, form, &registry, &filter, most)?;
    if command.limit.is_none() && form == Form::Table && written > MOST {
        let all = context.with_base("see more with: dalsegno history --limit N");
        context.say(&format!("these are the last {MOST}; {all}"));
    }
    for gone in &gone {
        tell_of_gone(context, gone);
    }
    Ok(())
}

/// Writes at most `most` operations of a filter. Gives the number of those that there were.
fn rows(
    context: &mut Context,
    form: Form,
    registry: &Registry,
    filter: &HistoryFilter,
    most: Option<u64>,
) -> Result<u64, Failure> {
    let mut rows = Rows::new::<Operation>(context, form)?;
    let mut seen = 0;
    let mut failure = None;
    registry.history(filter, |operation| {
        seen += 1;
        if most.is_some_and(|most| seen > most) {
            return Ok(ControlFlow::Break(()));
        }
        Ok(match rows.push(&operation) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    rows.finish("no operation is selected")?;
    Ok(seen)
}

#[derive(serde::Serialize)]
struct HeadDocument {
    operation: i64,
    hash: Hash,
}

fn run_head(context: &mut Context, command: &Head) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let (operation, hash) = registry.history_head()?;
    let head = HeadDocument { operation, hash };
    match context.form(command.output) {
        Form::Json => render::document(context, "head", &head),
        Form::Jsonl => {
            let line = render::json(&head)?;
            context.line(&line)
        }
        Form::Table | Form::Tsv => context.line(&format!("{operation} {hash}")),
    }
}

fn run_verify(context: &mut Context, command: &Verify) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let report = registry.check_history(command.head)?;
    match context.form(command.output) {
        Form::Json => render::document(context, "verify", &report)?,
        Form::Jsonl => {
            let line = render::json(&report)?;
            context.line(&line)?;
        }
        Form::Table | Form::Tsv => {}
    }
    context.flush()?;
    if let Some(broken) = &report.broken {
        let before = match report.operations {
            0 => "there is none before it".to_owned(),
            fit => format!("those before it fit: {}", count(fit, "operation")),
        };
        let text = format!(
            "operation {} does not fit: {}; {before}",
            broken.operation, broken.detail
        );
        let hint = context.with_base("compare it with a backup: dalsegno history export");
        context.error(None, &text, Some(&hint));
    } else {
        context.say(&format!(
            "{} fit; the head is {}",
            count(report.operations, "operation"),
            report.head
        ));
    }
    if let Some(noted) = &report.noted {
        match noted.operation {
            Some(operation) => context.say(&format!(
                "the head that was noted is operation {operation}: it and all before it are as \
                 they were then"
            )),
            None => {
                let why = match report.broken {
                    Some(_) => "no operation that fits has it",
                    None => {
                        "no operation has it: operations that were there are cut off or written \
                         anew, or it is of another registry"
                    }
                };
                let text = format!("the head that was noted is {}; {why}", noted.hash);
                context.error(None, &text, None);
            }
        }
    }
    match report.is_whole() {
        true => Ok(()),
        false => Err(Failure::Findings),
    }
}

pub(super) fn run_undo(context: &mut Context, command: &Undo) -> Result<(), Failure> {
    let registry = context.open()?;
    let report = registry.undo(command.operation)?;
    match context.form(command.output) {
        Form::Json => render::document(context, "undo", &report)?,
        Form::Jsonl => {
            let line = render::json(&report)?;
            context.line(&line)?;
        }
        Form::Table | Form::Tsv => {}
    }
    let what = undone(&report);
    context.say(&format!(
        "undid operation {} ({}): {what}",
        report.operation, report.action
    ));
    Ok(())
}

/// What an undo did, in words.
fn undone(report: &UndoReport) -> String {
    match (&report.pin, report.action) {
        (Some(pin), action) => {
            let mut parts: Vec<String> = pin.scopes.iter().map(ToString::to_string).collect();
            parts.push(count(pin.artifacts, "artifact"));
            let verb = match action {
                Action::Pin => "let go",
                _ => "bound again",
            };
            format!("{verb} {}", parts.join("; "))
        }
        (None, Action::Remove) => format!("restored {}", count(report.artifacts.len(), "artifact")),
        (None, _) => format!("put back {}", count(report.scores, "score")),
    }
}
