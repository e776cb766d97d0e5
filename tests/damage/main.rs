//! Damage: what every command reports and does if the catalog, its rows or the data were changed
//! from outside. Each kind of damage is tested with each command, in a base directory of its own:
//!
//! - the answer is right, or an error with a known code, and there is a next step; nothing panics;
//! - no new catalog is made, and the file in its place is not touched;
//! - every file of the runs and of the trash is there, byte by byte, except for what an
//!   acknowledged removal took; files beside the base directory are unchanged.
//!
//! SQLite keeps no checksums, so some damage changes an answer without an error. A removal then
//! takes what it reports, and nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod calls;
mod data;
mod file;
mod flips;
mod program;
mod rebuild;
mod rows;
mod scene;
