//! The folders of a tree that is being unlinked, each held open by its descriptor.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::store::trash::Claim;

/// A folder that is being emptied.
pub(super) struct Dir {
    /// `None` for the removal's own folder, which stays.
    pub(super) parent: Option<Arc<Dir>>,
    pub(super) name: CString,
    pub(super) fd: OwnedFd,
    /// Who may have put the item into the trash that this is, or is in.
    pub(super) claim: Arc<Claim>,
    /// How often it was emptied before and had something in it again.
    pub(super) rounds: u32,
    /// Tasks that the folder waits for: reading it, unlinking its files, its subfolders.
    open: AtomicUsize,
    has_failed: AtomicBool,
}

impl Dir {
    /// A folder with one task, reading it.
    pub(super) fn new(
        parent: Option<Arc<Dir>>,
        name: CString,
        fd: OwnedFd,
        claim: Arc<Claim>,
        rounds: u32,
    ) -> Self {
        Self {
            parent,
            name,
            fd,
            claim,
            rounds,
            open: AtomicUsize::new(1),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Adds a task, before an earlier one ends.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends a task. Whether it was the last: then the folder is empty, unless something failed.
    pub(super) fn end(&self) -> bool {
        // AcqRel: the last task sees what failed in all others.
        self.open.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Notes that something in the folder stays, and so the folder does.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// The item that this folder is in: the one below the removal's own folder.
    pub(super) fn item(self: &Arc<Self>) -> Arc<Self> {
        let mut dir = Arc::clone(self);
        while let Some(parent) = dir.parent.clone().filter(|parent| parent.parent.is_some()) {
            dir = parent;
        }
        dir
    }

    /// The path of a name in this folder; `root` is that of the removal's own folder.
    pub(super) fn path_of(&self, root: &Path, name: &CStr) -> PathBuf {
        let mut names = vec![name];
        let mut dir = self;
        while let Some(parent) = &dir.parent {
            names.push(&dir.name);
            dir = parent;
        }
        let names = names.into_iter().rev();
        let mut path = root.to_owned();
        path.extend(names.map(|name| OsStr::from_bytes(name.to_bytes())));
        path
    }
}
