//! Where a catalog elsewhere is, said a second time beside `config.toml`.
//!
//! Users edit `config.toml`, and may lose its section `[catalog]`. The base directory then looks
//! like one whose own catalog is gone, and a rebuild would make a second catalog, without the pins
//! of the first. So `.dalsegno/catalog-place.toml` has the same section. It is written with that of
//! `config.toml`, and by the host that has the catalog if it is not there or says something else.
//!
//! The file is input, as `config.toml` is. It makes calls refuse and says what to type; a catalog
//! that it names is used only if the user names it too, with `init --catalog`. Base directories of
//! older versions have other signs of a catalog elsewhere: its published copy, and the reserve for
//! the disk of the base directory.
//!
//! # After a crash
//! The file is written under another name and renamed, so it is whole or absent. If it is absent,
//! the next change on the host that has the catalog writes it.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use rustix::fs::renameat;

use super::backup::{self, BACKUPS_DIR};
use super::connection::{self, REGISTRY_ID};
use super::options::CatalogOptions;
use super::place::Place;
use super::published::PUBLISHED_FILE;
use super::room::reserve_in_base;
use crate::catalog::config::{CatalogConfig, Config};
use crate::disk::{Folder, make_file, read_file};
use crate::model::clock::Timestamp;

/// Name of the file in the registry's folder.
pub(super) const PLACE_FILE: &str = "catalog-place.toml";

/// Longer files are not read.
const LONGEST: u64 = 64 << 10;

/// What the file says of itself.
const HEAD: &str = "# Where the catalog of this base directory is, if config.toml loses it.\n";

/// The text of the file; `None` if a path cannot be written in it.
pub(super) fn text_of(place: &CatalogConfig) -> Option<String> {
    let config = Config {
        catalog: Some(place.clone()),
        ..Config::default()
    };
    let text = toml::to_string(&config).ok()?;
    Some(format!("{HEAD}{text}"))
}

/// What the file in a registry's folder says: nothing if it cannot be used, and `None` if there is
/// no such file.
pub(super) fn read(dir: &Folder) -> Option<CatalogConfig> {
    let text = match read_file(dir, PLACE_FILE, LONGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(_) => return Some(CatalogConfig::default()),
    };
    let parse = |text: Vec<u8>| {
        let text = String::from_utf8(text).ok()?;
        let place = Config::parse(&text).ok()?.catalog?;
        // A relative path would lead elsewhere from every working directory.
        let is_whole = place.path.as_ref().is_some_and(|path| path.is_absolute());
        is_whole.then_some(place)
    };
    Some(parse(text).unwrap_or_default())
}

/// Writes the file if it says something else.
///
/// # Errors
/// As the system gives them; the file is then as it was.
pub(super) fn remember(dir: &Folder, place: &CatalogConfig) -> io::Result<()> {
    match text_of(place) {
        Some(text) if read(dir).as_ref() != Some(place) => replace(dir, PLACE_FILE, &text),
        _ => Ok(()),
    }
}

/// What a registry's folder says of a catalog elsewhere that `config.toml` does not name; `None` if
/// nothing in it is a sign of one.
pub(super) fn signs(dir: &Folder) -> Option<CatalogConfig> {
    // What the system does not say may be there.
    let is_there = |name: &str| !matches!(dir.stat(name), Ok(None));
    let is_sign = || is_there(PUBLISHED_FILE) || is_there(&reserve_in_base());
    let mut place = read(dir).or_else(|| is_sign().then(CatalogConfig::default))?;
    if place.registry.is_none() {
        place.registry = registry_in(dir);
    }
    Some(place)
}

/// The registry that the published copy, or else a backup, is of.
fn registry_in(dir: &Folder) -> Option<String> {
    let of = |folder: &Folder, name: &Path| {
        let place = Place::in_folder(folder, name).ok()?;
        let copy = connection::open_published(&place, &CatalogOptions::default()).ok()?;
        let id: String = copy.query_row(REGISTRY_ID, [], |row| row.get(0)).ok()?;
        uuid::Uuid::parse_str(&id).ok().map(|_| id)
    };
    of(dir, Path::new(PUBLISHED_FILE)).or_else(|| {
        let backups = dir.path().join(BACKUPS_DIR);
        let folder = Folder::open(&backups).ok()?;
        let listed = backup::list(&backups, Timestamp(i64::MAX)).ok()?;
        let names = listed.iter().filter_map(|backup| backup.path.file_name());
        names.map(Path::new).find_map(|name| of(&folder, name))
    })
}

/// Puts a new text in the place of a file. A crash leaves the old text or the new one, and never a
/// part.
///
/// # Errors
/// As the system gives them; the file is then as it was.
pub(super) fn replace(dir: &Folder, name: &str, text: &str) -> io::Result<()> {
    // A name of its own, as another process may write it too.
    let new = format!("{name}.new-{}", uuid::Uuid::new_v4().simple());
    let write = || {
        let mut file = File::from(make_file(dir, &*new)?);
        file.write_all(text.as_bytes())?;
        // Synced before it is renamed.
        file.sync_all()?;
        renameat(dir, &*new, dir, name)?;
        dir.sync()
    };
    write().inspect_err(|_| {
        let _ = dir.unlink(&*new);
    })
}
