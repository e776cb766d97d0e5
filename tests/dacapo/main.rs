//! Comparison with DaCapo's own store: its answers, its removals, and its trees on disk.
//!
//! `data/vectors.json` holds calls of DaCapo's `LocalArrayStore` with their outcomes. The two
//! archives hold base directories that DaCapo wrote, each with a manifest of the calls that made
//! its arrays. Every case in which dalsegno differs is listed here.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod paths;
mod removal;
mod trees;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file)
}

fn vectors() -> Value {
    serde_json::from_slice(&fs::read(data("vectors.json")).unwrap()).unwrap()
}
