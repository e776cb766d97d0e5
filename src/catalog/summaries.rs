//! Runs and iterations in an order that is asked for, and with what costs more than a listing.
//!
//! There are far fewer of them than of artifacts, so they are sorted in memory.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::str::FromStr;

use super::error::CatalogError;
use super::scores::BestOf;
use super::sqlite::file::Catalog;
use super::summary::{IterationRow, RunRow, until_broken};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::order::Order;
use crate::model::size::Total;
use crate::retention::Metric;

/// By which value runs or iterations are sorted: [`RunRow`] or [`IterationRow`].
///
/// Reads the name of a field, such as `bytes`, a heading, such as `size`, `age`, or
/// `score:METRIC`: the best score, for which a metric that is no criterion of DaCapo needs a
/// direction, as in `score:iou:max`.
pub struct SummaryKey<R> {
    by: By,
    of: PhantomData<fn(&R)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum By {
    /// The value with this index in the names of the row.
    Value(usize),
    Score(Metric),
}

// Written out, because a derive would ask for them of the row.
impl<R> Clone for SummaryKey<R> {
    fn clone(&self) -> Self {
        Self {
            by: self.by.clone(),
            of: PhantomData,
        }
    }
}

impl<R> fmt::Debug for SummaryKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.by.fmt(f)
    }
}

impl<R> PartialEq for SummaryKey<R> {
    fn eq(&self, other: &Self) -> bool {
        self.by == other.by
    }
}

impl<R> Eq for SummaryKey<R> {}

/// The text is no [`SummaryKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSummaryKeyError {
    /// No value has this name.
    #[error("{what} are not sorted by that; sort by {}, or score:METRIC", .names.join(", "))]
    Name {
        /// `runs` or `iterations`.
        what: &'static str,
        /// The names.
        names: Vec<&'static str>,
    },
    /// The metric cannot be read, or it is unknown which of its values is the best.
    #[error("{0}")]
    Metric(String),
}

impl<R: Summary> FromStr for SummaryKey<R> {
    type Err = ParseSummaryKeyError;

    fn from_str(text: &str) -> Result<Self, ParseSummaryKeyError> {
        let by = match text.strip_prefix("score:") {
            Some(metric) => By::Score(metric.parse().map_err(
                |error: crate::retention::PolicyError| {
                    ParseSummaryKeyError::Metric(error.to_string())
                },
            )?),
            None => {
                let names = R::VALUES.iter().map(|(name, _)| *name);
                let index = names.clone().position(|name| name == text);
                By::Value(index.ok_or_else(|| ParseSummaryKeyError::Name {
                    what: R::WHAT,
                    names: names.collect(),
                })?)
            }
        };
        Ok(Self {
            by,
            of: PhantomData,
        })
    }
}

impl<R: Summary> SummaryKey<R> {
    /// The metric, if rows are sorted by a score.
    #[must_use]
    pub fn metric(&self) -> Option<&str> {
        match &self.by {
            By::Value(_) => None,
            By::Score(metric) => Some(metric.name()),
        }
    }

    fn value<'a>(&self, row: &'a R) -> Option<Value<'a>> {
        match &self.by {
            By::Value(index) => R::VALUES.get(*index).and_then(|(_, read)| read(row)),
            By::Score(metric) => row.score(metric).map(Value::Score),
        }
    }
}

/// What rows are compared by.
#[derive(Debug, PartialEq, PartialOrd)]
pub enum Value<'a> {
    /// A count, a time or the like.
    Number(i128),
    /// A score, never NaN.
    Score(f64),
    /// A name.
    Text(&'a str),
}

fn number(value: impl Into<i128>) -> Option<Value<'static>> {
    Some(Value::Number(value.into()))
}

/// How a value of a row is read; `None` if it is absent.
type Read<R> = for<'a> fn(&'a R) -> Option<Value<'a>>;

/// A row of sums.
pub trait Summary: Sized + 'static {
    /// What several of them are called.
    const WHAT: &'static str;
    /// What they are sorted by: fields, and the headings of tables.
    const VALUES: &'static [(&'static str, Read<Self>)];

    /// The best score of a metric.
    fn score(&self, metric: &Metric) -> Option<f64>;
}

impl Summary for RunRow {
    const WHAT: &'static str = "runs";
    const VALUES: &'static [(&'static str, Read<Self>)] = &[
        ("run", |row| Some(Value::Text(&row.run))),
        ("iterations", |row| number(row.iterations)),
        ("last", |row| row.last_iteration.and_then(number)),
        ("last_iteration", |row| row.last_iteration.and_then(number)),
        ("present", |row| number(row.present)),
        ("reserved", |row| number(row.reserved)),
        ("missing", |row| number(row.missing)),
        ("damaged", |row| number(row.damaged)),
        ("sealed", |row| number(row.sealed)),
        (PINNED, |row| row.pinned.and_then(number)),
        ("size", |row| bytes(&row.total)),
        ("bytes", |row| bytes(&row.total)),
        ("files", |row| files(&row.total)),
        ("uncounted", |row| number(row.total.uncounted)),
        ("written", |row| number(row.last_written_at.0)),
        ("last_written_at", |row| number(row.last_written_at.0)),
        ("age", |row| age(row.last_written_at)),
    ];

    fn score(&self, metric: &Metric) -> Option<f64> {
        self.scores.get(&metric.to_string()).map(|score| score.0)
    }
}

impl Summary for IterationRow {
    const WHAT: &'static str = "iterations";
    const VALUES: &'static [(&'static str, Read<Self>)] = &[
        ("run", |row| Some(Value::Text(&row.run))),
        ("iteration", |row| number(row.iteration)),
        ("datasets", |row| number(row.datasets.len() as u64)),
        ("datasets_of_run", |row| number(row.datasets_of_run)),
        ("complete", |row| row.complete.and_then(number)),
        ("outputs", |row| number(row.outputs)),
        ("predictions", |row| number(row.predictions)),
        ("others", |row| number(row.others)),
        ("damaged", |row| number(row.damaged)),
        ("size", |row| bytes(&row.total)),
        ("bytes", |row| bytes(&row.total)),
        ("files", |row| files(&row.total)),
        ("uncounted", |row| number(row.total.uncounted)),
        ("chunks", |row| number(row.chunks_there)),
        ("chunks_there", |row| number(row.chunks_there)),
        ("chunks_expected", |row| number(row.chunks_expected)),
        ("missing", |row| number(row.missing.len() as u64)),
        ("sealed", |row| number(row.sealed)),
        (PINNED, |row| row.pinned.and_then(number)),
        ("written", |row| number(row.last_written_at.0)),
        ("last_written_at", |row| number(row.last_written_at.0)),
        ("age", |row| age(row.last_written_at)),
    ];

    fn score(&self, metric: &Metric) -> Option<f64> {
        self.scores.get(&metric.to_string()).map(|score| score.0)
    }
}

/// The name of what is only counted if it is asked for.
const PINNED: &str = "pinned";

fn bytes(total: &Total) -> Option<Value<'static>> {
    total.is_known().then_some(total.bytes.0).and_then(number)
}

fn files(total: &Total) -> Option<Value<'static>> {
    total.is_known().then_some(total.files).and_then(number)
}

/// Old is high in an age, and low in a time.
fn age(written: Timestamp) -> Option<Value<'static>> {
    number(-i128::from(written.0))
}

/// Compares what may be absent, which comes last in either direction.
fn compare(a: Option<Value<'_>>, b: Option<Value<'_>>, reverse: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => {
            // No value is NaN, so any two have an order.
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if reverse { order.reverse() } else { order }
        }
        (a, b) => a.is_none().cmp(&b.is_none()),
    }
}

/// In which order runs or iterations come, and what their rows have besides.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SummaryOptions<R> {
    /// The order; by default that of names and iterations. Rows that are equal in it keep that one.
    pub order: Option<Order<SummaryKey<R>>>,
    /// Whether to count what pins bind.
    pub pinned: bool,
    /// Metrics whose best scores the rows have.
    pub scores: Vec<Metric>,
}

impl<R> Default for SummaryOptions<R> {
    fn default() -> Self {
        Self {
            order: None,
            pinned: false,
            scores: Vec::new(),
        }
    }
}

impl<R: Summary> SummaryOptions<R> {
    /// Sets the order.
    #[must_use]
    pub fn order(mut self, order: impl Into<Option<Order<SummaryKey<R>>>>) -> Self {
        self.order = order.into();
        self
    }

    /// Sets whether to count what pins bind.
    #[must_use]
    pub fn pinned(mut self, pinned: bool) -> Self {
        self.pinned = pinned;
        self
    }

    /// Sets the metrics whose best scores the rows have.
    #[must_use]
    pub fn scores(mut self, scores: impl IntoIterator<Item = Metric>) -> Self {
        self.scores = scores.into_iter().collect();
        self
    }

    fn by(&self) -> Option<&By> {
        self.order.as_ref().map(|order| &order.by.by)
    }

    fn counts_pinned(&self) -> bool {
        let by = self.by();
        let is_by = |(index, (name, _)): (usize, &(&str, Read<R>))| {
            *name == PINNED && by == Some(&By::Value(index))
        };
        self.pinned || R::VALUES.iter().enumerate().any(is_by)
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.scores.clone();
        if let Some(By::Score(metric)) = self.by() {
            metrics.push(metric.clone());
        }
        metrics
    }

    /// Passes the rows that `list` gives to `each`, in the order, until it breaks.
    fn pass<E>(
        &self,
        list: impl FnOnce(&mut dyn FnMut(R) -> Result<ControlFlow<()>, E>) -> Result<(), E>,
        mut each: impl FnMut(R) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let Some(order) = &self.order else {
            return list(&mut each);
        };
        let mut rows = Vec::new();
        list(&mut |row| {
            rows.push(row);
            Ok(ControlFlow::Continue(()))
        })?;
        rows.sort_by(|a, b| compare(order.by.value(a), order.by.value(b), order.reverse));
        until_broken(rows, each).map(drop)
    }
}

impl Catalog {
    /// Gives what each run has, by these options, until `each` breaks. Scores are read by one
    /// statement, before the runs.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read, and whatever `each` returns.
    pub fn runs_by<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        options: &SummaryOptions<RunRow>,
        each: impl FnMut(RunRow) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut best = self.best_scores(filter, &options.metrics(), BestOf::Run)?;
        let list = |each: &mut dyn FnMut(RunRow) -> Result<ControlFlow<()>, E>| {
            self.runs_until(filter, now, options.counts_pinned(), |mut row| {
                // One row of each run, so that its scores can be moved there.
                row.scores = best.remove(&(row.run.clone(), None)).unwrap_or_default();
                each(row)
            })
        };
        options.pass(list, each)
    }

    /// Gives what each iteration has, by these options, until `each` breaks. Scores are read by one
    /// statement, before the iterations.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read, and whatever `each` returns.
    pub fn iterations_by<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        options: &SummaryOptions<IterationRow>,
        each: impl FnMut(IterationRow) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut best = self.best_scores(filter, &options.metrics(), BestOf::Iteration)?;
        let list = |each: &mut dyn FnMut(IterationRow) -> Result<ControlFlow<()>, E>| {
            self.iterations_until(filter, now, options.counts_pinned(), |mut row| {
                let place = (row.run.clone(), Some(row.iteration));
                row.scores = best.remove(&place).unwrap_or_default();
                each(row)
            })
        };
        options.pass(list, each)
    }
}
