//! What the fuzz targets check, as plain functions: `fuzz_targets/` feeds them what libFuzzer
//! finds, and `tests/fuzzed.rs` of dalsegno, which includes these files, what lies in `corpus/`.
//!
//! Each takes any bytes and panics if a promise is broken.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what goes wrong in a check is to be seen as a crash"
)]

pub mod catalog;
pub mod config;
pub mod edit;
pub mod filter;
pub mod layout;
pub mod manifest;
pub mod names;
pub mod plan;
pub mod scores;
pub mod world;

/// A check of any bytes.
pub type Check = fn(&[u8]);

/// Every target, by the name of its folder in `corpus/`.
pub const TARGETS: [(&str, Check); 8] = [
    ("names", names::check),
    ("layout", layout::check),
    ("filter", filter::check),
    ("config", config::check),
    ("plan", plan::check),
    ("scores", scores::check),
    ("manifest", manifest::check),
    ("catalog", catalog::check),
];
