//! The reserves of an open catalog: one beside it, and one in the base directory if that is on
//! another disk.

use super::file::Catalog;
use super::place::Place;
use super::reserve::{self, SUFFIX, Share};
use crate::disk::Folder;

/// What the reserve in the base directory is for, and how its name begins.
const REMOVALS: &str = "removals";

/// Name of the reserve in the base directory.
pub(super) fn reserve_in_base() -> String {
    format!("{REMOVALS}{SUFFIX}")
}

impl Catalog {
    /// Makes the reserves, or what is missing of them. A disk without room for one keeps what there
    /// was.
    pub fn keep_reserve(&self) {
        if !self.is_read_only() {
            reserve::keep(&self.place);
            if let Some(place) = self.reserve_in_base() {
                reserve::keep(&place);
            }
        }
    }

    /// Gives so many slices of the reserves back to their file systems. Says whether there were any
    /// left of the share.
    pub fn give_up_reserve(&self, slices: u64, share: Share) -> bool {
        // Either disk may be the full one.
        let in_base = self.reserve_in_base();
        let is_given_up = in_base.is_some_and(|place| reserve::give_up(&place, slices, share));
        reserve::give_up(&self.place, slices, share) || is_given_up
    }

    /// Whether the reserves are left to removals.
    pub fn spares_reserve(&self) -> bool {
        self.is_read_only() || self.options.spares_reserve
    }

    /// Where the reserve of the base directory's own disk is, if the catalog is on another: a
    /// removal makes a folder in the trash, and a manifest.
    fn reserve_in_base(&self) -> Option<Place> {
        let publisher = self.publisher.as_ref()?;
        let folder = Folder::open(&publisher.folder).ok()?;
        Place::in_folder(&folder, REMOVALS).ok()
    }
}
