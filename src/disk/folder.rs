//! A folder that is held open.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, openat, statat, unlinkat};
use rustix::io::Errno;

use crate::model::name::REGISTRY_DIR;

/// A folder that is held open, and the path that messages call it by.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder. Links lead to it as far as the user's own path goes; the registry's folder,
    /// and what is below it, is not one itself.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let names: Vec<_> = path.components().collect();
        let is_registry = |name: &Component<'_>| name.as_os_str() == REGISTRY_DIR;
        // From here on members of the group may have put links in the way.
        let own = names.iter().rposition(is_registry).unwrap_or(names.len());
        let outer: PathBuf = names[..own].iter().collect();
        let outer = if own == 0 { Path::new(".") } else { &outer };
        let mut fd = open_at(CWD, outer, OFlags::empty())?;
        for name in &names[own..] {
            fd = open_at(fd.as_fd(), name.as_os_str(), OFlags::NOFOLLOW)?;
        }
        let path = path.to_owned();
        Ok(Self { fd, path })
    }

    /// Opens a folder in this one, never through a link.
    pub(crate) fn open_in(&self, name: &OsStr) -> io::Result<Self> {
        let fd = open_at(self.fd.as_fd(), name, OFlags::NOFOLLOW)?;
        let path = self.path.join(name);
        Ok(Self { fd, path })
    }

    /// A second descriptor of the same folder.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let fd = self.fd.try_clone()?;
        let path = self.path.clone();
        Ok(Self { fd, path })
    }

    /// The path that messages call it by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is at a name; `None` if nothing is.
    pub(crate) fn stat(&self, name: impl rustix::path::Arg) -> io::Result<Option<Stat>> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Unlinks a file, or a link itself; false if nothing has that name.
    pub(crate) fn unlink(&self, name: impl rustix::path::Arg) -> io::Result<bool> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Syncs it, so that the names in it survive a power cut.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

fn open_at(
    parent: BorrowedFd<'_>,
    name: impl rustix::path::Arg + Copy,
    follow: OFlags,
) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | follow;
    match openat(parent, name, flags, Mode::empty()) {
        // A folder may be entered that may not be listed.
        Err(Errno::ACCESS) => Ok(openat(parent, name, flags | OFlags::PATH, Mode::empty())?),
        Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
        opened => Ok(opened?),
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
