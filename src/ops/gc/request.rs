//! What is asked of a garbage collection.

use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::retention::NamedPolicy;
use crate::retention::{Policy, RunPolicy};

/// By which rules something may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GcRules {
    /// By iteration, kind and dataset of each run.
    Policy(Policy),
    /// By a policy that the configuration names.
    Named(NamedPolicy),
    /// Whole runs, by their newest artifacts.
    Runs(RunPolicy),
}

/// A question for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcRequest {
    /// What is asked about: runs, datasets, parameters, owners. Kinds, iterations and age stand in
    /// the rules; those of the filter are not looked at, but for the kinds where whole runs go.
    pub of: Filter,
    /// By which rules.
    pub rules: GcRules,
    /// Whether best links of DaCapo keep nothing.
    pub ignore_best_links: bool,
    /// The rules in words, for whoever reads the plan later.
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
