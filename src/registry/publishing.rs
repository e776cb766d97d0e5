//! The copy of a catalog elsewhere that other hosts read.

use std::path::PathBuf;

use super::Registry;
#[cfg(feature = "cli")]
use crate::catalog::Unpublished;
use crate::catalog::{self, CatalogError};
use crate::error::Result;
use crate::model::clock::Timestamp;
#[cfg(feature = "cli")]
use crate::model::name::REGISTRY_DIR;

/// The published copy that answers on a host without the catalog.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Published {
    /// The host that has the catalog.
    pub host: String,
    /// The copy.
    pub path: PathBuf,
    /// When it was made, by the clock of that host; `None` if it says what is no time since 1970.
    pub at: Option<Timestamp>,
}

impl Registry {
    /// The host that has the catalog, if this registry reads the copy that it published.
    #[must_use]
    pub fn keeper(&self) -> Option<&str> {
        self.keeper.as_ref().map(|keeper| keeper.host.as_str())
    }

    /// The published copy that this registry reads, as it is now; `None` if it reads the catalog.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog): `not-published` if the copy is gone, `catalog-io`
    /// if the system does not say when it was made.
    pub fn published(&self) -> Result<Option<Published>> {
        let Some(keeper) = &self.keeper else {
            return Ok(None);
        };
        let path = self.catalog.path();
        let host = keeper.host.clone();
        // At each call, because the keeper may have published a newer copy.
        match catalog::published_at(path.parent().unwrap_or(path))? {
            Some(at) => Ok(Some(Published {
                host,
                path: path.to_owned(),
                at: at.if_known(),
            })),
            None => Err(CatalogError::NotPublished {
                path: path.to_owned(),
                host,
            }
            .into()),
        }
    }

    /// What the published copy lacks, on the host that has the catalog; `None` if it lacks nothing.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog) if the catalog cannot be read.
    #[cfg(feature = "cli")]
    pub(crate) fn unpublished(&self) -> Result<Option<Unpublished>> {
        match self.publishes {
            true => Ok(self
                .catalog
                .unpublished(&self.base.path().join(REGISTRY_DIR))?),
            false => Ok(None),
        }
    }

    /// Publishes a copy of a catalog elsewhere for hosts that do not have it, and waits for another
    /// process that does. Returns when the copy was made; `None` if that process published one
    /// since this call began and is still at the next.
    ///
    /// A registry does this by itself when it is dropped, and after a scan, a restore, `gc` and the
    /// like, if it has changed something; while it stays open with any change, at most once a
    /// minute. Of a catalog over 16 MiB, what was only recorded or refreshed is published once a
    /// minute.
    ///
    /// # Errors
    /// [`Error::Catalog`](crate::Error::Catalog): `lock-timeout` if another process has the lock
    /// and publishes nothing, `catalog-in-base` if the catalog is in the base
    /// directory, `catalog-elsewhere` if it is on another host, `read-only` if it is open for
    /// reading; any other code if the copy cannot be made. The copy that was there stays then.
    pub fn publish(&self) -> Result<Option<Timestamp>> {
        Ok(self.catalog.publish()?)
    }
}
