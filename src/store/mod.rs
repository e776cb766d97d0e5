//! Data on disk: everything that touches what the runs wrote.
//!
//! [`Base`] is the entry: a base directory, held open. Paths below it are relative, and whatever
//! deletes walks from its descriptor without following a symbolic link.

mod base;
mod content;
mod dirs;
mod error;
mod look;
mod purge;
mod trash;
mod workers;

pub use base::{Base, Lacks};
pub use content::{Content, ReadError, hash};
pub use dirs::{
    EntryId, FileSystem, Form, FsKind, Standing, free_bytes, kind_of, mounts_below, standing, umask,
};
pub use error::StorageError;
pub use look::{
    BestLink, Contents, Event, Finding, FindingClass, Instead, Look, Subject, WalkOptions,
    best_links, contents, contents_of_item, escape, instead, look, metadata_bytes, walk, walk_from,
    written_at,
};
pub use purge::{PurgeOptions, PurgeReport, purge};
pub use trash::{Item, Items, Touched, Trash, TrashFolder, drop_empty_folders};
