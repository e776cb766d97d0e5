//! Scores in the catalog: what was measured of iterations.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params};

use super::error::CatalogError;
use super::intern::INTERN;
use super::query::Query;
use super::record::Recorder;
use super::rows;
use super::sqlite::file::Catalog;
use crate::model::detail::{Detail, ScoreChanged};
use crate::model::filter::{Filter, Pattern};
use crate::model::name::{DatasetName, Parameters, RunName};
use crate::model::score::{Score, ScoreValue, ScoredNames};
use crate::retention::{Direction, Metric};

// As the unique index `score_key` has it: NULLs would never be equal. An equal value changes
// nothing, so the time stays that of the first note.
pub(super) const PUT: &str = "INSERT INTO score \
     (run_id, metric_id, iteration, dataset_id, parameters_id, value, scored_at) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
     ON CONFLICT (run_id, metric_id, iteration, ifnull(dataset_id, 0), ifnull(parameters_id, 0)) \
     DO UPDATE SET value = excluded.value, scored_at = excluded.scored_at \
     WHERE value IS NOT excluded.value";
pub(super) const TAKE: &str = "DELETE FROM score WHERE run_id = ?1 AND metric_id = ?2 \
     AND iteration = ?3 AND ifnull(dataset_id, 0) = ifnull(?4, 0) \
     AND ifnull(parameters_id, 0) = ifnull(?5, 0)";
pub(super) const VALUE: &str = "SELECT value FROM score WHERE run_id = ?1 AND metric_id = ?2 \
     AND iteration = ?3 AND ifnull(dataset_id, 0) = ifnull(?4, 0) \
     AND ifnull(parameters_id, 0) = ifnull(?5, 0)";
/// Scores of one place, by names: metric and value.
pub(super) const SCORES_OF: &str = "SELECT metric.name, score.value FROM run \
     CROSS JOIN score ON score.run_id = run.id JOIN metric ON metric.id = score.metric_id \
     LEFT JOIN dataset ON dataset.id = score.dataset_id \
     LEFT JOIN parameters ON parameters.id = score.parameters_id \
     WHERE run.name = ?1 AND score.iteration = ?2 AND dataset.name IS ?3 AND parameters.text IS ?4";
pub(super) const AT: &str = "SELECT EXISTS (SELECT 1 FROM artifact \
     WHERE run_id = ?1 AND iteration = ?2)";

/// Datasets and parameters of a run's arrays that have an iteration: of the others nothing is
/// measured, and inputs have names of their own.
pub(super) const DATASETS_OF_RUN: &str = "SELECT DISTINCT dataset.name FROM run \
     CROSS JOIN artifact AS a ON a.run_id = run.id JOIN dataset ON dataset.id = a.dataset_id \
     WHERE run.name = ?1 AND a.iteration IS NOT NULL";
pub(super) const PARAMETERS_OF_RUN: &str = "SELECT DISTINCT parameters.text FROM run \
     CROSS JOIN artifact AS a ON a.run_id = run.id \
     JOIN parameters ON parameters.id = a.parameters_id \
     WHERE run.name = ?1 AND a.iteration IS NOT NULL";

/// Which scores a listing gives. The parts are anded; the values of one part are ored; an empty
/// part selects all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScoreQuery<'a> {
    /// Runs, iterations, datasets and parameters; its other parts are not looked at. A score of
    /// every dataset or parameter set is selected only if that part is empty.
    pub of: Filter,
    /// Names of metrics.
    pub metrics: &'a [Pattern],
}

impl<'a> ScoreQuery<'a> {
    /// Asks for the scores of every metric that a filter selects.
    #[must_use]
    pub fn new(of: Filter) -> Self {
        Self { of, metrics: &[] }
    }

    /// Sets the metrics; none means every metric.
    #[must_use]
    pub fn metrics(mut self, metrics: &'a [Pattern]) -> Self {
        self.metrics = metrics;
        self
    }
}

pub(super) fn listing(query: &ScoreQuery<'_>) -> Query {
    // `a`, as in the listings of artifacts, so that `Query::names` fits both.
    let mut built = Query {
        sql: "SELECT run.name, a.iteration, dataset.name, parameters.text, metric.name, a.value \
              FROM run CROSS JOIN score AS a ON a.run_id = run.id \
              JOIN metric ON metric.id = a.metric_id \
              LEFT JOIN dataset ON dataset.id = a.dataset_id \
              LEFT JOIN parameters ON parameters.id = a.parameters_id WHERE 1"
            .to_owned(),
        values: Vec::new(),
    };
    built.names(&query.of);
    built.patterns(["metric", "name"], query.metrics);
    built
        .sql
        .push_str(" ORDER BY run.name, a.iteration, dataset.name, parameters.text, metric.name");
    built
}

/// The lowest and the highest score of each run and metric, and of each iteration if that is asked
/// for; in the order of the index `score_key`.
pub(super) fn best(filter: &Filter, metrics: &[Metric], of: BestOf) -> Query {
    let iteration = match of {
        BestOf::Run => "NULL",
        BestOf::Iteration => "a.iteration",
    };
    let mut built = Query {
        sql: format!(
            "SELECT run.name, {iteration}, metric.name, min(a.value), max(a.value) \
             FROM run CROSS JOIN score AS a ON a.run_id = run.id \
             CROSS JOIN metric ON metric.id = a.metric_id \
             LEFT JOIN dataset ON dataset.id = a.dataset_id \
             LEFT JOIN parameters ON parameters.id = a.parameters_id WHERE 1"
        ),
        values: Vec::new(),
    };
    built.any(metrics, |query, metric| {
        query
            .sql
            .push_str("a.metric_id = (SELECT id FROM metric WHERE name = ?)");
        query.values.push(metric.name().to_owned().into());
    });
    built.names_of_scores(filter);
    let iteration = match of {
        BestOf::Run => "",
        BestOf::Iteration => ", a.iteration",
    };
    built
        .sql
        .push_str(&format!(" GROUP BY run.name, a.metric_id{iteration}"));
    built
}

/// Of what the best scores are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BestOf {
    /// Of each run.
    Run,
    /// Of each iteration.
    Iteration,
}

/// The best score of each metric, by the metric with its direction.
pub(super) type Best = BTreeMap<String, ScoreValue>;

/// Names of the metrics that any score has.
pub(super) const METRICS: &str = "SELECT name FROM metric \
     WHERE EXISTS (SELECT 1 FROM score WHERE score.metric_id = metric.id) ORDER BY name";

impl Recorder<'_> {
    /// Records a score; it takes the place of one of the same metric and place. Says whether any
    /// artifact is recorded at its run and iteration.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn score(&mut self, score: &Score) -> Result<bool, CatalogError> {
        let [run, metric, dataset, parameters] = self.score_columns(score)?;
        // SQLite has no NaN: it is stored as NULL.
        let value = (!score.value.is_nan()).then_some(score.value);
        let now = self.now.0;
        // Read before it is replaced, because the history keeps both values.
        let before = self.value(params![run, metric, score.iteration, dataset, parameters])?;
        // An equal value is no change and leaves no operation.
        if before != Some(value) {
            self.journal_score(score, before, Some(value));
        }
        self.transaction
            .prepare_cached(PUT)
            .and_then(|mut statement| {
                statement.execute(params![
                    run,
                    metric,
                    score.iteration,
                    dataset,
                    parameters,
                    value,
                    now
                ])
            })
            // In the same transaction, so that the answer is about the state that was written.
            .and_then(|_| {
                self.transaction
                    .prepare_cached(AT)?
                    .query_row(params![run, score.iteration], |row| row.get(0))
            })
            .map_err(|error| self.catalog.sql("recording a score", error))
    }

    /// Takes a score away, whatever its value. Says whether it was there.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn unscore(&mut self, score: &Score) -> Result<bool, CatalogError> {
        // Names that the catalog does not know are not taken in: there is no score under them.
        // In the order of `INTERN`.
        let names = [
            Some(score.run.as_str()),
            score.dataset.as_ref().map(DatasetName::as_str),
            score.parameters.as_ref().map(Parameters::as_str),
            Some(score.metric.as_str()),
        ];
        for (name, (select, _)) in names.into_iter().zip(INTERN) {
            let Some(name) = name else { continue };
            let is_known = self
                .transaction
                .prepare_cached(select)
                .and_then(|mut statement| statement.exists([name]))
                .map_err(|error| self.catalog.sql("taking a score away", error))?;
            if !is_known {
                return Ok(false);
            }
        }
        let [run, metric, dataset, parameters] = self.score_columns(score)?;
        let before = self.value(params![run, metric, score.iteration, dataset, parameters])?;
        if before.is_some() {
            self.journal_score(score, before, None);
        }
        self.transaction
            .prepare_cached(TAKE)
            .and_then(|mut statement| {
                statement.execute(params![run, metric, score.iteration, dataset, parameters])
            })
            .map(|gone| gone > 0)
            .map_err(|error| self.catalog.sql("taking a score away", error))
    }

    /// The value at a place: `None` if there is no score, `Some(None)` if it is not a number.
    fn value(&self, place: impl rusqlite::Params) -> Result<Option<Option<f64>>, CatalogError> {
        self.transaction
            .prepare_cached(VALUE)
            .and_then(|mut statement| statement.query_row(place, |row| row.get(0)).optional())
            .map_err(|error| self.catalog.sql("recording a score", error))
    }

    /// The value of a score, as the history has it; `None` if there is no such score.
    pub(super) fn score_now(&mut self, score: &Score) -> Result<Option<ScoreValue>, CatalogError> {
        let [run, metric, dataset, parameters] = self.score_columns(score)?;
        let now = self.value(params![run, metric, score.iteration, dataset, parameters])?;
        Ok(now.map(score_value))
    }

    /// Records a score's value before and after.
    fn journal_score(
        &self,
        score: &Score,
        before: Option<Option<f64>>,
        after: Option<Option<f64>>,
    ) {
        self.journal.detail(Detail::ScoreChanged(ScoreChanged {
            run: score.run.clone(),
            iteration: score.iteration,
            dataset: score.dataset.clone(),
            parameters: score.parameters.clone(),
            metric: score.metric.clone(),
            before: before.map(score_value),
            after: after.map(score_value),
        }));
    }

    /// Numbers of run, metric, dataset and parameters.
    pub(super) fn score_columns(&mut self, score: &Score) -> Result<[Value; 4], CatalogError> {
        self.catalog.allow_rows(1);
        // The numbers are those of `INTERN`.
        let run = self.intern(0, score.run.as_str())?.into();
        let metric = self.intern(3, score.metric.as_str())?.into();
        let dataset = match &score.dataset {
            Some(dataset) => self.intern(1, dataset.as_str())?.into(),
            None => Value::Null,
        };
        let parameters = match &score.parameters {
            Some(parameters) => self.intern(2, parameters.as_str())?.into(),
            None => Value::Null,
        };
        Ok([run, metric, dataset, parameters])
    }
}

/// A value of the table, where NULL is NaN: SQLite stores no NaN.
fn score_value(value: Option<f64>) -> ScoreValue {
    ScoreValue(value.unwrap_or(f64::NAN))
}

impl Catalog {
    /// Gives scores to `each`, in the order run, iteration, dataset, parameters, metric. Rows
    /// stream.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read, and whatever `each` returns.
    pub fn scores<E: From<CatalogError>>(
        &self,
        query: &ScoreQuery<'_>,
        mut each: impl FnMut(Score) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            self.run_query(connection, &listing(query), |row| -> Result<_, E> {
                each(self.score_of(row)?)?;
                Ok(ControlFlow::Continue(()))
            })
        })
    }

    /// Whether there is any score that a query selects.
    ///
    /// # Errors
    /// [`CatalogError`] if it cannot be read.
    pub(crate) fn has_scores(&self, query: &ScoreQuery<'_>) -> Result<bool, CatalogError> {
        let mut is_any = false;
        self.read_with(|connection| {
            self.run_query(connection, &listing(query), |_| {
                is_any = true;
                Ok::<_, CatalogError>(ControlFlow::Break(()))
            })
        })?;
        Ok(is_any)
    }

    /// Gives the best scores of what a filter names: of runs, iterations, datasets and parameters.
    /// Runs and iterations without a score that is a number have none.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub(super) fn best_scores(
        &self,
        filter: &Filter,
        metrics: &[Metric],
        of: BestOf,
    ) -> Result<HashMap<(String, Option<i64>), Best>, CatalogError> {
        let mut found: HashMap<_, Best> = HashMap::new();
        if metrics.is_empty() {
            return Ok(found);
        }
        self.read_with(|connection| {
            self.run_query(connection, &best(filter, metrics, of), |row| {
                let read = || -> rusqlite::Result<_> {
                    let place: (String, Option<i64>) = (row.get(0)?, row.get(1)?);
                    let name: String = row.get(2)?;
                    // NULL if none is a number.
                    let range: Option<(f64, f64)> = row
                        .get::<_, Option<f64>>(3)?
                        .zip(row.get::<_, Option<f64>>(4)?);
                    Ok((place, name, range))
                };
                let (place, name, range) =
                    read().map_err(|error| self.sql("listing scores", error))?;
                if let Some((lowest, highest)) = range {
                    let best = found.entry(place).or_default();
                    for metric in metrics.iter().filter(|metric| metric.name() == name) {
                        let value = match metric.direction() {
                            Direction::Min => lowest,
                            Direction::Max => highest,
                        };
                        best.insert(metric.to_string(), ScoreValue(value));
                    }
                }
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
        })?;
        Ok(found)
    }

    /// Gives the names of the metrics that any score has, in order.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn scored_metrics(&self) -> Result<Vec<String>, CatalogError> {
        let query = Query {
            sql: METRICS.to_owned(),
            values: Vec::new(),
        };
        let mut names = Vec::new();
        self.read_with(|connection| {
            self.run_query(connection, &query, |row| {
                names.push(
                    row.get(0)
                        .map_err(|error| self.sql("listing metrics", error))?,
                );
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
        })?;
        Ok(names)
    }

    /// Gives the names that scores of a run can have.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub(crate) fn scored_names(&self, run: &RunName) -> Result<ScoredNames, CatalogError> {
        self.read("listing names", |connection| {
            let names = |sql| {
                let mut statement = connection.prepare_cached(sql)?;
                let names = statement.query_map([run.as_str()], |row| row.get(0))?;
                names.collect::<rusqlite::Result<_>>()
            };
            Ok(ScoredNames {
                datasets: names(DATASETS_OF_RUN)?,
                parameters: names(PARAMETERS_OF_RUN)?,
            })
        })
    }

    pub(super) fn score_of(&self, row: &Row<'_>) -> Result<Score, CatalogError> {
        // Errors as text: whatever does not fit, it is one error about this score.
        let read = || -> Result<Score, String> {
            let run: String = rows::field(row, 0)?;
            let dataset: Option<String> = rows::field(row, 2)?;
            let parameters: Option<String> = rows::field(row, 3)?;
            let metric: String = rows::field(row, 4)?;
            let name = |error: crate::model::name::NameError| error.to_string();
            Ok(Score {
                run: run.parse().map_err(name)?,
                iteration: rows::field(row, 1)?,
                dataset: dataset.map(|text| text.parse().map_err(name)).transpose()?,
                parameters: parameters
                    .map(|text| text.parse().map_err(name))
                    .transpose()?,
                metric: metric.parse().map_err(
                    |error: crate::model::score::ParseMetricNameError| error.to_string(),
                )?,
                value: rows::field::<Option<f64>>(row, 5)?.unwrap_or(f64::NAN),
            })
        };
        read().map_err(|detail| CatalogError::Damaged {
            path: self.path.clone(),
            detail: format!("a score cannot be read: {detail}"),
        })
    }
}
