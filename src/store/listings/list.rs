//! Reading the lists of groups.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::text::ListFormat;
use crate::model::name::REGISTRY_DIR;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::StorageError;

/// Most bytes of a list that is read: one of about 100,000 arrays.
const MOST_BYTES: u64 = 256 << 20;

/// Most bytes of the path of a group whose lists are read: what Linux takes in one call. A longer
/// path is walked name by name, and of a deep folder each folder above would be, too.
const MOST_PATH: usize = 4095;

/// A list as it was read.
pub(super) struct List {
    pub(super) format: ListFormat,
    pub(super) text: Vec<u8>,
    /// The file that it was read from.
    pub(super) stat: Stat,
    pub(super) file: OwnedFd,
}

impl List {
    /// Reads the list of a group; `None` if the file is not there, or lists nothing.
    fn read(group: &OwnedFd, format: ListFormat) -> Result<Option<Self>, Errno> {
        let flags =
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match openat(group, format.file(), flags, Mode::empty()) {
            Ok(file) => file,
            // A socket is no list that zarr has written; for links see `links_of`.
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(None);
        }
        let mut text = Vec::new();
        // Another descriptor: the first is kept, because a new list takes its mode and owner from
        // it.
        let read = std::fs::File::from(file.try_clone().map_err(|_| Errno::MFILE)?);
        read.take(MOST_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        // Half a list would be written back as if it were whole.
        if text.len() as u64 > MOST_BYTES {
            return Err(Errno::FBIG);
        }
        // Most groups list nothing.
        let is_list = format.may_list(&text) && format.names(&text).is_some();
        Ok(is_list.then_some(Self {
            format,
            text,
            stat,
            file,
        }))
    }

    pub(super) fn names(&self) -> BTreeSet<String> {
        self.format.names(&self.text).unwrap_or_default()
    }
}

/// The lists of a group.
pub(super) fn lists_of(group: &OwnedFd) -> Result<Vec<List>, Errno> {
    let mut lists = Vec::new();
    for format in ListFormat::ALL {
        lists.extend(List::read(group, format)?);
    }
    Ok(lists)
}

/// What is said of a list behind a symbolic link.
pub(super) const LINK: &str = "it is a symbolic link, which is not followed: its list was neither \
    read nor changed";

/// The files of a group's lists that are symbolic links. What they lead to may be another user's,
/// or a store of git-annex that must not change.
pub(super) fn links_of(group: &OwnedFd) -> Vec<&'static str> {
    let is_link = |name: &&str| {
        statat(group, *name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    };
    let names = ListFormat::ALL.map(ListFormat::file);
    names.into_iter().filter(is_link).collect()
}

/// The files of the lists of a group that are symbolic links, which were not looked at.
///
/// # Errors
/// As [`entry_at`](crate::store::entry_at).
pub fn linked_lists(base: &Base, group: &Path) -> Result<Vec<&'static str>, StorageError> {
    let open = descend(base, group, IfAbsent::ReturnNone)?;
    Ok(open.as_ref().map(links_of).unwrap_or_default())
}

/// Whether one of these names is a path, or lies below it.
pub(super) fn has_below(names: &BTreeSet<String>, path: &str) -> bool {
    // With the separator, so that `ab` is not below `a`.
    let inside = format!("{path}/");
    names.contains(path)
        || names
            .range(inside.clone()..)
            .next()
            .is_some_and(|name| name.starts_with(&inside))
}

/// Finds the groups above each of these paths that list it, or something below it. Paths are
/// relative to the base directory. A list that cannot be read lists nothing; one behind a symbolic
/// link may list everything.
///
/// # Errors
/// As [`entry_at`](crate::store::entry_at) of a folder above a path.
pub fn listed_in<'a>(
    base: &Base,
    paths: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, Vec<String>>, StorageError> {
    let mut known: BTreeMap<&Path, (Vec<BTreeSet<String>>, bool)> = BTreeMap::new();
    let mut listed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for path in paths {
        for above in groups_above(Path::new(path)) {
            // Once a group: most paths of a removal share theirs.
            if !known.contains_key(above) {
                let (lists, has_link) = match descend(base, above, IfAbsent::ReturnNone)? {
                    Some(group) => (
                        lists_of(&group).unwrap_or_default(),
                        !links_of(&group).is_empty(),
                    ),
                    None => (Vec::new(), false),
                };
                known.insert(above, (lists.iter().map(List::names).collect(), has_link));
            }
            let below = Path::new(path)
                .strip_prefix(above)
                .ok()
                .and_then(Path::to_str);
            let (lists, has_link) = &known[above];
            if let (Some(below), Some(above)) = (below, above.to_str())
                && (*has_link || lists.iter().any(|names| has_below(names, below)))
            {
                listed.entry(path).or_default().push(above.to_owned());
            }
        }
    }
    Ok(listed)
}

/// The folders above a path that are looked at for lists, up to the base directory itself, whose
/// path is empty. Of those that are too deep to be opened in one call none is.
pub fn groups_above(path: &Path) -> impl Iterator<Item = &Path> {
    let above = path.ancestors().skip(1);
    above.filter(|above| above.as_os_str().len() <= MOST_PATH)
}

/// Finds what the lists of a group name that is not there: paths relative to the base directory, as
/// a set, because a list of another program may name very many.
///
/// # Errors
/// [`StorageError::Io`] if the group or a list cannot be read, and as
/// [`entry_at`](crate::store::entry_at).
pub fn stale_entries(base: &Base, group: &Path) -> Result<BTreeSet<PathBuf>, StorageError> {
    let Some(open) = descend(base, group, IfAbsent::ReturnNone)? else {
        return Ok(BTreeSet::new());
    };
    let reading = |errno| StorageError::io("reading", &base.path().join(group), errno);
    let mut stale = BTreeSet::new();
    for list in lists_of(&open).map_err(reading)? {
        for name in list.names() {
            if is_gone(&open, &name) {
                stale.insert(group.join(name));
            }
        }
    }
    Ok(stale)
}

/// Whether nothing is at a path that a list names. Paths that lead out of the group are left alone.
pub(super) fn is_gone(group: &OwnedFd, name: &str) -> bool {
    let is_plain = |part| matches!(part, std::path::Component::Normal(_));
    if name.is_empty() || !Path::new(name).components().all(is_plain) {
        return false;
    }
    let found = rustix::fs::statat(group.as_fd(), name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    matches!(found, Err(Errno::NOENT | Errno::NOTDIR))
}

/// The groups that can have a list though no array is left in them: the base directory, whose path
/// is empty, the folders of the runs, and the folders in these. `starts` are folders of runs, or an
/// empty path for all. What cannot be read is left out: a walk reports it.
#[must_use]
pub fn top_groups(base: &Base, starts: &[PathBuf]) -> Vec<PathBuf> {
    let mut groups = vec![PathBuf::new()];
    for start in starts {
        let runs = match start.as_os_str().is_empty() {
            true => folders_in(base, start),
            false => vec![start.clone()],
        };
        for run in runs {
            groups.extend(folders_in(base, &run));
            groups.push(run);
        }
    }
    groups
}

fn folders_in(base: &Base, path: &Path) -> Vec<PathBuf> {
    let folder = match path.as_os_str().is_empty() {
        true => open_folder(base.as_fd(), ".").ok(),
        false => descend(base, path, IfAbsent::ReturnNone).ok().flatten(),
    };
    let names = folder.and_then(|folder| rustix::fs::Dir::read_from(&folder).ok());
    let entries = names.into_iter().flatten().flatten().filter(|entry| {
        let is_folder = matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
        is_folder && !matches!(entry.file_name().to_bytes(), b"." | b"..")
    });
    let names = entries.filter_map(|entry| Some(path.join(entry.file_name().to_str().ok()?)));
    names
        .filter(|path| path != Path::new(REGISTRY_DIR))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_group_with_a_path_beyond_the_longest_is_looked_at() {
        let deep = "d/".repeat(10_000) + "array";
        let groups: Vec<usize> = groups_above(Path::new(&deep))
            .map(|group| group.as_os_str().len())
            .collect();
        // `d/d/…/d`, down to the base directory, whose path is empty.
        assert_eq!(groups.len(), 2_049);
        assert_eq!((groups[0], groups[2_048]), (4_095, 0));
    }
}
