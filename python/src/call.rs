//! Calls of the library: without the GIL, answering Ctrl-C, whole across a fork, and never a panic.
//!
//! A call that may last runs on a thread of its own. The calling thread holds no GIL, wakes up ten
//! times a second to look for signals and to report the progress, and waits for the end in any
//! case: after a signal the work is cancelled and ends at its next boundary. A second signal leaves
//! it to end by itself.
//!
//! # Fork
//! SQLite cannot be used across a fork. So every registry that is not at work closes its catalog
//! just before the process forks, and parent and child open it again when they next need it. Fork
//! waits up to [`PATIENCE`] for calls of other threads; a registry that is still at work then stays
//! open in the parent, and answers with the error `forked` in the child.
//!
//! # Panics
//! A panic becomes the error `internal`, wherever it happens: in the library, on whichever thread,
//! or in what is done here with arguments and answers. A registry in which one happened is put
//! aside; the next call opens it again, and that settles what was left, as after a crash.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use dalsegno::CatalogError;
use dalsegno::model::progress::{Monitor, Phase, Progress};
use dalsegno::{Error, Registry, Result};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;

/// How long a fork waits for calls under way.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a waiting call looks for signals.
const GLANCE: Duration = Duration::from_millis(100);

/// Calls under way in this process.
static ACTIVE: AtomicUsize = AtomicUsize::new(0);
/// Threads that are about to fork: no call begins meanwhile.
static FORKING: AtomicUsize = AtomicUsize::new(0);
/// Every registry of this process.
static LIVE: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether the call on this thread is to end.
    static CANCELLED: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Whether the call on this thread is to end: what every registry asks.
fn is_interrupted() -> bool {
    CANCELLED.with_borrow(|flag| {
        flag.as_ref()
            .is_some_and(|flag| flag.load(Ordering::Relaxed))
    })
}

/// A call under way, until it is dropped.
struct Active;

impl Active {
    /// Waits until no thread forks.
    fn begin() -> Self {
        loop {
            // Counted before it looks: a fork that begins in between waits for this call.
            ACTIVE.fetch_add(1, Ordering::SeqCst);
            if FORKING.load(Ordering::SeqCst) == 0 {
                return Self;
            }
            ACTIVE.fetch_sub(1, Ordering::SeqCst);
            // A fork is over after PATIENCE at most, so looking again is enough.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        // A child begins with none, whatever the parent was at.
        let _ = ACTIVE.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |calls| {
            calls.checked_sub(1)
        });
    }
}

/// The progress of a running call, and whether it is to end.
pub(crate) struct Watch {
    cancelled: Arc<AtomicBool>,
    phase: Mutex<(Option<Phase>, Option<u64>)>,
    items: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Watch {
    fn new() -> Self {
        Self {
            cancelled: Arc::default(),
            phase: Mutex::default(),
            items: AtomicU64::new(0),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Calls a Python callable with phase, number of items or `None`, and items, files and bytes so
    /// far.
    fn report(&self, py: Python<'_>, progress: &Py<PyAny>) -> PyResult<()> {
        let (phase, total) = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(phase) = phase else {
            return Ok(());
        };
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let report = (
            phase.to_string(),
            total,
            count(&self.items),
            count(&self.files),
            count(&self.bytes),
        );
        progress.call1(py, report).map(drop)
    }
}

impl Monitor for Watch {
    fn begin(&self, phase: Phase, items: Option<u64>) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = (Some(phase), items);
        for counter in [&self.items, &self.files, &self.bytes] {
            counter.store(0, Ordering::Relaxed);
        }
    }

    fn advance(&self, progress: Progress) {
        self.items.fetch_add(progress.items, Ordering::Relaxed);
        self.files.fetch_add(progress.files, Ordering::Relaxed);
        self.bytes.fetch_add(progress.bytes, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        stumble("monitor");
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// The text of a panic.
fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic".to_owned())
}

/// The error of a panic.
fn internal(panic: &(dyn Any + Send)) -> Error {
    Error::Internal {
        detail: text_of(panic),
    }
}

/// Turns a panic of the library into an error.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    // A registry that a panic left half changed is put aside by `Shared::with`.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(internal(&*panic)))
}

/// Turns a panic into an exception: around all that a call does while it holds the GIL. What
/// PyO3 makes of one is not an `Exception`, and `except Exception` would let it through.
pub(crate) fn whole<T>(py: Python<'_>, call: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    let call = || {
        stumble("answer");
        call()
    };
    let result = catch_unwind(AssertUnwindSafe(call));
    result.unwrap_or_else(|panic| Err(errors::raise(py, &internal(&*panic))))
}

/// The place of the next panic, and the number of visits before it: for the tests, and only in
/// development builds.
#[cfg(debug_assertions)]
static STUMBLE: Mutex<Option<(String, u32)>> = Mutex::new(None);

/// Makes the visit after so many others of a place panic: `short`, `long`, `answer` or `monitor`.
#[cfg(debug_assertions)]
#[pyfunction]
pub(crate) fn _stumble(place: String, after: u32) {
    *STUMBLE.lock().unwrap_or_else(PoisonError::into_inner) = Some((place, after));
}

/// Panics if the tests ask for it here.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "it is what it is for")]
fn stumble(here: &str) {
    let mut next = STUMBLE.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *next {
        Some((place, after)) if place == here => match after.checked_sub(1) {
            Some(left) => *after = left,
            None => {
                *next = None;
                drop(next);
                panic!("stumbled at {here}");
            }
        },
        _ => {}
    }
}

#[cfg(not(debug_assertions))]
fn stumble(_: &str) {}

/// Runs what is over at once, without the GIL.
pub(crate) fn quick<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send,
) -> PyResult<T> {
    // On this thread: starting another would cost more than the work.
    let result = py.detach(|| {
        let _active = Active::begin();
        guarded(|| {
            stumble("short");
            work()
        })
    });
    result.map_err(|error| errors::raise(py, &error))
}

/// Runs what may last: without the GIL, on a thread of its own, until it is over or a signal comes.
pub(crate) fn run<T: Send + 'static>(
    py: Python<'_>,
    progress: Option<&Py<PyAny>>,
    work: impl FnOnce(&Watch) -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let watch = Arc::new(Watch::new());
    // With room for the result, so that the worker never waits for a caller that has left.
    let (sender, receiver) = mpsc::sync_channel(1);
    // Only this thread takes from it; the lock is what lets it do so without the GIL.
    let receiver = Mutex::new(receiver);
    let active = py.detach(Active::begin);
    let thread = std::thread::Builder::new().name("dalsegno".to_owned());
    let watched = Arc::clone(&watch);
    thread.spawn(move || {
        // Dropped last: until then no catalog is closed for a fork.
        let _active = active;
        CANCELLED.set(Some(Arc::clone(&watched.cancelled)));
        let result = guarded(move || {
            stumble("long");
            work(&watched)
        });
        let _ = sender.send(result);
    })?;
    let mut ended: Option<PyErr> = None;
    loop {
        let received = py.detach(|| {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv_timeout(GLANCE)
        });
        match received {
            Ok(result) => {
                // The signal counts, whatever the work made of being cancelled.
                if let Some(error) = ended {
                    return Err(error);
                }
                // Once more, so that a bar ends at the last count.
                if let Some(progress) = progress {
                    watch.report(py, progress)?;
                }
                return result.map_err(|error| errors::raise(py, &error));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let detail = "a call ended without a result".to_owned();
                return Err(errors::raise(py, &Error::Internal { detail }));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let reported = match progress {
            Some(progress) if ended.is_none() => watch.report(py, progress),
            _ => Ok(()),
        };
        if let Err(error) = py.check_signals().and(reported) {
            watch.cancelled.store(true, Ordering::Relaxed);
            // A second signal: the work is left to end by itself.
            if ended.is_some() {
                return Err(error);
            }
            ended = Some(error);
        }
    }
}

/// Passes a sentence for the user to the log of the package. Nothing comes of it while the
/// interpreter ends.
fn log(notice: &str) {
    let _ = Python::try_attach(|py| {
        let log = || -> PyResult<()> {
            let logger = py
                .import("logging")?
                .call_method1("getLogger", ("dalsegno",))?;
            logger.call_method1("warning", ("%s", notice)).map(drop)
        };
        // A log that cannot be written is no reason to fail a call.
        let _ = log();
    });
}

/// How a registry is opened, each time that it is.
#[derive(Debug, Clone)]
pub(crate) struct OpenArguments {
    /// Base directory, absolute.
    pub(crate) base: PathBuf,
    pub(crate) catalog: Option<PathBuf>,
    pub(crate) read_only: bool,
    pub(crate) single_host: bool,
    pub(crate) shared: bool,
    /// Whether this host is to become the one that has the catalog.
    pub(crate) keeper: bool,
    pub(crate) lock_timeout: Duration,
}

impl OpenArguments {
    pub(crate) fn options(&self) -> dalsegno::Options {
        let options = dalsegno::Options::new()
            .read_only(self.read_only)
            .single_host(self.single_host)
            .shared(self.shared)
            .keeper(self.keeper)
            .lock_timeout(self.lock_timeout)
            .interrupt(is_interrupted)
            .on_notice(log);
        match &self.catalog {
            Some(catalog) => options.catalog(catalog),
            None => options,
        }
    }
}

/// A registry of this process, open or about to be opened again.
pub(crate) struct Shared {
    pub(crate) how: OpenArguments,
    open: Mutex<Option<Arc<Registry>>>,
    is_closed: AtomicBool,
    /// It was at work when this process was forked off.
    is_stale: AtomicBool,
}

impl Shared {
    /// Takes a registry in, for as long as the result lives; `None` if the next call is to open it.
    pub(crate) fn new(how: OpenArguments, registry: Option<Registry>) -> Arc<Self> {
        let shared = Arc::new(Self {
            how,
            open: Mutex::new(registry.map(Arc::new)),
            is_closed: AtomicBool::new(false),
            is_stale: AtomicBool::new(false),
        });
        let mut live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
        // Here, where the list grows, so that registries that are gone do not pile up.
        live.retain(|known| known.strong_count() > 0);
        live.push(Arc::downgrade(&shared));
        shared
    }

    /// Does something with the registry. Only to be called within a call.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&Registry) -> Result<T>) -> Result<T> {
        let registry = self.get()?;
        let result = catch_unwind(AssertUnwindSafe(|| work(&registry)));
        result.unwrap_or_else(|panic| {
            self.put_aside(&registry);
            Err(internal(&*panic))
        })
    }

    /// Gives up a registry that other threads may still use; the next call opens it again.
    fn put_aside(&self, registry: &Arc<Registry>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have put a new one there already.
        if open
            .as_ref()
            .is_some_and(|open| Arc::ptr_eq(open, registry))
        {
            drop(open.take());
        }
    }

    /// The registry, opened if it is not: a fork closed it, a panic put it aside, or there was no
    /// published copy before.
    fn get(&self) -> Result<Arc<Registry>> {
        if self.is_stale.load(Ordering::SeqCst) {
            let path = self.how.base.clone();
            return Err(CatalogError::Forked { path }.into());
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(registry) = &*open {
            return Ok(Arc::clone(registry));
        }
        // Under the lock, so that threads that come together open it once.
        let registry = Arc::new(self.how.options().open(&self.how.base)?);
        *open = Some(Arc::clone(&registry));
        Ok(registry)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Refuses the use of what was closed.
    pub(crate) fn check(&self) -> PyResult<()> {
        if self.is_closed() {
            return Err(PyValueError::new_err("this registry is closed"));
        }
        Ok(())
    }

    /// Closes it for good; calls under way end first.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        // In a child, the thread that holds the lock may not exist: taking it would wait for ever.
        if !self.is_stale.load(Ordering::SeqCst) {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            drop(open.take());
        }
    }
}

fn live() -> Vec<Arc<Shared>> {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner);
    live.iter().filter_map(Weak::upgrade).collect()
}

/// Closes every catalog that is not in use; for `os.register_at_fork`.
#[pyfunction]
pub(crate) fn _before_fork(py: Python<'_>) -> PyResult<()> {
    // First: from here on no call begins.
    FORKING.fetch_add(1, Ordering::SeqCst);
    let is_quiet = || ACTIVE.load(Ordering::SeqCst) == 0;
    if !is_quiet() {
        // Without the GIL, which calls need to end.
        py.detach(|| {
            let start = Instant::now();
            while !is_quiet() && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }
    whole(py, || {
        if is_quiet() {
            for shared in live() {
                let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
                drop(open.take());
            }
        }
        Ok(())
    })
}

/// Lets calls begin again; for `os.register_at_fork`.
#[pyfunction]
pub(crate) fn _after_fork_in_parent() {
    FORKING.fetch_sub(1, Ordering::SeqCst);
}

/// Forgets what other threads of the parent were at; for `os.register_at_fork`.
#[pyfunction]
pub(crate) fn _after_fork_in_child() {
    let was_quiet = ACTIVE.swap(0, Ordering::SeqCst) == 0;
    FORKING.store(0, Ordering::SeqCst);
    if was_quiet {
        return;
    }
    // A thread that is not here any more may hold its lock.
    for shared in live() {
        let is_open = match shared.open.try_lock() {
            Ok(open) => open.is_some(),
            Err(_) => true,
        };
        shared.is_stale.store(is_open, Ordering::SeqCst);
    }
}
