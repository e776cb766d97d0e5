//! `demo`: shows the main commands on a small base directory with real zarr arrays.

mod command;
mod runs;
mod steps;
mod zarr;

pub(super) use command::{Demo, run};
