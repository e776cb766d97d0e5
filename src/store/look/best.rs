//! The best links of DaCapo's checkpoints: which iterations are the best of a run.
//!
//! `<run>/checkpoints/<dataset>/<criterion>` is a symbolic link to `…/iterations/<N>`, absolute, so
//! that it dangles after the base directory was moved. `<criterion>.json` beside it says
//! `{"iteration": N}`. The text of either counts; no link is followed.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::model::name;
use crate::store::base::Base;
use crate::store::dirs::{IfAbsent, descend, open_folder};
use crate::store::error::StorageError;

/// What is read of a note; the rest of a larger file is not.
const MOST_BYTES: u64 = 64 << 10;

/// DaCapo's statement that an iteration is the best by a criterion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BestLink {
    /// Dataset and criterion, as in `crop7/voi`.
    pub name: String,
    /// The best iteration.
    pub iteration: i64,
}

/// Reads the best links of a run.
///
/// # Errors
/// - [`StorageError::Io`] if something cannot be read.
/// - [`StorageError::BestLink`] if a link or note does not name an iteration. Taking it for "no
///   best" would let the best iteration be removed.
pub fn best_links(base: &Base, run: &str) -> Result<Vec<BestLink>, StorageError> {
    let path = Path::new(run).join("checkpoints");
    let Some(top) = descend(base, &path, IfAbsent::ReturnNone)? else {
        return Ok(Vec::new());
    };
    let full = base.path().join(path);
    let mut links = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        look(&top, &full, &relative, &mut folders, &mut links)?;
    }
    links.sort();
    links.dedup();
    Ok(links)
}

fn look(
    top: &OwnedFd,
    full: &Path,
    relative: &Path,
    folders: &mut Vec<PathBuf>,
    links: &mut Vec<BestLink>,
) -> Result<(), StorageError> {
    let here = full.join(relative);
    let reading = |errno: Errno| StorageError::io("reading", &here, errno);
    let is_top = relative.as_os_str().is_empty();
    let name = if is_top { Path::new(".") } else { relative };
    let folder = match open_folder(top, name) {
        Ok(folder) => folder,
        // Removed since its name was read.
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(reading(errno)),
    };
    for entry in Dir::read_from(&folder).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let name = Path::new(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()));
        let child = relative.join(name);
        let kind = match entry.file_type() {
            FileType::Unknown => match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(reading(errno)),
            },
            kind => kind,
        };
        let path = here.join(name);
        match kind {
            FileType::Directory if matches!(name.to_str(), Some("." | "..")) => {}
            // Holds the checkpoints themselves.
            FileType::Directory if is_top && name == Path::new("iterations") => {}
            FileType::Directory => folders.push(child),
            FileType::Symlink => {
                if let Some(iteration) = of_link(&folder, name, &path)? {
                    let name = child.to_string_lossy().into_owned();
                    links.push(BestLink { name, iteration });
                }
            }
            FileType::RegularFile if name.extension().is_some_and(|end| end == "json") => {
                if let Some(iteration) = of_note(&folder, name, &path)? {
                    // The same name as the link beside it, so that the two count once.
                    let name = child.with_extension("").to_string_lossy().into_owned();
                    links.push(BestLink { name, iteration });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The iteration that a link leads to: the name after `iterations/`. `None` if the link is gone.
fn of_link(folder: &OwnedFd, name: &Path, path: &Path) -> Result<Option<i64>, StorageError> {
    let target = match readlinkat(folder, name, Vec::new()) {
        Ok(target) => target,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(StorageError::io("reading", path, errno)),
    };
    let target = target.to_string_lossy();
    // Only the end counts: the beginning is wrong once the base directory was moved.
    let mut parts = target.rsplit('/');
    let (last, above) = (parts.next().unwrap_or_default(), parts.next());
    match name::parse_iteration(last) {
        Ok(iteration) if above == Some("iterations") => Ok(Some(iteration)),
        _ => Err(StorageError::BestLink {
            path: path.to_owned(),
            detail: format!("it leads to \"{}\"", target.escape_debug()),
        }),
    }
}

/// The iteration that a note names; `None` if it is gone or is about something else.
fn of_note(folder: &OwnedFd, name: &Path, path: &Path) -> Result<Option<i64>, StorageError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => std::fs::File::from(file),
        // LOOP: a link took its place since its type was read.
        Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(StorageError::io("reading", path, errno)),
    };
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, MOST_BYTES), &mut text)
        .map_err(|error| StorageError::io("reading", path, error))?;
    let note: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| StorageError::BestLink {
            path: path.to_owned(),
            detail: format!("it is not JSON: {error}"),
        })?;
    Ok(note.get("iteration").and_then(serde_json::Value::as_i64))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(base: &Base, run: &str) -> Vec<String> {
        let links = best_links(base, run).unwrap();
        let text = |link: BestLink| format!("{} {}", link.name, link.iteration);
        links.into_iter().map(text).collect()
    }

    #[test]
    fn links_and_notes_are_read_and_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::open(folder.path()).unwrap();
        assert_eq!(names(&base, "r"), Vec::<String>::new());
        let checkpoints = folder.path().join("r/checkpoints");
        fs::create_dir_all(checkpoints.join("iterations")).unwrap();
        fs::create_dir_all(checkpoints.join("a/b")).unwrap();
        fs::write(checkpoints.join("iterations/7"), "").unwrap();
        fs::write(checkpoints.join("iterations/x.json"), "{").unwrap();
        symlink(
            "/gone/r/checkpoints/iterations/9000",
            checkpoints.join("a/b/voi"),
        )
        .unwrap();
        fs::write(checkpoints.join("a/b/voi.json"), r#"{"iteration": 9000}"#).unwrap();
        fs::write(checkpoints.join("a/f1.json"), r#"{"iteration": 5}"#).unwrap();
        fs::write(checkpoints.join("a/other.json"), r#"{"note": "x"}"#).unwrap();
        assert_eq!(names(&base, "r"), ["a/b/voi 9000", "a/f1 5"]);
    }

    #[test]
    fn what_does_not_say_its_iteration_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let base = Base::open(folder.path()).unwrap();
        let checkpoints = folder.path().join("r/checkpoints");
        fs::create_dir_all(&checkpoints).unwrap();
        let note = checkpoints.join("voi.json");
        fs::write(&note, "{\"itera").unwrap();
        assert_eq!(best_links(&base, "r").unwrap_err().code(), "best-link");
        fs::remove_file(&note).unwrap();
        symlink("/somewhere/9000", checkpoints.join("voi")).unwrap();
        let error = best_links(&base, "r").unwrap_err().to_string();
        assert!(error.contains("/somewhere/9000"), "{error}");
    }
}
