//! What lies below metadata that cannot be read: an array's chunks, or the arrays of a group.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use super::marker::{GROUP_METADATA, is_marker};
use crate::model::layout;
use crate::store::dirs::{is_unlinked, open_folder};

/// Folders below each other that are read.
const MOST_DEPTH: usize = 32;
/// Entries that are read; below more, a group is not excluded.
const MOST_ENTRIES: usize = 100_000;

/// Whether the folder `path` below `parent`, whose metadata may be that of an array or a group, is
/// an array: nothing below it has metadata, and it has chunks or lies where the layout has an
/// array. `at`: its path relative to the base directory.
pub(super) fn is_array(parent: BorrowedFd<'_>, path: &Path, at: &Path) -> bool {
    let Ok(folder) = open_folder(parent, path) else {
        return false;
    };
    let mut below = Below::default();
    // What could not be read may hold arrays.
    let is_known = below.read(&folder, 0, true).is_ok();
    let is_expected = at.to_str().is_some_and(layout::is_place_of_array);
    is_known && !below.has_metadata && (is_expected || below.has_chunks)
}

#[derive(Default)]
struct Below {
    has_metadata: bool,
    has_chunks: bool,
    entries: usize,
}

impl Below {
    /// Reads a folder and what is below it, up to the first metadata. `may_be_chunks`: whether
    /// the folders on the way are called like those of chunks.
    fn read(&mut self, folder: &OwnedFd, depth: usize, may_be_chunks: bool) -> Result<(), Errno> {
        let mut folders = Vec::new();
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || is_unlinked(name) {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES || depth > MOST_DEPTH {
                return Err(Errno::TOOBIG);
            }
            // The folder's own file is what could not be read; arrays have `.zattrs` too.
            let is_metadata = match depth {
                0 if is_marker(name) => continue,
                0 => name == b".zgroup" || name == b".zmetadata",
                _ => is_marker(name) || GROUP_METADATA.iter().any(|it| it.as_bytes() == name),
            };
            if is_metadata {
                self.has_metadata = true;
                return Ok(());
            }
            let is_chunk = may_be_chunks && is_chunk_name(name, depth);
            match entry.file_type() {
                // If the type is unknown, opening it shows whether it is a folder.
                FileType::Directory | FileType::Unknown => {
                    folders.push((entry.file_name().to_owned(), is_chunk));
                }
                _ => self.has_chunks |= is_chunk,
            }
        }
        for (name, is_chunk) in folders {
            match open_folder(folder.as_fd(), name.as_c_str()) {
                Ok(inner) => self.read(&inner, depth + 1, is_chunk)?,
                Err(Errno::NOTDIR) => self.has_chunks |= is_chunk,
                Err(Errno::NOENT | Errno::LOOP) => {}
                Err(errno) => return Err(errno),
            }
            if self.has_metadata {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether a file or folder of an array's chunks may have this name: numbers with dots between
/// them, in zarr 3 behind a `c`.
fn is_chunk_name(name: &[u8], depth: usize) -> bool {
    let name = match name.strip_prefix(b"c") {
        Some(b"") => return depth == 0,
        Some(rest) if depth == 0 => match rest.strip_prefix(b".") {
            Some(rest) => rest,
            None => return false,
        },
        _ => name,
    };
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    name.split(|byte| *byte == b'.').all(is_number)
}
