//! What a catalog stands on, for people who look for a fault.

use serde::Serialize;

use super::Catalog;
use super::error::CatalogError;

/// What a catalog stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogHealth {
    /// Journal mode: `wal` on a local disk.
    pub journal_mode: String,
    /// Version of the tables.
    pub schema: i64,
    /// Bytes of the catalog file.
    pub catalog_bytes: u64,
    /// Number of artifacts.
    pub artifacts: u64,
    /// The process that writes just now, where there is one and the system tells.
    pub lock_holder: Option<String>,
}

impl CatalogHealth {
    /// Version of SQLite.
    #[must_use]
    pub fn sqlite_version() -> &'static str {
        rusqlite::version()
    }
}

impl Catalog {
    /// Tells what the catalog stands on. Counting artifacts reads an index.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn health(&self) -> Result<CatalogHealth, CatalogError> {
        let lock_holder = self.queue.holder();
        self.read("reading the catalog's state", |connection| {
            let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
            let pages: i64 = pragma("page_count")?;
            let page: i64 = pragma("page_size")?;
            Ok(CatalogHealth {
                journal_mode: connection
                    .pragma_query_value(None, "journal_mode", |row| row.get(0))?,
                schema: pragma("user_version")?,
                catalog_bytes: u64::try_from(pages.saturating_mul(page)).unwrap_or_default(),
                artifacts: connection
                    .query_row("SELECT count(*) FROM artifact", [], |row| row.get(0))?,
                lock_holder,
            })
        })
    }
}
