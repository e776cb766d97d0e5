//! Damage: what every command says and does where the catalog, its rows or the data are not as they
//! were left. Each kind of damage meets each command, in a base directory of its own:
//!
//! - the answer is right, or an error with a known code, and there is a next step; nothing panics;
//! - no catalog is made anew, and what stands in its place stays;
//! - every file of the runs and of the trash is there, byte by byte, but for what a removal that was
//!   acknowledged took; what lies beside the base directory is as it was.
//!
//! SQLite keeps no checksums, so some damage gives another answer and no error. Then a removal takes
//! what it says that it takes, and nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

mod calls;
mod data;
mod file;
mod flips;
mod program;
mod rebuild;
mod rows;
mod scene;
