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
//! # Tour
//! A module imports only from its own level or from those above it in this table.
//!
//! | level | modules |
//! |---|---|
//! | values: no disk, no SQL, no clock | [`name`], [`size`], [`clock`], [`monitor`], [`key`], [`layout`], [`identifier`], [`content`], [`artifact`], [`removals`], [`filter`], [`history`], [`pins`], [`scores`], [`retention`], [`config`] |
//! | all SQL; all touching of data | [`catalog`]; [`storage`] |
//! | the error that holds both | [`Error`] |
//! | protocols over both | `scan`, `refresh`, `seal`, [`removal`], [`gc`], `recovery`, `restore`, [`verify`], `rebuild` |
//! | the face | [`ArrayStore`], [`Registry`] |
//! | the command line | [`cli`] |
//!
//! # Files on disk
//! | in the base directory | what | module |
//! |---|---|---|
//! | `.dalsegno/catalog.sqlite3` (`-wal`, `-shm`) | the catalog | [`catalog`] |
//! | `.dalsegno/catalog.sqlite3.queue`, `.turn` | locks: who writes next, who writes now | [`catalog`] |
//! | `.dalsegno/backups/` | copies of the catalog: before a migration, and daily before a removal | [`catalog::backup`] |
//! | `.dalsegno/catalog.sqlite3.damaged-*` | what a rebuild set aside | [`catalog`] |
//! | `.dalsegno/trash/<removal>/` | removed data that is not unlinked yet, and its manifest | [`removal`], [`storage`] |
//! | `.dalsegno/config.toml` | which registry this is, where the catalog is, how long the trash keeps, policies | [`config`], [`catalog`] |
//! | `.dalsegno.new-*` | a registry that is being made, or whose making was killed | [`catalog`] |
//! | everything else | the runs' own | [`storage`] |

#![forbid(unsafe_code)]
#![cfg_attr(
    not(feature = "cli"),
    expect(rustdoc::broken_intra_doc_links, reason = "cli is left out")
)]

pub mod array_store;
pub mod artifact;
pub mod catalog;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod config;
pub mod content;
pub mod error;
pub mod filter;
pub mod gc;
pub mod history;
pub mod identifier;
pub mod key;
pub mod layout;
pub mod monitor;
pub mod name;
pub mod pins;
mod rebuild;
mod recovery;
mod refresh;
mod registry;
pub mod removal;
pub mod removals;
mod restore;
pub mod retention;
mod scan;
pub mod scores;
mod seal;
pub mod size;
pub mod storage;
pub mod verify;

pub use array_store::ArrayStore;
pub use error::{Error, Result};
pub use identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
pub use rebuild::{RebuildFrom, RebuildOptions, RebuildReport, RefusedBackup};
pub use recovery::{Pending, Recovery};
pub use refresh::{RefreshOptions, RefreshReport};
pub use registry::{
    EmptyReport, Gone, Options, PinTarget, Registry, RestoreTarget, Target, UndoReport,
};
pub use removal::{BackupFailure, Chosen, RemovalPlan, RemovalReport, RemoveOptions};
pub use restore::RestoreReport;
pub use scan::{ScanOptions, ScanReport};
pub use seal::SealOptions;
pub use verify::{RepairReport, VerifyClass, VerifyFinding, VerifyOptions, VerifyReport};

/// The example of the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
