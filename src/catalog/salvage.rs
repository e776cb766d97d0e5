//! The published copy of a lost catalog: it may be newer than every backup.
//!
//! A rebuild begins with it if it is, and never lets the new catalog's copy replace the only file
//! that has an operation: that one gets a second name first.
//!
//! Any user who may write in `.dalsegno` may put another file in the place of the copy. So it
//! counts only if its owner is oneself, root or the owner of `.dalsegno`, and no other user may
//! write it. What is checked and copied is a private copy of the file that was opened for this,
//! so an exchange of names in between changes nothing.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, linkat, renameat};
use rustix::io::Errno;

use super::binding::OTHERS_WRITE;
use super::error::CatalogError;
use super::sqlite::place::Place;
use super::sqlite::published::{PUBLISHED_FILE, Stamp};
use super::tie::is_trusted;
use crate::disk::{Access, Folder, make_file, open_file};
use crate::model::clock::Timestamp;
use crate::model::name::REGISTRY_DIR;

/// What became of the published copy when it was to be read for a rebuild.
pub enum Salvaged {
    /// There is none.
    Missing,
    /// It is not to be used; why.
    Refused(String),
    /// It was copied as it is, and is to be checked. When the keeper made it, if it says so.
    Copied(Option<Timestamp>),
}

/// Copies the published copy in the folder of a registry to `to`, where nothing is yet.
///
/// # Errors
/// [`CatalogError::Io`] or [`CatalogError::Full`] if `to` cannot be written.
pub fn salvage_published(folder: &Path, to: &Path) -> Result<Salvaged, CatalogError> {
    let path = folder.join(PUBLISHED_FILE);
    let refused =
        |why: &dyn std::fmt::Display| Ok(Salvaged::Refused(format!("{}: {why}", path.display())));
    let opened = Folder::open(folder).and_then(|open| {
        let file = File::from(open_file(&open, PUBLISHED_FILE, Access::Read)?);
        let (found, dir) = (file.metadata()?, folder.metadata()?);
        Ok((file, found, dir))
    });
    let (file, found, dir) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Salvaged::Missing),
        Err(error) => return refused(&error),
    };
    if !is_trusted(found.uid(), &dir) {
        let uid = found.uid();
        return refused(&format!(
            "it belongs to user {uid}, who is neither you nor root nor the owner of \
             {REGISTRY_DIR}"
        ));
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return refused(&"other users may write it");
    }
    let io = |error| CatalogError::io("copying the published copy to", to, error);
    let place = Place::of(to)?;
    let made = make_file(&place, place.name()).map_err(|errno| io(errno.into()))?;
    let at = Stamp::read(&file).map_err(io)?;
    // Without the stamp, which is no part of a catalog.
    let bytes = found.len() - at.map_or(0, |_| Stamp::BYTES);
    std::io::copy(&mut file.take(bytes), &mut File::from(made)).map_err(io)?;
    Ok(Salvaged::Copied(at))
}

/// Gives the published copy a second name, which the next copy does not replace. Returns that name;
/// `None` if there is no copy.
///
/// # Errors
/// [`CatalogError::Io`] if it cannot get one.
pub fn keep_published(folder: &Path, now: Timestamp) -> Result<Option<PathBuf>, CatalogError> {
    let path = folder.join(PUBLISHED_FILE);
    let io = |error: std::io::Error| CatalogError::io("setting aside", &path, error);
    let dir = Folder::open(folder).map_err(io)?;
    let mut name = format!("{PUBLISHED_FILE}.aside-{}", now.compact());
    let mut number = 2;
    while dir.stat(&*name).map_err(io)?.is_some() {
        name = format!("{PUBLISHED_FILE}.aside-{}-{number}", now.compact());
        number += 1;
    }
    // A link and no rename: after a crash, the next rebuild finds the copy at its place.
    let kept = match linkat(&dir, PUBLISHED_FILE, &dir, &*name, AtFlags::empty()) {
        // Not every file system has links, and a folder has none.
        Err(errno) if errno != Errno::NOENT => renameat(&dir, PUBLISHED_FILE, &dir, &*name),
        linked => linked,
    };
    match kept {
        Ok(()) => dir.sync().map_err(io)?,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(io(errno.into())),
    }
    Ok(Some(folder.join(name)))
}
