//! `history`: the operations, the newest first.

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::fail::Failure;
use crate::cli::flags::{Format, Output};
use crate::cli::former::{last_removed, say_former};
use crate::cli::nothing::is_new;
use crate::cli::render::{
    Align, Column, Record, Rows, count, number, or_dash, or_empty, short_time,
};
use crate::cli::time;
use crate::error::Error;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, Pattern};
use crate::model::operation::{Action, HistoryFilter, Operation};
use crate::registry::{Registry, Target};

/// Operations in a table if --limit is not given.
const MOST: u64 = 50;

/// The selection of operations, and the output.
#[derive(Debug, Default, PartialEq, Args)]
pub(super) struct HistoryList {
    /// Only operations on what is or was at these paths or below them: runs, containers, folders of
    /// iterations and datasets, arrays, checkpoints
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only operations on artifacts with these ids
    #[arg(long, value_name = "N", help_heading = "Selection")]
    id: Vec<i64>,
    /// Only operations on these runs (name or glob)
    #[arg(long, value_name = "GLOB", help_heading = "Selection")]
    run: Vec<String>,
    #[arg(
        long,
        value_name = "ACTION",
        value_delimiter = ',',
        value_parser = action,
        help = action_help(),
        help_heading = "Selection"
    )]
    action: Vec<Action>,
    /// Only operations by these users
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Selection"
    )]
    user: Vec<String>,
    /// Only since 2026-11-20, 2026-11-20T08:00:00Z, or an age such as 7d; days are in UTC
    #[arg(long, value_name = "TIME", value_parser = time::since, help_heading = "Selection")]
    since: Option<Timestamp>,
    /// Only until a time, written like that of --since; a day is included
    #[arg(long, value_name = "TIME", value_parser = time::until, help_heading = "Selection")]
    until: Option<Timestamp>,
    /// At most this many operations, the newest
    #[arg(long, value_name = "N", help_heading = "Selection")]
    limit: Option<u64>,
    #[command(flatten)]
    output: Output,
}

/// The help of `--action`, which names every action.
fn action_help() -> String {
    format!(
        "Only these actions: {}",
        Action::ALL.map(Action::as_str).join(", ")
    )
}

fn action(text: &str) -> Result<Action, String> {
    text.parse()
        .map_err(|error: crate::model::operation::ParseActionError| error.to_string())
}

impl Record for Operation {
    const NAME: &'static str = "operations";
    const COLUMNS: &'static [Column] = &[
        Column("OP", Align::Right),
        Column("WHEN (UTC)", Align::Left),
        Column("WHO", Align::Left),
        Column("ACTION", Align::Left),
        Column("ARTIFACTS", Align::Right),
        Column("WHAT", Align::Prose),
    ];
    const MINOR: &'static [&'static str] = &["WHO", "ARTIFACTS"];
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
        "now",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.id.to_string(),
            short_time(self.at),
            format!("{}@{}", self.agent.actor.user, self.agent.actor.host),
            self.action.to_string(),
            or_dash(self.artifacts_of().map(number)),
            self.summary(),
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
            or_empty(self.now),
        ]
    }
}

pub(super) fn run(context: &mut Context, command: &HistoryList) -> Result<(), Failure> {
    let registry = context.open_read_only()?;
    let format = context.format(command.output);
    let artifacts: Vec<ArtifactId> = command.id.iter().copied().map(ArtifactId).collect();
    let mut former = Vec::new();
    let paths = command.paths.iter();
    let paths = paths.map(|path| context.below_base(registry.base(), path));
    // The base directory itself means everything in it.
    let is_base = |path: &PathBuf| path.as_os_str().is_empty() || path == registry.base();
    let mut paths: Vec<PathBuf> = match paths.clone().any(|path| is_base(&path)) {
        true => Vec::new(),
        false => paths.collect(),
    };
    let missing = never_there(&registry, &mut paths)?;
    for path in &paths {
        let target = Target::Path(path.clone());
        match registry.artifacts_ever_at(path) {
            Ok(known) if !known.is_empty() => {}
            // The path of a run or another folder.
            Ok(_) | Err(Error::Layout(_)) => continue,
            Err(error) => return Err(error.into()),
        }
        // Nothing is recorded there now: the last lines say what was removed, and the way back.
        if registry.get(&target)?.is_none() {
            former.extend(last_removed(registry.former_at(path)?));
        }
    }
    // Only tables are cut: programs want all, and would not notice the limit.
    let cap = match format {
        Format::Table => Some(MOST),
        _ => None,
    };
    let most = command.limit.or(cap);
    let runs = command.run.iter().map(|run| context.run_text(run));
    let filter = HistoryFilter {
        actions: command.action.clone(),
        users: command.user.clone(),
        since: command.since,
        until: command.until,
        runs: runs.map(Into::into).collect(),
        below: Vec::new(),
        artifacts,
        before: None,
        // One more than is shown, to learn whether there are more.
        most: most.map(|most| most.saturating_add(1)),
    };
    registry.require_runs(&Filter::default().runs(filter.runs.iter().cloned()))?;
    let by_ids = !filter.artifacts.is_empty();
    let filter = registry.history_at(filter, &paths)?;
    if by_ids && !filter.below.is_empty() {
        return Err(Failure::usage(
            "--id and the path of a folder cannot be given together",
            "leave out one of them",
        ));
    }
    let written = rows(context, format, &registry, &filter, most)?;
    // Asked for by --limit, the number is no surprise.
    if command.limit.is_none() && format == Format::Table && written > MOST {
        let all = context.with_base("see more with: dalsegno history --limit N");
        context.say(&format!("these are the last {MOST}; {all}"));
    }
    let of_users = HistoryFilter::default().users(filter.users.iter().cloned());
    for unmatched in registry.unmatched_history(&of_users)? {
        context.warn(&unmatched.to_string());
    }
    for (former, older) in &former {
        say_former(context, former, older.as_ref());
    }
    context.after_missing(missing)?;
    require_ever(context, &registry, &command.id, &filter.runs)
}

/// Takes the paths out that no operation knows, and gives their errors: what else is named is
/// shown. Fails if nothing is left.
fn never_there(registry: &Registry, paths: &mut Vec<PathBuf>) -> Result<Vec<Error>, Failure> {
    let mut missing = Vec::new();
    let mut known = Vec::with_capacity(paths.len());
    for path in paths.drain(..) {
        let one = std::slice::from_ref(&path);
        match registry.history_at(HistoryFilter::default(), one) {
            Ok(_) => known.push(path),
            Err(error @ Error::NotRecorded { .. }) => missing.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    if known.is_empty() && !missing.is_empty() {
        return Err(missing.swap_remove(0).into());
    }
    *paths = known;
    Ok(missing)
}

/// Refuses ids and names of runs that the history does not know, because what is named one by one
/// is expected to be there; a pattern may match nothing.
fn require_ever(
    context: &Context,
    registry: &Registry,
    ids: &[i64],
    runs: &[Pattern],
) -> Result<(), Failure> {
    for &id in ids {
        let one = HistoryFilter {
            artifacts: vec![ArtifactId(id)],
            most: Some(1),
            ..HistoryFilter::default()
        };
        if !is_any(registry, &one)? {
            return Err(registry.not_recorded(&Target::Id(ArtifactId(id))).into());
        }
    }
    let mut unknown = Vec::new();
    for run in runs {
        let one = HistoryFilter {
            runs: vec![run.clone()],
            most: Some(1),
            ..HistoryFilter::default()
        };
        if !is_any(registry, &one)? {
            unknown.push(run.clone());
        }
    }
    match unknown.is_empty() {
        true => Ok(()),
        false => context.require_runs(registry, &Filter::default().runs(unknown), ""),
    }
}

/// Whether an operation matches.
fn is_any(registry: &Registry, filter: &HistoryFilter) -> Result<bool, Failure> {
    let mut any = false;
    registry.history(filter, |_| {
        any = true;
        Ok(ControlFlow::Break(()))
    })?;
    Ok(any)
}

/// Writes at most `most` operations that match. Returns how many there were, `most` + 1 if more.
fn rows(
    context: &mut Context,
    format: Format,
    registry: &Registry,
    filter: &HistoryFilter,
    most: Option<u64>,
) -> Result<u64, Failure> {
    let mut nothing = context.or_new(registry, "no operation matches")?;
    if most == Some(0) {
        let mut all = 0_u64;
        let every = HistoryFilter {
            most: None,
            ..filter.clone()
        };
        registry.history(&every, |_| {
            all += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        if all > 0 {
            nothing = format!("0 of {}", count(all, "operation"));
        }
    }
    if matches!(format, Format::Tsv | Format::Jsonl) && is_new(registry)? {
        context.say(&nothing);
    }
    let mut rows = Rows::new::<Operation>(context, format)?;
    let mut seen = 0;
    // The callback returns errors of the library; a failed write is kept for afterwards.
    let mut failure = None;
    registry.history(filter, |operation| {
        seen += 1;
        if most.is_some_and(|most| seen > most) {
            // Stops the query: without it the rest of the history would be read for nothing.
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
    rows.finish(&nothing)?;
    Ok(seen)
}
