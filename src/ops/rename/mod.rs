//! Renaming a run: its folder, rows, scores and pins, in one transaction.
//!
//! Entry: `plan` says what a rename does and returns a [`RenameReport`]; `rename` carries it out.
//!
//! # Protocol
//! ```text
//! 1  wait for the turn to write, BEGIN IMMEDIATE
//! 2  check: the old name has rows and a folder, the new name has neither row, score, pin, folder
//!    nor anything in the trash; nothing is mounted in the folder
//! 3  write trash/<id>/renaming.json with both names, the folder's inode and the number of the
//!    operation; sync it, its folder, and the trash
//! 4  give rows, scores and pins to the new name
//! 5  rename the folder without replacing anything; sync both folders above it; give it the new name
//!    in the consolidated metadata of the groups above it
//! 6  COMMIT, synced
//! 7  remove trash/<id>
//! ```
//! Seals, sizes and hashes are columns of the rows and go with them. Each row has an image before
//! and after in the history, under both names.
//!
//! # After a crash
//! | crash | disk | catalog | the next open for writing |
//! |---|---|---|---|
//! | before 5 | in place | rolled back | drops the note |
//! | in 5, before 6 | renamed | rolled back | renames the folder back, in those lists too |
//! | the same, and the old name was taken again | renamed | rolled back | completes it: 4, the lists, 6 |
//! | after 6 | renamed | committed | drops the note |
//!
//! A training that goes on makes its old folder again. Then the folder that was renamed cannot go
//! back, and its rows, scores and pins go to it, before any scan takes the new data for theirs: all
//! rows up to the number that the note says, what was scored and pinned by its time. What was
//! recorded since is about the new data and keeps the old name. Rows that a scan of a process with
//! an open registry made under the new name meanwhile, and that bind nothing, go. The note goes
//! after the commit; it says what is done if no row up to its number has the old name.
//!
//! Whether it was committed is asked of the history: the operation of that number is a rename with
//! the id of the note. A note is input: what it names is renamed back only if everyone who may have
//! written it may do so himself, if the folder is the one that was renamed, and if no row is below
//! the new name. It is completed under the same conditions, if data of one of the rows is there.
//!
//! # What stays
//! - What is in the trash keeps the old name: a restore brings it back to the path that it had.
//! - DaCapo's links to the best checkpoints are absolute and name the old path. Their text says the
//!   iteration, so that they bind as before.
//! - DaCapo's own files of a run, `configs/runs/<run>.yaml` and `stats/*/<run>`, lie elsewhere.

mod plan;
mod settle;
mod transaction;

pub(crate) use plan::plan;
pub use plan::{RenameOptions, RenameReport};
pub(crate) use settle::{RenameState, settle};
pub(crate) use transaction::rename;
