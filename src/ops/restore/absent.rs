//! What a restore says of a target of which nothing is in the trash, with the nearest name there.

use std::collections::BTreeSet;

use crate::model::filter::{Filter, Pattern};
use crate::model::nearest::nearest;
use crate::model::removal::RemovedArtifact;
use crate::ops::target;

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
        true => target::nearest_of_paths(wanted, &paths),
        false => run().map(str::to_owned),
    }
}

/// The first name in a filter of which nothing is in the trash, in words, and the nearest there.
pub(super) fn of_filter(filter: &Filter, in_trash: &[RemovedArtifact]) -> (String, Option<String>) {
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
            let found = nearest(name, known.iter().copied()).map(str::to_owned);
            return (format!("{part} \"{}\"", name.escape_debug()), found);
        }
    }
    ("the selection".to_owned(), None)
}

fn names(in_trash: &[RemovedArtifact], of: fn(&RemovedArtifact) -> Option<&str>) -> BTreeSet<&str> {
    in_trash.iter().filter_map(of).collect()
}
