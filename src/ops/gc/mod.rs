//! Garbage collection: plans what may go, and carries the plan out.
//!
//! A [`GcRequest`] names a policy and a filter; the answer is a [`GcPlan`], which removes nothing.
//! Its [`PlanFile`] can be saved and carried out later.
//!
//! # Carrying out
//! A plan is carried out as it was shown: the policy is not evaluated again. A plan is refused as a
//! whole if it belongs to another registry, or if anything was restored since it was made. Each of
//! its artifacts is checked again, once before and once within the transaction that removes it:
//! what was pinned, written or recorded again since the plan stays, and is reported.
//!
//! # Batches
//! Artifacts go in batches, each a removal of its own, so that a stop in the middle leaves complete
//! removals and no lock is held for long. A container that goes whole is never divided, because one
//! rename takes it; any other batch has at most a thousand artifacts.

mod apply;
mod batches;
mod elsewhere;
mod file;
mod inventory;
mod losses;
mod plan;
mod request;
mod times;

pub(crate) use apply::apply;
pub use apply::{GcOptions, GcReport};
pub use file::{PlanFile, PlanItem};
pub use plan::GcPlan;
pub(crate) use plan::{explain, plan};
pub use request::{GcRequest, GcRules};
