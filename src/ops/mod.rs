//! Protocols over catalog and store.

pub(crate) mod due;
pub(crate) mod foreign;
pub mod gc;
pub(crate) mod gone;
pub(crate) mod grown;
pub(crate) mod held;
pub(crate) mod inbox;
pub(crate) mod inner;
pub(crate) mod left_alone;
pub(crate) mod near;
pub(crate) mod others;
pub(crate) mod rebuild;
mod rebuild_salvage;
mod rebuild_start;
mod rebuild_trash;
pub(crate) mod recover;
pub(crate) mod refresh;
pub mod remove;
pub(crate) mod rename;
pub(crate) mod rest;
pub(crate) mod restore;
mod restored_rows;
pub(crate) mod room;
pub(crate) mod scan;
pub(crate) mod scored;
pub(crate) mod seal;
#[cfg(feature = "cli")]
pub(crate) mod seal_places;
pub(crate) mod site;
pub(crate) mod target;
pub(crate) mod trash;
pub(crate) mod twins;
pub(crate) mod undo;
pub(crate) mod unmatched;
pub(crate) mod unscanned;
pub mod verify;
pub(crate) mod written;
