//! Names that the catalog knows: for the nearest one to a mistyped name, and for completion.
//!
//! Each list is bounded, so that an answer comes at once however large the catalog is.

use rusqlite::params;

use super::error::CatalogError;
use super::query::Query;
use super::sqlite::file::Catalog;
use crate::model::filter::{IterationRange, Pattern};

/// Names that are read for one list.
const MOST: u32 = 10_000;

/// Runs of which something is recorded; `?1` and `?2` bound the names, `?3` their number.
pub(super) const RUNS: &str = "SELECT run.name FROM run WHERE run.name >= ?1 AND run.name < ?2 \
     AND EXISTS (SELECT 1 FROM artifact WHERE artifact.run_id = run.id) \
     ORDER BY run.name LIMIT ?3";
/// Datasets; bounded as runs.
pub(super) const DATASETS: &str = "SELECT dataset.name FROM dataset \
     WHERE dataset.name >= ?1 AND dataset.name < ?2 ORDER BY dataset.name LIMIT ?3";
/// Parameters; bounded as runs.
pub(super) const PARAMETERS: &str = "SELECT parameters.text FROM parameters \
     WHERE parameters.text >= ?1 AND parameters.text < ?2 ORDER BY parameters.text LIMIT ?3";
/// Pins; bounded as runs.
pub(super) const PINS: &str = "SELECT pin.name FROM pin \
     WHERE pin.name >= ?1 AND pin.name < ?2 ORDER BY pin.name LIMIT ?3";

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameOf {
    Run,
    Dataset,
    Parameters,
    Pin,
}

impl NameOf {
    fn sql(self) -> &'static str {
        match self {
            Self::Run => RUNS,
            Self::Dataset => DATASETS,
            Self::Parameters => PARAMETERS,
            Self::Pin => PINS,
        }
    }
}

impl Catalog {
    /// Gives names that start with a text, sorted, at most some thousands. Of runs, those of which
    /// something is recorded; of datasets and parameters, also those that only removed artifacts
    /// had.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    pub(crate) fn names(&self, of: NameOf, start: &str) -> Result<Vec<String>, CatalogError> {
        // No name holds the last character.
        let end = format!("{start}{}", char::MAX);
        self.read("listing names", |connection| {
            let mut statement = connection.prepare_cached(of.sql())?;
            let names = statement.query_map(params![start, end, MOST], |row| row.get(0))?;
            names.collect()
        })
    }

    /// Gives the iterations of runs that are next to a range, below and above it.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    pub(crate) fn iterations_beside(
        &self,
        range: &IterationRange,
        runs: &[Pattern],
    ) -> Result<Vec<i64>, CatalogError> {
        // Two searches of the index by run and iteration for each run. Nothing is beyond an open end.
        let mut query = Query {
            sql: "SELECT max((SELECT max(iteration) FROM artifact AS a \
                    WHERE a.run_id = run.id AND a.iteration < ?)), \
                  min((SELECT min(iteration) FROM artifact AS a \
                    WHERE a.run_id = run.id AND a.iteration > ?)) \
                  FROM run WHERE 1"
                .to_owned(),
            values: vec![
                range.first.unwrap_or(i64::MIN).into(),
                range.last.unwrap_or(i64::MAX).into(),
            ],
        };
        query.patterns(["run", "name"], runs);
        self.read("listing iterations", |connection| {
            let mut statement = connection.prepare_cached(&query.sql)?;
            statement.query_row(rusqlite::params_from_iter(&query.values), |row| {
                let (below, above): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
                Ok(below.into_iter().chain(above).collect())
            })
        })
    }

    /// Gives the datasets, or the parameters, of the artifacts of runs.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    pub(crate) fn names_in(
        &self,
        of: NameOf,
        runs: &[Pattern],
    ) -> Result<Vec<String>, CatalogError> {
        let (column, join) = match of {
            NameOf::Dataset => ("dataset.name", "JOIN dataset ON dataset.id = a.dataset_id"),
            NameOf::Parameters => (
                "parameters.text",
                "JOIN parameters ON parameters.id = a.parameters_id",
            ),
            NameOf::Run | NameOf::Pin => return self.names(of, ""),
        };
        let mut query = Query {
            sql: format!(
                "SELECT DISTINCT {column} FROM run \
                 CROSS JOIN artifact AS a ON a.run_id = run.id {join} WHERE 1"
            ),
            values: Vec::new(),
        };
        query.patterns(["run", "name"], runs);
        query.sql.push_str(&format!(" LIMIT {MOST}"));
        self.read("listing names", |connection| {
            let mut statement = connection.prepare_cached(&query.sql)?;
            let values = rusqlite::params_from_iter(&query.values);
            let names = statement.query_map(values, |row| row.get(0))?;
            names.collect()
        })
    }
}
