//! The file beside a catalog outside the base directory that says whose it is.
//!
//! `<catalog>.base` names the base directory, the registry and the catalog's own path. `init` and
//! `rebuild` write it; so does opening for writing in a base directory of an older version, once.
//! [`tie`](super::tie) says what it is good for.
//!
//! # After a crash
//! The file is written under another name and renamed, so it is whole or absent. If it is absent,
//! the next `init --catalog` writes it.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::error::CatalogError;
use super::sqlite::sync::sync_folder;

/// The bits of a mode that let a group or everybody write.
pub(super) const OTHERS_WRITE: u32 = 0o022;

/// Longer files are not read as a binding.
const LONGEST: u64 = 64 << 10;

/// What `<catalog>.base` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Binding {
    /// The base directory, without symbolic links.
    pub(super) base: PathBuf,
    /// Id of the registry.
    pub(super) registry: String,
    /// The catalog file, as `config.toml` names it.
    pub(super) catalog: PathBuf,
}

/// Path of the file that binds a catalog.
pub(super) fn binding_of(catalog: &Path) -> PathBuf {
    let mut name = catalog.as_os_str().to_owned();
    name.push(".base");
    name.into()
}

/// The base directory without symbolic links.
pub(super) fn real(base: &Path) -> Result<PathBuf, CatalogError> {
    base.canonicalize()
        .map_err(|error| CatalogError::io("finding", base, error))
}

/// Says to which other base directory than `base` the catalog at `path` is tied; `None` if to none.
///
/// # Errors
/// [`CatalogError::Io`] if that cannot be found out.
pub fn why_of_another_base(path: &Path, base: &Path) -> Result<Option<String>, CatalogError> {
    let beside = binding_of(path);
    match read(&beside) {
        Ok(None) => Ok(None),
        Ok(Some((binding, _))) => Ok((binding.base != real(base)?)
            .then(|| format!("it belongs to {}", binding.base.display()))),
        // What cannot be read as a binding is never taken for one to this base.
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Ok(Some(format!("{} {error}", beside.display())))
        }
        Err(error) => Err(CatalogError::io("reading", &beside, error)),
    }
}

/// Says why the file beside the catalog at `path` does not tie it to this base directory and
/// registry by the word of oneself or root, with a catalog of one of them; `None` if it does.
///
/// # Errors
/// [`CatalogError::Io`] if that cannot be found out.
pub fn why_not_of_this_base(
    path: &Path,
    base: &Path,
    registry: &str,
) -> Result<Option<String>, CatalogError> {
    let beside = binding_of(path);
    let name = beside.display();
    let Some((binding, metadata)) =
        read(&beside).map_err(|error| CatalogError::io("reading", &beside, error))?
    else {
        return Ok(Some(format!(
            "it has artifacts, and there is no file {name} that says whose they are"
        )));
    };
    let is_own = |uid: u32| uid == 0 || uid == geteuid().as_raw();
    // In a folder where all may write another user can have put a catalog in its place.
    let catalog = path.symlink_metadata();
    let catalog = catalog.map_err(|error| CatalogError::io("reading", path, error))?;
    let of_user =
        |what: &str, uid: u32| format!("{what} belongs to user {uid}, who is neither you nor root");
    let why = if !is_own(catalog.uid()) {
        of_user("it", catalog.uid())
    } else if !is_own(metadata.uid()) {
        of_user(&name.to_string(), metadata.uid())
    } else if metadata.mode() & OTHERS_WRITE != 0 {
        format!("other users may write {name}")
    } else if binding.base != real(base)? {
        format!("it belongs to {}", binding.base.display())
    } else if binding.registry != registry {
        format!("{name} names another registry than the catalog does")
    } else if binding.catalog != path {
        format!("{name} is about {}", binding.catalog.display())
    } else {
        return Ok(None);
    };
    Ok(Some(why))
}

/// The registry that the file beside a catalog names, if it ties the catalog to this base
/// directory. For a catalog that cannot say it itself.
///
/// # Errors
/// As [`why_not_of_this_base`].
pub fn registry_of_this_base(path: &Path, base: &Path) -> Result<Option<String>, CatalogError> {
    let Ok(Some((binding, _))) = read(&binding_of(path)) else {
        return Ok(None);
    };
    let why_not = why_not_of_this_base(path, base, &binding.registry)?;
    Ok(why_not.is_none().then_some(binding.registry))
}

/// Writes the file beside the catalog at `path` that ties it to a base directory.
///
/// # Errors
/// [`CatalogError::Io`]; the file is then as it was.
pub fn bind(path: &Path, base: &Path, registry: &str) -> Result<(), CatalogError> {
    let binding = Binding {
        base: real(base)?,
        registry: registry.to_owned(),
        catalog: path.to_owned(),
    };
    let beside = binding_of(path);
    let io = |error| CatalogError::io("writing", &beside, error);
    let text = toml::to_string(&binding).map_err(|error| {
        io(std::io::Error::new(
            ErrorKind::InvalidInput,
            error.to_string(),
        ))
    })?;
    let text = format!("# The base directory that this catalog of dalsegno belongs to.\n{text}");
    let folder = path.parent().unwrap_or(Path::new("/"));
    // `persist` renames it, so readers find the old file or the whole new one.
    let mut file = tempfile::Builder::new()
        .prefix(".dalsegno.new-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    // The umask may have taken away what every reader of the catalog needs.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644)).map_err(|errno| io(errno.into()))?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(&beside).map_err(|error| io(error.error))?;
    sync_folder(folder)
}

/// Reads a binding, with what the system says of its file; `None` if there is none.
pub(super) fn read(path: &Path) -> std::io::Result<Option<(Binding, std::fs::Metadata)>> {
    let invalid = |what: &str| std::io::Error::new(ErrorKind::InvalidData, what.to_owned());
    // NONBLOCK: a FIFO that was put there must not make the call wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(Errno::LOOP) => return Err(invalid("is a symbolic link")),
        Err(errno) => return Err(errno.into()),
    };
    let file = File::from(file);
    let metadata = file.metadata()?;
    // A file with a second name may be of another program, linked here by a user.
    if !metadata.is_file() || metadata.nlink() > 1 || metadata.len() > LONGEST {
        return Err(invalid("is not a file that dalsegno made"));
    }
    let mut text = String::new();
    // Bounded, because the file may grow while it is read.
    file.take(LONGEST).read_to_string(&mut text)?;
    let binding = toml::from_str(&text).map_err(|_| invalid("is not a file that dalsegno made"))?;
    Ok(Some((binding, metadata)))
}
