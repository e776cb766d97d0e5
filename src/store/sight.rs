//! What a walk or a look hands over, and what it looks for.

use std::path::PathBuf;

use rustix::fs::{FileType, Stat};

use super::finding::Finding;
use super::marker::{self, Format, Marker};
use crate::model::clock::Timestamp;
use crate::model::size::{ByteCount, Size};

/// What was seen of an array, container or checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Format; none for a container or a file.
    pub format: Option<Format>,
    /// When its metadata, the container's folder, or the file was last written.
    pub written_at: Timestamp,
    /// Bytes and files, where they were counted; those of a file always are.
    pub size: Option<Size>,
    /// Number of the user whose the metadata, the container's folder, or the file is.
    pub owner: Option<u32>,
    /// Whether it was reached through a symbolic link in its place, where that was asked.
    pub is_link: bool,
}

impl Sight {
    pub(super) fn of_array(marker: Marker) -> Self {
        Self {
            format: Some(marker.format),
            written_at: marker.written_at,
            size: None,
            owner: Some(marker.owner),
            is_link: false,
        }
    }

    /// What is seen of a container or a file; none where something else stands in its place.
    pub(super) fn of(stat: &Stat, expected: FileType) -> Option<Self> {
        let found = FileType::from_raw_mode(stat.st_mode);
        let size = (expected == FileType::RegularFile).then(|| Size {
            bytes: ByteCount(u64::try_from(stat.st_size).unwrap_or_default()),
            files: 1,
        });
        (found == expected).then(|| Self {
            format: None,
            written_at: marker::modified(stat),
            size,
            owner: Some(stat.st_uid),
            is_link: false,
        })
    }
}

/// What a walk hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A search found an array or a checkpoint; path relative to the base directory.
    Found(PathBuf, Sight),
    /// A look is done; none where there is no data. Not sent where a finding was.
    Looked(i64, Option<Sight>),
    /// Something was noticed.
    Finding(Finding),
}

/// A known path to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Number that the event carries.
    pub id: i64,
    /// Path relative to the base directory.
    pub path: PathBuf,
    /// What is to be there.
    pub subject: Subject,
}

/// What data a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A folder with array metadata.
    Array,
    /// A folder.
    Container,
    /// A regular file.
    File,
}
