//! Where the catalog of a base directory is, and whether this host may use it there.
//!
//! `config.toml` may name a catalog elsewhere and the host that has it. It is input: others may
//! write it. So a catalog elsewhere is used if it names the base directory too (see
//! [`catalog::tie`]), or if the user named it. On any other host than the one that has the catalog,
//! its path may lead to another file, so nothing is looked for there. Nothing is locked here, and
//! nothing is written but by [`Wanted::create`] and [`Wanted::claim`], each in one rename.

use std::path::{Path, PathBuf};

use crate::catalog::{self, CatalogError, Keeper, NewRegistryDir, RegistryDir, Tie};
use crate::error::Result;
use crate::model::clock::Timestamp;
use crate::store::{self, Base, FsKind};

/// The catalog file of a base directory, as far as the disk shows without opening it.
pub(crate) struct CatalogSite {
    /// The catalog file.
    pub(crate) path: PathBuf,
    /// The registry's folder; `None` if a catalog file was given for a base directory without one.
    pub(crate) folder: Option<RegistryDir>,
    /// Kind of the network file system that the catalog is on; `None` on a local one.
    pub(crate) network: Option<&'static str>,
    /// Why a catalog outside the registry's folder may be used; `None` for one inside.
    pub(crate) tie: Option<Tie>,
    /// The host that has the catalog, if it is not this one.
    pub(crate) keeper: Option<Keeper>,
}

impl CatalogSite {
    /// Whether the base directory does not name the host of its catalog yet, or the catalog does
    /// not name its base directory: an older version made them.
    pub(crate) fn is_unlearned(&self) -> bool {
        let names_host = self.folder.as_ref().is_some_and(RegistryDir::names_host);
        match self.tie {
            Some(Tie::Unclaimed) => true,
            Some(Tie::Bound) => !names_host,
            Some(Tie::Given) | None => false,
        }
    }
}

/// What the user says about the place of the catalog, and the name of this host.
pub(crate) struct Wanted {
    /// The catalog file, as an absolute path; `None` if the base directory is to say it.
    pub(crate) catalog: Option<PathBuf>,
    /// Whether nothing is to be changed.
    pub(crate) read_only: bool,
    /// Whether a catalog on a network file system may be made, for this host alone.
    pub(crate) single_host: bool,
    /// Whether this host is to become the one that has the catalog.
    pub(crate) keeper: bool,
    /// Whether the group is to share the registry's folder.
    pub(crate) shared: bool,
    /// The name of this host.
    pub(crate) here: String,
    /// Whether settings with a mistake are left out.
    #[cfg(feature = "cli")]
    pub(crate) despite_mistakes: bool,
}

impl Wanted {
    fn folder(&self, base: &Base) -> std::result::Result<RegistryDir, CatalogError> {
        #[cfg(feature = "cli")]
        if self.despite_mistakes {
            return RegistryDir::find_despite_mistakes(base.path());
        }
        RegistryDir::find(base.path())
    }

    /// Finds the catalog of a base directory, without opening it.
    pub(crate) fn find(&self, base: &Base) -> Result<CatalogSite> {
        let given = self.catalog.clone();
        let folder = match self.folder(base) {
            // A given catalog works without the folder; only a removal needs it, for the trash.
            Err(CatalogError::NoRegistry { .. }) if given.is_some() => None,
            found => Some(found?),
        };
        // A catalog in the base directory would be a second one.
        if let Some(refusal) = folder.as_ref().and_then(|it| it.refusal(&self.here)) {
            return Err(refusal.into());
        }
        let is_given = given.is_some();
        let remembered = folder.as_ref().map(RegistryDir::catalog);
        let path = match (given, remembered) {
            // With two catalogs for one base directory, each would lack what the other recorded.
            (Some(given), Some(remembered)) if given != remembered => {
                return Err(CatalogError::Elsewhere { remembered, given }.into());
            }
            (Some(path), _) | (None, Some(path)) => path,
            (None, None) => {
                return Err(CatalogError::no_registry(base.path()).into());
            }
        };
        let mut site = CatalogSite {
            path,
            folder,
            network: None,
            tie: None,
            keeper: None,
        };
        let here = self.here.clone();
        let host = site.folder.as_ref().and_then(RegistryDir::host);
        // Before its file is looked for: on this host its path may lead to another file.
        if let Some(host) = host.filter(|host| **host != *here) {
            site.keeper = Some(Keeper {
                catalog: site.path.clone(),
                host: host.to_owned(),
                here,
            });
            return Ok(site);
        }
        let folder = site.folder.as_ref();
        if let Some(folder) = folder.filter(|folder| folder.elsewhere().is_some()) {
            site.tie = Some(catalog::tie(folder, &site.path, is_given)?);
        }
        match store::fs_kind(site.path.parent().unwrap_or(Path::new("/"))) {
            Ok(FsKind::Local) => {}
            Ok(FsKind::Network(file_system)) => {
                let host = folder.and_then(RegistryDir::single_host);
                self.check_host(&site.path, file_system, host)?;
                site.network = Some(file_system);
            }
            // A catalog elsewhere may be gone together with its folder: say that, not that the
            // folder cannot be asked for its file system.
            Err(error) => {
                return Err(catalog::check_file(&site.path)
                    .err()
                    .map_or(error.into(), Into::into));
            }
        }
        Ok(site)
    }

    /// Makes the registry's folder, and its catalog unless that is there. False if another process
    /// made them meanwhile.
    ///
    /// # Errors
    /// `catalog-on-network` if the catalog would be on a network file system, and as
    /// [`RegistryDir::create`]. Nothing is left behind.
    pub(crate) fn create(&self, base: &Base, now: Timestamp) -> Result<bool> {
        let place = match &self.catalog {
            Some(path) => path.parent().unwrap_or(Path::new("/")),
            None => base.path(),
        };
        let single_host = match store::fs_kind(place)? {
            // SQLite is not safe there with several hosts, so the user must say that one host
            // writes.
            FsKind::Network(file_system) if !self.single_host => {
                let path = self
                    .catalog
                    .clone()
                    .unwrap_or_else(|| base.path().join(crate::model::name::REGISTRY_DIR));
                return Err(CatalogError::Network { path, file_system }.into());
            }
            _ => self.single_host.then(|| self.here.clone()),
        };
        let new = NewRegistryDir {
            catalog: self.catalog.clone(),
            single_host,
            host: self.here.clone(),
            shared: self.shared,
        };
        let (_, made) = RegistryDir::create(base.path(), &new, now)?;
        Ok(made)
    }

    /// Writes down that the catalog of a base directory belongs to it and is on this host, if the
    /// user says so and it is not known yet.
    pub(crate) fn claim(&self, base: &Base) -> Result<()> {
        let given = self.catalog.as_deref();
        let mut folder = RegistryDir::find(base.path())?;
        let single_host = folder.single_host();
        let is_renamed = self.keeper && single_host.is_some_and(|host| host != self.here);
        if folder.lost().is_some() {
            return self.take_up(folder);
        }
        let Some(remembered) = folder.elsewhere() else {
            // A catalog inside the base directory belongs to it already. What may have changed is
            // the one host that writes it.
            if is_renamed {
                folder.write_single_host(&self.here)?;
            }
            return Ok(());
        };
        let here = &*self.here;
        let is_same = given.is_none_or(|given| given == remembered);
        // Without `keeper` only unknown settings are written; nothing is overwritten.
        if !self.keeper {
            let is_known = folder.host().is_some_and(|host| host != here)
                || folder.host().is_some()
                    && matches!(catalog::tie(&folder, remembered, false), Ok(Tie::Bound));
            if given.is_none() || !is_same || is_known {
                return Ok(());
            }
        }
        let path = given.unwrap_or(remembered).to_owned();
        // A rebuild is for the host that has the catalog already, at the path that is remembered.
        // Without a host in the settings, only the user says that it is here.
        let is_new_place = !is_same || folder.host().is_none_or(|host| host != here) && self.keeper;
        // Before it is said what to copy to the path, which only the owner's word makes of use.
        catalog::require_owner(&folder, &path)?;
        let explain = |error| match is_new_place {
            true => catalog::not_copied(&path, error),
            false => catalog::unproven(error),
        };
        // First: without its folder, the system cannot be asked for the file system either.
        catalog::check_file(&path).map_err(explain)?;
        if let FsKind::Network(file_system) =
            store::fs_kind(path.parent().unwrap_or(Path::new("/")))?
            && !is_renamed
        {
            self.check_host(&path, file_system, folder.single_host())?;
        }
        catalog::claim(&mut folder, &path, here).map_err(explain)?;
        if is_renamed {
            folder.write_single_host(here)?;
        }
        Ok(())
    }

    /// Writes down again where the catalog is, after `config.toml` has lost it, if the user says
    /// so. Whatever else knows the place or the host has to agree, unless this host is to be the
    /// keeper.
    fn take_up(&self, mut folder: RegistryDir) -> Result<()> {
        let known = folder.lost().cloned().unwrap_or_default();
        let here = &*self.here;
        if !self.keeper && known.host.as_deref().is_some_and(|host| host != here) {
            // Opening says what to type, and where.
            return Ok(());
        }
        let path = match (&self.catalog, &known.path) {
            (Some(given), Some(remembered)) if given != remembered && !self.keeper => {
                let (remembered, given) = (remembered.clone(), given.clone());
                return Err(CatalogError::Elsewhere { remembered, given }.into());
            }
            (Some(given), _) => given.clone(),
            (None, Some(remembered)) if self.keeper => remembered.clone(),
            (None, _) => return Ok(()),
        };
        catalog::require_owner(&folder, &path)?;
        let explain = |error| catalog::not_copied(&path, error);
        catalog::check_file(&path).map_err(explain)?;
        let single_host = match self.keeper {
            true => known.single_host.as_ref().map(|_| here),
            false => known.single_host.as_deref(),
        };
        if let FsKind::Network(file_system) =
            store::fs_kind(path.parent().unwrap_or(Path::new("/")))?
        {
            self.check_host(&path, file_system, single_host)?;
        }
        catalog::claim(&mut folder, &path, here).map_err(explain)?;
        if let Some(host) = single_host {
            folder.write_single_host(host)?;
        }
        Ok(())
    }

    /// What keeps the group that shares a base directory from writing its catalog, if that is
    /// outside of it and on this host.
    pub(crate) fn closed_to_group(&self, base: &Base) -> Option<String> {
        let folder = RegistryDir::find(base.path()).ok()?;
        let is_here = folder.elsewhere().is_some() && folder.host() == Some(&self.here);
        is_here
            .then(|| catalog::closed_to_group(&folder, &folder.catalog()))
            .flatten()
    }

    fn check_host(&self, path: &Path, file_system: &'static str, host: Option<&str>) -> Result<()> {
        let path = path.to_owned();
        match host {
            None => Err(CatalogError::Network { path, file_system }.into()),
            // Its rollback journal lets other hosts read.
            Some(expected) if !self.read_only && expected != self.here => {
                let (expected, found) = (expected.to_owned(), self.here.clone());
                Err(CatalogError::OtherHost {
                    path,
                    expected,
                    found,
                }
                .into())
            }
            Some(_) => Ok(()),
        }
    }
}
