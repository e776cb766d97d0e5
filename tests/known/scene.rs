//! Arrays in every format, ways to change their metadata, and scans of them.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::clock::{Clock, FixedClock, SystemClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::{Options, Registry, ScanOptions, ScanReport};

/// A format of arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Zarr2,
    Zarr3,
    N5,
}

impl Format {
    pub(crate) const ALL: [Self; 3] = [Self::Zarr2, Self::Zarr3, Self::N5];

    /// The name of its metadata file.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Zarr2 => ".zarray",
            Self::Zarr3 => "zarr.json",
            Self::N5 => "attributes.json",
        }
    }

    /// Metadata of an array of this length, two digits: every length gives a text of one size.
    pub(crate) fn text(self, length: u64) -> String {
        match self {
            Self::Zarr2 => format!(
                r#"{{"zarr_format":2,"shape":[{length}],"chunks":[5],"dtype":"|u1","compressor":null}}"#
            ),
            Self::Zarr3 => format!(
                r#"{{"zarr_format":3,"node_type":"array","shape":[{length}],"data_type":"uint8","chunk_grid":{{"name":"regular","configuration":{{"chunk_shape":[5]}}}}}}"#
            ),
            Self::N5 => {
                format!(r#"{{"dimensions":[{length}],"blockSize":[5],"dataType":"uint8"}}"#)
            }
        }
    }
}

/// Writes an array of a chunk; gives its metadata file.
pub(crate) fn write_array(base: &Path, path: &str, format: Format, length: u64) -> PathBuf {
    let folder = base.join(path);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("0"), "chunk").unwrap();
    let file = folder.join(format.file());
    write(&file, &format.text(length));
    file
}

/// Writes a file in place. Again until its change time is another, so that no two writes of a test
/// are in one tick of the clock.
pub(crate) fn write(file: &Path, text: &str) {
    let changed = |file: &Path| {
        let stat = fs::symlink_metadata(file).ok()?;
        Some((stat.ctime(), stat.ctime_nsec()))
    };
    let before = changed(file);
    loop {
        fs::write(file, text).unwrap();
        if changed(file) != before {
            return;
        }
    }
}

/// Writes a file in place, and dates it as it was.
pub(crate) fn write_dated_back(file: &Path, text: &str) {
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    write(file, text);
    date(file, modified);
}

/// Replaces a file by another of the same date.
pub(crate) fn replace(file: &Path, text: &str) {
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    date(&new, modified);
    fs::rename(&new, file).unwrap();
}

fn date(file: &Path, modified: std::time::SystemTime) {
    let opened = File::options().write(true).open(file).unwrap();
    let times = FileTimes::new().set_modified(modified);
    opened.set_times(times).unwrap();
}

/// The registry of a base directory, opened or made, an hour from now: what was just written
/// changed long ago.
pub(crate) fn registry(base: &Path) -> Registry {
    registry_at(base, SystemClock.now().plus(Duration::from_secs(3600)))
}

/// The same at a moment.
pub(crate) fn registry_at(base: &Path, now: Timestamp) -> Registry {
    let options = Options::new().clock(FixedClock(now));
    options.create(base).unwrap().0
}

pub(crate) fn scan(registry: &Registry) -> ScanReport {
    registry.scan(ScanOptions::default(), &Silent).unwrap()
}

/// All that a scan writes into the rows of data that is there, by path.
pub(crate) fn present(registry: &Registry) -> Vec<String> {
    let rows = registry.select(&Filter::default()).unwrap();
    let mut lines: Vec<String> = rows
        .iter()
        .filter(|row| row.state == State::Present)
        .map(line)
        .collect();
    lines.sort();
    lines
}

fn line(row: &Artifact) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?}",
        row.location().path(),
        row.key,
        row.written_at,
        row.owner,
        row.metadata,
        row.levels,
        row.iterations,
    )
}

/// The length of the only axis of the array at a path; `None` if it is not present.
pub(crate) fn length(registry: &Registry, path: &str) -> Option<u64> {
    let rows = registry.select(&Filter::default()).unwrap();
    let row = rows.iter().find(|row| row.location().path() == path)?;
    let metadata = row
        .metadata
        .as_ref()
        .filter(|_| row.state == State::Present)?;
    metadata.shape.as_ref()?.first().copied()
}
