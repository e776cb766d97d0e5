//! Parts of an item: what lies within it and comes back by itself.
//!
//! A container goes into the trash as a whole. If another one is at its place when it is restored,
//! what has no counterpart there comes back part by part, out of the item.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, fstat, statat, unlinkat};
use rustix::io::Errno;

use super::claim::{self, Claim};
use super::dirty::DirtyFolders;
use super::folder::{NOTES, TrashFolder};
use super::folder_attributes::{FolderForm, FolderForms};
use super::item::TrashItem;
use crate::store::dirs::{EntryId, EntryType, identify, open_folder, split};
use crate::store::error::StorageError;

/// Most names that are read of a folder in an item: others may have put any number there.
const MOST_NAMES: usize = 1 << 20;

/// What has a name in a folder of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashEntry {
    /// Its name.
    pub name: String,
    /// Its type; `None` if it is neither a folder nor a regular file.
    pub entry_type: Option<EntryType>,
}

impl TrashFolder {
    /// Opens the folder in the trash that holds an item, or the part of it that is meant; returns
    /// its name there too. `None` if a folder above the part is gone.
    pub(super) fn place_of(
        &self,
        item: &TrashItem,
    ) -> Result<Option<(OwnedFd, OsString)>, StorageError> {
        let path = path_in_trash(item);
        let (parent, name) = split(&path);
        Ok(self.inner(parent)?.map(|folder| (folder, name.to_owned())))
    }

    /// Opens a folder within this one, never through a link; `None` if there is none.
    pub(super) fn inner(&self, path: &Path) -> Result<Option<OwnedFd>, StorageError> {
        let full = self.path.join(path);
        // Another descriptor, because the loop below closes the one that it leaves.
        let mut folder = open_folder(&self.fd, ".")
            .map_err(|errno| StorageError::io("opening", &self.path, errno))?;
        for component in path.components() {
            // Manifests can come from other users: a part must not lead out of its item.
            if !matches!(component, Component::Normal(_)) {
                return Err(StorageError::Outside { path: full });
            }
            folder = match open_folder(&folder, component.as_os_str()) {
                Ok(folder) => folder,
                // A link is not what a removal moved here.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(errno) => return Err(StorageError::io("opening", &full, errno)),
            };
        }
        Ok(Some(folder))
    }

    /// Whether an item, or the part of it that is meant, is here.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn holds(&self, item: &TrashItem) -> Result<bool, StorageError> {
        let Some((folder, name)) = self.place_of(item)? else {
            return Ok(false);
        };
        match statat(&folder, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(StorageError::io("reading", &self.path.join(name), errno)),
        }
    }

    /// Identifies an item, or the part of it that is meant; `None` if nothing of this type is
    /// there.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn identify_at(&self, item: &TrashItem) -> Result<Option<EntryId>, StorageError> {
        let Some((folder, name)) = self.place_of(item)? else {
            return Ok(None);
        };
        let Some(name) = name.to_str() else {
            return Ok(None);
        };
        identify(&folder, name, item.entry_type, &self.path.join(name))
    }

    /// Lists a folder of an item, by name; names that are not UTF-8 are left out. Empty if it is
    /// not there.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn entries(&self, item: u32, part: &str) -> Result<Vec<TrashEntry>, StorageError> {
        let path = Path::new(&item.to_string()).join(part);
        let Some(folder) = self.inner(&path)? else {
            return Ok(Vec::new());
        };
        let reading = |errno: Errno| StorageError::io("reading", &self.path.join(&path), errno);
        let mut entries = Vec::new();
        for entry in Dir::read_from(&folder).map_err(reading)?.take(MOST_NAMES) {
            let entry = entry.map_err(reading)?;
            let Ok(name) = entry.file_name().to_str() else {
                continue;
            };
            if matches!(name, "." | "..") {
                continue;
            }
            let file_type = match entry.file_type() {
                // Some file systems give names without types.
                FileType::Unknown => {
                    let stat = statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW);
                    FileType::from_raw_mode(stat.map_err(reading)?.st_mode)
                }
                known => known,
            };
            entries.push(TrashEntry {
                name: name.to_owned(),
                entry_type: match file_type {
                    FileType::Directory => Some(EntryType::Folder),
                    FileType::RegularFile => Some(EntryType::File),
                    _ => None,
                },
            });
        }
        // The order of a folder differs between file systems, and reports should not.
        entries.sort_by(|one: &TrashEntry, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Opens a folder of an item; `None` if there is none.
    pub(in crate::store) fn part(
        &self,
        item: u32,
        part: impl AsRef<Path>,
    ) -> Result<Option<OwnedFd>, StorageError> {
        self.inner(&Path::new(&item.to_string()).join(part))
    }

    /// Whether no file is left in the items here: at most folders whose parts came back.
    ///
    /// # Errors
    /// [`StorageError::Io`] if a folder cannot be read.
    pub fn is_hollow(&self) -> Result<bool, StorageError> {
        let reading = |errno| StorageError::io("reading", &self.path, errno);
        hollow(&self.fd, true, false).map_err(reading)
    }

    /// Removes the folders of items whose parts came back, if nothing else is in them.
    ///
    /// # Errors
    /// [`StorageError::Io`] if one cannot be removed.
    pub fn drop_hollow(&self) -> Result<(), StorageError> {
        let deleting = |errno| StorageError::io("deleting", &self.path, errno);
        hollow(&self.fd, true, true).map(drop).map_err(deleting)
    }

    /// Adds to the claim on an item those who may have put a part into it: the owners and writers
    /// of the folders around the part.
    ///
    /// # Errors
    /// [`StorageError::Io`] if one of them cannot be read.
    pub fn claim_of_part(&self, item: &TrashItem, claim: &Claim) -> Result<Claim, StorageError> {
        let mut claim = claim.clone();
        // Who may write in any folder between the part and the item could have exchanged it.
        for above in path_in_trash(item).ancestors().skip(1) {
            if above.as_os_str().is_empty() {
                break;
            }
            let Some(folder) = self.inner(above)? else {
                continue;
            };
            let path = self.path.join(above);
            let reading = |errno| StorageError::io("reading", &path, errno);
            let stat = fstat(&folder).map_err(reading)?;
            claim.add_owner(&stat, false);
            claim.add_writers(&stat, &claim::acl(folder.as_fd()).map_err(reading)?);
        }
        Ok(claim)
    }

    /// What the folders around a part are like, by the paths that they had: `path` is that of the
    /// item.
    ///
    /// # Errors
    /// [`StorageError::Io`] if one of them cannot be read.
    pub fn forms_around(&self, item: &TrashItem, path: &str) -> Result<FolderForms, StorageError> {
        let mut forms = Vec::new();
        let number = PathBuf::from(item.item.to_string());
        for above in path_in_trash(item).ancestors().skip(1) {
            // Above the item is the removal's folder, which was never at such a path.
            let Ok(inner) = above.strip_prefix(&number) else {
                break;
            };
            if let Some(folder) = self.inner(above)? {
                let old = Path::new(path).join(inner);
                forms.push(FolderForm::of(folder.as_fd(), &old)?);
            }
        }
        Ok(FolderForms::new(forms))
    }

    pub(super) fn add_inner(
        &self,
        item: &TrashItem,
        place: &OwnedFd,
        dirty: &mut DirtyFolders,
    ) -> Result<(), StorageError> {
        match item.part {
            Some(_) => dirty.add_inner(split(&path_in_trash(item)).0, place),
            None => Ok(()),
        }
    }
}

/// Whether only folders are in a folder, and in those; with `removes`, removes them. `is_top`:
/// notes do not count.
fn hollow(folder: &OwnedFd, is_top: bool, removes: bool) -> Result<bool, Errno> {
    let mut is_hollow = true;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_note = || NOTES.iter().any(|note| note.as_bytes() == name.to_bytes());
        if matches!(name.to_bytes(), b"." | b"..") || (is_top && is_note()) {
            continue;
        }
        let is_empty = match open_folder(folder, name) {
            Ok(inner) => hollow(&inner, false, removes)?,
            // A link counts like a file: with its folder it would be lost.
            Err(Errno::NOTDIR | Errno::LOOP) => false,
            Err(Errno::NOENT) => true,
            Err(errno) => return Err(errno),
        };
        is_hollow &= is_empty;
        if is_empty && removes {
            match unlinkat(folder, name, AtFlags::REMOVEDIR) {
                // Something was put there since it was read, and stays.
                Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        // A search only needs the first file.
        } else if !is_empty && !removes {
            return Ok(false);
        }
    }
    Ok(is_hollow)
}

/// Path of an item or part in the removal's folder.
fn path_in_trash(item: &TrashItem) -> PathBuf {
    let mut path = PathBuf::from(item.item.to_string());
    path.extend(&item.part);
    path
}
