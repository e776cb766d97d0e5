//! What a walk notices and leaves alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use crate::model::steering::steers;

/// Something that a walk noticed and left alone: data that it cannot read or name, or does not
/// enter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Notice {
    /// Its class.
    pub class: NoticeClass,
    /// Path relative to the base directory. What is not UTF-8 or not printable is escaped.
    pub path: String,
    /// What was noticed, in words.
    pub detail: String,
}

/// Classes of notices. Their names are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoticeClass {
    /// A folder or file that could not be read.
    Unreadable,
    /// Array metadata that cannot be parsed.
    DamagedMetadata,
    /// An array whose path breaks the rules for names.
    Unnameable,
    /// An array that is in no container.
    OutsideContainer,
    /// An array whose container is in no run.
    OutsideRun,
    /// A symbolic link to a folder, which is not followed.
    Symlink,
    /// A folder with a registry of its own, which is not searched.
    InnerRegistry,
    /// A sealed array has another number of files. Its row is as it was sealed.
    ChangedFiles,
    /// A sealed array has as many files, and other bytes. Its row is as it was sealed.
    ChangedSize,
    /// The metadata of a sealed array was written again. Its seal is void.
    Rewritten,
    /// What became of rows of the levels of a pyramid.
    Levels,
    /// The data at the path of an array is that of another run, which was renamed by hand. Neither
    /// row has changed.
    Moved,
}

impl NoticeClass {
    /// The name of the class in JSON and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::DamagedMetadata => "damaged-metadata",
            Self::Unnameable => "unnameable",
            Self::OutsideContainer => "outside-container",
            Self::OutsideRun => "outside-run",
            Self::Symlink => "symlink",
            Self::InnerRegistry => "inner-registry",
            Self::ChangedFiles => "changed-files",
            Self::ChangedSize => "changed-size",
            Self::Rewritten => "rewritten",
            Self::Levels => "levels",
            Self::Moved => "moved",
        }
    }

    /// Whether something could not be read, so that what is below it is unknown.
    #[must_use]
    pub fn is_unread(self) -> bool {
        matches!(self, Self::Unreadable | Self::DamagedMetadata)
    }

    /// Whether data that was read well is not what its row says: it is not as it was sealed, or
    /// is that of another row.
    #[must_use]
    pub fn contradicts_seal(self) -> bool {
        matches!(
            self,
            Self::ChangedFiles | Self::ChangedSize | Self::Rewritten | Self::Moved
        )
    }
}

impl Notice {
    /// Makes a notice about a path relative to the base directory.
    #[must_use]
    pub fn new(class: NoticeClass, path: &Path, detail: impl Into<String>) -> Self {
        Self {
            class,
            // Escaped here, because names come from other users and notices end up on terminals.
            path: escape(path.as_os_str()),
            detail: detail.into(),
        }
    }
}

/// Writes a path as text: control characters, and those that change the direction of text, as
/// `\u{…}`, bytes that are not UTF-8 as `\x…`.
#[must_use]
pub fn escape(path: &OsStr) -> String {
    let mut text = String::new();
    for chunk in path.as_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if steers(character) {
                text.extend(character.escape_debug());
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
