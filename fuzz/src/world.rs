//! A base directory that was in use, kept as `seed/base.tar.gz`, with things beside it that must
//! not be touched.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::{Error, Options, Registry};
use tempfile::TempDir;

/// The present moment of every check.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);
/// When every file of the seed was written.
pub const WRITTEN: Timestamp = Timestamp(1_600_000_000_000);
/// The catalog in a base directory.
pub const CATALOG: &str = ".dalsegno/catalog.sqlite3";

/// Files of the base directory that lie in no container.
const PLAIN: [&str; 3] = ["elsewhere/keep.txt", "run/a/log.txt", "notes.txt"];

/// The files of the seed, relative to the base directory.
///
/// # Panics
/// If the seed cannot be read.
pub fn seed() -> &'static BTreeMap<PathBuf, Vec<u8>> {
    static SEED: OnceLock<BTreeMap<PathBuf, Vec<u8>>> = OnceLock::new();
    SEED.get_or_init(|| {
        let packed: &[u8] = include_bytes!("../seed/base.tar.gz");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
        let mut files = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            files.insert(path, bytes);
        }
        assert!(files.contains_key(Path::new(CATALOG)));
        files
    })
}

/// A file or folder as it is found: a folder has no content.
type Found = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// A folder with a base directory in it, gone with the value.
pub struct World {
    folder: TempDir,
    beside: Found,
}

impl World {
    /// Unpacks the seed beside files that no call may touch.
    ///
    /// # Panics
    /// If the temporary folder cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        for (path, bytes) in seed() {
            write(&base.join(path), bytes);
        }
        for path in PLAIN {
            write(&base.join(path), path.as_bytes());
        }
        let outside = folder.path();
        for path in ["outside/canary", "outside/a.zarr/.zarray", "canary"] {
            write(&outside.join(path), path.as_bytes());
        }
        // Folders that are empty, so that nothing but care keeps them.
        for path in ["outside.zarr/a", "empty/validation.zarr/1/d"] {
            fs::create_dir_all(outside.join(path)).unwrap();
        }
        for (target, link) in [("../outside", "link"), ("../outside.zarr", "link.zarr")] {
            symlink(target, base.join(link)).unwrap();
        }
        symlink("../../../outside.zarr", base.join("run/a/link.zarr")).unwrap();
        let mut world = Self {
            folder,
            beside: Found::new(),
        };
        world.beside = world.found_beside();
        world
    }

    /// The base directory.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    /// How its registry is opened: with a fixed clock, and without waiting for locks.
    #[must_use]
    pub fn options(&self) -> Options {
        Options::new()
            .clock(FixedClock(NOW))
            .lock_timeout(Duration::from_secs(5))
    }

    /// Opens its registry; `None` if that is refused.
    #[must_use]
    pub fn open(&self, read_only: bool) -> Option<Registry> {
        let opened = self.options().read_only(read_only).open(self.base());
        opened.map_err(|error| known(&error)).ok()
    }

    fn found_beside(&self) -> Found {
        let mut found = Found::new();
        let base = self.base();
        find(self.folder.path(), &mut found, &|path| path != base);
        found
    }

    /// The contents of the files of the base directory that are not the registry's own; those in
    /// its trash are counted too.
    #[must_use]
    pub fn data(&self) -> Vec<Vec<u8>> {
        let mut found = Found::new();
        let base = self.base();
        let registry = base.join(".dalsegno");
        let trash = registry.join("trash");
        find(&base, &mut found, &|path| {
            path.parent() != Some(&registry) || path == trash
        });
        let is_data = |path: &Path| path.extension().is_none_or(|end| end != "json");
        let mut data: Vec<Vec<u8>> = found
            .into_iter()
            .filter(|(path, _)| is_data(path))
            .filter_map(|(_, bytes)| bytes)
            .collect();
        data.sort();
        data
    }

    /// Checks that nothing beside the base directory has changed, and nothing in it that lies in
    /// no container.
    ///
    /// # Panics
    /// If something has.
    pub fn check(&self) {
        assert_eq!(self.found_beside(), self.beside);
        for path in PLAIN {
            let found = fs::read(self.base().join(path)).unwrap();
            assert_eq!(found, path.as_bytes());
        }
        for link in ["link", "link.zarr", "run/a/link.zarr"] {
            let found = self.base().join(link).symlink_metadata().unwrap();
            assert!(found.is_symlink(), "{link}");
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

fn find(folder: &Path, found: &mut Found, enters: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_symlink() || !enters(&path) {
            continue;
        }
        if metadata.is_dir() {
            found.insert(path.clone(), None);
            find(&path, found, enters);
        } else {
            found.insert(path.clone(), Some(fs::read(&path).unwrap()));
        }
    }
}

/// Writes a file as of [`WRITTEN`], with the folders above it.
///
/// # Panics
/// If it cannot be written.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let file = fs::File::open(path).unwrap();
    let written = Duration::from_millis(WRITTEN.0.unsigned_abs());
    file.set_modified(SystemTime::UNIX_EPOCH + written).unwrap();
}

/// The inode of a file or folder, as a manifest has it.
///
/// # Panics
/// A path at which there is nothing.
#[must_use]
pub fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

/// Checks that an error is one that people can look up.
///
/// # Panics
/// If it is not.
pub fn known(error: &Error) {
    assert!(Error::CODES.contains(&error.code()), "{error}");
    assert_ne!(error.code(), "internal", "{error}");
    assert!(!error.to_string().is_empty());
}

/// What a call returned; `None` if it returned a known error.
pub fn given<T>(result: dalsegno::Result<T>) -> Option<T> {
    result.map_err(|error| known(&error)).ok()
}
