//! Which catalogs this process has open, so that a forked child can tell.
//!
//! For one that is written a descriptor of the file is held too. SQLite goes on from its cache and
//! its log while another program overwrites the file, and by the descriptor that is noticed.
//!
//! # Locks
//! Closing any descriptor of the file drops all locks that this process has on it. So it is opened
//! once, and closed with the last handle.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::place::Place;
use crate::catalog::error::CatalogError;

/// Device and inode of a catalog.
pub(super) type FileId = (u64, u64);

/// What every file of SQLite's begins with.
pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The open handles of a file.
struct Handles {
    /// The process that opened them.
    pid: u32,
    count: usize,
    /// The file, if one of them writes it.
    held: Option<Arc<File>>,
}

/// Open handles by file.
static OPEN: Mutex<Option<HashMap<FileId, Handles>>> = Mutex::new(None);

/// Says that a handle is open, until it is dropped.
pub(in crate::catalog) struct Registration {
    file: FileId,
    pid: u32,
    /// The file, if the handle writes it.
    held: Option<Arc<File>>,
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
        let new = || Handles {
            pid,
            count: 0,
            held: None,
        };
        let handles = open.get_or_insert_default().entry(file).or_insert_with(new);
        // The fork copied an entry of the parent.
        if handles.pid != pid {
            return Err(CatalogError::Forked {
                path: path.to_owned(),
            });
        }
        handles.count += 1;
        let held = None;
        Ok(Self { file, pid, held })
    }

    /// Holds the file open, for [`Registration::require_header`]. If it cannot be opened, nothing is
    /// held: SQLite then says what is wrong with it.
    pub(in crate::catalog) fn hold(&mut self, place: &Place) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let handles = open.as_mut().and_then(|all| all.get_mut(&self.file));
        let Some(handles) = handles else { return };
        if handles.held.is_none()
            && let Ok(file) = place.open_beside("")
        {
            let found = file.metadata();
            match found.is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
                true => handles.held = Some(Arc::new(file)),
                // Another file by now, which another handle may have locked: it stays open.
                false => std::mem::forget(file),
            }
        }
        self.held.clone_from(&handles.held);
    }

    /// Refuses a file that does not begin as SQLite's do any more: what is committed to its log
    /// would be read by no program that opens it from now on.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`]; [`CatalogError::Io`] if the file cannot be read.
    pub(in crate::catalog) fn require_header(&self, path: &Path) -> Result<(), CatalogError> {
        let Some(file) = &self.held else {
            return Ok(());
        };
        let mut found = [0; MAGIC.len()];
        match file.read_exact_at(&mut found, 0) {
            Ok(()) if found == *MAGIC => Ok(()),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                Err(CatalogError::io("reading", path, error))
            }
            _ => Err(CatalogError::Damaged {
                path: path.to_owned(),
                detail: "the header of the file was overwritten while it was open".to_owned(),
            }),
        }
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
        handles.is_none_or(|handles| handles.count <= 1)
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
            handles.count -= 1;
            if handles.count == 0 {
                // With the last handle: a child that is forked from now on may open the file. The
                // descriptor is closed under the lock, before another handle opens the file.
                self.held = None;
                all.remove(&self.file);
            }
        }
    }
}
