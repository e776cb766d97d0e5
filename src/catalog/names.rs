//! Names that the catalog knows: for the nearest one to a mistyped name, and for completion.
//!
//! Each list is bounded, so that an answer comes at once however large the catalog is.

#[cfg(feature = "cli")]
use std::collections::BTreeSet;

use rusqlite::params;
#[cfg(feature = "cli")]
use rusqlite::types::FromSql;

use super::error::CatalogError;
#[cfg(feature = "cli")]
use super::query;
use super::query::Query;
#[cfg(feature = "cli")]
use super::rows::{self, names};
use super::sqlite::file::Catalog;
#[cfg(feature = "cli")]
use crate::model::clock::Timestamp;
#[cfg(feature = "cli")]
use crate::model::filter::Filter;
use crate::model::filter::{IterationRange, Pattern};
#[cfg(feature = "cli")]
use crate::model::key::Kind;

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
/// Users who changed anything; bounded as runs.
pub(super) const USERS: &str = "SELECT DISTINCT agent.user FROM agent \
     WHERE agent.user >= ?1 AND agent.user < ?2 ORDER BY agent.user LIMIT ?3";

/// Names of a selection that are read; more would fill a screen.
#[cfg(feature = "cli")]
const FEW: usize = 1_000;

/// The dataset `?1`.
#[cfg(feature = "cli")]
pub(super) const DATASET: &str = "SELECT dataset.name FROM dataset WHERE dataset.id = ?1";
/// The parameters `?1`.
#[cfg(feature = "cli")]
pub(super) const TEXT: &str = "SELECT parameters.text FROM parameters WHERE parameters.id = ?1";
/// Numbers and names of datasets from `?1` to `?2`.
#[cfg(feature = "cli")]
pub(super) const DATASETS_IN_ORDER: &str = "SELECT dataset.id, dataset.name FROM dataset \
     WHERE dataset.name >= ?1 AND dataset.name < ?2 ORDER BY dataset.name";
/// Numbers and texts of parameters from `?1` to `?2`.
#[cfg(feature = "cli")]
pub(super) const PARAMETERS_IN_ORDER: &str = "SELECT parameters.id, parameters.text FROM parameters \
     WHERE parameters.text >= ?1 AND parameters.text < ?2 ORDER BY parameters.text";

/// The iteration of the run `?1` that comes after `?2`.
#[cfg(feature = "cli")]
pub(super) const NEXT_ITERATION: &str = "SELECT min(a.iteration) FROM artifact AS a \
     WHERE a.run_id = ?1 AND a.iteration > ?2";

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NameOf {
    Run,
    Dataset,
    Parameters,
    Pin,
    User,
}

impl NameOf {
    fn sql(self) -> &'static str {
        match self {
            Self::Run => RUNS,
            Self::Dataset => DATASETS,
            Self::Parameters => PARAMETERS,
            Self::Pin => PINS,
            Self::User => USERS,
        }
    }
}

/// The different values that artifacts of a selection have in a column of theirs.
#[cfg(feature = "cli")]
fn selected(column: &str, filter: &Filter, now: Timestamp) -> Query {
    let Query { sql, values } = query::conditions(filter, now);
    // Without the tables of names, the index alone answers.
    let names = match filter.datasets.is_empty() && filter.parameters.is_empty() {
        true => "",
        false => names!(),
    };
    let sql = format!(
        "SELECT DISTINCT a.{column} FROM run CROSS JOIN artifact AS a ON a.run_id = run.id {names} \
         WHERE a.{column} IS NOT NULL{sql}"
    );
    Query { sql, values }
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

    /// Gives the names that artifacts of a selection have and that start with a text, sorted, at
    /// most so many.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    #[cfg(feature = "cli")]
    pub(crate) fn names_of(
        &self,
        of: NameOf,
        start: &str,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<String>, CatalogError> {
        let (column, by_id, in_order) = match of {
            NameOf::Dataset => ("dataset_id", DATASET, DATASETS_IN_ORDER),
            NameOf::Parameters => ("parameters_id", TEXT, PARAMETERS_IN_ORDER),
            NameOf::Run | NameOf::Pin | NameOf::User => return self.names(of, start),
        };
        let ids: Vec<i64> = self.listed(&selected(column, filter, now))?;
        let ids: BTreeSet<i64> = ids.into_iter().collect();
        let end = format!("{start}{}", char::MAX);
        self.read("listing names", |connection| {
            if ids.len() <= FEW {
                let mut name = connection.prepare_cached(by_id)?;
                let names = ids.iter().map(|id| name.query_row([id], |row| row.get(0)));
                let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
                names.retain(|name| name.starts_with(start));
                names.sort_unstable();
                return Ok(names);
            }
            // By name, until there are enough: looking each up and sorting takes longer.
            let mut names = connection.prepare_cached(in_order)?;
            let names = names.query_map(params![start, end], |row| {
                Ok((row.get::<_, i64>(0)?, row.get(1)?))
            })?;
            let is_selected = |named: &rusqlite::Result<(i64, String)>| match named {
                Ok((id, _)) => ids.contains(id),
                Err(_) => true,
            };
            let names = names.filter(is_selected).take(FEW);
            names.map(|named| named.map(|(_, name)| name)).collect()
        })
    }

    /// Gives the kinds that artifacts of a selection have, checkpoints too.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    #[cfg(feature = "cli")]
    pub(crate) fn kinds_of(
        &self,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<Kind>, CatalogError> {
        let filter = filter.clone().kinds(Kind::ALL);
        let numbers: Vec<i64> = self.listed(&selected("kind_id", &filter, now))?;
        let mut kinds: Vec<Kind> = numbers.into_iter().filter_map(rows::kind_of).collect();
        kinds.sort_unstable();
        Ok(kinds)
    }

    /// Gives the iterations of runs, sorted, at most some thousands; of every run if there are no
    /// patterns.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    #[cfg(feature = "cli")]
    pub(crate) fn iterations_of(&self, runs: &[Pattern]) -> Result<Vec<i64>, CatalogError> {
        let query = Query::runs(runs);
        self.read("listing iterations", |connection| {
            let mut runs = connection.prepare_cached(&query.sql)?;
            let runs = runs.query_map(rusqlite::params_from_iter(&query.values), |row| row.get(1));
            let runs: Vec<i64> = runs?.collect::<Result<_, _>>()?;
            // From one iteration to the next by the index: their arrays are not gone through.
            let mut next = connection.prepare_cached(NEXT_ITERATION)?;
            let mut found = BTreeSet::new();
            let mut steps = 0..MOST;
            for run in runs {
                let mut last = i64::MIN;
                while steps.next().is_some() {
                    let iteration: Option<i64> =
                        next.query_row(params![run, last], |row| row.get(0))?;
                    let Some(iteration) = iteration else { break };
                    found.insert(iteration);
                    last = iteration;
                }
            }
            Ok(found.into_iter().collect())
        })
    }

    /// Gives the numbers of the newest operations, at most so many, the newest first.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    #[cfg(feature = "cli")]
    pub(crate) fn newest_operations(&self, most: u32) -> Result<Vec<i64>, CatalogError> {
        self.listed(&Query {
            sql: "SELECT id FROM operation ORDER BY id DESC LIMIT ?".to_owned(),
            values: vec![most.into()],
        })
    }

    /// The first column of the rows of a query.
    #[cfg(feature = "cli")]
    fn listed<T: FromSql>(&self, query: &Query) -> Result<Vec<T>, CatalogError> {
        self.read("listing names", |connection| {
            let mut statement = connection.prepare_cached(&query.sql)?;
            let values = rusqlite::params_from_iter(&query.values);
            let names = statement.query_map(values, |row| row.get(0))?;
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
            NameOf::Run | NameOf::Pin | NameOf::User => return self.names(of, ""),
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
