//! Room for SQLite's index of the log, the `-shm` file, on file systems with small blocks.
//!
//! SQLite makes the index larger by one byte in each 4 KiB and then writes to it through a mapping.
//! If a block of the file system has less than 4 KiB, the rest of the 4 KiB is a hole, and a write
//! to a hole on a full disk ends the process with SIGBUS. So nothing is opened there without room
//! for the whole index, and its holes are filled as soon as SQLite has it open.
//!
//! # Locks
//! SQLite's locks on the index belong to the process and its file: when any descriptor of the file
//! is closed, all of them are gone. A descriptor that filled an index is therefore held until this
//! process has no connection to that catalog any more.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, fstatvfs, openat};
use rustix::io::Errno;

use super::fork::{FileId, Registration};
use super::place::Place;
use crate::catalog::error::CatalogError;
use crate::disk::{Access, open_file};

/// Bytes that SQLite writes to for each byte by which it makes the index larger.
const PAGE: u64 = 4096;
/// Bytes of an index for a log of 64 MiB. SQLite makes one of a quarter of that, and makes it
/// larger within a change, when its holes cannot be filled any more.
const BYTES: u64 = 128 << 10;
/// Bytes without which nothing is opened: for the index, and the folders and inodes around it.
const ROOM: usize = 192 << 10;
const SUFFIX: &str = "-shm";
/// Bytes of the index that SQLite locks; the last one for as long as a connection is open.
const LOCKS: std::ops::Range<libc::off_t> = 120..129;

/// Indexes that were filled, and how many connections hold them.
type Indexes = (Vec<OwnedFd>, usize);

/// What is held, by catalog.
static HELD: Mutex<Option<HashMap<FileId, Indexes>>> = Mutex::new(None);

/// Whether to open the catalog could end this process: its index has holes, and no room for them.
pub(super) fn is_unsafe(place: &Place) -> bool {
    has_holes(place) && !is_filled(place) && lacks_room(place)
}

/// Whether the index of a catalog would have holes.
fn has_holes(place: &Place) -> bool {
    fstatvfs(place.folder()).is_ok_and(|found| (1..PAGE).contains(&found.f_frsize))
}

/// Whether the index is there already, without a hole.
fn is_filled(place: &Place) -> bool {
    place.stat(SUFFIX).is_ok_and(|found| {
        found.is_some_and(|stat| {
            let bytes = u64::try_from(stat.st_size).unwrap_or_default();
            let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
            bytes >= BYTES && blocks.saturating_mul(512) >= bytes
        })
    })
}

/// Whether the disk has no room for an index. Asked by writing: some file systems count blocks as
/// free that they do not give.
pub(super) fn lacks_room(place: &Place) -> bool {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let is_full = |errno| matches!(errno, Errno::NOSPC | Errno::DQUOT);
    // The file has no name and is gone when it is closed.
    let file = match openat(place.folder(), ".", flags, Mode::from_raw_mode(0o600)) {
        Ok(file) => file,
        Err(errno) => return is_full(errno),
    };
    match fallocate(&file, FallocateFlags::empty(), 0, ROOM as u64) {
        Ok(()) => return false,
        Err(errno) if is_full(errno) => return true,
        Err(_) => {}
    }
    let written = File::from(file).write_all(&[0; ROOM]);
    written.is_err_and(|error| Errno::from_io_error(&error).is_some_and(is_full))
}

/// Whether a process may have the catalog open: each that has it open holds a lock on the index. A
/// process that a full disk kept from closing it leaves the index behind, and no lock.
pub(super) fn is_in_use(place: &Place, registration: &Registration) -> bool {
    match place.stat(SUFFIX) {
        Ok(None) => return false,
        // Closing the index drops all locks of this process on it, which other handles need.
        Ok(Some(_)) if registration.is_only() => {}
        _ => return true,
    }
    let Ok(index) = open_file(place, place.beside(SUFFIX), Access::Read) else {
        return true;
    };
    let mut lock = libc::flock {
        l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
        l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: LOCKS.start,
        l_len: LOCKS.end - LOCKS.start,
        l_pid: 0,
    };
    let asked = fcntl(&index, FcntlArg::F_GETLK(&mut lock));
    asked.is_err() || i32::from(lock.l_type) != libc::F_UNLCK
}

/// Holds the index of a catalog, for as long as a connection is open.
#[derive(Debug)]
pub(super) struct HeldIndex(FileId);

impl HeldIndex {
    /// Fills the holes of the index that a connection has just opened; `None` if it has none.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if the disk has no room for it.
    pub(super) fn fill(place: &Place) -> Result<Option<Self>, CatalogError> {
        if !has_holes(place) {
            return Ok(None);
        }
        let (Ok(Some(catalog)), Ok(Some(index))) = (place.stat(""), place.stat(SUFFIX)) else {
            return Ok(None);
        };
        let id = (catalog.st_dev, catalog.st_ino);
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, count) = held.get_or_insert_default().entry(id).or_default();
        let is_same = |file: &OwnedFd| {
            fstat(file)
                .is_ok_and(|found| (found.st_dev, found.st_ino) == (index.st_dev, index.st_ino))
        };
        if !files.iter().any(is_same) {
            // A reader without the right to write makes no index larger.
            if let Ok(file) = open_file(place, place.beside(SUFFIX), Access::Write) {
                files.push(file);
            }
        }
        // From here on the count keeps the files open, whatever comes of it.
        *count += 1;
        let of_connection = Self(id);
        let file = files.iter().find(|file| is_same(file));
        let filled = file.map(|file| fallocate(file, FallocateFlags::empty(), 0, BYTES));
        drop(held);
        match filled {
            Some(Err(Errno::NOSPC | Errno::DQUOT)) => Err(CatalogError::full(place.path())),
            // A file system that cannot allocate has no such holes, or they stay.
            _ => Ok(Some(of_connection)),
        }
    }
}

impl Drop for HeldIndex {
    fn drop(&mut self) {
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = held.as_mut() else { return };
        if let Some((_, count)) = all.get_mut(&self.0) {
            *count -= 1;
            // Closed under the lock, so that no other connection is just being opened.
            if *count == 0 {
                all.remove(&self.0);
            }
        }
    }
}
