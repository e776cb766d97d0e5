//! Whether the file of a catalog is sound.

use rusqlite::Connection;

use super::file::Catalog;
use crate::catalog::error::CatalogError;
use crate::catalog::intern::INTERN;
use crate::catalog::removals::{self, KEPT_ITEMS, REMOVALS};
use crate::model::layout;
use crate::model::removal::RemovalId;

/// Messages that one check gives at most.
const MOST: usize = 100;

/// The single line that a sound file gives.
const SOUND: &str = "ok";

/// What SQLite says of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileCheck {
    /// Damage of the file itself: no answer can be trusted.
    pub damage: Vec<String>,
    /// Rows that name rows of other tables that are not there.
    pub dangling: Vec<String>,
}

impl Catalog {
    /// Asks SQLite whether the file is sound: its quick check or, with `indices`, the one that
    /// compares rows with indices too; and whether rows name others that are not there.
    ///
    /// # Errors
    /// [`CatalogError`] if it cannot be asked. Damage that stops the check is in the result.
    pub fn check_integrity(&self, indices: bool) -> Result<FileCheck, CatalogError> {
        let mut found = FileCheck::default();
        match self.read("checking the catalog", |connection| {
            let quick = format!("PRAGMA quick_check({MOST})");
            if !indices {
                return lines(connection, &quick);
            }
            // It ends at the first fault, and looks at the pages first. What it does later counts
            // an index in one step, which has no end if pages lead to the same page again.
            let first = lines(connection, "PRAGMA integrity_check(1)")?;
            if is_sound(&first) {
                return Ok(first);
            }
            match lines(connection, &quick)? {
                pages if is_sound(&pages) => {
                    lines(connection, &format!("PRAGMA integrity_check({MOST})"))
                }
                pages => Ok(pages),
            }
        }) {
            Ok(lines) => found.damage = lines,
            Err(CatalogError::Damaged { detail, .. }) => {
                found.damage.push(detail);
                return Ok(found);
            }
            Err(error) => return Err(error),
        }
        found.damage.retain(|line| line != SOUND);
        // In a damaged file, rows that dangle are only a consequence.
        if found.damage.is_empty() {
            found.dangling = self.read("checking the catalog", |connection| {
                let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
                let rows = statement.query_map([], |row| {
                    let (table, id): (String, Option<i64>) = (row.get(0)?, row.get(1)?);
                    let id = id.map_or(String::new(), |id| format!(" {id}"));
                    let parent: String = row.get(2)?;
                    Ok(format!(
                        "row{id} of {table} names a row of {parent} that is not there"
                    ))
                })?;
                rows.take(MOST).collect()
            })?;
            found.dangling.extend(self.damaged_removals()?);
        }
        Ok(found)
    }

    /// Removals that break the rules that every one was checked against when it was written.
    fn damaged_removals(&self) -> Result<Vec<String>, CatalogError> {
        self.read("checking the catalog", |connection| {
            let mut damaged = Vec::new();
            let mut statement = connection.prepare(REMOVALS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (id, state): (String, i64) = (row.get(0)?, row.get(1)?);
                if let Err(error) = id.parse::<RemovalId>() {
                    damaged.push(format!("a removal: {error}"));
                } else if removals::state_of(state).is_none() {
                    damaged.push(format!("removal {id} has no state {state}"));
                }
            }
            // The whole folder of a run is one of these, too.
            let is_run = |path: &str| connection.prepare_cached(INTERN[0].0)?.exists([path]);
            let mut statement = connection.prepare(KEPT_ITEMS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (id, path): (String, String) = (row.get(0)?, row.get(2)?);
                // A restore goes to this path, so it must be one that an artifact can have.
                if layout::parse(&path).is_err() && !is_run(&path)? {
                    let path = path.escape_debug();
                    damaged.push(format!(
                        "removal {id} took \"{path}\", which no artifact has"
                    ));
                }
            }
            // As many as SQLite's checks give.
            damaged.truncate(MOST);
            Ok(damaged)
        })
    }
}

/// Whether a check found nothing.
fn is_sound(lines: &[String]) -> bool {
    lines.iter().all(|line| line == SOUND)
}

fn lines(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| row.get(0))?.collect()
}
