//! The base directory, held open by a descriptor.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, statat};
use rustix::io::Errno;

use super::error::StorageError;
use crate::disk::{RegistryPlace, open_below, registry_in, stat_below};

/// A base directory, held open: it is the same folder even if its path is given to another one.
#[derive(Debug)]
pub struct Base {
    path: Arc<Path>,
    fd: OwnedFd,
}

/// The absolute path of a base directory, whether it exists or not. `.` and repeated slashes go,
/// symbolic links and `..` stay as they are, as in DaCapo's paths.
///
/// # Errors
/// [`StorageError::BaseUnusable`] if it is a URL or not UTF-8: paths are given out as text.
pub fn base_path(path: &Path) -> Result<PathBuf, StorageError> {
    let unusable = |reason| StorageError::BaseUnusable {
        path: path.to_owned(),
        reason,
    };
    let text = path.to_str().ok_or_else(|| unusable("not UTF-8"))?;
    if text.contains("://") {
        return Err(unusable(
            "a URL; only local folders can be a base directory",
        ));
    }
    let path = std::path::absolute(if text.is_empty() {
        Path::new(".")
    } else {
        path
    })
    .map_err(|error| StorageError::io("finding", path, error))?;
    // Collecting the components drops `.` and repeated slashes.
    Ok(path.components().collect())
}

impl Base {
    /// Opens a base directory. A relative path is made absolute; `.` and repeated slashes go,
    /// symbolic links and `..` stay as they are, as in DaCapo's paths.
    ///
    /// # Errors
    /// - [`StorageError::BaseNotFound`], [`StorageError::BaseNotAFolder`],
    ///   [`StorageError::BaseNotReadable`] if it does not exist, is not a folder, or may not be
    ///   listed and entered.
    /// - [`StorageError::BaseUnusable`] if it is a URL or not UTF-8: paths are given out as text.
    pub fn open(path: &Path) -> Result<Self, StorageError> {
        let path = base_path(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // Opening a folder needs permission to list it; what is in it also needs permission to
        // enter.
        let enter = |fd: OwnedFd| statat(&fd, ".", AtFlags::empty()).map(|_| fd);
        let opened = rustix::fs::open(&path, flags, Mode::empty()).and_then(enter);
        let fd = opened.map_err(|errno| {
            let error = std::io::Error::from(errno);
            match error.kind() {
                ErrorKind::NotFound => StorageError::BaseNotFound { path: path.clone() },
                ErrorKind::NotADirectory => StorageError::BaseNotAFolder { path: path.clone() },
                _ => StorageError::BaseNotReadable {
                    path: path.clone(),
                    source: error,
                },
            }
        })?;
        Ok(Self {
            path: path.into(),
            fd,
        })
    }

    /// The absolute path.
    #[must_use]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Whether nothing is at `path`, relative to the base directory. False if that cannot be found
    /// out, so that unreadable data is not taken for absent; so it is behind a symbolic link.
    #[must_use]
    pub fn is_absent(&self, path: &str) -> bool {
        matches!(self.look_whether_absent(path), Ok(true))
    }

    /// As [`Base::is_absent`].
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be found out.
    pub(crate) fn look_whether_absent(&self, path: &str) -> Result<bool, StorageError> {
        match stat_below(&self.fd, path) {
            Ok(_) => Ok(false),
            // NOTDIR: a folder above is a file, so nothing can be below it.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(true),
            Err(errno) => Err(StorageError::io("reading", &self.path.join(path), errno)),
        }
    }

    /// Whether a folder, relative to the base directory, is the base directory of a registry. True
    /// if the system does not say: what may be another registry's must stay.
    #[must_use]
    pub fn has_registry(&self, folder: &Path) -> bool {
        let opened = match folder.as_os_str().is_empty() {
            true => open_below(&self.fd, ".", OFlags::PATH | OFlags::DIRECTORY),
            false => open_below(&self.fd, folder, OFlags::PATH | OFlags::DIRECTORY),
        };
        match opened.and_then(|folder| registry_in(&folder, Path::new(""))) {
            Ok(place) => place == RegistryPlace::Folder,
            // NOTDIR and LOOP: what has a registry is a folder, and nothing moves past a link. STALE:
            // another host has just deleted it.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE) => false,
            Err(_) => true,
        }
    }
}

/// Checks many paths as [`Base::is_absent`] does, faster if they come folder by folder.
///
/// The folder of the last path stays open, and the next name in it is looked up there: the kernel
/// looks up every component of a path. A folder that is moved in the meantime is still asked, so
/// the caller must hold the lock under which folders are moved.
#[derive(Debug)]
pub struct AbsenceCheck<'a> {
    base: &'a Base,
    folder: String,
    opened: Result<OwnedFd, Errno>,
}

impl<'a> AbsenceCheck<'a> {
    /// Makes a check of paths in a base directory.
    #[must_use]
    pub fn new(base: &'a Base) -> Self {
        Self {
            base,
            // Until the first path nothing counts as absent.
            folder: String::new(),
            opened: Err(Errno::BADF),
        }
    }

    /// Whether nothing is at `path`. False if that cannot be found out.
    pub fn is_absent(&mut self, path: &str) -> bool {
        let Some((folder, name)) = path.rsplit_once('/') else {
            return self.base.is_absent(path);
        };
        if self.folder != folder {
            // PATH needs no right to read the folder.
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            self.opened = match open_below(&self.base.fd, folder, flags) {
                // A link is no folder either, but what it leads to may be there.
                Err(Errno::NOTDIR) if is_link(self.base, folder) => Err(Errno::LOOP),
                opened => opened,
            };
            folder.clone_into(&mut self.folder);
        }
        let found = match &self.opened {
            Ok(folder) => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(drop),
            Err(errno) => Err(*errno),
        };
        matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    }
}

fn is_link(base: &Base, path: &str) -> bool {
    stat_below(&base.fd, path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

impl AsFd for Base {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_are_absent_whether_checked_one_by_one_or_folder_by_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("a/link")).unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("other")).unwrap();
        let base = Base::open(folder.path()).unwrap();
        let mut check = AbsenceCheck::new(&base);
        let paths = [
            ("a", false),
            ("a/b", false),
            ("a/c", true),
            ("a/link", false),
            ("a/file", false),
            ("a/file/c", true),
            ("a/file/d", true),
            ("c/b", true),
            ("c/d", true),
            ("other/b", false),
            ("other/c", false),
            ("a/link/c", false),
            ("c", true),
        ];
        for (path, is_absent) in paths {
            assert_eq!(base.is_absent(path), is_absent, "{path}");
            assert_eq!(check.is_absent(path), is_absent, "{path}");
        }
    }
}
