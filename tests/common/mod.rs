//! What the tests of the library share.

use std::fs;
use std::path::Path;

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::{Options, Registry};

/// The present moment of every test.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// The files of [`write_array`], relative to the array, with their contents.
pub(crate) const ARRAY_FILES: [(&str, &str); 3] = [
    (
        ".zarray",
        r#"{"chunks":[2],"compressor":null,"dtype":"|u1","fill_value":0,"filters":null,"order":"C","shape":[2],"zarr_format":2}"#,
    ),
    (".zattrs", "{}"),
    ("0/0/0", "xx"),
];

/// Opens the registry of a base directory, or makes one, with a fixed clock.
pub(crate) fn create(base: &Path) -> Registry {
    let (registry, _) = Options::new().clock(FixedClock(NOW)).create(base).unwrap();
    registry
}

/// Writes a zarr array whose chunk folders are called like iterations.
pub(crate) fn write_array(path: &Path) {
    fs::create_dir_all(path.join("0/0")).unwrap();
    for (file, text) in ARRAY_FILES {
        fs::write(path.join(file), text).unwrap();
    }
}
