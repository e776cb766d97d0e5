//! Getting to folders and files below the base directory by descriptors, and what their file system
//! is.

mod entry;
mod file_system;
mod fs_kind;
mod kept;
mod mounts;
mod open;

pub use entry::{EntryId, Form, Standing, standing};
pub(super) use entry::{identify, split};
pub use file_system::{FileSystem, free_bytes, umask};
pub use fs_kind::{FsKind, kind_of};
pub(super) use kept::{Folders, Place};
pub use mounts::mounts_below;
pub(super) use open::{Absent, descend, device_of, open_folder, refused};
