//! The request for a plan.

use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::retention::NamedPolicy;
use crate::retention::{Policy, RunPolicy};

/// The rules of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GcRules {
    /// A policy, for each run, kind and dataset.
    Policy(Policy),
    /// A policy of the configuration.
    Named(NamedPolicy),
    /// Rules for whole runs, by their newest artifacts.
    Runs(RunPolicy),
}

/// A question for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcRequest {
    /// Runs, datasets, parameters and owners to decide on. Kinds, iterations and age come from the
    /// rules; those of the filter are ignored, except the kinds if the rules are for whole runs.
    pub of: Filter,
    /// The rules to apply.
    pub rules: GcRules,
    /// Whether DaCapo's best links are ignored.
    pub ignore_best_links: bool,
    /// The rules in words, for readers of the plan and the history.
    pub words: String,
}

impl GcRequest {
    /// The selections that the rules decide on: a plan trusts what the catalog knows of them.
    pub(crate) fn selections(&self) -> Vec<Filter> {
        match &self.rules {
            GcRules::Policy(policy) => vec![selection(&self.of, policy)],
            GcRules::Named(named) => {
                let of = Filter {
                    runs: named.runs.clone(),
                    datasets: named.datasets.clone(),
                    ..Filter::default()
                };
                let of_kind = |(_, policy): &(Kind, Policy)| selection(&of, policy);
                named.kinds.iter().map(of_kind).collect()
            }
            GcRules::Runs(_) => vec![self.of.clone()],
        }
    }
}

/// What a policy decides on.
pub(super) fn selection(of: &Filter, policy: &Policy) -> Filter {
    Filter {
        kinds: policy.select.kinds.clone(),
        iterations: policy.select.iterations.clone(),
        older_than: policy.select.older_than,
        states: Vec::new(),
        ..of.clone()
    }
}
