//! Who changes a catalog that a test opens without a registry.

use dalsegno::model::actor::{Actor, Agent};

/// Who changes a catalog that a test opens by itself.
pub(crate) fn agent() -> Agent {
    Agent::new(Actor::new("tester", "here", 1), "0")
}
