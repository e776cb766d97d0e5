//! Purge: unlinking what a committed removal left in the trash, in parallel.
//!
//! The tree is walked by descriptors: a folder is opened from its parent's descriptor with
//! `O_NOFOLLOW`, and every name is unlinked relative to the descriptor of the folder that it was
//! read from. So a folder that is swapped for a link is never followed, and no path is ever
//! longer than one name. A folder on another device, or on which anything is mounted, is refused
//! before anything in it is touched.
//!
//! # Bounds
//! A folder stays open until its subfolders are gone. If that would take more descriptors than
//! the budget, a subfolder is first moved up into the item that it is in, so depth costs no
//! descriptors. A large folder is read in parts, each by the next free
//! thread, so width costs no memory.
//!
//! # Threads
//! 32 threads at low priority, because a disk or network keeps most of them waiting; two if the
//! file system is in memory. They start as tasks pile up, so a small array takes one. Counting how
//! long calls take, and adapting the number of threads to that, was measured and is not faster.
//!
//! # Other users
//! Other users may write in the trash. What is unlinked there must be such that everyone who may
//! have put it there may unlink it by himself; a [`Claim`](crate::store::Claim) says who that is.
//! Before a removal that can still be restored is purged, [`check_purge`] looks for what would
//! fail.
//!
//! # Failures
//! Files that cannot be unlinked are named, the rest is unlinked. Purging again takes up the rest.

mod check;
mod claims;
mod report;
mod run;
mod tree;

pub use check::check_purge;
pub use report::{PurgeOptions, PurgeReport};
pub use run::purge;
