//! Purge: unlinking what a committed removal left in the trash, in parallel.
//!
//! The tree is walked by descriptors: a folder is opened from its parent's descriptor with
//! `O_NOFOLLOW`, and every name is unlinked relative to the descriptor of the folder that it was
//! read from. So a folder that is swapped for a link is never followed, and no path is ever
//! longer than one name. A folder on another device is refused before anything in it is touched.
//!
//! # Bounds
//! A folder stays open until its subfolders are gone. Where that would take more descriptors than
//! the budget, a subfolder is first moved up into the removal's own folder and then treated like
//! an item, so depth costs no descriptors. Names are read in chunks; where workers fall behind,
//! the reader unlinks its chunk itself, so width costs no memory.
//!
//! # Order and threads
//! The names of a chunk are unlinked in the order of their inodes, which saves seeks in the inode
//! table. One worker a core is enough where the disk answers at once; where calls wait, each worker
//! hands out the subfolders that it has found before it goes on, and starts one more, up to
//! [`MOST_WORKERS`], so that many calls are in flight. Calls wait where they take long, the longer the
//! more workers share a core, and the worker is on its core for less than half of that. Calls are counted across tasks, because a small array is gone
//! before its own few calls say anything. Time in which a worker has no core is not counted as the
//! disk's: beside a training, more workers would only take from it. A wait for something that another
//! thread holds is counted, whatever that thread waits for. In one folder unlinks wait for each other,
//! whatever the disk does; but while the disk answers at once, one of them runs, and all together run as
//! long as time passes. Where that is less than four fifths, they wait for the disk: freed blocks may be
//! discarded after the folder is let go. Looking at the names first, which many can do at once, was
//! tried: cold it took twice as long, because looking and unlinking wait for each other.
//!
//! # Failures
//! What cannot be unlinked is named, the rest goes on. Purging again goes on with what is left.

mod worker;

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Instant;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::model::progress::Monitor;
use crate::store::dirs::{device_of, open_folder};
use crate::store::error::StorageError;
use crate::store::trash::TrashFolder;
use worker::Worker;

/// Most threads that unlink at once.
const MOST_WORKERS: usize = 32;
/// Most folders that are kept open at once, whatever the limit allows: a chain of 5,000 folders on
/// tmpfs took 0.6 of the time of `rm -rf` with 64, and as long as it with 256.
const MOST_OPEN: usize = 64;
/// Failures that are named; more are counted.
const MOST_FAILURES: usize = 100;
/// How often a folder that fills up again while it is emptied is emptied again.
const MOST_ROUNDS: u32 = 64;

/// What a purge did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PurgeReport {
    /// Files unlinked.
    pub files: u64,
    /// Folders taken away.
    pub folders: u64,
    /// What could not be unlinked: path and reason; at most a hundred.
    pub failures: Vec<(PathBuf, String)>,
    /// Number of failures.
    pub failed: u64,
    /// Whether nothing is left.
    pub is_done: bool,
}

impl PurgeReport {
    /// Adds another report; done where both are.
    pub fn merge(&mut self, other: Self) {
        self.files += other.files;
        self.folders += other.folders;
        self.failures.extend(other.failures);
        self.failures.truncate(MOST_FAILURES);
        self.failed += other.failed;
        self.is_done &= other.is_done;
    }
}

/// How to purge.
#[derive(Debug, Clone, Copy, Default)]
pub struct PurgeOptions {
    /// When to stop, done or not.
    pub deadline: Option<Instant>,
    /// Mean bytes of a file, for the progress: looking at each file would cost as much as
    /// unlinking it. 0 where nobody counted.
    pub mean_bytes: u64,
}

/// Unlinks everything in the folder of a removal but its manifest.
///
/// Ends early, with `is_done` false, after the deadline, where the monitor cancels, or where
/// something could not be unlinked.
///
/// # Errors
/// [`StorageError::Io`] where the folder itself cannot be read.
pub fn purge(
    folder: &TrashFolder,
    options: PurgeOptions,
    monitor: &dyn Monitor,
) -> Result<PurgeReport, StorageError> {
    let purge = Purge::of(folder, options, monitor)?;
    std::thread::scope(|scope| {
        {
            let mut queue = purge.lock();
            queue.tasks.push(Task::List(Arc::clone(&purge.root)));
            let cores = usize::try_from(purge.cores).unwrap_or(usize::MAX);
            for _ in 1..cores.min(purge.most_workers()) {
                purge.start_worker(scope, &mut queue);
            }
        }
        Worker::new(&purge, scope).work();
    });
    let mut report = purge
        .report
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    report.is_done =
        report.failed == 0 && !purge.stopped.into_inner() && folder.items()?.is_empty();
    Ok(report)
}

/// A folder that is being emptied.
struct Folder {
    /// None for the removal's own folder, which stays.
    parent: Option<Arc<Folder>>,
    name: CString,
    fd: OwnedFd,
    /// What is to be done before it can go: its listing, chunks, subfolders.
    open: AtomicUsize,
    /// Whether several workers unlink in it: there they wait for each other, whatever the disk does.
    shared: AtomicBool,
    failed: AtomicBool,
    rounds: u32,
}

enum Task {
    /// Read a folder, unlink its files, find its subfolders.
    List(Arc<Folder>),
    /// Open a subfolder and read it.
    Enter(Arc<Folder>, CString, u32),
    /// Unlink files.
    Unlink(Arc<Folder>, Vec<(u64, CString)>),
}

struct Queue {
    tasks: Vec<Task>,
    running: usize,
    workers: usize,
}

struct Purge<'a> {
    path: PathBuf,
    device: u64,
    budget: usize,
    cores: u32,
    live: AtomicUsize,
    moved: AtomicU64,
    options: PurgeOptions,
    monitor: &'a dyn Monitor,
    queue: Mutex<Queue>,
    changed: Condvar,
    report: Mutex<PurgeReport>,
    stopped: AtomicBool,
    root: Arc<Folder>,
}

impl<'a> Purge<'a> {
    fn of(
        folder: &TrashFolder,
        options: PurgeOptions,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, StorageError> {
        let root = open_folder(&folder.fd, ".")
            .map_err(|errno| StorageError::io("opening", &folder.path, errno))?;
        let device = device_of(root.as_fd(), &folder.path)?;
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(1024);
        let budget = usize::try_from(limit / 4)
            .unwrap_or(usize::MAX)
            .clamp(4, MOST_OPEN);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let root = Arc::new(Folder {
            parent: None,
            name: CString::default(),
            fd: root,
            open: AtomicUsize::new(1),
            shared: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            rounds: 0,
        });
        Ok(Purge {
            path: folder.path.clone(),
            device,
            budget,
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            live: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            options,
            monitor,
            queue: Mutex::new(Queue {
                tasks: Vec::new(),
                running: 0,
                // This thread.
                workers: 1,
            }),
            changed: Condvar::new(),
            report: Mutex::new(PurgeReport::default()),
            stopped: AtomicBool::new(false),
            root: Arc::clone(&root),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each worker has a folder open, besides those above it.
    fn most_workers(&self) -> usize {
        self.budget.min(MOST_WORKERS)
    }

    /// Starts a worker. Where no thread is to be had, there are fewer.
    fn start_worker<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, queue: &mut Queue) {
        let work = move || Worker::new(self, scope).work();
        let started = std::thread::Builder::new().spawn_scoped(scope, work);
        queue.workers += usize::from(started.is_ok());
    }

    /// Whether the deadline has passed, or nobody wants to wait any longer.
    fn is_late(&self) -> bool {
        let late = self.monitor.is_cancelled()
            || self
                .options
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline);
        if late {
            self.stopped.store(true, Ordering::Relaxed);
        }
        late
    }

    /// Gives a task up: its folder stays.
    fn leave(&self, task: Task) {
        let (Task::List(folder) | Task::Enter(folder, ..) | Task::Unlink(folder, _)) = task;
        folder.failed.store(true, Ordering::Relaxed);
        self.finish(folder);
    }

    /// Ends one piece of work on a folder; the last one takes the folder away, and so on upwards.
    /// Each is closed before it counts as closed.
    fn finish(&self, mut folder: Arc<Folder>) {
        while folder.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let Some(parent) = folder.parent.clone() else {
                return;
            };
            let mut again = None;
            if folder.failed.load(Ordering::Relaxed) {
                parent.failed.store(true, Ordering::Relaxed);
            } else {
                match unlinkat(&parent.fd, folder.name.as_c_str(), AtFlags::REMOVEDIR) {
                    Ok(()) => {
                        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
                        report.folders += 1;
                    }
                    Err(Errno::NOENT) => {}
                    // Something appeared in it meanwhile, or the listing skipped an entry.
                    Err(Errno::NOTEMPTY | Errno::EXIST) if folder.rounds < MOST_ROUNDS => {
                        again = Some((folder.name.clone(), folder.rounds + 1));
                    }
                    Err(errno) => self.fail(&parent, &folder.name, &errno.to_string()),
                }
            }
            folder = parent;
            self.live.fetch_sub(1, Ordering::Relaxed);
            if let Some((name, rounds)) = again {
                self.lock().tasks.push(Task::Enter(folder, name, rounds));
                self.changed.notify_one();
                return;
            }
        }
    }

    fn fail(&self, folder: &Arc<Folder>, name: &std::ffi::CStr, reason: &str) {
        folder.failed.store(true, Ordering::Relaxed);
        let mut names = vec![name.to_owned()];
        let mut at = Some(folder);
        while let Some(folder) = at {
            names.push(folder.name.clone());
            at = folder.parent.as_ref();
        }
        let mut path = self.path.clone();
        path.extend(
            names
                .iter()
                .rev()
                .map(|name| OsStr::from_bytes(name.to_bytes())),
        );
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.failed += 1;
        if report.failures.len() < MOST_FAILURES {
            report.failures.push((path, reason.to_owned()));
        }
    }
}
