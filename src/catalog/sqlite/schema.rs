//! Which tables, indexes, views and triggers a catalog has, and which it should have.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

use rusqlite::Connection;

use super::migrate;
use crate::catalog::error::CatalogError;

/// Type, name and SQL of an object of the schema.
pub(super) type Object = (String, String, String);

/// What the migrations make.
///
/// # Errors
/// [`CatalogError::Migration`] if SQLite fails at it.
pub(super) fn made(path: &Path) -> Result<&'static BTreeSet<Object>, CatalogError> {
    // Once a process: this runs every migration.
    static MADE: OnceLock<BTreeSet<Object>> = OnceLock::new();
    if let Some(made) = MADE.get() {
        return Ok(made);
    }
    let make = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let connection = Connection::open_in_memory()?;
        migrate::migrate(&connection)?;
        Ok(of(&connection)?)
    };
    let made = make().map_err(|error| CatalogError::migration(path, migrate::NEWEST, error))?;
    Ok(MADE.get_or_init(|| made))
}

/// What a catalog has, without what SQLite makes by itself.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<BTreeSet<Object>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND substr(name, 1, 7) <> 'sqlite_'",
    )?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}
