//! Whether an item in the trash is the one that was moved there.
//!
//! The manifest names each item by its inode, at no call more than a removal makes anyway. If no
//! item has its inode, the trash was copied, or is on a file system that gives numbers as it likes,
//! and is taken for what it was. If others have theirs, an item of another inode has to be a copy,
//! with the times of its metadata. In an item that is the same, everything may have been changed by
//! those who may write there; it is not looked at.
//!
//! An item of another inode may also be that of another removal. So the manifests of all removals are
//! read then, once a restore. A copy may have the inode that some manifest names by chance; an item
//! was exchanged if its own place is without it: nothing is there, or another item.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::Path;

use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::removal::RemovalId;
use crate::ops::recover;
use crate::store::{
    self, Base, EntryId, ManifestItems, StorageError, Trash, TrashFolder, TrashItem,
};

/// Items of removals, by inode.
type ByInode = HashMap<u64, Vec<(RemovalId, TrashItem)>>;

/// What the manifests of all removals say of their items; empty until it is asked.
#[derive(Default)]
pub(super) struct AllItems(OnceCell<ByInode>);

impl AllItems {
    fn by_inode(&self, base: &Base) -> Result<&ByInode, StorageError> {
        if let Some(items) = self.0.get() {
            return Ok(items);
        }
        let mut items = ByInode::new();
        let trash = Trash::open(base)?;
        let mut of_others = 0;
        let removals = match &trash {
            Some(trash) => trash.list()?.0,
            None => Vec::new(),
        };
        for id in removals {
            // Each may have a long manifest, and any number of them takes a moment to make.
            if !recover::is_own(base, &id) {
                of_others += 1;
                if of_others > recover::MOST_OF_OTHERS {
                    continue;
                }
            }
            // What cannot be read says of nothing that it was moved there.
            let folder = trash.as_ref().and_then(|trash| trash.folder(&id).ok()?);
            let manifest = folder.and_then(|folder| folder.manifest().ok()?);
            for item in manifest.into_iter().flat_map(|manifest| manifest.items) {
                let named = items.entry(item.entry.inode).or_default();
                named.push((id.clone(), item));
            }
        }
        Ok(self.0.get_or_init(|| items))
    }

    /// The item of another removal that was found in the place of one of removal `id`.
    fn found(
        &self,
        base: &Base,
        id: &RemovalId,
        found: EntryId,
    ) -> Result<Option<&(RemovalId, TrashItem)>, StorageError> {
        let items = self.by_inode(base)?;
        let Some(trash) = Trash::open(base)? else {
            return Ok(None);
        };
        for other in items.get(&found.inode).into_iter().flatten() {
            let (removal, item) = other;
            if removal == id {
                continue;
            }
            let folder = trash.folder(removal)?;
            let there = match &folder {
                Some(folder) => folder.identify(item.item, item.entry_type)?,
                None => None,
            };
            if there.is_none_or(|there| items.contains_key(&there.inode)) {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }
}

/// Checks the items of a removal against its manifest.
pub(super) struct Identities<'a> {
    base: &'a Base,
    id: &'a RemovalId,
    all: &'a AllItems,
    /// Whether an item has the inode that the manifest says; empty until it is asked.
    is_original: OnceCell<bool>,
}

impl<'a> Identities<'a> {
    pub(super) fn new(base: &'a Base, id: &'a RemovalId, all: &'a AllItems) -> Self {
        Self {
            base,
            id,
            all,
            is_original: OnceCell::new(),
        }
    }

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
        let other = match named.entry.device == found.device {
            true => self.other(manifest, named, found)?,
            false => None,
        };
        if let (Some(why), true) = (&other, folder.is_local()) {
            return Err(untrusted(why.clone()).into());
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
                if let Some(why) = other {
                    return Err(untrusted(why).into());
                }
                if !self.is_original(folder, manifest)? {
                    return Ok(());
                }
                let why = format!("it is not what was moved there from {}", named.path);
                return Err(untrusted(why).into());
            }
        }
        Ok(())
    }

    /// Which other item was found in the place of one, in words.
    fn other(
        &self,
        manifest: &ManifestItems,
        named: &TrashItem,
        found: EntryId,
    ) -> Result<Option<String>, StorageError> {
        if let Some(other) = other_in(manifest, named, found) {
            return Ok(Some(format!(
                "it is item {} of this removal, which was at {}, and not {}",
                other.item, other.path, named.path
            )));
        }
        let other = self.all.found(self.base, self.id, found)?;
        Ok(other.map(|(removal, other)| {
            format!(
                "it is item {} of removal {removal}, which was at {}, and not {}",
                other.item, other.path, named.path
            )
        }))
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

/// The other item of the manifest that was found.
fn other_in<'a>(
    manifest: &'a ManifestItems,
    named: &TrashItem,
    found: EntryId,
) -> Option<&'a TrashItem> {
    let mut items = manifest.items.iter();
    items.find(|other| other.item != named.item && other.entry.inode == found.inode)
}
