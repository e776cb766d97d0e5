//! Removal: rows and data in one transaction.
//!
//! Entry: `plan` decides and returns a [`RemovalPlan`]; `remove` carries it out and returns a
//! [`RemovalReport`].
//!
//! # Protocol
//! ```text
//! 1  wait for the turn to write, BEGIN IMMEDIATE
//! 2  check every artifact: its row is as planned and nothing binds it; its path is a real folder,
//!    reached without a symbolic link, on the file system of the trash, with nothing mounted in
//!    it, and no other artifact is in it
//! 3  write trash/<removal>/manifest.json; sync it, its folder, and the trash
//! 4  delete the rows; insert the removal with the rows as they were
//! 5  rename each folder to trash/<removal>/<number>; sync that folder, then every folder that
//!    something was taken from (one sync a folder; above some sixty, one for the file system)
//!    then take what went out of the consolidated metadata of the groups above it
//! 6  COMMIT, synced
//! 7  remove folders in containers that are empty now; rename the manifest to purging.json; unlink
//!    trash/<removal>, outside any transaction and in parallel; mark the removal as purged
//! ```
//! A rename takes microseconds and unlinking minutes, so no lock is held while unlinking, and an
//! array of any size is gone for every reader at once. With the trash kept, step 7 waits.
//!
//! # Why this order
//! The data moves before the commit, and only into the trash, where it is whole. So until the
//! commit is durable the removal can be undone by renaming back, and nothing was unlinked. The
//! other order, commit first and move afterwards, is faster, but then a rename could fail after the
//! removal was acknowledged, and recovery could take data that was written to the old path since.
//!
//! # After a crash
//! | crash | disk | catalog | the next open for writing |
//! |---|---|---|---|
//! | before 5 | in place | rolled back | drops the folder that holds only a manifest |
//! | in 5, before 6 | some in the trash | rolled back | moves every item back |
//! | after 6, before 7 ends | in the trash | rows gone | goes on with the purge |
//! | after 7, before the mark | gone | not marked | marks it |
//!
//! See `recover`. A step that fails without a crash is undone at once in the same way, and named.
//! So is a removal that is cancelled before everything has moved: the monitor is asked before each
//! item is checked, recorded and moved. Unlinking that is cancelled is left to the next purge.
//!
//! # What may not be moved
//! Before anything moves, each item is asked for: whether this user may move it, whether it belongs
//! to another registry and, if it is not kept in the trash, whether this user may empty each folder
//! in it. What the file system refuses nevertheless is found by the renames of one round; with
//! `keep_going` everything is put back and the removal begins again without it. If the purge can
//! unlink nothing at all, the removal is kept and can be restored.
//!
//! # What others delete
//! An item that another process deletes between its check and its rename, as the hosts that share
//! NFS may, is gone as it was to be. Everything is put back and the removal begins again: the row
//! goes without data. What is written at that path by then is never taken: the removal fails.
//!
//! # What others rename
//! A row whose data is gone goes, unless the data is, by its time, at another path, because a folder
//! above it was renamed by hand: then the removal is refused. See `moved`.
//!
//! # Containers
//! A container that was selected goes by one rename if everything in it belongs to the removal or
//! is zarr's own group metadata; so does one that a policy empties. Others stay. This is checked
//! twice: once to plan, and once when the container is in the trash, where no process can add to it
//! by its path. If the second check differs, everything is put back. A container that was named
//! itself also takes files that the registry does not know.
//!
//! # Consolidated metadata
//! zarr reads an array that a group above it lists, and that is gone, as fill values. The manifest
//! says which groups list an item. Every way back, and recovery, makes these lists agree with the
//! disk, whatever was done to them before. No data depends on a list: one that cannot be written is
//! reported and holds up nothing.
//!
//! # Checkpoints
//! A checkpoint is one file and always goes by itself: its folders also hold DaCapo's links to the
//! best ones, and stay even if they are empty.
//!
//! # What is assumed of the file system
//! - A rename within one file system is atomic for other processes, and after a crash the folder is
//!   at the old path or at the new one. ext4, XFS and btrfs guarantee that. A file system without a
//!   journal guarantees it for kills, but not for power cuts; the destination is synced before the
//!   source, so that at worst both names exist after a power cut.
//! - What was synced survives a power cut; a sync that reports success is believed.
//! - `renameat2` with `RENAME_NOREPLACE` works (ext4, XFS, btrfs, tmpfs do). If it does not, as on
//!   NFS, plain renames and links take its place; `store/dirs/moves.rs` says what they protect.
//!
//! # Locks
//! The write lock from 1 to 6. A purge holds a lock on its folder in the trash.

mod carry_out;
mod context;
mod foreign;
pub(crate) mod manifest;
mod moved;
mod others;
mod path;
mod plan;
mod protection;
mod purge;
mod report;
mod select;
mod transaction;

pub(crate) use carry_out::{back_up_first, carry_out, protected, remove_backed_up};
pub(crate) use context::{Removing, cancelled};
pub(crate) use others::count_others;
pub(crate) use path::checked_item;
pub use plan::{ArtifactToRemove, PlannedItem, RemovalPlan};
pub(crate) use plan::{Containers, add_stays_below, plan, plan_run};
pub(crate) use protection::Protection;
pub(crate) use purge::{Purging, drop_empty, purge_if, refused_purge};
pub use report::{BackupFailure, RemovalReport, RemoveOptions, Skipped};
pub(crate) use select::{artifacts_at, artifacts_of_filter, artifacts_of_target};
