//! The values that every layer shares: what an artifact is, where it lies, what is known of it,
//! what was done to it. No disk, no SQL, no environment; the clock is read in [`clock`] alone.
//!
//! One module a concept. Names, keys and identifiers are checked when they are parsed, so that a
//! value that exists is valid.

pub mod actor;
pub mod array;
pub mod artifact;
pub(crate) mod causes;
pub mod clock;
pub mod content;
pub mod detail;
pub mod filter;
pub mod hint;
pub mod identifier;
pub mod key;
pub(crate) mod known;
pub mod layout;
pub mod name;
pub(crate) mod nearest;
pub mod note;
pub(crate) mod observation;
pub mod operation;
pub mod order;
pub(crate) mod pattern;
pub mod pin;
pub mod progress;
pub mod removal;
pub mod score;
pub(crate) mod shell;
pub mod size;
pub(crate) mod steering;
mod summary;
pub(crate) mod words;
