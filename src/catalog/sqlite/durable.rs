//! Commits that something irreversible follows: they hold whatever becomes of the machine, and
//! those that failed never come true.

use std::io::ErrorKind;

use rusqlite::Transaction;

use super::file::Catalog;
use super::migrate;
use super::options::Durability;
use crate::catalog::error::CatalogError;

impl Catalog {
    /// Runs a change whose commit survives a power cut whatever the handle promises otherwise.
    pub(in crate::catalog) fn write_durably<T, E: From<CatalogError>>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.options.durability == Durability::Full || self.options.network.is_some() {
            return self.write(operation, change);
        }
        self.require_writing()?;
        let connection = self.take()?;
        let set = |level| {
            connection
                .pragma_update(None, "synchronous", level)
                .map_err(|error| self.sql(operation, error))
        };
        set("FULL")?;
        let result = self.write_on(operation, &connection, change);
        // Otherwise the connection is dropped: it would sync every later commit as well.
        if set("NORMAL").is_ok() {
            self.give_back(connection);
        }
        result
    }

    /// Makes sure that a commit which failed earlier does not come true later. Its frames may
    /// be in the WAL, unseen until a recovery after a crash; this commit takes their
    /// place.
    ///
    /// # Errors
    /// [`CatalogError`]. ENOSPC is not an error here: if such frames exist, there is room to write
    /// over them.
    pub fn forget_failed_commits(&self) -> Result<(), CatalogError> {
        let written = self.write_durably("recovering", |transaction| {
            // Unlike an update, this writes a page even if it changes nothing.
            transaction
                .pragma_update(None, "user_version", migrate::NEWEST)
                .map_err(|error| self.sql("recovering", error))
        });
        match written {
            Err(error) if error.code() == "catalog-full" => Ok(()),
            written => written,
        }
    }

    /// Makes what can be read in the catalog durable: a process that was killed between writing
    /// and syncing its commit leaves one that everybody sees and a power cut takes back. Needs no
    /// space.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if a file cannot be opened or synced.
    pub fn sync_log(&self) -> Result<(), CatalogError> {
        // SQLite holds no locks on these two, so opening and closing them drops none.
        for end in ["-wal", "-journal"] {
            match self.place.open_beside(end).and_then(|log| log.sync_all()) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let path = self.path.with_file_name(self.place.beside(end));
                    return Err(CatalogError::io("syncing", &path, error));
                }
            }
        }
        let folder = self.place.folder();
        folder
            .sync()
            .map_err(|error| CatalogError::io("syncing", folder.path(), error))
    }
}
