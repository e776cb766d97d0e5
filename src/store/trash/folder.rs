//! The folder of one removal in the trash.
//!
//! Every move is a rename between descriptors that were opened without following a link. It is
//! checked afterwards: what arrived must be the entry that was looked at.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, FlockOperation, Mode, OFlags, Stat, accessat, fchmod, flock, fstat, fsync,
    openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::{geteuid, getuid};

use super::claim::{self, Claim};
use super::dirty::DirtyFolders;
use super::folder_attributes::FolderForms;
use super::item::{ManifestItems, TrashItem};
use super::way_back::{self, open_parent};
use crate::disk;
use crate::model::removal::RemovalId;
use crate::store::base::Base;
use crate::store::dirs::{
    EntryId, EntryType, IfAbsent, Name, descend, device_of, identify, is_local, move_in,
    move_onto_empty, move_out, open_folder, split,
};
use crate::store::error::StorageError;

/// Name of the manifest in a removal's folder.
const MANIFEST: &str = "manifest.json";
/// Name of the manifest once unlinking has begun.
const PURGING: &str = "purging.json";
/// Name of the note that items are being restored.
const RESTORING: &str = "restoring.json";
/// Name of the note that a run is being renamed.
pub(super) const RENAMING: &str = "renaming.json";
/// Names in a removal's folder that are not items.
pub(crate) const NOTES: [&str; 4] = [MANIFEST, PURGING, RESTORING, RENAMING];

/// Most bytes that are read of a note that another user wrote: one of about 30,000 arrays.
const MOST_OF_OTHERS: u64 = 16 << 20;
/// Most bytes that are read and written of a note of this user or of root: one of about two million
/// arrays.
const MOST_OF_OWN: u64 = 1 << 30;

/// The folder of one removal in the trash.
#[derive(Debug)]
pub struct TrashFolder {
    pub(super) id: RemovalId,
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
    /// Whether only members of its group, or its owner, can have made a folder in the trash.
    pub(super) knows_groups: bool,
}

/// A manifest or note as it was read.
pub(super) struct TrashText {
    pub(super) text: Vec<u8>,
    /// Who may have written it.
    pub(super) claim: Claim,
}

impl TrashFolder {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it belongs to root or the user of this process.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn is_own(&self) -> Result<bool, StorageError> {
        let mut claim = Claim::own();
        claim.add_owner(&self.stat()?, false);
        Ok(claim.is_own())
    }

    /// Checks that the trash is on the file system of the base directory: renames cannot leave it.
    ///
    /// # Errors
    /// - [`StorageError::OtherDevice`] if it is not.
    /// - [`StorageError::Io`] if that cannot be found out.
    pub fn check_device(&self, base: &Base) -> Result<(), StorageError> {
        if device_of(self.fd.as_fd(), &self.path)? == device_of(base.as_fd(), base.path())? {
            return Ok(());
        }
        Err(StorageError::OtherDevice {
            path: self.path.clone(),
        })
    }

    pub(super) fn unlink(&self, name: &str) -> Result<(), StorageError> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => {
                let error = disk::or_sticky(&self.fd, &self.path, errno);
                Err(StorageError::io("deleting", &self.path.join(name), error))
            }
        }
    }

    pub(super) fn write(&self, name: &str, text: &[u8]) -> Result<(), StorageError> {
        let path = self.path.join(name);
        let writing = |errno| StorageError::io("writing", &path, errno);
        // Recovery refuses to read a larger file.
        if text.len() as u64 > MOST_OF_OWN {
            return Err(writing(Errno::FBIG));
        }
        // What another user put there is not written into.
        self.unlink(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let private = Mode::from_raw_mode(0o600);
        let fd = openat(&self.fd, name, flags, private).map_err(writing)?;
        let fd = disk::off_standard_streams(fd).map_err(writing)?;
        // All who may read the folder may read it, whatever the umask. Others do not write it: its
        // owner answers for what is in it.
        let mode = 0o600 | (self.stat()?.st_mode & 0o044);
        fchmod(&fd, Mode::from_raw_mode(mode)).map_err(writing)?;
        let mut file = std::fs::File::from(fd);
        file.write_all(text)
            .and_then(|()| file.sync_all())
            .map_err(|error| StorageError::io("writing", &path, error))?;
        // The file's own sync does not make its name durable.
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }

    pub(super) fn stat(&self) -> Result<Stat, StorageError> {
        fstat(&self.fd).map_err(|errno| StorageError::io("reading", &self.path, errno))
    }

    /// Returns who may have put the item of this name here. `named`: what a manifest or note says
    /// of it, and who may have written that.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder or the item cannot be read.
    pub fn claim(
        &self,
        name: &str,
        named: Option<(&TrashItem, &Claim)>,
    ) -> Result<Claim, StorageError> {
        let mut claim = named.map(|(_, claim)| claim.clone()).unwrap_or_default();
        let stat = self.stat()?;
        claim.add_owner(&stat, self.knows_groups);
        let list =
            claim::acl(&self.fd).map_err(|errno| StorageError::io("reading", &self.path, errno))?;
        let mut writers = Claim::own();
        writers.add_writers(&stat, &list);
        if writers == Claim::own() {
            return Ok(claim);
        }
        // Others can put things into this folder too: the item must be the one that is named.
        let found = match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            // It is on its way back: what names it answers for it.
            Err(Errno::NOENT) if named.is_some() => return Ok(claim),
            Err(errno) => return Err(StorageError::io("reading", &self.path.join(name), errno)),
        };
        let note = named.filter(|(named, _)| named.entry.inode == found.st_ino);
        match note.map(|(_, note)| claim::is_older(self.fd.as_fd(), name, note)) {
            Some(Some(true)) => {}
            // Number of an inode that was used again, or of another file.
            Some(Some(false)) | None => claim.add_writers(&stat, &list),
            // Its owner says who made it, if the file system does not know when.
            Some(None) => claim.add_owner(&found, self.knows_groups),
        }
        Ok(claim)
    }

    pub(super) fn read(&self, name: &str) -> Result<Option<TrashText>, StorageError> {
        let path = self.path.join(name);
        let failed = |errno| StorageError::io("reading", &path, errno);
        // NONBLOCK: opening a FIFO waits for a writer otherwise.
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(StorageError::Symlink { path }),
            // A socket.
            Err(Errno::NXIO) => return Err(StorageError::NotAFile { path }),
            Err(errno) => return Err(failed(errno)),
        };
        let stat = fstat(&fd).map_err(failed)?;
        if !claim::is_regular(&stat) {
            return Err(StorageError::NotAFile { path });
        }
        let mut claim = Claim::of_note(fd.as_fd());
        claim.add_owner(&stat, self.knows_groups);
        claim.add_writers(&stat, &claim::acl(&fd).map_err(failed)?);
        let most = match claim.is_own() {
            true => MOST_OF_OWN,
            false => MOST_OF_OTHERS,
        };
        let mut text = Vec::new();
        std::fs::File::from(fd)
            // A byte more than is allowed shows that there is more.
            .take(most + 1)
            .read_to_end(&mut text)
            .map_err(|error| StorageError::io("reading", &path, error))?;
        if text.len() as u64 > most {
            let why = format!("it has more than {most} bytes");
            return Err(StorageError::Untrusted { path, why });
        }
        Ok(Some(TrashText { text, claim }))
    }

    fn read_items(&self, name: &str) -> Result<Option<ManifestItems>, StorageError> {
        let Some(note) = self.read(name)? else {
            return Ok(None);
        };
        let Ok(mut items) = serde_json::from_slice::<ManifestItems>(&note.text) else {
            return Ok(None);
        };
        items.claim = note.claim;
        // Folders in the trash can be given each other's names.
        if items
            .removal
            .as_ref()
            .is_some_and(|removal| *removal != self.id)
        {
            return Err(StorageError::Untrusted {
                path: self.path.join(name),
                why: "it is that of another removal".to_owned(),
            });
        }
        Ok(Some(items))
    }

    /// Writes the manifest and makes it durable.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be written or synced.
    pub fn write_manifest(&self, manifest: &[u8]) -> Result<(), StorageError> {
        self.write(MANIFEST, manifest)
    }

    /// Writes the note that items are being restored, and makes it durable.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be written or synced.
    pub fn write_restoring(&self, items: Vec<TrashItem>) -> Result<(), StorageError> {
        let note = serde_json::to_vec(&ManifestItems::of_note(items)).map_err(|error| {
            StorageError::io(
                "writing",
                &self.path.join(RESTORING),
                io::Error::from(error),
            )
        })?;
        self.write(RESTORING, &note)
    }

    /// Deletes the note that items are being restored.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be deleted.
    pub fn end_restoring(&self) -> Result<(), StorageError> {
        self.unlink(RESTORING)
    }

    /// Reads the items that the manifest names. `None` if there is no manifest or it does not
    /// parse: a crash cut it off, and then no item has arrived.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn manifest(&self) -> Result<Option<ManifestItems>, StorageError> {
        match self.has_name(MANIFEST)? {
            true => self.read_items(MANIFEST),
            false => self.read_items(PURGING),
        }
    }

    /// Reads the text of the manifest; `None` if there is none.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn manifest_text(&self) -> Result<Option<Vec<u8>>, StorageError> {
        // A purge renames the manifest when it begins.
        let note = match self.read(MANIFEST)? {
            None => self.read(PURGING)?,
            note => note,
        };
        Ok(note.map(|note| note.text))
    }

    /// Notes that unlinking begins, by the name of the manifest. Whether it had not begun before.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the manifest cannot be renamed.
    pub fn begin_purge(&self) -> Result<bool, StorageError> {
        match renameat(&self.fd, MANIFEST, &self.fd, PURGING) {
            Ok(()) => Ok(true),
            // Gone: an earlier purge that was interrupted renamed it.
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => {
                let path = self.path.join(MANIFEST);
                Err(StorageError::io("renaming", &path, errno))
            }
        }
    }

    /// Takes back that unlinking begins: nothing was unlinked.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the manifest cannot be renamed.
    pub fn take_back_purge(&self) -> Result<(), StorageError> {
        match renameat(&self.fd, PURGING, &self.fd, MANIFEST) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => {
                let path = self.path.join(PURGING);
                Err(StorageError::io("renaming", &path, errno))
            }
        }
    }

    /// Whether unlinking has begun.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn is_purging(&self) -> Result<bool, StorageError> {
        self.has_name(PURGING)
    }

    /// Reads which items are being restored; `None` if there is no note or it does not parse.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the note cannot be read.
    pub fn restoring(&self) -> Result<Option<ManifestItems>, StorageError> {
        self.read_items(RESTORING)
    }

    /// Whether there is a note that items are being restored.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn is_restoring(&self) -> Result<bool, StorageError> {
        self.has_name(RESTORING)
    }

    /// Whether nothing but manifest and notes is here.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn is_empty(&self) -> Result<bool, StorageError> {
        Ok(self.strangers(|_| false, 1)?.is_empty())
    }

    /// Whether this user may remove the folder with its notes. What cannot be found out counts as
    /// yes: removing it decides.
    #[must_use]
    pub fn may_remove(&self) -> bool {
        // `access` asks for the real user, whose rights are not those of this process then.
        if getuid() != geteuid() {
            return true;
        }
        let may_change = |path| {
            let asked = accessat(
                &self.fd,
                path,
                Access::WRITE_OK | Access::EXEC_OK,
                AtFlags::empty(),
            );
            !matches!(asked, Err(Errno::ACCESS | Errno::PERM | Errno::ROFS))
        };
        let has_note = || {
            NOTES
                .iter()
                .any(|note| !matches!(self.has_name(note), Ok(false)))
        };
        may_change("..") && (may_change(".") || !has_note())
    }

    /// Lists names in the folder, at most `most`, that are neither those of a manifest or note nor
    /// known. Another user may have put any number there.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn strangers(
        &self,
        is_known: impl Fn(&str) -> bool,
        most: usize,
    ) -> Result<Vec<String>, StorageError> {
        let reading = |errno: Errno| StorageError::io("reading", &self.path, errno);
        let fd = open_folder(&self.fd, ".").map_err(reading)?;
        let mut strangers = Vec::new();
        for entry in rustix::fs::Dir::new(fd).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy();
            if matches!(&*name, "." | "..") || NOTES.contains(&&*name) || is_known(&name) {
                continue;
            }
            strangers.push(name.into_owned());
            if strangers.len() == most {
                break;
            }
        }
        Ok(strangers)
    }

    /// Whether the trash is on a file system that is known to be on this host alone, which keeps
    /// the numbers of inodes.
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_local(self.fd.as_fd())
    }

    /// Whether an item is here.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn has(&self, item: u32) -> Result<bool, StorageError> {
        self.has_name(&item.to_string())
    }

    pub(super) fn has_name(&self, name: &str) -> Result<bool, StorageError> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(StorageError::io("reading", &self.path.join(name), errno)),
        }
    }

    /// Identifies an item; `None` if there is none of this type.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn identify(
        &self,
        item: u32,
        entry_type: EntryType,
    ) -> Result<Option<EntryId>, StorageError> {
        let name = item.to_string();
        identify(&self.fd, &name, entry_type, &self.path.join(&name))
    }

    /// Moves an entry of the base directory into the trash. Its parent becomes dirty. `claim`: who
    /// wants it there.
    ///
    /// # Errors
    /// The entry is then at its old path:
    /// - [`StorageError::Untrusted`] if a claimant may not move it by himself.
    /// - [`StorageError::Changed`] if it is gone or is not the entry that `item` names.
    /// - [`StorageError::OtherDevice`] if it is on another file system.
    /// - [`StorageError::Symlink`], [`StorageError::NotAFolder`] if a folder above it is one.
    /// - [`StorageError::Io`] if it cannot be moved.
    pub fn take(
        &self,
        base: &Base,
        item: &TrashItem,
        claim: &Claim,
        dirty: &mut DirtyFolders,
    ) -> Result<(), StorageError> {
        let path = Path::new(&item.path);
        let full = base.path().join(path);
        let (parent, name) = split(path);
        let gone = || StorageError::Changed { path: full.clone() };
        let folder = descend(base, parent, IfAbsent::ReturnNone)?.ok_or_else(gone)?;
        claim.check(
            folder.as_fd(),
            claim::Intent::Take,
            &base.path().join(parent),
            &self.path,
        )?;
        let (place, inner) = self.place_of(item)?.ok_or_else(gone)?;
        let (from, to) = (Name::new(&folder, name), Name::new(&place, &inner));
        move_in(from, to).map_err(|errno| match errno {
            Errno::NOENT => gone(),
            Errno::XDEV => StorageError::OtherDevice { path: full.clone() },
            errno => StorageError::io("moving to the trash", &full, errno),
        })?;
        // Marked before the check below: the parent changed even if the entry goes back.
        dirty.add(parent, &folder)?;
        self.add_inner(item, &place, dirty)?;
        if self
            .identify_at(item)?
            .is_some_and(|found| found.is(&item.entry))
        {
            return Ok(());
        }
        // Another process replaced the entry after it was looked at: what came instead goes back.
        move_out(to, from).map_err(|errno| StorageError::io("moving back", &full, errno))?;
        Err(gone())
    }

    /// Moves an item back to its path, and creates the folders above it. False if something is at
    /// that path: the item then stays in the trash. An empty folder there is replaced. `claim`: who
    /// may have put it into the trash; `forms`: what the folders above it were like.
    ///
    /// # Errors
    /// - [`StorageError::Untrusted`] if a claimant may not write there by himself.
    /// - [`StorageError::Symlink`], [`StorageError::NotAFolder`], [`StorageError::OtherDevice`] if
    ///   a folder above the path is one.
    /// - [`StorageError::Io`] if the item cannot be moved.
    pub fn put_back(
        &self,
        base: &Base,
        item: &TrashItem,
        claim: &Claim,
        forms: &FolderForms,
        dirty: &mut DirtyFolders,
    ) -> Result<bool, StorageError> {
        let path = Path::new(&item.path);
        let (parent, name) = split(path);
        let Some((place, inner)) = self.place_of(item)? else {
            return Err(StorageError::Changed {
                path: self.path.join(item.item.to_string()),
            });
        };
        let folder = open_parent(base, parent, claim, forms, &self.path)?;
        let (from, to) = (Name::new(&place, &inner), Name::new(&folder, name));
        // Data that was written at the old path in the meantime is never overwritten.
        let mut moved = move_out(from, to);
        if moved == Err(Errno::EXIST) && item.entry_type.is_folder() {
            let above = base.path().join(parent);
            claim.check(folder.as_fd(), claim::Intent::Take, &above, &self.path)?;
            moved = move_onto_empty(from, to);
        }
        match moved {
            Ok(()) => {
                dirty.add(parent, &folder)?;
                self.add_inner(item, &place, dirty).map(|()| true)
            }
            Err(Errno::EXIST) => Ok(false),
            Err(errno) => Err(StorageError::io(
                "moving back to",
                &base.path().join(path),
                errno,
            )),
        }
    }

    /// Checks that the claimants may write where an item would go. Changes nothing.
    ///
    /// # Errors
    /// As [`TrashFolder::put_back`].
    pub fn check_way_back(
        &self,
        base: &Base,
        item: &TrashItem,
        claim: &Claim,
    ) -> Result<(), StorageError> {
        way_back::check(base, Path::new(&item.path), claim, &self.path)
    }

    /// Makes the names in this folder durable.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the sync fails.
    pub fn sync(&self) -> Result<(), StorageError> {
        fsync(&self.fd).map_err(|errno| StorageError::io("syncing", &self.path, errno))
    }

    /// Makes the names in this folder, and in the items that parts were moved out of or into,
    /// durable.
    ///
    /// # Errors
    /// [`StorageError::Io`] if a sync fails.
    pub fn sync_with(&self, dirty: &DirtyFolders) -> Result<(), StorageError> {
        dirty.sync_inner()?;
        self.sync()
    }

    /// Makes the renames in other folders durable, those that [`TrashFolder::take`] and
    /// [`TrashFolder::put_back`] noted.
    ///
    /// # Errors
    /// [`StorageError::Io`] if a sync fails.
    pub fn sync_dirty(&self, dirty: &DirtyFolders) -> Result<(), StorageError> {
        dirty.sync(self.fd.as_fd(), &self.path)
    }

    /// Locks the folder for purging; `None` if another process holds the lock. Dropping the
    /// descriptor releases it, and so does the end of the process.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be locked.
    pub fn lock(&self) -> Result<Option<OwnedFd>, StorageError> {
        // A descriptor of its own: a lock belongs to the open file, and `self.fd` lives longer.
        let fd = open_folder(&self.fd, ".")
            .map_err(|errno| StorageError::io("opening", &self.path, errno))?;
        match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(fd)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(StorageError::io("locking", &self.path, errno)),
        }
    }
}
