//! Whether an item of a removal that was interrupted would come back.

use std::path::Path;

use rustix::io::Errno;

use super::claim::Claim;
use super::folder::TrashFolder;
use super::item::TrashItem;
use crate::disk::{owner_name, stat_below};
use crate::store::base::Base;
use crate::store::error::StorageError;

impl TrashFolder {
    /// The name of the user whom it belongs to, or that user's number.
    ///
    /// # Errors
    /// [`StorageError::Io`] if it cannot be read.
    pub fn owner(&self) -> Result<String, StorageError> {
        Ok(owner_name(self.stat()?.st_uid))
    }

    /// Whether an item lies here, and those who may have put it here may write in the folder that it
    /// goes back to.
    ///
    /// # Errors
    /// As [`TrashFolder::put_back`].
    pub fn is_believed(
        &self,
        base: &Base,
        item: &TrashItem,
        claim: &Claim,
    ) -> Result<bool, StorageError> {
        // By its name alone: another user's folder may not be opened.
        if !self.holds(item)? {
            return Ok(false);
        }
        match self.check_way_back(base, item, claim) {
            Ok(()) => Ok(true),
            Err(StorageError::Untrusted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing of another user is at the path of an item than of those who may have put it
    /// here: they could have made a folder there.
    ///
    /// # Errors
    /// [`StorageError::Io`] if that cannot be found out.
    pub fn is_place_theirs(
        &self,
        base: &Base,
        item: &TrashItem,
        claim: &Claim,
    ) -> Result<bool, StorageError> {
        match stat_below(base, Path::new(&item.path)) {
            Ok(found) => Ok(claim.is_own() || claim.only_user() == Some(found.st_uid)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(true),
            Err(errno) => {
                let path = base.path().join(&item.path);
                Err(StorageError::io("reading", &path, errno))
            }
        }
    }
}
