//! `history`: who changed what, when and why, and whether the history itself is intact.

mod command;
mod export;
mod head;
mod list;
mod show;
mod verify;

pub(super) use command::{History, run};
