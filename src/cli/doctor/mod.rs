//! `doctor`: what a person needs to know about a registry that behaves oddly, and what a bug report
//! needs. It reads only, and reports also where the registry cannot be opened.

mod command;
mod layout;
mod machine;
mod redact;

pub(super) use command::{Doctor, run};
