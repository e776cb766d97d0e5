//! What is asked of the metadata of an array at a known path.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::marker::{self, MarkerError, Memory};
use super::pyramid;
use crate::disk::stat_below;
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::size::ByteCount;
use crate::store::base::Base;
use crate::store::error::StorageError;

/// Modification time of the metadata of an array, or of a checkpoint, at `path` below the base
/// directory. `None` if there is no data, and for containers, which change with what is in them.
///
/// # Errors
/// - [`StorageError::Io`] if it cannot be read.
/// - [`StorageError::DamagedMetadata`] if the metadata of an array cannot be parsed.
pub fn written_at(base: &Base, path: &Path, kind: Kind) -> Result<Option<Timestamp>, StorageError> {
    let full = || base.path().join(path);
    match kind {
        kind if kind.is_container() => Ok(None),
        Kind::Checkpoint => match stat_below(base, path) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(marker::modified(&stat)))
            }
            // A folder that has a number for its name is no checkpoint.
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(StorageError::io("reading", &full(), errno)),
        },
        _ => match pyramid::probe(base.as_fd(), path, Some(path), Memory::default()) {
            Ok(marker) => Ok(marker.map(|marker| marker.written_at)),
            Err(MarkerError::Io(error)) => Err(StorageError::io("reading", &full(), error)),
            Err(MarkerError::Damaged(damage)) => Err(StorageError::DamagedMetadata {
                path: full(),
                detail: damage.detail,
            }),
        },
    }
}

/// Length of the file at `path`; `None` if there is no file, or it cannot be looked at.
#[must_use]
pub fn file_bytes(base: &Base, path: &Path) -> Option<ByteCount> {
    let stat = stat_below(base, path).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let bytes = u64::try_from(stat.st_size).ok()?;
    is_file.then_some(ByteCount(bytes))
}

/// When the metadata files of the array at `path` last changed, mode and name included. A rename of
/// a folder above them keeps this time; a copy has a new one. `None` if there are none, or they
/// cannot be looked at.
#[must_use]
pub fn changed_at(base: &Base, path: &Path) -> Option<Timestamp> {
    let changed = marker::MARKERS.iter().filter_map(|(_, name)| {
        let stat = stat_below(base, path.join(name)).ok()?;
        Some(marker::changed(&stat))
    });
    changed.max()
}

/// Size in bytes of the metadata of the array at `path`; `None` if there is no array.
///
/// # Errors
/// As [`written_at`].
pub fn metadata_bytes(base: &Base, path: &Path) -> Result<Option<u64>, StorageError> {
    let full = || base.path().join(path);
    match pyramid::probe(base.as_fd(), path, Some(path), Memory::default()) {
        Ok(marker) => Ok(marker.map(|marker| marker.bytes)),
        Err(MarkerError::Io(error)) => Err(StorageError::io("reading", &full(), error)),
        Err(MarkerError::Damaged(damage)) => Err(StorageError::DamagedMetadata {
            path: full(),
            detail: damage.detail,
        }),
    }
}
