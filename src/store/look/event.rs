//! What walks and looks are asked for, and the events that they give.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::marker::{self, Damaged, Marker, MarkerError};
use super::notice::{Notice, NoticeClass};
use crate::model::observation::{Damage, Observation};
use crate::model::size::{ByteCount, Size};
use crate::store::base::Base;
use crate::store::dirs::why_unreadable;

impl From<Marker> for Observation {
    fn from(marker: Marker) -> Self {
        let mut seen = Self::new(marker.written_at)
            .owner(marker.owner)
            .metadata(marker.metadata);
        seen.levels = Some(marker.levels);
        seen.iterations = marker.iterations;
        seen.fingerprint = marker.fingerprint;
        seen.known_row = marker.row;
        seen
    }
}

impl From<&Damaged> for Observation {
    fn from(damaged: &Damaged) -> Self {
        let marker = &damaged.marker;
        let mut seen = Self::from(Marker::clone(marker));
        seen.damage = Some(match damaged.is_array || seen.is_pyramid() {
            true => Damage::OfArray,
            false => Damage::OfArrayOrGroup,
        });
        seen
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
        let mut seen = Observation::new(marker::modified(stat))
            .size(size)
            .owner(stat.st_uid);
        seen.disk_bytes = size.map(|_| ByteCount(marker::disk_bytes(stat)));
        seen
    })
}

/// What a walk or look gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A walk found an array or a checkpoint at this path, relative to the base directory. Data
    /// whose metadata cannot be read gives a notice too, before this.
    Found(PathBuf, Observation),
    /// The look with this id is done; `None` if there is no data. A look that cannot be done gives
    /// a notice instead; one at data whose metadata cannot be read gives a notice before this.
    Looked(i64, Option<Observation>),
    /// Something was noticed and left alone.
    Notice(Notice),
}

/// A known path to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The id that its event carries.
    pub id: i64,
    /// Path relative to the base directory.
    pub path: PathBuf,
    /// What should be there.
    pub expected: Expected,
}

/// What a look expects at its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A folder with array metadata.
    Array,
    /// A folder.
    Container,
    /// A regular file.
    File,
}

/// The notice of a folder or file that cannot be read. If the rights of this user are the cause, it
/// says whose the folder is.
pub(crate) fn unreadable(base: &Base, path: &Path, error: &std::io::Error) -> Notice {
    if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
        let detail = "a symbolic link leads there, which is not followed";
        return Notice::new(NoticeClass::Unreadable, path, detail);
    }
    let why = match error.kind() {
        std::io::ErrorKind::PermissionDenied => why_unreadable(base, path),
        _ => None,
    };
    let detail = match why {
        Some(why) => format!("{error}: {why}"),
        None => error.to_string(),
    };
    Notice::new(NoticeClass::Unreadable, path, detail)
}

/// The event of a folder or file that cannot be read.
pub(super) fn unread(base: &Base, path: &Path, error: &std::io::Error) -> Event {
    Event::Notice(unreadable(base, path, error))
}

/// The event of metadata that cannot be read.
pub(super) fn unprobed(base: &Base, path: &Path, error: MarkerError) -> Event {
    match error {
        MarkerError::Io(error) => unread(base, path, &error),
        MarkerError::Damaged(damage) => Event::Notice(Notice::new(
            NoticeClass::DamagedMetadata,
            path,
            damage.detail,
        )),
    }
}
