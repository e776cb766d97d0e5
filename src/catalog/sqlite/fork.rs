//! Which catalogs this process has open, so that a forked child can tell.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::place::Place;
use crate::catalog::error::CatalogError;

/// Device and inode of a catalog.
pub(super) type FileId = (u64, u64);

/// Open handles by file, with the process that opened them.
static OPEN: Mutex<Option<HashMap<FileId, (u32, usize)>>> = Mutex::new(None);

/// Says that a handle is open, until it is dropped.
pub(in crate::catalog) struct Registration {
    file: FileId,
    pid: u32,
}

impl Registration {
    /// Registers a handle.
    ///
    /// # Errors
    /// [`CatalogError::Forked`] if the file was opened before a fork and is still open.
    pub(in crate::catalog) fn new(place: &Place) -> Result<Self, CatalogError> {
        let path = place.path();
        let stat = place
            .stat("")
            .map_err(|error| CatalogError::io("reading", path, error))?
            .ok_or_else(|| CatalogError::Missing {
                path: path.to_owned(),
            })?;
        let file = (stat.st_dev, stat.st_ino);
        let pid = std::process::id();
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = open.get_or_insert_default().entry(file).or_insert((pid, 0));
        // The fork copied an entry of the parent.
        if handles.0 != pid {
            return Err(CatalogError::Forked {
                path: path.to_owned(),
            });
        }
        handles.1 += 1;
        Ok(Self { file, pid })
    }

    /// Whether the file that the handle was opened for is still at its path.
    pub(in crate::catalog) fn is_at(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file)
    }

    /// Whether this process has no other handle of the catalog.
    pub(in crate::catalog) fn is_only(&self) -> bool {
        let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = open.as_ref().and_then(|all| all.get(&self.file));
        handles.is_none_or(|handles| handles.1 <= 1)
    }

    pub(in crate::catalog) fn is_forked(&self) -> bool {
        self.pid != std::process::id()
    }

    /// Refuses the use of a handle in a forked child.
    pub(in crate::catalog) fn check(&self, path: &Path) -> Result<(), CatalogError> {
        if self.is_forked() {
            return Err(CatalogError::Forked {
                path: path.to_owned(),
            });
        }
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // The entry stays, so that the child goes on refusing to open the file.
        if self.is_forked() {
            return;
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(all) = open.as_mut()
            && let Some(handles) = all.get_mut(&self.file)
        {
            handles.1 -= 1;
            if handles.1 == 0 {
                // With the last handle: a child that is forked from now on may open the file.
                all.remove(&self.file);
            }
        }
    }
}
