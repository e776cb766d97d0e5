//! Mounts of other file systems: a rename cannot cross them, and nothing on them is deleted.

use std::path::{Path, PathBuf};

use crate::store::base::Base;
use crate::store::error::StorageError;

/// Mount points below the base directory, relative to the base directory.
///
/// # Errors
/// [`StorageError::Io`] if the list of mounts cannot be read. If there is no `/proc`, the result is
/// empty.
pub fn mounts_below(base: &Base) -> Result<Vec<PathBuf>, StorageError> {
    let list = Path::new("/proc/self/mountinfo");
    let text = match std::fs::read_to_string(list) {
        Ok(text) => text,
        // Without /proc mounts are unknown; the purge still refuses folders on another device.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StorageError::io("reading", list, error)),
    };
    let real = base
        .path()
        .canonicalize()
        .map_err(|error| StorageError::io("finding", base.path(), error))?;
    let points = text
        .lines()
        // The fifth word is the mount point.
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape_mount);
    Ok(points
        .filter_map(|point| point.strip_prefix(&real).map(Path::to_path_buf).ok())
        .collect())
}

/// The mount that a path is on.
#[derive(Debug)]
pub(super) struct Mount {
    /// Type of the file system, such as `ext4`.
    pub(super) fs_type: String,
    /// What is mounted, such as `/dev/sda1` or `host:/path`.
    pub(super) source: String,
    /// Options of the mount and of the file system.
    #[cfg(feature = "cli")]
    pub(super) options: Vec<String>,
}

impl Mount {
    /// The mount of a path; `None` if the list of mounts cannot be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        // The kernel lists mount points without symbolic links.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        Self::find(&mounts, &real)
    }

    /// The deepest mount point above a path, and the last mount if there are several at that point.
    pub(super) fn find(mounts: &str, path: &Path) -> Option<Self> {
        let lines = mounts.lines().filter_map(|line| {
            // Before ` - ` there is any number of optional words.
            let (place, kind) = line.split_once(" - ")?;
            let point = unescape_mount(place.split(' ').nth(4)?);
            let own = place.split(' ').nth(5)?;
            let depth = point.components().count();
            path.starts_with(&point).then_some((depth, own, kind))
        });
        // Of several mounts at one point the last hides the others; `max_by_key` gives it.
        #[cfg_attr(
            not(feature = "cli"),
            expect(unused_variables, reason = "shown by doctor")
        )]
        let (_, own, kind) = lines.max_by_key(|(depth, ..)| *depth)?;
        let mut words = kind.split(' ');
        let fs_type = words.next()?.to_owned();
        let source = unescape_mount(words.next()?).to_string_lossy().into_owned();
        #[cfg(feature = "cli")]
        let all = own
            .split(',')
            .chain(words.next().unwrap_or_default().split(','));
        Some(Self {
            fs_type,
            source,
            #[cfg(feature = "cli")]
            options: all.map(str::to_owned).collect(),
        })
    }
}

/// Undoes the octal escapes of `/proc/self/mountinfo`: space, tab, end of line, backslash.
fn unescape_mount(text: &str) -> PathBuf {
    let mut text = text.to_owned();
    // The backslash last, so that what it gives is not read as an escape.
    for (escaped, plain) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        text = text.replace(escaped, plain);
    }
    text.into()
}
