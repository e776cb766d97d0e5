//! Looking at data: searching for arrays and checkpoints, and looking at known paths. Nothing here
//! writes.

mod attributes;
mod below;
mod best;
mod container;
mod event;
mod form;
mod inside;
mod links;
mod marker;
mod metadata;
mod names;
mod notice;
mod path_state;
mod pyramid;
mod texts;
mod walk;

pub use best::{BestLink, best_links};
pub use container::{
    ContainerListing, has_group_metadata, is_array, is_group_file, is_trashed_array,
    list_container, list_trashed_container,
};
pub(crate) use event::unreadable;
pub use event::{Event, Expected, Look};
pub use inside::{Inside, LookFor, folder_times, look_inside};
pub use links::links_into;
pub(crate) use marker::{disk_bytes, modified};
pub use metadata::{
    changed_at, file_bytes, is_in_trash, metadata_bytes, renamed_at, trashed_written_at, written_at,
};
pub use names::{NameIn, names_in};
pub use notice::{Notice, NoticeClass, escape};
pub use path_state::{PathState, path_state};
pub use walk::{WalkOptions, look_at, walk_from};
