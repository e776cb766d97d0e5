//! What is SQLite's own.

pub mod backup;
pub(in crate::catalog) mod check;
pub(in crate::catalog) mod connection;
pub(in crate::catalog) mod durable;
pub(in crate::catalog) mod folder;
pub(in crate::catalog) mod fork;
pub(in crate::catalog) mod health;
pub(in crate::catalog) mod migrate;
pub(in crate::catalog) mod queue;
pub(in crate::catalog) mod replace;
pub(in crate::catalog) mod reserve;
