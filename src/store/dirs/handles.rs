//! Opening the folders of a walk.
//!
//! The kernel looks up every component of a path. So a folder is opened by its name alone if its
//! parent is still open. Few folders are kept open for that: a tree may be deeper than the process
//! has descriptors.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use crate::store::base::Base;
use crate::store::dirs::open_folder;

/// About how many folders are kept open at once.
const MOST_KEPT: usize = 32;

/// A folder that is not open yet.
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

/// A folder that stays open for its subfolders.
pub(crate) struct FolderHandle {
    pub(crate) fd: OwnedFd,
    _counted: Arc<()>,
}

/// Opens the folders of one walk and counts those that are kept open.
pub(crate) struct FolderHandles<'a> {
    base: &'a Base,
    /// Its reference count is the number of folders that are kept open, plus this one.
    kept: Arc<()>,
}

impl<'a> FolderHandles<'a> {
    pub(crate) fn below(base: &'a Base) -> Self {
        Self {
            base,
            kept: Arc::default(),
        }
    }

    /// Opens a folder, never through a symbolic link.
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

    /// Keeps a folder open for its subfolders.
    pub(crate) fn keep(&self, fd: OwnedFd) -> Arc<FolderHandle> {
        Arc::new(FolderHandle {
            fd,
            _counted: Arc::clone(&self.kept),
        })
    }

    /// Refers to a subfolder of an open folder.
    pub(crate) fn subfolder(&self, path: PathBuf, parent: &Arc<FolderHandle>) -> FolderRef {
        // Beyond the bound a subfolder is opened by its whole path, which takes longer.
        let may_keep = Arc::strong_count(&self.kept) <= MOST_KEPT;
        FolderRef {
            path,
            parent: may_keep.then(|| Arc::clone(parent)),
        }
    }
}
