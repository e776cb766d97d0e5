//! Whether a folder looks like one that holds runs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::near::{Names, search};
use crate::model::layout::{self, CHECKPOINTS_FOLDER, SNAPSHOT_CONTAINER};
use crate::model::name::VALIDATION_CONTAINER;

/// Levels of folders in which runs are looked for.
const DEEPEST: usize = 4;
/// Entries of folders that are read.
const MOST_ENTRIES: usize = 10_000;

/// What a folder looks like by the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LooksLike {
    /// It holds runs: in it, or else in this folder of it.
    Base(PathBuf),
    /// It is empty, and may hold runs later.
    Empty,
    /// The folder of a run: it has this folder.
    Run(String),
    /// It is in this container.
    InContainer(PathBuf),
    /// Something else: no run was found in it.
    Other,
}

/// Looks at the names of folders in a folder and below it, as far as some thousands tell.
pub(crate) fn looks_like(folder: &Path) -> LooksLike {
    let absolute = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut above = absolute.ancestors();
    if let Some(container) = above.find(|path| path.file_name().is_some_and(is_container)) {
        return LooksLike::InContainer(container.to_path_buf());
    }
    let own = Names::read(folder, true, &mut MOST_ENTRIES.clone());
    let first = |is: &dyn Fn(&str) -> bool| {
        let mut names = own.folders.iter().filter_map(|name| name.to_str());
        names.find(|name| is(name)).map(str::to_owned)
    };
    // Groups above runs are common; an array holds no runs.
    if own.others.iter().any(|name| name == ".zarray") {
        return LooksLike::InContainer(absolute);
    }
    // These two only a run has.
    if let Some(name) = first(&|name| matches!(name, VALIDATION_CONTAINER | SNAPSHOT_CONTAINER)) {
        return LooksLike::Run(name);
    }
    let mut found = None;
    search(folder, (DEEPEST, true), MOST_ENTRIES, |path, names| {
        let path = path.strip_prefix(folder).unwrap_or(path);
        let in_container = path.iter().any(is_container);
        let is_part = |name: &OsString| is_container(name) || name == CHECKPOINTS_FOLDER;
        // Also arrays that lie in a plain folder.
        let holds = names.folders.iter().any(is_part) || names.others.iter().any(is_marker);
        if holds && !in_container {
            // An array may lie deeper in its run than a container.
            let has_part = names.folders.iter().any(is_part);
            let above = path.parent().filter(|_| has_part).unwrap_or(Path::new(""));
            found = Some(above.to_path_buf());
        }
        found.is_none()
    });
    if let Some(found) = found {
        return LooksLike::Base(found);
    }
    match first(&|name| is_container(OsStr::new(name)) || name == CHECKPOINTS_FOLDER) {
        Some(name) => LooksLike::Run(name),
        None if own.folders.is_empty() && own.others.is_empty() => LooksLike::Empty,
        None => LooksLike::Other,
    }
}

/// Whether a folder of this name is a container; that of validations may have no ending.
fn is_container(name: &OsStr) -> bool {
    name.to_str().is_some_and(layout::is_container_folder)
}

/// Whether a file of this name says that its folder is an array or a group.
fn is_marker(name: &OsString) -> bool {
    matches!(
        name.to_str(),
        Some(".zarray" | ".zgroup" | "zarr.json" | "attributes.json")
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn runs_are_told_from_what_holds_them() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        for folder in [
            "base/run/validation.zarr/1000/x",
            "nested/group/sub/run/snapshot.zarr",
            "weights/run/checkpoints/iterations",
            "raw/data.zarr/volumes",
            "both/run/any.n5",
            "both/data.zarr",
            "home/notes/2026",
            "plain/a/validation/1000",
            "odd/run/arrays/x",
            "empty",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::create_dir_all(root.join("files")).unwrap();
        for file in [
            "files/readme",
            "odd/run/arrays/x/.zarray",
            "raw/data.zarr/.zgroup",
        ] {
            fs::write(root.join(file), "").unwrap();
        }
        let run = |name: &str| LooksLike::Run(name.to_owned());
        let base = |folder: &str| LooksLike::Base(folder.into());
        for (folder, expected) in [
            ("base", base("")),
            ("base/run", run("validation.zarr")),
            (
                "base/run/validation.zarr/1000",
                LooksLike::InContainer(root.join("base/run/validation.zarr")),
            ),
            ("nested", base("group/sub")),
            ("nested/group/sub", base("")),
            ("weights", base("")),
            ("weights/run", run("checkpoints")),
            ("raw", run("data.zarr")),
            ("both", base("")),
            ("home", LooksLike::Other),
            ("plain", base("")),
            ("odd", base("")),
            (
                "odd/run/arrays/x",
                LooksLike::InContainer(root.join("odd/run/arrays/x")),
            ),
            ("files", LooksLike::Other),
            ("empty", LooksLike::Empty),
        ] {
            assert_eq!(looks_like(&root.join(folder)), expected, "{folder}");
        }
    }
}
