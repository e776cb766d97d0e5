//! Rebuilding the catalog: the face of the protocol.

use std::path::Path;
use std::time::Instant;

use super::options::Options;
use super::{Registry, agent};
use crate::catalog::{self, CatalogError, Replacing, Tie};
use crate::error::{Error, Result};
use crate::model::progress::Monitor;
use crate::ops::rebuild::{RebuildOptions, RebuildReport, Rebuilding};
use crate::store::Base;

impl Options {
    /// Makes a new catalog for a base directory whose catalog is damaged or gone: from the newest
    /// sound backup or published copy, the trash, and the disk. Renames the old one, and never
    /// deletes it. Pins, scores and history since the backup are lost. A published copy with
    /// operations that the new catalog lacks is kept under another name.
    ///
    /// # Errors
    /// [`CatalogError::Sound`] if nothing is wrong with the catalog; [`CatalogError::NoRegistry`]
    /// if the base directory has no `.dalsegno`; [`CatalogError::NoFolder`] if the folder of a
    /// catalog elsewhere is gone; [`CatalogError::NotTheOwner`] if nothing binds a catalog elsewhere
    /// to the base directory and this user's word does not; any other [`Error`] if the new catalog cannot be made. The old
    /// catalog is then at its place, or renamed beside it.
    pub fn rebuild(
        self,
        base: impl AsRef<Path>,
        options: &RebuildOptions,
        monitor: &dyn Monitor,
    ) -> Result<(Registry, RebuildReport)> {
        let base = Base::open(base.as_ref())?;
        let place = match self.wanted()?.find(&base) {
            // The folder is gone too. It may be the mount point of a disk that is not mounted:
            // making it would put the catalog below that mount point.
            Err(Error::Catalog(CatalogError::Missing { path })) => {
                let path = path.parent().unwrap_or(&path).to_owned();
                return Err(CatalogError::NoFolder { path }.into());
            }
            place => place?,
        };
        let Some(folder) = &place.folder else {
            return Err(CatalogError::no_registry(base.path()).into());
        };
        // Only the keeper has the catalog; here there is only its copy.
        if let Some(keeper) = &place.keeper {
            return Err(keeper.refusal().into());
        }
        if let Some(tie) = place.tie {
            catalog::require_replaceable(folder, &place.path, tie)?;
            // A new catalog that nothing binds to the base directory could not be used.
            if tie != Tie::Bound {
                catalog::require_owner(folder, &place.path)?;
            }
        }
        if self.read_only {
            let path = place.path.clone();
            return Err(CatalogError::ReadOnly { path }.into());
        }
        // Before anything moves, so that the clock does not fail a rebuild halfway.
        catalog::check_clock(&place.path, &*self.clock)?;
        let began = Instant::now();
        // From here on no other process writes.
        let replacing = Replacing::begin(&place.path, self.lock_timeout, &*self.on_wait)?;
        let rebuilding = Rebuilding {
            base: &base,
            path: &place.path,
            backups: &folder.backups(),
            registry: folder.registry(),
            dir: &folder.dir(),
            is_elsewhere: place.tie.is_some(),
            network: place.network,
            // One timeout for both waits.
            lock_timeout: self.lock_timeout.saturating_sub(began.elapsed()),
            agent: agent::agent(),
            clock: &*self.clock,
            options,
            monitor,
        };
        let mut report = rebuilding.rebuild(replacing)?;
        // Opened as usual, which folds in what other hosts noted meanwhile.
        let registry = self.open_at(base)?;
        registry.catalog.keep_reserve();
        // Opening may have settled more than the rebuild did, such as a purge that took too long.
        let recovery = registry.recovery();
        report.undone.extend_from_slice(&recovery.undone);
        report.purged.extend_from_slice(&recovery.purged);
        Ok((registry, report))
    }
}
