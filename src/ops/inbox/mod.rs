//! The inbox: folding its notes into the catalog, and saying what is in it.

mod fold;
mod state;

pub(crate) use fold::Fold;
#[cfg(feature = "cli")]
pub(crate) use state::noted_keys;
pub use state::{InboxState, RefusedNotes};
pub(crate) use state::{noted, noted_at, state};
