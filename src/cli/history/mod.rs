//! `history`: who changed what, when, why, and whether all of that is still there.

mod command;
mod export;
mod head;
mod list;
mod show;
mod time;
mod verify;
mod words;

pub(super) use command::{History, run};
