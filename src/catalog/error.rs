//! Errors of the catalog.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk;
use crate::model::clock::Timestamp;
use crate::model::operation::UndoError;
use crate::model::pin::PinError;

/// Name of the configuration in the registry's folder.
pub(super) const CONFIG_FILE: &str = "config.toml";

/// What `config.toml` has lost of a catalog outside the base directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostPlace {
    /// The section `[catalog]`.
    Section,
    /// The path in that section.
    Path,
}

/// Everything that a call of the catalog can fail with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// The base directory has no registry.
    #[error("{} has no registry{}", .base.display(), there_is_one(.near.as_deref()))]
    NoRegistry {
        /// Base directory.
        base: PathBuf,
        /// A base directory above or below it that has one.
        near: Option<PathBuf>,
    },
    /// The registry's folder exists, but its catalog does not.
    #[error("the catalog {} is gone", .path.display())]
    Missing {
        /// Catalog file.
        path: PathBuf,
    },
    /// The path of the catalog is not a regular file.
    #[error("the catalog {} is {found}, not a regular file", .path.display())]
    NotAFile {
        /// Catalog file.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The path of the registry's folder is not a folder.
    #[error("{} is not a folder", .path.display())]
    NotAFolder {
        /// Where the registry's folder would be.
        path: PathBuf,
    },
    /// The file is not an SQLite database, or a broken one.
    #[error("the catalog {} is damaged: {detail}", .path.display())]
    Damaged {
        /// Catalog file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The file is an SQLite database of another program.
    #[error(
        "{} is an SQLite database, but not a catalog of dalsegno (application id {application_id})",
        .path.display()
    )]
    Foreign {
        /// Catalog file.
        path: PathBuf,
        /// Application id in the file's header.
        application_id: i64,
    },
    /// A newer version wrote the catalog.
    #[error(
        "the catalog {} has version {found}; this program knows versions up to {known}",
        .path.display()
    )]
    TooNew {
        /// Catalog file.
        path: PathBuf,
        /// Version of the catalog.
        found: i64,
        /// Newest version that this program knows.
        known: i64,
    },
    /// An older version wrote the catalog, and it is open for reading only.
    #[error(
        "the catalog {} has version {found}; this program reads version {known}, and migrates the \
         catalog when it opens it for writing",
        .path.display()
    )]
    Behind {
        /// Catalog file.
        path: PathBuf,
        /// Version of the catalog.
        found: i64,
        /// Version that this program reads.
        known: i64,
    },
    /// The base directory belongs to another catalog.
    #[error(
        "the catalog {} belongs to registry {found}, but the base directory names registry \
         {expected}",
        .path.display()
    )]
    Mismatch {
        /// Catalog file.
        path: PathBuf,
        /// Registry that the base directory names.
        expected: String,
        /// Registry that the catalog belongs to.
        found: String,
    },
    /// The named catalog is not the one that the base directory uses.
    #[error(
        "the base directory keeps its catalog at {}, not at {}",
        .remembered.display(),
        .given.display()
    )]
    Elsewhere {
        /// Where the base directory's catalog is.
        remembered: PathBuf,
        /// The path that was given.
        given: PathBuf,
    },
    /// The catalog is on another host, which the base directory names; or it is outside the base
    /// directory, and `config.toml` does not name it any more.
    #[error("{}", at_keeper(.path, .host.as_deref(), .here, *.lost))]
    AtKeeper {
        /// Catalog file, on that host; `config.toml` if nothing names the catalog any more.
        path: PathBuf,
        /// The host that has the catalog; `None` if nothing names it any more.
        host: Option<String>,
        /// This host.
        here: String,
        /// What `config.toml` has lost; `None` if it names the catalog.
        lost: Option<LostPlace>,
    },
    /// The catalog is outside the base directory, and neither it nor a trace of it is on this host.
    #[error("the catalog {}{}", .path.display(), not_here(.keeper.as_deref()))]
    NotHere {
        /// Catalog file.
        path: PathBuf,
        /// Name of this host, if it is the one that has the catalog.
        keeper: Option<String>,
    },
    /// This host was to become the one that has the catalog, and the catalog is not at the path.
    #[error("{} is not the catalog of this base directory: {why}", .path.display())]
    NotCopied {
        /// Where the catalog was looked for.
        path: PathBuf,
        /// What is there instead.
        why: String,
    },
    /// This host was to become the one that has the catalog, and the copy that another host
    /// published has changes that the catalog at the path lacks.
    #[error(
        "{} lacks operation {operation}, which {} has: it was changed on another host since",
        .path.display(),
        .copy.display()
    )]
    Outdated {
        /// The catalog file that is older.
        path: PathBuf,
        /// The published copy.
        copy: PathBuf,
        /// Number of the copy's last operation.
        operation: i64,
    },
    /// Only root and the owner of `.dalsegno` may say that a catalog outside the base directory
    /// belongs to it.
    #[error(
        "only root and the owner of {}, user {owner}, may say that {} belongs to this base directory",
        .folder.display(),
        .path.display()
    )]
    NotTheOwner {
        /// Catalog file.
        path: PathBuf,
        /// The registry's folder.
        folder: PathBuf,
        /// User id of that folder's owner.
        owner: u32,
    },
    /// A catalog outside the base directory is not known to belong to it.
    #[error("the catalog {} is not used: {why}", .path.display())]
    Unbound {
        /// Catalog file.
        path: PathBuf,
        /// Why it is not known to belong to the base directory.
        why: String,
    },
    /// The clock of the machine is set to a time before 1970, at which nothing can be dated.
    #[error("the clock says {now}, which is before 1970")]
    ClockBeforeEpoch {
        /// Catalog file.
        path: PathBuf,
        /// The time that the clock gives.
        now: Timestamp,
    },
    /// The clock of the machine is set to a time after the year 9999, which no name and no text
    /// here can have.
    #[error("the clock says {now}, which is after the year 9999")]
    ClockTooFar {
        /// Catalog file.
        path: PathBuf,
        /// The time that the clock gives.
        now: Timestamp,
    },
    /// The catalog is on another host, and that host has published no copy yet.
    #[error(
        "the catalog is on host {host}, and there is no published copy {} yet",
        .path.display()
    )]
    NotPublished {
        /// Where the copy would be.
        path: PathBuf,
        /// The host that has the catalog.
        host: String,
    },
    /// A catalog in the base directory was to be published: every host can read it itself.
    #[error(
        "the catalog {} is in the base directory, where every host can read it; only a catalog \
         elsewhere is published",
        .path.display()
    )]
    InBase {
        /// Catalog file.
        path: PathBuf,
    },
    /// A new registry was to take a catalog that has artifacts, or belongs to another base
    /// directory.
    #[error("the catalog {} is not taken for a new registry: {why}", .path.display())]
    Taken {
        /// Catalog file.
        path: PathBuf,
        /// Whose it is, or why nothing says whose.
        why: String,
    },
    /// The catalog would lie on a network file system.
    #[error(
        "the catalog {} would lie on a network file system ({file_system}), where SQLite loses \
         data when several hosts write",
        .path.display()
    )]
    Network {
        /// Catalog file.
        path: PathBuf,
        /// Kind of the file system.
        file_system: &'static str,
    },
    /// A catalog for one host was opened for writing on another one.
    #[error(
        "the catalog {} may be written on host {expected} only; this is {found}",
        .path.display()
    )]
    OtherHost {
        /// Catalog file.
        path: PathBuf,
        /// Host that may write.
        expected: String,
        /// This host.
        found: String,
    },
    /// Another process held the catalog for too long.
    #[error(
        "the catalog {} was locked{}{}",
        .path.display(),
        for_time(*.waited),
        by(.holder.as_deref())
    )]
    LockTimeout {
        /// Catalog file.
        path: PathBuf,
        /// Time that the call waited; zero if SQLite gave up at once.
        waited: Duration,
        /// The process that held the lock, if the system shows it.
        holder: Option<String>,
    },
    /// The caller cancelled the call. Calls of [`Registry`](crate::Registry) return
    /// [`Error::Cancelled`](crate::Error::Cancelled) for it.
    #[error("interrupted while working with the catalog {}", .path.display())]
    Interrupted {
        /// Catalog file.
        path: PathBuf,
    },
    /// The catalog's file was replaced or removed after it was opened.
    #[error("the catalog {} was replaced or removed since it was opened", .path.display())]
    Replaced {
        /// Catalog file.
        path: PathBuf,
    },
    /// The folder of a catalog outside `.dalsegno` is gone.
    #[error("the folder {} of the catalog is gone", .path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The file that a rebuild was to start from has a log beside it, so it is not a backup.
    #[error("{} is not a backup: a log beside it holds a part of its contents", .path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// A rebuild was asked of a catalog that has no damage.
    #[error("the catalog {} is sound, so it was not rebuilt", .path.display())]
    Sound {
        /// Catalog file.
        path: PathBuf,
    },
    /// The catalog is open for reading only, or its file cannot be written.
    #[error("the catalog {} cannot be written here", .path.display())]
    ReadOnly {
        /// Catalog file.
        path: PathBuf,
    },
    /// The process has forked since the catalog was opened.
    #[error(
        "the catalog {} was opened before this process was forked; SQLite cannot be used across a \
         fork",
        .path.display()
    )]
    Forked {
        /// Catalog file.
        path: PathBuf,
    },
    /// The file system has no space for the change.
    #[error("no space left for the catalog {}", .path.display())]
    Full {
        /// Catalog file.
        path: PathBuf,
        /// Whether a removal has a reserve there, and so still works.
        reserve: bool,
    },
    /// Another artifact is recorded at the path of the key.
    #[error("{path} is recorded already, as {taken_by}; it cannot be {wanted} too")]
    PathTaken {
        /// Path relative to the base directory.
        path: String,
        /// What is recorded there.
        taken_by: String,
        /// What was asked for.
        wanted: String,
    },
    /// A row breaks a rule that is checked whenever a row is written.
    #[error("row {id} of the catalog {} is damaged: {detail}", .path.display())]
    Row {
        /// Catalog file.
        path: PathBuf,
        /// Number of the artifact.
        id: i64,
        /// What is wrong with it.
        detail: String,
    },
    /// The registry's `config.toml` cannot be used.
    #[error("{} cannot be used: {detail}", .path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// No backup could be made, so an older catalog was not migrated; it was not touched.
    #[error(
        "the catalog {} was not migrated to this version, because no backup could be made in {}",
        .path.display(),
        .folder.display()
    )]
    NoBackup {
        /// Catalog file.
        path: PathBuf,
        /// Where backups lie.
        folder: PathBuf,
        /// What caused it.
        source: Box<CatalogError>,
    },
    /// A migration failed; nothing was changed.
    #[error("the catalog {} could not be migrated to version {target}", .path.display())]
    Migration {
        /// Catalog file.
        path: PathBuf,
        /// Version aimed at.
        target: i64,
        /// What caused it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pin cannot be made, changed or found.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// An operation cannot be undone.
    #[error(transparent)]
    Undo(#[from] UndoError),
    /// Anything else that SQLite reports.
    #[error("{operation} failed in the catalog {}", .path.display())]
    Sql {
        /// What was attempted.
        operation: &'static str,
        /// Catalog file.
        path: PathBuf,
        /// What caused it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file beside the catalog could not be used.
    #[error("{operation} {} failed", .path.display())]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What caused it.
        source: std::io::Error,
    },
}

/// How long a call waited for the lock, for the text of the error.
fn for_time(waited: Duration) -> String {
    let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    // A part of the time may have gone to another lock.
    let shown = match millis {
        // SQLite's own busy error comes at once, and `for 0s` would read as a mistake.
        0 => return String::new(),
        1..1000 => millis,
        _ => millis.saturating_add(50) / 100 * 100,
    };
    format!(
        " for {}",
        humantime::format_duration(Duration::from_millis(shown))
    )
}

/// Who held the lock, for the text of the error.
fn by(holder: Option<&str>) -> String {
    holder.map_or(String::new(), |holder| format!(" by {holder}"))
}

/// What the error about a missing registry adds.
fn there_is_one(near: Option<&Path>) -> String {
    near.map_or(String::new(), |near| {
        format!("; {} has one", near.display())
    })
}

/// Where a catalog outside the base directory is.
fn at_keeper(path: &Path, host: Option<&str>, here: &str, lost: Option<LostPlace>) -> String {
    // A path that is known is that of the catalog.
    let is_known = lost.is_none() || !path.ends_with(CONFIG_FILE);
    let catalog = match is_known {
        true => format!("the catalog {} of this base directory", path.display()),
        false => "the catalog of this base directory".to_owned(),
    };
    let place = match host {
        Some(host) if host == here => format!("is on this host, {here}"),
        Some(host) => format!("is on host {host}; this is {here}"),
        None => format!("is outside of it, and nothing names its host; this is {here}"),
    };
    let lost = match lost {
        None => "",
        Some(LostPlace::Section) => "config.toml has lost its [catalog] section: ",
        Some(LostPlace::Path) => "config.toml has lost the path in its [catalog] section: ",
    };
    format!("{lost}{catalog} {place}")
}

/// What became of a catalog outside the base directory.
fn not_here(keeper: Option<&str>) -> String {
    match keeper {
        None => " is not on this host".to_owned(),
        Some(host) => format!(" is gone, though this host, {host}, is the one that has it"),
    }
}

impl CatalogError {
    /// The error for a base directory without a registry. Looks for one above and below it.
    pub(crate) fn no_registry(base: &Path) -> Self {
        Self::NoRegistry {
            base: base.to_owned(),
            near: disk::registry_near(base),
        }
    }

    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        // One arm a variant, so that the compiler asks for the code of a new one.
        match self {
            Self::NoRegistry { .. } => "no-registry",
            Self::Missing { .. } => "catalog-missing",
            Self::NotAFile { .. } => "catalog-not-a-file",
            Self::NotAFolder { .. } => "registry-not-a-folder",
            Self::Damaged { .. } => "catalog-damaged",
            Self::Foreign { .. } => "catalog-foreign",
            Self::TooNew { .. } => "catalog-too-new",
            Self::Behind { .. } => "catalog-behind",
            Self::Mismatch { .. } => "catalog-mismatch",
            Self::Elsewhere { .. } => "catalog-other-path",
            Self::AtKeeper { .. } => "catalog-elsewhere",
            Self::NotHere { .. } => "catalog-not-here",
            Self::NotCopied { .. } => "catalog-not-copied",
            Self::Outdated { .. } => "catalog-outdated",
            Self::NotTheOwner { .. } => "not-the-owner",
            Self::Unbound { .. } => "catalog-unbound",
            Self::ClockBeforeEpoch { .. } => "clock-before-epoch",
            Self::ClockTooFar { .. } => "clock-too-far",
            Self::NotPublished { .. } => "not-published",
            Self::InBase { .. } => "catalog-in-base",
            Self::Taken { .. } => "catalog-taken",
            Self::Network { .. } => "catalog-on-network",
            Self::OtherHost { .. } => "catalog-other-host",
            Self::LockTimeout { .. } => "lock-timeout",
            Self::Interrupted { .. } => "interrupted",
            Self::Replaced { .. } => "catalog-replaced",
            Self::Sound { .. } => "catalog-sound",
            Self::NoFolder { .. } => "catalog-folder-missing",
            Self::NotABackup { .. } => "not-a-backup",
            Self::ReadOnly { .. } => "read-only",
            Self::Forked { .. } => "forked",
            Self::Full { .. } => "catalog-full",
            Self::PathTaken { .. } => "path-taken",
            Self::Row { .. } => "catalog-row-damaged",
            Self::Config { .. } => "config-invalid",
            Self::NoBackup { .. } => "no-backup",
            Self::Migration { .. } => "catalog-migration",
            Self::Pin(error) => error.code(),
            Self::Undo(error) => error.code(),
            Self::Sql { .. } => "catalog-sql",
            Self::Io { .. } => "catalog-io",
        }
    }

    /// The path that the error is about: the catalog's file, if the variant names no other.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        // Without a wildcard, so that a new variant has to say which path it is about.
        Some(match self {
            Self::NoRegistry { base, .. } => base,
            Self::Elsewhere { given, .. } => given,
            Self::PathTaken { path, .. } => Path::new(path),
            // About the name of a pin or the number of an operation.
            Self::Pin(_) | Self::Undo(_) => return None,
            Self::Missing { path }
            | Self::NotAFile { path, .. }
            | Self::NotAFolder { path }
            | Self::Damaged { path, .. }
            | Self::Foreign { path, .. }
            | Self::TooNew { path, .. }
            | Self::Behind { path, .. }
            | Self::NoFolder { path }
            | Self::NotABackup { path }
            | Self::Mismatch { path, .. }
            | Self::AtKeeper { path, .. }
            | Self::NotHere { path, .. }
            | Self::NotCopied { path, .. }
            | Self::Outdated { path, .. }
            | Self::NotTheOwner { path, .. }
            | Self::Unbound { path, .. }
            | Self::ClockBeforeEpoch { path, .. }
            | Self::ClockTooFar { path, .. }
            | Self::NotPublished { path, .. }
            | Self::InBase { path }
            | Self::Taken { path, .. }
            | Self::Network { path, .. }
            | Self::OtherHost { path, .. }
            | Self::LockTimeout { path, .. }
            | Self::Interrupted { path }
            | Self::Replaced { path }
            | Self::Sound { path }
            | Self::ReadOnly { path }
            | Self::Forked { path }
            | Self::Full { path, .. }
            | Self::Row { path, .. }
            | Self::Config { path, .. }
            | Self::NoBackup { path, .. }
            | Self::Migration { path, .. }
            | Self::Sql { path, .. }
            | Self::Io { path, .. } => path,
        })
    }

    pub(crate) fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source,
        }
    }
}
