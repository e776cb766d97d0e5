//! Pyramids: groups that are one artifact, with the same data at several resolutions.
//!
//! A group is a pyramid if its attributes say so (`multiscales`, as OME-Zarr, N5 and others write
//! it) or if it lies where the layout expects an array and all folders in it are arrays called
//! `s0`, `s1` and so on. One that holds other folders too is a group like any other: what is in it
//! has rows of its own. Its levels have none: rows, sizes, seals and removals are those of the
//! group's folder.
//!
//! A level whose metadata cannot be read, or unreadable metadata of the group, makes it damaged. A
//! level that the attributes name and that is not there yet makes it short of that level.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;

use super::form::ArrayFormat;
use super::marker::{
    self, ATTRIBUTES, Damaged, Found, Group, Marker, MarkerError, MarkersSeen, Memory, Met,
};
use super::{attributes, below};
use crate::disk::stat_below;
use crate::model::array::{ArrayMetadata, LevelMetadata};
use crate::model::layout::{self, PyramidPlace};
use crate::model::observation::Levels;
use crate::model::size::Size;
use crate::store::dirs::{is_unlinked, open_folder};

/// The finest level by its usual name.
const FINEST: &str = "s0";
/// Folder of OME-Zarr that holds images about the image.
const LABELS: &str = "labels";

/// Checks whether the folder `path` below `parent` is an array or a pyramid. `None` if it is
/// neither, is gone, or is not a folder. `at`: its path relative to the base directory; without it
/// no pyramid is looked for, and `memory` is not asked.
pub(super) fn probe(
    parent: BorrowedFd<'_>,
    path: &Path,
    at: Option<&Path>,
    memory: Memory<'_>,
) -> Result<Option<Marker>, MarkerError> {
    match (marker::read_folder(parent, path, at, memory)?, at) {
        (None, _) => Ok(None),
        (Some(Found::Array(marker)), _) => Ok(Some(marker)),
        (Some(Found::Other(group)), Some(at)) => classify(parent, path, at, group),
        (Some(Found::Other(group)), None) => match group.damage {
            Some(damage) => Err(MarkerError::Damaged(damage)),
            None => Ok(None),
        },
    }
}

/// The same of a folder whose metadata files were seen.
pub(super) fn probe_seen(
    seen: &MarkersSeen,
    folder: BorrowedFd<'_>,
    at: &Path,
    memory: Memory<'_>,
) -> Result<Option<Marker>, MarkerError> {
    match seen.read(folder, at, memory)? {
        Found::Array(marker) => Ok(Some(marker)),
        Found::Other(group) => classify(folder, Path::new("."), at, group),
    }
}

/// Says whether a group is a pyramid; `at` is its path relative to the base directory.
///
/// # Errors
/// [`MarkerError::Damaged`] if it is a damaged one, or if the group's own metadata is damaged.
fn classify(
    parent: BorrowedFd<'_>,
    path: &Path,
    at: &Path,
    mut group: Group,
) -> Result<Option<Marker>, MarkerError> {
    let place = at
        .to_str()
        .map_or(PyramidPlace::Never, layout::pyramid_place);
    // Before its attributes are looked at, which arrays have too.
    let is_group = group.marker.is_some();
    let found = match place {
        PyramidPlace::Never => None,
        _ => look(parent, path, place, &mut group)?,
    };
    let pyramid = |mut marker: Marker, detail| {
        marker.metadata = None;
        let marker = Box::new(marker);
        let is_array = true;
        Err(MarkerError::Damaged(Damaged {
            detail,
            marker,
            is_array,
        }))
    };
    match (found, group.damage) {
        (Some((marker, None)), None) => Ok(Some(marker)),
        (Some((marker, Some(detail))), None) => pyramid(marker, detail),
        (Some((marker, _)), Some(Damaged { detail, .. })) => pyramid(marker, detail),
        (None, Some(mut damage)) => {
            // A group has metadata of another format that can be read.
            damage.is_array |= !is_group && below::is_array(parent, path, at);
            Err(MarkerError::Damaged(damage))
        }
        (None, None) => Ok(None),
    }
}

/// The marker of a pyramid, and what is wrong with one of its levels.
type Pyramid = (Marker, Option<String>);

fn look(
    parent: BorrowedFd<'_>,
    path: &Path,
    place: PyramidPlace,
    group: &mut Group,
) -> Result<Option<Pyramid>, MarkerError> {
    read_attributes(parent, path, group)?;
    let has_finest = || match stat_below(parent, path.join(FINEST)) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(errno) => Err(errno),
    };
    // Only if `s0` is there: listing every group would slow down all walks.
    let is_expected = place == PyramidPlace::Expected && has_finest()?;
    if group.levels.is_none() && group.damage.is_none() && !is_expected {
        return Ok(None);
    }
    let Some(listing) = GroupListing::read(parent, path)? else {
        return Ok(None);
    };
    let Some(names) = listing.level_names(group) else {
        return Ok(None);
    };
    judge(&listing, names, group)
}

/// Reads the attributes of a zarr v2 group.
fn read_attributes(
    parent: BorrowedFd<'_>,
    path: &Path,
    group: &mut Group,
) -> Result<(), MarkerError> {
    let file = path.join(ATTRIBUTES);
    let met = match Met::open(parent, &file) {
        Ok(Some(met)) => met,
        Ok(None) | Err(Errno::NOTDIR) => return Ok(()),
        Err(errno) => return Err(errno.into()),
    };
    let marker = Marker::of(ArrayFormat::Zarr2, &met.stat);
    match marker::text_of(parent, &file, met, &marker) {
        Ok(Some(text)) => {
            // Unless `zarr.json` has named them already.
            group.levels = group.levels.take().or_else(|| attributes::levels(&text));
            group.marker.get_or_insert(marker);
            Ok(())
        }
        // A group's attributes are not needed to read what is in it.
        Ok(None) | Err(MarkerError::Damaged(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What is directly in the folder of a group.
struct GroupListing {
    fd: std::os::fd::OwnedFd,
    folders: Vec<String>,
    own: Size,
}

impl GroupListing {
    fn read(parent: BorrowedFd<'_>, path: &Path) -> Result<Option<Self>, MarkerError> {
        let fd = match open_folder(parent, path) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let (mut folders, mut own) = (Vec::new(), Size::default());
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || is_unlinked(name.to_bytes()) {
                continue;
            }
            let stat = match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(errno.into()),
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                own.files += 1;
                own.bytes.0 += u64::try_from(stat.st_size).unwrap_or_default();
                continue;
            }
            match name.to_str() {
                // Programs keep their own things in hidden folders.
                Ok(name) if name.starts_with('.') => {}
                Ok(name) => folders.push(name.to_owned()),
                // No level has such a name.
                Err(_) => return Ok(None),
            }
        }
        // By number, so that `s10` comes after `s9`.
        folders.sort_by_key(|name| (number(name), name.clone()));
        Ok(Some(Self { fd, folders, own }))
    }

    /// The names that its levels have, and whether each is called so by the attributes; `None` if
    /// it holds other folders than levels.
    fn level_names(&self, group: &Group) -> Option<Vec<(String, bool)>> {
        let named = group.levels.clone().unwrap_or_default();
        // Names without a letter are those of chunks too: the attributes have to say more.
        let may_be_plain = group.levels.is_some() || group.damage.is_some();
        // A level may lie deeper, such as `0/image`; the listing shows only its first folder.
        let head = |path: &String| path.split('/').next().unwrap_or_default().to_owned();
        let heads: Vec<String> = named.iter().map(head).collect();
        let mut names: Vec<(String, bool)> = named.into_iter().map(|name| (name, true)).collect();
        for folder in &self.folders {
            let is_level = number(folder).is_some() && (may_be_plain || folder.starts_with('s'));
            if heads.contains(folder) {
                continue;
            }
            match (is_level, folder == LABELS && group.levels.is_some()) {
                (true, _) => names.push((folder.clone(), false)),
                (false, true) => {}
                (false, false) => return None,
            }
        }
        Some(names)
    }
}

/// The number in the usual name of a level: that of `s3` or `3`.
fn number(name: &str) -> Option<u32> {
    let digits = name.strip_prefix('s').unwrap_or(name);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Reads the levels.
fn judge(
    listing: &GroupListing,
    names: Vec<(String, bool)>,
    group: &Group,
) -> Result<Option<Pyramid>, MarkerError> {
    let mut levels = Levels {
        own: listing.own,
        ..Levels::default()
    };
    let (mut first, mut fault, mut are_any) = (None::<Marker>, None, false);
    let mut bytes = 0;
    let mut said = Vec::new();
    for (name, is_named) in names {
        let mut level = LevelMetadata {
            path: name.clone(),
            array: None,
        };
        let mut take = |marker: &Marker| {
            bytes += marker.bytes;
            levels.written_at = levels.written_at.max(Some(marker.written_at));
            // If the group has no metadata of its own, that of its first level takes its part.
            first.get_or_insert_with(|| marker.clone());
        };
        match probe(
            listing.fd.as_fd(),
            Path::new(&name),
            None,
            Memory::default(),
        ) {
            Ok(Some(marker)) => {
                take(&marker);
                level.array = marker.metadata.map(Arc::unwrap_or_clone);
            }
            Ok(None) => {
                match statat(&listing.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
                    // Not written yet: its chunks are unknown.
                    Err(Errno::NOENT | Errno::NOTDIR) => {
                        if is_named {
                            said.push(level);
                        }
                        continue;
                    }
                    Err(errno) => return Err(errno.into()),
                    Ok(_) => {}
                }
                // The attributes know nothing of it: it may be anything.
                if !is_named && group.levels.is_some() {
                    continue;
                }
                fault.get_or_insert(format!("level {name} has no array metadata"));
            }
            Err(MarkerError::Damaged(damaged)) => {
                take(&damaged.marker);
                fault.get_or_insert(format!("level {name}: {}", damaged.detail));
            }
            Err(error) => return Err(error),
        }
        are_any = true;
        levels.paths.push(name);
        said.push(level);
    }
    let Some(mut marker) = first.filter(|_| are_any) else {
        return Ok(None);
    };
    if let Some(own) = &group.marker {
        bytes += own.bytes;
        marker.owner = own.owner;
        marker.written_at = own.written_at;
    }
    // A level may be newer than the metadata of the group.
    marker.written_at = marker
        .written_at
        .max(levels.written_at.unwrap_or(marker.written_at));
    marker.bytes = bytes;
    marker.metadata = match fault {
        Some(_) => None,
        None => Some(Arc::new(ArrayMetadata::of_levels(said))),
    };
    marker.levels = levels;
    Ok(Some((marker, fault)))
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
            ("zarr2", ".zarray", "{}", Some(ArrayFormat::Zarr2)),
            ("zgroup", ".zgroup", "{}", None),
            (
                "zarr3",
                "zarr.json",
                r#"{"zarr_format":3,"node_type":"array"}"#,
                Some(ArrayFormat::Zarr3),
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
                Some(ArrayFormat::N5),
            ),
            ("n5group", "attributes.json", r#"{"n5":"2.0.0"}"#, None),
        ];
        let base = Base::open(folder.path()).unwrap();
        for (dir, file, text, expected) in cases {
            fs::create_dir(folder.path().join(dir)).unwrap();
            fs::write(folder.path().join(dir).join(file), text).unwrap();
            let found = probe(base.as_fd(), Path::new(dir), None, Memory::default()).unwrap();
            assert_eq!(found.map(|marker| marker.format), expected, "{dir}");
        }
        fs::create_dir(folder.path().join("bad")).unwrap();
        fs::write(folder.path().join("bad/zarr.json"), "{").unwrap();
        let error = probe(base.as_fd(), Path::new("bad"), None, Memory::default()).unwrap_err();
        assert!(matches!(error, MarkerError::Damaged(_)));
        let nothing = probe(base.as_fd(), Path::new("nothing"), None, Memory::default());
        assert!(nothing.unwrap().is_none());
    }
}
