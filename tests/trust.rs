//! Several users share a base directory, and one of them puts forged things into the trash: no
//! process of another user moves, makes or unlinks anything that the forger himself may not, and
//! what is refused is reported and stays.
//!
//! It takes root: children run as two users. Without it the tests say on stderr that they are left
//! out.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests are not seen as tests"
)]

#[expect(dead_code, reason = "some of the helpers are for other tests")]
mod child;
#[path = "common/end.rs"]
mod end;
#[path = "trust/exchanges.rs"]
mod exchanges;
#[path = "trust/forged.rs"]
mod forged;
#[path = "trust/hostile.rs"]
mod hostile;
#[path = "trust/interrupted.rs"]
mod interrupted;
#[path = "trust/parts.rs"]
mod parts;
#[path = "trust/purges.rs"]
mod purges;
#[path = "trust/restores.rs"]
mod restores;
#[path = "trust/scene.rs"]
mod scene;
#[expect(dead_code, reason = "some of the helpers are for other tests")]
#[path = "child/strace.rs"]
mod strace;

/// What a child does.
#[test]
fn child_entry() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = std::path::PathBuf::from(std::env::var_os(child::BASE).unwrap());
    scene::act(&action, &base);
}
