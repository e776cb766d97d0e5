//! What a restore says of a target of which nothing is in the trash, with the nearest name there.

use std::collections::BTreeSet;
use std::path::Path;

use crate::catalog::Catalog;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, IterationRange, Pattern};
use crate::model::nearest::nearest;
use crate::model::removal::RemovedArtifact;
use crate::ops::unmatched::unmatched;
use crate::ops::{near, target};
use crate::store::Base;

/// The run, or the path in one, that is most like a path of which nothing is in the trash.
pub(super) fn near_path(wanted: &str, in_trash: &[RemovedArtifact]) -> Option<String> {
    let depth = wanted.split('/').count();
    let cut = |removed: &RemovedArtifact| {
        let path = removed.artifact.location().path();
        let parts: Vec<&str> = path.split('/').take(depth).collect();
        parts.join("/")
    };
    let paths: BTreeSet<String> = in_trash.iter().map(cut).collect();
    let runs = names(in_trash, |removed| {
        Some(removed.artifact.key.run().as_str())
    });
    let first = wanted.split('/').next().unwrap_or_default();
    let run =
        || nearest(wanted, runs.iter().copied()).or_else(|| nearest(first, runs.iter().copied()));
    let is_in_run = runs.iter().any(|run| {
        wanted
            .strip_prefix(run)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    match is_in_run {
        true => near::nearest_of_paths(wanted, &paths),
        false => run().map(str::to_owned),
    }
}

/// What a filter names that is not in the trash.
pub(super) enum Absent {
    /// A name, in words, and the nearest there.
    Near(String, String),
    /// A name that nothing there is like.
    Named(String),
    /// In words that say what is there.
    Said(String),
    /// Each of its names is there.
    Other,
}

/// The first name in a filter of which nothing is in the trash, in words, and the nearest there.
pub(super) fn of_filter(filter: &Filter, in_trash: &[RemovedArtifact]) -> Absent {
    let of_key = |of: fn(&RemovedArtifact) -> Option<&str>| names(in_trash, of);
    let parts: [(_, &[Pattern], _); 3] = [
        (
            "run",
            &filter.runs,
            of_key(|removed| Some(removed.artifact.key.run().as_str())),
        ),
        (
            "dataset",
            &filter.datasets,
            of_key(|removed| removed.artifact.key.dataset().map(|name| name.as_str())),
        ),
        (
            "parameters",
            &filter.parameters,
            of_key(|removed| removed.artifact.key.parameters().map(|text| text.as_str())),
        ),
    ];
    for (part, patterns, known) in parts {
        let is_unknown =
            |pattern: &&Pattern| !pattern.is_glob() && !known.contains(pattern.as_str());
        if let Some(unknown) = patterns.iter().find(is_unknown) {
            let name = unknown.as_str();
            let what = format!("{part} \"{}\"", name.escape_debug());
            return match nearest(name, known.iter().copied()) {
                Some(found) => Absent::Near(what, found.to_owned()),
                None => Absent::Named(what),
            };
        }
    }
    let iterations: BTreeSet<i64> = in_trash
        .iter()
        .filter_map(|removed| removed.artifact.key.iteration())
        .collect();
    let is_in = |range: &IterationRange| {
        let first = range.first.unwrap_or(i64::MIN);
        let of = iterations.range(first..).next();
        of.is_some_and(|of| range.last.is_none_or(|last| *of <= last))
    };
    if let Some(range) = filter.iterations.iter().find(|range| !is_in(range)) {
        let below = range
            .first
            .and_then(|first| iterations.range(..first).next_back());
        let above = range.last.and_then(|last| iterations.range(last..).next());
        let near: Vec<String> = below.into_iter().chain(above).map(i64::to_string).collect();
        if !near.is_empty() {
            let near = near.join(", ");
            return Absent::Said(format!("iteration {range} (in the trash near it: {near})"));
        }
    }
    Absent::Other
}

/// The same of a filter of which the trash has no name that is like it: whether its names are
/// recorded, and the nearest that is. None if there is nothing to say.
pub(super) fn elsewhere(
    catalog: &Catalog,
    base: &Base,
    filter: &Filter,
    now: Timestamp,
) -> Option<(String, Option<String>)> {
    // What cannot be read is no answer; the error says what was asked for all the same.
    let unmatched = unmatched(catalog, Some(base), filter, now).ok()?;
    let Some(unknown) = unmatched.into_iter().next() else {
        let ([run], true) = (
            filter.runs.as_slice(),
            *filter == Filter::default().runs(filter.runs.clone()),
        ) else {
            return None;
        };
        let run = run.as_str().escape_debug();
        return Some((format!("run \"{run}\", which is recorded,"), None));
    };
    let name = unknown.name.escape_debug();
    let part = unknown.part;
    match (unknown.emptied, part) {
        // The user knows its name.
        (true, _) => None,
        (false, "iteration") => {
            let near = unknown
                .nearest
                .map(|near| format!(" (recorded near it: {near})"));
            let near = near.unwrap_or_default();
            Some((format!("iteration {name}{near}"), None))
        }
        (false, _) => {
            let what = format!("{part} \"{name}\", which is not recorded either,");
            Some((what, unknown.nearest))
        }
    }
}

/// The same of a path.
pub(super) fn path_elsewhere(
    catalog: &Catalog,
    base: &Base,
    path: &Path,
) -> (String, Option<String>) {
    let shown = path.display();
    let relative = target::relative(base, path);
    let is_known = |path: String| near::is_known(catalog, &path);
    if relative.ok().and_then(is_known) == Some(true) {
        return (format!("{shown}, which is recorded,"), None);
    }
    let near = near::near_path(catalog, base, path);
    match (near.path, near.iterations) {
        (None, Some(near)) => (format!("{shown} ({near})"), None),
        (Some(near), _) => (
            format!("{shown}, which is not recorded either,"),
            Some(near),
        ),
        (None, None) => (shown.to_string(), None),
    }
}

fn names(in_trash: &[RemovedArtifact], of: fn(&RemovedArtifact) -> Option<&str>) -> BTreeSet<&str> {
    in_trash.iter().filter_map(of).collect()
}
