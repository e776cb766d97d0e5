//! The library's error: what, where, why, and what to do next.

use std::path::{Path, PathBuf};

use crate::catalog::CatalogError;
use crate::model::clock::Timestamp;
use crate::model::layout::LayoutError;
use crate::model::name::NameError;
use crate::model::score::ImportError;
use crate::retention::PlanError;
use crate::store::StorageError;

/// Whatever the registry reports.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name breaks the rules.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path belongs to no key.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Data on disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A path or identifier lies outside the base directory.
    #[error("{} is outside the base directory {}", .path.display(), .base.display())]
    OutsideBase {
        /// The path.
        path: PathBuf,
        /// Base directory.
        base: PathBuf,
    },
    /// The registry has no such artifact.
    #[error("{what} is not recorded")]
    NotRecorded {
        /// Path, key or number that was asked for.
        what: String,
        /// Where it would be, where a path was asked for; absolute.
        path: Option<PathBuf>,
    },
    /// An artifact was to be sealed and has no data.
    #[error("{} has no data to seal", .path.display())]
    NothingWritten {
        /// Where the data would be.
        path: PathBuf,
    },
    /// Another artifact lies in one that was to be removed.
    #[error("{} lies in {}, which was to be removed without it", .inner.display(), .outer.display())]
    Nested {
        /// What was to be removed.
        outer: PathBuf,
        /// What lies in it.
        inner: PathBuf,
    },
    /// A file system is mounted in what was to be removed.
    #[error("a file system is mounted at {}, in what was to be removed", .path.display())]
    MountPoint {
        /// The mount point.
        path: PathBuf,
    },
    /// There is no such removal.
    #[error("there is no removal {id}")]
    NoRemoval {
        /// Its id.
        id: String,
    },
    /// A removal cannot be restored any more.
    #[error("removal {id} is {state}; only a kept one can be restored")]
    NotRestorable {
        /// Its id.
        id: String,
        /// What has become of it.
        state: &'static str,
    },
    /// Nothing in the trash fits.
    #[error("nothing of {what} is in the trash")]
    NotInTrash {
        /// What was asked for.
        what: String,
    },
    /// The place of a removed artifact is taken.
    #[error("{} is occupied; it cannot be restored there", .path.display())]
    Occupied {
        /// The place.
        path: PathBuf,
    },
    /// The base directory has no folder for the trash.
    #[error("{} has no folder .dalsegno to keep the trash in", .base.display())]
    NoFolder {
        /// Base directory.
        base: PathBuf,
    },
    /// A pin binds what was to be removed.
    #[error("{} is pinned: {pins}", .path.display())]
    Pinned {
        /// What was to be removed.
        path: PathBuf,
        /// Names of the pins.
        pins: String,
    },
    /// A best link of DaCapo binds what was to be removed.
    #[error("{} belongs to a best iteration: {link}", .path.display())]
    BestLinked {
        /// What was to be removed.
        path: PathBuf,
        /// Name of the link, below the run's checkpoints.
        link: String,
    },
    /// Something is not as it was when its removal was planned.
    #[error("{} was {what} since it was planned", .path.display())]
    ChangedSince {
        /// What was to be removed.
        path: PathBuf,
        /// What became of it.
        what: &'static str,
    },
    /// There is no plan of what may go.
    #[error(transparent)]
    Retention(#[from] PlanError),
    /// Scores cannot be read.
    #[error(transparent)]
    Scores(#[from] ImportError),
    /// A kept plan cannot be read.
    #[error("this is no plan that can be carried out: {detail}")]
    Plan {
        /// What is wrong with it.
        detail: String,
    },
    /// A plan belongs to another registry.
    #[error("plan {id} was made for another registry, {registry}")]
    PlanElsewhere {
        /// Id of the plan.
        id: String,
        /// Id of that registry.
        registry: String,
    },
    /// Something was restored since a plan was made.
    #[error("artifacts were restored at {restored_at}, after plan {id} was made")]
    PlanOutdated {
        /// Id of the plan.
        id: String,
        /// When the last restore was.
        restored_at: Timestamp,
    },
    /// Something that cannot happen did.
    #[error("an internal error: {detail}")]
    Internal {
        /// What.
        detail: String,
    },
    /// Data could not be read in full.
    #[error("{} could not be read: {detail}", .path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        detail: String,
    },
}

impl Error {
    /// Every code that [`Error::code`] can give.
    pub const CODES: [&'static str; 93] = [
        "name-empty",
        "name-absolute",
        "name-dot",
        "name-dot-dot",
        "name-nul",
        "name-control",
        "name-component-too-long",
        "name-reserved",
        "name-not-a-container",
        "name-iteration",
        "layout-no-container",
        "layout-no-run",
        "no-registry",
        "catalog-missing",
        "catalog-not-a-file",
        "registry-not-a-folder",
        "catalog-damaged",
        "catalog-foreign",
        "catalog-too-new",
        "catalog-behind",
        "catalog-mismatch",
        "catalog-elsewhere",
        "catalog-taken",
        "catalog-on-network",
        "catalog-other-host",
        "lock-timeout",
        "interrupted",
        "catalog-replaced",
        "catalog-sound",
        "catalog-folder-missing",
        "not-a-backup",
        "read-only",
        "forked",
        "catalog-full",
        "path-taken",
        "catalog-row-damaged",
        "config-invalid",
        "no-backup",
        "catalog-migration",
        "pin-name",
        "no-pin",
        "pin-taken",
        "pin-without-reason",
        "pin-binds-nothing",
        "no-operation",
        "not-undoable",
        "undone-already",
        "undo-too-late",
        "changed-since-operation",
        "catalog-sql",
        "catalog-io",
        "base-not-found",
        "base-not-a-folder",
        "base-not-readable",
        "base-unusable",
        "symlink",
        "not-a-folder",
        "not-a-file",
        "other-device",
        "path-outside",
        "changed-meanwhile",
        "damaged-metadata",
        "best-link",
        "walk-interrupted",
        "no-space",
        "over-quota",
        "storage-io",
        "outside-base",
        "not-recorded",
        "nothing-written",
        "nested-artifact",
        "mount-point",
        "no-removal",
        "not-restorable",
        "not-in-trash",
        "occupied",
        "no-folder",
        "pinned",
        "best-linked",
        "changed-since-plan",
        "policy-empty",
        "policy-zero",
        "policy-useless-rule",
        "policy-metric",
        "plan-empties-group",
        "plan-unmeasured",
        "plan-free-unknown",
        "scores-invalid",
        "plan-invalid",
        "plan-elsewhere",
        "plan-outdated",
        "internal",
        "unreadable",
    ];

    /// Stable code of the error, in kebab-case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Name(error) => error.code(),
            Self::Layout(error) => error.code(),
            Self::Catalog(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::OutsideBase { .. } => "outside-base",
            Self::NotRecorded { .. } => "not-recorded",
            Self::NothingWritten { .. } => "nothing-written",
            Self::Nested { .. } => "nested-artifact",
            Self::MountPoint { .. } => "mount-point",
            Self::NoRemoval { .. } => "no-removal",
            Self::NotRestorable { .. } => "not-restorable",
            Self::NotInTrash { .. } => "not-in-trash",
            Self::Occupied { .. } => "occupied",
            Self::NoFolder { .. } => "no-folder",
            Self::Pinned { .. } => "pinned",
            Self::BestLinked { .. } => "best-linked",
            Self::ChangedSince { .. } => "changed-since-plan",
            Self::Retention(error) => error.code(),
            Self::Scores(error) => error.code(),
            Self::Plan { .. } => "plan-invalid",
            Self::PlanElsewhere { .. } => "plan-elsewhere",
            Self::PlanOutdated { .. } => "plan-outdated",
            Self::Internal { .. } => "internal",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// What it is about, where that is a path: absolute, or relative to the base directory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Layout(error) => error.path().map(Path::new),
            Self::Catalog(error) => error.path(),
            Self::Storage(error) => Some(error.path()),
            Self::OutsideBase { path, .. }
            | Self::NothingWritten { path }
            | Self::Nested { outer: path, .. }
            | Self::MountPoint { path }
            | Self::Occupied { path }
            | Self::NoFolder { base: path }
            | Self::Pinned { path, .. }
            | Self::BestLinked { path, .. }
            | Self::ChangedSince { path, .. }
            | Self::Unreadable { path, .. } => Some(path),
            Self::NotRecorded { path, .. } => path.as_deref(),
            Self::Name(_)
            | Self::NoRemoval { .. }
            | Self::NotRestorable { .. }
            | Self::NotInTrash { .. }
            | Self::Retention(_)
            | Self::Scores(_)
            | Self::Plan { .. }
            | Self::PlanElsewhere { .. }
            | Self::PlanOutdated { .. }
            | Self::Internal { .. } => None,
        }
    }

    /// What to do next, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self.code() {
            "no-registry" => {
                "make one with: dalsegno --base DIR init, then: dalsegno --base DIR scan"
            }
            "base-not-found" => "check the path; dalsegno never makes a base directory",
            "base-not-a-folder" => "give the folder that holds the runs",
            "base-not-readable" => "ask its owner for the right to read it",
            "catalog-missing"
            | "catalog-damaged"
            | "catalog-not-a-file"
            | "catalog-row-damaged" => {
                "set it aside and make a new one, from the newest good backup and what is on disk, with: \
                 dalsegno rebuild"
            }
            "catalog-replaced" => "open the registry again; what was asked for was not done",
            "catalog-sound" => {
                "compare it with the disk with: dalsegno verify; rebuild it all the same with --force"
            }
            "catalog-folder-missing" => {
                "mount its disk, or make the folder, or name another file in .dalsegno/config.toml; \
                 then: dalsegno rebuild"
            }
            "not-a-backup" => {
                "copy it whole with: sqlite3 FILE \".backup COPY\"; then begin with the copy"
            }
            "catalog-foreign" => {
                "name the right file with --catalog, or leave --catalog out; where something took its \
                 place in .dalsegno: dalsegno rebuild"
            }
            "catalog-too-new" => "use a newer dalsegno; the catalog was not touched",
            "catalog-behind" => {
                "bring it there as a user who may write it: dalsegno refresh; a backup is made first"
            }
            "catalog-mismatch" => {
                "this catalog describes another base directory; check --catalog and --base; where it \
                 stands in the place of the right one, move it away, then: dalsegno rebuild"
            }
            "registry-not-a-folder" => "move it away; the registry's folder has this name",
            "catalog-taken" => "name a file that does not exist yet",
            "catalog-elsewhere" => "leave --catalog out, or unset DALSEGNO_CATALOG",
            "catalog-on-network" => {
                "put the catalog on a local disk: dalsegno init --catalog PATH; or, where all \
                 writers run on this host: dalsegno init --single-host"
            }
            "catalog-other-host" => "run it there, or read only",
            "lock-timeout" => "try again, or wait longer with --lock-timeout",
            "read-only" => "run it where the base directory can be written",
            "forked" => {
                "open the registry in the child after closing it in the parent before the fork"
            }
            "catalog-full" => "free space on the file system of the catalog",
            "path-taken" => "these two keys share a path; see: dalsegno show PATH",
            "no-backup" => {
                "free space there for a copy of the catalog, or mend what is in the way, then run \
                 the same command again; nothing was changed"
            }
            "config-invalid" => "correct the file; the documentation lists its keys",
            "not-recorded" => "take it in with: dalsegno scan",
            "nothing-written" => "write the array first",
            "nested-artifact" => "select both, or move one of them elsewhere",
            "mount-point" => "unmount it first",
            "changed-meanwhile" => "look at it again and repeat the command; nothing was done",
            "pinned" => {
                "let it go with: dalsegno unpin NAME, or remove it all the same with --force-pinned"
            }
            "best-linked" => {
                "remove it all the same with --ignore-best-links; the link itself is DaCapo's"
            }
            "best-link" => "mend or move it, or leave best links aside with --ignore-best-links",
            "changed-since-plan" | "plan-outdated" => {
                "make a new plan, and look at it: dalsegno gc … --plan-out FILE"
            }
            "scores-invalid" => "correct the line; nothing was noted",
            "plan-invalid" => "give a file that dalsegno gc --plan-out wrote",
            "plan-elsewhere" => "give the base directory that the plan was made for with --base",
            "plan-empties-group" => "keep something of it, or allow that with --allow-empty-group",
            "plan-unmeasured" => "measure them with: dalsegno refresh --measure",
            "no-pin" => "see which there are with: dalsegno pin --list",
            "pin-taken" => "leave --reason out to let it bind more, or take another name",
            "pin-without-reason" => "say why with --reason TEXT",
            "pin-binds-nothing" => "see what is recorded with: dalsegno list",
            "no-operation" => "see which there are with: dalsegno history",
            "not-undoable" | "undone-already" | "undo-too-late" => {
                "see what it did with: dalsegno history show N"
            }
            "changed-since-operation" => {
                "see what changed it with: dalsegno history; undo the later operation first"
            }
            "no-removal" | "not-in-trash" => "see what can be restored with: dalsegno trash list",
            "internal" => {
                "report it, with what happened before and what this prints: dalsegno doctor"
            }
            "occupied" => "move away what stands there, then restore again",
            "no-folder" => "make it with: dalsegno init --catalog PATH",
            "no-space" | "over-quota" => {
                "free some space, or empty the trash with: dalsegno trash empty; nothing was changed"
            }
            "other-device" => "remove it at its own place; a rename cannot take it to the trash",
            "not-a-folder" | "not-a-file" => {
                "look at what stands there, and move it away; see: dalsegno verify"
            }
            "path-outside" => {
                "somebody changed the catalog or a manifest; see: dalsegno verify; no data is touched"
            }
            "symlink" => "remove what it points to at its own place; see also: dalsegno verify",
            "layout-no-container" => {
                "give a path that lies in a folder ending in .zarr or .n5, or that of a checkpoint"
            }
            "layout-no-run" => "a container lies in the folder of its run",
            "outside-base" => "give a path below the base directory",
            _ => return None,
        })
    }
}

/// Result of the library.
pub type Result<T> = std::result::Result<T, Error>;
