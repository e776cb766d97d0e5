//! What scores name that nothing recorded has: most likely it is mistyped.

use std::collections::BTreeSet;

use crate::catalog::Catalog;
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::key::Kind;
use crate::model::name::RunName;
use crate::model::score::{self, Score, UnknownName};
use crate::ops::near;
use crate::ops::unmatched::selects_any;

/// All that is recorded of a run.
fn of_run(run: &RunName) -> Filter {
    Filter::default().runs([run.as_str()]).kinds(Kind::ALL)
}

/// Refuses scores if nothing is recorded of any of their runs.
///
/// # Errors
/// [`Error::NotRecorded`] for the first run; [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn require_run(
    catalog: &Catalog,
    scores: &[Score],
    now: Timestamp,
) -> Result<(), Error> {
    let runs: BTreeSet<&RunName> = scores.iter().map(|score| &score.run).collect();
    for run in runs {
        if selects_any(catalog, &of_run(run), now)? {
            return Ok(());
        }
    }
    let first = scores.first();
    first.map_or(Ok(()), |score| {
        Err(near::run_not_recorded(catalog, &score.run))
    })
}

/// Returns the runs, iterations, datasets and parameters of scores of which nothing is recorded,
/// each once, in order.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn unknown_names(
    catalog: &Catalog,
    scores: &[Score],
    now: Timestamp,
) -> Result<Vec<UnknownName>, Error> {
    let mut found = BTreeSet::new();
    let places = scores.iter().map(|score| (&score.run, score.iteration));
    for (run, iteration) in places.collect::<BTreeSet<_>>() {
        let range = IterationRange::from(iteration);
        if selects_any(catalog, &of_run(run).iterations([range]), now)? {
            continue;
        }
        let (part, name, nearest) = match selects_any(catalog, &of_run(run), now)? {
            false => ("run", run.to_string(), near::nearest_run(catalog, run)),
            true => {
                let beside = catalog.iterations_beside(&range, &[Pattern::from(run.as_str())])?;
                let beside: Vec<String> = beside.iter().map(i64::to_string).collect();
                let nearest = (!beside.is_empty()).then(|| beside.join(", "));
                ("iteration", iteration.to_string(), nearest)
            }
        };
        found.insert(UnknownName {
            run: run.clone(),
            part,
            name,
            nearest,
        });
    }
    let names = |run: &RunName| Ok::<_, Error>(catalog.scored_names(run)?);
    found.extend(score::all_unknown(scores, names)?);
    Ok(found.into_iter().collect())
}
