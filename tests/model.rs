//! Random sequences of everything that moves rows and data, crashes in the middle included, against
//! a model in memory. After each step catalog and disk, read without the library, equal the model.
//!
//! A failure prints its steps, shortened. `PROPTEST_CASES` sets how many sequences are tried.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

#[path = "model/disk.rs"]
mod disk;
#[path = "model/steps.rs"]
mod steps;

use proptest::prelude::*;
use steps::{World, step};

proptest! {
    #![proptest_config(ProptestConfig {
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rows_and_data_are_those_of_the_model(steps in prop::collection::vec(step(), 1..30)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
        }
        world.reopen();
    }
}
