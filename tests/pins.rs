//! Pinned artifacts, and those that DaCapo's checkpoints call best, are never removed.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[path = "pins/best.rs"]
mod best;
#[path = "pins/binds.rs"]
mod binds;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "pins/containers.rs"]
mod containers;
#[path = "pins/foreign.rs"]
mod foreign;
#[path = "pins/model.rs"]
mod model;
#[path = "gc/scene.rs"]
mod scene;
#[path = "pins/scores.rs"]
mod scores;

#[test]
fn child_entry() {
    binds::child();
}
