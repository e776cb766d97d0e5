//! What is SQLite's own: the file and its locks, connections, backups, migrations.

pub mod backup;
mod budget;
pub(crate) mod changes;
pub(in crate::catalog) mod check;
pub(in crate::catalog) mod connection;
pub(in crate::catalog) mod durable;
mod error;
pub(in crate::catalog) mod file;
pub(in crate::catalog) mod fork;
pub(in crate::catalog) mod health;
mod index;
pub(in crate::catalog) mod keeping;
pub(in crate::catalog) mod migrate;
mod opening;
pub(in crate::catalog) mod options;
pub(in crate::catalog) mod place;
mod publish;
pub(in crate::catalog) mod published;
pub(in crate::catalog) mod queue;
pub(in crate::catalog) mod registry_dir;
pub(in crate::catalog) mod replace;
pub(in crate::catalog) mod reserve;
mod schema;
mod second_names;
mod stamp;
pub(in crate::catalog) mod sync;
mod wal_copy;
