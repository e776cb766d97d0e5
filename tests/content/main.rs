//! Content hashes: what they are, when they are taken, and how long they hold.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod definition;
mod life;
mod meanwhile;
mod older;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use dalsegno::model::artifact::Artifact;
use dalsegno::model::content::ContentHash;
use dalsegno::model::key::Key;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::{Error, Registry, SealOptions, Target};
use tempfile::TempDir;

const ARRAY: &str = "r/validation.zarr/1/a/prediction";
const HASHED: SealOptions = SealOptions::new().hash(true);

fn base() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = common::create(folder.path());
    (folder, registry)
}

fn key(path: &str) -> Key {
    layout::parse(path).unwrap()
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn get(registry: &Registry, path: &str) -> Artifact {
    registry.get(&target(path)).unwrap().unwrap()
}

/// Records an array and writes it.
fn write(registry: &Registry, path: &str) -> Artifact {
    let row = registry.record(&key(path)).unwrap().artifact;
    common::write_array(&row.path());
    row
}

fn seal(registry: &Registry, path: &str, options: SealOptions) -> Result<Artifact, Error> {
    let row = get(registry, path);
    registry.seal_many(&[row], options, &Silent)?;
    Ok(get(registry, path))
}

/// The hash that a row is sealed with.
fn hashed(registry: &Registry, path: &str) -> ContentHash {
    let row = seal(registry, path, HASHED).unwrap();
    row.content_hash.unwrap()
}

/// The hash by its definition, with nothing of the library's: all paths, sorted, all files whole.
fn by_definition(root: &Path) -> ContentHash {
    let mut paths = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => paths.push(entry.path()),
            }
        }
    }
    let relative = |path: &Path| {
        let relative = path.strip_prefix(root).unwrap();
        relative.as_os_str().as_bytes().to_vec()
    };
    paths.sort_by_key(|path| relative(path));
    let mut bytes = Vec::new();
    for path in paths {
        let content = fs::read(&path).unwrap();
        bytes.push(b'f');
        bytes.extend((relative(&path).len() as u64).to_le_bytes());
        bytes.extend(relative(&path));
        bytes.extend(blake3::hash(&content).as_bytes());
    }
    ContentHash(blake3::hash(&bytes).into())
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("ok", |error| error.code())
}
