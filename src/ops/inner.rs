//! Registries in or around data that is to be moved: its rows are in their catalogs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::store::Base;

/// Looks for registries around paths. Remembers each folder: most paths have the folders above in
/// common.
#[derive(Default)]
pub(crate) struct RegistriesAround {
    /// Whether a folder has a registry of its own, by its path.
    known: HashMap<PathBuf, bool>,
}

impl RegistriesAround {
    /// Refuses a path that is, or lies in, the base directory of another registry.
    ///
    /// # Errors
    /// [`Error::InnerRegistry`].
    pub(crate) fn check(&mut self, base: &Base, path: &Path) -> Result<(), Error> {
        let below_base = |folder: &&Path| !folder.as_os_str().is_empty();
        for folder in path.ancestors().filter(below_base) {
            let has_registry = match self.known.get(folder) {
                Some(known) => *known,
                None => {
                    let has = base.has_registry(folder);
                    *self.known.entry(folder.to_path_buf()).or_insert(has)
                }
            };
            if has_registry {
                return Err(error(base, path, folder));
            }
        }
        Ok(())
    }
}

/// Refuses a path that one of these registries lies in.
///
/// # Errors
/// [`Error::InnerRegistry`].
pub(crate) fn check_below(base: &Base, path: &Path, registries: &[PathBuf]) -> Result<(), Error> {
    match registries.iter().find(|inner| inner.starts_with(path)) {
        Some(inner) => Err(error(base, path, inner)),
        None => Ok(()),
    }
}

fn error(base: &Base, path: &Path, registry: &Path) -> Error {
    Error::InnerRegistry {
        path: base.path().join(path),
        registry: base.path().join(registry),
    }
}
