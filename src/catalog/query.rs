//! Filters to SQL, and listing.
//!
//! Every selection goes run by run: the outer loop is the small table of runs, the inner one the
//! index `artifact_key`. So a selection costs as much as the runs that it names, order comes from
//! the index but for the names within one iteration and kind, and rows stream.

use std::ops::ControlFlow;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::error::CatalogError;
use super::glob::sqlite_glob;
use super::rows::{self, columns, names};
use super::sqlite::file::Catalog;
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;

/// SQL and the values that are bound to it.
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// A row whose container is unknown is damaged and must be reported, not left out: so the join is
/// an outer one.
const FROM: &str = concat!(
    " FROM run CROSS JOIN artifact AS a ON a.run_id = run.id \
     LEFT JOIN container ON container.id = a.container_id",
    names!()
);
/// The same by the small index of rows that were not seen to be present.
const FROM_UNSEEN: &str = concat!(
    " FROM run CROSS JOIN artifact AS a INDEXED BY artifact_unseen ON a.run_id = run.id \
     LEFT JOIN container ON container.id = a.container_id",
    names!()
);

/// Which rows of a filter a listing gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// All of them.
    All,
    /// Those that are not known to be present.
    Unseen,
}

/// A row, or what is known of one that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowRead {
    /// A row that fits all rules.
    Whole(Box<Artifact>),
    /// A row that does not.
    Damaged {
        /// Its number.
        id: ArtifactId,
        /// Its path, as it says; not to be followed.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// What a pattern means, as a condition on `name`. This is the only place that matches patterns.
///
/// A pattern matches the name that it spells; only if the catalog knows no such name, it matches as
/// a glob. `known` are table and column of the known names. SQLite's own `GLOB` matches: the join
/// then streams, while a matcher of ours would have to read every name into a list first.
///
/// `pattern` and `glob` are the parameters that hold the pattern as it was given and, if it is a
/// glob, in SQLite's dialect.
///
/// The `+` keeps a glob from being looked up by parts of the index on names: rows would come
/// unordered and be sorted.
fn meaning(name: &str, known: [&str; 2], pattern: &str, glob: Option<&str>) -> String {
    let [table, column] = known;
    let spelled = format!("{name} = {pattern}");
    let Some(glob) = glob else {
        return spelled;
    };
    format!(
        "{spelled} OR (+{name} GLOB {glob} AND NOT EXISTS \
         (SELECT 1 FROM {table} AS spelled WHERE spelled.{column} = {pattern}))"
    )
}

/// Whether `?1` is the name of a run that the pattern `?2` means, which as a glob is `?3`.
pub(super) fn names_run(is_glob: bool) -> String {
    let glob = is_glob.then_some("?3");
    format!("SELECT {}", meaning("?1", ["run", "name"], "?2", glob))
}

/// Runs that have rows that any pin binds, so that the others are not gone through.
pub(super) const PINNED_RUN: &str = "+run.id IN (SELECT run_id FROM pin_scope UNION \
     SELECT bound.run_id FROM pinned \
     CROSS JOIN artifact AS bound ON bound.id = pinned.artifact_id)";

/// Whether any pin binds a row.
pub(super) const PINNED_ROW: &str = "(EXISTS (SELECT 1 FROM pinned \
       WHERE pinned.artifact_id = a.id) \
       OR EXISTS (SELECT 1 FROM pin_scope AS s WHERE s.run_id = a.run_id \
         AND ((s.first IS NULL OR a.iteration >= s.first) \
           AND (s.last IS NULL OR a.iteration <= s.last) \
           OR a.iterations IS NOT NULL AND EXISTS (SELECT 1 FROM json_each(a.iterations) AS held \
             WHERE (s.first IS NULL OR held.value >= s.first) \
             AND (s.last IS NULL OR held.value <= s.last)))))";

/// Conditions of a filter on `run`, `a`, `dataset` and `parameters`. Ages count back from `now`.
pub(super) fn conditions(filter: &Filter, now: Timestamp) -> Query {
    let mut query = Query {
        sql: String::new(),
        values: Vec::new(),
    };
    query.names(filter);
    // The `+` keeps one kind from being taken for a constant, which would leave the groups of
    // `iterations` without an index in their order, and so sorted.
    query.any(&filter.kinds, |query, kind| {
        query.sql.push_str("+a.kind_id = ?");
        query.values.push(rows::kind_number(*kind).into());
    });
    for kind in &filter.except.kinds {
        query.sql.push_str(" AND +a.kind_id <> ?");
        query.values.push(rows::kind_number(*kind).into());
    }
    query.below(&filter.below, !filter.kinds.is_empty());
    // Checkpoints are selected only by their kind, or by their path.
    if filter.kinds.is_empty() && filter.below.is_empty() {
        query.sql.push_str(" AND a.kind_id <> ?");
        query
            .values
            .push(rows::kind_number(Kind::Checkpoint).into());
    }
    query.any(&filter.states, |query, state| {
        query.sql.push_str("a.state = ?");
        query.values.push(rows::state_number(*state).into());
    });
    // An artifact whose data was never seen counts from its recording.
    if let Some(cutoff) = filter.cutoff_at(now) {
        query
            .sql
            .push_str(" AND ifnull(a.written_at, a.recorded_at) < ?");
        query.values.push(cutoff.0.into());
    }
    if let Some(since) = filter.written_since {
        query
            .sql
            .push_str(" AND ifnull(a.written_at, a.recorded_at) >= ?");
        query.values.push(since.0.into());
    }
    query.any(&filter.owners, |query, owner| {
        query.sql.push_str("a.owner = ?");
        query.values.push(i64::from(*owner).into());
    });
    if filter.pinned {
        for condition in [PINNED_RUN, PINNED_ROW] {
            query.sql.push_str(" AND ");
            query.sql.push_str(condition);
        }
    }
    if let Some(bytes) = filter.min_bytes {
        query.sql.push_str(" AND a.bytes >= ?");
        // SQLite's integers are signed; no array is as large as the largest of them.
        query
            .values
            .push(i64::try_from(bytes).unwrap_or(i64::MAX).into());
    }
    query
}

impl Query {
    /// Names and numbers of the runs that patterns name; of every run if there are none.
    pub(super) fn runs(patterns: &[Pattern]) -> Self {
        let mut query = Self {
            sql: "SELECT run.name, run.id FROM run WHERE 1".to_owned(),
            values: Vec::new(),
        };
        query.patterns(["run", "name"], patterns);
        query.sql.push_str(" ORDER BY run.name");
        query
    }

    /// Conditions of a filter on the names and the iteration of an artifact, or of a score.
    pub(super) fn names(&mut self, filter: &Filter) {
        self.iterations(filter);
        self.patterns(["dataset", "name"], &filter.datasets);
        self.patterns(["parameters", "text"], &filter.parameters);
        self.except(["dataset", "name"], &filter.except.datasets);
        self.except(["parameters", "text"], &filter.except.parameters);
    }

    /// The same of a score, which is also selected if it is of every dataset or parameter set.
    pub(super) fn names_of_scores(&mut self, filter: &Filter) {
        self.iterations(filter);
        for (id, names, patterns) in [
            ("dataset_id", ["dataset", "name"], &filter.datasets),
            ("parameters_id", ["parameters", "text"], &filter.parameters),
        ] {
            self.sql.push_str(&format!(" AND (a.{id} IS NULL OR (1"));
            self.patterns(names, patterns);
            self.sql.push_str("))");
        }
        self.except(["dataset", "name"], &filter.except.datasets);
        self.except(["parameters", "text"], &filter.except.parameters);
    }

    /// Conditions of a filter on the run and the iteration.
    fn iterations(&mut self, filter: &Filter) {
        self.patterns(["run", "name"], &filter.runs);
        self.except(["run", "name"], &filter.except.runs);
        self.runs_at(&filter.runs_at);
        self.any(&filter.iterations, |query, range| {
            match (range.first, range.last) {
                (Some(first), Some(last)) => {
                    query.sql.push_str("a.iteration BETWEEN ? AND ?");
                    query.values.extend([first.into(), last.into()]);
                }
                (Some(first), None) => {
                    query.sql.push_str("a.iteration >= ?");
                    query.values.push(first.into());
                }
                (None, Some(last)) => {
                    query.sql.push_str("a.iteration <= ?");
                    query.values.push(last.into());
                }
                // A range that is open at both ends still asks for an iteration.
                (None, None) => query.sql.push_str("a.iteration IS NOT NULL"),
            }
        });
    }

    /// Adds ` AND (… OR …)`, one alternative an item; nothing if there are none.
    pub(super) fn any<T>(&mut self, items: &[T], mut add: impl FnMut(&mut Self, &T)) {
        for (index, item) in items.iter().enumerate() {
            self.sql
                .push_str(if index == 0 { " AND (" } else { " OR " });
            add(self, item);
        }
        if !items.is_empty() {
            self.sql.push(')');
        }
    }

    /// Adds the condition that no pattern means the name in a column; a row without a name passes.
    fn except(&mut self, names: [&'static str; 2], patterns: &[Pattern]) {
        for pattern in patterns {
            // Without a name the condition is NULL, and NOT NULL would drop the row.
            self.sql.push_str(" AND NOT ifnull(");
            self.pattern(names, pattern);
            self.sql.push_str(", 0)");
        }
    }

    /// Adds the condition that a pattern means the name in a column.
    fn pattern(&mut self, names: [&'static str; 2], pattern: &Pattern) {
        let glob = pattern.is_glob().then_some("?");
        self.sql
            .push_str(&meaning(&names.join("."), names, "?", glob));
        // In the order of the marks in `meaning`: as a name, as a glob, and to see whether any name
        // is spelled so.
        let text = || Value::from(pattern.as_str().to_owned());
        self.values.push(text());
        if glob.is_some() {
            self.values.extend([sqlite_glob(pattern).into(), text()]);
        }
    }

    /// Adds the condition that one of the patterns means the name in a column; nothing if there are
    /// no patterns.
    pub(super) fn patterns(&mut self, names: [&'static str; 2], patterns: &[Pattern]) {
        self.any(patterns, |query, pattern| query.pattern(names, pattern));
    }
}

/// The listing of a filter, in the order run, iteration, kind, dataset, parameters, path.
pub(super) fn listing(filter: &Filter, now: Timestamp, selected: Selected) -> Query {
    let Query {
        sql: conditions,
        values,
    } = conditions(filter, now);
    let (from, unseen) = match selected {
        Selected::All => (FROM, ""),
        // State 1 is present. The partial index has all others, and is used only if the query says
        // so.
        Selected::Unseen => (FROM_UNSEEN, " AND a.state <> 1"),
    };
    let order = match selected {
        Selected::All => {
            " ORDER BY run.name, a.iteration, a.kind_id, dataset.name, parameters.text, \
             container.path, a.array"
        }
        // In the order of the small index: sorting would read every row before the first is given.
        Selected::Unseen => "",
    };
    let sql = format!(
        "SELECT {}{from} WHERE 1{unseen}{conditions}{order}",
        columns!()
    );
    Query { sql, values }
}

impl Catalog {
    /// Gives every artifact that a filter selects at `now` to `each`, until it breaks. Rows stream.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read, and whatever `each` returns.
    pub fn list<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        selected: Selected,
        mut each: impl FnMut(Artifact) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        // The two conditions exclude each other, so no row matches.
        if selected == Selected::Unseen && filter.states == [State::Present] {
            return Ok(());
        }
        self.read_with(|connection| {
            self.run_query(connection, &listing(filter, now, selected), |row| {
                each(self.artifact_of(connection, row)?)
            })
        })
    }

    /// Gives the names of the runs that patterns name, sorted; of every run if there are none.
    ///
    /// # Errors
    /// [`CatalogError`] if they cannot be read.
    pub fn run_names(&self, patterns: &[Pattern]) -> Result<Vec<String>, CatalogError> {
        let Query { sql, values } = Query::runs(patterns);
        self.read("listing runs", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let names = statement.query_map(params_from_iter(&values), |row| row.get(0))?;
            names.collect()
        })
    }

    pub(super) fn run_query<E: From<CatalogError>>(
        &self,
        connection: &Connection,
        query: &Query,
        mut each: impl FnMut(&rusqlite::Row<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let sql = |error| self.sql("listing", error);
        let mut statement = connection.prepare_cached(&query.sql).map_err(sql)?;
        let mut rows = statement
            .query(params_from_iter(&query.values))
            .map_err(sql)?;
        while let Some(row) = rows.next().map_err(sql)? {
            if each(row)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Gives every row of a filter to `each`, run by run, also those that cannot be read.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog itself cannot be read, and whatever `each` returns.
    pub fn each_row<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        mut each: impl FnMut(RowRead) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows_until(filter, now, |row| each(row).map(ControlFlow::Continue))
    }

    /// The same, until `each` breaks. Rows stream.
    ///
    /// # Errors
    /// As [`Catalog::each_row`].
    pub fn rows_until<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        mut each: impl FnMut(RowRead) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            self.run_query(connection, &listing(filter, now, Selected::All), |row| {
                let read = match self.artifact_of(connection, row) {
                    Ok(artifact) => RowRead::Whole(Box::new(artifact)),
                    // The caller reports damaged rows; any other error is one of the catalog.
                    Err(CatalogError::Row { id, detail, .. }) => RowRead::Damaged {
                        id: ArtifactId(id),
                        path: rows::path_of(row),
                        detail,
                    },
                    Err(error) => return Err(error.into()),
                };
                each(read)
            })
        })
    }

    /// Whether a filter selects a run by its name. A pattern means what it means in a [`Filter`].
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn selects_run(&self, filter: &Filter, run: &str) -> Result<bool, CatalogError> {
        let named = filter.runs.is_empty() || self.names_run(&filter.runs, run)?;
        Ok(named && !self.names_run(&filter.except.runs, run)?)
    }

    fn names_run(&self, patterns: &[Pattern], run: &str) -> Result<bool, CatalogError> {
        self.read("matching a run", |connection| {
            for pattern in patterns {
                let mut statement = connection.prepare_cached(&names_run(pattern.is_glob()))?;
                let mut values = vec![run.to_owned(), pattern.as_str().to_owned()];
                if pattern.is_glob() {
                    values.push(sqlite_glob(pattern));
                }
                if statement.query_row(params_from_iter(values), |row| row.get(0))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}
