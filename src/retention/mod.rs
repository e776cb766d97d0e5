//! Retention: what may go, what stays, and why. `policy × inventory × now → plan`.
//!
//! A [`Policy`] is a set of rules. An [`Inventory`] holds the artifacts that the caller selected
//! and what the rules need to know about them. [`plan`] gives a [`Plan`]: a line for each artifact,
//! with reasons. [`explain`] gives the verdict of every rule on one artifact, [`plan_runs`] decides
//! on whole runs. Nothing here removes anything: a plan is a value.
//!
//! # The order of decisions
//! 1. Guards come first. They keep pinned artifacts, targets of best links, artifacts recorded or
//!    written within [`RECENT`] or dated in the future, and artifacts that the policy cannot decide
//!    on because their iteration or metric is unknown.
//! 2. Keep rules: what one of them keeps stays. They compare the selected artifacts of one group,
//!    which is a run, kind and dataset.
//! 3. Without limits everything else goes. With limits, only as much as they need goes, oldest
//!    first.
//! 4. A plan that would empty a group is refused, unless the policy allows it.
//!
//! # Invariants
//! - Every line has a reason; a line that stays has all of them.
//! - Names of rules are stable: [`RULES`].
//! - The order of the inventory changes nothing.
//! - Without limits, one run never changes what is decided on another.
//! - An unknown size is never taken as 0, and NaN is never among the best.

mod best;
mod budget;
mod build;
mod check;
mod complete;
mod criteria;
mod error;
mod inventory;
mod metric;
mod min_free;
mod named;
mod plan;
mod planner;
mod policy;
mod rules;
mod runs;
pub(crate) mod strict;
mod words;

pub use complete::{PartsByRun, RunParts};
pub use error::PolicyError;
pub use inventory::{
    Disk, GroupKey, Inventory, InventoryRow, InventoryRun, InventoryScore, RunInventory,
};
pub use metric::{Direction, Metric};
pub use min_free::{MinFree, ParseMinFreeError, Percent};
pub use named::NamedPolicy;
pub use plan::{Decision, FreeGoal, Plan, PlanError, PlanLine, PlanSum, PlanTotals, Reason};
pub use planner::{Explanation, RuleVerdict, explain, plan};
pub use policy::{KeepBest, KeepRules, Limits, Policy, RunPolicy, SelectRules};
pub use rules::{RECENT, RULES};
pub use runs::plan_runs;
#[cfg(feature = "cli")]
pub(crate) use words::length;
