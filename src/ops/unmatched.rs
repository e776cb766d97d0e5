//! Why a selection matches nothing: the names in it that nothing recorded has.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use crate::catalog::{Catalog, CatalogError, NameOf, ScoreQuery, Selected};
use crate::error::Error;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::key::Kind;
use crate::model::layout;
use crate::model::name::BasePath;
use crate::model::nearest::{did_you_mean, nearest};
use crate::model::operation::HistoryFilter;
use crate::ops::near::{self, Near};
use crate::ops::unscanned::{self, OnDisk};
use crate::store::Base;

/// A name or pattern in a selection that nothing recorded has. Displays as a clause with the
/// nearest name: `no run "affinites"; did you mean "affinities"?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unmatched {
    /// `run`, `path`, `dataset`, `parameters`, `iteration`, `metric` or `user`.
    pub part: &'static str,
    /// The name or pattern, as it was given.
    pub name: String,
    /// Whether the registry knows the name, and nothing is recorded under it now.
    pub emptied: bool,
    /// The most similar known name, if one is similar; none for a pattern with `*` or the like. Of
    /// an iteration or a range, those next to it, such as `14000, 16000`.
    pub nearest: Option<String>,
    /// Of a path of which all but the iteration is recorded: `iterations near 1100: 1000, 2000`.
    pub near_iterations: Option<String>,
    /// Of a run: what its folder holds; none if there is no such folder.
    pub on_disk: Option<OnDisk>,
    /// Whether it was to be left out.
    pub excluded: bool,
}

impl Unmatched {
    fn new(part: &'static str, name: impl Into<String>) -> Self {
        Self {
            part,
            name: name.into(),
            emptied: false,
            nearest: None,
            near_iterations: None,
            on_disk: None,
            excluded: false,
        }
    }

    /// The sentence if the trash has something of the name: what comes before the way back from
    /// there, and what is on disk beside, if anything is.
    #[must_use]
    pub fn around_trash(&self) -> (String, Option<&'static str>) {
        let beside = match self.on_disk {
            Some(OnDisk::Arrays) => "arrays in its folder are not recorded",
            Some(OnDisk::Checkpoints) => "checkpoints in its folder are not recorded",
            Some(OnDisk::Others) | None => return (self.to_string(), None),
        };
        let emptied = Self {
            emptied: true,
            nearest: None,
            on_disk: None,
            ..self.clone()
        };
        (emptied.to_string(), Some(beside))
    }

    /// A name that is not among those that are known.
    fn among(part: &'static str, name: &str, known: &[String]) -> Self {
        let nearest = nearest(name, known.iter().map(String::as_str));
        Self {
            nearest: nearest.map(str::to_owned),
            ..Self::new(part, name)
        }
    }
}

impl fmt::Display for Unmatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, name, .. } = self;
        let name = name.escape_debug();
        if self.excluded {
            f.write_str("nothing is left out: ")?;
        }
        match self.on_disk {
            None => {}
            Some(OnDisk::Arrays) => {
                return write!(f, "{part} \"{name}\" is on disk, and not scanned");
            }
            Some(OnDisk::Checkpoints) => {
                return write!(
                    f,
                    "{part} \"{name}\" has only checkpoints on disk, and they are not recorded"
                );
            }
            Some(OnDisk::Others) if self.emptied => {}
            Some(OnDisk::Others) => {
                return write!(
                    f,
                    "{part} \"{name}\" has neither an array nor a checkpoint in its folder"
                );
            }
        }
        if *part == "iteration" {
            let within = if name.to_string().contains("..") {
                "in "
            } else {
                ""
            };
            write!(f, "no iteration {within}{name}")?;
            return match &self.nearest {
                Some(nearest) => write!(f, "; iterations near {name}: {nearest}"),
                None => Ok(()),
            };
        }
        match (self.emptied, Pattern::from(&self.name).is_glob(), *part) {
            (_, _, "path") => write!(f, "nothing is recorded at \"{name}\"")?,
            (true, ..) => write!(f, "nothing is recorded of {part} \"{name}\"")?,
            (_, true, "parameters") => write!(f, "no parameters match \"{name}\"")?,
            (_, true, part) => write!(f, "no {part} matches \"{name}\"")?,
            (_, false, part) => write!(f, "no {part} \"{name}\"")?,
        }
        f.write_str(&did_you_mean(self.nearest.as_deref()))?;
        match &self.near_iterations {
            Some(near) => write!(f, "; {near}"),
            None => Ok(()),
        }
    }
}

/// Whether a filter selects anything at all.
///
/// # Errors
/// [`CatalogError`] if a row cannot be read.
pub(crate) fn selects_any(
    catalog: &Catalog,
    filter: &Filter,
    now: Timestamp,
) -> Result<bool, CatalogError> {
    let mut any = false;
    catalog.list(filter, now, Selected::All, |_| {
        any = true;
        Ok::<_, CatalogError>(ControlFlow::Break(()))
    })?;
    Ok(any)
}

/// Returns the names in a filter that nothing recorded has. Datasets, parameters and iterations are
/// looked for in the runs that the filter names, and folders of unknown runs in `base`, if it is
/// given.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn unmatched(
    catalog: &Catalog,
    base: Option<&Base>,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<Unmatched>, Error> {
    let selects = |filter: Filter| selects_any(catalog, &filter.kinds(Kind::ALL), now);
    let mut found = Vec::new();
    let mut below = Vec::new();
    for path in &filter.below {
        if selects(Filter::default().below([path.clone()]))? {
            below.push(path.clone());
            continue;
        }
        found.push(unmatched_path(catalog, base, path)?);
    }
    // Below unknown paths every dataset would be unknown.
    if below.is_empty() && !filter.below.is_empty() {
        return Ok(found);
    }
    let mut runs = Vec::new();
    for run in &filter.runs {
        if selects(Filter::default().runs([run.clone()]))? {
            runs.push(run.clone());
            continue;
        }
        let emptied = !catalog.run_names(std::slice::from_ref(run))?.is_empty();
        found.push(Unmatched {
            emptied,
            nearest: nearest_of(catalog, run, NameOf::Run, &[])?,
            on_disk: match base {
                Some(base) if !run.is_glob() => unscanned::on_disk(base, run.as_str())?,
                _ => None,
            },
            ..Unmatched::new("run", run.as_str())
        });
    }
    // Of unknown runs every dataset would be unknown.
    if runs.is_empty() && !filter.runs.is_empty() {
        return Ok(found);
    }
    for (part, of, patterns) in [
        ("dataset", NameOf::Dataset, &filter.datasets),
        ("parameters", NameOf::Parameters, &filter.parameters),
    ] {
        for pattern in patterns {
            let one = Filter::default()
                .runs(runs.iter().cloned())
                .below(below.iter().cloned());
            let is_known = selects(match of {
                NameOf::Dataset => one.datasets([pattern.clone()]),
                _ => one.parameters([pattern.clone()]),
            })?;
            if !is_known {
                found.push(Unmatched {
                    nearest: nearest_of(catalog, pattern, of, &runs)?,
                    ..Unmatched::new(part, pattern.as_str())
                });
            }
        }
    }
    for range in &filter.iterations {
        let one = Filter::default()
            .runs(runs.iter().cloned())
            .below(below.iter().cloned())
            .iterations([*range]);
        if !selects(one)? {
            // Those of the runs of paths are not asked for, as paths in a run have fewer.
            let beside = match below.is_empty() {
                true => catalog.iterations_beside(range, &runs)?,
                false => Vec::new(),
            };
            let beside: Vec<String> = beside.iter().map(i64::to_string).collect();
            found.push(Unmatched {
                nearest: (!beside.is_empty()).then(|| beside.join(", ")),
                ..Unmatched::new("iteration", range.to_string())
            });
        }
    }
    Ok(found)
}

/// A path at which nothing is recorded: a part of a run, or a folder that would be a run.
fn unmatched_path(
    catalog: &Catalog,
    base: Option<&Base>,
    path: &BasePath,
) -> Result<Unmatched, Error> {
    let text = path.as_str();
    let known = catalog.names(NameOf::Run, "")?;
    let in_run = known.iter().any(|run| Path::new(text).starts_with(run));
    let on_disk = match base {
        Some(base) if !in_run => unscanned::on_disk(base, text)?,
        _ => None,
    };
    let near = match base {
        Some(base) => near::near_path(catalog, base, Path::new(text)),
        None => Near::default(),
    };
    // A path in a run whose name is mistyped is no name of a run.
    let is_path = in_run || near.path.as_ref().is_some_and(|path| !known.contains(path));
    Ok(Unmatched {
        nearest: near.path,
        near_iterations: near.iterations,
        on_disk,
        ..Unmatched::new(if is_path { "path" } else { "run" }, text)
    })
}

/// Narrows a filter to what is at paths or below them. A run is named in the filter instead, so
/// that what is done to it is done as if its name had been given.
///
/// # Errors
/// [`CatalogError`] if the catalog cannot be read.
pub(crate) fn narrowed(
    catalog: &Catalog,
    mut filter: Filter,
    paths: &[BasePath],
    now: Timestamp,
) -> Result<Filter, Error> {
    let mut runs = Vec::new();
    for path in paths {
        let name = Pattern::from(path.as_str());
        let of_run = Filter::default().runs([name.clone()]).kinds(Kind::ALL);
        let is_known = catalog.run_names(std::slice::from_ref(&name))? == [path.as_str()];
        let below = || Filter::default().below([path.clone()]).kinds(Kind::ALL);
        // A run of which nothing is left, or a folder that has a run's former name.
        if is_known
            && (selects_any(catalog, &of_run, now)? || !selects_any(catalog, &below(), now)?)
        {
            runs.push(name);
        }
    }
    // Two lists of runs would be joined, and not intersected.
    match filter.runs.is_empty() && runs.len() == paths.len() {
        true => filter.runs = runs,
        false => filter.below.extend(paths.iter().cloned()),
    }
    Ok(filter)
}

/// The recorded run whose folder a path is, or is in. A run of which nothing is left is one that
/// the path is in only by the layout of paths: otherwise another one may begin below its folder.
///
/// # Errors
/// [`CatalogError`] if the catalog cannot be read.
pub(crate) fn run_above(
    catalog: &Catalog,
    path: &str,
    now: Timestamp,
) -> Result<Option<String>, CatalogError> {
    let container = layout::split(path).map(|place| place.container);
    let is_in_checkpoints = layout::is_in_checkpoints(path);
    let container = container.ok();
    let container = container.filter(|name| layout::is_container(name) || is_in_checkpoints);
    for above in Path::new(path).ancestors().filter_map(Path::to_str) {
        let name = Pattern::from(above);
        if above.is_empty() || name.is_glob() {
            continue;
        }
        if catalog.run_names(std::slice::from_ref(&name))? != [above] {
            continue;
        }
        let of_run = Filter::default().runs([name]).kinds(Kind::ALL);
        let is_of_layout = container.as_ref().is_some_and(|container| {
            container
                .rsplit_once('/')
                .is_some_and(|(run, _)| run == above)
        });
        if above == path || is_of_layout || selects_any(catalog, &of_run, now)? {
            return Ok(Some(above.to_owned()));
        }
    }
    Ok(None)
}

/// Refuses names of runs that are paths of what is in a run: taken for that run, they would be
/// about all of it.
///
/// # Errors
/// [`Error::BelowRun`] for the first; [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn require_runs<'a>(
    catalog: &Catalog,
    names: impl Iterator<Item = &'a str>,
    now: Timestamp,
) -> Result<(), Error> {
    // A pattern with `*` and the like matches names, and no folder of a run has one.
    for name in names.filter(|name| name.contains('/') && !Pattern::from(*name).is_glob()) {
        match run_above(catalog, name, now)? {
            Some(run) if run != name => {
                return Err(Error::BelowRun {
                    path: name.to_owned(),
                    run,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the names that a filter leaves out and that nothing recorded has: each is probably
/// mistyped. Patterns with `*` and the like may match nothing, and so may runs whose artifacts have
/// gone.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn unmatched_exclusions(
    catalog: &Catalog,
    filter: &Filter,
    now: Timestamp,
) -> Result<Vec<Unmatched>, Error> {
    let except = &filter.except;
    let named = |patterns: &[Pattern]| -> Vec<Pattern> {
        let names = patterns.iter().filter(|pattern| !pattern.is_glob());
        names.cloned().collect()
    };
    let wanted = Filter::default()
        .runs(named(&except.runs))
        .datasets(named(&except.datasets))
        .parameters(named(&except.parameters));
    let of_each = [
        Filter::default().runs(wanted.runs),
        Filter::default().datasets(wanted.datasets),
        Filter::default().parameters(wanted.parameters),
    ];
    let mut found = Vec::new();
    for filter in of_each {
        let unknown = unmatched(catalog, None, &filter, now)?.into_iter();
        found.extend(
            unknown
                .filter(|unknown| !unknown.emptied)
                .map(|unknown| Unmatched {
                    excluded: true,
                    ..unknown
                }),
        );
    }
    Ok(found)
}

/// Refuses a selection for a removal that leaves out names which nothing recorded has: what they
/// were to leave out would go. See [`unmatched_exclusions`].
///
/// # Errors
/// [`Error::ExclusionUnknown`] for the first; [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn require_known_exclusions(
    catalog: &Catalog,
    filter: &Filter,
    now: Timestamp,
) -> Result<(), Error> {
    match unmatched_exclusions(catalog, filter, now)?.first() {
        Some(unknown) => Err(Error::ExclusionUnknown {
            what: unknown.to_string(),
        }),
        None => Ok(()),
    }
}

/// Returns the metrics that no score has.
///
/// # Errors
/// [`Error::Catalog`] if the catalog cannot be read.
pub(crate) fn unmatched_metrics(
    catalog: &Catalog,
    metrics: &[Pattern],
) -> Result<Vec<Unmatched>, Error> {
    let known = catalog.scored_metrics()?;
    let is_unknown = |metric: &&Pattern| {
        let name = metric.as_str();
        !metric.is_glob() && !known.iter().any(|known| known == name)
    };
    let unmatched = |metric: &Pattern| Unmatched::among("metric", metric.as_str(), &known);
    Ok(metrics.iter().filter(is_unknown).map(unmatched).collect())
}

/// Returns the names in a query of scores that neither a score nor anything recorded has, and the
/// metrics that no score has.
///
/// # Errors
/// As [`unmatched`].
pub(crate) fn unmatched_scores(
    catalog: &Catalog,
    base: &Base,
    query: &ScoreQuery<'_>,
    now: Timestamp,
) -> Result<Vec<Unmatched>, Error> {
    let mut found = Vec::new();
    for one in unmatched(catalog, Some(base), &query.of, now)? {
        let of_runs = || Filter::default().runs(query.of.runs.iter().cloned());
        let name = || [one.name.as_str()];
        let named = match one.part {
            "run" => Filter::default().runs(name()),
            "dataset" => of_runs().datasets(name()),
            "parameters" => of_runs().parameters(name()),
            _ => of_runs().iterations(one.name.parse::<IterationRange>()),
        };
        // The scores of what was removed stay.
        if !catalog.has_scores(&ScoreQuery::new(named))? {
            found.push(one);
        }
    }
    found.extend(unmatched_metrics(catalog, query.metrics)?);
    Ok(found)
}

/// Returns the runs and users in a filter of the history that it does not know.
///
/// # Errors
/// As [`unmatched`].
pub(crate) fn unmatched_history(
    catalog: &Catalog,
    base: &Base,
    filter: &HistoryFilter,
    now: Timestamp,
) -> Result<Vec<Unmatched>, Error> {
    let of = Filter::default().runs(filter.runs.iter().cloned());
    let mut found = match of.is_all() {
        true => Vec::new(),
        false => unmatched(catalog, Some(base), &of, now)?,
    };
    // The history knows what is gone.
    found.retain(|one| !one.emptied);
    if !filter.users.is_empty() {
        let known = catalog.names(NameOf::User, "")?;
        let users = filter.users.iter().filter(|user| !known.contains(user));
        found.extend(users.map(|user| Unmatched::among("user", user, &known)));
    }
    Ok(found)
}

fn nearest_of(
    catalog: &Catalog,
    pattern: &Pattern,
    of: NameOf,
    runs: &[Pattern],
) -> Result<Option<String>, CatalogError> {
    if pattern.is_glob() {
        return Ok(None);
    }
    let known = match runs {
        [] => catalog.names(of, "")?,
        runs => catalog.names_in(of, runs)?,
    };
    let others = known.iter().map(String::as_str);
    let others = others.filter(|known| *known != pattern.as_str());
    let like = match of {
        NameOf::Run => near::run_like(pattern.as_str(), others),
        _ => nearest(pattern.as_str(), others),
    };
    Ok(like.map(str::to_owned))
}
