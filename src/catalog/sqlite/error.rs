//! What SQLite reports, as errors that say what to do about it.

use std::path::Path;
use std::time::Duration;

use rusqlite::ErrorCode;

use super::{budget, reserve};
use crate::catalog::error::CatalogError;

impl CatalogError {
    /// The error of a catalog without space.
    pub(super) fn full(path: &Path) -> Self {
        Self::Full {
            path: path.to_owned(),
            reserve: reserve::is_left(path),
        }
    }

    /// Whether it says that the catalog is damaged or gone, so that a rebuild would help.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::NotAFile { .. }
            | Self::Damaged { .. }
            | Self::Foreign { .. }
            | Self::Row { .. } => true,
            // A table or column that is not there.
            Self::Sql { source, .. } => code_of(source) == Some(ErrorCode::Unknown),
            _ => false,
        }
    }

    /// Whether it says that the catalog cannot be read, though its system lets us.
    pub(crate) fn is_unreadable(&self) -> bool {
        let code = match self {
            Self::Sql { source, .. } => code_of(source),
            _ => None,
        };
        code == Some(ErrorCode::SystemIoFailure)
    }

    /// Turns what SQLite reports into the error that says what to do about it.
    pub(crate) fn sql(operation: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        if is_full(&source) {
            return Self::full(path);
        }
        let path = path.to_owned();
        match source.sqlite_error_code() {
            // Statements and tables are ours: one that does not compile finds tables that are not
            // as they were made.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown) => {
                Self::Damaged {
                    path,
                    detail: source.to_string(),
                }
            }
            // A value longer than any of ours, or a trigger or view that is not ours: see `schema`.
            Some(ErrorCode::TooBig | ErrorCode::AuthorizationForStatementDenied) => Self::Damaged {
                path,
                detail: source.to_string(),
            },
            _ if makes_no_sense(&source) => Self::Damaged {
                path,
                detail: source.to_string(),
            },
            _ if names_nothing(&source) => Self::Damaged {
                path,
                detail: "a row names another that is not there".to_owned(),
            },
            // SQLite waited by its busy timeout, and does not say for how long.
            // The last one: SQLite gave up trying to read the log beside another process, as beside
            // one that is stopped while it recovers the log.
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::LockTimeout {
                path,
                waited: Duration::ZERO,
                holder: None,
            },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            _ if is_spent(&source) => Self::Damaged {
                path,
                detail: budget::TOO_MANY_ROWS.to_owned(),
            },
            Some(ErrorCode::OperationInterrupted) => Self::Interrupted { path },
            _ => Self::Sql {
                operation,
                path,
                source: Box::new(source),
            },
        }
    }

    /// The error of a migration that did not go through; a full disk is one here too.
    pub(crate) fn migration(path: &Path, target: i64, source: BoxError) -> Self {
        // What SQLite reported is somewhere inside of refinery's error.
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*source);
        while let Some(error) = cause {
            if error.downcast_ref().is_some_and(is_full) {
                return Self::full(path);
            }
            if error.downcast_ref().is_some_and(is_spent) {
                return Self::Damaged {
                    path: path.to_owned(),
                    detail: budget::TOO_MANY_ROWS.to_owned(),
                };
            }
            cause = error.source();
        }
        Self::Migration {
            path: path.to_owned(),
            target,
            source,
        }
    }
}

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// SQLite's code of an error, if SQLite reported it.
fn code_of(source: &BoxError) -> Option<ErrorCode> {
    source
        .downcast_ref::<rusqlite::Error>()?
        .sqlite_error_code()
}

/// Whether a row has a value that this program never writes.
fn makes_no_sense(error: &rusqlite::Error) -> bool {
    use rusqlite::Error as Sql;
    matches!(
        error,
        Sql::FromSqlConversionFailure(..)
            | Sql::IntegralValueOutOfRange(..)
            | Sql::InvalidColumnType(..)
            | Sql::Utf8Error(..)
            // Queries that may find nothing say so by `optional`.
            | Sql::QueryReturnedNoRows
    )
}

/// Whether a row names another that is not there. What is written is copied from rows, or was made
/// in the same transaction.
fn names_nothing(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// Whether a statement was ended because it took more steps than its catalog can need.
fn is_spent(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) && budget::is_spent()
}

/// Whether space was lacking: for the catalog, or for the shared memory beside it, of which SQLite
/// only says that it could not be made larger.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        error.code == ErrorCode::DiskFull
            || error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}
