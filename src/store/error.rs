//! What can go wrong with data on disk.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::model::shell::shell_word;

/// An error of reading, moving or deleting data on disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The base directory does not exist.
    #[error("the base directory {} does not exist", .path.display())]
    BaseNotFound {
        /// Base directory.
        path: PathBuf,
    },
    /// The base directory is not a folder.
    #[error("the base directory {} is not a folder", .path.display())]
    BaseNotAFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// The base directory may not be read or entered.
    #[error("the base directory {} cannot be read", .path.display())]
    BaseNotReadable {
        /// Base directory.
        path: PathBuf,
        /// What the system reported.
        source: std::io::Error,
    },
    /// The base directory is a URL, or its name is not UTF-8.
    #[error("the base directory \"{}\" is {reason}", .path.to_string_lossy().escape_debug())]
    BaseUnusable {
        /// The path that was given.
        path: PathBuf,
        /// Why it cannot be a base directory.
        reason: &'static str,
    },
    /// Data to move or delete is a symbolic link, or its path leads through one.
    #[error("{} is or lies below a symbolic link", .path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Data to move or delete should be a folder and is not.
    #[error("{} is not a folder", .path.display())]
    NotAFolder {
        /// Its path.
        path: PathBuf,
    },
    /// Data to move or delete should be a regular file and is not.
    #[error("{} is not a regular file", .path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// Data to move or delete is on another file system than the base directory.
    #[error("{} is on another file system than the base directory", .path.display())]
    OtherDevice {
        /// Its path.
        path: PathBuf,
    },
    /// A path from the catalog or a manifest leads out of the base directory, or no artifact can
    /// have it.
    #[error("{} is not the path of an artifact below the base directory", .path.display())]
    Outside {
        /// The path.
        path: PathBuf,
    },
    /// Another process changed the data while it was being removed, or read to be sealed.
    #[error("{} was changed by another process in the meantime", .path.display())]
    Changed {
        /// What changed.
        path: PathBuf,
    },
    /// Another user may have put this into the trash, and has no right to do what it asks for.
    #[error("{} is left alone: {why}", .path.display())]
    Untrusted {
        /// The removal's folder in the trash, or a file in it.
        path: PathBuf,
        /// Who may have put it there and what they may not do, or what is wrong with it.
        why: String,
    },
    /// This user may not move data, or make it what it was.
    #[error("{} cannot be moved: {why}", .path.display())]
    NotMovable {
        /// What was to be moved.
        path: PathBuf,
        /// What is in the way: whose folder it is, its mode, and what this user may not do there.
        why: String,
        /// What its owner can give to the group; `None` if that would not help.
        share: Option<Share>,
    },
    /// The metadata of an array cannot be parsed.
    #[error("{} has damaged metadata: {detail}", .path.display())]
    DamagedMetadata {
        /// The array.
        path: PathBuf,
        /// What is wrong with the metadata.
        detail: String,
    },
    /// A best link, or the note beside it, does not name its iteration.
    #[error("{} does not say which iteration is the best: {detail}", .path.display())]
    BestLink {
        /// The link or note.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The monitor cancelled the call. Calls of [`Registry`](crate::Registry) return
    /// [`Error::Cancelled`](crate::Error::Cancelled) for it.
    #[error("interrupted while looking at the data below {}", .path.display())]
    Interrupted {
        /// Base directory.
        path: PathBuf,
    },
    /// A system call failed.
    #[error("{operation} {} failed", .path.display())]
    Io {
        /// What was done, as in "opening".
        operation: &'static str,
        /// To which path.
        path: PathBuf,
        /// What the system reported.
        source: std::io::Error,
    },
}

/// What would let this user, or the group of a base directory, read and move data. `Display` writes
/// who can do it, and the command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// The folder to give to the group, with all that is in it.
    pub folder: PathBuf,
    /// The group, if the folder has another one now.
    pub group: Option<String>,
    /// Whose rights it needs, as `chmod` has them: `u` if this user owns the folder, else `g`, or
    /// `ug` if the owner may not open it either.
    pub whose: &'static str,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let folder = shell_word(&self.folder.display().to_string());
        f.write_str(match self.whose {
            "u" => "this user can change that with: ",
            _ => "its owner, or root, can give it to the group with: ",
        })?;
        if let Some(group) = &self.group {
            write!(f, "chgrp -R {} {folder} && ", shell_word(group))?;
        }
        write!(f, "chmod -R {}+rwX {folder}", self.whose)
    }
}

impl StorageError {
    /// The stable code of the error, in kebab-case.
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
            Self::Untrusted { .. } => "trash-untrusted",
            Self::NotMovable { .. } => "not-movable",
            Self::DamagedMetadata { .. } => "damaged-metadata",
            Self::BestLink { .. } => "best-link",
            Self::Interrupted { .. } => "walk-interrupted",
            // A full disk and a full quota have codes of their own: users can act on them.
            Self::Io { source, .. } => match source.raw_os_error() {
                Some(errno) if errno == Errno::NOSPC.raw_os_error() => "no-space",
                Some(errno) if errno == Errno::DQUOT.raw_os_error() => "over-quota",
                _ => "storage-io",
            },
        }
    }

    /// The path that the error is about.
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
            | Self::Untrusted { path, .. }
            | Self::NotMovable { path, .. }
            | Self::DamagedMetadata { path, .. }
            | Self::BestLink { path, .. }
            | Self::Interrupted { path }
            | Self::Io { path, .. } => path,
        }
    }

    /// Whether the permissions of this user are the cause.
    pub(crate) fn is_permission(&self) -> bool {
        let denied = std::io::ErrorKind::PermissionDenied;
        match self {
            Self::NotMovable { .. } => true,
            Self::Io { source, .. } => source.kind() == denied,
            _ => false,
        }
    }

    /// The error of data that this user may not move, whatever its owner gives to the group.
    pub(crate) fn not_movable(path: &Path, why: &str) -> Self {
        Self::NotMovable {
            path: path.to_owned(),
            why: why.to_owned(),
            share: None,
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
