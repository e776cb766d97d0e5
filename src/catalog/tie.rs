//! Which catalog outside the base directory may be used.
//!
//! `config.toml` names the catalog's path, and every user who may write in `.dalsegno` may edit
//! that file. So the path alone is not believed: the file beside the catalog, which
//! [`binding`](super::binding) writes, has to name this base directory, this registry and that very
//! path. It counts if its owner is oneself, root or the owner of `.dalsegno`, and if no other user
//! may write it. The catalog has to belong to one of these too, or to the group that may write in
//! `.dalsegno`: a member that rebuilds it becomes its owner. Without that file a catalog is used
//! only if the user names it with `--catalog`.
//!
//! Base directories of older versions have no such file. Their catalog is used if no other user may
//! write in `.dalsegno` and one user owns that folder, `config.toml` and the catalog.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use super::binding::{self, Binding, OTHERS_WRITE, binding_of, read, real};
use super::error::{CONFIG_FILE, CatalogError};
use super::sharing;
use super::sqlite::file::Catalog;
use super::sqlite::options::{CatalogOptions, Keeper};
use super::sqlite::published::PUBLISHED_FILE;
use super::sqlite::registry_dir::RegistryDir;
use super::sqlite::replace;
use crate::model::name::REGISTRY_DIR;

/// Why a catalog outside the base directory may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// The file beside it says that it belongs to the base directory.
    Bound,
    /// The user named it, though the file beside it says something else.
    Given,
    /// An older version made it, so no file beside it names its base directory; the user named it,
    /// or only its owner could have put its path into `config.toml`.
    Unclaimed,
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, CatalogError> {
    // Of the name itself: the owner of a link's target says nothing about who made the link.
    path.symlink_metadata()
        .map_err(|error| CatalogError::io("reading", path, error))
}

/// Says why the catalog at `path`, which `config.toml` names, may be used. `given` is whether the
/// user named it too.
///
/// # Errors
/// [`CatalogError::NotHere`] if nothing of it is on this host, [`CatalogError::Unbound`] if it may
/// not be used, [`CatalogError::Io`].
pub fn tie(folder: &RegistryDir, path: &Path, given: bool) -> Result<Tie, CatalogError> {
    let unbound = |why: String| CatalogError::Unbound {
        path: path.to_owned(),
        why,
    };
    let beside = binding_of(path);
    let dir = metadata(&folder.dir())?;
    let found = match read(&beside) {
        Ok(found) => found,
        // The user's word counts, whatever is wrong with the file.
        Err(_) if given => return Ok(Tie::Given),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(unbound(format!("{} {error}", beside.display())));
        }
        Err(error) => return Err(CatalogError::io("reading", &beside, error)),
    };
    let Some((binding, metadata)) = found else {
        if given {
            return Ok(Tie::Unclaimed);
        }
        return match path.symlink_metadata() {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                // The disk of another host, or one that is not mounted here.
                Err(CatalogError::NotHere {
                    path: path.to_owned(),
                    // On any other host it is not looked for.
                    keeper: folder.host().map(str::to_owned),
                })
            }
            Err(error) => Err(CatalogError::io("reading", path, error)),
            Ok(catalog) => match only_its_owner(folder, &dir, &catalog) {
                true => Ok(Tie::Unclaimed),
                false => Err(unbound(format!(
                    "no file {} says that it belongs to {}, and others may write in {REGISTRY_DIR}",
                    beside.display(),
                    folder.base.display()
                ))),
            },
        };
    };
    match misfit(folder, path, &dir, &binding, &metadata)? {
        None => Ok(Tie::Bound),
        Some(_) if given => Ok(Tie::Given),
        Some(why) => Err(unbound(why)),
    }
}

/// Why a binding does not tie a catalog to a base directory; `None` if it does.
fn misfit(
    folder: &RegistryDir,
    path: &Path,
    dir: &std::fs::Metadata,
    binding: &Binding,
    metadata: &std::fs::Metadata,
) -> Result<Option<String>, CatalogError> {
    let beside = binding_of(path);
    let beside = beside.display();
    // Without links, as the binding has it.
    let base = real(&folder.base)?;
    // The owner first: what the file says is believed only from a trusted one.
    if !is_trusted(metadata.uid(), dir) {
        let uid = metadata.uid();
        return Ok(Some(format!(
            "{beside} belongs to user {uid}, who is neither you nor root nor the owner of \
             {REGISTRY_DIR}"
        )));
    }
    if metadata.mode() & OTHERS_WRITE != 0 {
        return Ok(Some(format!("other users may write {beside}")));
    }
    if binding.base != base {
        let other = binding.base.display();
        return Ok(Some(format!(
            "{beside} says that it belongs to the base directory {other}, and this is {}",
            base.display()
        )));
    }
    if folder.registry() != Some(&binding.registry) {
        return Ok(Some(format!(
            "{beside} names registry {}, and {CONFIG_FILE} another one or none",
            binding.registry
        )));
    }
    if binding.catalog != path {
        let other = binding.catalog.display();
        return Ok(Some(format!("{beside} was made for {other}")));
    }
    let catalog = match path.symlink_metadata() {
        Ok(catalog) => catalog,
        // Missing: what is done about that depends on the call.
        Err(_) => return Ok(None),
    };
    // A member of the group that rebuilds the catalog becomes its owner.
    let by_group = catalog.gid() == dir.gid() && dir.mode() & 0o020 != 0;
    if !is_trusted(catalog.uid(), dir) && !by_group {
        let uid = catalog.uid();
        return Ok(Some(format!(
            "it belongs to user {uid}, who may not write in {REGISTRY_DIR}"
        )));
    }
    if catalog.is_file() && catalog.nlink() > 1 {
        return Ok(Some(
            "its file has a second name (a hard link), so another program may use it".to_owned(),
        ));
    }
    Ok(None)
}

/// Whether what a user owns is believed in a folder `.dalsegno`.
pub(super) fn is_trusted(uid: u32, dir: &std::fs::Metadata) -> bool {
    // Root may do anything in any case, and the owner of `.dalsegno` may replace all of it.
    uid == 0 || uid == geteuid().as_raw() || uid == dir.uid()
}

/// Whether one user owns `.dalsegno`, its `config.toml` and the catalog, and no other may write in
/// that folder.
fn only_its_owner(
    folder: &RegistryDir,
    dir: &std::fs::Metadata,
    catalog: &std::fs::Metadata,
) -> bool {
    let config = folder.dir().join(CONFIG_FILE).symlink_metadata();
    let is_own = |found: &std::fs::Metadata| {
        found.is_file() && found.uid() == dir.uid() && found.mode() & 0o002 == 0
    };
    // A catalog in the folder of another registry belongs to that one.
    let in_a_registry = folder
        .catalog()
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == REGISTRY_DIR);
    folder.registry().is_some()
        && dir.mode() & OTHERS_WRITE == 0
        && config.is_ok_and(|config| is_own(&config) && config.mode() & OTHERS_WRITE == 0)
        && is_own(catalog)
        && !in_a_registry
}

/// Checks that a rebuild may put a new catalog at `path`: nothing that is not a catalog of this
/// registry is set aside.
///
/// # Errors
/// [`CatalogError::Unbound`] if something else is there, [`CatalogError::Mismatch`] if it is the
/// catalog of another registry.
pub fn require_replaceable(
    folder: &RegistryDir,
    path: &Path,
    tie: Tie,
) -> Result<(), CatalogError> {
    // Nothing is there, or what is there is known to belong to this base directory.
    if tie == Tie::Bound || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let unbound = |why: &str| CatalogError::Unbound {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let Some(expected) = folder.registry() else {
        return Err(unbound("config.toml does not name the registry"));
    };
    match replace::registry_of(path) {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(CatalogError::Mismatch {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        }),
        None => Err(unbound(
            "nothing says that the file there is a catalog of this base directory, so no rebuild \
             sets it aside; if it is one, move it away first",
        )),
    }
}

/// Explains an error of a file that only `config.toml` names as the catalog. If the file is not a
/// catalog, or a damaged one, the error is [`CatalogError::Unbound`]: a rebuild refuses to set such
/// a file aside, so its hint would not help. Any other error is returned as it is.
#[must_use]
pub fn unproven(error: CatalogError) -> CatalogError {
    match error {
        CatalogError::Damaged { path, detail } => CatalogError::Unbound {
            path,
            why: format!("what is there is not a catalog of dalsegno, or a damaged one: {detail}"),
        },
        CatalogError::NotAFile { path, found } => CatalogError::Unbound {
            path,
            why: format!("it is {found}"),
        },
        CatalogError::Foreign {
            path,
            application_id,
        } => CatalogError::Unbound {
            path,
            why: format!(
                "what is there is a database of another program (application id {application_id})"
            ),
        },
        error => error,
    }
}

/// Explains an error of a file that is to be the catalog on this host from now on.
#[must_use]
pub fn not_copied(path: &Path, error: CatalogError) -> CatalogError {
    let why = match error {
        CatalogError::Missing { .. } => "there is no such file".to_owned(),
        CatalogError::NoFolder { .. } => "its folder is not on this host".to_owned(),
        error => match unproven(error) {
            CatalogError::Unbound { why, .. } => why,
            error => return error,
        },
    };
    CatalogError::NotCopied {
        path: path.to_owned(),
        why,
    }
}

/// Refuses a user whose word about the place of a catalog does not count: others could not use it
/// then.
///
/// # Errors
/// [`CatalogError::NotTheOwner`], [`CatalogError::Io`].
pub fn require_owner(folder: &RegistryDir, path: &Path) -> Result<(), CatalogError> {
    let owner = metadata(&folder.dir())?.uid();
    let user = geteuid().as_raw();
    if user == 0 || user == owner {
        return Ok(());
    }
    Err(CatalogError::NotTheOwner {
        path: path.to_owned(),
        folder: folder.dir(),
        owner,
    })
}

/// Refuses a catalog that lacks the last operation of the published copy: it was the catalog once,
/// and was changed on another host since.
fn require_current(
    folder: &RegistryDir,
    path: &Path,
    catalog: &Catalog,
    here: &str,
) -> Result<(), CatalogError> {
    let copy = folder.dir().join(PUBLISHED_FILE);
    let options = CatalogOptions {
        read_only: true,
        keeper: Some(Keeper {
            catalog: path.to_owned(),
            host: folder.host().unwrap_or(here).to_owned(),
            here: here.to_owned(),
        }),
        ..CatalogOptions::default()
    };
    // A copy that is absent, damaged or of another registry says nothing.
    let last = Catalog::open(&copy, &folder.base, None, options).and_then(|published| {
        let is_its_own = published.registry_id()? == catalog.registry_id()?;
        is_its_own.then(|| published.head()).transpose()
    });
    match last.ok().flatten().flatten() {
        Some((operation, hash)) if !catalog.has_operation(operation, hash)? => {
            Err(CatalogError::Outdated {
                path: path.to_owned(),
                copy,
                operation,
            })
        }
        _ => Ok(()),
    }
}

/// Ties a catalog to a base directory by the user's word, remembers this host as its keeper, and
/// gives the catalog to the group that shares `.dalsegno`.
///
/// # Errors
/// [`CatalogError::NotTheOwner`] if the user may not say so; [`CatalogError::Mismatch`] if it is
/// the catalog of another registry; [`CatalogError::Outdated`] if another host changed the catalog
/// since; any other if it cannot be opened, or the word cannot be written.
pub fn claim(folder: &mut RegistryDir, path: &Path, here: &str) -> Result<(), CatalogError> {
    require_owner(folder, path)?;
    // Only for reading: the catalog of another registry must not be migrated.
    let options = CatalogOptions {
        read_only: true,
        ..CatalogOptions::default()
    };
    let opened = Catalog::open(path, &folder.base, None, options)?;
    let found = opened.registry_id()?;
    if let Some(expected) = folder.registry().filter(|expected| **expected != *found) {
        return Err(CatalogError::Mismatch {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        });
    }
    if folder.lost().is_some() && folder.registry().is_none() {
        // Nothing in the base directory says which catalog it is.
        require_bound(folder, path, &found)?;
    }
    require_current(folder, path, &opened, here)?;
    // A crash in between leaves a binding, which the next call writes again.
    binding::bind(path, &folder.base, &found)?;
    sharing::give(folder, path)?;
    folder.write_catalog_place(path, &found, here)
}

/// Refuses a catalog of which nothing says that it belongs to the base directory.
fn require_bound(folder: &RegistryDir, path: &Path, registry: &str) -> Result<(), CatalogError> {
    match binding::why_not_of_this_base(path, &folder.base, registry)? {
        None => Ok(()),
        Some(why) => Err(CatalogError::Unbound {
            path: path.to_owned(),
            why: format!("nothing in {REGISTRY_DIR} names its registry, and {why}"),
        }),
    }
}

/// Writes down what an older version did not: whose the catalog is, and on which host. Says whether
/// it did; a user who may not leaves that to another one.
pub fn learn(folder: &mut RegistryDir, path: &Path, registry: &str, here: &str) -> bool {
    let user = geteuid().as_raw();
    let may = metadata(&folder.dir()).is_ok_and(|dir| user == 0 || user == dir.uid());
    may && binding::bind(path, &folder.base, registry).is_ok()
        && folder.write_catalog_place(path, registry, here).is_ok()
}
