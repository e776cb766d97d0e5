//! Sums over artifacts: by iteration, by run, by what takes the space.
//!
//! Containers are left out of every sum: what lies in them is counted already.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use serde::Serialize;

use super::error::CatalogError;
use super::query::{PINNED_ROW, PINNED_RUN, Query, Selected, conditions};
use super::rows;
use super::sqlite::file::Catalog;
use crate::model::artifact::State;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::name::NameError;
use crate::model::score::ScoreValue;
use crate::model::size::{ByteCount, Total};
use crate::retention::{GroupKey, PartsByRun, RunParts};

/// What one iteration of a run has, counting what is present.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct IterationRow {
    /// Name of the run.
    pub run: String,
    /// Iteration of the training.
    pub iteration: i64,
    /// Datasets that have anything; if outputs are selected, only those that were validated
    /// on, because what snapshots show never has an output.
    pub datasets: Vec<String>,
    /// The same of the run: every such dataset in the selection, of any iteration and state.
    pub datasets_of_run: u64,
    /// Whether it has each prediction and output, by dataset and parameters, that any iteration of
    /// the run has, selected or not; if the run has none or only other kinds are selected, whether
    /// each dataset has anything. `None` if it has nothing that could be complete, such as a
    /// checkpoint alone.
    pub complete: Option<bool>,
    /// The predictions and outputs that it lacks, such as `crop7/output/threshold_127`.
    pub missing: Vec<String>,
    /// Number of outputs.
    pub outputs: u64,
    /// Number of predictions.
    pub predictions: u64,
    /// Number of other arrays, such as snapshots.
    pub others: u64,
    /// Number of arrays whose metadata cannot be read, of any kind; in none of the other numbers.
    pub damaged: u64,
    /// Chunks, or shards, that are there, of the arrays whose chunks were counted.
    pub chunks_there: u64,
    /// Chunks, or shards, of these arrays if all were there.
    pub chunks_expected: u64,
    /// When anything of it was last written, or recorded if no data was seen.
    pub last_written_at: Timestamp,
    /// Number of arrays that are sealed, of those that are present or damaged.
    pub sealed: u64,
    /// Number of arrays that a pin binds, of the same; `None` if it was not asked for.
    pub pinned: Option<u64>,
    /// Best scores of the metrics that were asked for, by metric with its direction: `voi:min`.
    #[serde(skip)]
    pub scores: BTreeMap<String, ScoreValue>,
    /// Bytes and files of what is present or damaged.
    #[serde(flatten)]
    pub total: Total,
}

/// What a run has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct RunRow {
    /// Name of the run.
    pub run: String,
    /// Iterations that have anything present.
    pub iterations: u64,
    /// Highest of them.
    pub last_iteration: Option<i64>,
    /// Arrays that are present.
    pub present: u64,
    /// Arrays whose identifier was handed out, with no data seen.
    pub reserved: u64,
    /// Arrays whose data is gone.
    pub missing: u64,
    /// Arrays whose metadata cannot be read.
    pub damaged: u64,
    /// When anything was last written, or recorded if no data was seen.
    pub last_written_at: Timestamp,
    /// Arrays that are sealed, of those that are present or damaged.
    pub sealed: u64,
    /// Arrays that a pin binds, of the same; `None` if it was not asked for.
    pub pinned: Option<u64>,
    /// Best scores of the metrics that were asked for, by metric with its direction: `voi:min`.
    #[serde(skip)]
    pub scores: BTreeMap<String, ScoreValue>,
    /// Bytes and files of what is present or damaged.
    #[serde(flatten)]
    pub total: Total,
}

/// What [`Catalog::du`] sums by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuGroup {
    /// By run.
    Run,
    /// By kind.
    Kind,
    /// By run and iteration.
    Iteration,
    /// By dataset.
    Dataset,
    /// By the uid that owns the data.
    Owner,
}

/// One line of disk use: what has data, and apart from it what is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct DuRow {
    /// Run, if sums are by run or iteration.
    pub run: Option<String>,
    /// Kind, if sums are by kind.
    pub kind: Option<Kind>,
    /// Iteration, if sums are by iteration; none for arrays without one.
    pub iteration: Option<i64>,
    /// Dataset, if sums are by dataset; none for arrays without one.
    pub dataset: Option<String>,
    /// uid that owns the data, if sums are by owner; `None` if the owner is unknown.
    pub owner: Option<u32>,
    /// Number of arrays that have data: present or damaged.
    pub arrays: u64,
    /// Number of those whose metadata cannot be read.
    pub damaged: u64,
    /// Number of arrays whose identifier was handed out, with no data seen; not in `arrays`.
    pub reserved: u64,
    /// Bytes that it takes on disk, as far as they were counted; `None` if none was.
    pub disk_bytes: Option<ByteCount>,
    /// Bytes and files of what has data.
    #[serde(flatten)]
    pub total: Total,
}

// Kinds 7 and 8 are the containers.
const FROM: &str = " FROM run CROSS JOIN artifact AS a ON a.run_id = run.id \
     LEFT JOIN dataset ON dataset.id = a.dataset_id \
     LEFT JOIN parameters ON parameters.id = a.parameters_id \
     LEFT JOIN metadata ON metadata.id = a.metadata_id WHERE a.kind_id NOT IN (7, 8)";

/// Sums of one group: arrays that are present; bytes, files and uncounted arrays of what has data.
// States 1 and 3 are present and damaged.
const SUMS: &str = "sum(a.state = 1), \
     ifnull(sum(a.bytes) FILTER (WHERE a.state IN (1, 3)), 0), \
     ifnull(sum(a.files) FILTER (WHERE a.state IN (1, 3)), 0), \
     count(*) FILTER (WHERE a.state IN (1, 3) AND a.bytes IS NULL)";

fn grouped(
    filter: &Filter,
    now: Timestamp,
    columns: &str,
    conditions_more: &str,
    group: &str,
) -> Query {
    let Query {
        sql: conditions,
        values,
    } = conditions(filter, now);
    Query {
        sql: format!("SELECT {columns}, {SUMS}{FROM}{conditions_more}{conditions}{group}"),
        values,
    }
}

/// When anything of a group was last written, and how much of it is sealed.
const MARKS: &str = "max(ifnull(a.written_at, a.recorded_at)), \
     count(*) FILTER (WHERE a.state IN (1, 3) AND a.sealed_at IS NOT NULL)";

/// The number of rows of a group that a pin binds. It is only counted if it is asked for: for each
/// row, pins are searched for.
fn pinned_rows(counts: bool) -> String {
    match counts {
        false => "NULL".to_owned(),
        true => {
            format!("count(*) FILTER (WHERE a.state IN (1, 3) AND {PINNED_RUN} AND {PINNED_ROW})")
        }
    }
}

pub(super) fn by_iteration(filter: &Filter, now: Timestamp, counts_pinned: bool) -> Query {
    let pinned = pinned_rows(counts_pinned);
    grouped(
        filter,
        now,
        &format!(
            "run.name, a.iteration, a.kind_id, dataset.name, \
             ifnull(sum(a.chunks) FILTER (WHERE a.state = 1 AND metadata.chunks IS NOT NULL), 0), \
             ifnull(sum(metadata.chunks) FILTER (WHERE a.state = 1 AND a.chunks IS NOT NULL), 0), \
             sum(a.state = 3), {MARKS}, {pinned}"
        ),
        " AND a.iteration IS NOT NULL",
        // In the order of the index `artifact_key`, so that nothing is sorted.
        " GROUP BY run.name, a.iteration, a.kind_id, a.dataset_id \
         ORDER BY run.name, a.iteration, a.kind_id, a.dataset_id",
    )
}

pub(super) fn by_run(filter: &Filter, now: Timestamp, counts_pinned: bool) -> Query {
    let pinned = pinned_rows(counts_pinned);
    grouped(
        filter,
        now,
        &format!(
            "run.name, count(DISTINCT a.iteration) FILTER (WHERE a.state = 1), \
             max(a.iteration) FILTER (WHERE a.state = 1), sum(a.state = 0), sum(a.state = 2), \
             sum(a.state = 3), {MARKS}, {pinned}"
        ),
        "",
        " GROUP BY run.name ORDER BY run.name",
    )
}

/// How many artifacts of a filter each run has, containers among them.
pub(super) fn count_of_runs(filter: &Filter, now: Timestamp) -> Query {
    let Query {
        sql: conditions,
        values,
    } = conditions(filter, now);
    let sql = format!(
        "SELECT run.name, count(*) FROM run CROSS JOIN artifact AS a ON a.run_id = run.id \
         LEFT JOIN dataset ON dataset.id = a.dataset_id \
         LEFT JOIN parameters ON parameters.id = a.parameters_id \
         WHERE 1{conditions} GROUP BY run.name"
    );
    Query { sql, values }
}

pub(super) fn by_space(filter: &Filter, now: Timestamp, group: DuGroup) -> Query {
    let group = match group {
        DuGroup::Run => ["run.name", "", "", "", ""],
        DuGroup::Kind => ["", "a.kind_id", "", "", ""],
        DuGroup::Iteration => ["run.name", "", "a.iteration", "", ""],
        DuGroup::Dataset => ["", "", "", "dataset.name", ""],
        DuGroup::Owner => ["", "", "", "", "a.owner"],
    };
    // NULL for the rest, so that every grouping has the same columns and one reader serves all.
    let columns = group.map(|column| if column.is_empty() { "NULL" } else { column });
    let group: Vec<&str> = group.into_iter().filter(|part| !part.is_empty()).collect();
    let group = group.join(", ");
    grouped(
        filter,
        now,
        &format!(
            "{}, sum(a.state = 0), sum(a.state = 3), \
             sum(a.disk_bytes) FILTER (WHERE a.state IN (1, 3))",
            columns.join(", ")
        ),
        " AND a.state <> 2",
        &format!(" GROUP BY {group} ORDER BY {group}"),
    )
}

pub(super) fn by_group(filter: &Filter, now: Timestamp) -> Query {
    grouped(
        filter,
        now,
        "run.name, a.kind_id, dataset.name",
        " AND a.state = 1",
        " GROUP BY run.name, a.kind_id, dataset.name",
    )
}

fn total(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<(u64, Total)> {
    Ok((
        row.get(first)?,
        Total {
            bytes: ByteCount(row.get(first + 1)?),
            files: row.get(first + 2)?,
            uncounted: row.get(first + 3)?,
        },
    ))
}

/// Gives rows to `each` until it breaks, and says whether it did.
pub(super) fn until_broken<R, E>(
    rows: Vec<R>,
    mut each: impl FnMut(R) -> Result<ControlFlow<()>, E>,
) -> Result<ControlFlow<()>, E> {
    for row in rows {
        if each(row)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// The iterations of one run while its groups come in.
#[derive(Default)]
struct RunFold {
    run: String,
    iterations: Vec<IterationRow>,
    /// Datasets of the run, and of each iteration those that count for completeness.
    datasets: BTreeSet<String>,
    complete: Vec<BTreeSet<String>>,
}

impl RunFold {
    fn finish(&mut self, parts: &PartsByRun) -> Vec<IterationRow> {
        let parts = parts.get(self.run.as_str());
        let mut missing = parts.map(RunParts::missing).unwrap_or_default();
        let of_run = self.datasets.len();
        let complete = std::mem::take(&mut self.complete);
        let mut rows = std::mem::take(&mut self.iterations);
        for (row, having) in rows.iter_mut().zip(complete) {
            row.datasets_of_run = of_run as u64;
            row.complete = match parts {
                // An iteration without any part lacks nothing, but it is not complete either.
                Some(parts) => parts
                    .has(row.iteration)
                    .then(|| !missing.contains_key(&row.iteration)),
                None => (of_run > 0).then_some(having.len() == of_run),
            };
            row.missing = match parts {
                Some(_) => missing.remove(&row.iteration).unwrap_or_default(),
                None => self.datasets.difference(&having).cloned().collect(),
            };
        }
        self.datasets.clear();
        // Iterations without anything present only count the datasets of the run.
        rows.retain(|row| row.outputs + row.predictions + row.others + row.damaged > 0);
        rows
    }
}

impl Catalog {
    /// Gives what each iteration has, in the order of run and iteration, one run at a time, until
    /// `each` breaks.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise; and what `each` returns.
    pub fn iterations_until<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        counts_pinned: bool,
        mut each: impl FnMut(IterationRow) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        // Other kinds are not part of a validation: for them, datasets are compared.
        let is_part = |kind: &Kind| matches!(kind, Kind::Prediction | Kind::Output);
        let parts = match filter.kinds.is_empty() || filter.kinds.iter().any(is_part) {
            true => self.parts(filter, now)?,
            false => PartsByRun::new(),
        };
        let wants_outputs = filter.kinds.is_empty() || filter.kinds.contains(&Kind::Output);
        let mut fold = RunFold::default();
        let mut ended = ControlFlow::Continue(());
        self.read_with(|connection| {
            self.run_query(
                connection,
                &by_iteration(filter, now, counts_pinned),
                |row| -> Result<_, E> {
                    let read = || -> rusqlite::Result<_> {
                        let names: (String, i64, i64, Option<String>) =
                            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                        let chunks: (u64, u64) = (row.get(4)?, row.get(5)?);
                        let damaged: u64 = row.get(6)?;
                        let (sealed, pinned): (u64, Option<u64>) = (row.get(8)?, row.get(9)?);
                        let marks = (Timestamp(row.get(7)?), sealed, pinned);
                        Ok((names, (chunks, damaged), marks, total(row, 10)?))
                    };
                    let (
                        (run, iteration, kind, dataset),
                        (chunks, damaged),
                        (written, sealed, pinned),
                        (present, sum),
                    ) = read().map_err(|error| self.sql("listing iterations", error))?;
                    // Rows come run by run, so another name ends the run before it.
                    if fold.run != run {
                        ended = until_broken(fold.finish(&parts), &mut each)?;
                        if ended.is_break() {
                            return Ok(ended);
                        }
                        fold.run.clone_from(&run);
                    }
                    if fold
                        .iterations
                        .last()
                        .is_none_or(|last| last.iteration != iteration)
                    {
                        fold.iterations.push(IterationRow {
                            run,
                            iteration,
                            last_written_at: written,
                            pinned: counts_pinned.then_some(0),
                            ..IterationRow::default()
                        });
                        fold.complete.push(BTreeSet::new());
                    }
                    // Both were pushed above.
                    let (Some(entry), Some(having)) =
                        (fold.iterations.last_mut(), fold.complete.last_mut())
                    else {
                        return Ok(ControlFlow::Continue(()));
                    };
                    let kind = rows::kind_of(kind);
                    match kind {
                        Some(Kind::Output) => entry.outputs += present,
                        Some(Kind::Prediction) => entry.predictions += present,
                        _ => entry.others += present,
                    }
                    entry.damaged += damaged;
                    // Damaged metadata may claim any number of chunks.
                    entry.chunks_there = entry.chunks_there.saturating_add(chunks.0);
                    entry.chunks_expected = entry.chunks_expected.saturating_add(chunks.1);
                    entry.total.merge(sum);
                    entry.last_written_at = entry.last_written_at.max(written);
                    entry.sealed += sealed;
                    entry.pinned = entry
                        .pinned
                        .zip(pinned)
                        .map(|(all, more): (u64, u64)| all + more);
                    // Datasets of snapshots never have an output, so they do not make an iteration
                    // incomplete.
                    let counts = !wants_outputs || kind != Some(Kind::Snapshot);
                    if let Some(dataset) = dataset.filter(|_| counts) {
                        fold.datasets.insert(dataset.clone());
                        if present > 0 {
                            if !wants_outputs || kind == Some(Kind::Output) {
                                having.insert(dataset.clone());
                            }
                            if !entry.datasets.contains(&dataset) {
                                entry.datasets.push(dataset);
                                // Rows come in the order of the numbers of datasets, not of their
                                // names.
                                entry.datasets.sort();
                            }
                        }
                    }
                    Ok(ControlFlow::Continue(()))
                },
            )
        })?;
        if ended.is_continue() {
            // No row follows the last run, so it ends here.
            let _ = until_broken(fold.finish(&parts), each)?;
        }
        Ok(())
    }

    /// Gives the present predictions and outputs of each run that a filter names.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn parts(&self, filter: &Filter, now: Timestamp) -> Result<PartsByRun, CatalogError> {
        // Every part of these runs, whatever else is selected: completeness is about the run.
        let of = Filter {
            kinds: vec![Kind::Prediction, Kind::Output],
            states: vec![State::Present, State::Damaged],
            ..filter.of_runs()
        };
        let mut runs = PartsByRun::new();
        self.list(&of, now, Selected::All, |artifact| {
            let key = &artifact.key;
            match runs.get_mut(key.run()) {
                Some(parts) => parts.add_artifact(&artifact),
                None => {
                    let parts = runs.entry(key.run().clone()).or_default();
                    parts.add_artifact(&artifact);
                }
            }
            Ok::<_, CatalogError>(ControlFlow::Continue(()))
        })?;
        runs.values_mut().for_each(RunParts::settle);
        Ok(runs)
    }

    /// Gives what each run has, in the order of their names.
    ///
    /// # Errors
    /// As [`Catalog::runs_until`].
    pub fn runs<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        mut each: impl FnMut(RunRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.runs_until(filter, now, false, |row| {
            each(row).map(ControlFlow::Continue)
        })
    }

    /// The same, until `each` breaks.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise; and what `each` returns.
    pub fn runs_until<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        counts_pinned: bool,
        mut each: impl FnMut(RunRow) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            let query = by_run(filter, now, counts_pinned);
            self.run_query(connection, &query, |row| -> Result<_, E> {
                let read = || -> rusqlite::Result<_> {
                    let (present, total) = total(row, 9)?;
                    Ok(RunRow {
                        run: row.get(0)?,
                        iterations: row.get(1)?,
                        last_iteration: row.get(2)?,
                        present,
                        reserved: row.get(3)?,
                        missing: row.get(4)?,
                        damaged: row.get(5)?,
                        last_written_at: Timestamp(row.get(6)?),
                        sealed: row.get(7)?,
                        pinned: row.get(8)?,
                        scores: BTreeMap::new(),
                        total,
                    })
                };
                each(read().map_err(|error| self.sql("listing runs", error))?)
            })
        })
    }

    /// Gives how many artifacts of a filter each run has; runs without any are left out.
    ///
    /// # Errors
    /// [`CatalogError`] if the catalog cannot be read.
    pub fn count_of_runs(
        &self,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<BTreeMap<String, u64>, CatalogError> {
        let mut counts = BTreeMap::new();
        self.read_with(|connection| {
            self.run_query(connection, &count_of_runs(filter, now), |row| {
                let read = || -> rusqlite::Result<_> { Ok((row.get(0)?, row.get(1)?)) };
                let (run, count) = read().map_err(|error| self.sql("counting", error))?;
                counts.insert(run, count);
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
        })?;
        Ok(counts)
    }

    /// Gives the number of present arrays of each run, kind and dataset.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn groups(
        &self,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<BTreeMap<GroupKey, u64>, CatalogError> {
        let mut groups = BTreeMap::new();
        self.read_with(|connection| {
            self.run_query(connection, &by_group(filter, now), |row| {
                let read = || -> Result<_, String> {
                    let run: String = rows::field(row, 0)?;
                    let kind: i64 = rows::field(row, 1)?;
                    let dataset: Option<String> = rows::field(row, 2)?;
                    let name = |error: NameError| error.to_string();
                    let group = GroupKey {
                        run: run.parse().map_err(name)?,
                        kind: rows::kind_of(kind).ok_or_else(|| format!("no kind {kind}"))?,
                        dataset: dataset.map(|text| text.parse().map_err(name)).transpose()?,
                    };
                    Ok((group, rows::field(row, 3)?))
                };
                let (group, count) = read().map_err(|detail| CatalogError::Damaged {
                    path: self.path.clone(),
                    detail,
                })?;
                groups.insert(group, count);
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
        })?;
        Ok(groups)
    }

    /// Gives what arrays with data take, summed by `group`, largest first; equal ones in the order
    /// of the columns of the group, absent values first.
    ///
    /// A group of reserved rows alone has a row too, with no array in it.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn du(
        &self,
        filter: &Filter,
        now: Timestamp,
        group: DuGroup,
    ) -> Result<Vec<DuRow>, CatalogError> {
        let mut lines = Vec::new();
        self.read_with(|connection| {
            self.run_query(connection, &by_space(filter, now, group), |row| {
                let read = || -> rusqlite::Result<_> {
                    let (present, total) = total(row, 8)?;
                    let damaged: u64 = row.get(6)?;
                    Ok(DuRow {
                        run: row.get(0)?,
                        kind: row.get::<_, Option<i64>>(1)?.and_then(rows::kind_of),
                        iteration: row.get(2)?,
                        dataset: row.get(3)?,
                        owner: row.get(4)?,
                        arrays: present + damaged,
                        damaged,
                        reserved: row.get(5)?,
                        disk_bytes: row.get::<_, Option<u64>>(7)?.map(ByteCount),
                        total,
                    })
                };
                lines.push(read().map_err(|error| self.sql("summing", error))?);
                Ok::<_, CatalogError>(ControlFlow::Continue(()))
            })
        })?;
        // The sort is stable: equal ones keep the order of the query.
        lines.sort_by_key(|line| std::cmp::Reverse(line.total.bytes));
        Ok(lines)
    }
}
