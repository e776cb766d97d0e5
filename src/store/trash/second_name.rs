//! Files that have two names after a kill: one in the trash, one at their old path.
//!
//! Without `RENAME_NOREPLACE` a file leaves the trash by `link` and `unlink`. After a kill between
//! the two, moving it out again goes on with the `unlink`; taking it into the trash again is here.

use std::os::fd::AsFd;
use std::path::Path;

use super::claim::{Claim, Intent};
use super::dirty::DirtyFolders;
use super::folder::TrashFolder;
use super::item::TrashItem;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, Name, are_one, descend, move_in, move_out, split};
use crate::store::error::StorageError;

/// End of the name that the name at the old path is set aside under, in the removal's folder.
const SECOND: &str = ".second";

impl TrashFolder {
    /// Takes the second name of a file: it is in the trash and at its path, because moving it back
    /// was cut off between `link` and `unlink`. Does nothing if the path is free or another entry
    /// is there.
    ///
    /// # Errors
    /// As [`TrashFolder::take`].
    pub fn take_second_name(
        &self,
        base: &Base,
        item: &TrashItem,
        claim: &Claim,
        dirty: &mut DirtyFolders,
    ) -> Result<(), StorageError> {
        let path = Path::new(&item.path);
        let full = base.path().join(path);
        let looking = |errno| StorageError::io("reading", &full, errno);
        let (parent, name) = split(path);
        // Several parts of an item can have a second name.
        let second = match item.part {
            None => format!("{}{SECOND}", item.item),
            Some(_) => format!("{}-{}{SECOND}", item.item, item.entry.inode),
        };
        if item.entry_type.is_folder() {
            return Ok(());
        }
        let Some((inner, name_here)) = self.place_of(item)? else {
            return Ok(());
        };
        let (here, aside) = (Name::new(&inner, &name_here), Name::new(&self.fd, &second));
        let Some(folder) = descend(base, parent, IfAbsent::ReturnNone)? else {
            return Ok(());
        };
        let place = Name::new(&folder, name);
        let is_aside = self.has_name(&second)?;
        if !is_aside && !are_one(here, place).map_err(looking)? {
            return Ok(());
        }
        let above = base.path().join(parent);
        claim.check(folder.as_fd(), Intent::Take, &above, &self.path)?;
        // Set aside first and then unlinked: what another process puts at the path is never lost.
        if !is_aside {
            move_in(place, aside)
                .map_err(|errno| StorageError::io("moving to the trash", &full, errno))?;
            dirty.add(parent, &folder)?;
        }
        if are_one(here, aside).map_err(looking)? {
            return self.unlink(&second);
        }
        // Another process put it there after it was looked at.
        move_out(aside, place).map_err(|errno| StorageError::io("moving back", &full, errno))?;
        dirty.add(parent, &folder)
    }
}
