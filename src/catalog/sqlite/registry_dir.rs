//! The registry's folder in a base directory: finding it, making it, its `config.toml`.
//!
//! `.dalsegno` appears whole or not at all: it is made under another name, its catalog created,
//! closed and synced, then renamed into place. Of several processes that race, one renames and
//! the others find the folder there. So a folder without a catalog always means a loss, and
//! never a creation in progress.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, Mode, fstat, linkat, mkdirat, renameat, unlinkat};
use rustix::io::Errno;

use super::backup::BACKUPS_DIR;
use super::connection;
use super::file::Catalog;
use super::options::CatalogOptions;
use super::place::Place;
use super::remembered::{self, PLACE_FILE};
use super::stamp::Stamp;
use crate::catalog::binding;
use crate::catalog::config::{CatalogConfig, Config};
use crate::catalog::error::{CONFIG_FILE, CatalogError, LostPlace};
use crate::disk::{
    Access, Folder, RegistryPlace, make_file, make_shared_folder, open_file, read_file,
    read_opened, registry_in,
};
use crate::model::clock::Timestamp;
use crate::model::name::REGISTRY_DIR;

/// Name of the catalog in the registry's folder.
pub const CATALOG_FILE: &str = "catalog.sqlite3";

/// Bytes of the largest configuration that is read.
const MOST_CONFIG: u64 = 1 << 20;

/// A creation that was killed leaves its folder; after this long the next one removes it.
const STALE: Duration = Duration::from_secs(3600);

/// Where a base directory keeps its registry.
#[derive(Debug, Clone)]
pub struct RegistryDir {
    /// The base directory, absolute.
    pub base: PathBuf,
    /// What `config.toml` says.
    pub config: Config,
    /// Which `config.toml` said it; `None` if there is none.
    pub(super) stamp: Option<Stamp>,
    /// What else says where a catalog elsewhere is, if `config.toml` does not say all of it.
    remembered: Option<CatalogConfig>,
    /// What `config.toml` has lost of a catalog elsewhere.
    lost: Option<LostPlace>,
}

/// How a new registry keeps its catalog.
#[derive(Debug, Clone, Default)]
pub struct NewRegistryDir {
    /// Catalog file, absolute; none is the registry's folder.
    pub catalog: Option<PathBuf>,
    /// The one host that may write, for a network file system.
    pub single_host: Option<String>,
    /// Name of this host, which is remembered for a catalog outside the base directory.
    pub host: String,
    /// Whether the group of the base directory may write it.
    pub shared: bool,
}

impl RegistryDir {
    /// The registry's folder.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.base.join(REGISTRY_DIR)
    }

    /// The catalog file.
    #[must_use]
    pub fn catalog(&self) -> PathBuf {
        // What is lost is not at its usual place.
        self.lost()
            .or_else(|| self.catalog_config())
            .and_then(|config| config.path.clone())
            .unwrap_or_else(|| self.dir().join(CATALOG_FILE))
    }

    /// The folder of the catalog's backups: here even if the catalog lies elsewhere.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.dir().join(BACKUPS_DIR)
    }

    /// The catalog file if it is outside the registry's folder, as `config.toml` says.
    #[must_use]
    pub fn elsewhere(&self) -> Option<&Path> {
        let path = self.catalog_config()?.path.as_deref()?;
        (path.parent() != Some(&self.dir())).then_some(path)
    }

    /// The host that has a catalog outside the registry's folder, if it is known.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let path = self.elsewhere()?;
        let named = self.catalog_config()?.host.as_deref();
        named.or_else(|| {
            let remembered = self.remembered.as_ref()?;
            let is_same = remembered.path.as_deref() == Some(path);
            is_same.then_some(remembered.host.as_deref()).flatten()
        })
    }

    /// Whether `config.toml` names the host itself.
    #[must_use]
    pub fn names_host(&self) -> bool {
        self.catalog_config()
            .is_some_and(|config| config.host.is_some())
    }

    /// What is known of a catalog elsewhere that `config.toml` has lost; `None` if it has lost
    /// none.
    #[must_use]
    pub fn lost(&self) -> Option<&CatalogConfig> {
        self.lost?;
        self.remembered.as_ref()
    }

    /// The error of a call on host `here` that needs a catalog elsewhere which `config.toml` has
    /// lost; `None` if it has lost none.
    #[must_use]
    pub fn refusal(&self, here: &str) -> Option<CatalogError> {
        let place = self.lost()?;
        let config = || self.dir().join(CONFIG_FILE);
        Some(CatalogError::AtKeeper {
            path: place.path.clone().unwrap_or_else(config),
            host: place.host.clone(),
            here: here.to_owned(),
            lost: self.lost,
        })
    }

    /// Writes beside `config.toml` where the catalog is, if that is not there. A user who may not
    /// leaves that to another one.
    pub fn remember(&self) {
        if let Some(config) = self.catalog_config().filter(|_| self.elsewhere().is_some())
            && let Ok(dir) = Folder::open(&self.dir())
        {
            let _ = remembered::remember(&dir, config);
        }
    }

    /// A second catalog of the base directory, beside the one that is used: its path, which is
    /// `None` if nothing says it, and the host that has it.
    #[cfg(feature = "cli")]
    pub(crate) fn second(&self) -> Option<(Option<PathBuf>, Option<String>)> {
        let own = self.dir().join(CATALOG_FILE);
        if self.elsewhere().is_some() {
            return own.is_file().then_some((Some(own), None));
        }
        let is_used = own == self.catalog() && own.is_file();
        let dir = Folder::open(&self.dir()).ok().filter(|_| is_used)?;
        let place = remembered::signs(&dir)?;
        Some((place.path, place.host))
    }

    fn catalog_config(&self) -> Option<&CatalogConfig> {
        self.config.catalog.as_ref()
    }

    /// Which registry the catalog must be, if the base directory remembers that.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        let named = self.catalog_config().and_then(|c| c.registry.as_deref());
        named.or_else(|| self.lost()?.registry.as_deref())
    }

    /// The one host that may write, if it is limited.
    #[must_use]
    pub fn single_host(&self) -> Option<&str> {
        self.catalog_config()?.single_host.as_deref()
    }

    /// Whether `base` has a registry's folder.
    ///
    /// # Errors
    /// [`CatalogError::NotAFolder`] if something else is in its place, and
    /// [`CatalogError::Io`] if the system does not say, which is not the same as absent.
    pub fn exists(base: &Path) -> Result<bool, CatalogError> {
        let path = base.join(REGISTRY_DIR);
        match registry_in(CWD, base) {
            Ok(RegistryPlace::Folder) => Ok(true),
            Ok(RegistryPlace::Other) => Err(CatalogError::NotAFolder { path }),
            Ok(RegistryPlace::Absent) => Ok(false),
            Err(errno) => Err(CatalogError::io("looking for", &path, errno.into())),
        }
    }

    /// Finds the registry of a base directory.
    ///
    /// # Errors
    /// [`CatalogError::NoRegistry`] if it has none, [`CatalogError::Config`] if
    /// `config.toml` cannot be read.
    pub fn find(base: &Path) -> Result<Self, CatalogError> {
        Self::read(base, |text| {
            Config::parse(text).map_err(|error| error.to_string())
        })
    }

    /// Finds the registry of a base directory; settings with a mistake are left out.
    ///
    /// # Errors
    /// As [`RegistryDir::find`], but none for a mistake in `config.toml`.
    #[cfg(feature = "cli")]
    pub(crate) fn find_despite_mistakes(base: &Path) -> Result<Self, CatalogError> {
        Self::read(base, |text| Ok(Config::parse_what_is_right(text)))
    }

    fn read(
        base: &Path,
        parse: impl Fn(&str) -> Result<Config, String>,
    ) -> Result<Self, CatalogError> {
        if !Self::exists(base)? {
            return Err(CatalogError::no_registry(base));
        }
        let path = base.join(REGISTRY_DIR).join(CONFIG_FILE);
        let invalid = |detail: &str| CatalogError::Config {
            path: path.clone(),
            detail: detail.to_owned(),
        };
        let dir = base.join(REGISTRY_DIR);
        // Bounded: others may have put a file of any size there.
        let mut stamp = None;
        let open = Folder::open(&dir).map_err(|error| CatalogError::io("reading", &path, error))?;
        let read = open_file(&open, CONFIG_FILE, Access::Read).and_then(|file| {
            // Before it is read: what is written meanwhile is read by the next who looks.
            stamp = Some(Stamp::of(&fstat(&file)?));
            read_opened(file, MOST_CONFIG)
        });
        let config: Config = match read.map(String::from_utf8) {
            Ok(Ok(text)) => parse(&text).map_err(|detail| invalid(&detail))?,
            Ok(Err(_)) => return Err(invalid("it is not UTF-8")),
            // A registry without this file has the defaults.
            Err(error) if error.kind() == ErrorKind::NotFound => Config::default(),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(invalid(&error.to_string()));
            }
            Err(error) => return Err(CatalogError::io("reading", &path, error)),
        };
        let catalog = config.catalog.as_ref();
        if catalog
            .and_then(|catalog| catalog.path.as_ref())
            .is_some_and(|path| path.is_relative())
        {
            // A relative path would lead elsewhere from every working directory.
            return Err(invalid("the path of the catalog is not absolute"));
        }
        let (remembered, lost) = match catalog {
            Some(CatalogConfig {
                path: Some(_),
                host: Some(_),
                ..
            }) => (None, None),
            Some(CatalogConfig { path: Some(_), .. }) => (remembered::read(&open), None),
            // A base directory that has a catalog itself has lost nothing.
            _ if !matches!(open.stat(CATALOG_FILE), Ok(None)) => (None, None),
            catalog => {
                let place = remembered::signs(&open);
                let lost = match catalog {
                    None => LostPlace::Section,
                    Some(_) => LostPlace::Path,
                };
                let lost = place.as_ref().map(|_| lost);
                (place, lost)
            }
        };
        Ok(Self {
            base: base.to_owned(),
            config,
            stamp,
            remembered,
            lost,
        })
    }

    /// Writes where the catalog is into `config.toml`: its path, its registry, its host. Everything
    /// else in the file stays.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if the file cannot be written, [`CatalogError::Config`] if what is in
    /// it cannot be kept; it is then as it was.
    pub fn write_catalog_place(
        &mut self,
        catalog: &Path,
        registry: &str,
        host: &str,
    ) -> Result<(), CatalogError> {
        let config = CatalogConfig {
            path: Some(catalog.to_owned()),
            registry: Some(registry.to_owned()),
            host: Some(host.to_owned()),
            single_host: None,
        };
        self.write_config(&config)?;
        let kept = self.config.catalog.get_or_insert_default();
        (kept.path, kept.registry, kept.host) = (config.path, config.registry, config.host);
        self.lost = None;
        self.remember();
        Ok(())
    }

    /// Writes the one host that may write the catalog into `config.toml`. Everything else in the
    /// file stays.
    ///
    /// # Errors
    /// As [`RegistryDir::write_catalog_place`].
    pub fn write_single_host(&mut self, host: &str) -> Result<(), CatalogError> {
        let config = CatalogConfig {
            single_host: Some(host.to_owned()),
            ..CatalogConfig::default()
        };
        self.write_config(&config)?;
        self.config.catalog.get_or_insert_default().single_host = config.single_host;
        self.remember();
        Ok(())
    }

    /// Writes the keys that are given into `config.toml`.
    fn write_config(&self, config: &CatalogConfig) -> Result<(), CatalogError> {
        let path = self.dir().join(CONFIG_FILE);
        let io = |error| CatalogError::io("writing", &path, error);
        // Read again and edited: it may have changed since, and its comments are to stay.
        let dir = Folder::open(&self.dir()).map_err(io)?;
        let text = match read_file(&dir, CONFIG_FILE, MOST_CONFIG).map(String::from_utf8) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) => return Err(io(ErrorKind::InvalidData.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(CatalogError::io("reading", &path, error)),
        };
        let text = Config::with_catalog(&text, config).map_err(|error| CatalogError::Config {
            path: path.clone(),
            detail: error.to_string(),
        })?;
        remembered::replace(&dir, CONFIG_FILE, &text).map_err(io)
    }

    /// Makes a registry. If another process has made one meanwhile, that one is found; the
    /// second value says whether this call made it.
    ///
    /// # Errors
    /// [`CatalogError::Io`] if a file cannot be written, any other [`CatalogError`] if the catalog
    /// cannot be made. Nothing is left behind.
    pub fn create(
        base: &Path,
        new: &NewRegistryDir,
        created_at: Timestamp,
    ) -> Result<(Self, bool), CatalogError> {
        let io = |operation, path: &Path| {
            let path = path.to_owned();
            move |error| CatalogError::io(operation, &path, error)
        };
        let folder = Folder::open(base).map_err(io("opening", base))?;
        remove_stale(&folder, created_at);
        let staging =
            Staging::make(&folder, new.shared).map_err(io("creating a folder in", base))?;
        let id = uuid::Uuid::new_v4().to_string();
        let mut config = CatalogConfig {
            single_host: new.single_host.clone(),
            ..Default::default()
        };
        // The index of a WAL is memory that processes share, which no network file system offers.
        let wal = new.single_host.is_none();
        match &new.catalog {
            None => {
                let place = Place::in_folder(&staging.folder, CATALOG_FILE)?;
                connection::create_file(&place, &id, created_at, wal)?;
                // The catalog of another base directory, put here by mistake, may have rows for the
                // very same paths, without the pins that bind them here.
                config.registry = Some(id);
            }
            Some(path) => {
                create_elsewhere(path, &id, created_at, wal)?;
                let registry = registry_of(path, base)?;
                // Before the rename below: the registry can use its catalog at once.
                binding::bind(path, base, &registry)?;
                config.path = Some(path.clone());
                config.registry = Some(registry);
                config.host = Some(new.host.clone());
            }
        }
        let path = staging.folder.path().join(CONFIG_FILE);
        let second = new.catalog.as_ref().and(remembered::text_of(&config));
        let text = toml::to_string(&Config {
            catalog: Some(config),
            ..Config::default()
        })
        .map_err(|error| CatalogError::Config {
            path: path.clone(),
            detail: error.to_string(),
        })?;
        let write = |name: &str, text: &str| {
            let path = staging.folder.path().join(name);
            let file = make_file(&staging.folder, name).map(File::from);
            let mut file =
                file.map_err(|errno| CatalogError::io("creating", &path, errno.into()))?;
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .map_err(io("writing", &path))
        };
        write(CONFIG_FILE, &text)?;
        if let Some(text) = second {
            write(PLACE_FILE, &text)?;
        }
        // Durable before it gets its name: what can be found is whole.
        staging.folder.sync().map_err(io("syncing", &path))?;
        let dir = base.join(REGISTRY_DIR);
        // The commit point: of several creations one rename succeeds, the others find its folder.
        let made = match staging.rename(&folder) {
            Ok(()) => true,
            Err(Errno::NOTEMPTY | Errno::EXIST) => false,
            Err(errno) => return Err(CatalogError::io("creating", &dir, errno.into())),
        };
        folder.sync().map_err(io("syncing", base))?;
        // Read back: the folder may be the one that another process made.
        Ok((Self::find(base)?, made))
    }
}

/// A registry's folder that is being made; it goes if it is not renamed.
struct Staging<'a> {
    parent: &'a Folder,
    name: String,
    folder: Folder,
    is_kept: bool,
}

impl<'a> Staging<'a> {
    fn make(parent: &'a Folder, shared: bool) -> std::io::Result<Self> {
        let name = format!("{REGISTRY_DIR}.new-{}", uuid::Uuid::new_v4().simple());
        let around = fstat(parent)?;
        // A folder with set-group-id that its group may write is shared already.
        let is_shared = shared || around.st_mode & 0o2020 == 0o2020;
        if is_shared {
            make_shared_folder(parent, &*name)?;
        } else {
            mkdirat(parent, &*name, Mode::from_raw_mode(0o777))?;
        }
        let folder = parent.open_in(name.as_ref())?;
        Ok(Self {
            parent,
            name,
            folder,
            is_kept: false,
        })
    }

    /// Gives the folder its place.
    fn rename(mut self, parent: &Folder) -> Result<(), Errno> {
        renameat(parent, &*self.name, parent, REGISTRY_DIR)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            remove_made(self.parent, &self.folder, self.name.as_ref());
        }
    }
}

/// Makes a catalog at a path of its own, unless one is there: under another name, then linked.
fn create_elsewhere(
    path: &Path,
    id: &str,
    created_at: Timestamp,
    wal: bool,
) -> Result<(), CatalogError> {
    if path.symlink_metadata().is_ok() {
        // A catalog that is there is used if it is empty; `registry_of` checks that.
        return match connection::check_file(path) {
            // A damaged one may be that of this base directory, which `registry_of` checks too.
            Err(CatalogError::Damaged { .. }) => Ok(()),
            checked => checked,
        };
    }
    let io = |error| CatalogError::io("creating", path, error);
    let place = Place::of(path)?;
    let parent = place.folder();
    remove_stale(parent, created_at);
    let staging = Staging::make(parent, false).map_err(io)?;
    let new = Place::in_folder(&staging.folder, CATALOG_FILE)?;
    connection::create_file(&new, id, created_at, wal)?;
    // A link never replaces a catalog that another process made meanwhile.
    match linkat(&new, new.name(), parent, place.name(), AtFlags::empty()) {
        Ok(()) => parent.sync().map_err(io),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(io(errno.into())),
    }
}

/// The id of a catalog that a new registry takes: one that was just made, by this call or by
/// another that raced, and has nothing in it yet; or the one of this very base directory, whose
/// registry's folder was deleted. If that one is damaged, the file beside it says which registry it
/// is, so that a rebuild finds it.
fn registry_of(path: &Path, base: &Path) -> Result<String, CatalogError> {
    let taken = |why| CatalogError::Taken {
        path: path.to_owned(),
        why,
    };
    if let Some(why) = binding::why_of_another_base(path, base)? {
        return Err(taken(why));
    }
    let read = || {
        let options = CatalogOptions {
            read_only: true,
            ..Default::default()
        };
        let catalog = Catalog::open(path, base, None, options)?;
        Ok((catalog.registry_id()?, catalog.counts()?.artifacts == 0))
    };
    let (id, is_empty) = match read() {
        Err(error @ CatalogError::Damaged { .. }) => {
            return binding::registry_of_this_base(path, base)?.ok_or(error);
        }
        read => read?,
    };
    match binding::why_not_of_this_base(path, base, &id)? {
        Some(why) if !is_empty => Err(taken(why)),
        _ => Ok(id),
    }
}

/// Removes what creations left in a folder that were killed long ago: just the files that they
/// make.
fn remove_stale(folder: &Folder, now: Timestamp) {
    let Ok(entries) = Dir::read_from(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        let is_staging = name
            .to_str()
            .is_some_and(|name| name.starts_with(&format!("{REGISTRY_DIR}.new-")));
        if !is_staging {
            continue;
        }
        // Empties the folder that was looked at: its name may belong to another one by now.
        let Ok(stale) = folder.open_in(name) else {
            continue;
        };
        let age = fstat(&stale).ok().and_then(|stat| {
            let modified = stat.st_mtime.checked_mul(1000)?;
            Timestamp(modified).age_at(now)
        });
        // A younger one may still be in the making.
        if age.is_some_and(|age| age > STALE) {
            remove_made(folder, &stale, name);
        }
    }
}

/// Removes a folder of this name with the files that a creation makes. Another folder of the name,
/// if it is not empty, stays.
fn remove_made(parent: &Folder, made: &Folder, name: &OsStr) {
    // SQLite may have been killed with files beside it.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let _ = made.unlink(&*format!("{CATALOG_FILE}{suffix}"));
    }
    for name in [CONFIG_FILE, PLACE_FILE] {
        let _ = made.unlink(name);
    }
    let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
}
