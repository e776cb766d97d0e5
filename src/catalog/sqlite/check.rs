//! What a check of the catalog asks: whether the file is sound, and rows one by one, also those
//! that cannot be read.

use std::ops::ControlFlow;

use rusqlite::{Connection, params};

use crate::catalog::Catalog;
use crate::catalog::error::CatalogError;
use crate::catalog::removals;
use crate::catalog::rows;
use crate::catalog::select::{Selected, listing};
use crate::model::artifact::{Artifact, ArtifactId};
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, Pattern};
use crate::model::layout;
use crate::model::removal::RemovalId;

/// Messages that one check gives at most.
const MOST: usize = 100;

/// Whether `?1` is the name of a run that the pattern `?2` means; `?3` whether it may be a glob.
pub(in crate::catalog) const NAMES_RUN: &str = "SELECT ?1 = ?2 OR (?3 AND ?1 GLOB ?2 \
     AND NOT EXISTS (SELECT 1 FROM run AS spelled WHERE spelled.name = ?2))";
/// What kept removals moved to the trash and nobody restored.
pub(in crate::catalog) const KEPT_ITEMS: &str = "SELECT m.removal_id, m.item, m.path \
     FROM removal AS r INDEXED BY removal_open CROSS JOIN moved AS m ON m.removal_id = r.id \
     WHERE r.state < 2 AND r.state = 0 AND EXISTS (SELECT 1 FROM removed AS d \
       WHERE d.removal_id = m.removal_id AND d.item = m.item AND d.restored_at IS NULL) \
     ORDER BY m.removal_id, m.item";

/// Every removal, with what has become of it.
pub(in crate::catalog) const REMOVALS: &str = "SELECT id, state FROM removal";

/// A row, or what can be told of one that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowRead {
    /// A row that fits all rules.
    Whole(Box<Artifact>),
    /// A row that does not.
    Damaged {
        /// Its number.
        id: ArtifactId,
        /// Its path, as it says; not to be followed.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
}

/// What SQLite says of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileCheck {
    /// Damage of the file itself: no answer can be trusted.
    pub damage: Vec<String>,
    /// Rows that name rows of other tables that are not there.
    pub dangling: Vec<String>,
}

/// What a kept removal has in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptItem {
    /// The removal.
    pub removal: RemovalId,
    /// Its name in the trash.
    pub item: u32,
    /// Its old place, relative to the base directory, as the row says.
    pub path: String,
}

impl Catalog {
    /// Gives every row of a filter to `each`, run by run, also those that cannot be read.
    ///
    /// # Errors
    /// [`CatalogError`] where the catalog itself cannot be read, and whatever `each` returns.
    pub fn each_row<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        mut each: impl FnMut(RowRead) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            self.run_query(connection, &listing(filter, now, Selected::All), |row| {
                let read = match self.artifact_of(connection, row) {
                    Ok(artifact) => RowRead::Whole(Box::new(artifact)),
                    Err(CatalogError::Row { id, detail, .. }) => {
                        let text = |index| rows::field::<String>(row, index).unwrap_or_default();
                        let (container, array) = (text(6), text(7));
                        RowRead::Damaged {
                            id: ArtifactId(id),
                            path: match array.is_empty() {
                                true => container,
                                false => format!("{container}/{array}"),
                            },
                            detail,
                        }
                    }
                    Err(error) => return Err(error.into()),
                };
                each(read)?;
                Ok(ControlFlow::Continue(()))
            })
        })
    }

    /// Asks SQLite whether the file is sound: its quick check or, with `indices`, the one that
    /// compares rows with indices too; and whether rows name others that are not there.
    ///
    /// # Errors
    /// [`CatalogError`] where it cannot be asked. Damage that stops the check is in the result.
    pub fn check_integrity(&self, indices: bool) -> Result<FileCheck, CatalogError> {
        let check = match indices {
            true => format!("PRAGMA integrity_check({MOST})"),
            false => format!("PRAGMA quick_check({MOST})"),
        };
        let mut found = FileCheck::default();
        match self.read("checking the catalog", |connection| {
            lines(connection, &check)
        }) {
            Ok(lines) => found.damage = lines,
            Err(CatalogError::Damaged { detail, .. }) => {
                found.damage.push(detail);
                return Ok(found);
            }
            Err(error) => return Err(error),
        }
        found.damage.retain(|line| line != "ok");
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
            let mut statement = connection.prepare(KEPT_ITEMS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (id, path): (String, String) = (row.get(0)?, row.get(2)?);
                if layout::read(&path).is_err() {
                    let path = path.escape_debug();
                    damaged.push(format!(
                        "removal {id} took \"{path}\", which no artifact has"
                    ));
                }
            }
            damaged.truncate(MOST);
            Ok(damaged)
        })
    }

    /// Whether patterns name a run; none names every run. A pattern means what it means in a
    /// [`Filter`].
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn names_run(&self, patterns: &[Pattern], run: &str) -> Result<bool, CatalogError> {
        if patterns.is_empty() {
            return Ok(true);
        }
        self.read("matching a run", |connection| {
            let mut statement = connection.prepare_cached(NAMES_RUN)?;
            for pattern in patterns {
                let parameters = params![run, pattern.as_str(), pattern.is_glob()];
                if statement.query_row(parameters, |row| row.get(0))? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Gives what kept removals have in the trash to `each`.
    ///
    /// # Errors
    /// [`CatalogError`], and whatever `each` returns.
    pub fn kept_items<E: From<CatalogError>>(
        &self,
        mut each: impl FnMut(KeptItem) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            let sql = |error| self.sql("listing removals", error);
            let mut statement = connection.prepare_cached(KEPT_ITEMS).map_err(sql)?;
            let mut rows = statement.query([]).map_err(sql)?;
            while let Some(row) = rows.next().map_err(sql)? {
                let id: String = row.get(0).map_err(sql)?;
                // What is no id of a removal has no folder in the trash.
                if let Ok(removal) = id.parse() {
                    each(KeptItem {
                        removal,
                        item: row.get(1).map_err(sql)?,
                        path: row.get(2).map_err(sql)?,
                    })?;
                }
            }
            Ok(())
        })
    }
}

fn lines(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| row.get(0))?.collect()
}
