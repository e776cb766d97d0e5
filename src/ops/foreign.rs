//! Refuses pins and scores of data that is another run's by its time.
//!
//! They would bind the row of a path whose data is another row's, and would not follow that data.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use crate::catalog::{Catalog, RowRead};
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange};
use crate::model::progress::Silent;
use crate::model::score::Score;
use crate::ops::refresh;
use crate::ops::twins::{Owners, refusal};
use crate::store::{self, Base, Event, WalkOptions};

/// Rows that are looked at before a word about many is taken, shared by the runs that it names.
const MOST_LOOKS: usize = 16_384;
/// Rows of each run that are looked at, however many runs there are.
const FEWEST_OF_RUN: usize = 16;

/// Refuses a pin on artifacts if the data of one is another run's.
///
/// # Errors
/// [`Error::OfAnotherRun`], and [`Error`] if the catalog cannot be read.
pub(crate) fn refuse_artifacts(
    catalog: &Catalog,
    base: &Base,
    artifacts: &[Artifact],
) -> Result<(), Error> {
    let runs: HashSet<_> = artifacts.iter().map(|row| row.key.run()).collect();
    let most = most_of_each(runs.len());
    let mut of_runs: HashMap<_, usize> = HashMap::new();
    let rows = artifacts.iter().filter(|row| {
        let looked_at = of_runs.entry(row.key.run()).or_default();
        let is_wanted = has_time(row) && *looked_at < most;
        *looked_at += usize::from(is_wanted);
        is_wanted
    });
    let rows: Vec<Artifact> = rows.cloned().collect();
    refuse_first(catalog, base, &rows)
}

/// Refuses a pin on runs, or iterations of them, if the data of a row in them is another run's.
///
/// # Errors
/// As [`refuse_artifacts`].
pub(crate) fn refuse_scope(
    catalog: &Catalog,
    base: &Base,
    scope: &Filter,
    now: Timestamp,
) -> Result<(), Error> {
    let runs = catalog.run_names(&scope.runs)?;
    let most = most_of_each(runs.len());
    let mut rows = Vec::new();
    for run in runs {
        let of_run = scope.clone().runs([run]);
        rows.extend(first_rows(catalog, &of_run, now, most)?);
    }
    refuse_first(catalog, base, &rows)
}

/// Refuses scores if the data of a row of their runs and iterations is another run's, whatever
/// their datasets: a score follows its run.
///
/// # Errors
/// As [`refuse_artifacts`].
pub(crate) fn refuse_scores(
    catalog: &Catalog,
    base: &Base,
    scores: &[Score],
    now: Timestamp,
) -> Result<(), Error> {
    let places: HashSet<_> = scores
        .iter()
        .map(|score| (&score.run, score.iteration))
        .collect();
    let most = most_of_each(places.len());
    let mut rows = Vec::new();
    for (run, iteration) in places {
        let range = IterationRange {
            first: Some(iteration),
            last: Some(iteration),
        };
        let filter = Filter::default().runs([run.as_str()]).iterations([range]);
        let found = first_rows(catalog, &filter, now, most)?;
        // A run that the catalog does not know may have the text of a glob for its name.
        rows.extend(found.into_iter().filter(|row| row.key.run() == run));
    }
    refuse_first(catalog, base, &rows)
}

/// How many rows are looked at of each of so many.
fn most_of_each(count: usize) -> usize {
    FEWEST_OF_RUN.max(MOST_LOOKS / count.max(1))
}

/// Whether the data of a row has a time that tells whose it is.
fn has_time(row: &Artifact) -> bool {
    let kind = row.key.kind();
    row.written_at.is_some() && !kind.is_container() && !kind.is_file()
}

/// The first rows of a selection whose data has a time, without those that are damaged.
fn first_rows(
    catalog: &Catalog,
    filter: &Filter,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Artifact>, Error> {
    let mut rows = Vec::new();
    catalog.rows_until(filter, now, |read| {
        if let RowRead::Whole(row) = read {
            rows.extend(has_time(&row).then_some(*row));
        }
        Ok::<_, Error>(match rows.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(rows)
}

/// Refuses the first of these rows, by path, whose data is another run's. One look at the metadata
/// of each; what cannot be read is no other's.
fn refuse_first(catalog: &Catalog, base: &Base, rows: &[Artifact]) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let by_id: HashMap<i64, &Artifact> = rows.iter().map(|row| (row.id.0, row)).collect();
    let looks = by_id.values().map(|row| refresh::look(row)).collect();
    let mut sights = Vec::new();
    store::look_at(base, WalkOptions::default(), &Silent, looks, |event| {
        if let Event::Looked(id, Some(seen)) = event
            && let Some(row) = by_id.get(&id)
        {
            sights.push((*row, seen.written_at));
        }
        Ok::<_, Error>(())
    })?;
    // Threads report in any order.
    sights.sort_by_cached_key(|(row, _)| row.path());
    match Owners::new(catalog, base).first(sights)? {
        Some((row, owner)) => Err(refusal(row, &owner)),
        None => Ok(()),
    }
}
