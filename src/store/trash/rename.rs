//! Renaming the folder of a run, and the note that a crash in between leaves.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::fsync;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::claim::{Claim, Intent};
use super::folder::{RENAMING, TrashFolder};
use super::way_back;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::removal::RemovalId;
use crate::store::base::Base;
use crate::store::dirs::{EntryId, EntryType, IfAbsent, Name, descend, identify, move_out, split};
use crate::store::error::StorageError;

/// What a rename of a run's folder is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenameNote {
    /// Its id, which is the name of the folder that the note is in.
    pub rename: RemovalId,
    /// The folder, relative to the base directory.
    pub from: String,
    /// Its new path.
    pub to: String,
    /// Number of the operation that it is in the history if it is committed.
    pub operation: i64,
    /// When it began. Older notes do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The highest number of a row then. Older notes do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_row: Option<ArtifactId>,
    /// The folder itself.
    #[serde(flatten)]
    pub entry: EntryId,
}

impl TrashFolder {
    /// Writes the note of a rename and makes it durable.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be written or synced.
    pub fn write_renaming(&self, note: &RenameNote) -> Result<(), StorageError> {
        let text = serde_json::to_vec(note)
            .map_err(|_| StorageError::io("writing", self.path(), Errno::INVAL))?;
        self.write(RENAMING, &text)
    }

    /// Whether there is a note of a rename.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the folder cannot be read.
    pub fn is_renaming(&self) -> Result<bool, StorageError> {
        self.has_name(RENAMING)
    }

    /// Reads the note of a rename, and who may have written it. `None` if it does not parse or is
    /// that of another folder: a crash cut it off, and nothing was renamed.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn renaming(&self) -> Result<Option<(RenameNote, Claim)>, StorageError> {
        let Some(note) = self.read(RENAMING)? else {
            return Ok(None);
        };
        let parsed = serde_json::from_slice::<RenameNote>(&note.text).ok();
        let parsed = parsed.filter(|parsed| parsed.rename == self.id);
        Ok(parsed.map(|parsed| (parsed, note.claim)))
    }

    /// Checks that the claimants may rename a folder back by themselves. Changes nothing.
    ///
    /// # Errors
    /// - [`StorageError::Untrusted`] if one of them may not write where it is or would go.
    /// - As [`TrashFolder::put_back`] otherwise.
    pub fn check_rename_back(
        &self,
        base: &Base,
        note: &RenameNote,
        claim: &Claim,
    ) -> Result<(), StorageError> {
        way_back::check(base, Path::new(&note.from), claim, self.path())?;
        let (parent, _) = split(Path::new(&note.to));
        if let Some(folder) = descend(base, parent, IfAbsent::ReturnNone)? {
            let path = base.path().join(parent);
            claim.check(folder.as_fd(), Intent::Take, &path, self.path())?;
        }
        Ok(())
    }
}

/// Renames a folder below the base directory and makes that durable. Folders above the new path
/// are made. False if something is at the new path: the folder then stays where it is.
///
/// # Errors
/// The folder is then at its old path, unless a sync failed:
/// - [`StorageError::Changed`] if it is gone or is not `entry`.
/// - [`StorageError::OtherDevice`], [`StorageError::Symlink`], [`StorageError::NotAFolder`] if a
///   folder above either path is on another file system, a link or none.
/// - [`StorageError::Io`] if it cannot be renamed or synced.
pub fn rename_folder(
    base: &Base,
    from: &str,
    to: &str,
    entry: EntryId,
) -> Result<bool, StorageError> {
    let (from, to) = (Path::new(from), Path::new(to));
    let full = base.path().join(from);
    let gone = || StorageError::Changed { path: full.clone() };
    let (old_parent, old_name) = split(from);
    let (new_parent, new_name) = split(to);
    let old = descend(base, old_parent, IfAbsent::ReturnNone)?.ok_or_else(gone)?;
    let new = descend(base, new_parent, IfAbsent::Create)?.ok_or_else(gone)?;
    let (source, target) = (Name::new(&old, old_name), Name::new(&new, new_name));
    match move_out(source, target) {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(false),
        Err(Errno::NOENT) => return Err(gone()),
        Err(Errno::XDEV) => return Err(StorageError::OtherDevice { path: full }),
        Err(errno) => return Err(StorageError::io("renaming", &full, errno)),
    }
    let name = new_name.to_string_lossy();
    let found = identify(&new, &name, EntryType::Folder, &base.path().join(to))?;
    if !found.is_some_and(|found| found.is(&entry)) {
        // Another process replaced the folder after it was looked at: what came instead goes back.
        move_out(target, source)
            .map_err(|errno| StorageError::io("renaming back", &full, errno))?;
        return Err(gone());
    }
    // Where it went first: a power cut in between leaves two names, never none.
    for (folder, path) in [(&new, new_parent), (&old, old_parent)] {
        fsync(folder)
            .map_err(|errno| StorageError::io("syncing", &base.path().join(path), errno))?;
    }
    Ok(true)
}
