//! `gc`: what may go by a policy, and carrying that out.

mod apply;
mod command;
mod explain;
mod plan;
mod rules;

pub(super) use command::{Gc, run};
