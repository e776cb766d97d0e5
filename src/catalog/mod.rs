//! The catalog: all SQL of the registry.
//!
//! Entry type: [`Catalog`], one SQLite file. Reads take any free connection; changes go through
//! `Catalog::write`: a turn of the write queue, `BEGIN IMMEDIATE`, the change, `COMMIT`.
//!
//! | file | belongs to |
//! |---|---|
//! | `.dalsegno/` | `registry_dir` (made whole beside its place, then renamed into it) |
//! | `.dalsegno/config.toml` | `registry_dir` |
//! | `catalog.sqlite3`, `-wal`, `-shm` | SQLite |
//! | `catalog.sqlite3.queue`, `.turn` | `queue` |
//! | `catalog.sqlite3.reserve` | `reserve` |
//! | `.dalsegno/backups/`, or `<catalog>.backups/` | `backup` |
//! | `catalog.sqlite3.rebuild`, `.damaged-*` | `replace` |
//! | `.dalsegno/catalog-place.toml`, if the catalog is elsewhere | `remembered` |
//! | `<catalog>.base`, if the catalog is elsewhere | `binding` |
//! | `.dalsegno/published.sqlite3`, `<catalog>.publishing*` | `publish` |
//!
//! # Durability
//! On a local disk: WAL and `synchronous=FULL`, so a commit that was acknowledged survives a
//! power cut. [`Durability::Relaxed`] syncs at checkpoints only: a power cut may take back the
//! last commits, whole ones, and leaves a sound catalog. For one host on a network file system:
//! rollback journal `TRUNCATE` and `synchronous=EXTRA`.
//!
//! # Reading without the right to write
//! A WAL catalog can be read by ordinary means only if its `-shm` file can be made. If it
//! cannot (read-only mount, folder of another user), it is opened `immutable`; a `-wal` file
//! with content, as on a snapshot of a busy file system, would then go unread, so catalog and WAL
//! are copied to a temporary folder and read there. [`Catalog::notice`] says which.
//!
//! # Fork
//! SQLite's locks do not survive a fork, and a child that opens the same file again inherits the
//! wrong belief that it has locks. So a handle that was forked refuses every call, and so does
//! opening a catalog in a child whose parent had it open. Dropping the handle there is safe: its
//! connections are left alone.
//!
//! # After a crash
//! SQLite rolls back what was not committed. Nothing else is left behind but lock files and, from
//! a creation that was killed, a folder `.dalsegno.new-*` that the next creation removes, and from
//! a backup that was killed, a file that the next backup removes.

mod below;
mod binding;
mod complete_rename;
pub mod config;
mod counts;
mod error;
mod exchange;
mod glob;
mod history;
mod inbox;
mod intern;
mod journal;
mod known;
mod levels;
mod lookup;
mod names;
mod observe;
mod order;
mod pin_view;
mod pins;
mod places;
mod query;
mod record;
mod reinstate;
mod removal_view;
mod removals;
mod rename;
mod rows;
mod salvage;
mod scores;
mod sharing;
pub(crate) mod sqlite;
#[cfg(feature = "testing")]
pub mod statements;
mod summaries;
mod summary;
mod tie;
mod twins;
mod undo;

pub use counts::CatalogCounts;
pub use error::{CatalogError, LostPlace};
pub use exchange::Exchange;
pub use inbox::{Folded, Folding};
pub(crate) use names::NameOf;
pub use observe::{Observed, ObservedRow, Seal};
pub use pin_view::PinView;
pub use pins::{Bound, PinChange};
pub use places::PinnedPlace;
pub use query::{RowRead, Selected};
pub use record::{AdoptCounts, LevelsNote, Recorded, Recorder, ScannedArtifact};
pub use removal_view::RemovalView;
pub use removals::{Change, KeptItem, OpenRemoval};
pub use rename::RunContents;
pub(crate) use rename::renamed;
pub use salvage::{Salvaged, SomeRows, TakenIn, keep_published, salvage_published};
pub use scores::ScoreQuery;
pub use sharing::closed_to_group;
#[cfg(feature = "cli")]
pub use sharing::shared_with;
pub use sqlite::backup;
#[cfg(feature = "cli")]
pub(crate) use sqlite::changes;
pub(crate) use sqlite::connection::check_file;
pub use sqlite::file::Catalog;
pub(crate) use sqlite::file::check_clock;
pub use sqlite::health::{CatalogFiles, CatalogHealth};
pub(crate) use sqlite::keeping::Keeping;
pub use sqlite::mend::{Mended, MendedCopy, mend_header};
pub use sqlite::options::{CatalogOptions, Durability, IsKept, Keeper, OnNotice};
pub use sqlite::pieces::{Pieces, PiecesRead, has_torn_log, read_pieces};
#[cfg(feature = "cli")]
pub use sqlite::publish::Unpublished;
pub use sqlite::published::{PUBLISHED_FILE, published_at, published_by};
pub use sqlite::queue::OnWait;
#[cfg(feature = "cli")]
pub use sqlite::registry_dir::CATALOG_FILE;
pub use sqlite::registry_dir::{NewRegistryDir, RegistryDir};
pub use sqlite::replace::{Replacing, damage_of, has_log, registry_of};
pub use sqlite::reserve::Share;
#[cfg(feature = "cli")]
pub(crate) use summaries::Summary;
pub use summaries::{ParseSummaryKeyError, SummaryKey, SummaryOptions};
pub use summary::{DuGroup, DuRow, IterationRow, RunRow};
pub use tie::{Tie, claim, learn, not_copied, require_owner, require_replaceable, tie, unproven};
pub(crate) use undo::place_of_score;
