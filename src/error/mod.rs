//! [`Error`], the one error of the library: what happened, to what, why, and what to do next.

mod hint;

use std::path::{Path, PathBuf};

use crate::catalog::CatalogError;
use crate::model::clock::Timestamp;
use crate::model::layout::LayoutError;
use crate::model::name::NameError;
use crate::model::nearest::did_you_mean;
use crate::model::removal::RemovalId;
use crate::model::score::ImportError;
use crate::model::words;
use crate::retention::{PlanError, PolicyError};
use crate::store::StorageError;

/// Everything that a call of the registry can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name breaks the rules of names.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A path belongs to no key.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The catalog cannot be used, or refuses the change.
    #[error(transparent)]
    Catalog(CatalogError),
    /// Data on disk cannot be used as asked.
    #[error(transparent)]
    Storage(StorageError),
    /// A call was given up: its monitor or the registry's interrupt cancelled it. Unless the call
    /// says otherwise, it has changed nothing.
    #[error("cancelled while working with {}", .path.display())]
    Cancelled {
        /// The catalog file, or the base directory if the call was looking at data.
        path: PathBuf,
        /// `interrupted`, or `walk-interrupted` if the call was looking at data.
        code: &'static str,
    },
    /// A path or identifier lies outside the base directory.
    #[error("{} is outside the base directory {}", .path.display(), .base.display())]
    OutsideBase {
        /// The path.
        path: PathBuf,
        /// Base directory.
        base: PathBuf,
    },
    /// The registry has no such artifact.
    #[error(
        "{what} is {}{}{}{}",
        not_recorded_words(*.is_run, *.inside),
        level_words(.level_of.as_deref()),
        did_you_mean(.nearest.as_deref()),
        clause(.near_iterations.as_deref())
    )]
    NotRecorded {
        /// Path, key or number that was asked for.
        what: String,
        /// Absolute path of the artifact, if it was named by its path.
        path: Option<PathBuf>,
        /// Whether it is the name of a run of which something is recorded.
        is_run: bool,
        /// If it is the path of another folder: number of artifacts in it.
        inside: u32,
        /// Path of the pyramid that it is a level of, relative to the base directory.
        level_of: Option<String>,
        /// The most similar name or path that is recorded, if one is similar.
        nearest: Option<String>,
        /// If all but the iteration in its path is recorded, those next to it: `iterations near
        /// 1100: 1000, 2000`.
        near_iterations: Option<Box<str>>,
        /// Whether checkpoints are on disk there, and no array: a scan for checkpoints adds them.
        only_checkpoints: bool,
    },
    /// An artifact was to be sealed and has no data.
    #[error("{} has no data to seal", .path.display())]
    NothingWritten {
        /// Where the data would be.
        path: PathBuf,
    },
    /// An array was to be sealed as complete, and chunks of it are missing.
    #[error(
        "{} has {} of {} chunks: {missing}",
        .path.display(),
        words::number(*.there),
        words::number(*.expected)
    )]
    ChunksMissing {
        /// The array.
        path: PathBuf,
        /// Number of chunks, or shards, that are there.
        there: u64,
        /// Number of chunks, or shards, by its metadata.
        expected: u64,
        /// The first missing ones, as a clause.
        missing: String,
    },
    /// A pyramid was to be sealed as complete, and levels that it names are missing.
    #[error("{} is not complete: {missing}", .path.display())]
    LevelsMissing {
        /// The group.
        path: PathBuf,
        /// The missing ones, as a clause.
        missing: String,
    },
    /// A removal was to leave out a name that nothing recorded has, so it would take all.
    #[error("{what}")]
    ExclusionUnknown {
        /// What is not known, as a clause.
        what: String,
    },
    /// An array was to be sealed as complete, and its metadata does not say which chunks it has.
    #[error(
        "the chunks of {} cannot be counted: its metadata does not say which there are",
        .path.display()
    )]
    ChunksUnknown {
        /// The array.
        path: PathBuf,
    },
    /// Another artifact lies in one that was to be removed.
    #[error(
        "{} lies in {}, which was to be removed without it",
        .inner.display(),
        .outer.display()
    )]
    Nested {
        /// What was to be removed.
        outer: PathBuf,
        /// What lies in it.
        inner: PathBuf,
    },
    /// A file system is mounted in, or at, what was to be removed or renamed.
    #[error("a file system is mounted at {}, which so can be neither removed nor renamed", .path.display())]
    MountPoint {
        /// The mount point.
        path: PathBuf,
    },
    /// Another registry lies in what was to be removed or moved, or around it below the base
    /// directory.
    #[error("{} belongs to another registry, in {}", .path.display(), .registry.display())]
    InnerRegistry {
        /// What was to be removed or moved.
        path: PathBuf,
        /// Base directory of the other registry.
        registry: PathBuf,
    },
    /// No removal has this id.
    #[error("there is no removal {id}{}", did_you_mean(.nearest.as_deref()))]
    NoRemoval {
        /// Its id.
        id: String,
        /// The most similar id of a removal in the trash, if one is similar.
        nearest: Option<String>,
    },
    /// A removal cannot be restored any more.
    #[error("removal {id} is {state}; nothing of it is left to restore")]
    NotRestorable {
        /// Its id.
        id: String,
        /// Its state now.
        state: &'static str,
    },
    /// Nothing in the trash matches.
    #[error("nothing of {what} is in the trash{}", did_you_mean(.nearest.as_deref()))]
    NotInTrash {
        /// What was asked for.
        what: String,
        /// The most similar run, path or removal in the trash, if one is similar.
        nearest: Option<String>,
    },
    /// What a removal moved to the trash is not there any more.
    #[error(
        "{} was moved to the trash by removal {removal}, and is not there any more: it was deleted \
         or moved away by hand",
        .path.display()
    )]
    LostInTrash {
        /// Its path before the removal.
        path: PathBuf,
        /// The removal that took it.
        removal: RemovalId,
    },
    /// There is something at the path of a removed artifact.
    #[error("{} is occupied; it cannot be restored there", .path.display())]
    Occupied {
        /// The path.
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
    /// A pin binds the data that was to be removed, under the name that it had before it, or a
    /// folder above it, was renamed by hand.
    #[error("{} is, by its time, the data of {owner}, which is pinned: {pins}", .path.display())]
    PinnedElsewhere {
        /// What was to be removed.
        path: PathBuf,
        /// The path of the row that is pinned, relative to the base directory.
        owner: String,
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
    /// By its time, the data at the path of what was to be removed, sealed, pinned or scored is
    /// that of another run: the run was renamed by hand, and its rows, pins and scores did not
    /// follow.
    #[error(
        "{} is, by its time, the data of {}: a run was renamed by hand",
        .path.display(),
        .owner.display()
    )]
    OfAnotherRun {
        /// Where the data is.
        path: PathBuf,
        /// Path of the row that the data is of.
        owner: PathBuf,
    },
    /// An artifact to remove is not at its path, and by its time its data is at another one: a
    /// folder above it was renamed by hand, and its row did not follow.
    #[error(
        "{} is gone, and its data is, by its time, in {}: a folder was renamed by hand",
        .path.display(),
        .found.display()
    )]
    RenamedByHand {
        /// Where the data was.
        path: PathBuf,
        /// Where it is, or the first of several such places.
        found: PathBuf,
    },
    /// The name of a run was to be given, and it is the path of what is in a run.
    #[error("\"{}\" is a folder of run {run}, not a run", .path.escape_debug())]
    BelowRun {
        /// The path, relative to the base directory.
        path: String,
        /// The run that it is in.
        run: String,
    },
    /// A seal was to be noted for the host that has the catalog, and that host takes no word about
    /// data of another user. Its owner and root may say it.
    #[error("a seal of {} cannot be noted: it is about data of another user", .path.display())]
    OfAnotherUser {
        /// Where the data is.
        path: PathBuf,
        /// The host that has the catalog, if it is known.
        host: Option<String>,
    },
    /// The new name of a run is taken, or cannot be the run's.
    #[error("the name {run} is taken by {by}{}", of_removals(.removals))]
    RunTaken {
        /// The new name.
        run: String,
        /// By what.
        by: &'static str,
        /// The removals of that name in the trash, if it is these.
        removals: Vec<RemovalId>,
    },
    /// A run that was to be renamed was written to a short time ago.
    #[error("run {run} was written to at {written}; a training may be at work")]
    RunActive {
        /// The run.
        run: String,
        /// When data was last written or recorded.
        written: Timestamp,
    },
    /// The folder of a run that was to be renamed is not there.
    #[error("{} is not there", .path.display())]
    RunFolderGone {
        /// Where it would be.
        path: PathBuf,
    },
    /// An artifact has changed since its removal was planned.
    #[error("{} was {what} since it was planned", .path.display())]
    ChangedSince {
        /// What was to be removed.
        path: PathBuf,
        /// What happened to it, such as `pinned`.
        what: &'static str,
    },
    /// A policy is wrong, or no plan can be made by it.
    #[error(transparent)]
    Retention(#[from] PlanError),
    /// Scores cannot be read.
    #[error(transparent)]
    Scores(#[from] ImportError),
    /// A saved plan cannot be read or used.
    #[error("the plan cannot be used: {detail}")]
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
    /// An invariant of the library does not hold; a bug.
    #[error("an internal error: {detail}")]
    Internal {
        /// Which invariant, and what was found.
        detail: String,
    },
    /// Data could not be read in full.
    #[error("{} could not be read: {detail}", .path.display())]
    Unreadable {
        /// Path of the data.
        path: PathBuf,
        /// Why it could not be read.
        detail: String,
    },
}

/// Names the removals that bind a name.
fn of_removals(removals: &[RemovalId]) -> String {
    let names = listed(removals);
    match removals.len() {
        0 => String::new(),
        1 => format!(", removal {names}"),
        _ => format!(", removals {names}"),
    }
}

/// Ids of removals, as a command takes them.
pub(crate) fn listed(removals: &[RemovalId]) -> String {
    let ids: Vec<String> = removals.iter().map(ToString::to_string).collect();
    ids.join(" ")
}

/// Whether space was lacking, on the disk or in a quota.
fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// The text as the end of a sentence, after a semicolon; empty without a text.
fn clause(text: Option<&str>) -> String {
    text.map_or(String::new(), |text| format!("; {text}"))
}

/// What is at a name of which nothing is recorded.
fn not_recorded_words(is_run: bool, inside: u32) -> String {
    match (is_run, inside) {
        (true, _) => "a run, and no artifact".to_owned(),
        (false, 0) => "not recorded".to_owned(),
        (false, inside) => format!(
            "a folder with {}, and no artifact itself",
            words::count(inside, "artifact")
        ),
    }
}

/// Says that a path is that of a level.
fn level_words(pyramid: Option<&str>) -> String {
    let words = |pyramid| format!(" by itself: it is a level of {pyramid}; name that path");
    pyramid.map_or(String::new(), words)
}

impl Error {
    /// Every code that [`Error::code`] can give.
    pub const CODES: [&'static str; 121] = [
        "name-empty",
        "name-absolute",
        "name-dot",
        "name-dot-dot",
        "name-nul",
        "name-control",
        "name-not-unicode",
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
        "catalog-other-path",
        "catalog-elsewhere",
        "catalog-not-here",
        "catalog-not-copied",
        "catalog-outdated",
        "not-the-owner",
        "catalog-unbound",
        "clock-before-epoch",
        "clock-too-far",
        "not-published",
        "catalog-in-base",
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
        "nothing-to-undo",
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
        "trash-untrusted",
        "not-movable",
        "damaged-metadata",
        "best-link",
        "walk-interrupted",
        "no-space",
        "over-quota",
        "storage-io",
        "outside-base",
        "not-recorded",
        "nothing-written",
        "chunks-missing",
        "levels-missing",
        "exclusion-unknown",
        "chunks-unknown",
        "nested-artifact",
        "mount-point",
        "inner-registry",
        "no-removal",
        "not-restorable",
        "not-in-trash",
        "lost-in-trash",
        "occupied",
        "no-folder",
        "pinned",
        "pinned-elsewhere",
        "best-linked",
        "of-another-run",
        "renamed-by-hand",
        "below-run",
        "of-another-user",
        "run-taken",
        "run-active",
        "run-folder-gone",
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
            Self::Cancelled { code, .. } => code,
            Self::OutsideBase { .. } => "outside-base",
            Self::NotRecorded { .. } => "not-recorded",
            Self::NothingWritten { .. } => "nothing-written",
            Self::ChunksMissing { .. } => "chunks-missing",
            Self::LevelsMissing { .. } => "levels-missing",
            Self::ExclusionUnknown { .. } => "exclusion-unknown",
            Self::ChunksUnknown { .. } => "chunks-unknown",
            Self::Nested { .. } => "nested-artifact",
            Self::MountPoint { .. } => "mount-point",
            Self::InnerRegistry { .. } => "inner-registry",
            Self::NoRemoval { .. } => "no-removal",
            Self::NotRestorable { .. } => "not-restorable",
            Self::NotInTrash { .. } => "not-in-trash",
            Self::LostInTrash { .. } => "lost-in-trash",
            Self::Occupied { .. } => "occupied",
            Self::NoFolder { .. } => "no-folder",
            Self::Pinned { .. } => "pinned",
            Self::PinnedElsewhere { .. } => "pinned-elsewhere",
            Self::BestLinked { .. } => "best-linked",
            Self::OfAnotherRun { .. } => "of-another-run",
            Self::RenamedByHand { .. } => "renamed-by-hand",
            Self::BelowRun { .. } => "below-run",
            Self::OfAnotherUser { .. } => "of-another-user",
            Self::RunTaken { .. } => "run-taken",
            Self::RunActive { .. } => "run-active",
            Self::RunFolderGone { .. } => "run-folder-gone",
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

    /// Whether it ends a call that works on many things, rather than being about one of them.
    pub(crate) fn ends_all(&self) -> bool {
        // The catalog and a cancellation concern all that would come next; an error of data
        // concerns one artifact, and the work goes on with the others.
        matches!(self, Self::Catalog(_) | Self::Cancelled { .. })
    }

    /// Whether a disk or a quota had no room.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Catalog(CatalogError::Io { source, .. }) => is_full(source),
            error => matches!(error.code(), "catalog-full" | "no-space" | "over-quota"),
        }
    }

    /// Returns the path that the error is about, if there is one: absolute, or relative to the base
    /// directory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Layout(error) => error.path().map(Path::new),
            Self::Catalog(error) => error.path(),
            Self::Storage(error) => Some(error.path()),
            Self::Cancelled { path, .. }
            | Self::OutsideBase { path, .. }
            | Self::NothingWritten { path }
            | Self::ChunksMissing { path, .. }
            | Self::LevelsMissing { path, .. }
            | Self::ChunksUnknown { path }
            | Self::Nested { outer: path, .. }
            | Self::MountPoint { path }
            | Self::InnerRegistry { path, .. }
            | Self::LostInTrash { path, .. }
            | Self::Occupied { path }
            | Self::NoFolder { base: path }
            | Self::Pinned { path, .. }
            | Self::PinnedElsewhere { path, .. }
            | Self::BestLinked { path, .. }
            | Self::OfAnotherRun { path, .. }
            | Self::RenamedByHand { path, .. }
            | Self::OfAnotherUser { path, .. }
            | Self::RunFolderGone { path }
            | Self::ChangedSince { path, .. }
            | Self::Unreadable { path, .. } => Some(path),
            Self::NotRecorded { path, .. } => path.as_deref(),
            // About names, numbers and texts, not about a file.
            Self::Name(_)
            | Self::BelowRun { .. }
            | Self::NoRemoval { .. }
            | Self::NotRestorable { .. }
            | Self::NotInTrash { .. }
            | Self::RunTaken { .. }
            | Self::RunActive { .. }
            | Self::Retention(_)
            | Self::Scores(_)
            | Self::Plan { .. }
            | Self::PlanElsewhere { .. }
            | Self::PlanOutdated { .. }
            | Self::ExclusionUnknown { .. }
            | Self::Internal { .. } => None,
        }
    }
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Self {
        // Cancelling is one error, in whatever layer the call noticed it.
        match error {
            CatalogError::Interrupted { ref path } => Self::Cancelled {
                path: path.clone(),
                code: error.code(),
            },
            error => Self::Catalog(error),
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Interrupted { ref path } => Self::Cancelled {
                path: path.clone(),
                code: error.code(),
            },
            error => Self::Storage(error),
        }
    }
}

impl From<PolicyError> for Error {
    fn from(error: PolicyError) -> Self {
        Self::Retention(error.into())
    }
}

/// Result of the library.
pub type Result<T> = std::result::Result<T, Error>;
