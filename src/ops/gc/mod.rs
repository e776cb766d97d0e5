//! Garbage collection: a plan of what may go, and carrying it out.
//!
//! [`GcRequest`] says by which policy and of what; the answer is a [`GcPlan`], which removes
//! nothing. What it would remove can be kept as a file, [`PlanFile`], and carried out later.
//!
//! # Carrying out
//! A plan is carried out as it was shown: the policy is not asked again. It is refused as a whole
//! where it belongs to another registry, or where anything was restored since it was made. Each of
//! its artifacts is looked at again, once before and once within the transaction that removes it:
//! what was pinned, written or recorded anew since stays, and is reported.
//!
//! # Batches
//! Artifacts go in batches, each one removal of its own, so that a stop in the middle leaves whole
//! removals and no lock is held for long. A container that goes whole is never divided, because
//! one rename takes it; else a batch has at most a thousand artifacts.

mod apply;
mod batches;
mod file;
mod inventory;
mod plan;
mod request;

pub(crate) use apply::apply;
pub use apply::{GcOptions, GcReport};
pub use file::{PlanFile, PlanItem};
pub use plan::GcPlan;
pub(crate) use plan::{explain, plan};
pub use request::{GcRequest, GcRules};
