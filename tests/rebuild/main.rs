//! `rebuild`: a new catalog in the place of one that is damaged or gone. Nothing of the old one is
//! lost, what the disk and the trash can tell is in the new one, and no data is touched.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
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
#[path = "../child/fault.rs"]
mod fault;
mod faults;
mod lies;
mod others;
mod scene;
#[path = "../child/strace.rs"]
mod strace;
mod trash;

/// What a child does.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = std::env::var_os(child::BASE).unwrap();
    others::act(&action, base.as_ref());
}
