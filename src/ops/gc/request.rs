//! The request for a plan.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::filter::{Filter, Pattern};
use crate::model::key::Kind;
use crate::model::name::RunName;
use crate::model::removal::TrashKeep;
use crate::ops::grown::CountsNow;
use crate::retention::NamedPolicy;
use crate::retention::{Limits, Policy, PolicyError, RunPolicy};
use crate::store::{Notice, NoticeClass};

/// The rules of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub struct GcRequest {
    /// What to decide on. Kinds are those of the rules, and so are iterations and age if the rules
    /// are a policy: a filter that selects by them is refused. Rules for whole runs have none, so
    /// for them the filter may select by anything.
    pub of: Filter,
    /// The rules to apply.
    pub rules: GcRules,
    /// Whether DaCapo's best links are ignored.
    pub ignore_best_links: bool,
    /// Whether a plan may leave a run without a complete iteration that has one.
    pub allow_incomplete: bool,
    /// How long the trash would keep what the plan removes: until then it frees nothing.
    pub keep: TrashKeep,
    /// The rules in words, for readers of the plan and the history.
    pub words: String,
    /// What a look at the disk could not read, by path, as notices have it.
    pub(super) unread: BTreeSet<String>,
    /// What a look at the disk counted of sealed arrays, whose rows keep what they were sealed
    /// with.
    pub(super) counts: CountsNow,
}

impl fmt::Display for GcRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy) => policy.fmt(f),
            Self::Named(policy) => policy.fmt(f),
            Self::Runs(policy) => policy.fmt(f),
        }
    }
}

impl GcRequest {
    /// Makes a request that respects best links, with the rules as its words.
    #[must_use]
    pub fn new(of: Filter, rules: GcRules) -> Self {
        Self {
            of,
            words: rules.to_string(),
            rules,
            ignore_best_links: false,
            allow_incomplete: false,
            keep: TrashKeep::Configured,
            unread: BTreeSet::new(),
            counts: CountsNow::default(),
        }
    }

    /// Sets what to decide on.
    #[must_use]
    pub fn of(mut self, of: Filter) -> Self {
        self.of = of;
        self
    }

    /// Sets the rules; the words stay as they are.
    #[must_use]
    pub fn rules(mut self, rules: GcRules) -> Self {
        self.rules = rules;
        self
    }

    /// Sets whether DaCapo's best links are ignored.
    #[must_use]
    pub fn ignore_best_links(mut self, ignore_best_links: bool) -> Self {
        self.ignore_best_links = ignore_best_links;
        self
    }

    /// Sets whether a plan may leave a run without a complete iteration that has one.
    #[must_use]
    pub fn allow_incomplete(mut self, allow_incomplete: bool) -> Self {
        self.allow_incomplete = allow_incomplete;
        self
    }

    /// Sets how long the trash would keep what the plan removes.
    #[must_use]
    pub fn keep(mut self, keep: TrashKeep) -> Self {
        self.keep = keep;
        self
    }

    /// Takes from the notices of a refresh what it could not read: rules do not count it, and
    /// nothing goes for it.
    #[must_use]
    pub fn unread(mut self, notices: &[Notice]) -> Self {
        let notices = notices.iter();
        let unread = notices.filter(|found| found.class == NoticeClass::Unreadable);
        self.unread.extend(unread.map(|found| found.path.clone()));
        self
    }

    /// Takes from a refresh what it counted of sealed arrays that have grown: limits go by that,
    /// and not by what was sealed.
    #[must_use]
    pub fn counts(mut self, counts: &CountsNow) -> Self {
        self.counts.extend(counts.clone());
        self
    }

    /// Whether the rules may leave a run without a complete iteration. Whole runs go as they are.
    pub(super) fn allows_incomplete(&self) -> bool {
        let by_rules = match &self.rules {
            GcRules::Policy(_) => false,
            GcRules::Named(named) => named.allow_incomplete,
            GcRules::Runs(_) => true,
        };
        self.allow_incomplete || by_rules
    }

    /// Whether the rules want free space.
    #[cfg(feature = "cli")]
    pub(crate) fn wants_free(&self) -> bool {
        match &self.rules {
            GcRules::Policy(policy) => policy.limit.min_free.is_some(),
            GcRules::Named(named) => {
                let mut kinds = named.kinds.iter();
                kinds.any(|(_, policy)| policy.limit.min_free.is_some())
            }
            GcRules::Runs(policy) => policy.limit.min_free.is_some(),
        }
    }

    /// Whether the rules limit bytes, files or free space.
    pub(crate) fn has_limit(&self) -> bool {
        match &self.rules {
            GcRules::Policy(policy) => policy.limit != Limits::default(),
            GcRules::Named(named) => {
                let mut kinds = named.kinds.iter();
                kinds.any(|(_, policy)| policy.limit != Limits::default())
            }
            GcRules::Runs(policy) => policy.limit != Limits::default(),
        }
    }

    /// Sets the rules in words, for readers of the plan and the history.
    #[must_use]
    pub fn words(mut self, words: impl Into<String>) -> Self {
        self.words = words.into();
        self
    }

    /// Refuses a filter of which a part would be ignored.
    ///
    /// # Errors
    /// [`PolicyError::FilterIgnored`] with that part.
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        let is_policy = matches!(self.rules, GcRules::Policy(_));
        let is_for_runs = matches!(self.rules, GcRules::Runs(_));
        // The rules have these fields too and would win: a filter that is ignored may remove too
        // much.
        let ignored = [
            ("kind", !is_for_runs && !self.of.kinds.is_empty()),
            ("iteration", is_policy && !self.of.iterations.is_empty()),
            ("age", is_policy && self.of.older_than.is_some()),
            ("state", is_policy && !self.of.states.is_empty()),
        ];
        match ignored.into_iter().find(|(_, is_ignored)| *is_ignored) {
            Some((part, _)) => Err(PolicyError::FilterIgnored { part }),
            None => Ok(()),
        }
    }

    /// The request for one run, as far as that changes nothing for it: limits and rules for whole
    /// runs compare all runs. `matches` says which runs patterns match.
    ///
    /// # Errors
    /// Those of `matches`.
    pub(crate) fn for_run<E>(
        mut self,
        run: &RunName,
        matches: impl Fn(&[Pattern]) -> Result<Vec<String>, E>,
    ) -> Result<Self, E> {
        let name = Pattern::from(run.as_str());
        if self.has_limit() || name.is_glob() {
            return Ok(self);
        }
        let runs = match &mut self.rules {
            GcRules::Runs(_) => return Ok(self),
            GcRules::Policy(_) => &mut self.of.runs,
            GcRules::Named(named) => &mut named.runs,
        };
        if runs.is_empty() || matches(runs)?.iter().any(|known| *known == *run.as_str()) {
            *runs = vec![name];
        }
        Ok(self)
    }

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
        // In any state: a refresh must also look at rows that are not known to be present.
        states: Vec::new(),
        ..of.clone()
    }
}
