//! The base directory, held open by a descriptor.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use super::error::StorageError;

/// A base directory.
#[derive(Debug)]
pub struct Base {
    path: Arc<Path>,
    fd: OwnedFd,
}

impl Base {
    /// Opens a base directory. A relative path is made absolute; `.` and repeated slashes go,
    /// symbolic links and `..` stay as they are, as in DaCapo's paths.
    ///
    /// # Errors
    /// [`StorageError`] where it does not exist, is no folder, cannot be read, is a URL or not
    /// UTF-8 (paths are handed out as text).
    pub fn open(path: &Path) -> Result<Self, StorageError> {
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
        let path: std::path::PathBuf = path.components().collect();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // A folder that may be listed and not entered opens too, but shows nothing that is in it.
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

    /// Its absolute path.
    #[must_use]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Whether nothing stands at a path in it. False where that cannot be told.
    #[must_use]
    pub fn is_absent(&self, path: &str) -> bool {
        let found = statat(&self.fd, path, AtFlags::SYMLINK_NOFOLLOW);
        matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    }
}

/// Tells of path after path whether nothing stands there, as [`Base::lacks`] does.
///
/// The folder of the last path stays open, so that the next one in it is asked for by its name: the
/// kernel looks at every component of a path. A folder that is moved meanwhile is asked as if it
/// were in its place, so nobody may be moving any.
#[derive(Debug)]
pub struct AbsenceCheck<'a> {
    base: &'a Base,
    folder: String,
    opened: Result<OwnedFd, Errno>,
}

impl<'a> AbsenceCheck<'a> {
    /// Asks about paths in a base directory.
    #[must_use]
    pub fn new(base: &'a Base) -> Self {
        Self {
            base,
            folder: String::new(),
            opened: Err(Errno::BADF),
        }
    }

    /// Whether nothing stands at a path. False where that cannot be told.
    pub fn is_absent(&mut self, path: &str) -> bool {
        let Some((folder, name)) = path.rsplit_once('/') else {
            return self.base.is_absent(path);
        };
        if self.folder != folder {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.opened = openat(&self.base.fd, folder, flags, Mode::empty());
            folder.clone_into(&mut self.folder);
        }
        let found = match &self.opened {
            Ok(folder) => statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(drop),
            Err(errno) => Err(*errno),
        };
        matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
    }
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
    fn paths_are_lacking_whether_asked_one_by_one_or_one_after_the_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("a/link")).unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("other")).unwrap();
        let base = Base::open(folder.path()).unwrap();
        let mut absence = AbsenceCheck::new(&base);
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
            ("other/c", true),
            ("c", true),
        ];
        for (path, is_lacking) in paths {
            assert_eq!(base.is_absent(path), is_lacking, "{path}");
            assert_eq!(absence.is_absent(path), is_lacking, "{path}");
        }
    }
}
