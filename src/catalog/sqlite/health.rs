//! The state of a catalog file, for diagnosis.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde::Serialize;

use super::file::Catalog;
use super::{backup, publish, queue};
use crate::catalog::error::CatalogError;
use crate::disk;

/// Beginnings of the compile options that change how files are written and locked.
const OPTIONS: [&str; 12] = [
    "COMPILER",
    "DEFAULT_JOURNAL_SIZE_LIMIT",
    "DEFAULT_LOCKING_MODE",
    "DEFAULT_MMAP_SIZE",
    "DEFAULT_SYNCHRONOUS",
    "DEFAULT_WAL_",
    "DIRECT_OVERFLOW_READ",
    "OMIT_",
    "SECURE_DELETE",
    "SYSTEM_MALLOC",
    "TEMP_STORE",
    "THREADSAFE",
];

/// Settings and size of a catalog file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogHealth {
    /// Version of the tables.
    pub schema: i64,
    /// Journal mode: `wal` on a local disk.
    pub journal_mode: String,
    /// What a commit of this connection waits for: `full` on a local disk.
    pub synchronous: &'static str,
    /// Bytes of a page.
    pub page_size: i64,
    /// Pages of the file.
    pub pages: i64,
    /// Pages of them that are free.
    pub free_pages: i64,
    /// The process that writes just now, if there is one and the system shows it: its pid and
    /// its program, without arguments, which may hold secrets.
    pub lock_holder: Option<String>,
}

/// The files of a catalog, as they are seen without opening one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CatalogFiles {
    /// What is at the path of the catalog.
    #[serde(rename = "stands")]
    pub at_path: &'static str,
    /// Bytes of the file; `None` if there is no file.
    pub bytes: Option<u64>,
    /// Bytes of the log beside it; `None` if there is none.
    pub wal_bytes: Option<u64>,
    /// Bits of the file's mode, in octal.
    pub mode: Option<String>,
    /// uid that owns the file.
    pub owner: Option<u32>,
}

impl CatalogFiles {
    /// Lock files of a registry that users may read who may not write them.
    #[must_use]
    pub fn readable_locks(catalog: &Path, backups: &Path) -> Vec<PathBuf> {
        let beside = [queue::QUEUE, queue::TURN, publish::LOCK].map(|suffix| {
            let mut name = catalog.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        });
        let all = beside.into_iter().chain([backups.join(backup::LOCK)]);
        let is_readable = |path: &PathBuf| {
            let found = path.symlink_metadata();
            found.is_ok_and(|found| found.is_file() && disk::has_mere_readers(found.mode()))
        };
        all.filter(is_readable).collect()
    }

    /// Looks at the files of the catalog at `path`. Opens none of them: that would drop the locks
    /// of SQLite.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let found = std::fs::symlink_metadata(path);
        let at_path = match &found {
            Ok(metadata) if metadata.is_file() => "a file",
            Ok(metadata) if metadata.is_dir() => "a folder",
            Ok(metadata) if metadata.is_symlink() => "a symbolic link",
            Ok(_) => "a special file",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "nothing",
            Err(_) => "unknown",
        };
        let mut wal = path.as_os_str().to_owned();
        wal.push("-wal");
        let found = found.ok();
        Self {
            at_path,
            // The length of a folder or link says nothing about a catalog.
            bytes: found
                .as_ref()
                .filter(|metadata| metadata.is_file())
                .map(std::fs::Metadata::len),
            wal_bytes: std::fs::symlink_metadata(wal).ok().map(|wal| wal.len()),
            mode: found
                .as_ref()
                .map(|metadata| format!("{:04o}", metadata.mode() & 0o7777)),
            owner: found.as_ref().map(MetadataExt::uid),
        }
    }
}

impl CatalogHealth {
    /// Version of SQLite.
    #[must_use]
    pub fn sqlite_version() -> &'static str {
        rusqlite::version()
    }

    /// What SQLite was compiled with, as far as it has to do with files, locks and memory; nothing
    /// if it does not say.
    #[must_use]
    pub fn sqlite_options() -> Vec<String> {
        let options = || -> rusqlite::Result<Vec<String>> {
            let connection = Connection::open_in_memory()?;
            let mut statement = connection.prepare("PRAGMA compile_options")?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        let mut options = options().unwrap_or_default();
        options.retain(|option| OPTIONS.iter().any(|start| option.starts_with(start)));
        options
    }
}

impl Catalog {
    /// Reads the settings and the size of the catalog file.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn health(&self) -> Result<CatalogHealth, CatalogError> {
        let lock_holder = self
            .queue
            .holder()
            .map(|holder| queue::without_arguments(&holder));
        self.read("reading the catalog's state", |connection| {
            let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
            Ok(CatalogHealth {
                schema: pragma("user_version")?,
                journal_mode: connection
                    .pragma_query_value(None, "journal_mode", |row| row.get(0))?,
                synchronous: match pragma("synchronous")? {
                    0 => "off",
                    1 => "normal",
                    2 => "full",
                    3 => "extra",
                    _ => "unknown",
                },
                page_size: pragma("page_size")?,
                pages: pragma("page_count")?,
                free_pages: pragma("freelist_count")?,
                lock_holder,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::sqlite::queue;

    #[test]
    fn a_holder_is_shown_without_its_arguments() {
        for (holder, shown) in [
            ("pid 12", "pid 12"),
            ("pid 12 (python)", "pid 12 (python)"),
            (
                "pid 12 (/bin/python a.py --key (K))",
                "pid 12 (/bin/python)",
            ),
        ] {
            assert_eq!(queue::without_arguments(holder), shown);
        }
    }
}
