//! An array store that a catalog never stops.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::array_store::ArrayStore;
use super::store::keys;
use super::{Inbox, Options, Registry};
use crate::catalog::{CatalogError, RegistryDir};
use crate::error::{Error, Result};
use crate::model::identifier::{LocalArrayIdentifier, LocalContainerIdentifier};
use crate::model::key::Key;
use crate::model::name::REGISTRY_DIR;
use crate::model::note::Note;
use crate::model::shell::shell_word;
use crate::store;

/// How long recording waits for its turn to write, unless it is said.
const WAIT: Duration = Duration::from_secs(5);

/// After a failure the catalog is left alone for so many times as long as the failure took, so that
/// a catalog that is locked for hours costs a training a small share of its time.
const REST: u32 = 12;
const SHORTEST_REST: Duration = Duration::from_secs(1);

/// An array store that hands out identifiers whatever state the catalog is in: a path is a function
/// of its key alone.
///
/// Each call tries to record its key. If that fails, for whatever reason, it leaves a note in the
/// [`Inbox`], reports the error to [`RecordingStore::on_failure`], and returns the identifier all
/// the same. Until some time after a failure has passed, calls go to the inbox at once. Calls of
/// [`Registry`](crate::Registry) as an [`ArrayStore`] return such errors instead.
///
/// If `.dalsegno` is deleted while the store has the registry open, and its catalog is elsewhere,
/// recording goes on into that catalog, and no second registry is made. If the catalog was in it, a
/// new registry is made. [`RecordingStore::on_notice`] hears of both.
pub struct RecordingStore {
    base: PathBuf,
    wait: Duration,
    on_failure: Box<dyn Fn(&Error) + Send + Sync>,
    on_notice: Arc<dyn Fn(&str) + Send + Sync>,
    state: Mutex<OpenState>,
}

/// A catalog outside the base directory that a store has used.
struct Elsewhere {
    catalog: PathBuf,
    /// The host that has it, if that is another one.
    host: Option<String>,
}

#[derive(Default)]
struct OpenState {
    registry: Option<Registry>,
    /// Whether the registry was open once.
    was_open: bool,
    /// Where its catalog is, if that is outside the base directory.
    elsewhere: Option<Elsewhere>,
    /// Whether the registry is the catalog alone, without its folder.
    is_alone: bool,
    /// Whether it was said that the folder is gone.
    said_gone: bool,
    inbox: Option<Inbox>,
    resting_until: Option<Instant>,
}

impl fmt::Debug for RecordingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingStore")
            .field("base", &self.base)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

impl RecordingStore {
    /// Makes a store for a base directory. Opens nothing: the registry is opened with the first
    /// identifier, and made if there is none.
    ///
    /// # Errors
    /// `base-unusable` if the base directory is a URL or not UTF-8.
    pub fn new(base: impl AsRef<Path>) -> Result<Self> {
        Ok(Self {
            // Without a look at the disk: a base directory that is not mounted yet stops no
            // training.
            base: store::base_path(base.as_ref())?,
            wait: WAIT,
            on_failure: Box::new(|_| {}),
            on_notice: Arc::new(|_| {}),
            state: Mutex::default(),
        })
    }

    /// Sets how long a call waits while others write; 5 s by default.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sets a function that is called with each error of recording, and of leaving a note.
    #[must_use]
    pub fn on_failure(mut self, on_failure: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_failure = Box::new(on_failure);
        self
    }

    /// Sets a function that is called with a sentence for the user, as [`Options::on_notice`]; and
    /// once if the registry's folder was deleted, with what to type.
    #[must_use]
    pub fn on_notice(mut self, on_notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_notice = Arc::new(on_notice);
        self
    }

    /// The base directory, absolute.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    fn state(&self) -> MutexGuard<'_, OpenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records keys, or leaves notes of them.
    fn record(&self, keys: &[Key]) {
        let mut state = self.state();
        if state.resting_until.is_none_or(|end| Instant::now() >= end) {
            let start = Instant::now();
            // A panic of the registry must not stop a training either.
            let recorded = catch_unwind(AssertUnwindSafe(|| self.try_record(&mut state, keys)));
            let failure = match recorded {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error,
                Err(_) => Error::Internal {
                    detail: "a panic while recording".to_owned(),
                },
            };
            // The next attempt opens it again: it may have been replaced.
            state.registry = None;
            let rest = (start.elapsed() * REST).max(SHORTEST_REST);
            state.resting_until = Some(Instant::now() + rest);
            (self.on_failure)(&failure);
        }
        // Right after a failure too, so that no identifier is lost between catalog and inbox.
        if let Err(error) = self.leave_notes(&mut state, keys) {
            state.inbox = None;
            (self.on_failure)(&error);
        }
    }

    fn try_record(&self, state: &mut OpenState, keys: &[Key]) -> Result<()> {
        // Taken out, so that it is not used again after an error or a panic.
        let open = state.registry.take();
        // A folder that is there again says where the catalog is from now on.
        let open = open.filter(|_| !state.is_alone || self.lacks_folder());
        if let Some(registry) = open {
            match record_in(&registry, keys) {
                Ok(()) => {
                    state.registry = Some(registry);
                    return Ok(());
                }
                Err(error @ Error::Catalog(CatalogError::LockTimeout { .. })) => return Err(error),
                // The catalog may have been replaced, or its folder deleted.
                Err(_) => drop(registry),
            }
        }
        let registry = self.open(state)?;
        record_in(&registry, keys)?;
        state.registry = Some(registry);
        Ok(())
    }

    /// Whether the registry's folder is not there, for certain.
    fn lacks_folder(&self) -> bool {
        matches!(RegistryDir::exists(&self.base), Ok(false))
    }

    /// Opens the registry, or makes one: but not beside a catalog that this store knows.
    fn open(&self, state: &mut OpenState) -> Result<Registry> {
        let heard = Arc::clone(&self.on_notice);
        let options = Options::new()
            .lock_timeout(self.wait)
            .on_notice(move |notice| heard(notice));
        let word = |path: &Path| shell_word(&path.display().to_string());
        let (dir, base) = (self.base.join(REGISTRY_DIR), word(&self.base));
        let say = |state: &mut OpenState, notice: &str| {
            if !std::mem::replace(&mut state.said_gone, true) {
                (self.on_notice)(notice);
            }
        };
        if self.lacks_folder()
            && let Some(Elsewhere { catalog, host }) = &state.elsewhere
        {
            let (catalog, host) = (catalog.clone(), host.clone());
            let (place, goes) = match &host {
                Some(host) => (format!(" on host {host}"), "nothing can be noted"),
                None => (String::new(), "what this process records goes there"),
            };
            say(
                state,
                &format!(
                    "the folder {} is gone; its catalog is {}{place}, and {goes}; take the base \
                     directory up again with: dalsegno --base {base} init --here --catalog {}",
                    dir.display(),
                    catalog.display(),
                    word(&catalog)
                ),
            );
            state.is_alone = true;
            return match host {
                Some(_) => Err(CatalogError::no_registry(&self.base).into()),
                None => options.catalog(catalog).open(&self.base),
            };
        }
        let opened = options.create(&self.base);
        if let Err(Error::Catalog(CatalogError::AtKeeper {
            path,
            host: Some(host),
            lost: None,
            ..
        })) = &opened
        {
            state.elsewhere = Some(Elsewhere {
                catalog: path.clone(),
                host: Some(host.clone()),
            });
        }
        let (registry, is_new) = opened?;
        if is_new && state.was_open {
            say(
                state,
                &format!(
                    "the folder {} was deleted, with the catalog, its pins and scores; a new \
                     registry was made, and the arrays on disk are taken in with: dalsegno --base \
                     {base} scan",
                    dir.display()
                ),
            );
        }
        state.was_open = true;
        state.is_alone = false;
        let catalog = registry.catalog_path();
        state.elsewhere = (catalog.parent() != Some(&dir)).then(|| Elsewhere {
            catalog: catalog.to_owned(),
            host: None,
        });
        Ok(registry)
    }

    fn leave_notes(&self, state: &mut OpenState, keys: &[Key]) -> Result<()> {
        let inbox = match state.inbox.take() {
            Some(inbox) => inbox,
            None => Inbox::open(&self.base)?,
        };
        for key in keys {
            inbox.note(Note::Record(key.clone()))?;
        }
        state.inbox = Some(inbox);
        Ok(())
    }

    fn array(&self, key: Key) -> LocalArrayIdentifier {
        // Before recording, because it follows from the key alone and is returned in any case.
        let identifier = LocalArrayIdentifier::of(&self.base, &key);
        self.record(&[key]);
        identifier
    }

    fn container(&self, key: Key) -> LocalContainerIdentifier {
        let identifier = LocalContainerIdentifier::of(&self.base, &key);
        self.record(&[key]);
        identifier
    }
}

/// Records keys in the catalog.
fn record_in(registry: &Registry, keys: &[Key]) -> Result<()> {
    // A single key is looked up first and mostly takes no lock; many are one transaction.
    match keys {
        [key] => registry.record(key).map(drop),
        keys => registry.record_many(keys).map(drop),
    }
}

/// Fails only with [`Error::Name`]: names that break the rules have no path. Only
/// [`ArrayStore::remove`] needs the catalog, and fails as that of [`Registry`](crate::Registry).
impl ArrayStore for RecordingStore {
    fn validation_prediction_array(
        &self,
        run_name: &str,
        iteration: i64,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        Ok(self.array(keys::prediction(run_name, iteration, dataset)?))
    }

    fn validation_output_array(
        &self,
        run_name: &str,
        iteration: i64,
        parameters: &str,
        dataset: &str,
    ) -> Result<LocalArrayIdentifier> {
        let key = keys::output(run_name, iteration, parameters, dataset)?;
        Ok(self.array(key))
    }

    fn validation_input_arrays(
        &self,
        run_name: &str,
        index: Option<&str>,
    ) -> Result<(LocalArrayIdentifier, LocalArrayIdentifier)> {
        let keys = keys::inputs(run_name, index)?;
        let [raw, gt] = keys
            .each_ref()
            .map(|key| LocalArrayIdentifier::of(&self.base, key));
        self.record(&keys);
        Ok((raw, gt))
    }

    fn best_validation_array(
        &self,
        run_name: &str,
        criterion: &str,
        index: Option<&str>,
    ) -> Result<LocalArrayIdentifier> {
        Ok(self.array(keys::best(run_name, criterion, index)?))
    }

    fn snapshot_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        Ok(self.container(keys::snapshot_container(run_name)?))
    }

    fn validation_container(&self, run_name: &str) -> Result<LocalContainerIdentifier> {
        Ok(self.container(keys::validation_container(run_name)?))
    }

    fn remove(&self, array_identifier: &LocalArrayIdentifier) -> Result<()> {
        Registry::open(&self.base)?.remove(array_identifier)
    }
}
