//! Consolidated metadata: a group's list of the arrays and groups below it.
//!
//! zarr reads an array that is listed and gone as fill values. So a removal takes its arrays out of
//! the lists above them, and a restore puts them back: `.zmetadata` of zarr 2, and the
//! `consolidated_metadata` in the `zarr.json` of a group of zarr 3. `text` cuts and inserts entries
//! and leaves every other byte as it is.
//!
//! A list is replaced by a rename: other processes read the old one or the new one. What cannot be
//! written is reported, and `verify` names it later; no data depends on a list.

mod list;
mod mend;
mod text;

pub use list::{groups_above, linked_lists, listed_in, stale_entries, top_groups};
pub use mend::{StaleList, exchange_in_lists, mend_all, mend_lists, rename_in_lists};
