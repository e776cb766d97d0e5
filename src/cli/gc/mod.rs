//! `gc`: plans what to remove by rules, and carries the plan out.

mod apply;
mod command;
mod explain;
mod plan;
mod rules;
mod summary;

pub(super) use command::{Gc, run};
