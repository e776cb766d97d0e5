//! `score`: measured scores of iterations, by which `gc --keep-best` ranks them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::context::Context;
use super::fail::Failure;
use super::files;
use super::flags::{Format, Output};
use super::opening::Opened;
use super::render::{
    self, Align, Column, Record, Rows, count, number, or_dash, or_empty, shell_word,
};
use crate::catalog::ScoreQuery;
use crate::error::Error;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::key::Kind;
use crate::model::name::RunName;
use crate::model::nearest::did_you_mean;
use crate::model::note::{Note, ScoreNote};
use crate::model::score::{self, MetricName, Score, UnknownName};
use crate::registry::{Inbox, Registry};

/// Iterations that a warning names; more are counted.
const MOST_NAMES: usize = 5;

/// Record scores of an iteration, such as voi=0.31; without values, list scores
///
/// A score replaces one of the same metric, run, iteration, dataset and parameters. Without
/// --dataset it applies to every dataset, without --parameters to every parameter set. Something
/// must be recorded of the run. `gc --keep-best` ranks by scores; nan is never among the best. On a
/// host without the catalog, scores are noted for the host that has it.
#[derive(Debug, Args)]
pub(super) struct ScoreCommand {
    /// Scores, such as voi=0.31 f1=0.8; with --remove, metric names; to list, metric names or globs
    #[arg(value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// Name of the run; to list, a name or glob
    #[arg(long)]
    run: Option<String>,
    /// Iteration; to list, an iteration or a range such as 1000..2000
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    iteration: Option<IterationRange>,
    /// Name of the dataset; to list, a name or glob
    #[arg(long)]
    dataset: Option<String>,
    /// Parameters; to list, a text or glob
    #[arg(long)]
    parameters: Option<String>,
    /// Import scores from a file, CSV with a header or JSON lines; - is standard input. Columns:
    /// run, iteration, dataset, parameters, then metric and value, or one column per metric
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["values", "run", "iteration", "dataset", "parameters", "remove"]
    )]
    import: Option<PathBuf>,
    /// Remove scores, by metric name
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    output: Output,
}

impl Record for Score {
    const NAME: &'static str = "scores";
    const COLUMNS: &'static [Column] = &[
        Column("RUN", Align::Text),
        Column("ITERATION", Align::Right),
        Column("DATASET", Align::Text),
        Column("PARAMETERS", Align::Text),
        Column("METRIC", Align::Left),
        Column("VALUE", Align::Right),
    ];
    const MINOR: &'static [&'static str] = &["PARAMETERS", "DATASET"];
    const FIELDS: &'static [&'static str] = &[
        "run",
        "iteration",
        "dataset",
        "parameters",
        "metric",
        "value",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.run.to_string(),
            self.iteration.to_string(),
            or_dash(self.dataset.as_ref()),
            or_dash(self.parameters.as_ref()),
            self.metric.to_string(),
            self.value.to_string(),
        ]
    }

    fn fields(&self) -> Vec<String> {
        vec![
            self.run.to_string(),
            self.iteration.to_string(),
            or_empty(self.dataset.as_ref()),
            or_empty(self.parameters.as_ref()),
            self.metric.to_string(),
            self.value.to_string(),
        ]
    }
}

/// A score that was recorded.
#[derive(Serialize)]
struct ScoreReport<'a> {
    #[serde(flatten)]
    score: &'a Score,
    /// Its names that the run does not have; `None` if only the host with the catalog knows.
    unknown: Option<Vec<&'a UnknownName>>,
}

impl Record for ScoreReport<'_> {
    const NAME: &'static str = Score::NAME;
    const COLUMNS: &'static [Column] = Score::COLUMNS;
    const MINOR: &'static [&'static str] = Score::MINOR;
    const FIELDS: &'static [&'static str] = Score::FIELDS;

    fn cells(&self) -> Vec<String> {
        self.score.cells()
    }

    fn fields(&self) -> Vec<String> {
        self.score.fields()
    }
}

/// Whether an unknown name is one of a score.
fn is_of(unknown: &UnknownName, score: &Score) -> bool {
    // The library names the part by the flag's own word; a score has no other names.
    let name = match unknown.part {
        "run" => Some(score.run.to_string()),
        "iteration" => Some(score.iteration.to_string()),
        "dataset" => score.dataset.as_ref().map(ToString::to_string),
        _ => score.parameters.as_ref().map(ToString::to_string),
    };
    unknown.run == score.run && name.as_ref() == Some(&unknown.name)
}

/// Says that a run does not have a name, and which one may be meant.
fn lacks(unknown: &UnknownName) -> String {
    let UnknownName {
        run, part, name, ..
    } = unknown;
    let nearest = unknown.nearest.as_deref();
    if *part == "iteration" {
        let near = nearest.map(|nearest| format!("; iterations near {name}: {nearest}"));
        let near = near.unwrap_or_default();
        return format!("no artifact is recorded for run {run}, iteration {name}{near}");
    }
    format!("run {run} has no {part} {name}{}", did_you_mean(nearest))
}

/// Warns of names in scores, after they were recorded: artifacts may be recorded after their
/// scores.
fn warn_unknown(
    context: &Context,
    registry: &Registry,
    unknown: &[UnknownName],
) -> Result<(), Failure> {
    let of = |parts: &[&str]| -> Vec<&UnknownName> {
        let is_of = |one: &&UnknownName| parts.contains(&one.part);
        unknown.iter().filter(is_of).collect()
    };
    let [runs, iterations, names] =
        [&["run"][..], &["iteration"], &["dataset", "parameters"]].map(of);
    if !runs.is_empty() {
        let named = runs.iter().take(MOST_NAMES).map(|one| one.name.as_str());
        context.say_unmatched(registry, &Filter::default().runs(named))?;
    }
    for (some, noun) in [
        (runs, "other run"),
        (iterations, "other iteration"),
        (names, "other name"),
    ] {
        let is_said = |one: &&&UnknownName| one.part != "run";
        for one in some.iter().take(MOST_NAMES).filter(is_said) {
            context.warn(&lacks(one));
        }
        if some.len() > MOST_NAMES {
            let more = count(some.len() - MOST_NAMES, noun);
            context.warn(&format!("and of {more} nothing is recorded"));
        }
    }
    Ok(())
}

pub(super) fn run(context: &mut Context, command: &ScoreCommand) -> Result<(), Failure> {
    if let Some(path) = &command.import {
        return import(context, command, path);
    }
    // One `=` makes all of the words scores: `voi=0.3 f1` is then an error for f1, not a list of
    // it.
    if !command.remove && !command.values.iter().any(|value| value.contains('=')) {
        return list(context, command);
    }
    // Before the registry is opened, because wrong usage must not wait for a lock or recover
    // anything.
    let scores = command.scores(context)?;
    let format = context.format(command.output);
    if command.remove {
        let registry = context.open()?;
        let gone = registry.unscore(&scores)?;
        // A script may remove the same scores twice, of a run that is there.
        if gone == 0 {
            require_runs(context, &registry, &scores, "nothing was removed")?;
        }
        let missing = scores.len() as u64 - gone;
        context.say(&format!("removed {}", count(gone, "score")));
        context.purge_due(&registry);
        // A warning only: a script may remove the same scores twice.
        if missing > 0 {
            let missing = number(missing);
            context.warn(&format!("not recorded: {missing} of these scores"));
            let metrics = scores.iter().map(|score| score.metric.as_str().into());
            let metrics: Vec<Pattern> = metrics.collect();
            for unmatched in registry.unmatched_metrics(&metrics)? {
                context.warn(&unmatched.to_string());
            }
        }
        return match format {
            // Rows would be scores, and these are gone. Only a document can hold the number.
            Format::Json => render::document(context, "removed", &gone),
            _ => Ok(()),
        };
    }
    record(context, &scores, format)
}

impl ScoreCommand {
    /// The scores to record or remove: of one run and iteration, at least one.
    fn scores(&self, context: &Context) -> Result<Vec<Score>, Failure> {
        let example = match self.remove {
            true => "dalsegno score --run R --iteration N --remove voi",
            false => "dalsegno score --run R --iteration N voi=0.31",
        };
        let usage = |what: String| Failure::usage(what, example);
        let run = self.run.as_ref();
        let run = run.ok_or_else(|| usage("--run is missing".to_owned()))?;
        // The flag takes a range because lists do; a score belongs to one iteration.
        let range = self.iteration;
        let range = range.ok_or_else(|| usage("--iteration is missing".to_owned()))?;
        let iteration = match (range.first, range.last) {
            (Some(first), Some(last)) if first == last => first,
            _ => return Err(usage(format!("{range} is not a single iteration"))),
        };
        if self.values.is_empty() {
            return Err(usage("no score is given".to_owned()));
        }
        // A name that is refused has a code of its own, so it is reported as the library does.
        let name = crate::error::Error::from;
        let run = context.run_text(run).parse().map_err(name)?;
        let dataset = self.dataset.as_deref().map(str::parse).transpose();
        let dataset = dataset.map_err(name)?;
        let parameters = self.parameters.as_deref().map(str::parse).transpose();
        let parameters = parameters.map_err(name)?;
        let score = |text: &String| -> Result<Score, Failure> {
            let (metric, value) = match (text.split_once('='), self.remove) {
                (Some((metric, value)), false) => {
                    let number = score::parse_value(value);
                    let bad = || usage(format!("{text}: \"{value}\" is not a number"));
                    (metric.trim(), number.ok_or_else(bad)?)
                }
                (None, false) => return Err(usage(format!("{text} has no value"))),
                // A removal does not look at the value.
                (None, true) => (text.as_str(), f64::NAN),
                (Some(_), true) => {
                    return Err(usage(format!(
                        "{text}: --remove takes metric names, without values"
                    )));
                }
            };
            let metric: MetricName = metric
                .parse()
                .map_err(|error: score::ParseMetricNameError| usage(error.to_string()))?;
            Ok(Score {
                run: RunName::clone(&run),
                iteration,
                dataset: Option::clone(&dataset),
                parameters: Option::clone(&parameters),
                metric,
                value,
            })
        };
        self.values.iter().map(score).collect()
    }
}

/// Refuses scores if nothing is recorded of any of their runs, which are most likely mistyped.
fn require_runs(
    context: &Context,
    registry: &Registry,
    scores: &[Score],
    undone: &str,
) -> Result<(), Failure> {
    match registry.require_scored_run(scores) {
        Err(Error::NotRecorded { .. }) => {}
        checked => return Ok(checked?),
    }
    let runs: BTreeSet<&str> = scores.iter().map(|score| score.run.as_str()).collect();
    let named = runs.into_iter().take(MOST_NAMES);
    let of = Filter::default().runs(named).kinds(Kind::ALL);
    Err(context.nothing_selected(registry, &of, undone)?)
}

fn record(context: &mut Context, scores: &[Score], format: Format) -> Result<(), Failure> {
    let registry = match context.open_or_note()? {
        Opened::Catalog(registry) => registry,
        Opened::Inbox(inbox) => return note(context, &inbox, scores, format),
    };
    require_runs(context, &registry, scores, "no score was recorded")?;
    // One transaction, so a file is recorded whole or not at all. Scores of iterations that no
    // artifact has yet are recorded too: the arrays may be recorded after them.
    if let Err(error) = registry.score(scores) {
        let inbox = context.inbox_instead(error)?;
        return note(context, &inbox, scores, format);
    }
    let unknown = registry.unknown_names(scores)?;
    warn_unknown(context, &registry, &unknown)?;
    context.say(&format!("recorded {}", count(scores.len(), "score")));
    context.purge_due(&registry);
    report(context, scores, format, |score| {
        Some(unknown.iter().filter(|name| is_of(name, score)).collect())
    })
}

/// Leaves notes for the host that has the catalog.
fn note(
    context: &mut Context,
    inbox: &Inbox,
    scores: &[Score],
    format: Format,
) -> Result<(), Failure> {
    let notes = scores.iter().map(ScoreNote::from).map(Note::Score);
    inbox.note_many(notes)?;
    context.say_noted(scores.len(), "score");
    report(context, scores, format, |_| None)
}

/// Writes the scores that were recorded, for programs: a person has just typed them.
fn report<'a>(
    context: &mut Context,
    scores: &'a [Score],
    format: Format,
    unknown: impl Fn(&Score) -> Option<Vec<&'a UnknownName>>,
) -> Result<(), Failure> {
    if !matches!(format, Format::Json | Format::Jsonl) {
        return Ok(());
    }
    let mut rows = Rows::new::<ScoreReport<'_>>(context, format)?;
    scores.iter().try_for_each(|score| {
        rows.push(&ScoreReport {
            score,
            unknown: unknown(score),
        })
    })?;
    rows.finish("").map(|_| ())
}

fn import(context: &mut Context, command: &ScoreCommand, path: &Path) -> Result<(), Failure> {
    let text = files::read(path, "give a CSV or JSON lines file in UTF-8")?;
    let name = files::name(path);
    // Parsed to its end before the registry is opened, so a bad last line records nothing.
    let scores = score::parse(&text).map_err(|error| {
        let in_file = format!("{name}, line {}", error.line);
        // Reported here, because only this function knows the file's name.
        context.error(
            Some(error.code()),
            &format!("{in_file}: {}", error.detail),
            Some("correct the line; no score was recorded"),
        );
        Failure::Reported
    })?;
    let format = context.format(command.output);
    record(context, &scores, format)
}

fn list(context: &mut Context, command: &ScoreCommand) -> Result<(), Failure> {
    let pattern = |text: &Option<String>| text.iter().map(|text| text.as_str().into()).collect();
    let metrics: Vec<Pattern> = command
        .values
        .iter()
        .map(|text| text.as_str().into())
        .collect();
    let runs = command.run.iter().map(|run| context.run_text(run));
    let query = ScoreQuery {
        of: Filter {
            runs: runs.map(Into::into).collect(),
            iterations: command.iteration.into_iter().collect(),
            datasets: pattern(&command.dataset),
            parameters: pattern(&command.parameters),
            ..Filter::default()
        },
        metrics: &metrics,
    };
    let registry = context.open_read_only()?;
    registry.require_runs(&query.of)?;
    let format = context.format(command.output);
    let mut rows = Rows::new::<Score>(context, format)?;
    let mut failure = None;
    registry.scores(&query, |score| {
        // The callback returns errors of the library; a failed write is kept for afterwards.
        if failure.is_none() {
            failure = rows.push(&score).err();
        }
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    // After a mistyped glob, the message must not say that the registry has no scores.
    let is_all = query.of.is_all() && metrics.is_empty();
    let call = format!(
        "{}; record one with: dalsegno score --run {} --iteration N voi=0.31",
        if is_all {
            "no scores are recorded"
        } else {
            "no recorded score matches"
        },
        command.run.as_deref().map_or("R".to_owned(), shell_word)
    );
    let written = rows.finish(&call)?;
    match written {
        // Of a run whose artifacts have gone, scores may be left.
        0 => {
            for unmatched in registry.unmatched_metrics(&metrics)? {
                context.warn(&unmatched.to_string());
            }
            context.require_runs(&registry, &query.of, "")
        }
        _ => {
            for unmatched in registry.unmatched_scores(&query)? {
                context.warn(&unmatched.to_string());
            }
            Ok(())
        }
    }
}
