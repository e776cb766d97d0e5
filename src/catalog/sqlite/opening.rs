//! How SQLite opens files in a folder where others may exchange them.
//!
//! SQLite opens by path: the catalog, and beside it `-wal`, `-shm` and `-journal`. It gets the path
//! that the open folder of a [`Place`] has now, and refuses a link in any part of it: the last part
//! is opened with `O_NOFOLLOW`, so a link in the place of a file is never followed, whenever it
//! comes. What `O_NOFOLLOW` does not see is looked at before the files are opened, and again when
//! they are open and nothing is written yet: that the folder and the catalog are still the same, and
//! that each file is a regular one and, if it is written, has no second name.
//!
//! Between the two looks, for some microseconds, another user may exchange the folder and put it
//! back. docs/src/security.md says what that allows.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FileType, Stat};

use super::place::Place;
use crate::catalog::error::CatalogError;

/// What SQLite keeps beside a database.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Opens a database. [`confirm`] is to follow once its header was read.
///
/// # Errors
/// [`CatalogError::NotAFile`] if one of its files is something else.
pub(super) fn open(place: &Place, flags: OpenFlags) -> Result<Connection, CatalogError> {
    check_files(place, flags)?;
    Connection::open_with_flags(place.real_path()?, with_defaults(flags))
        .map_err(|error| CatalogError::sql("opening", place.path(), error))
}

/// Opens a database as a file that no process changes. SQLite opens nothing beside it.
pub(super) fn open_immutable(place: &Place) -> Result<Connection, CatalogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = immutable_uri(&place.real_path()?);
    Connection::open_with_flags(uri, with_defaults(flags))
        .map_err(|error| CatalogError::sql("opening", place.path(), error))
}

fn with_defaults(flags: OpenFlags) -> OpenFlags {
    flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW
}

/// Checks that what was opened is what was looked at.
///
/// # Errors
/// [`CatalogError::Replaced`] if another file is in its place, [`CatalogError::NotAFile`] as
/// [`open`].
pub(super) fn confirm(place: &Place, flags: OpenFlags) -> Result<(), CatalogError> {
    use std::os::unix::fs::MetadataExt;
    check_files(place, flags)?;
    let io = |error| CatalogError::io("reading", place.path(), error);
    let held = place.stat("").map_err(io)?;
    let found = place.real_path()?.symlink_metadata();
    let is_same = |held: Stat| {
        found.is_ok_and(|found| (found.dev(), found.ino()) == (held.st_dev, held.st_ino))
    };
    match held.is_some_and(is_same) {
        true => Ok(()),
        false => Err(CatalogError::Replaced {
            path: place.path().to_owned(),
        }),
    }
}

/// Refuses links, folders, FIFOs and devices in the place of what SQLite opens, and a second name of
/// what it writes.
fn check_files(place: &Place, flags: OpenFlags) -> Result<(), CatalogError> {
    let writes = flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE);
    for suffix in [""].into_iter().chain(BESIDE) {
        let path = || place.path().with_file_name(place.beside(suffix));
        let found = place
            .stat(suffix)
            .map_err(|error| CatalogError::io("reading", &path(), error))?;
        let Some(stat) = found else { continue };
        // Readers write the index of the log too.
        let is_written = writes || suffix == "-shm";
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if is_written && stat.st_nlink > 1 => "a file with a second name",
            FileType::RegularFile => continue,
            FileType::Symlink => "a symbolic link",
            FileType::Directory => "a folder",
            _ => "a special file",
        };
        return Err(CatalogError::NotAFile {
            path: path(),
            found,
        });
    }
    Ok(())
}

/// `file:` URI of an absolute path; what a URI gives a meaning to is escaped.
fn immutable_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    for &byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_keeps_no_character_that_means_something() {
        assert_eq!(
            immutable_uri(Path::new("/a b/c?d#e%f/ü")),
            "file:/a%20b/c%3Fd%23e%25f/%C3%BC?immutable=1"
        );
    }
}
