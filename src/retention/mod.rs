//! Retention: what may go, what stays, and why. `policy × inventory × now → plan`.
//!
//! A [`Policy`] is one rule set, an [`Inventory`] the artifacts that the caller selected, with
//! what the rules must know of them. [`plan`] gives a [`Plan`]: a line for each artifact, each
//! with its reasons. [`explain`] tells of one artifact what every rule says, [`plan_runs`] decides
//! on whole runs. Nothing here removes anything: a plan is a value.
//!
//! # The order of decisions
//! 1. What must stay is found first: pinned artifacts, targets of best links, what was recorded or
//!    written within [`RECENT`], what is dated in the future, and all that the policy cannot
//!    decide, because an iteration or a metric is unknown.
//! 2. Keep rules are ored. They look at the selected artifacts of one group: run, kind, dataset.
//! 3. Without limits everything else goes. With limits, only as much of it as they need, the
//!    oldest first.
//! 4. A plan that would empty a group is refused, unless the policy allows it.
//!
//! # Invariants
//! - Every line has a reason, a kept one all of them. Names of rules are stable: [`RULES`].
//! - The order of the inventory changes nothing.
//! - Without limits, one run never changes what is decided on another.
//! - An unknown size is never taken as 0, and NaN is never among the best.

mod best;
mod budget;
mod check;
mod error;
mod inventory;
mod metric;
mod named;
mod plan;
mod planner;
mod policy;
mod rules;
mod runs;
mod words;

pub use error::PolicyError;
pub use inventory::{
    GroupKey, Inventory, InventoryRow, InventoryRun, InventoryScore, RunInventory,
};
pub use metric::{Direction, Metric};
pub use named::NamedPolicy;
pub use plan::{Decision, Plan, PlanError, PlanLine, PlanSum, PlanTotals, Reason};
pub use planner::{Explanation, RuleVerdict, explain, plan};
pub use policy::{KeepBest, KeepRules, Limits, Policy, RunPolicy, SelectRules};
pub use rules::{RECENT, RULES};
pub use runs::plan_runs;
pub(crate) use words::{length, parse_length};
