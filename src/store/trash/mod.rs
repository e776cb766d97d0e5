//! The trash.

mod folder;

pub(super) use folder::NOTES;
pub use folder::{Item, Items, Touched, Trash, TrashFolder, drop_empty_folders};
