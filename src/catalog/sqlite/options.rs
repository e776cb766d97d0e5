//! How a catalog is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::queue::OnWait;
use crate::catalog::error::CatalogError;
use crate::model::clock::{Clock, SystemClock};
use crate::model::progress::{Interrupt, Monitor, Silent};

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// A commit survives a power cut.
    #[default]
    Full,
    /// A power cut may take back the last commits. For bulk loads that can be repeated.
    Relaxed,
}

/// Called with a sentence for the user about something that went on beside a call.
pub type OnNotice = dyn Fn(&str) + Send + Sync;

/// Called before each change, with its turn in hand.
pub type IsKept = dyn Fn() -> Result<(), CatalogError> + Send + Sync;

/// The host that has a catalog which is not on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// The catalog file, on that host.
    pub catalog: PathBuf,
    /// That host.
    pub host: String,
    /// This host.
    pub here: String,
}

impl Keeper {
    /// The error of a call that needs the catalog itself.
    #[must_use]
    pub fn refusal(&self) -> CatalogError {
        CatalogError::AtKeeper {
            path: self.catalog.clone(),
            host: Some(self.host.clone()),
            here: self.here.clone(),
            lost: None,
        }
    }
}

/// How a catalog is opened.
pub struct CatalogOptions {
    /// Opens for reading only: writes nothing, and if possible no file beside the catalog either.
    pub read_only: bool,
    /// Leaves the reserve to removals: on a full disk the catalog is then not opened for writing.
    pub spares_reserve: bool,
    /// What a commit promises.
    pub durability: Durability,
    /// How long a change waits for its turn.
    pub lock_timeout: Duration,
    /// Called with the process that holds the catalog when a change has waited for two seconds.
    pub on_wait: Box<OnWait>,
    /// Ends reads and the wait for a turn. A change that has begun is never ended by it.
    pub interrupt: Option<Interrupt>,
    /// The kind of network file system that the catalog lies on, if it is one.
    pub network: Option<&'static str>,
    /// All its writers run on one host, and it keeps a rollback journal.
    pub single_host: bool,
    /// Folder of the backups; `None` is `<catalog>.backups/`.
    pub backups: Option<PathBuf>,
    /// The host that has the catalog, if the file is the copy that it published.
    pub keeper: Option<Keeper>,
    /// Refuses if this host does not keep the catalog any more; `None` if no other can get it.
    pub keeping: Option<Box<IsKept>>,
    /// Hears of what went wrong beside a call.
    pub on_notice: Box<OnNotice>,
    /// Dates the backup before a migration.
    pub clock: Arc<dyn Clock>,
    /// Watches a migration and the backup before it.
    pub monitor: Arc<dyn Monitor>,
}

impl Default for CatalogOptions {
    fn default() -> Self {
        Self {
            read_only: false,
            spares_reserve: false,
            durability: Durability::Full,
            lock_timeout: Duration::from_secs(60),
            on_wait: Box::new(|_| {}),
            interrupt: None,
            network: None,
            single_host: false,
            backups: None,
            keeper: None,
            keeping: None,
            on_notice: Box::new(|_| {}),
            clock: Arc::new(SystemClock),
            monitor: Arc::new(Silent),
        }
    }
}
