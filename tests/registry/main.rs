//! The registry through its library: rows, states, removal, threads, forks.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod adopt;
#[path = "../common/agent.rs"]
mod agent;
mod chunks;
#[path = "../common/mod.rs"]
mod common;
mod concurrent;
mod containers;
mod fork;
mod gone;
mod moved;
mod pyramids;
mod read_only;
mod record;
mod refresh;
mod remove;
mod scan;
mod seal;

use dalsegno::model::filter::Filter;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::{Error, Registry};

/// The key that the layout reads from a path.
fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

/// An output whose path a scan reads as a prediction.
fn misread() -> Key {
    Key::Output {
        run: "r".parse().unwrap(),
        iteration: 1,
        dataset: "a".parse().unwrap(),
        parameters: "prediction".parse().unwrap(),
        container: None,
    }
}

/// Number of rows.
fn count(registry: &Registry) -> usize {
    registry.select(&Filter::default()).unwrap().len()
}

/// The code of the error, if there is one.
fn code<T>(result: Result<T, Error>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

#[test]
fn a_registry_can_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Registry>();
    is_shared::<Error>();
}
