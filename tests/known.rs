//! Metadata that did not change is not read again, and metadata that did is.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "child/fault.rs"]
mod fault;
#[path = "known/opens.rs"]
mod opens;
#[path = "known/random.rs"]
mod random;
#[path = "known/scene.rs"]
mod scene;
#[path = "child/strace.rs"]
mod strace;

#[test]
fn child_entry() {
    opens::child();
}
