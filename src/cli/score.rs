//! `score`: what was measured of iterations, for `gc --keep-best`.

use std::path::{Path, PathBuf};

use clap::Args;

use super::context::Context;
use super::fail::Failure;
use super::files;
use super::flags::{Format, Output};
use super::render::{self, Align, Column, Record, Rows, count, or_dash, or_empty, shell_word};
use crate::catalog::ScoreQuery;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::name::RunName;
use crate::model::score::{self, MetricName, Score};
use crate::registry::Registry;

/// Names that are listed; more are counted.
const MOST_NAMES: usize = 5;

/// Note what was measured of an iteration, such as voi=0.31; without values, list what was
///
/// A score takes the place of one of the same metric, run, iteration, dataset and parameters.
/// Without --dataset it is of every dataset, without --parameters of every parameter set. `gc
/// --keep-best` keeps the best by it; nan is never among the best.
#[derive(Debug, Args)]
pub(super) struct ScoreCommand {
    /// Values, such as voi=0.31 f1=0.8; with --remove, names; to list, names or globs
    #[arg(value_name = "NAME=VALUE")]
    values: Vec<String>,
    /// Run; to list, also a glob
    #[arg(long)]
    run: Option<String>,
    /// Iteration; to list, also a range such as 1000..2000
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    iteration: Option<IterationRange>,
    /// Dataset; to list, also a glob
    #[arg(long)]
    dataset: Option<String>,
    /// Parameters; to list, also a glob
    #[arg(long)]
    parameters: Option<String>,
    /// Take these in from CSV with a heading or from JSON lines; - is standard input. Columns: run,
    /// iteration, dataset, parameters, then metric and value, or one for each metric
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["values", "run", "iteration", "dataset", "parameters", "remove"]
    )]
    import: Option<PathBuf>,
    /// Take scores away, by name
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

pub(super) fn run(context: &mut Context, command: &ScoreCommand) -> Result<(), Failure> {
    if let Some(path) = &command.import {
        return import(context, command, path);
    }
    if !command.remove && !command.values.iter().any(|value| value.contains('=')) {
        return list(context, command);
    }
    let scores = command.scores()?;
    let registry = context.open()?;
    let format = context.format(command.output);
    if command.remove {
        let gone = registry.unscore(&scores)?;
        let missing = scores.len() as u64 - gone;
        context.say(&format!("took {} away", count(gone, "score")));
        if missing > 0 {
            context.warn(&format!("nothing is noted under {missing} of these names"));
        }
        return match format {
            Format::Json => render::document(context, "removed", &gone),
            _ => Ok(()),
        };
    }
    note(context, &registry, &scores, format)
}

impl ScoreCommand {
    /// The scores that are meant: one run and iteration, and something to note of it.
    fn scores(&self) -> Result<Vec<Score>, Failure> {
        let example = match self.remove {
            true => "dalsegno score --run R --iteration N --remove voi",
            false => "dalsegno score --run R --iteration N voi=0.31",
        };
        let usage = |what: String| Failure::usage(what, example);
        let run = self.run.as_ref();
        let run = run.ok_or_else(|| usage("--run is missing".to_owned()))?;
        let range = self.iteration;
        let range = range.ok_or_else(|| usage("--iteration is missing".to_owned()))?;
        let iteration = match (range.first, range.last) {
            (Some(first), Some(last)) if first == last => first,
            _ => return Err(usage(format!("{range} is not one iteration"))),
        };
        if self.values.is_empty() {
            return Err(usage("no score is named".to_owned()));
        }
        let name = crate::error::Error::from;
        let run = run.parse().map_err(name)?;
        let dataset = self.dataset.as_deref().map(str::parse).transpose();
        let dataset = dataset.map_err(name)?;
        let parameters = self.parameters.as_deref().map(str::parse).transpose();
        let parameters = parameters.map_err(name)?;
        let score = |text: &String| -> Result<Score, Failure> {
            let (metric, value) = match (text.split_once('='), self.remove) {
                (Some((metric, value)), false) => {
                    let number = score::parse_value(value);
                    let bad = || usage(format!("{text}: \"{value}\" is no number"));
                    (metric.trim(), number.ok_or_else(bad)?)
                }
                (None, false) => return Err(usage(format!("{text} has no value"))),
                (None, true) => (text.as_str(), f64::NAN),
                (Some(_), true) => {
                    return Err(usage(format!(
                        "{text}: a score is removed by its name alone"
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

fn note(
    context: &mut Context,
    registry: &Registry,
    scores: &[Score],
    format: Format,
) -> Result<(), Failure> {
    let known = registry.score(scores)?;
    let mut strange: Vec<String> = scores
        .iter()
        .zip(&known)
        .filter(|(_, known)| !**known)
        .map(|(score, _)| format!("run {}, iteration {}", score.run, score.iteration))
        .collect();
    strange.dedup();
    for place in strange.iter().take(MOST_NAMES) {
        context.warn(&format!("nothing is recorded of {place}"));
    }
    if strange.len() > MOST_NAMES {
        let more = strange.len() - MOST_NAMES;
        context.warn(&format!("nor of {}", count(more, "other iteration")));
    }
    context.say(&format!("noted {}", count(scores.len(), "score")));
    match format {
        Format::Json | Format::Jsonl => {
            let mut rows = Rows::new::<Score>(context, format)?;
            scores.iter().try_for_each(|score| rows.push(score))?;
            rows.finish("").map(|_| ())
        }
        Format::Table | Format::Tsv => Ok(()),
    }
}

fn import(context: &mut Context, command: &ScoreCommand, path: &Path) -> Result<(), Failure> {
    let text = files::read(path, "give a file in UTF-8, CSV or JSON lines")?;
    let name = files::name(path);
    let scores = score::parse(&text).map_err(|error| {
        let in_file = format!("{name}, line {}", error.line);
        context.error(
            Some(error.code()),
            &format!("{in_file}: {}", error.detail),
            Some("correct the line; nothing was noted"),
        );
        Failure::Reported
    })?;
    let registry = context.open()?;
    let format = context.format(command.output);
    note(context, &registry, &scores, format)
}

fn list(context: &mut Context, command: &ScoreCommand) -> Result<(), Failure> {
    let pattern = |text: &Option<String>| text.iter().map(|text| text.as_str().into()).collect();
    let metrics: Vec<Pattern> = command
        .values
        .iter()
        .map(|text| text.as_str().into())
        .collect();
    let query = ScoreQuery {
        of: Filter {
            runs: pattern(&command.run),
            iterations: command.iteration.into_iter().collect(),
            datasets: pattern(&command.dataset),
            parameters: pattern(&command.parameters),
            ..Filter::default()
        },
        metrics: &metrics,
    };
    let registry = context.open_read_only()?;
    let format = context.format(command.output);
    let mut rows = Rows::new::<Score>(context, format)?;
    let mut failure = None;
    registry.scores(&query, |score| {
        if failure.is_none() {
            failure = rows.push(&score).err();
        }
        Ok(())
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let is_all = query.of.is_all() && metrics.is_empty();
    let call = format!(
        "{}; note one with: dalsegno score --run {} --iteration N voi=0.31",
        if is_all {
            "no score is noted"
        } else {
            "no score that is noted is selected"
        },
        command.run.as_deref().map_or("R".to_owned(), shell_word)
    );
    rows.finish(&call).map(|_| ())
}
