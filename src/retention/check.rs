//! Checks of a policy: every rule must be able to decide something. A rule that never decides
//! anything hides a mistake, such as a mistyped number.

use std::time::Duration;

use super::error::PolicyError;
use super::policy::{KeepBest, KeepRules, Limits, MIN_FREE, Policy, RunPolicy};
use super::words::joined;
use crate::model::filter::IterationRange;
use crate::model::key::Kind;

impl Policy {
    /// Checks that every rule can decide something.
    ///
    /// # Errors
    /// [`PolicyError`], the first that is found.
    pub fn check(&self) -> Result<(), PolicyError> {
        let keep = &self.keep;
        let has_rules = !keep.is_empty() || !self.limit.is_empty();
        if self.select.damaged {
            return match has_rules {
                true => Err(PolicyError::RulesForDamaged),
                false => Ok(()),
            };
        }
        // Without a rule, all that is selected would go.
        if !has_rules {
            return Err(PolicyError::Empty);
        }
        keep.check_numbers()?;
        self.limit.check()?;
        check_within(keep.within, self.select.older_than)?;
        for (at, &iteration) in keep.iterations.iter().enumerate() {
            // The list is typed by hand and short, so comparing each with all before it is enough.
            if keep.iterations[..at].contains(&iteration) {
                return Err(PolicyError::IterationTwice { iteration });
            }
            // It stays by the other rule already, so one of them is a mistake.
            if let Some(every) = keep.every.filter(|&every| divisible(iteration, every)) {
                return Err(PolicyError::IterationKept { iteration, every });
            }
            let ranges = &self.select.iterations;
            // Without ranges every iteration is selected.
            if !ranges.is_empty() && !ranges.iter().any(|range| contains(range, iteration)) {
                return Err(PolicyError::IterationNotSelected {
                    iteration,
                    selected: joined(ranges, ", "),
                });
            }
        }
        match &keep.best {
            Some(best) => best.check(&self.select.kinds),
            None => Ok(()),
        }
    }
}

impl KeepRules {
    fn check_numbers(&self) -> Result<(), PolicyError> {
        let nothing = "keeps nothing";
        let zero = |rule, why| Err(PolicyError::Zero { rule, why });
        if self.last == Some(0) {
            return zero("keep-last", nothing);
        }
        if self.first == Some(0) {
            return zero("keep-first", nothing);
        }
        match self.every {
            Some(0) => return zero("keep-every", "means nothing: no number is divisible by 0"),
            // Nothing could ever go: a plan without effect hides the mistake.
            Some(1) => return Err(PolicyError::EveryIteration),
            _ => {}
        }
        if self.within == Some(Duration::ZERO) {
            return zero("keep-within", nothing);
        }
        if self.best.as_ref().is_some_and(|best| best.count == 0) {
            return zero("keep-best", nothing);
        }
        Ok(())
    }
}

impl KeepBest {
    fn check(&self, named: &[Kind]) -> Result<(), PolicyError> {
        for &kind in &self.with {
            // Only these belong to an output of the same iteration.
            if !matches!(kind, Kind::Prediction | Kind::Checkpoint) {
                return Err(PolicyError::WithApart { kind });
            }
            // It stays by its own rank, not by that of others.
            if named.contains(&kind) {
                return Err(PolicyError::WithRanked { kind });
            }
        }
        Ok(())
    }
}

impl Limits {
    fn check(&self) -> Result<(), PolicyError> {
        let everything = "would leave nothing that no rule keeps";
        // Of any size: no percentage is 0.
        for (rule, value) in self.values(u64::MAX) {
            if value == 0 {
                let why = match rule {
                    MIN_FREE => "means nothing: it always holds",
                    _ => everything,
                };
                return Err(PolicyError::Zero { rule, why });
            }
        }
        Ok(())
    }
}

impl RunPolicy {
    /// Checks that every rule can decide something.
    ///
    /// # Errors
    /// [`PolicyError`], the first that is found.
    pub fn check(&self) -> Result<(), PolicyError> {
        let has_rule = self.older_than.is_some() || self.last.is_some() || self.within.is_some();
        // Without a rule, every run would go.
        if !has_rule && self.limit.is_empty() {
            return Err(PolicyError::EmptyRuns);
        }
        let zero = |rule, why| Err(PolicyError::Zero { rule, why });
        if self.older_than == Some(Duration::ZERO) {
            return zero("older-than", "means nothing: every run is older");
        }
        if self.last == Some(0) {
            return zero("keep-last", "keeps nothing");
        }
        if self.within == Some(Duration::ZERO) {
            return zero("keep-within", "keeps nothing");
        }
        self.limit.check()?;
        check_within(self.within, self.older_than)
    }
}

fn check_within(within: Option<Duration>, older_than: Option<Duration>) -> Result<(), PolicyError> {
    match (within, older_than) {
        // What is selected is older than that, so the rule would never keep any of it.
        (Some(within), Some(older_than)) if within <= older_than => {
            Err(PolicyError::WithinNotSelected { within, older_than })
        }
        _ => Ok(()),
    }
}

/// Whether `every` divides an iteration. It divides 0, and -4 if it divides 4.
pub(super) fn divisible(iteration: i64, every: u64) -> bool {
    // 128 bits: the iteration may be negative, and `every` above the highest `i64`.
    every != 0 && i128::from(iteration).rem_euclid(i128::from(every)) == 0
}

fn contains(range: &IterationRange, iteration: i64) -> bool {
    range.first.is_none_or(|first| first <= iteration)
        && range.last.is_none_or(|last| iteration <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_iterations_are_divisible_too() {
        for iteration in [0, 1000, -1000, i64::MIN] {
            assert!(divisible(iteration, 8), "{iteration}");
        }
        assert!(!divisible(-7, 8));
        assert!(!divisible(i64::MAX, u64::MAX));
    }
}
