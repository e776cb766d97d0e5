//! The names in one folder, for those who look for data beside its place.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{Dir, FileType};
use rustix::io::Errno;

use crate::model::name::REGISTRY_DIR;
use crate::store::base::Base;
use crate::store::dirs::{EntryType, IfAbsent, descend, is_unlinked};
use crate::store::error::StorageError;

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameIn {
    /// The name.
    pub name: String,
    /// What has it; `None` if the file system does not say.
    pub entry_type: Option<EntryType>,
}

/// Gives the names of the folders and files in a folder below the base directory, sorted; of more
/// than `most`, the first that the system gives. None of a folder that is not there. Symbolic links
/// and names that are no text are left out, because no row has such a path, and so is the
/// registry's folder.
///
/// # Errors
/// [`StorageError::OtherDevice`] if the folder is on another file system, [`StorageError::Io`] if it
/// cannot be read.
pub fn names_in(base: &Base, folder: &Path, most: usize) -> Result<Vec<NameIn>, StorageError> {
    let here = base.path().join(folder);
    let reading = |errno: Errno| StorageError::io("reading", &here, errno);
    let opened = match folder.as_os_str().is_empty() {
        true => None,
        false => match descend(base, folder, IfAbsent::ReturnNone) {
            // Nothing below it is at the path of a row.
            Ok(None) | Err(StorageError::Symlink { .. } | StorageError::NotAFolder { .. }) => {
                return Ok(Vec::new());
            }
            opened => opened?,
        },
    };
    let opened = opened.as_ref().map_or(base.as_fd(), AsFd::as_fd);
    let mut names = Vec::new();
    for entry in Dir::read_from(opened).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let name = entry.file_name();
        let is_left_out = matches!(name.to_bytes(), b"." | b"..")
            || is_unlinked(name.to_bytes())
            || name.to_bytes() == REGISTRY_DIR.as_bytes();
        let entry_type = match entry.file_type() {
            FileType::Directory => Some(EntryType::Folder),
            FileType::RegularFile => Some(EntryType::File),
            FileType::Unknown => None,
            _ => continue,
        };
        let Ok(name) = name.to_str() else { continue };
        if is_left_out {
            continue;
        }
        names.push(NameIn {
            name: name.to_owned(),
            entry_type,
        });
        if names.len() == most {
            break;
        }
    }
    names.sort_by(|one: &NameIn, other| one.name.cmp(&other.name));
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_and_files_are_named_and_links_and_the_registry_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["a/b", "a/c/d", ".dalsegno"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("a/1"), "").unwrap();
        std::os::unix::fs::symlink("b", at("a/link")).unwrap();
        let base = Base::open(folder.path()).unwrap();
        let names = |path: &str, most| -> Vec<String> {
            let found = names_in(&base, Path::new(path), most).unwrap();
            found.into_iter().map(|found| found.name).collect()
        };
        assert_eq!(names("", 9), ["a"]);
        assert_eq!(names("", 9), ["a"], "a second time");
        assert_eq!(names("a", 9), ["1", "b", "c"]);
        assert_eq!(names("a", 2).len(), 2);
        for path in ["a/e", "a/1", "a/1/f", "a/link", "e/f"] {
            assert_eq!(names(path, 9), [""; 0], "{path}");
        }
        let of_a = names_in(&base, Path::new("a"), 9).unwrap();
        assert_eq!(of_a[0].entry_type, Some(EntryType::File));
        assert_eq!(of_a[1].entry_type, Some(EntryType::Folder));
    }
}
