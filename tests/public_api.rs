//! The public API of the library, kept as text in `tests/public_api.txt`.
//!
//! A change of the API shows in the diff of that file. Kept current by
//! `DALSEGNO_UPDATE=1 cargo test --test public_api`.
//!
//! Rustdoc's JSON has a format that changes with the compiler, and the crate `public-api` reads one
//! format. With a compiler that writes another, the test says so and leaves the comparison out,
//! unless `DALSEGNO_REQUIRE_ALL` is set, as `tests/all.sh` does.

#![expect(clippy::unwrap_used, reason = "an API that cannot be read has failed")]

#[path = "common/left_out.rs"]
mod left_out;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use left_out::left_out;

/// The format of rustdoc's JSON that the crate `public-api` in `Cargo.toml` reads.
const FORMAT: u64 = 57;

/// How the file is brought up to date.
const UPDATE: &str = "DALSEGNO_UPDATE=1 cargo test --test public_api";

/// Has rustdoc describe the library with its default features; gives the file that it wrote.
fn rustdoc_json() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO"))
        .args(["rustdoc", "--quiet", "--locked", "--lib", "--"])
        .args(["-Z", "unstable-options", "--output-format", "json"])
        .env("RUSTDOC", root.join("scripts/rustdoc-json"))
        .current_dir(root)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rustdoc failed:\n{stderr}");
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("doc")
        .join("dalsegno.json")
}

/// The API as sorted lines, or the format that cannot be read.
fn public_api() -> Result<String, u64> {
    let json = rustdoc_json();
    let document: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let format = document["format_version"].as_u64().unwrap();
    if format != FORMAT {
        return Err(format);
    }
    // What the compiler derives or implies for every type says little about this crate.
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .unwrap();
    Ok(api.to_string())
}

#[test]
fn the_public_api_is_the_one_that_is_kept() {
    let api = match public_api() {
        Ok(api) => api,
        Err(format) => {
            let why = format!(
                "this compiler's rustdoc writes format {format}, and `public-api` reads {FORMAT}"
            );
            assert!(
                env::var_os("DALSEGNO_REQUIRE_ALL").is_none(),
                "{why}: take the version of `public-api` that reads it"
            );
            left_out(&why);
            return;
        }
    };
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api.txt");
    if env::var_os("DALSEGNO_UPDATE").is_some() {
        fs::write(&kept, &api).unwrap();
        return;
    }
    let expected = fs::read_to_string(&kept).unwrap();
    let (gone, added) = difference(&expected, &api);
    assert!(
        api == expected,
        "the public API changed. If it is meant to: {UPDATE}\ngone: {gone:#?}\nadded: {added:#?}",
    );
}

/// Enums whose users must match every variant, and structs of public fields that will get no more:
/// each says why in its documentation.
const EXHAUSTIVE: [&str; 10] = [
    "Decision",
    "Direction",
    "Entry",
    "EntryKind",
    "IterationRange",
    "LocalArrayIdentifier",
    "LocalContainerIdentifier",
    "Presence",
    "Side",
    "Size",
];

#[test]
fn every_public_type_can_grow_but_those_that_must_not() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api.txt");
    let api = fs::read_to_string(kept).unwrap();
    let has_fields = |path: &str| {
        let field = format!("pub {path}::");
        api.lines()
            .any(|line| line.starts_with(&field) && line.contains(": "))
    };
    let mut closed = std::collections::BTreeSet::new();
    for line in api.lines() {
        let (path, is_open) = match (
            line.strip_prefix("pub enum "),
            line.strip_prefix("pub struct "),
        ) {
            (Some(path), _) => (path, true),
            // A struct without public fields, and a tuple struct, are made by their constructors.
            (_, Some(path)) => (path, !path.contains('(') && has_fields(path)),
            _ => continue,
        };
        if is_open {
            closed.extend(path.rsplit("::").next());
        }
    }
    assert_eq!(closed, EXHAUSTIVE.into());
}

/// The lines that only the first text has, and those that only the second has.
fn difference<'a>(expected: &'a str, found: &'a str) -> (Vec<&'a str>, Vec<&'a str>) {
    let only = |text: &'a str, other: &'a str| {
        let lines: std::collections::HashSet<&str> = other.lines().collect();
        text.lines().filter(|line| !lines.contains(line)).collect()
    };
    (only(expected, found), only(found, expected))
}

/// A handle serves several threads, and an error can be carried to another.
#[test]
fn handles_and_errors_are_send_and_sync() {
    fn check<T: Send + Sync + std::fmt::Debug + 'static>() {}
    check::<dalsegno::Registry>();
    check::<dalsegno::Options>();
    check::<dalsegno::Error>();
}
