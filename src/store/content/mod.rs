//! What arrays and checkpoints hold: bytes and files counted, data hashed.

mod count;
mod hash;

pub(super) use count::{Count, CountOf, Tally};
pub use hash::{Hashed, ReadError, hash};
