//! Whether a catalog that stays open is still the one of its base directory, on this host.
//!
//! `init --keeper` on another host writes `config.toml` while programs have the catalog open here.
//! So each change looks at that file with its turn in hand, before anything is moved or committed.
//! The file is read again only if it is not the one that was read last.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, fstat, statat};
use rustix::io::Errno;

use super::options::Keeper;
use super::registry_dir::RegistryDir;
use super::stamp::Stamp;
use crate::catalog::error::{CONFIG_FILE, CatalogError};
use crate::disk::{Access, Folder, open_file};

/// Watches whether this host keeps the catalog.
pub(crate) struct Keeping {
    base: PathBuf,
    catalog: PathBuf,
    here: String,
    /// Whether a host that `single-host` names is the only one that may write.
    has_one_host: bool,
    /// Whether `config.toml` is on a network file system.
    is_remote: bool,
    /// The `config.toml` that allowed the last change; `None` if there was none.
    seen: Mutex<Option<Stamp>>,
}

impl Keeping {
    /// Watches from the `config.toml` on that `folder` was read from. `has_one_host`: the catalog
    /// is on a network file system. `is_remote`: `config.toml` is.
    pub(crate) fn new(
        folder: &RegistryDir,
        here: String,
        has_one_host: bool,
        is_remote: bool,
    ) -> Self {
        Self {
            base: folder.base.clone(),
            catalog: folder.catalog(),
            here,
            has_one_host,
            is_remote,
            seen: Mutex::new(folder.stamp),
        }
    }

    /// Refuses if the base directory names another host or another catalog by now.
    ///
    /// # Errors
    /// [`CatalogError::AtKeeper`] if another host has the catalog, [`CatalogError::Replaced`] if
    /// this host has it at another path, [`CatalogError::OtherHost`] if another host is the only
    /// one that may write it; as [`RegistryDir::find`] if `config.toml` cannot be read.
    pub(crate) fn require(&self) -> Result<(), CatalogError> {
        let path = self.base.join(crate::model::name::REGISTRY_DIR);
        let found = match self.is_remote {
            // Opening asks the server; a stat may be answered from the cache of this host.
            true => opened(&path),
            false => at(&path.join(CONFIG_FILE)),
        };
        let found = found
            .map_err(|error| CatalogError::io("looking at", &path.join(CONFIG_FILE), error))?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found == *seen {
            return Ok(());
        }
        let folder = RegistryDir::find(&self.base)?;
        self.compare(&folder)?;
        *seen = folder.stamp;
        Ok(())
    }

    fn compare(&self, folder: &RegistryDir) -> Result<(), CatalogError> {
        if let Some(refusal) = folder.refusal(&self.here) {
            return Err(refusal);
        }
        if let Some(host) = folder.host().filter(|host| **host != *self.here) {
            let keeper = Keeper {
                catalog: folder.catalog(),
                host: host.to_owned(),
                here: self.here.clone(),
            };
            return Err(keeper.refusal());
        }
        if folder.catalog() != self.catalog {
            return Err(CatalogError::Replaced {
                path: self.catalog.clone(),
            });
        }
        match folder.single_host() {
            Some(host) if self.has_one_host && host != self.here => Err(CatalogError::OtherHost {
                path: self.catalog.clone(),
                expected: host.to_owned(),
                found: self.here.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// The stamp of the file at a path.
fn at(path: &Path) -> std::io::Result<Option<Stamp>> {
    match statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(Stamp::of(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// The stamp of the configuration in a registry's folder, from the server that has it.
fn opened(folder: &Path) -> std::io::Result<Option<Stamp>> {
    let file = Folder::open(folder).and_then(|dir| open_file(&dir, CONFIG_FILE, Access::Read));
    match file {
        Ok(file) => Ok(Some(Stamp::of(&fstat(&file)?))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
