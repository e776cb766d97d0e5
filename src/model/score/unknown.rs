//! Names in scores that their runs do not have.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::value::Score;
use crate::model::name::RunName;
use crate::model::nearest::nearest;

/// The datasets and parameter sets that a run has predictions and outputs of, or other arrays with
/// an iteration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ScoredNames {
    pub(crate) datasets: BTreeSet<String>,
    pub(crate) parameters: BTreeSet<String>,
}

/// A name in a score of which nothing is recorded: the score counts for nothing until something is,
/// and the name is probably mistyped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct UnknownName {
    /// The run.
    pub run: RunName,
    /// `run`, `iteration`, `dataset` or `parameters`.
    pub part: &'static str,
    /// The name.
    pub name: String,
    /// The most similar name that the run has, if one is similar; of a run another run; of an
    /// iteration those next to it, such as `14000, 16000`.
    pub nearest: Option<String>,
}

/// Names of a score's parts that its run does not have. A part of which the run has no name at all
/// is not looked at: nothing was recorded yet.
pub(crate) fn unknown_names(score: &Score, names: &ScoredNames) -> Vec<UnknownName> {
    let dataset = score.dataset.as_ref().map(ToString::to_string);
    let parameters = score.parameters.as_ref().map(ToString::to_string);
    [
        ("dataset", dataset, &names.datasets),
        ("parameters", parameters, &names.parameters),
    ]
    .into_iter()
    .filter_map(|(part, name, known)| {
        // In a run that has no names yet, nothing shows that one is mistyped.
        let name = name.filter(|name| !known.is_empty() && !known.contains(name))?;
        Some(UnknownName {
            run: score.run.clone(),
            part,
            nearest: nearest(&name, known.iter().map(String::as_str)).map(str::to_owned),
            name,
        })
    })
    .collect()
}

/// The unknown names of many scores, each once, in order.
pub(crate) fn all_unknown<E>(
    scores: &[Score],
    mut names_of: impl FnMut(&RunName) -> Result<ScoredNames, E>,
) -> Result<Vec<UnknownName>, E> {
    let mut runs: BTreeMap<&RunName, ScoredNames> = BTreeMap::new();
    let mut found = BTreeSet::new();
    for score in scores {
        // It names nothing that could be unknown.
        if score.dataset.is_none() && score.parameters.is_none() {
            continue;
        }
        // The names of a run are read once, however many scores it has.
        if !runs.contains_key(&score.run) {
            runs.insert(&score.run, names_of(&score.run)?);
        }
        let names = runs.get(&score.run);
        found.extend(names.iter().flat_map(|names| unknown_names(score, names)));
    }
    Ok(found.into_iter().collect())
}
