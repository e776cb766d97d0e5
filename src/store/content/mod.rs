//! What arrays and checkpoints hold: bytes and files counted, data hashed.

mod count;
mod hash;

pub(super) use count::{Count, Counted, Tally};
pub use hash::{Content, ReadError, hash};
