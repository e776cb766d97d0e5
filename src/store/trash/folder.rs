//! The trash: where removed data waits, under numbers, until it is purged or put back.
//!
//! `.dalsegno/trash/<removal>/manifest.json` says what lies in `<removal>/<number>` and where it
//! was; it is called `purging.json` once unlinking has begun, so that nobody takes what is left for
//! whole. `<removal>/restoring.json` stands there while items are on their way back. Every move is
//! a rename between descriptors that were opened without following a link, and is checked
//! afterwards: what arrived must be the folder or file that was looked at.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FlockOperation, Mode, OFlags, RenameFlags, flock, fsync, mkdirat, openat, renameat,
    renameat_with, statat, syncfs, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::model::name::REGISTRY_DIR;
use crate::model::removal::RemovalId;
use crate::store::base::Base;
use crate::store::dirs::{
    Absent, EntryId, Form, descend, device_of, identify, open_folder, refused, split,
};
use crate::store::error::StorageError;

const TRASH: &str = "trash";
/// Name of the manifest in a removal's folder.
const MANIFEST: &str = "manifest.json";
/// Name of the manifest once unlinking has begun.
const PURGING: &str = "purging.json";
/// Name of the note that items are on their way back.
const RESTORING: &str = "restoring.json";
/// What is no data in a removal's folder.
pub(crate) const NOTES: [&str; 3] = [MANIFEST, PURGING, RESTORING];

/// Above this many folders one `syncfs` is cheaper than a sync of each.
const MOST_SYNCS: usize = 60;

/// One moved folder or file in a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its name in the trash.
    pub item: u32,
    /// Its place, relative to the base directory.
    pub path: String,
    /// What is moved. Where a manifest does not say, it is a folder.
    #[serde(default, skip_serializing_if = "Form::is_folder")]
    pub form: Form,
    /// Which folder or file it is.
    #[serde(flatten)]
    pub entry: EntryId,
}

/// The items of a manifest; the rest of it is for people.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Items {
    /// What lies in the trash, or on its way back.
    pub items: Vec<Item>,
}

/// Folders whose content changed and that are to be synced.
#[derive(Debug, Default)]
pub struct Touched {
    folders: BTreeMap<PathBuf, OwnedFd>,
    overflow: bool,
}

impl Touched {
    fn note(&mut self, path: &Path, folder: &OwnedFd) -> Result<(), StorageError> {
        if self.overflow || self.folders.contains_key(path) {
            return Ok(());
        }
        if self.folders.len() >= MOST_SYNCS {
            self.overflow = true;
            self.folders.clear();
            return Ok(());
        }
        let folder = folder
            .try_clone()
            .map_err(|error| StorageError::io("opening", path, error))?;
        self.folders.insert(path.to_owned(), folder);
        Ok(())
    }

    /// Makes every noted change durable: one sync a folder, or one for the file system.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn sync(&self, folder: &TrashFolder) -> Result<(), StorageError> {
        if self.overflow {
            return syncfs(&folder.fd)
                .map_err(|errno| StorageError::io("syncing", &folder.path, errno));
        }
        for (path, folder) in &self.folders {
            fsync(folder).map_err(|errno| StorageError::io("syncing", path, errno))?;
        }
        Ok(())
    }
}

/// The trash of a base directory.
#[derive(Debug)]
pub struct Trash {
    fd: OwnedFd,
    path: PathBuf,
}

impl Trash {
    /// Opens the trash; none where there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn open(base: &Base) -> Result<Option<Self>, StorageError> {
        Self::at(base, Absent::Say)
    }

    /// Opens the trash and makes it where there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn make(base: &Base) -> Result<Self, StorageError> {
        let path = base.path().join(REGISTRY_DIR);
        Self::at(base, Absent::Make)?.ok_or_else(|| StorageError::io("making", &path, Errno::NOENT))
    }

    fn at(base: &Base, absent: Absent) -> Result<Option<Self>, StorageError> {
        let path = Path::new(REGISTRY_DIR).join(TRASH);
        let fd = descend(base, &path, absent)?;
        Ok(fd.map(|fd| Self {
            fd,
            path: base.path().join(path),
        }))
    }

    /// Gives the folders in the trash that have the name of a removal, and other names.
    ///
    /// # Errors
    /// [`StorageError::Io`] where the trash cannot be read.
    pub fn list(&self) -> Result<(Vec<RemovalId>, Vec<String>), StorageError> {
        let reading = |errno: Errno| StorageError::io("reading", &self.path, errno);
        let fd = open_folder(&self.fd, ".").map_err(reading)?;
        let (mut removals, mut others) = (Vec::new(), Vec::new());
        for entry in rustix::fs::Dir::new(fd).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            match name.parse() {
                Ok(id) => removals.push(id),
                Err(_) if matches!(name.as_str(), "." | "..") => {}
                Err(_) => others.push(name),
            }
        }
        removals.sort();
        others.sort();
        Ok((removals, others))
    }

    /// Where the folder of a removal lies.
    #[must_use]
    pub fn path_of(&self, id: &RemovalId) -> PathBuf {
        self.path.join(id.as_str())
    }

    /// Makes the folder of a removal.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn make_folder(&self, id: &RemovalId) -> Result<TrashFolder, StorageError> {
        mkdirat(&self.fd, id.as_str(), Mode::from_raw_mode(0o777))
            .map_err(|errno| StorageError::io("making", &self.path.join(id.as_str()), errno))?;
        self.folder(id)?
            .ok_or_else(|| StorageError::io("opening", &self.path.join(id.as_str()), Errno::NOENT))
    }

    /// Opens the folder of a removal; none where there is none.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn folder(&self, id: &RemovalId) -> Result<Option<TrashFolder>, StorageError> {
        let path = self.path.join(id.as_str());
        match open_folder(&self.fd, id.as_str()) {
            Ok(fd) => Ok(Some(TrashFolder { fd, path })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(refused(self.fd.as_fd(), id.as_str().as_ref(), &path, errno)),
        }
    }

    /// Makes the names in the trash durable.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn sync(&self) -> Result<(), StorageError> {
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }

    /// Takes away the emptied folder of a removal, with its notes. False where something else is
    /// in it.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn drop_folder(&self, id: &RemovalId) -> Result<bool, StorageError> {
        let path = self.path.join(id.as_str());
        let Some(folder) = self.folder(id)? else {
            return Ok(true);
        };
        if !folder.items()?.is_empty() {
            return Ok(false);
        }
        // The manifest goes last, so that a folder that stays says what it is.
        for name in NOTES.into_iter().rev() {
            folder.unlink(name)?;
        }
        match unlinkat(&self.fd, id.as_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(errno) => Err(StorageError::io("deleting", &path, errno)),
        }
    }
}

/// The folder of one removal in the trash.
#[derive(Debug)]
pub struct TrashFolder {
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
}

impl TrashFolder {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a base directory whose trash is on another file system: renames would not work.
    ///
    /// # Errors
    /// [`StorageError::OtherDevice`].
    pub fn check_device(&self, base: &Base) -> Result<(), StorageError> {
        if device_of(self.fd.as_fd(), &self.path)? == device_of(base.as_fd(), base.path())? {
            return Ok(());
        }
        Err(StorageError::OtherDevice {
            path: self.path.clone(),
        })
    }

    fn unlink(&self, name: &str) -> Result<(), StorageError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(StorageError::io("deleting", &self.path.join(name), errno)),
        }
    }

    fn write(&self, name: &str, text: &[u8]) -> Result<(), StorageError> {
        let path = self.path.join(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = openat(&self.fd, name, flags, Mode::from_raw_mode(0o666))
            .map_err(|errno| StorageError::io("writing", &path, errno))?;
        let mut file = std::fs::File::from(fd);
        file.write_all(text)
            .and_then(|()| file.sync_all())
            .map_err(|error| StorageError::io("writing", &path, error))?;
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path.join(name);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(StorageError::io("reading", &path, errno)),
        };
        let mut text = Vec::new();
        std::fs::File::from(fd)
            .read_to_end(&mut text)
            .map_err(|error| StorageError::io("reading", &path, error))?;
        Ok(Some(text))
    }

    /// Writes the manifest and makes it durable.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn write_manifest(&self, manifest: &[u8]) -> Result<(), StorageError> {
        self.write(MANIFEST, manifest)
    }

    /// Notes, durably, that these items are on their way back.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn write_restoring(&self, note: &[u8]) -> Result<(), StorageError> {
        self.write(RESTORING, note)
    }

    /// Takes the note away that items are on their way back.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn end_restoring(&self) -> Result<(), StorageError> {
        self.unlink(RESTORING)
    }

    /// Reads what the manifest says lies here; none where it was never written whole.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn manifest(&self) -> Result<Option<Items>, StorageError> {
        let text = self.manifest_text()?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Reads the manifest as it stands; none where there is none.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn manifest_text(&self) -> Result<Option<Vec<u8>>, StorageError> {
        match self.read(MANIFEST)? {
            None => self.read(PURGING),
            text => Ok(text),
        }
    }

    /// Notes that unlinking begins.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn begin_purge(&self) -> Result<(), StorageError> {
        match renameat(&self.fd, MANIFEST, &self.fd, PURGING) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => {
                let path = self.path.join(MANIFEST);
                Err(StorageError::io("renaming", &path, errno))
            }
        }
    }

    /// Whether unlinking has begun.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn is_purging(&self) -> Result<bool, StorageError> {
        self.has_name(PURGING)
    }

    /// Reads which items are on their way back; none where there are none.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn restoring(&self) -> Result<Option<Items>, StorageError> {
        let text = self.read(RESTORING)?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    /// Whether there is a note that items are on their way back.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn is_restoring(&self) -> Result<bool, StorageError> {
        self.has_name(RESTORING)
    }

    /// Gives the names in the folder that are neither manifest nor note.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn items(&self) -> Result<Vec<String>, StorageError> {
        let reading = |errno: Errno| StorageError::io("reading", &self.path, errno);
        let fd = open_folder(&self.fd, ".").map_err(reading)?;
        let mut items = Vec::new();
        for entry in rustix::fs::Dir::new(fd).map_err(reading)? {
            let name = entry
                .map_err(reading)?
                .file_name()
                .to_string_lossy()
                .into_owned();
            if !matches!(name.as_str(), "." | "..") && !NOTES.contains(&name.as_str()) {
                items.push(name);
            }
        }
        Ok(items)
    }

    /// Whether an item lies here.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn has(&self, item: u32) -> Result<bool, StorageError> {
        self.has_name(&item.to_string())
    }

    fn has_name(&self, name: &str) -> Result<bool, StorageError> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(StorageError::io("reading", &self.path.join(name), errno)),
        }
    }

    /// Identifies an item; none where nothing of this form is here.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn identify(&self, item: u32, form: Form) -> Result<Option<EntryId>, StorageError> {
        let name = item.to_string();
        identify(&self.fd, &name, form, &self.path.join(&name))
    }

    /// Moves a folder or file into the trash.
    ///
    /// # Errors
    /// [`StorageError`] where it is not what was looked at, or cannot be moved; it then stands
    /// where it stood.
    pub fn take(
        &self,
        base: &Base,
        item: &Item,
        touched: &mut Touched,
    ) -> Result<(), StorageError> {
        let path = Path::new(&item.path);
        let full = base.path().join(path);
        let (parent, name) = split(path);
        let gone = || StorageError::Changed { path: full.clone() };
        let folder = descend(base, parent, Absent::Say)?.ok_or_else(gone)?;
        let number = item.item.to_string();
        renameat_with(&folder, name, &self.fd, &number, RenameFlags::NOREPLACE).map_err(
            |errno| match errno {
                Errno::NOENT => gone(),
                Errno::XDEV => StorageError::OtherDevice { path: full.clone() },
                errno => StorageError::io("moving to the trash", &full, errno),
            },
        )?;
        touched.note(parent, &folder)?;
        if self.identify(item.item, item.form)? == Some(item.entry) {
            return Ok(());
        }
        // Somebody swapped it between looking and moving: it goes back unseen.
        let back = renameat_with(&self.fd, &number, &folder, name, RenameFlags::NOREPLACE);
        back.map_err(|errno| StorageError::io("moving back", &full, errno))?;
        Err(gone())
    }

    /// Moves an item back to its place. False where the place is occupied: the item stays.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn put_back(
        &self,
        base: &Base,
        item: &Item,
        touched: &mut Touched,
    ) -> Result<bool, StorageError> {
        let path = Path::new(&item.path);
        let (parent, name) = split(path);
        let Some(folder) = descend(base, parent, Absent::Make)? else {
            return Ok(false);
        };
        let number = item.item.to_string();
        match renameat_with(&self.fd, &number, &folder, name, RenameFlags::NOREPLACE) {
            Ok(()) => touched.note(parent, &folder).map(|()| true),
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(false),
            Err(errno) => Err(StorageError::io(
                "moving back to",
                &base.path().join(path),
                errno,
            )),
        }
    }

    /// Makes the names in this folder durable.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn sync(&self) -> Result<(), StorageError> {
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }

    /// Locks the folder for purging; none where another process purges it. The lock goes with
    /// the value, and with the process.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn lock(&self) -> Result<Option<OwnedFd>, StorageError> {
        let fd = open_folder(&self.fd, ".")
            .map_err(|errno| StorageError::io("opening", &self.path, errno))?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(fd)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(StorageError::io("locking", &self.path, errno)),
        }
    }
}

/// Takes away folders that a removal left empty: each of `paths`, and those above it that become
/// empty by that, unless `keep` says to leave one. Never a folder with anything in it.
pub fn drop_empty_folders<'a>(
    base: &Base,
    paths: impl IntoIterator<Item = &'a str>,
    keep: impl Fn(&str) -> bool,
) {
    // The deepest first: so each is tried once, when whatever lay in it has been.
    let place = |path: &'a str| (Reverse(path.split('/').count()), path);
    let mut folders: BTreeSet<_> = paths.into_iter().map(place).collect();
    // Of folders side by side the parent is opened once.
    let mut opened: Option<(&str, OwnedFd)> = None;
    while let Some((_, path)) = folders.pop_first() {
        // Nothing of the base directory itself, whatever a manifest says.
        let split = path
            .rsplit_once('/')
            .filter(|(parent, _)| !parent.is_empty());
        let Some((parent, name)) = split.filter(|_| !keep(path)) else {
            continue;
        };
        if opened.as_ref().is_none_or(|(open, _)| *open != parent) {
            opened = match descend(base, Path::new(parent), Absent::Say) {
                Ok(Some(folder)) => Some((parent, folder)),
                Ok(None) => None,
                Err(_) => continue,
            };
        }
        // What is gone already went before a crash: those above it may still be there.
        let is_gone = opened.as_ref().is_none_or(|(_, folder)| {
            let removed = unlinkat(folder, name, AtFlags::REMOVEDIR);
            matches!(removed, Ok(()) | Err(Errno::NOENT))
        });
        if is_gone {
            folders.insert(place(parent));
        }
    }
}
