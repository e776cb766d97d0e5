//! Data on disk: everything that touches what the runs wrote.
//!
//! [`Base`] is the entry: a base directory, held open. Paths below it are relative to it. Code that
//! writes or deletes goes from its descriptor, folder by folder, and follows no symbolic link.
//!
//! | folder | what it does |
//! |---|---|
//! | `dirs` | gets to folders and files by descriptors, and asks file systems what they are |
//! | `look` | searches for arrays and checkpoints, and looks at known paths |
//! | `content` | counts bytes and files, hashes data |
//! | `inbox` | notes of processes that could not write the catalog |
//! | `listings` | keeps consolidated metadata of groups in step with what is removed |
//! | `trash` | moves data to the trash and back |
//! | `purge` | unlinks what is in the trash |
//! | `workers` | the threads that look, hash and purge |

mod base;
mod content;
mod dirs;
mod error;
mod inbox;
mod json;
mod listings;
mod look;
mod purge;
mod trash;
mod workers;

pub use base::{AbsenceCheck, Base, base_path};
pub use content::{Hashed, OthersCount, ReadError, count_others, hash};
#[cfg(feature = "testing")]
pub use dirs::WITHOUT_NOREPLACE;
pub use dirs::explain_closed;
pub(crate) use dirs::why_unreadable;
pub use dirs::{
    EntryId, EntryType, FsKind, disk_size, entry_at, free_bytes, fs_kind, mounts_below,
    not_emptied, not_openable, require_movable, require_put_back, whose_rights, why_stays,
};
#[cfg(feature = "cli")]
pub use dirs::{FileSystem, sticky_folders, umask};
pub use error::{Share, StorageError};
pub use inbox::{Finished, InboxFile, InboxFolder, InboxWriter, MOST_AT_ONCE};
pub use listings::{
    StaleList, exchange_in_lists, groups_above, linked_lists, listed_in, mend_all, mend_lists,
    rename_in_lists, stale_entries, top_groups,
};
pub(crate) use look::unreadable;
pub use look::{
    BestLink, ContainerListing, Event, Expected, Inside, Look, LookFor, NameIn, Notice,
    NoticeClass, PathState, WalkOptions, best_links, changed_at, escape, file_bytes, folder_times,
    has_group_metadata, is_array, is_group_file, is_in_trash, is_trashed_array, links_into,
    list_container, list_trashed_container, look_at, look_inside, metadata_bytes, names_in,
    path_state, renamed_at, trashed_written_at, walk_from, written_at,
};
pub use purge::{PurgeOptions, PurgeReport, check_purge, purge};
pub use trash::{
    Claim, DirtyFolders, FolderForm, FolderForms, ManifestItems, Redundant, RenameNote, Trash,
    TrashEntry, TrashFolder, TrashItem, folders_above, is_empty_folder, remove_empty_folders,
    rename_folder,
};
