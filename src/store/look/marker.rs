//! What makes a folder an array: its metadata file, here called its marker.
//!
//! zarr v2: `.zarray`. zarr v3: `zarr.json` whose `node_type` is `array`. N5: `attributes.json`
//! with `dimensions` and `dataType`; an N5 group has the same file without them.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::model::clock::Timestamp;

/// The format of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// zarr version 2.
    Zarr2,
    /// zarr version 3.
    Zarr3,
    /// N5.
    N5,
}

/// Metadata file of each format, the most frequent first.
const MARKERS: [(Format, &str); 3] = [
    (Format::Zarr2, ".zarray"),
    (Format::Zarr3, "zarr.json"),
    (Format::N5, "attributes.json"),
];

/// Most bytes of metadata that are read; what is cut off there does not parse.
const MOST_BYTES: u64 = 16 << 20;

/// The metadata file of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) format: Format,
    pub(crate) written_at: Timestamp,
    pub(crate) owner: u32,
    pub(crate) bytes: u64,
}

/// Why a folder's metadata could not be read.
#[derive(Debug)]
pub(crate) enum MarkerError {
    Io(std::io::Error),
    Damaged(String),
}

impl From<Errno> for MarkerError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

#[derive(Deserialize)]
struct Zarr3 {
    node_type: String,
}

#[derive(Deserialize)]
struct N5 {
    dimensions: Option<serde::de::IgnoredAny>,
    #[serde(rename = "dataType")]
    data_type: Option<serde::de::IgnoredAny>,
}

impl Marker {
    fn of(format: Format, stat: &Stat) -> Self {
        Self {
            format,
            written_at: modified(stat),
            owner: stat.st_uid,
            bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        }
    }
}

/// Checks whether the folder `path` below `parent` is an array. `None` if it is not an array, is
/// gone, or is not a folder.
pub(crate) fn probe(parent: BorrowedFd<'_>, path: &Path) -> Result<Option<Marker>, MarkerError> {
    for (format, name) in MARKERS {
        let file = path.join(name);
        let stat = match statat(parent, &file, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if is_of_array(format, parent, &file)? {
            return Ok(Some(Marker::of(format, &stat)));
        }
    }
    Ok(None)
}

/// The metadata files that were seen while a folder was read, so that none is looked up again.
#[derive(Default)]
pub(crate) struct MarkersSeen([Option<Marker>; MARKERS.len()]);

impl MarkersSeen {
    /// Notes an entry if it is a metadata file.
    pub(crate) fn add(&mut self, name: &[u8], stat: &Stat) {
        for ((format, marker), met) in MARKERS.iter().zip(&mut self.0) {
            if marker.as_bytes() == name {
                *met = Some(Marker::of(*format, stat));
            }
        }
    }

    /// Checks whether the folder is an array, as [`probe`] does.
    pub(crate) fn probe(&self, folder: BorrowedFd<'_>) -> Result<Option<Marker>, MarkerError> {
        for ((format, name), met) in MARKERS.iter().zip(self.0) {
            if met.is_some() && is_of_array(*format, folder, Path::new(name))? {
                return Ok(met);
            }
        }
        Ok(None)
    }
}

/// Whether a metadata file that exists makes its folder an array: in zarr 3 and N5, groups have the
/// same file.
fn is_of_array(format: Format, parent: BorrowedFd<'_>, file: &Path) -> Result<bool, MarkerError> {
    Ok(match format {
        Format::Zarr2 => true,
        Format::Zarr3 => parse::<Zarr3>(parent, file)?.node_type == "array",
        Format::N5 => {
            let n5 = parse::<N5>(parent, file)?;
            n5.dimensions.is_some() && n5.data_type.is_some()
        }
    })
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

fn parse<T: for<'a> Deserialize<'a>>(
    parent: BorrowedFd<'_>,
    file: &Path,
) -> Result<T, MarkerError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let fd = openat(parent.as_fd(), file, flags, Mode::empty())?;
    let mut text = Vec::new();
    std::fs::File::from(fd)
        .take(MOST_BYTES)
        .read_to_end(&mut text)
        .map_err(MarkerError::Io)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    serde_json::from_slice(&text)
        .map_err(|error| MarkerError::Damaged(format!("{name} cannot be read: {error}")))
}

/// Whether an entry of a container is the metadata of a group, which goes with the container.
#[must_use]
pub(crate) fn is_group_metadata(name: &[u8], kind: FileType) -> bool {
    kind == FileType::RegularFile
        && matches!(
            name,
            b".zgroup" | b".zattrs" | b".zmetadata" | b"zarr.json" | b"attributes.json"
        )
}

#[cfg(test)]
mod tests {
    use std::fs;

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
