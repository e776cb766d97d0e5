//! What a walk or a look hands over, and what it looks for.

use std::path::PathBuf;

use rustix::fs::{FileType, Stat};

use super::marker::{self, Marker};
use super::notice::Notice;
use crate::model::observation::Observation;
use crate::model::size::{ByteCount, Size};

impl From<Marker> for Observation {
    fn from(marker: Marker) -> Self {
        Self::new(marker.written_at).with_owner(marker.owner)
    }
}

/// Observes a container or a file; `None` if its path holds another type of file.
pub(crate) fn observe(stat: &Stat, expected: FileType) -> Option<Observation> {
    let found = FileType::from_raw_mode(stat.st_mode);
    let size = (expected == FileType::RegularFile).then(|| Size {
        bytes: ByteCount(u64::try_from(stat.st_size).unwrap_or_default()),
        files: 1,
    });
    (found == expected).then(|| {
        Observation::new(marker::modified(stat))
            .with_size(size)
            .with_owner(stat.st_uid)
    })
}

/// What a walk hands over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A search found an array or a checkpoint; path relative to the base directory.
    Found(PathBuf, Observation),
    /// A look is done; none where there is no data. Not sent where a finding was.
    Looked(i64, Option<Observation>),
    /// Something was noticed.
    Notice(Notice),
}

/// A known path to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Number that the event carries.
    pub id: i64,
    /// Path relative to the base directory.
    pub path: PathBuf,
    /// What is to be there.
    pub expected: Expected,
}

/// What data a look is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A folder with array metadata.
    Array,
    /// A folder.
    Container,
    /// A regular file.
    File,
}
