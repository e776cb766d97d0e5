//! The trash: where removed data waits, under numbers, until it is purged or put back.

mod dirty;
mod empty_folders;
mod folder;
mod item;
mod removals;

pub use dirty::DirtyFolders;
pub use empty_folders::remove_empty_folders;
pub(super) use folder::NOTES;
pub use folder::TrashFolder;
pub use item::{ManifestItems, TrashItem};
pub use removals::Trash;
