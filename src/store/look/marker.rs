//! What makes a folder an array: its metadata file, here called its marker.
//!
//! zarr v2: `.zarray`. zarr v3: `zarr.json` whose `node_type` is `array`. N5: `attributes.json`
//! with `dimensions` and `dataType`; an N5 group has the same file without them. Every marker is
//! read: one that is not a regular file, or not in the form of its format, is damaged.

use std::io::Read;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use super::form::{self, Format, Node};
use crate::model::array::ArrayMetadata;
use crate::model::clock::Timestamp;

/// Metadata file of each format, the most frequent first.
const MARKERS: [(Format, &str); 3] = [
    (Format::Zarr2, ".zarray"),
    (Format::Zarr3, "zarr.json"),
    (Format::N5, "attributes.json"),
];

/// Most bytes of metadata that are read; larger files are damaged.
const MOST_BYTES: u64 = 16 << 20;

/// The metadata file of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) format: Format,
    pub(crate) written_at: Timestamp,
    pub(crate) owner: u32,
    pub(crate) bytes: u64,
    /// What it says of the array; `None` if it is damaged.
    pub(crate) metadata: Option<Arc<ArrayMetadata>>,
}

/// Why a folder's metadata could not be read.
#[derive(Debug)]
pub(crate) enum MarkerError {
    Io(std::io::Error),
    Damaged(Damaged),
}

/// A metadata file that is there and says nothing.
#[derive(Debug)]
pub(crate) struct Damaged {
    /// What is wrong with it, in words.
    pub(crate) detail: String,
    /// The file.
    pub(crate) marker: Marker,
}

impl From<Errno> for MarkerError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Marker {
    fn of(format: Format, stat: &Stat) -> Self {
        Self {
            format,
            written_at: modified(stat),
            owner: stat.st_uid,
            bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            metadata: None,
        }
    }
}

/// Checks whether the folder `path` below `parent` is an array. `None` if it is not an array, is
/// gone, or is not a folder.
pub(crate) fn probe(parent: BorrowedFd<'_>, path: &Path) -> Result<Option<Marker>, MarkerError> {
    // A folder may have metadata of several formats: one that can be read wins over damage.
    let mut damage = None;
    for (format, name) in MARKERS {
        let file = path.join(name);
        let stat = match statat(parent, &file, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        match read(format, parent, &file, &stat) {
            Ok(None) => {}
            Err(MarkerError::Damaged(found)) => damage = damage.or(Some(found)),
            read => return read,
        }
    }
    damage.map_or(Ok(None), |damage| Err(MarkerError::Damaged(damage)))
}

/// The metadata files that were seen while a folder was read, so that none is looked up again.
#[derive(Default)]
pub(crate) struct MarkersSeen([Option<Stat>; MARKERS.len()]);

impl MarkersSeen {
    /// Notes an entry if it is a metadata file.
    pub(crate) fn add(&mut self, name: &[u8], stat: &Stat) {
        for ((_, marker), met) in MARKERS.iter().zip(&mut self.0) {
            if marker.as_bytes() == name {
                *met = Some(*stat);
            }
        }
    }

    /// Checks whether the folder is an array, as [`probe`] does.
    pub(crate) fn probe(&self, folder: BorrowedFd<'_>) -> Result<Option<Marker>, MarkerError> {
        // As in `probe`, readable metadata wins over damage.
        let mut damage = None;
        for ((format, name), met) in MARKERS.iter().zip(&self.0) {
            let Some(stat) = met else {
                continue;
            };
            match read(*format, folder, Path::new(name), stat) {
                Ok(None) => {}
                Err(MarkerError::Damaged(found)) => damage = damage.or(Some(found)),
                read => return read,
            }
        }
        damage.map_or(Ok(None), |damage| Err(MarkerError::Damaged(damage)))
    }
}

/// Reads a metadata file that was seen: `None` if it is that of a group, or is gone by now.
fn read(
    format: Format,
    parent: BorrowedFd<'_>,
    file: &Path,
    stat: &Stat,
) -> Result<Option<Marker>, MarkerError> {
    let marker = Marker::of(format, stat);
    let damaged = |detail: &str| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let detail = format!("{name} cannot be read: {detail}");
        let marker = Marker::of(format, stat);
        Err(MarkerError::Damaged(Damaged { detail, marker }))
    };
    // Opening a pipe could block and opening a device could act, so the type is known before.
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if marker.bytes <= MOST_BYTES => {}
        FileType::RegularFile => {
            return damaged(&format!(
                "it has {} bytes, and at most {MOST_BYTES} are read",
                marker.bytes
            ));
        }
        FileType::Directory => return damaged("it is a folder"),
        FileType::Symlink => return damaged("it is a symbolic link, which is not followed"),
        _ => return damaged("it is a pipe, socket or device"),
    }
    let flags =
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = match openat(parent, file, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut text = Vec::with_capacity(usize::try_from(marker.bytes).unwrap_or_default() + 1);
    // Bounded, because the file may grow while it is read.
    std::fs::File::from(fd)
        .take(MOST_BYTES)
        .read_to_end(&mut text)
        .map_err(MarkerError::Io)?;
    match form::node(format, &text) {
        Ok(Node::Array(metadata)) => Ok(Some(Marker {
            metadata: Some(Arc::new(metadata)),
            ..marker
        })),
        Ok(Node::Group) => Ok(None),
        Err(detail) => damaged(&detail),
    }
}

/// Whether a file of this name may make its folder an array.
pub(crate) fn is_marker(name: &[u8]) -> bool {
    MARKERS.iter().any(|(_, marker)| marker.as_bytes() == name)
}

/// When a file was last written, in milliseconds.
pub(crate) fn modified(stat: &Stat) -> Timestamp {
    let seconds = stat.st_mtime.saturating_mul(1000);
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    Timestamp(seconds.saturating_add(nanoseconds / 1_000_000))
}

/// Names of the metadata of a group.
pub(crate) const GROUP_METADATA: [&str; 5] = [
    ".zgroup",
    ".zattrs",
    ".zmetadata",
    "zarr.json",
    "attributes.json",
];

/// Whether an entry of a container is the metadata of a group, which goes with the container.
#[must_use]
pub(crate) fn is_group_metadata(name: &[u8], kind: FileType) -> bool {
    kind == FileType::RegularFile && GROUP_METADATA.iter().any(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsFd;

    use super::*;
    use crate::store::Base;

    #[test]
    fn arrays_are_told_from_groups_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let cases = [
            ("zarr2", ".zarray", "{}", Some(Format::Zarr2)),
            ("zgroup", ".zgroup", "{}", None),
            (
                "zarr3",
                "zarr.json",
                r#"{"zarr_format":3,"node_type":"array"}"#,
                Some(Format::Zarr3),
            ),
            (
                "group3",
                "zarr.json",
                r#"{"zarr_format":3,"node_type":"group"}"#,
                None,
            ),
            (
                "n5",
                "attributes.json",
                r#"{"dimensions":[1],"dataType":"uint8","blockSize":[1]}"#,
                Some(Format::N5),
            ),
            ("n5group", "attributes.json", r#"{"n5":"2.0.0"}"#, None),
        ];
        let base = Base::open(folder.path()).unwrap();
        for (dir, file, text, expected) in cases {
            fs::create_dir(folder.path().join(dir)).unwrap();
            fs::write(folder.path().join(dir).join(file), text).unwrap();
            let found = probe(base.as_fd(), Path::new(dir)).unwrap();
            assert_eq!(found.map(|marker| marker.format), expected, "{dir}");
        }
        fs::create_dir(folder.path().join("bad")).unwrap();
        fs::write(folder.path().join("bad/zarr.json"), "{").unwrap();
        let error = probe(base.as_fd(), Path::new("bad")).unwrap_err();
        assert!(matches!(error, MarkerError::Damaged(_)));
        assert!(probe(base.as_fd(), Path::new("nothing")).unwrap().is_none());
    }
}
