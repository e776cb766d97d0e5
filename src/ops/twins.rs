//! Whose data is at the path of a row: its own, or that of a run that was renamed by hand.
//!
//! A seal, a pin or a score is a word about data. It would bind the row of a path whose data is
//! another row's, and would not follow that data, so it is refused.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use crate::catalog::{Catalog, Change, RowRead};
use crate::error::Error;
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange};
use crate::model::progress::Silent;
use crate::model::score::Score;
use crate::ops::refresh;
use crate::store::{self, Base, Event, WalkOptions};

/// Arrays of a container that were written again, after which its rows are not asked about any
/// more: in a folder with the name of another, all data is that of the other.
const MOST_MISSES: u32 = 16;
/// Rows that are looked at before a word about many is taken, shared by the runs that it names.
const MOST_LOOKS: usize = 16_384;
/// Rows of each run that are looked at, however many runs there are.
const FEWEST_OF_RUN: usize = 16;

/// The row of another run whose data is, by its time, at the path of a row and not at its own.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn owner(
    catalog: &Catalog,
    base: &Base,
    row: &Artifact,
    written_at: Timestamp,
) -> Result<Option<Artifact>, Error> {
    let kind = row.key.kind();
    if kind.is_container() || kind.is_file() || row.written_at.is_none_or(|at| at == written_at) {
        return Ok(None);
    }
    let twins = catalog.twins(row, written_at)?;
    Ok(twins.into_iter().find(|twin| !is_at_home(base, twin)))
}

/// Tells for many rows whose data is at their paths.
pub(crate) struct Owners<'a> {
    catalog: &'a Catalog,
    base: &'a Base,
    /// Arrays that were written again and are no other row's, by container.
    misses: HashMap<String, u32>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(catalog: &'a Catalog, base: &'a Base) -> Self {
        Self {
            catalog,
            base,
            misses: HashMap::new(),
        }
    }

    /// As [`owner`].
    ///
    /// # Errors
    /// As [`owner`].
    pub(crate) fn of(
        &mut self,
        row: &Artifact,
        written_at: Timestamp,
    ) -> Result<Option<Artifact>, Error> {
        if row.written_at.is_none_or(|at| at == written_at) {
            return Ok(None);
        }
        let misses = self.misses.entry(row.location().container).or_default();
        if *misses >= MOST_MISSES {
            return Ok(None);
        }
        let owner = owner(self.catalog, self.base, row, written_at)?;
        *misses += u32::from(owner.is_none());
        Ok(owner)
    }
}

/// The error that refuses a word about data that is another row's.
pub(crate) fn refusal(row: &Artifact, owner: &Artifact) -> Error {
    Error::OfAnotherRun {
        path: row.path(),
        owner: owner.path(),
    }
}

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
    let mut owners = Owners::new(catalog, base);
    let mut found = Vec::new();
    store::look_at(base, WalkOptions::default(), &Silent, looks, |event| {
        if let Event::Looked(id, Some(seen)) = event
            && let Some(row) = by_id.get(&id)
            && let Some(owner) = owners.of(row, seen.written_at)?
        {
            found.push((row.path(), refusal(row, &owner)));
        }
        Ok::<_, Error>(())
    })?;
    // Threads report in any order.
    let first = found.into_iter().min_by(|a, b| a.0.cmp(&b.0));
    first.map_or(Ok(()), |(_, error)| Err(error))
}

/// Finds the artifacts whose data is that of a pinned row whose own place is without it: the pin
/// does not bind the row that a scan made where the data is. Gives the errors that refuse them.
///
/// # Errors
/// [`Error`] if the catalog cannot be read.
pub(crate) fn pinned_elsewhere<'a>(
    base: &Base,
    change: &Change<'_>,
    artifacts: impl Iterator<Item = &'a Artifact>,
) -> Result<HashMap<ArtifactId, Error>, Error> {
    let mut refused = HashMap::new();
    let runs = change.pinned_runs()?;
    if runs.is_empty() {
        return Ok(refused);
    }
    for row in artifacts {
        let kind = row.key.kind();
        if kind.is_container() || kind.is_file() {
            continue;
        }
        let path = row.location().path();
        // What is gone or cannot be read is the business of the other checks.
        let Ok(Some(written_at)) = store::written_at(base, Path::new(&path), kind) else {
            continue;
        };
        let twins = change.pinned_twins(row, written_at, &runs)?;
        if let Some(owner) = twins.into_iter().find(|twin| !is_at_home(base, twin)) {
            let error = Error::PinnedElsewhere {
                path: row.path(),
                owner: owner.location().path(),
                pins: owner.pins.join(", "),
            };
            refused.insert(row.id, error);
        }
    }
    Ok(refused)
}

/// Whether the data of a row is in its place, by its time. What cannot be read is not.
pub(crate) fn is_at_home(base: &Base, row: &Artifact) -> bool {
    let path = row.location().path();
    let seen = store::written_at(base, Path::new(&path), row.key.kind());
    row.written_at.is_some() && seen.is_ok_and(|seen| seen == row.written_at)
}
