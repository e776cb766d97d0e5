//! Manifests of the trash, and notes of restores, that were edited by hand: opening for writing
//! reads them, and neither loses what lies in the trash nor touches anything outside the base
//! directory.

use std::path::{Path, PathBuf};

use arbitrary::{Result, Unstructured};
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{RestoreTarget, VerifyOptions};
use rusqlite::Connection;
use serde_json::Value;

use super::edit::edit;
use super::world::{CATALOG, World, given, inode, seed, write};

/// What the catalog says of the removal in the trash.
const STATES: [&str; 6] = [
    "DELETE FROM removed; DELETE FROM moved; DELETE FROM removal",
    "UPDATE removal SET state = 0",
    "UPDATE removal SET state = 1",
    "UPDATE removal SET state = 2",
    "UPDATE removal SET state = 3",
    "UPDATE removal SET purge_after = 1",
];

/// Reads the bytes as what became of the trash.
pub fn check(data: &[u8]) {
    // What was changed before the input ended is looked at too.
    let world = World::new();
    let state = change(&world, &mut Unstructured::new(data)).unwrap_or(STATES[0]);
    let before = world.data();
    let registry = world.open(false);
    let is_purge = state.contains("state = 1") || state.contains("state = 2");
    if !is_purge && !state.contains("purge_after") {
        assert_eq!(world.data(), before, "{state}");
    }
    world.check();
    let Some(registry) = registry else { return };
    given(registry.pending());
    let options = VerifyOptions::new().threads(Some(1));
    if let Some(report) = given(registry.verify(&Filter::default(), options, &Silent)) {
        given(registry.repair(&report.findings, &Silent));
    }
    given(registry.restore(&RestoreTarget::Filter(Filter::default())));
    given(registry.empty_trash(None, &Silent));
    world.check();
}

/// The manifest of the seed, relative to the base directory.
fn manifest() -> &'static Path {
    let is_manifest = |path: &&PathBuf| path.ends_with("manifest.json");
    seed().keys().find(is_manifest).unwrap()
}

fn change(world: &World, input: &mut Unstructured<'_>) -> Result<&'static str> {
    let path = world.base().join(manifest());
    let mut document: Value = serde_json::from_slice(&seed()[manifest()]).unwrap();
    let folder = path.parent().unwrap();
    let at = document["items"][0].as_object_mut().unwrap();
    at.insert("inode".to_owned(), inode(&folder.join("0")).into());
    let state = *input.choose(&STATES)?;
    let catalog = Connection::open(world.base().join(CATALOG)).unwrap();
    catalog.execute_batch(state).unwrap();
    drop(catalog);
    let (is_noted, is_away) = (input.arbitrary()?, input.arbitrary()?);
    let place = world
        .base()
        .join(document["items"][0]["path"].as_str().unwrap());
    match input.int_in_range(0..=3_u8)? {
        // Its old place is occupied.
        0 => write(&place.join(".zarray"), b"rewritten"),
        1 => write(&folder.join("1"), b"a stranger"),
        2 => write(&folder.join("x"), b"a stranger"),
        _ => {}
    }
    if is_away && !place.exists() {
        // On its way back.
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::rename(folder.join("0"), &place).unwrap();
    }
    let bytes = if input.ratio(1_u8, 16_u8)? {
        input.bytes(input.len())?.to_vec()
    } else {
        // What was edited before the input ended is a manifest too.
        let _ = edit(&mut document, input);
        serde_json::to_vec(&document).unwrap()
    };
    write(&path, &bytes);
    if is_noted {
        write(&folder.join("restoring.json"), &bytes);
    }
    Ok(state)
}
