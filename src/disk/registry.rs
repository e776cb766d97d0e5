//! Which folder is the base directory of a registry.
//!
//! It is one that has a folder `.dalsegno`. A file, a pipe or a link of that name, also a link to a
//! folder, is not a registry: a command that gets such a base directory refuses it and names what
//! is in the place, and in the data of an outer registry it is content like any other.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;

use crate::model::name::REGISTRY_DIR;

/// What has the name of the registry's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RegistryPlace {
    /// A registry's folder.
    Folder,
    /// Something else: there is no registry, and none can be made.
    Other,
    /// Nothing.
    Absent,
}

/// Looks for the registry of the folder at a path, relative to an open folder.
///
/// # Errors
/// An [`Errno`] if the system does not say. Callers that remove data take that for a registry.
pub(crate) fn registry_in(parent: impl AsFd, folder: &Path) -> Result<RegistryPlace, Errno> {
    match statat(parent, folder.join(REGISTRY_DIR), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            Ok(RegistryPlace::Folder)
        }
        Ok(_) => Ok(RegistryPlace::Other),
        // NOTDIR: what has a registry is a folder.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(RegistryPlace::Absent),
        Err(errno) => Err(errno),
    }
}

/// Whether an entry of an open folder, as its listing gives it, is a registry's folder.
pub(crate) fn is_registry(parent: impl AsFd, name: &[u8], kind: FileType) -> bool {
    if name != REGISTRY_DIR.as_bytes() {
        return false;
    }
    match kind {
        FileType::Directory => true,
        // Some file systems give names without types.
        FileType::Unknown => {
            registry_in(parent, Path::new("")).map_or(true, |place| place == RegistryPlace::Folder)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_a_registry_and_a_file_and_links_are_not() {
        let base = tempfile::tempdir().unwrap();
        let folder = fs::File::open(base.path()).unwrap();
        let place = base.path().join("r").join(REGISTRY_DIR);
        let at = || {
            let inner = fs::File::open(base.path().join("r")).unwrap();
            let listed = is_registry(&inner, REGISTRY_DIR.as_bytes(), FileType::Unknown);
            let found = registry_in(&folder, Path::new("r")).unwrap();
            assert_eq!(listed, found == RegistryPlace::Folder);
            found
        };
        assert_eq!(
            registry_in(&folder, Path::new("r")).unwrap(),
            RegistryPlace::Absent
        );
        fs::create_dir(base.path().join("r")).unwrap();
        assert_eq!(at(), RegistryPlace::Absent);
        fs::write(&place, "").unwrap();
        assert_eq!(at(), RegistryPlace::Other);
        for target in ["/nowhere/at/all", "/"] {
            fs::remove_file(&place).unwrap();
            symlink(target, &place).unwrap();
            assert_eq!(at(), RegistryPlace::Other);
        }
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        assert_eq!(at(), RegistryPlace::Folder);
        let inner = fs::File::open(base.path().join("r")).unwrap();
        assert!(!is_registry(&inner, b"dalsegno", FileType::Directory));
        assert!(!is_registry(
            &inner,
            REGISTRY_DIR.as_bytes(),
            FileType::RegularFile
        ));
    }
}
