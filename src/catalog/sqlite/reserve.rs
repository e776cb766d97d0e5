//! The reserve: a file beside the catalog that is given up when a full disk would refuse even a
//! removal, because the WAL must grow. It is made with the registry, and again when there is space.
//!
//! Opening for writing needs some room too, for SQLite's index of the WAL: a slice is cut off the
//! reserve for that, so that the first to open does not leave a removal without any.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Bytes of the reserve: room for the WAL of a removal of some thousand artifacts.
const BYTES: u64 = 4 << 20;
/// Bytes that opening needs.
const SLICE: u64 = 256 << 10;

fn path_of(catalog: &Path) -> PathBuf {
    let mut name = catalog.as_os_str().to_owned();
    name.push(".reserve");
    name.into()
}

/// Gives a slice of a catalog's reserve back to the file system. Says whether there was one.
pub(in crate::catalog) fn give_up_slice(catalog: &Path) -> bool {
    let cut = || -> std::io::Result<bool> {
        let reserve = OpenOptions::new().write(true).open(path_of(catalog))?;
        let left = reserve.metadata()?.len().checked_sub(SLICE);
        left.map_or(Ok(false), |left| reserve.set_len(left).map(|()| true))
    };
    cut().unwrap_or(false)
}

/// Makes the reserve of a catalog, or what is missing of it.
pub(in crate::catalog) fn keep(catalog: &Path) {
    let path = path_of(catalog);
    let length = path.symlink_metadata().map_or(0, |found| found.len());
    if length >= BYTES {
        return;
    }
    let opened = OpenOptions::new().append(true).create(true).open(&path);
    let Ok(mut reserve) = opened else { return };
    // Written, not only sized: blocks that are not there cannot be given back.
    let missing = usize::try_from(BYTES - length).unwrap_or_default();
    let written = reserve
        .write_all(&vec![0x5A; missing])
        .and_then(|()| reserve.sync_all());
    match written {
        Ok(()) => {}
        Err(_) if length == 0 => drop(std::fs::remove_file(&path)),
        Err(_) => drop(reserve.set_len(length)),
    }
}

/// Gives the reserve of a catalog back to the file system. Says whether there was one.
pub(in crate::catalog) fn give_up(catalog: &Path) -> bool {
    std::fs::remove_file(path_of(catalog)).is_ok()
}
