//! `list --columns`: artifacts as rows of chosen columns.

use std::collections::HashMap;

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::{
    Align, Heads, Record, Rows, or_dash, or_empty, short_age, short_time, size_cells,
};
use crate::catalog::ScoreQuery;
use crate::model::artifact::Artifact;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::filter::{Filter, Pattern};
use crate::model::name::RunName;
use crate::model::score::Score;
use crate::registry::Registry;

/// A column that may be chosen: a field of an artifact, or its age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The field at this index of [`Artifact::FIELDS`].
    Field(usize),
    /// Time since it was written or, if no data was seen, recorded.
    Age,
    /// The score of a metric.
    Score(String),
}

/// Parses the name of a column.
pub(super) fn column(text: &str) -> Result<Chosen, String> {
    if text == AGE {
        return Ok(Chosen::Age);
    }
    if let Some(metric) = text.strip_prefix(SCORE).filter(|metric| !metric.is_empty()) {
        return Ok(Chosen::Score(metric.to_owned()));
    }
    // The headings of the table are understood as well as the names of the fields.
    let name = match text {
        "size" => "bytes",
        "recorded" => "recorded_at",
        "written" => "written_at",
        "sealed" => "sealed_at",
        "pinned" => "pins",
        text => text,
    };
    let index = Artifact::FIELDS.iter().position(|field| *field == name);
    index.map(Chosen::Field).ok_or_else(|| {
        let names = Artifact::FIELDS.join(", ");
        format!("there is no such column; columns are {AGE}, {SCORE}METRIC, {names}")
    })
}

const AGE: &str = "age";

/// What a metric follows in the name of a column.
const SCORE: &str = "score:";

/// Rows with the columns of a call.
pub(super) struct ChosenRows<'a> {
    rows: Rows<'a>,
    columns: &'a [Chosen],
    scores: Scores,
    now: Timestamp,
}

impl<'a> ChosenRows<'a> {
    pub(super) fn new(
        context: &'a mut Context,
        format: Format,
        columns: &'a [Chosen],
        scores: Scores,
    ) -> Result<Self, Failure> {
        let name = |column: &'a Chosen| match column {
            Chosen::Field(index) => Artifact::FIELDS[*index],
            Chosen::Age => AGE,
            Chosen::Score(metric) => metric,
        };
        let heads = columns.iter().map(|column| {
            let heading = name(column).replace('_', " ").to_uppercase();
            let align = match column {
                Chosen::Score(_) => Align::Right,
                _ => align(name(column)),
            };
            (heading, align)
        });
        let heads = Heads {
            columns: heads.collect(),
            minor: &[],
        };
        // In TSV an age is a number, and its unit is in its name, as in plans.
        let fields = columns.iter().map(|column| match column {
            Chosen::Age => "age_seconds",
            Chosen::Field(_) | Chosen::Score(_) => name(column),
        });
        let fields: Vec<&str> = fields.collect();
        Ok(Self {
            rows: Rows::with(context, format, Artifact::NAME, heads, &fields)?,
            columns,
            scores,
            now: SystemClock.now(),
        })
    }

    pub(super) fn push(&mut self, artifact: &Artifact) -> Result<(), Failure> {
        let written = artifact.written_at.unwrap_or(artifact.recorded_at);
        let age = written.age_at(self.now);
        let cells = || {
            let fields = artifact.fields();
            let cells = self.columns.iter().map(|column| match column {
                Chosen::Field(index) => cell(artifact, *index, &fields),
                Chosen::Age => or_dash(age.map(short_age)),
                Chosen::Score(metric) => or_dash(self.scores.of(artifact, metric)),
            });
            cells.collect()
        };
        let fields = || {
            let fields = artifact.fields();
            let fields = self.columns.iter().map(|column| match column {
                Chosen::Field(index) => fields[*index].clone(),
                Chosen::Age => or_empty(age.map(|age| age.as_secs())),
                Chosen::Score(metric) => or_empty(self.scores.of(artifact, metric)),
            });
            fields.collect()
        };
        self.rows.write(artifact, cells, fields)
    }

    pub(super) fn finish(self, nothing: &str) -> Result<u64, Failure> {
        self.rows.finish(nothing)
    }
}

/// The scores of the metrics that columns name.
#[derive(Debug, Default)]
pub(super) struct Scores {
    by_place: HashMap<(RunName, i64), Vec<Score>>,
}

impl Scores {
    /// Reads the scores of the runs and iterations of a selection.
    pub(super) fn read(
        registry: &Registry,
        filter: &Filter,
        columns: &[Chosen],
    ) -> Result<Self, Failure> {
        let metrics = columns.iter().filter_map(|column| match column {
            Chosen::Score(metric) => Some(Pattern::from(metric.as_str())),
            _ => None,
        });
        let metrics: Vec<Pattern> = metrics.collect();
        let mut scores = Self::default();
        if metrics.is_empty() {
            return Ok(scores);
        }
        // A score of every dataset is for an array of one too, so names do not select scores.
        let of = Filter::default()
            .runs(filter.runs.clone())
            .iterations(filter.iterations.clone());
        registry.scores(&ScoreQuery::new(of).metrics(&metrics), |score| {
            let place = (score.run.clone(), score.iteration);
            scores.by_place.entry(place).or_default().push(score);
            Ok(())
        })?;
        Ok(scores)
    }

    /// The score of an artifact: of those that are for it, that which names most.
    fn of(&self, artifact: &Artifact, metric: &str) -> Option<f64> {
        let key = &artifact.key;
        let place = (key.run().clone(), key.iteration()?);
        let scores = self.by_place.get(&place)?.iter();
        let is_for = |score: &&Score| {
            let dataset = score.dataset.as_ref();
            let parameters = score.parameters.as_ref();
            score.metric.as_str() == metric
                && dataset.is_none_or(|name| key.dataset() == Some(name))
                && parameters.is_none_or(|text| key.parameters() == Some(text))
        };
        let named = |score: &&Score| (score.dataset.is_some(), score.parameters.is_some());
        let score = scores.filter(is_for).max_by_key(named);
        score.map(|score| score.value)
    }
}

/// A field for people: sizes with units, times to the minute, `-` for what is absent.
fn cell(artifact: &Artifact, index: usize, fields: &[String]) -> String {
    match Artifact::FIELDS[index] {
        "bytes" => {
            let [bytes, _] = size_cells(artifact.size);
            bytes
        }
        "disk_bytes" => or_dash(artifact.disk_bytes),
        "recorded_at" => short_time(artifact.recorded_at),
        "written_at" => or_dash(artifact.written_at.map(short_time)),
        "sealed_at" => or_dash(artifact.sealed_at.map(short_time)),
        _ if fields[index].is_empty() => "-".to_owned(),
        _ => fields[index].clone(),
    }
}

/// Numbers are aligned right; names may be cut on a narrow terminal.
fn align(name: &str) -> Align {
    match name {
        AGE | "id" | "iteration" | "bytes" | "files" | "disk_bytes" | "chunks_there"
        | "chunks_expected" => Align::Right,
        "run" | "dataset" | "parameters" | "container" | "array" | "path" | "pins"
        | "content_hash" | "levels" | "iterations" => Align::Text,
        _ => Align::Left,
    }
}
