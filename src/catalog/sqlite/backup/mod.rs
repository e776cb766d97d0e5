//! Backups of the catalog: whole copies in a folder beside the data, of which three are kept.
//!
//! Entry: [`list`], [`check`], [`copy()`]; one is made by
//! [`Catalog::back_up_daily`](super::file::Catalog::back_up_daily) before a removal, and before
//! every migration.
//!
//! Backups lie in `.dalsegno/backups/` of the base directory, even if the catalog lies elsewhere:
//! a local disk that is lost is what they are for. If a base directory has no `.dalsegno`, they
//! lie in `<catalog>.backups/`.
//!
//! | file in the folder | what |
//! |---|---|
//! | `YYYYMMDDTHHMMSSZ.sqlite3` | a backup, named by its time in UTC |
//! | `new-*.sqlite3` | one that is being made, or whose making was killed |
//! | `lock` | who makes one |
//!
//! All other files there are left alone.
//!
//! # Making one
//! The open catalog is copied page by page, in one read transaction, to `new-*.sqlite3`, which is
//! synced and checked, and then renamed. So what has a backup's name is whole. Only when the folder
//! is synced too, older ones go: what the new one equals byte for byte, then those dated in the
//! future (their clock was wrong, and this one holds what they hold), then the oldest. Pages are
//! copied as they are. So if the copy is damaged, the catalog is: then the copy goes, the older
//! ones stay, and the error says that the catalog is damaged.
//!
//! A backup is in rollback-journal mode, so that nothing lies beside it, and has the permissions of
//! the catalog. It is opened `immutable`: reading it makes no file.
//!
//! # Locks
//! A record lock on `lock` (see `LockFile`), for as long as a backup is made, or chosen and copied
//! by a rebuild, which would otherwise lose it in between. A removal waits two seconds for it, then
//! goes on without a backup, and says so. A migration and a rebuild wait for it, and
//! hold the turn to write meanwhile; a process that makes a backup with the lock waits for no turn.
//!
//! # After a crash
//! A `new-*.sqlite3` may be left. The next one that makes a backup removes it: with the lock in
//! hand, no other process works on it.

mod copy;
mod folder;
mod make;

#[cfg(feature = "testing")]
pub use copy::CheckedBackup;
pub(in crate::catalog) use copy::{ARTIFACTS, LAST_OPERATION};
pub use copy::{LastOperation, check, copy, holds};
pub(in crate::catalog::sqlite) use copy::{copy_open, size};
pub(in crate::catalog::sqlite) use folder::LOCK;
pub use folder::{BACKUPS_DIR, Backup, list};
pub(crate) use folder::{Held, hold};
pub(in crate::catalog) use make::{Maker, ticking};
