//! Pins and scores.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::{Registry, Target};
use crate::catalog::{Bound, PinChange, ScoreQuery};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::filter::{Filter, IterationRange};
use crate::model::key::Kind;
use crate::model::operation::{Action, NewOperation};
use crate::model::pin::{Pin, PinName};
use crate::model::score::{Score, UnknownName};
use crate::ops::{foreign, scored, unmatched};

/// What a pin binds, or an unpin releases.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "one value a call; a box would only burden callers"
)]
pub enum PinSelection {
    /// What a filter selects. A filter that names only runs or iterations binds those, with all
    /// that is recorded there later; any other filter binds the artifacts that it selects now.
    Filter(Filter),
    /// These artifacts.
    Artifacts(Vec<Artifact>),
}

/// The filter as a scope, if it names only runs and iterations; a scope binds every kind.
fn as_scope(filter: &Filter) -> Option<Filter> {
    let scope = Filter {
        runs: filter.runs.clone(),
        iterations: filter.iterations.clone(),
        ..Filter::default()
    };
    // An empty filter selects everything, which no scope can bind.
    (scope == *filter && !scope.is_all()).then_some(scope)
}

fn ids(artifacts: &[Artifact]) -> Vec<ArtifactId> {
    artifacts.iter().map(|artifact| artifact.id).collect()
}

impl Registry {
    /// Makes a pin, or adds to the pin of this name. No removal takes what a pin binds, unless its
    /// options override pins.
    ///
    /// # Errors
    /// [`PinError`](crate::model::pin::PinError) if a new pin has no reason, the pin exists with
    /// another reason, or the target selects nothing; [`Error::OfAnotherRun`] if the data of an
    /// artifact of the target is, by its time, another run's. Of a large target the first rows of
    /// each run are looked at.
    pub fn pin(
        &self,
        name: &PinName,
        reason: Option<&str>,
        target: &PinSelection,
    ) -> Result<PinChange> {
        let now = self.clock.now();
        let pin = |what: Bound<'_>| self.catalog.pin(name, reason, what, now);
        let pin_artifacts = |artifacts: &[Artifact]| -> Result<PinChange> {
            foreign::refuse_artifacts(&self.catalog, &self.base, artifacts)?;
            Ok(pin(Bound::Artifacts(&ids(artifacts)))?)
        };
        match target {
            PinSelection::Filter(filter) => match as_scope(filter) {
                Some(scope) => {
                    foreign::refuse_scope(&self.catalog, &self.base, &scope, now)?;
                    Ok(pin(Bound::Scopes(&scope))?)
                }
                None => pin_artifacts(&self.select(filter)?),
            },
            PinSelection::Artifacts(artifacts) => pin_artifacts(artifacts),
        }
    }

    /// Removes a pin, or releases a part of what it binds: the runs and iterations within those
    /// that the filter names, and the artifacts of the target. A pin that binds nothing is removed.
    ///
    /// # Errors
    /// [`PinError::Unknown`](crate::model::pin::PinError::Unknown) if there is no pin of this name.
    pub fn unpin(&self, name: &PinName, target: Option<&PinSelection>) -> Result<PinChange> {
        let unpin = |what: &[Bound<'_>]| self.catalog.unpin(name, what, self.clock.now());
        let (scope, artifacts) = match target {
            None => return Ok(unpin(&[Bound::Everything])?),
            Some(PinSelection::Artifacts(artifacts)) => (None, ids(artifacts)),
            // The pin may bind the runs, artifacts in them, or both: both are released.
            Some(PinSelection::Filter(filter)) => (as_scope(filter), ids(&self.select(filter)?)),
        };
        let artifacts = Bound::Artifacts(&artifacts);
        Ok(match &scope {
            Some(scope) => unpin(&[Bound::Scopes(scope), artifacts])?,
            None => unpin(&[artifacts])?,
        })
    }

    /// Returns what these targets name for a pin or an unpin. Paths of runs and nothing else name
    /// the runs, with what is recorded there later. Any other target names artifacts that are
    /// recorded now: a path those at or below it, a container those in it too.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] if nothing is recorded at one; and as
    /// [`base_path`](Self::base_path).
    pub fn to_pin(&self, targets: &[Target]) -> Result<PinSelection> {
        if let Some(runs) = self.runs_at(targets)? {
            return Ok(PinSelection::Filter(runs));
        }
        let mut artifacts = Vec::new();
        for target in targets {
            let chosen = match target {
                Target::Path(path) => self.to_remove_at(path)?,
                target => self.to_remove(target)?,
            };
            for chosen in chosen {
                match chosen.whole_container {
                    true => artifacts.extend(self.in_container(&chosen.artifact)?),
                    false => artifacts.push(chosen.artifact),
                }
            }
        }
        // Targets may lie in each other.
        artifacts.sort_by_key(|artifact| artifact.id);
        artifacts.dedup_by_key(|artifact| artifact.id);
        Ok(PinSelection::Artifacts(artifacts))
    }

    /// The filter of the runs that are named, if nothing else is.
    fn runs_at(&self, targets: &[Target]) -> Result<Option<Filter>> {
        let mut paths = Vec::with_capacity(targets.len());
        for target in targets {
            match target {
                Target::Path(path) => paths.push(self.base_path(path)?),
                _ => return Ok(None),
            }
        }
        // Without a path, the filter would be of everything.
        if paths.is_empty() {
            return Ok(None);
        }
        let filter = self.narrowed(Filter::default(), &paths)?;
        Ok(filter.below.is_empty().then_some(filter))
    }

    /// Returns a container's artifact and all artifacts in it.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn in_container(&self, artifact: &Artifact) -> Result<Vec<Artifact>> {
        let container = crate::model::layout::canonical_location(&artifact.key).container;
        Ok(self.catalog.in_container(&container)?)
    }

    /// Returns every pin, in the order of names.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn pins(&self) -> Result<Vec<Pin>> {
        Ok(self.catalog.pins()?)
    }

    /// Returns the pins that bind anything that a filter selects, or that bind what is recorded
    /// later in runs and iterations of a filter that names nothing else; in the order of names.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn pins_on(&self, filter: &Filter) -> Result<Vec<Pin>> {
        let mut named: BTreeSet<String> = BTreeSet::new();
        let mut pinned = filter.clone();
        pinned.pinned = true;
        if pinned.kinds.is_empty() {
            pinned.kinds = Kind::ALL.to_vec();
        }
        self.list(&pinned, |artifact| {
            named.extend(artifact.pins);
            Ok(ControlFlow::Continue(()))
        })?;
        let scope = as_scope(filter);
        let mut pins = Vec::new();
        for pin in self.pins()? {
            let mut is_on = named.contains(pin.name.as_str());
            for bound in scope.iter().flat_map(|_| &pin.scopes) {
                let meets = |range: &IterationRange| {
                    let ends = [(range.first, bound.last), (bound.first, range.last)];
                    ends.iter()
                        .all(|ends| !matches!(ends, (Some(first), Some(last)) if first > last))
                };
                let is_meant = filter.iterations.is_empty() || filter.iterations.iter().any(meets);
                is_on = is_on || is_meant && self.catalog.selects_run(filter, &bound.run)?;
            }
            if is_on {
                pins.push(pin);
            }
        }
        Ok(pins)
    }

    /// Records scores in one transaction, all or none. A score replaces one of the same metric,
    /// run, iteration, dataset and parameters. Returns, for each score, whether any artifact is
    /// recorded at its run and iteration: if not, the caller may have mistyped them.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be written, [`Error::OfAnotherRun`] if data of
    /// an iteration that is scored is, by its time, another run's.
    pub fn score(&self, scores: &[Score]) -> Result<Vec<bool>> {
        let now = self.clock.now();
        foreign::refuse_scores(&self.catalog, &self.base, scores, now)?;
        let operation = NewOperation::new(Action::Score, now);
        self.catalog.record(operation, |recorder| {
            scores
                .iter()
                .map(|score| recorder.score(score).map_err(Error::from))
                .collect()
        })
    }

    /// Refuses scores if nothing is recorded of any of their runs, which are probably mistyped.
    /// [`Registry::score`] itself takes them: arrays may be recorded after their scores.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] for the first run, with the most similar one; [`Error::BelowRun`] if
    /// it is the path of what is in a run; [`Error::Catalog`] if the catalog cannot be read.
    pub fn require_scored_run(&self, scores: &[Score]) -> Result<()> {
        let checked = scored::require_run(&self.catalog, scores, self.clock.now());
        if matches!(checked, Err(Error::NotRecorded { .. })) {
            let runs = scores.iter().map(|score| score.run.as_str());
            unmatched::require_runs(&self.catalog, runs, self.clock.now())?;
        }
        checked
    }

    /// Returns the names in scores of which nothing is recorded, each once, with the most similar
    /// ones: runs, iterations of runs, and the datasets and parameters that runs do not have. Such
    /// scores count for nothing and are probably mistyped. The datasets and parameters of runs of
    /// which no array with an iteration is recorded are left out.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read.
    pub fn unknown_names(&self, scores: &[Score]) -> Result<Vec<UnknownName>> {
        scored::unknown_names(&self.catalog, scores, self.clock.now())
    }

    /// Removes scores by metric, run, iteration, dataset and parameters, whatever their values.
    /// Returns the number of scores that were removed.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be written.
    pub fn unscore(&self, scores: &[Score]) -> Result<u64> {
        let operation = NewOperation::new(Action::Unscore, self.clock.now());
        self.catalog.record(operation, |recorder| {
            scores.iter().try_fold(0, |gone, score| {
                Ok::<_, Error>(gone + u64::from(recorder.unscore(score)?))
            })
        })
    }

    /// Passes scores to `each`, in the order run, iteration, dataset, parameters, metric.
    ///
    /// # Errors
    /// [`Error::Catalog`] if the catalog cannot be read, and any error that `each` returns.
    pub fn scores(
        &self,
        query: &ScoreQuery<'_>,
        each: impl FnMut(Score) -> Result<()>,
    ) -> Result<()> {
        self.catalog.scores(query, each)
    }
}
