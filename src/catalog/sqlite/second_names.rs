//! Second names of the files beside a catalog.
//!
//! A rebuild gives the log of the old catalog a second name before it takes the first one away. If
//! it is killed in between, the log has two, and a file with two names is not written (see
//! `opening`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::Dir;

use super::place::Place;

/// The names that a killed rebuild left to files beside a catalog.
pub(super) fn find(place: &Place) -> Vec<OsString> {
    let mut found = Vec::new();
    for suffix in ["-wal", "-shm", "-journal"] {
        let Ok(Some(own)) = place.stat(suffix) else {
            continue;
        };
        // One name, its own: nothing is left of a rebuild.
        if own.st_nlink < 2 {
            continue;
        }
        let begins = place.beside(".damaged-");
        for entry in Dir::read_from(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            // Only a name that a rebuild gives: another second name is of another program.
            let is_aside = name.to_bytes().starts_with(begins.as_bytes())
                && name.to_bytes().ends_with(suffix.as_bytes());
            let is_same =
                |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino) == (own.st_dev, own.st_ino);
            if is_aside
                && place
                    .folder()
                    .stat(name)
                    .ok()
                    .flatten()
                    .is_some_and(is_same)
            {
                found.push(std::ffi::OsStr::from_bytes(name.to_bytes()).to_owned());
            }
        }
    }
    found
}

/// Takes these names away: the files keep their own. The caller holds the turn to write, so no
/// rebuild is at work.
pub(super) fn remove(place: &Place, names: &[OsString]) {
    for name in names {
        let _ = place.folder().unlink(name.as_os_str());
    }
}
