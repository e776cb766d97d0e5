//! Whether a purge may unlink, found out before it begins.

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::claims::Claims;
use super::report::INNER_REGISTRY;
use crate::store::dirs::{holds_registry, may_empty, may_have_folders, open_folder};
use crate::store::error::StorageError;
use crate::store::trash::{Claim, Intent, ManifestItems, NOTES, TrashFolder};

/// Most folders that are looked at: about what a second allows over a network.
const MOST_FOLDERS: usize = 2_000;
/// Folders below each other that are looked at; each stays open.
const MOST_DEPTH: usize = 16;

/// Checks that this process, and everyone who may have put it there, may unlink what is in the
/// folder of a removal. Changes nothing. Of a large removal some thousand folders are looked at.
///
/// # Errors
/// [`StorageError::Untrusted`], or [`StorageError::Io`] that names the folder.
pub fn check_purge(
    folder: &TrashFolder,
    manifest: Option<&ManifestItems>,
) -> Result<(), StorageError> {
    let claims = Claims::new(folder, manifest);
    let mut check = Check {
        trash: &folder.path,
        left: MOST_FOLDERS,
    };
    let root = open_folder(&folder.fd, ".")
        .map_err(|errno| StorageError::io("opening", &folder.path, errno))?;
    check.access(&root, &folder.path)?;
    check.each(&root, &folder.path, &mut |check, name| {
        if NOTES.iter().any(|note| note.as_bytes() == name.to_bytes()) {
            return Ok(());
        }
        let claim = claims.of_item(name)?;
        check.folder(&root, name, &folder.path, MOST_DEPTH, &claim)
    })
}

struct Check<'a> {
    trash: &'a Path,
    left: usize,
}

impl Check<'_> {
    /// Checks a name of a folder; a file needs nothing but its folder.
    fn folder(
        &mut self,
        parent: &OwnedFd,
        name: &CStr,
        path: &Path,
        depth: usize,
        claim: &Claim,
    ) -> Result<(), StorageError> {
        let path = path.join(&*name.to_string_lossy());
        let folder = match open_folder(parent, name) {
            Ok(folder) => folder,
            // No folder, or none any more: nothing in it needs a permission.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) => return Ok(()),
            Err(errno) => return Err(StorageError::io("emptying", &path, errno)),
        };
        self.left = self.left.saturating_sub(1);
        claim.check(folder.as_fd(), Intent::Unlink, &path, self.trash)?;
        self.access(&folder, &path)?;
        let stat = fstat(&folder).map_err(|errno| StorageError::io("reading", &path, errno))?;
        if !may_have_folders(&stat) || depth == 0 {
            return Ok(());
        }
        if holds_registry(&folder) {
            let reason = std::io::Error::other(INNER_REGISTRY);
            return Err(StorageError::io("emptying", &path, reason));
        }
        let inner =
            open_folder(&folder, ".").map_err(|errno| StorageError::io("opening", &path, errno))?;
        self.each(&folder, &path, &mut |check, name| {
            check.folder(&inner, name, &path, depth - 1, claim)
        })
    }

    /// Calls `look` with each name that may be a folder's.
    fn each(
        &mut self,
        folder: &OwnedFd,
        path: &Path,
        look: &mut dyn FnMut(&mut Self, &CStr) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let reading = |errno| StorageError::io("reading", path, errno);
        let fd = open_folder(folder, ".").map_err(reading)?;
        for entry in rustix::fs::Dir::new(fd).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            // Enough was looked at; the purge itself meets the rest.
            if self.left == 0 {
                return Ok(());
            }
            let is_folder = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if is_folder && !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                look(self, entry.file_name())?;
            }
        }
        Ok(())
    }

    /// Checks that this process may unlink in a folder. An empty one needs no permission.
    fn access(&self, folder: &OwnedFd, path: &Path) -> Result<(), StorageError> {
        may_empty(folder, self.left).map_err(|errno| StorageError::io("emptying", path, errno))
    }
}
