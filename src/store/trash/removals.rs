//! The folders of removals in the trash.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, fsync, unlinkat};
use rustix::io::Errno;

use super::claim;
use super::folder::{NOTES, TrashFolder};
use crate::disk;
use crate::model::name::REGISTRY_DIR;
use crate::model::removal::RemovalId;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_error, open_folder};
use crate::store::error::StorageError;

const TRASH: &str = "trash";
/// Most folders of removals that are listed.
const MOST_FOLDERS: usize = 100_000;
/// Most other names that are listed.
const MOST_STRANGERS: usize = 1_000;

/// The trash of a base directory, held open.
#[derive(Debug)]
pub struct Trash {
    fd: OwnedFd,
    path: PathBuf,
    /// Whether only members of its group, or its owner, can have made a folder in it.
    knows_groups: bool,
}

impl Trash {
    /// Opens the trash; `None` if there is none.
    ///
    /// # Errors
    /// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if
    ///   `.dalsegno` or `trash` is one.
    /// - [`StorageError::Io`] if it cannot be opened.
    pub fn open(base: &Base) -> Result<Option<Self>, StorageError> {
        Self::at(base, IfAbsent::ReturnNone)
    }

    /// Opens the trash, and creates it if there is none.
    ///
    /// # Errors
    /// As [`Trash::open`].
    pub fn open_or_create(base: &Base) -> Result<Self, StorageError> {
        let path = base.path().join(REGISTRY_DIR);
        Self::at(base, IfAbsent::Create)?
            .ok_or_else(|| StorageError::io("making", &path, Errno::NOENT))
    }

    fn at(base: &Base, absent: IfAbsent) -> Result<Option<Self>, StorageError> {
        let path = Path::new(REGISTRY_DIR).join(TRASH);
        let Some(fd) = descend(base, &path, absent)? else {
            return Ok(None);
        };
        let path = base.path().join(path);
        // Asked once: it decides how far the group of a file there is believed.
        let knows_groups = claim::only_group_writes(fd.as_fd())
            .map_err(|errno| StorageError::io("reading", &path, errno))?;
        Ok(Some(Self {
            fd,
            path,
            knows_groups,
        }))
    }

    /// Lists the removals that have a folder in the trash, and names that are not those of
    /// removals. Other users may have put any number there, so at most [`MOST_FOLDERS`] and
    /// [`MOST_STRANGERS`] are listed.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the trash cannot be read.
    pub fn list(&self) -> Result<(Vec<RemovalId>, Vec<String>), StorageError> {
        let reading = |errno: Errno| StorageError::io("reading", &self.path, errno);
        // Another descriptor, because reading moves the position of the one that is held.
        let fd = open_folder(&self.fd, ".").map_err(reading)?;
        let (mut removals, mut others) = (Vec::new(), Vec::new());
        for entry in rustix::fs::Dir::new(fd).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.parse() {
                Ok(id) if removals.len() < MOST_FOLDERS => removals.push(id),
                Ok(_) => break,
                Err(_) if matches!(name.as_str(), "." | "..") => {}
                Err(_) if others.len() < MOST_STRANGERS => others.push(name),
                Err(_) => {}
            }
        }
        // Ids begin with their time, so this is the order of the removals.
        removals.sort();
        others.sort();
        Ok((removals, others))
    }

    /// Path of a removal's folder.
    #[must_use]
    pub fn folder_path(&self, id: &RemovalId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// Creates the folder of a removal.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be created, or exists.
    pub fn create_folder(&self, id: &RemovalId) -> Result<TrashFolder, StorageError> {
        // An id that exists is refused: two removals never share a folder.
        disk::make_folder(&self.fd, id.as_str())
            .map_err(|errno| StorageError::io("making", &self.path.join(id.as_str()), errno))?;
        self.folder(id)?
            .ok_or_else(|| StorageError::io("opening", &self.path.join(id.as_str()), Errno::NOENT))
    }

    /// Opens the folder of a removal; `None` if there is none.
    ///
    /// # Errors
    /// - [`StorageError::Symlink`], [`StorageError::NotAFolder`] if something else has its name.
    /// - [`StorageError::Io`] if it cannot be opened.
    pub fn folder(&self, id: &RemovalId) -> Result<Option<TrashFolder>, StorageError> {
        let path = self.path.join(id.as_str());
        match open_folder(&self.fd, id.as_str()) {
            Ok(fd) => Ok(Some(TrashFolder {
                id: id.clone(),
                fd,
                path,
                knows_groups: self.knows_groups,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(open_error(
                self.fd.as_fd(),
                id.as_str().as_ref(),
                &path,
                errno,
            )),
        }
    }

    /// Makes the names in the trash durable.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the sync fails.
    pub fn sync(&self) -> Result<(), StorageError> {
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }

    /// Removes the folder of a removal, with manifest and notes. False if an item or anything else
    /// is in it: it then stays.
    ///
    /// # Errors
    /// [`StorageError::Io`] if a name cannot be deleted.
    pub fn remove_folder(&self, id: &RemovalId) -> Result<bool, StorageError> {
        let path = self.path.join(id.as_str());
        let Some(folder) = self.folder(id)? else {
            return Ok(true);
        };
        if !folder.is_empty()? {
            return Ok(false);
        }
        // The manifest goes last: after a crash the folder still says what it is.
        for name in NOTES.into_iter().rev() {
            folder.unlink(name)?;
        }
        match unlinkat(&self.fd, id.as_str(), AtFlags::REMOVEDIR) {
            // Another process has removed it.
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => {
                let error = disk::or_sticky(&self.fd, &self.path, errno);
                Err(StorageError::io("deleting", &path, error))
            }
        }
    }
}
