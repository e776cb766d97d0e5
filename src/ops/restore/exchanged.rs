//! Whether an item in the trash is the one that was moved there.
//!
//! The manifest names each item by its inode, at no call more than a removal makes anyway. If no
//! item has its inode, the trash was copied, or is on a file system that gives numbers as it likes,
//! and is taken for what it was. If others have theirs, an item of another inode has to be a copy,
//! with the times of its metadata. In an item that is the same, everything may have been changed by
//! those who may write there; it is not looked at.

use std::cell::OnceCell;
use std::path::Path;

use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::store::{self, EntryId, ManifestItems, StorageError, TrashFolder, TrashItem};

/// Checks the items of a removal against its manifest.
#[derive(Default)]
pub(super) struct Identities {
    /// Whether an item has the inode that the manifest says; empty until it is asked.
    is_original: OnceCell<bool>,
}

impl Identities {
    /// Checks an item, which is `found` now, against what the manifest says of it. `rows`: the
    /// artifacts in it.
    ///
    /// # Errors
    /// [`StorageError::Untrusted`] if it is another one, [`StorageError::Io`] if it cannot be looked
    /// at.
    pub(super) fn require_same(
        &self,
        folder: &TrashFolder,
        manifest: &ManifestItems,
        (named, found): (&TrashItem, EntryId),
        rows: &[Artifact],
    ) -> Result<(), Error> {
        // The number of the device may change at a reboot.
        if named.entry.inode == found.inode {
            return Ok(());
        }
        let untrusted = |why: String| StorageError::Untrusted {
            path: folder.path().join(named.item.to_string()),
            why,
        };
        if named.entry.device == found.device
            && folder.is_local()
            && is_other(manifest, named, found)
        {
            let why = format!("it is another item of this removal, and not {}", named.path);
            return Err(untrusted(why).into());
        }
        for row in rows {
            let kind = row.key.kind();
            let Some(written_at) = row.written_at.filter(|_| !kind.is_container()) else {
                continue;
            };
            let path = row.location().path();
            let part = Path::new(&path).strip_prefix(&named.path);
            let part = part.unwrap_or(Path::new(""));
            let at = Path::new(&path);
            if store::trashed_written_at(folder, named.item, part, at, kind)? != Some(written_at) {
                if !self.is_original(folder, manifest)? {
                    return Ok(());
                }
                let why = format!("it is not what was moved there from {}", named.path);
                return Err(untrusted(why).into());
            }
        }
        Ok(())
    }

    fn is_original(
        &self,
        folder: &TrashFolder,
        manifest: &ManifestItems,
    ) -> Result<bool, StorageError> {
        if let Some(known) = self.is_original.get() {
            return Ok(*known);
        }
        let mut is_original = false;
        for item in &manifest.items {
            let found = folder.identify(item.item, item.entry_type)?;
            is_original = found.is_some_and(|found| found.inode == item.entry.inode);
            if is_original {
                break;
            }
        }
        Ok(*self.is_original.get_or_init(|| is_original))
    }
}

/// Whether the manifest names what was found as another item.
fn is_other(manifest: &ManifestItems, named: &TrashItem, found: EntryId) -> bool {
    let mut items = manifest.items.iter();
    items.any(|other| other.item != named.item && other.entry.inode == found.inode)
}
