//! `rebuild`: a new catalog in place of a damaged or missing one. Nothing of the old one is lost,
//! everything that disk and trash hold is in the new one, and no data is touched.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

mod backups;
mod causes;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "../child/mod.rs"]
mod child;
#[path = "../common/agent.rs"]
mod common_agent;
mod elsewhere;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "../child/fault.rs"]
mod fault;
mod faults;
mod header;
mod lies;
#[path = "../common/lock.rs"]
mod lock;
mod others;
mod pages;
mod scene;
#[path = "../child/strace.rs"]
mod strace;
mod trash;

/// The body of a child process.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = std::env::var_os(child::BASE).unwrap();
    others::act(&action, base.as_ref());
}
