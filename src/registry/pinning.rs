//! Pins and scores: what is to stay, and what was measured.

use super::Registry;
use crate::catalog::{Bound, PinChange, ScoreQuery};
use crate::error::{Error, Result};
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::filter::Filter;
use crate::model::operation::{Action, NewOperation};
use crate::model::pin::{Pin, PinName};
use crate::model::score::Score;

/// What a pin is to bind, or to let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinTarget {
    /// What a filter selects. Where it names runs or iterations and nothing else, those are bound,
    /// with whatever is recorded there later; else the artifacts that it selects now.
    Filter(Filter),
    /// These artifacts.
    Artifacts(Vec<Artifact>),
}

/// The part of a filter that makes a scope: a scope binds every kind.
fn as_scope(filter: &Filter) -> Option<Filter> {
    let scope = Filter {
        runs: filter.runs.clone(),
        iterations: filter.iterations.clone(),
        ..Filter::default()
    };
    (scope == *filter && !scope.is_all()).then_some(scope)
}

fn ids(artifacts: &[Artifact]) -> Vec<ArtifactId> {
    artifacts.iter().map(|artifact| artifact.id).collect()
}

impl Registry {
    /// Makes a pin, or lets the one of this name bind more. What a pin binds is removed by nothing,
    /// unless pins are overridden by name.
    ///
    /// # Errors
    /// [`PinError`](crate::model::pin::PinError) where a new pin has no reason, the pin is there for
    /// another reason, or nothing is selected.
    pub fn pin(
        &self,
        name: &PinName,
        reason: Option<&str>,
        target: &PinTarget,
    ) -> Result<PinChange> {
        let now = self.clock.now();
        let pin = |what: Bound<'_>| self.catalog.pin(name, reason, what, now);
        Ok(match target {
            PinTarget::Filter(filter) => match as_scope(filter) {
                Some(scope) => pin(Bound::Scopes(&scope))?,
                None => pin(Bound::Artifacts(&ids(&self.select(filter)?)))?,
            },
            PinTarget::Artifacts(artifacts) => pin(Bound::Artifacts(&ids(artifacts)))?,
        })
    }

    /// Takes a pin away, or lets it bind less: then the runs and iterations that lie in those that
    /// the filter names, and the artifacts of the target. A pin that binds nothing any more is
    /// gone.
    ///
    /// # Errors
    /// [`PinError::Unknown`](crate::model::pin::PinError::Unknown).
    pub fn unpin(&self, name: &PinName, target: Option<&PinTarget>) -> Result<PinChange> {
        let unpin = |what: &[Bound<'_>]| self.catalog.unpin(name, what, self.clock.now());
        let (scope, artifacts) = match target {
            None => return Ok(unpin(&[Bound::Everything])?),
            Some(PinTarget::Artifacts(artifacts)) => (None, ids(artifacts)),
            Some(PinTarget::Filter(filter)) => (as_scope(filter), ids(&self.select(filter)?)),
        };
        let artifacts = Bound::Artifacts(&artifacts);
        Ok(match &scope {
            Some(scope) => unpin(&[Bound::Scopes(scope), artifacts])?,
            None => unpin(&[artifacts])?,
        })
    }

    /// Gives a container's artifact and everything that is recorded in it.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn in_container(&self, artifact: &Artifact) -> Result<Vec<Artifact>> {
        let container = crate::model::layout::canonical_location(&artifact.key).container;
        Ok(self.catalog.in_container(&container)?)
    }

    /// Gives every pin, by name.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn pins(&self) -> Result<Vec<Pin>> {
        Ok(self.catalog.pins()?)
    }

    /// Notes what was measured, in one transaction, all or none. A score takes the place of one of
    /// the same metric, run, iteration, dataset and parameters. Gives, for each, whether any
    /// artifact is recorded at its run and iteration: what is not may be a slip of the pen.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn score(&self, scores: &[Score]) -> Result<Vec<bool>> {
        let doing = NewOperation::new(Action::Score, self.clock.now());
        self.catalog.record(doing, |recorder| {
            scores
                .iter()
                .map(|score| recorder.score(score).map_err(Error::from))
                .collect()
        })
    }

    /// Takes scores away, whatever their values. Gives the number of those that were there.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub fn unscore(&self, scores: &[Score]) -> Result<u64> {
        let doing = NewOperation::new(Action::Unscore, self.clock.now());
        self.catalog.record(doing, |recorder| {
            scores.iter().try_fold(0, |gone, score| {
                Ok::<_, Error>(gone + u64::from(recorder.unscore(score)?))
            })
        })
    }

    /// Gives scores to `each`, in the order run, iteration, dataset, parameters, metric.
    ///
    /// # Errors
    /// [`Error`], and whatever `each` returns.
    pub fn scores(
        &self,
        query: &ScoreQuery<'_>,
        each: impl FnMut(Score) -> Result<()>,
    ) -> Result<()> {
        self.catalog.scores(query, each)
    }
}
