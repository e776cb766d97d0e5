//! Retention: what every rule keeps, in which words, and what no policy may ever do.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

#[path = "retention/best.rs"]
mod best;
#[path = "retention/build.rs"]
mod build;
#[path = "retention/errors.rs"]
mod errors;
#[path = "retention/limits.rs"]
mod limits;
#[path = "retention/merge.rs"]
mod merge;
#[path = "retention/properties.rs"]
mod properties;
#[path = "retention/rules.rs"]
mod rules;
#[path = "retention/runs.rs"]
mod runs;
#[path = "retention/times.rs"]
mod times;
