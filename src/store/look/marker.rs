//! What makes a folder an array: its metadata file, here called its marker.
//!
//! zarr v2: `.zarray`. zarr v3: `zarr.json` whose `node_type` is `array`. N5: `attributes.json`
//! with `dimensions` and `dataType`; an N5 group has the same file without them. Every marker is
//! read: one that is not a regular file, or not in the form of its format, is damaged.
//!
//! A group can be one artifact too: a pyramid, whose arrays are its levels.

use std::borrow::Cow;
use std::io::Read;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, Stat, StatxFlags, fstat, statat, statx};
use rustix::io::{Errno, retry_on_intr};

use super::attributes;
use super::form::{ArrayFormat, Node};
use super::texts;
use crate::disk::{open_below, stat_below};
use crate::model::array::ArrayMetadata;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::known::{FileVersion, Fingerprint, KnownArrays, Said, is_settled};
use crate::model::layout;
use crate::model::observation::Levels;
use crate::store::json::without_lone_surrogates;

/// Metadata file of each format, the most frequent first.
pub(super) const MARKERS: [(ArrayFormat, &str); 3] = [
    (ArrayFormat::Zarr2, ".zarray"),
    (ArrayFormat::Zarr3, "zarr.json"),
    (ArrayFormat::N5, "attributes.json"),
];

/// File that has the attributes of zarr v2.
pub(super) const ATTRIBUTES: &str = ".zattrs";

/// How a file is opened: a pipe must not block.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Most bytes of metadata that are read; larger files are damaged.
const MOST_BYTES: u64 = 16 << 20;

/// The metadata file of an array; of a pyramid, that of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) format: ArrayFormat,
    pub(crate) written_at: Timestamp,
    pub(crate) owner: u32,
    pub(crate) bytes: u64,
    /// What it says of the array; `None` if it is damaged.
    pub(crate) metadata: Option<Arc<ArrayMetadata>>,
    /// Levels if it is a pyramid.
    pub(crate) levels: Levels,
    /// Iterations that the array says it holds; `None` if this was not looked at.
    pub(crate) iterations: Option<Vec<i64>>,
    /// Identifies the file the next time; `None` if it was not read, or must be read again.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// The row that says already what the file says.
    pub(crate) row: Option<ArtifactId>,
}

/// What was read before, and whether what is read now is to be known the next time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory<'a> {
    pub(super) known: Option<&'a KnownArrays>,
    /// When the look began, by which it is said which files are settled; `None` if no fingerprints
    /// are asked for.
    pub(super) began: Option<Timestamp>,
    /// Whether this host dates the files.
    pub(super) is_local: bool,
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
    pub(crate) marker: Box<Marker>,
    /// Whether it is known to be that of an array, not of a group.
    pub(crate) is_array: bool,
}

impl From<Errno> for MarkerError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Marker {
    /// Whether it is that of a pyramid.
    pub(super) fn is_pyramid(&self) -> bool {
        !self.levels.paths.is_empty()
    }

    pub(super) fn of(format: ArrayFormat, stat: &Stat) -> Self {
        Self {
            format,
            written_at: modified(stat),
            owner: stat.st_uid,
            bytes: u64::try_from(stat.st_size).unwrap_or_default(),
            metadata: None,
            levels: Levels::default(),
            iterations: None,
            fingerprint: None,
            row: None,
        }
    }
}

/// What the metadata of a folder makes of it.
pub(super) enum Found {
    /// An array.
    Array(Marker),
    /// No array: a group, or metadata that cannot be read, or none.
    Other(Group),
}

/// Reads the metadata of the folder `path` below `parent`, unless it is known. `at`: its path relative to the base
/// directory, if it is known. `None` if it is no folder.
pub(super) fn read_folder(
    parent: BorrowedFd<'_>,
    path: &Path,
    at: Option<&Path>,
    memory: Memory<'_>,
) -> Result<Option<Found>, MarkerError> {
    let file_of = |(format, name)| File {
        format,
        name,
        parent,
        folder: path,
    };
    if let Some(at) = at
        && memory.known.is_some_and(|known| known.at(at).is_some())
        && let Some(marker) = recall_folder(MARKERS.map(file_of), at, memory)
    {
        return Ok(Some(Found::Array(marker)));
    }
    // A folder may have metadata of several formats: one that can be read wins over damage.
    let mut group = Group::default();
    for file in MARKERS.map(file_of) {
        let met = match Met::open(parent, &file.path()) {
            Ok(Some(met)) => met,
            Ok(None) => continue,
            // Not a folder, or below something that is not one.
            Err(Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if let Some(marker) = group.read(file, met, at, memory)? {
            return Ok(Some(Found::Array(marker)));
        }
    }
    Ok(Some(Found::Other(group)))
}

/// What the metadata of a folder said when it was read before, if none of it has changed.
///
/// The files are looked at by path: a folder on the way may be exchanged for a link, and the file
/// be one elsewhere. So its values are only compared with the known ones, which no other file has,
/// and never returned.
fn recall_folder(
    files: [File<'_>; MARKERS.len()],
    at: &Path,
    memory: Memory<'_>,
) -> Option<Marker> {
    for file in files {
        match file.stat(&file.path()) {
            Ok(stat) => return file.recall(&stat, at, may_hold(Some(at)), memory),
            Err(Errno::NOENT) => {}
            Err(_) => return None,
        }
    }
    None
}

/// Whether the array at this path may hold iterations.
fn may_hold(at: Option<&Path>) -> bool {
    at.and_then(Path::to_str)
        .is_some_and(layout::may_hold_iterations)
}

/// A metadata file that was met.
pub(super) struct Met {
    pub(super) stat: Stat,
    /// The file, if it was opened to look at it.
    file: Option<OwnedFd>,
}

impl Met {
    /// Opens a file to look at it, which takes as many calls as to look at it and then to open it:
    /// by path, without a link in any name. `None` if there is none.
    pub(super) fn open(parent: BorrowedFd<'_>, path: &Path) -> Result<Option<Self>, Errno> {
        match open_below(parent, path, READ) {
            Ok(file) => Ok(Some(Self {
                stat: fstat(&file)?,
                file: Some(file),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::NOTDIR) => Err(Errno::NOTDIR),
            // Something else than a file, or one that this user may not read.
            Err(_) => match stat_below(parent, path) {
                Ok(stat) => Ok(Some(Self { stat, file: None })),
                Err(Errno::NOENT) => Ok(None),
                Err(errno) => Err(errno),
            },
        }
    }

    /// One that a listing showed.
    fn listed(stat: Stat) -> Self {
        Self { stat, file: None }
    }
}

/// What was read of a folder whose metadata is not that of an array.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Metadata that could not be read.
    pub(super) damage: Option<Damaged>,
    /// The metadata of a group, and the levels that it names.
    pub(super) marker: Option<Marker>,
    pub(super) levels: Option<Vec<String>>,
}

/// A metadata file of a folder below `parent`.
#[derive(Clone, Copy)]
struct File<'a> {
    format: ArrayFormat,
    name: &'a str,
    parent: BorrowedFd<'a>,
    folder: &'a Path,
}

impl Group {
    /// Reads a metadata file that was met; gives that of an array. `at`: the path of the folder
    /// relative to the base directory.
    fn read(
        &mut self,
        file: File<'_>,
        met: Met,
        at: Option<&Path>,
        memory: Memory<'_>,
    ) -> Result<Option<Marker>, MarkerError> {
        let stat = met.stat;
        match read(file.format, file.parent, &file.path(), met) {
            Ok(None) => Ok(None),
            Ok(Some((Node::Group, marker, text))) => {
                self.levels = self.levels.take().or_else(|| attributes::levels(&text));
                self.marker = Some(marker);
                Ok(None)
            }
            Ok(Some((Node::Array(metadata), mut marker, text))) => {
                let mut files = vec![stat];
                let mut is_whole = true;
                let may_hold = may_hold(at);
                if may_hold {
                    let text = match file.attributes() {
                        // In zarr 2, attributes are a file of their own.
                        Some(attributes) => {
                            let met = Met::open(file.parent, &attributes).ok().flatten();
                            let text = met.map(|met| {
                                files.push(met.stat);
                                attributes_of(file.parent, &attributes, met)
                            });
                            is_whole = !matches!(text, Some(None));
                            text.flatten().unwrap_or_default()
                        }
                        None => text,
                    };
                    marker.iterations = Some(attributes::iterations(&text));
                }
                if is_whole && memory.is_to_be_known(&files) {
                    let iterations = marker.iterations.clone().unwrap_or_default();
                    let said = Said::new(Arc::clone(&metadata), iterations);
                    marker.fingerprint = Some(fingerprint(&said, file.format, &files));
                }
                marker.metadata = Some(metadata);
                Ok(Some(marker))
            }
            Err(MarkerError::Damaged(found)) => {
                self.damage.get_or_insert(found);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl File<'_> {
    fn path(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// The file with the attributes, if they are not in this one.
    fn attributes(&self) -> Option<PathBuf> {
        match self.format {
            ArrayFormat::Zarr2 => Some(self.folder.join(ATTRIBUTES)),
            ArrayFormat::Zarr3 | ArrayFormat::N5 => None,
        }
    }

    /// What the file said when it was read before; `None` if it may say something else now.
    fn recall(&self, stat: &Stat, at: &Path, may_hold: bool, memory: Memory<'_>) -> Option<Marker> {
        let (known, said) = memory.known?.at(at)?;
        let attributes = self.attributes().filter(|_| may_hold);
        let mut files = vec![*stat];
        let of_attributes = |files: &mut Vec<Stat>| {
            let stat = attributes.as_deref().map(|path| self.stat(path));
            files.extend(stat.and_then(Result::ok));
        };
        of_attributes(&mut files);
        if fingerprint(said, self.format, &files) != known.fingerprint {
            return None;
        }
        if !memory.is_local {
            // This host may have kept these times for a minute; opening a file asks the server,
            // so that reading needs no such call.
            files = vec![self.ask_server(&self.path())?];
            if let Some(path) = attributes.as_deref() {
                let _ = self.ask_server(path);
            }
            of_attributes(&mut files);
            if fingerprint(said, self.format, &files) != known.fingerprint {
                return None;
            }
        }
        let mut marker = Marker::of(self.format, files.first()?);
        marker.metadata = Some(Arc::clone(&said.metadata));
        marker.iterations = may_hold.then(|| said.iterations.clone());
        marker.row = (known.written_at == marker.written_at).then_some(known.row);
        Some(marker)
    }

    fn stat(&self, path: &Path) -> Result<Stat, Errno> {
        statat(self.parent, path, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The file as its server has it.
    fn ask_server(&self, path: &Path) -> Option<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_FORCE_SYNC;
        // What the server answers is what the call below then finds.
        statx(self.parent, path, flags, StatxFlags::BASIC_STATS).ok()?;
        self.stat(path).ok()
    }
}

impl Memory<'_> {
    /// Whether these files, which are read now, get a fingerprint.
    fn is_to_be_known(&self, files: &[Stat]) -> bool {
        self.began.is_some_and(|began| {
            let mut files = files.iter();
            files.all(|stat| is_settled(changed(stat), began, self.is_local))
        })
    }
}

/// The fingerprint of the files that say this of an array.
fn fingerprint(said: &Said, format: ArrayFormat, files: &[Stat]) -> Fingerprint {
    let mut versions = [FileVersion::default(); 2];
    for (version, stat) in versions.iter_mut().zip(files) {
        *version = FileVersion([
            stat.st_ino.cast_signed(),
            stat.st_size,
            stat.st_ctime,
            i64::try_from(stat.st_ctime_nsec).unwrap_or_default(),
            stat.st_mtime,
            i64::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        ]);
    }
    said.fingerprint(format as u8, versions)
}

/// The attributes of a zarr v2 node; `None` if they cannot be read.
fn attributes_of(parent: BorrowedFd<'_>, file: &Path, met: Met) -> Option<Vec<u8>> {
    let marker = Marker::of(ArrayFormat::Zarr2, &met.stat);
    text_of(parent, file, met, &marker).ok()?
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

    /// Reads the metadata of the folder, as [`read_folder`] does.
    pub(super) fn read(
        &self,
        folder: BorrowedFd<'_>,
        at: &Path,
        memory: Memory<'_>,
    ) -> Result<Found, MarkerError> {
        // As in `read_folder`, readable metadata wins over damage.
        let mut group = Group::default();
        for ((format, name), met) in MARKERS.iter().zip(&self.0) {
            let Some(stat) = met else {
                continue;
            };
            let file = File {
                format: *format,
                name,
                parent: folder,
                folder: Path::new(""),
            };
            if let Some(marker) = file.recall(stat, at, may_hold(Some(at)), memory) {
                return Ok(Found::Array(marker));
            }
            if let Some(marker) = group.read(file, Met::listed(*stat), Some(at), memory)? {
                return Ok(Found::Array(marker));
            }
        }
        Ok(Found::Other(group))
    }
}

/// Reads a metadata file that was met: what it makes of its folder, and its text. `None` if it is
/// gone by now.
fn read(
    format: ArrayFormat,
    parent: BorrowedFd<'_>,
    file: &Path,
    met: Met,
) -> Result<Option<(Node, Marker, Vec<u8>)>, MarkerError> {
    let marker = Marker::of(format, &met.stat);
    let Some(text) = text_of(parent, file, met, &marker)? else {
        return Ok(None);
    };
    match texts::node(format, &text) {
        Ok(node) => Ok(Some((node, marker, text))),
        Err(detail) => Err(damaged(file, &detail, &marker)),
    }
}

/// The error of a metadata file that is there and says nothing.
pub(super) fn damaged(file: &Path, detail: &str, marker: &Marker) -> MarkerError {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    MarkerError::Damaged(Damaged {
        detail: format!("{name} cannot be read: {detail}"),
        marker: Box::new(marker.clone()),
        // Of the three names only `.zarray` is never that of a group.
        is_array: marker.format == ArrayFormat::Zarr2,
    })
}

/// The text of a metadata file that was met; `None` if it is gone by now.
pub(super) fn text_of(
    parent: BorrowedFd<'_>,
    file: &Path,
    met: Met,
    marker: &Marker,
) -> Result<Option<Vec<u8>>, MarkerError> {
    let fail = |detail: &str| Err(damaged(file, detail, marker));
    match FileType::from_raw_mode(met.stat.st_mode) {
        FileType::RegularFile if marker.bytes <= MOST_BYTES => {}
        FileType::RegularFile => {
            return fail(&format!(
                "it has {} bytes, and at most {MOST_BYTES} are read",
                marker.bytes
            ));
        }
        FileType::Directory => return fail("it is a folder"),
        FileType::Symlink => return fail("it is a symbolic link, which is not followed"),
        _ => return fail("it is a pipe, socket or device"),
    }
    let fd = match met.file.map_or_else(|| open_below(parent, file, READ), Ok) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let mut text = vec![0; usize::try_from(marker.bytes).unwrap_or_default() + 1];
    let length = retry_on_intr(|| rustix::io::read(&fd, &mut text[..]))?;
    let is_whole = length as u64 == marker.bytes;
    text.truncate(length);
    // The buffer has room for a byte more than there were, so that a file that is as long as it was
    // has ended with them.
    if !is_whole {
        // Bounded, because the file may grow while it is read.
        std::fs::File::from(fd)
            .take(MOST_BYTES - length as u64)
            .read_to_end(&mut text)
            .map_err(MarkerError::Io)?;
    }
    // Once for all that read the text.
    if let Cow::Owned(clean) = without_lone_surrogates(&text) {
        text = clean;
    }
    Ok(Some(text))
}

/// Whether a file of this name may make its folder an array.
pub(crate) fn is_marker(name: &[u8]) -> bool {
    MARKERS.iter().any(|(_, marker)| marker.as_bytes() == name)
}

/// When a file was last written, in milliseconds.
pub(crate) fn modified(stat: &Stat) -> Timestamp {
    // A damaged inode may have any time.
    let seconds = stat.st_mtime.saturating_mul(1000);
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
    Timestamp(seconds.saturating_add(nanoseconds / 1_000_000))
}

/// When a file was last changed, its mode and name included, in milliseconds.
pub(super) fn changed(stat: &Stat) -> Timestamp {
    let seconds = stat.st_ctime.saturating_mul(1000);
    let nanoseconds = i64::try_from(stat.st_ctime_nsec).unwrap_or_default();
    Timestamp(seconds.saturating_add(nanoseconds / 1_000_000))
}

/// Bytes that a file or folder takes on disk.
pub(crate) fn disk_bytes(stat: &Stat) -> u64 {
    // `st_blocks` counts 512 bytes, whatever the blocks of the file system.
    u64::try_from(stat.st_blocks)
        .unwrap_or_default()
        .saturating_mul(512)
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
