//! The trash: where removed data waits until it is purged or restored.
//!
//! `.dalsegno/trash/<removal>/` holds what one removal took:
//!
//! | name | what |
//! |---|---|
//! | `<number>` | an item: the folder or file that was removed |
//! | `manifest.json` | which item was at which path |
//! | `purging.json` | the manifest after unlinking has begun, so that no rest counts as whole |
//! | `restoring.json` | a note: items are on their way back |
//! | `renaming.json` | a note, and nothing else in the folder: a run is being renamed |
//!
//! The manifest is durable before the first item arrives and goes last, so a crash at any point
//! leaves a folder that says what it is.
//!
//! All of this is input: other users may write in the trash. A [`Claim`] says who may have put
//! something there, and nothing is moved or unlinked where they may not write.

mod claim;
mod dirty;
mod empty_folders;
mod folder;
mod folder_attributes;
mod held;
mod item;
mod part;
mod private;
mod redundant;
mod removals;
mod rename;
mod second_name;
mod way_back;

pub use claim::Claim;
pub(super) use claim::Intent;
pub use dirty::DirtyFolders;
pub use empty_folders::{is_empty_folder, remove_empty_folders};
pub(super) use folder::NOTES;
pub use folder::TrashFolder;
pub use folder_attributes::{FolderForm, FolderForms, folders_above};
pub use item::{ManifestItems, TrashItem};
pub use part::TrashEntry;
pub use redundant::Redundant;
pub use removals::Trash;
pub use rename::{RenameNote, rename_folder};
