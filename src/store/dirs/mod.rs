//! Folders, files and file systems below the base directory.
//!
//! Everything that moves or deletes gets to its folder here: by descriptors, one name at a time,
//! never through a symbolic link.

mod closed;
mod descend;
mod emptied;
mod entry;
#[cfg(feature = "cli")]
mod file_system;
mod fs_kind;
mod handles;
mod mounts;
mod movable;
mod moves;
mod unlinked;

pub(crate) use closed::why_unreadable;
pub use closed::{explain_closed, require_put_back, why_stays};
pub(super) use descend::{
    IfAbsent, descend, device_of, holds_registry, may_have_folders, open_error, open_folder,
};
pub(super) use emptied::{may_empty, may_empty_in};
pub use entry::{EntryId, EntryType, entry_at};
pub(super) use entry::{born, identify, is_dangling, split};
#[cfg(feature = "cli")]
pub use file_system::{FileSystem, sticky_folders, umask};
pub use fs_kind::{FsKind, disk_size, free_bytes, fs_kind};
pub(super) use fs_kind::{is_in_memory, is_local};
pub(super) use handles::{FolderHandles, FolderRef};
pub use mounts::mounts_below;
pub use movable::{not_emptied, not_openable, require_movable, whose_rights};
#[cfg(feature = "testing")]
pub use moves::WITHOUT_NOREPLACE;
pub(super) use moves::{Name, are_one, move_in, move_onto_empty, move_out};
pub(super) use unlinked::is_unlinked;
