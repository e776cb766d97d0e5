//! Where a catalog file is: its folder, held open, and its name in it.
//!
//! Others who may write in the folder can exchange the file, and the files beside it. All of them
//! are reached through the descriptor of the folder, and SQLite, which opens by path,
//! is led by it (see `opening`).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Stat, readlink};

use crate::catalog::error::CatalogError;
use crate::disk::{Access, Folder, open_file};

/// A catalog file, or one beside it, in a folder that is held open.
#[derive(Debug)]
pub(in crate::catalog) struct Place {
    folder: Folder,
    name: OsString,
    path: PathBuf,
}

impl Place {
    /// Opens the folder of a file, which need not exist.
    ///
    /// # Errors
    /// [`CatalogError::Missing`] if there is no such folder, [`CatalogError::NotAFolder`] if
    /// something else is in its place, [`CatalogError::Io`] if it cannot be opened.
    pub(in crate::catalog) fn of(path: &Path) -> Result<Self, CatalogError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let folder = Folder::open(parent).map_err(|error| match error.kind() {
            ErrorKind::NotFound => CatalogError::Missing {
                path: path.to_owned(),
            },
            ErrorKind::NotADirectory => CatalogError::NotAFolder {
                path: parent.to_owned(),
            },
            _ => CatalogError::io("opening", parent, error),
        })?;
        Ok(Self {
            folder,
            name: path.file_name().unwrap_or_default().to_owned(),
            path: path.to_owned(),
        })
    }

    /// A file in a folder that is open already.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if no descriptor is left.
    pub(in crate::catalog) fn in_folder(
        folder: &Folder,
        name: impl Into<OsString>,
    ) -> Result<Self, CatalogError> {
        let name = name.into();
        let path = folder.path().join(&name);
        match folder.try_clone() {
            Ok(folder) => Ok(Self { folder, name, path }),
            Err(error) => Err(CatalogError::io("opening", folder.path(), error)),
        }
    }

    /// The path that messages call it by.
    pub(in crate::catalog) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder.
    pub(in crate::catalog) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The name in the folder.
    pub(in crate::catalog) fn name(&self) -> &OsStr {
        &self.name
    }

    /// The name of a file beside it.
    pub(in crate::catalog) fn beside(&self, suffix: &str) -> OsString {
        let mut name = self.name.clone();
        name.push(suffix);
        name
    }

    /// What is at its name with this suffix; `None` if nothing is.
    pub(in crate::catalog) fn stat(&self, suffix: &str) -> io::Result<Option<Stat>> {
        self.folder.stat(self.beside(suffix))
    }

    /// Opens the file beside it for reading: only one that SQLite holds no locks on.
    pub(in crate::catalog) fn open_beside(&self, suffix: &str) -> io::Result<File> {
        open_file(&self.folder, self.beside(suffix), Access::Read).map(File::from)
    }

    /// The path that the open folder has now, and the name: no part of it was a link a moment ago.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if the folder has none.
    pub(in crate::catalog) fn real_path(&self) -> Result<PathBuf, CatalogError> {
        // The kernel keeps this link up to date if the folder is renamed.
        let descriptor = format!("/proc/self/fd/{}", self.folder.as_fd().as_raw_fd());
        let folder = match readlink(descriptor, Vec::new()) {
            Ok(path) => PathBuf::from(OsString::from_vec(path.into_bytes())),
            // Without `/proc`.
            Err(_) => self
                .folder
                .path()
                .canonicalize()
                .map_err(|error| CatalogError::io("finding", self.folder.path(), error))?,
        };
        Ok(folder.join(&self.name))
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}
