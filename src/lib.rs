//! dalsegno is the registry of what training runs wrote.
//!
//! A run trains a model on volumes and, at every validation, writes arrays: predictions, outputs
//! for each parameter set, copies of the inputs. They are zarr directories of thousands of small
//! files. dalsegno gives each array an identifier, as DaCapo's `ArrayStore` does, keeps every
//! identifier in a SQLite catalog beside the data, and answers from that catalog.
//!
//! Start with [`Registry`]: [`Registry::create`] or [`Registry::open`], then the calls of
//! [`ArrayStore`] or [`Registry::record`], [`Registry::scan`], [`Registry::list`],
//! [`Registry::iterations`].
//!
//! The folder `.dalsegno` in the base directory holds the catalog, its backups, locks, trash and
//! configuration; the chapter on files of the documentation lists them. Everything else in the base
//! directory belongs to the runs.

#![forbid(unsafe_code)]
// Types that only `testing` hands out are internal and may do without.
#![cfg_attr(not(feature = "testing"), warn(missing_debug_implementations))]
#![cfg_attr(
    not(feature = "cli"),
    expect(rustdoc::broken_intra_doc_links, reason = "cli is left out")
)]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "dalsegno runs on Linux only: it moves and removes data with Linux's own system calls \
     (renameat2, statx, syncfs)"
);

pub(crate) mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
pub(crate) mod disk;
mod error;
pub mod model;
pub(crate) mod ops;
mod registry;
pub mod retention;
pub(crate) mod store;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

pub use catalog::config::{CatalogConfig, Config, ConfigError, TrashConfig};
pub use catalog::sqlite::backup::Backup;
pub use catalog::{
    CatalogCounts, CatalogError, CatalogFiles, CatalogHealth, DuGroup, DuRow, Durability,
    IterationRow, LostPlace, ParseSummaryKeyError, PinChange, Recorded, RunRow, ScoreQuery,
    SummaryKey, SummaryOptions,
};
pub use error::{Error, Result};
pub use model::causes::with_causes;
pub use model::hint::Hint;
pub use model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
pub use ops::gc::{GcOptions, GcPlan, GcReport, GcRequest, GcRules, PlanFile, PlanItem};
pub use ops::grown::CountsNow;
pub use ops::inbox::{InboxState, RefusedNotes};
pub use ops::others::OtherUse;
pub use ops::rebuild::{RebuildFrom, RebuildOptions, RebuildReport, RebuildSalvage, RefusedBackup};
pub use ops::recover::{Pending, Recovery};
pub use ops::refresh::{Question, RefreshOptions, RefreshReport};
pub use ops::remove::{
    ArtifactToRemove, BackupFailure, PlannedItem, RemovalPlan, RemovalReport, RemoveOptions,
    Skipped,
};
pub use ops::rename::{RenameOptions, RenameReport};
pub use ops::restore::{OlderRemoved, RestoreReport, RestoreTarget};
pub use ops::scan::{ScanOptions, ScanReport};
pub use ops::seal::SealOptions;
pub use ops::target::Target;
pub use ops::trash::EmptyReport;
pub use ops::undo::UndoReport;
pub use ops::unmatched::Unmatched;
pub use ops::unscanned::OnDisk;
pub use ops::verify::{
    Follows, Repair, RepairReport, VerifyClass, VerifyFinding, VerifyOptions, VerifyPart,
    VerifyReport,
};
pub use registry::array_store::ArrayStore;
pub use registry::{
    FormerArtifact, Inbox, Options, PinSelection, Published, RecordingStore, Registry,
};
pub use store::{Notice, NoticeClass, PurgeReport, Share, StaleList, StorageError, base_path};

/// The Rust blocks of the documents compile and run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../docs/src/rust.md")]
    struct Library;
}
