//! Opening the folders of a walk.
//!
//! The kernel looks at every component of a path, so a folder is opened by its name alone where the
//! one around it is open still. Not many are kept open for that: a tree may be deeper than there
//! are descriptors.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use crate::store::base::Base;
use crate::store::dirs::open_folder;

/// Folders that are kept open at once, about.
const MOST_KEPT: usize = 32;

/// A folder to open.
pub(crate) struct FolderRef {
    /// Relative to the base directory.
    pub(crate) path: PathBuf,
    parent: Option<Arc<FolderHandle>>,
}

impl FolderRef {
    pub(crate) fn below_base(path: PathBuf) -> Self {
        Self { path, parent: None }
    }
}

/// A folder that stays open for those in it.
pub(crate) struct FolderHandle {
    pub(crate) fd: OwnedFd,
    _one_of: Arc<()>,
}

/// The folders of one walk.
pub(crate) struct FolderHandles<'a> {
    base: &'a Base,
    /// One reference for each folder that is kept, and this one.
    kept: Arc<()>,
}

impl<'a> FolderHandles<'a> {
    pub(crate) fn below(base: &'a Base) -> Self {
        Self {
            base,
            kept: Arc::default(),
        }
    }

    /// Opens a folder; its last component is never followed.
    pub(crate) fn open(&self, place: &FolderRef) -> Result<OwnedFd, Errno> {
        let path = place.path.as_os_str().as_bytes();
        match (&place.parent, path) {
            (_, []) => open_folder(self.base.as_fd(), "."),
            (Some(parent), _) => {
                let name = path.rsplit(|&byte| byte == b'/').next();
                open_folder(&parent.fd, name.unwrap_or(path))
            }
            (None, _) => open_folder(self.base.as_fd(), path),
        }
    }

    /// Keeps a folder open for those in it.
    pub(crate) fn keep(&self, fd: OwnedFd) -> Arc<FolderHandle> {
        Arc::new(FolderHandle {
            fd,
            _one_of: Arc::clone(&self.kept),
        })
    }

    /// The place of a folder in one that is open.
    pub(crate) fn place(&self, path: PathBuf, parent: &Arc<FolderHandle>) -> FolderRef {
        let may_keep = Arc::strong_count(&self.kept) <= MOST_KEPT;
        FolderRef {
            path,
            parent: may_keep.then(|| Arc::clone(parent)),
        }
    }
}
