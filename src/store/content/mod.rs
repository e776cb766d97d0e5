//! The data of arrays and checkpoints: counting bytes and files, hashing.

mod count;
mod hash;
mod others;

pub(super) use count::{Count, CountOf, Counted, Tally};
pub use hash::{Hashed, ReadError, hash};
pub use others::{OthersCount, count_others};
