//! `doctor`: what a user needs to know about a registry that misbehaves, and what a bug report
//! needs. It only reads, and reports even if the registry cannot be opened.

mod command;
mod layout;
mod machine;
mod redact;

pub(super) use command::{Doctor, run};
