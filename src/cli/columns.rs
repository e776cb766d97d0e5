//! `--columns` of `list`, `runs` and `iterations`: rows of chosen columns.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::{Align, Heads, Record, Rows, or_dash, or_empty, short_age};
use crate::catalog::ScoreQuery;
use crate::error::Result as LibraryResult;
use crate::model::artifact::Artifact;
use crate::model::clock::{Clock, SystemClock, Timestamp};
use crate::model::filter::{Filter, Pattern};
use crate::model::name::RunName;
use crate::model::nearest::nearest;
use crate::model::order::Order;
use crate::model::score::Score;
use crate::model::size::{ByteCount, Total};
use crate::registry::Registry;

/// A row of a listing whose columns can be chosen.
pub(super) trait Listed: Record {
    /// What rows are sorted by.
    type Key: Clone + Send + Sync + 'static;
    /// What one of them is called.
    const NOUN: &'static str;
    /// Headings of fields that have another name, as they are typed: in lower case, with `_`.
    const HEADINGS: &'static [(&'static str, &'static str)];
    /// Help of `--sort`.
    const SORT: &'static str;
    /// Help of `--columns`.
    const CHOOSE: &'static str;

    /// Parses the name of what rows are sorted by.
    fn key(text: &str) -> Result<Self::Key, String>;

    /// The metric that rows are sorted by.
    fn sorted_by(key: &Self::Key) -> Option<&str>;

    /// Parses the metric of a column, and gives it as [`Listed::score`] takes it.
    fn metric(text: &str) -> Result<String, String>;

    /// How the cells of a field are aligned.
    fn align(field: &str) -> Align;

    /// A field for people; `None` if it is as in TSV.
    fn cell(&self, field: &str) -> Option<String>;

    /// The time from which its age counts.
    fn dated(&self) -> Timestamp;

    /// Its score of a metric.
    fn score(&self, scores: &Scores, metric: &str) -> Option<f64>;

    /// Reads the scores that rows do not have themselves.
    fn scores(registry: &Registry, filter: &Filter, metrics: &[String]) -> Result<Scores, Failure>;

    /// Help of `--min-size`.
    const MIN_SIZE: &'static str;

    /// A filter of what has rows of at least a size, as far as a filter can tell.
    fn of_size(filter: Filter, least: Option<ByteCount>) -> Filter;

    /// Whether it is of at least a size, of what [`Listed::of_size`] leaves.
    fn is_of_size(&self, least: ByteCount) -> bool;

    /// Adds it to the total of a listing.
    fn add_to(&self, total: &mut Total);

    /// How many rows of at least a size a selection has.
    fn count(registry: &Registry, filter: &Filter, least: Option<ByteCount>) -> LibraryResult<u64>;

    /// Passes the rows of a selection to `each`, until it breaks.
    fn each(
        registry: &Registry,
        filter: &Filter,
        wanted: Wanted<Self::Key>,
        each: impl FnMut(Self) -> LibraryResult<ControlFlow<()>>,
    ) -> LibraryResult<()>
    where
        Self: Sized;
}

/// What rows are to have, and in which order.
pub(super) struct Wanted<K> {
    /// The order, if it is not the usual one.
    pub(super) order: Option<Order<K>>,
    /// Whether the number of pinned ones is shown.
    pub(super) pinned: bool,
    /// Metrics whose scores are shown, as [`Listed::metric`] gives them.
    pub(super) metrics: Vec<String>,
}

/// A column that may be chosen: a field of a row, its age, or a score of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The field at this index of [`Record::FIELDS`].
    Field(usize),
    /// Time since it was written or, if no data was seen, recorded.
    Age,
    /// The score of a metric.
    Score {
        /// The metric as it was typed.
        typed: String,
        /// The metric as rows know it.
        metric: String,
    },
}

/// Parses the name of a column.
pub(super) fn column<R: Listed>(text: &str) -> Result<Chosen, String> {
    let name = plain_name(text);
    if let Some(metric) = name.strip_prefix(SCORE).filter(|metric| !metric.is_empty()) {
        return Ok(Chosen::Score {
            typed: metric.to_owned(),
            metric: R::metric(metric)?,
        });
    }
    if [AGE, AGE_FIELD].contains(&name.as_str()) {
        return Ok(Chosen::Age);
    }
    // The headings of the table are understood as well as the names of the fields.
    let named = R::HEADINGS.iter().find(|(heading, _)| *heading == name);
    let field = named.map_or(name.as_str(), |(_, field)| field);
    let index = R::FIELDS.iter().position(|known| *known == field);
    index.map(Chosen::Field).ok_or_else(|| {
        let headings = R::HEADINGS.iter().map(|(heading, _)| *heading);
        let known = headings.chain(R::FIELDS.iter().copied()).chain([AGE]);
        let advice = match nearest(&name, known) {
            Some(nearest) => format!(" (did you mean {nearest}?)"),
            None => String::new(),
        };
        let names = R::FIELDS.iter().map(|field| match heading::<R>(field) {
            Some(heading) => format!("{heading} ({field})"),
            None => (*field).to_owned(),
        });
        let names = names.collect::<Vec<_>>().join(", ");
        format!("there is no such column{advice}; columns are {AGE}, {SCORE}METRIC, {names}")
    })
}

/// What rows are sorted by.
#[derive(Debug, Clone)]
pub(super) struct Sorted<K> {
    pub(super) key: K,
    /// The column of the score, if it is one.
    pub(super) score: Option<Chosen>,
}

/// Parses what rows are sorted by.
pub(super) fn sorted<R: Listed>(text: &str) -> Result<Sorted<R::Key>, String> {
    let key = sort_key::<R>(text)?;
    let score = plain_name(text).starts_with(SCORE);
    let score = score.then(|| column::<R>(text)).transpose()?;
    Ok(Sorted { key, score })
}

/// Parses the name of what rows are sorted by.
pub(super) fn sort_key<R: Listed>(text: &str) -> Result<R::Key, String> {
    let name = plain_name(text);
    let heading = R::HEADINGS.iter().find(|(heading, _)| *heading == name);
    let key = R::key(heading.map_or(name.as_str(), |(_, field)| field)).or_else(|_| R::key(&name));
    // What is wrong with a metric, the library knows best.
    key.map_err(|error| match name.starts_with(SCORE) {
        true => error,
        false => {
            let names: Vec<&str> = names::<R>().filter(|name| is_key::<R>(name)).collect();
            let advice = match nearest(&name, names.iter().copied()) {
                Some(nearest) => format!(" (did you mean {nearest}?)"),
                None => String::new(),
            };
            let (noun, names) = (R::NOUN, names.join(", "));
            format!("{noun}s are not sorted by that{advice}; sort by {names} or {SCORE}METRIC")
        }
    })
}

/// Whether rows are sorted by what has this name.
pub(super) fn is_key<R: Listed>(name: &str) -> bool {
    let heading = R::HEADINGS.iter().find(|(heading, _)| *heading == name);
    R::key(heading.map_or(name, |(_, field)| field)).is_ok() || R::key(name).is_ok()
}

/// The names of columns, as headings have them: fields that have a heading go by it.
pub(super) fn names<R: Listed>() -> impl Iterator<Item = &'static str> {
    let headings = R::HEADINGS.iter().map(|(heading, _)| *heading);
    let is_other = |field: &&str| !R::HEADINGS.iter().any(|(_, named)| named == field);
    let others = R::FIELDS.iter().copied().filter(is_other);
    headings.chain(others).chain([AGE])
}

/// The name of a column that is typed as it is printed: `SEALED (UTC)` means `sealed`. The name of
/// a metric stays as it is.
fn plain_name(text: &str) -> String {
    let text = text.trim();
    if let Some((score, metric)) = text.split_at_checked(SCORE.len())
        && score.eq_ignore_ascii_case(SCORE)
    {
        return format!("{SCORE}{metric}");
    }
    let name = text.to_lowercase();
    let name = name.strip_suffix(&UTC.to_lowercase()).unwrap_or(&name);
    name.replace([' ', '-'], "_")
}

/// The heading of a field whose heading is not its name.
fn heading<R: Listed>(field: &str) -> Option<&'static str> {
    let named = R::HEADINGS.iter().find(|(_, named)| *named == field);
    named.map(|(heading, _)| *heading)
}

/// The column of ages.
pub(super) const AGE: &str = "age";

/// Its name in TSV, which has the unit, as in plans.
const AGE_FIELD: &str = "age_seconds";

/// What the headings of times end with.
const UTC: &str = " (UTC)";

/// What a metric follows in the name of a column.
pub(super) const SCORE: &str = "score:";

impl Chosen {
    fn name<R: Record>(&self) -> &str {
        match self {
            Self::Field(index) => R::FIELDS[*index],
            Self::Age => AGE,
            Self::Score { typed, .. } => typed,
        }
    }

    /// The heading in a table: that of the table without chosen columns, if it has the column.
    fn heading<R: Listed>(&self) -> String {
        match self {
            Self::Field(index) => {
                let field = R::FIELDS[*index];
                let name = heading::<R>(field).unwrap_or(field);
                let unit = if field.ends_with("_at") { UTC } else { "" };
                format!("{}{unit}", name.replace('_', " ").to_uppercase())
            }
            Self::Age => AGE.to_uppercase(),
            // The name of a metric is written as it is typed.
            Self::Score { typed, .. } => format!("{}{typed}", SCORE.to_uppercase()),
        }
    }

    fn align<R: Listed>(&self) -> Align {
        match self {
            // Numbers are aligned right.
            Self::Age | Self::Score { .. } => Align::Right,
            Self::Field(index) => R::align(R::FIELDS[*index]),
        }
    }
}

/// Rows with the columns of a call, or with the usual ones if it chooses none, and the score by
/// which these are sorted.
pub(super) struct ChosenRows<'a> {
    rows: Rows<'a>,
    columns: &'a [Chosen],
    /// Beside the usual columns.
    score: Option<&'a Chosen>,
    scores: Scores,
    now: Timestamp,
}

impl<'a> ChosenRows<'a> {
    pub(super) fn new<R: Listed>(
        context: &'a mut Context,
        format: Format,
        (columns, score): (&'a [Chosen], Option<&'a Chosen>),
        scores: Scores,
    ) -> Result<Self, Failure> {
        if let (Some(column), []) = (score, columns) {
            let mut heads = Heads::new(R::COLUMNS, R::MINOR);
            let head = (column.heading::<R>(), column.align::<R>());
            heads.columns.insert(before_bars::<R>(), head);
            let mut fields = R::FIELDS.to_vec();
            fields.push(column.name::<R>());
            return Ok(Self {
                rows: Rows::with(context, format, R::NAME, heads, &fields)?,
                columns,
                score,
                scores,
                now: SystemClock.now(),
            });
        }
        let heads = columns
            .iter()
            .map(|column| (column.heading::<R>(), column.align::<R>()));
        let heads = Heads {
            columns: heads.collect(),
            minor: &[],
            chosen: true,
            kept: &[],
        };
        let fields = columns.iter().map(|column| match column {
            Chosen::Age => AGE_FIELD,
            column => column.name::<R>(),
        });
        let fields: Vec<&str> = fields.collect();
        let rows = match columns.is_empty() {
            true => Rows::new::<R>(context, format)?,
            false => Rows::with(context, format, R::NAME, heads, &fields)?,
        };
        Ok(Self {
            rows,
            columns,
            score: None,
            scores,
            now: SystemClock.now(),
        })
    }

    pub(super) fn push<R: Listed>(&mut self, row: &R) -> Result<(), Failure> {
        if let Some(Chosen::Score { metric, .. }) = self.score {
            let score = row.score(&self.scores, metric);
            let cells = || {
                let mut cells = row.cells();
                cells.insert(before_bars::<R>(), or_dash(score));
                cells
            };
            let fields = || {
                let mut fields = row.fields();
                fields.push(or_empty(score));
                fields
            };
            return self.rows.write(row, cells, fields);
        }
        if self.columns.is_empty() {
            return self.rows.push(row);
        }
        let age = row.dated().age_at(self.now);
        let cells = || {
            let fields = row.fields();
            let cells = self.columns.iter().map(|column| match column {
                Chosen::Field(index) => {
                    let absent = || or_dash(Some(&fields[*index]).filter(|it| !it.is_empty()));
                    row.cell(R::FIELDS[*index]).unwrap_or_else(absent)
                }
                Chosen::Age => or_dash(age.map(short_age)),
                Chosen::Score { metric, .. } => or_dash(row.score(&self.scores, metric)),
            });
            cells.collect()
        };
        let fields = || {
            let fields = row.fields();
            let fields = self.columns.iter().map(|column| match column {
                Chosen::Field(index) => fields[*index].clone(),
                Chosen::Age => or_empty(age.map(|age| age.as_secs())),
                Chosen::Score { metric, .. } => or_empty(row.score(&self.scores, metric)),
            });
            fields.collect()
        };
        self.rows.write(row, cells, fields)
    }

    pub(super) fn finish(self, nothing: &str) -> Result<u64, Failure> {
        self.rows.finish(nothing)
    }
}

/// Where a column is added to those of a table: before its bars, which a narrow terminal loses.
fn before_bars<R: Record>() -> usize {
    let bar = R::COLUMNS.iter().position(|column| column.1 == Align::Bar);
    bar.unwrap_or(R::COLUMNS.len())
}

/// A metric without the `:min` or `:max` that may follow it.
pub(super) fn without_direction(text: &str) -> &str {
    let bare = |end| text.strip_suffix(end).filter(|bare| !bare.is_empty());
    bare(":min").or_else(|| bare(":max")).unwrap_or(text)
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
        metrics: &[String],
    ) -> Result<Self, Failure> {
        let mut scores = Self::default();
        if metrics.is_empty() {
            return Ok(scores);
        }
        let metrics = metrics.iter().map(|metric| Pattern::from(metric.as_str()));
        let metrics: Vec<Pattern> = metrics.collect();
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
    pub(super) fn of(&self, artifact: &Artifact, metric: &str) -> Option<f64> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{IterationRow, RunRow};

    fn reads_its_headings<R: Listed>() {
        for heads in R::COLUMNS.iter().filter(|column| !column.0.is_empty()) {
            let printed = heads.0;
            let chosen = column::<R>(printed);
            assert!(chosen.is_ok(), "{printed}: {chosen:?}");
            assert_eq!(chosen.unwrap().heading::<R>(), printed);
        }
        // What a table of chosen columns prints means the same column again.
        let names = R::FIELDS.iter().copied();
        for name in names.chain([AGE, AGE_FIELD, "score:voi:min", "SCORE:voi:max"]) {
            let chosen = column::<R>(name).unwrap();
            assert_eq!(column::<R>(&chosen.heading::<R>()), Ok(chosen), "{name}");
        }
        for (heading, field) in R::HEADINGS {
            assert_eq!(column::<R>(heading), column::<R>(field));
        }
        let error = column::<R>("nothing of the kind").unwrap_err();
        for name in R::FIELDS
            .iter()
            .chain(R::HEADINGS.iter().map(|(name, _)| name))
        {
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn every_heading_that_is_printed_names_its_column() {
        reads_its_headings::<Artifact>();
        reads_its_headings::<RunRow>();
        reads_its_headings::<IterationRow>();
    }

    #[test]
    fn a_heading_sorts_as_its_field_does() {
        for name in [
            "SIZE",
            "On Disk",
            "sealed (UTC)",
            "Sealed_At",
            "PINNED",
            "score:Voi",
        ] {
            assert!(sort_key::<Artifact>(name).is_ok(), "{name}");
        }
        for name in ["WRITTEN (UTC)", "LAST", "Size"] {
            assert!(sort_key::<RunRow>(name).is_ok(), "{name}");
        }
        assert!(sort_key::<IterationRow>("CHUNKS").is_ok());
        assert!(sort_key::<Artifact>("nothing").is_err());
    }
}
