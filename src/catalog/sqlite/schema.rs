//! Which tables, indexes, views and triggers a catalog has, and which it may have.
//!
//! A catalog is input, its schema too: anyone who may write the file can add a trigger that never
//! ends, or put a view in the place of a table. So every connection is [`guard`]ed before its first
//! statement, and [`check`]ed before anything else is read by it.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::OnceLock;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

use super::migrate;
use crate::catalog::error::CatalogError;

/// Bytes of the longest value, row or statement that is read from a catalog. What dalsegno writes
/// is shorter; a forged value of a gigabyte would take that much memory.
const LONGEST: i32 = 16 << 20;

/// Every object that a migration ever made, as JSON: a list of [`Object`]s. A constant, because
/// running the migrations would cost each open more than the open itself.
const KNOWN: &str = include_str!("known_schema.json");

/// Type, name and SQL of an object of the schema.
pub(super) type Object = (String, String, String);

/// Bounds what the file behind a connection can make it do. To be called before the first
/// statement, at which SQLite reads the schema.
pub(super) fn guard(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
    // Asked whenever a statement is compiled, so a trigger or view that comes after the check of
    // the schema is refused too. dalsegno's triggers only raise an error, and its statements read
    // no view, nor a common table expression, which SQLite reports in the same way.
    connection.authorizer(Some(|asked: AuthContext<'_>| {
        match (asked.accessor, asked.action) {
            (None, _) | (Some(_), AuthAction::Select) => Authorization::Allow,
            (Some(_), _) => Authorization::Deny,
        }
    }))
}

/// Refuses a catalog with a table, index, view or trigger that no version of dalsegno makes. One
/// that is missing is no matter here: see [`made`].
///
/// # Errors
/// [`CatalogError::Damaged`], which names it.
pub(super) fn check(path: &Path, connection: &Connection) -> Result<(), CatalogError> {
    let damaged = |detail| CatalogError::Damaged {
        path: path.to_owned(),
        detail,
    };
    let found = of(connection).map_err(|error| CatalogError::sql("opening", path, error))?;
    match found.iter().find(|object| !known().contains(*object)) {
        Some((kind, name, _)) => {
            // Dropping it runs none of it, and keeps what is newer than the newest backup.
            let drop = format!(
                "DROP {} \"{}\"",
                kind.to_uppercase(),
                name.replace('"', "\"\"")
            );
            Err(damaged(format!(
                "its {kind} {name} is not one that dalsegno makes; if only that was added, \
                 sqlite3 can take it out: {drop}"
            )))
        }
        None => Ok(()),
    }
}

fn known() -> &'static HashSet<Object> {
    static KNOWN_OBJECTS: OnceLock<HashSet<Object>> = OnceLock::new();
    KNOWN_OBJECTS.get_or_init(|| {
        serde_json::from_str(KNOWN).expect("a test compares the file with the migrations")
    })
}

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

/// What a catalog has, without what SQLite makes by itself: statistics, and the indexes of keys,
/// which have no SQL.
pub(super) fn of(connection: &Connection) -> rusqlite::Result<BTreeSet<Object>> {
    let mut statement = connection.prepare(
        "SELECT type, name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND NOT (
            (name = 'sqlite_stat1' AND sql = 'CREATE TABLE sqlite_stat1(tbl,idx,stat)')
            OR (name = 'sqlite_stat4'
                AND sql = 'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)'))",
    )?;
    statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = "DALSEGNO_UPDATE=1 cargo test --all-features --lib known_schema";

    #[test]
    fn known_schema_is_what_the_migrations_made_up_to_each_version() {
        let mut objects = BTreeSet::new();
        for version in 1..=usize::try_from(migrate::NEWEST).unwrap() {
            let connection = Connection::open_in_memory().unwrap();
            migrate::migrate_to(&connection, version).unwrap();
            objects.extend(of(&connection).unwrap());
        }
        let text = serde_json::to_string_pretty(&objects).unwrap() + "\n";
        if std::env::var_os("DALSEGNO_UPDATE").is_some() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/catalog/sqlite/known_schema.json"
            );
            std::fs::write(path, text).unwrap();
            return;
        }
        assert!(
            text == KNOWN,
            "the migrations make another schema; update it: {UPDATE}"
        );
    }

    #[test]
    fn what_a_trigger_or_a_view_does_is_refused_when_a_statement_is_compiled() {
        const ENDLESS: &str =
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";
        let mut connection = Connection::open_in_memory().unwrap();
        guard(&mut connection).unwrap();
        let sql = format!(
            "CREATE TABLE t (x);
             CREATE VIEW v AS {ENDLESS};
             CREATE TRIGGER copies AFTER INSERT ON t BEGIN INSERT INTO t {ENDLESS}; END;
             CREATE TRIGGER raises BEFORE UPDATE ON t BEGIN SELECT raise(ABORT, 'stays'); END;"
        );
        connection.execute_batch(&sql).unwrap();
        for statement in ["INSERT INTO t VALUES (1)", "SELECT count(*) FROM v"] {
            let error = connection.prepare(statement).unwrap_err();
            let code = error.sqlite_error_code();
            assert_eq!(
                code,
                Some(rusqlite::ErrorCode::AuthorizationForStatementDenied)
            );
        }
        assert!(connection.prepare("UPDATE t SET x = 2").is_ok());
    }
}
