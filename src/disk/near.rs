//! Registries near a folder that has none, for the error that says so.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};

use super::registry::{RegistryPlace, registry_in};
use crate::model::layout::is_container_folder;
use crate::model::name::is_registry_dir;

/// Levels of folders below the one that is asked about.
const DEEPEST: usize = 3;
/// Entries of folders that are read.
const MOST_ENTRIES: usize = 10_000;
/// Entries of one folder below the first: a large one does not hide those beside it.
const MOST_IN_FOLDER: usize = 1_000;
/// Folders that are visited.
const MOST_FOLDERS: usize = 2_000;

fn has_registry(folder: &Path) -> bool {
    registry_in(CWD, folder) == Ok(RegistryPlace::Folder)
}

/// The nearest registry above a folder.
pub(crate) fn registry_above(folder: &Path) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    let mut above = folder.ancestors().skip(1);
    above
        .find(|above| has_registry(above))
        .map(Path::to_path_buf)
}

/// A registry near a folder: above it, or within three levels below, as far as some thousand entries
/// tell. What cannot be read has none.
pub(crate) fn registry_near(folder: &Path) -> Option<PathBuf> {
    registry_above(folder).or_else(|| registry_below(folder))
}

/// A registry within three levels below a folder, as far as some thousand entries tell.
pub(crate) fn registry_below(folder: &Path) -> Option<PathBuf> {
    let mut found = None;
    let folder = folder.canonicalize().ok()?;
    search(&folder, (DEEPEST, false), MOST_ENTRIES, |below, _| {
        let is_one = has_registry(below);
        found = is_one.then(|| below.to_path_buf());
        !is_one
    });
    found
}

/// Goes through the folders below one, level by level, without following links. `visit` gets each
/// with its own names, those at the last level only if they are to be read, and says whether the search goes on. Containers are not gone into.
pub(super) fn search(
    folder: &Path,
    (deepest, reads_deepest): (usize, bool),
    most: usize,
    mut visit: impl FnMut(&Path, &Names) -> bool,
) {
    let mut left = most;
    let mut due = VecDeque::from([(folder.to_path_buf(), 0)]);
    let mut visited = 0;
    while let Some((path, depth)) = due.pop_front() {
        let room = match depth {
            0 => left,
            _ => left.min(MOST_IN_FOLDER),
        };
        let mut unused = room;
        let names = match depth < deepest || reads_deepest {
            true => Names::read(&path, depth == 0, &mut unused),
            false => Names::default(),
        };
        left -= room - unused;
        visited += 1;
        if depth > 0 && !visit(&path, &names) || visited > MOST_FOLDERS {
            return;
        }
        let searched = names.folders.iter().filter(|name| {
            let text = name.to_str().unwrap_or_default();
            depth < deepest && !is_registry_dir(text) && !is_container_folder(text)
        });
        due.extend(searched.map(|name| (path.join(name), depth + 1)));
    }
}

/// The names in a folder.
#[derive(Default)]
pub(super) struct Names {
    /// Those of folders, sorted.
    pub(super) folders: Vec<OsString>,
    /// Those of everything else.
    pub(super) others: Vec<OsString>,
}

impl Names {
    /// Reads at most `left` names, and counts them. If the folder is itself a link, that is
    /// followed only if `follow` says so.
    pub(super) fn read(path: &Path, follow: bool, left: &mut usize) -> Self {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        flags.set(OFlags::NOFOLLOW, !follow);
        let opened = openat(CWD, path, flags, Mode::empty()).and_then(Dir::new);
        let mut names = Self::default();
        for entry in opened.into_iter().flatten().flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            if name == "." || name == ".." {
                continue;
            }
            let Some(rest) = left.checked_sub(1) else {
                break;
            };
            *left = rest;
            match entry.file_type() {
                FileType::Directory | FileType::Unknown => names.folders.push(name),
                _ => names.others.push(name),
            }
        }
        names.folders.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_registry_above_or_below_is_found() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in [
            "a/b/c/d",
            "other/x/y/.dalsegno",
            "far/1/2/3/4/.dalsegno",
            "third/1/2/base/.dalsegno",
            "third/data.zarr/x/.dalsegno",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let near = |folder: &str| registry_near(&root.join(folder));
        assert_eq!(near("a"), None);
        assert_eq!(near("other"), Some(root.join("other/x/y")));
        assert_eq!(near("far"), None, "too deep");
        assert_eq!(near("third"), Some(root.join("third/1/2/base")));
        assert_eq!(near("nothing"), None);
        fs::create_dir(root.join("a/.dalsegno")).unwrap();
        assert_eq!(near("a/b/c"), Some(root.join("a")));
        // A link is not followed, and a file of the name is no registry.
        std::os::unix::fs::symlink(root.join("other"), root.join("far/link")).unwrap();
        fs::write(root.join("far/1/.dalsegno"), "").unwrap();
        assert_eq!(near("far"), None);
    }

    #[test]
    fn a_large_folder_hides_no_registry_beside_it_and_costs_little() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for number in 0..2 * MOST_IN_FOLDER {
            fs::create_dir_all(root.join(format!("data/{number}"))).unwrap();
        }
        fs::create_dir_all(root.join("project/base/.dalsegno")).unwrap();
        assert_eq!(registry_below(&root), Some(root.join("project/base")));
        let mut visited = 0;
        search(&root, (DEEPEST, false), MOST_ENTRIES, |_, _| {
            visited += 1;
            true
        });
        assert!(visited <= MOST_IN_FOLDER + 3, "{visited}");
    }
}
