//! Group metadata in the trash that is also at its old place with the same bytes: nothing would be
//! lost with it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, unlinkat};
use rustix::io::Errno;

use super::claim::{Claim, Intent};
use super::folder::{NOTES, TrashFolder};
use super::item::TrashItem;
use crate::disk;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::StorageError;
use crate::store::look::is_group_file;

/// Larger metadata is not compared: it stays in the trash.
const MOST_BYTES: u64 = 1 << 20;
/// Folders below each other that are looked into.
const MOST_DEPTH: usize = 64;

/// Files of a removal that may be unlinked, by their paths in its folder.
#[derive(Debug, Default)]
pub struct Redundant(Vec<PathBuf>);

impl TrashFolder {
    /// Whether a file in an item, the metadata of a group, is also at its old place with the same
    /// bytes. False if either cannot be read.
    #[must_use]
    pub fn is_same_at(&self, base: &Base, item: &TrashItem) -> bool {
        let Ok(Some((folder, name))) = self.place_of(item) else {
            return false;
        };
        is_same(base, (&folder, Path::new(&name)), Path::new(&item.path))
    }

    /// The rest of a removal, if it is only empty folders and metadata of groups that is also at
    /// its old place with the same bytes, and everyone who may have put it here may unlink it.
    /// `place`: the path that an item was moved from. `None` if more is left.
    ///
    /// # Errors
    /// [`StorageError`] if something here cannot be read.
    pub fn redundant(
        &self,
        base: &Base,
        place: &dyn Fn(u32) -> Option<String>,
    ) -> Result<Option<Redundant>, StorageError> {
        let manifest = self.manifest()?;
        let named = manifest.as_ref().map(super::ManifestItems::by_number);
        let named = named.unwrap_or_default();
        let mut found = Redundant::default();
        let reading = |errno| StorageError::io("reading", &self.path, errno);
        for entry in Dir::read_from(&self.fd).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name();
            let is_note = NOTES.iter().any(|note| note.as_bytes() == name.to_bytes());
            if matches!(name.to_bytes(), b"." | b"..") || is_note {
                continue;
            }
            let number = name.to_str().ok().and_then(|name| name.parse::<u32>().ok());
            let Some((number, place)) = number.and_then(|it| Some((it, place(it)?))) else {
                return Ok(None);
            };
            let claim = self.claim(&number.to_string(), named.get(&number).copied())?;
            let Ok(folder) = open_folder(&self.fd, name) else {
                return Ok(None);
            };
            let mut walk = Walk {
                base,
                trash: &self.path,
                claim: &claim,
                found: &mut found,
            };
            let path = PathBuf::from(number.to_string());
            if !walk.folder(&folder, &path, Path::new(&place), MOST_DEPTH)? {
                return Ok(None);
            }
        }
        Ok(Some(found))
    }

    /// Unlinks what is redundant, and the folders that are empty then.
    ///
    /// # Errors
    /// [`StorageError::Io`] if something cannot be unlinked.
    pub fn drop_redundant(&self, redundant: &Redundant) -> Result<(), StorageError> {
        for path in &redundant.0 {
            let (parent, name) = crate::store::dirs::split(path);
            let Some(folder) = self.inner(parent)? else {
                continue;
            };
            match unlinkat(&folder, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    return Err(StorageError::io("deleting", &self.path.join(path), errno));
                }
            }
        }
        self.drop_hollow()
    }
}

struct Walk<'a> {
    base: &'a Base,
    trash: &'a Path,
    claim: &'a Claim,
    found: &'a mut Redundant,
}

impl Walk<'_> {
    /// Whether nothing but redundant files is in a folder; `path`: where it is in the removal's
    /// folder, `place`: where it was.
    fn folder(
        &mut self,
        folder: &OwnedFd,
        path: &Path,
        place: &Path,
        depth: usize,
    ) -> Result<bool, StorageError> {
        let full = self.trash.join(path);
        let reading = |errno| StorageError::io("reading", &full, errno);
        for entry in Dir::read_from(folder).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(name) = name.to_str() else {
                return Ok(false);
            };
            let (path, place) = (path.join(name), place.join(name));
            match open_folder(folder, name) {
                Ok(inner) if depth > 0 => {
                    if !self.folder(&inner, &path, &place, depth - 1)? {
                        return Ok(false);
                    }
                }
                Err(Errno::NOENT) => {}
                Err(Errno::NOTDIR)
                    if is_group_file(name)
                        && is_same(self.base, (folder, Path::new(name)), &place) =>
                {
                    let may = self
                        .claim
                        .check(folder.as_fd(), Intent::Unlink, &full, self.trash);
                    if may.is_err() {
                        return Ok(false);
                    }
                    self.found.0.push(path);
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Whether a file in the trash has the bytes of the one at its old place.
fn is_same(base: &Base, (folder, name): (&OwnedFd, &Path), place: &Path) -> bool {
    let (parent, at) = crate::store::dirs::split(place);
    let Ok(Some(live)) = descend(base, parent, IfAbsent::ReturnNone) else {
        return false;
    };
    let read = |folder: &OwnedFd, name: &Path| disk::read_file(folder, name, MOST_BYTES).ok();
    let there = read(&live, Path::new(at));
    there.is_some() && there == read(folder, name)
}
