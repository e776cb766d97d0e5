//! Plans of what may go, and carrying them out.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[path = "gc/apply.rs"]
mod apply;
#[path = "gc/batches.rs"]
mod batches;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "gc/elsewhere.rs"]
mod elsewhere;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "child/fault.rs"]
mod fault;
#[path = "gc/files.rs"]
mod files;
#[path = "gc/kept.rs"]
mod kept;
#[path = "gc/runs.rs"]
mod runs;
#[path = "gc/scene.rs"]
mod scene;
#[path = "gc/snapshots.rs"]
mod snapshots;
#[path = "child/strace.rs"]
mod strace;
#[path = "gc/times.rs"]
mod times;
#[path = "gc/unread.rs"]
mod unread;

#[test]
fn child_entry() {
    batches::child();
}
