//! The artifacts that the benchmarks are about: runs of 100 iterations with 100 outputs each.

use dalsegno::model::key::Key;

use crate::measure::Result;

/// Iterations of a run.
pub(crate) const ITERATIONS: usize = 100;
/// Outputs of an iteration: four datasets with 25 parameter sets each.
pub(crate) const OUTPUTS: usize = 100;
const PARAMETERS: usize = 25;

/// One output, as its numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) run: usize,
    pub(crate) iteration: usize,
    pub(crate) output: usize,
}

impl Place {
    /// The place of a row in a catalog.
    pub(crate) fn at(index: usize) -> Self {
        let in_run = index % (ITERATIONS * OUTPUTS);
        Self {
            run: index / (ITERATIONS * OUTPUTS),
            iteration: in_run / OUTPUTS,
            output: in_run % OUTPUTS,
        }
    }

    pub(crate) fn run(self) -> String {
        format!("run-{:04}", self.run)
    }

    pub(crate) fn iteration(self) -> i64 {
        (self.iteration as i64 + 1) * 1000
    }

    pub(crate) fn dataset(self) -> String {
        format!("validation_crop{}", self.output / PARAMETERS)
    }

    pub(crate) fn parameters(self) -> String {
        format!("threshold_{}_{}", self.output % PARAMETERS, 127)
    }

    pub(crate) fn container(self) -> String {
        format!("{}/validation.zarr", self.run())
    }

    pub(crate) fn array(self) -> String {
        let (iteration, dataset) = (self.iteration(), self.dataset());
        format!("{iteration}/{dataset}/output/{}", self.parameters())
    }

    /// Below the base directory.
    pub(crate) fn path(self) -> String {
        format!("{}/{}", self.container(), self.array())
    }

    pub(crate) fn key(self) -> Result<Key> {
        Ok(Key::Output {
            run: self.run().parse()?,
            iteration: self.iteration(),
            dataset: self.dataset().parse()?,
            parameters: self.parameters().parse()?,
            container: None,
        })
    }
}

/// `count` numbers below `below`, far apart and always the same ones.
pub(crate) fn spread(count: usize, below: usize) -> Vec<usize> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    (0..count).map(|_| next()).collect()
}
