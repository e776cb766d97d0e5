//! Getting to folders and files below the base directory by descriptors, and what their file system
//! is.

mod descend;
mod entry;
mod file_system;
mod fs_kind;
mod handles;
mod mounts;

pub(super) use descend::{IfAbsent, descend, device_of, open_error, open_folder};
pub use entry::{EntryId, EntryType, entry_at};
pub(super) use entry::{identify, split};
pub use file_system::{FileSystem, free_bytes, umask};
pub use fs_kind::{FsKind, fs_kind};
pub(super) use handles::{FolderHandles, FolderRef};
pub use mounts::mounts_below;
