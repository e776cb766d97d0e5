//! What can go wrong with data on disk.

use std::path::{Path, PathBuf};

/// What can go wrong with data on disk.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The base directory does not exist.
    #[error("the base directory {} does not exist", .path.display())]
    BaseNotFound {
        /// Base directory.
        path: PathBuf,
    },
    /// The base directory is a file or something else.
    #[error("the base directory {} is not a folder", .path.display())]
    BaseNotAFolder {
        /// What was given.
        path: PathBuf,
    },
    /// The base directory may not be read.
    #[error("the base directory {} cannot be read", .path.display())]
    BaseNotReadable {
        /// Base directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The base directory is a URL, or its name is not UTF-8.
    #[error("the base directory \"{}\" is {reason}", .path.to_string_lossy().escape_debug())]
    BaseUnusable {
        /// What was given.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// What is to be deleted is reached through a symbolic link, or is one.
    #[error("{} is or lies below a symbolic link", .path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// What is to be deleted is no folder.
    #[error("{} is not a folder", .path.display())]
    NotAFolder {
        /// What stands there.
        path: PathBuf,
    },
    /// What is to be deleted is no regular file.
    #[error("{} is not a regular file", .path.display())]
    NotAFile {
        /// What stands there.
        path: PathBuf,
    },
    /// What is to be deleted reaches into another file system.
    #[error("{} is on another file system than the base directory", .path.display())]
    OtherDevice {
        /// The folder.
        path: PathBuf,
    },
    /// A path from the catalog or a manifest leads out of the base directory, or is none that an
    /// artifact can have.
    #[error("{} is no path of an artifact below the base directory", .path.display())]
    Outside {
        /// The path.
        path: PathBuf,
    },
    /// Something was changed by somebody else while it was being removed, or read to be sealed.
    #[error("{} was changed by another process meanwhile", .path.display())]
    Changed {
        /// What.
        path: PathBuf,
    },
    /// Array metadata that makes no sense.
    #[error("{} has damaged metadata: {detail}", .path.display())]
    DamagedMetadata {
        /// The array.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// What stands in the place of a best link does not say its iteration.
    #[error("{} does not say which iteration is the best: {detail}", .path.display())]
    BestLink {
        /// The link or file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Whoever asked for it did not want to wait any longer.
    #[error("interrupted while looking at the data below {}", .path.display())]
    Interrupted {
        /// Base directory.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("{operation} {} failed", .path.display())]
    Io {
        /// What was done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl StorageError {
    /// Stable code of the error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BaseNotFound { .. } => "base-not-found",
            Self::BaseNotAFolder { .. } => "base-not-a-folder",
            Self::BaseNotReadable { .. } => "base-not-readable",
            Self::BaseUnusable { .. } => "base-unusable",
            Self::Symlink { .. } => "symlink",
            Self::NotAFolder { .. } => "not-a-folder",
            Self::NotAFile { .. } => "not-a-file",
            Self::OtherDevice { .. } => "other-device",
            Self::Outside { .. } => "path-outside",
            Self::Changed { .. } => "changed-meanwhile",
            Self::DamagedMetadata { .. } => "damaged-metadata",
            Self::BestLink { .. } => "best-link",
            Self::Interrupted { .. } => "walk-interrupted",
            Self::Io { source, .. } => match source.raw_os_error() {
                Some(errno) if errno == rustix::io::Errno::NOSPC.raw_os_error() => "no-space",
                Some(errno) if errno == rustix::io::Errno::DQUOT.raw_os_error() => "over-quota",
                _ => "storage-io",
            },
        }
    }

    /// What it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::BaseNotFound { path }
            | Self::BaseNotAFolder { path }
            | Self::BaseNotReadable { path, .. }
            | Self::BaseUnusable { path, .. }
            | Self::Symlink { path }
            | Self::NotAFolder { path }
            | Self::NotAFile { path }
            | Self::OtherDevice { path }
            | Self::Outside { path }
            | Self::Changed { path }
            | Self::DamagedMetadata { path, .. }
            | Self::BestLink { path, .. }
            | Self::Interrupted { path }
            | Self::Io { path, .. } => path,
        }
    }

    pub(crate) fn io(
        operation: &'static str,
        path: &Path,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Io {
            operation,
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
