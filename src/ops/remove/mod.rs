//! Removal: rows and data in one transaction.
//!
//! Entry: `plan`, which decides, and `remove`, which changes. What is to happen is a
//! [`RemovalPlan`]; what happened is a [`RemovalReport`].
//!
//! # Protocol
//! ```text
//! 1  wait for the turn to write, BEGIN IMMEDIATE
//! 2  check every artifact: its row is as planned and nothing binds it; a real folder stands at its path, reached
//!    without a symbolic link, on the file system of the trash, with nothing mounted in it, and
//!    no other artifact lies in it
//! 3  write trash/<removal>/manifest.json; sync it, its folder, and the trash
//! 4  delete the rows; insert the removal with the rows as they were
//! 5  rename each folder to trash/<removal>/<number>; sync that folder, then every folder that
//!    something was taken from (one sync a folder; above some sixty, one for the file system)
//! 6  COMMIT, synced
//! 7  take away folders that are empty now; rename the manifest to purging.json; unlink
//!    trash/<removal>, outside any transaction and in parallel; note that it is purged
//! ```
//! A rename takes microseconds and unlinking minutes, so no lock is held while unlinking, and an
//! array of any size is gone for every reader at once. With the trash kept, step 7 waits.
//!
//! # Why this order
//! The data moves before the commit, and only into the trash, where it is whole. So until the
//! commit is durable the removal can be undone by renaming back, and nothing was unlinked. The
//! other order, commit first and move afterwards, is faster, but a rename that fails would fail
//! after the removal was acknowledged, and recovery could take data that somebody had written anew
//! at the old path.
//!
//! # After a crash
//! | crash | disk | catalog | the next open for writing |
//! |---|---|---|---|
//! | before 5 | in place | rolled back | drops the folder that holds only a manifest |
//! | in 5, before 6 | some in the trash | rolled back | moves every item back |
//! | after 6, before 7 ends | in the trash | rows gone | goes on with the purge |
//! | after 7, before the note | gone | not noted | notes it |
//!
//! See `recovery`. A step that fails without a crash is undone at once in the
//! same way, and named. So is a removal that is given up before everything has moved: the monitor is
//! asked before each item is looked at, noted and moved. Unlinking that is given up is left to the
//! next purge.
//!
//! # Containers
//! A container goes by one rename where everything in it belongs to the removal or is zarr's own
//! group metadata. That is looked up twice: before, to plan, and again when the container lies in
//! the trash and nobody can add to it by its path; where the second look differs, everything is
//! put back. A container that was named itself takes along what the registry does not know of.
//!
//! # Checkpoints
//! A checkpoint is one file and goes by itself, whatever else goes: the folders that it stands in
//! hold DaCapo's links to the best ones too, and stay even where they are empty.
//!
//! # What is assumed of the file system
//! - A rename within one file system is atomic for other processes, and after a crash the folder
//!   stands at the old place or at the new one. ext4, XFS and btrfs hold to that. A file system
//!   without a journal does so for kills, but not for power cuts; the destination is synced before
//!   the source, so that at worst both names exist after one.
//! - What was synced survives a power cut; a sync that reports success is believed.
//! - `renameat2` with `RENAME_NOREPLACE` works (ext4, XFS, btrfs, tmpfs do).
//!
//! # Locks
//! The write lock from 1 to 6. A purge holds a lock on its folder in the trash.

mod bound;
mod carry_out;
mod choose;
mod context;
pub(crate) mod manifest;
mod path;
mod plan;
mod purge;
mod report;
mod transaction;

pub(crate) use bound::Binding;
pub(crate) use carry_out::{back_up_first, bound, carry_out, remove_backed_up};
pub(crate) use choose::{choose, choose_selected};
pub(crate) use context::{Removing, cancelled};
pub(crate) use path::place_of;
pub(crate) use plan::plan;
pub use plan::{Chosen, PlannedItem, RemovalPlan};
pub(crate) use purge::{drop_empty, purge};
pub use report::{BackupFailure, RemovalReport, RemoveOptions, Skipped};
