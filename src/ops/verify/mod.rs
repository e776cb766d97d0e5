//! Verify: compares catalog and disk in both directions, and says what to do about differences.
//!
//! Entry: [`Registry::verify`](crate::Registry::verify), which changes nothing, and
//! [`Registry::repair`](crate::Registry::repair), which mends findings in the catalog and in
//! consolidated metadata, and never touches data. Rows are compared with the disk batch by batch,
//! then the disk is walked for data that no row has. Only findings are kept in memory.
//!
//! # What is certain
//! Other processes go on working. So whatever looks wrong is looked at again: data in a removal or
//! restore that is not over is left out, and row and disk are read again; only what is still wrong
//! then is a finding. What was recorded since the listing began is found
//! by its path before it is called unrecorded.
//!
//! An unreadable folder is a finding, and nothing below it is judged. If SQLite finds the file
//! damaged, nothing is repaired.
//!
//! Locks: none while looking. A repair takes a write transaction for each batch, in which it reads
//! the rows and looks once more; a row that has changed meanwhile is left alone. A verification
//! that is killed leaves nothing; a repair that is killed has fixed complete batches.

mod comparison;
mod finding;
mod fit;
mod fold;
mod follow;
mod inbox;
mod lists;
mod lost;
mod renames;
mod repair;
mod rows;
mod runs;
mod trash;
mod tree;

pub use comparison::VerifyOptions;
pub(crate) use comparison::{ComparedAt, verify};
pub use finding::{Follows, Repair, VerifyClass, VerifyFinding, VerifyPart, VerifyReport};
pub use repair::RepairReport;
pub(crate) use repair::repair;
