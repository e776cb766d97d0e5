//! The reserve: a file beside the catalog that is given up when a full disk would refuse even a
//! removal, because the WAL must grow. It is made with the registry, and again when there is space;
//! on a small disk it is smaller, so that it does not take what a removal has freed.
//!
//! It is given up in slices, and the step that had no room is tried again after each: opening, a
//! look at the data, the removal, the purge. A training that goes on fills what one of them gives
//! back, so no step takes more than it needs. Commands that free no space open without it
//! ([`CatalogOptions::spares_reserve`]).
//!
//! [`CatalogOptions::spares_reserve`]: super::options::CatalogOptions::spares_reserve
//!
//! A file that is not a regular one, or has a second name, is not used as a reserve: another
//! program may have made it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::fstatvfs;

use super::place::Place;
use crate::disk::{Access, make_file, open_file};

/// Most bytes of the reserve: room for the WAL of a removal of some thousand artifacts.
const BYTES: u64 = 4 << 20;
/// The reserve takes at most this part of the file system.
const PART: u64 = 16;
/// Bytes that are given up at a time: what opening needs.
const SLICE: u64 = 256 << 10;
/// What the name of a reserve ends in, behind that of its catalog.
pub(super) const SUFFIX: &str = ".reserve";

fn open(catalog: &Place) -> io::Result<File> {
    open_file(catalog, catalog.beside(SUFFIX), Access::Write).map(File::from)
}

/// Whether the catalog at this path has a reserve with which a removal can open it.
pub(in crate::catalog) fn is_left(catalog: &Path) -> bool {
    let found = Place::of(catalog).map(|place| place.stat(SUFFIX));
    found.is_ok_and(|found| {
        let stat = found.ok().flatten();
        stat.is_some_and(|stat| u64::try_from(stat.st_size).is_ok_and(|bytes| bytes >= SLICE))
    })
}

/// How much of a reserve a step may use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// All of it: nothing is freed without the step.
    All,
    /// Half of a whole one: the rest is for the removal that comes afterwards.
    Half,
}

/// Gives slices of a catalog's reserve back to the file system. Says whether there was anything
/// left of the share.
pub(in crate::catalog) fn give_up(catalog: &Place, slices: u64, share: Share) -> bool {
    let cut = || -> io::Result<bool> {
        let reserve = open(catalog)?;
        let length = reserve.metadata()?.len();
        let kept = match share {
            Share::All => 0,
            Share::Half => wanted(bytes_of_disk(catalog)) / 2 / SLICE * SLICE,
        };
        let left = length
            .saturating_sub(slices.saturating_mul(SLICE))
            .max(kept);
        if left >= length {
            return Ok(false);
        }
        reserve.set_len(left)?;
        // A journaling file system gives out freed blocks only after its own commit.
        reserve.sync_all()?;
        if left == 0 {
            // Its inode may be what is lacking.
            catalog.folder().unlink(catalog.beside(SUFFIX))?;
            catalog.folder().sync()?;
        }
        Ok(true)
    };
    cut().unwrap_or(false)
}

fn bytes_of_disk(catalog: &Place) -> u64 {
    fstatvfs(catalog.folder()).map_or(u64::MAX, |disk| disk.f_blocks.saturating_mul(disk.f_frsize))
}

/// Bytes of the reserve on a file system of this size. On a small one, the whole of it would take
/// all that a removal has freed.
fn wanted(disk: u64) -> u64 {
    // In whole slices: less than one helps nothing.
    let slices = disk / PART / SLICE;
    slices.saturating_mul(SLICE).min(BYTES)
}

/// Makes the reserve of a catalog, or what is missing of it.
pub(in crate::catalog) fn keep(catalog: &Place) {
    let bytes = wanted(bytes_of_disk(catalog));
    let found = catalog.stat(SUFFIX);
    let is_whole = found.is_ok_and(|found| found.is_some_and(|stat| stat.st_size as u64 >= bytes));
    if is_whole || bytes == 0 {
        return;
    }
    let reserve = match open(catalog) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make_file(catalog, catalog.beside(SUFFIX))
                .map_or_else(|errno| Err(errno.into()), |made| Ok(File::from(made)))
        }
        opened => opened,
    };
    let Ok(reserve) = reserve else { return };
    let Ok(length) = reserve.metadata().map(|found| found.len()) else {
        return;
    };
    // Written, not only sized: blocks that are not there cannot be given back.
    let missing = usize::try_from(bytes.saturating_sub(length)).unwrap_or_default();
    let written = reserve
        .write_all_at(&vec![0x5A; missing], length)
        .and_then(|()| reserve.sync_all());
    // Without room for all of it, what was there before stays.
    match written {
        Ok(()) => {}
        Err(_) if length == 0 => drop(catalog.folder().unlink(catalog.beside(SUFFIX))),
        Err(_) => drop(reserve.set_len(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_takes_a_small_part_of_a_small_disk() {
        let mib = 1 << 20;
        for (disk, bytes) in [
            (0, 0),
            (3 * mib, 0),
            (4 * mib, 256 << 10),
            (8 * mib, 512 << 10),
            (12 * mib, 768 << 10),
            (63 * mib, (4 << 20) - (256 << 10)),
            (64 * mib, 4 * mib),
            (u64::MAX, 4 * mib),
        ] {
            assert_eq!(wanted(disk), bytes, "{disk}");
        }
    }
}
