//! What is asked of the metadata of an array at a known path.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::marker::{self, MARKERS, MarkerError, Memory};
use super::pyramid;
use crate::disk::stat_below;
use crate::model::clock::Timestamp;
use crate::model::key::Kind;
use crate::model::size::ByteCount;
use crate::store::base::Base;
use crate::store::error::StorageError;
use crate::store::trash::TrashFolder;

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

/// When the metadata of an array in an item of the trash was written, or a checkpoint that is one;
/// that of an array also if it is damaged. `part`: its path in the item, `at`: where it was, relative
/// to the base directory. `None` if it is not there.
///
/// # Errors
/// [`StorageError::Io`] if it cannot be read.
pub fn trashed_written_at(
    folder: &TrashFolder,
    item: u32,
    part: &Path,
    at: &Path,
    kind: Kind,
) -> Result<Option<Timestamp>, StorageError> {
    let path = path_in_trash(item, part);
    let full = folder.path().join(&path);
    let reading = |errno: Errno| StorageError::io("reading", &full, errno);
    if kind.is_file() {
        return match stat_below(&folder.fd, path) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(marker::modified(&stat)))
            }
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(reading(errno)),
        };
    }
    let Some(inner) = folder.part(item, part)? else {
        return Ok(None);
    };
    match pyramid::probe(inner.as_fd(), Path::new("."), Some(at), Memory::default()) {
        Ok(marker) => Ok(marker.map(|marker| marker.written_at)),
        Err(MarkerError::Damaged(damage)) => Ok(Some(damage.marker.written_at)),
        Err(MarkerError::Io(error)) => Err(StorageError::io("reading", &full, error)),
    }
}

/// Whether the data of an artifact of this kind is in an item of the trash: an array or a file, or
/// the folder of a container. `part` and `at` as for [`trashed_written_at`].
///
/// # Errors
/// As [`trashed_written_at`].
pub fn is_in_trash(
    folder: &TrashFolder,
    item: u32,
    part: &Path,
    at: &Path,
    kind: Kind,
) -> Result<bool, StorageError> {
    if kind.is_container() {
        return Ok(folder.part(item, part)?.is_some());
    }
    // Metadata is looked for and not read: a container may have 100,000 arrays.
    let path = path_in_trash(item, part);
    let has = |name| stat_below(&folder.fd, path.join(name)).is_ok();
    if !kind.is_file() && MARKERS.iter().any(|(_, name)| has(*name)) {
        return Ok(true);
    }
    Ok(trashed_written_at(folder, item, part, at, kind)?.is_some())
}

/// Path of a part of an item in the folder of its removal.
fn path_in_trash(item: u32, part: &Path) -> PathBuf {
    let item = PathBuf::from(item.to_string());
    match part.as_os_str().is_empty() {
        true => item,
        false => item.join(part),
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

/// When what is at `path` last changed, its name included: a rename of a folder sets it. `None` if it
/// cannot be looked at.
#[must_use]
pub fn renamed_at(base: &Base, path: &Path) -> Option<Timestamp> {
    let stat = stat_below(base, path).ok()?;
    Some(marker::changed(&stat))
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
