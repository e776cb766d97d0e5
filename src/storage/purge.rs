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
//! [`MOST_WORKERS`], so that many calls are in flight.
//!
//! # Failures
//! What cannot be unlinked is named, the rest goes on. Purging again goes on with what is left.

use std::ffi::{CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, FileType, RawDir, RenameFlags, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use super::StorageError;
use super::place::{device_of, open_folder};
use super::trash::{NOTES, TrashFolder};
use crate::monitor::{Monitor, Progress};

/// Most threads that unlink at once.
const MOST_WORKERS: usize = 32;
/// Most folders that are kept open at once, whatever the limit allows: a chain of 5,000 folders on
/// tmpfs took 0.6 of the time of `rm -rf` with 64, and as long as it with 256.
const MOST_OPEN: usize = 64;
/// Names that are unlinked together.
const CHUNK: usize = 1024;
/// Chunks that may wait before a reader does its own.
const MOST_WAITING: usize = 64;
/// A mean time of a call above this means that the disk keeps workers waiting.
const SLOW: Duration = Duration::from_micros(150);
/// How long calls are counted before their mean is taken: a thread that was not run for a moment
/// is no slow disk.
const WINDOW: Duration = Duration::from_millis(5);
/// Subfolders that are handed out together while their folder is still read.
const TOGETHER: usize = 64;
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
    let root = open_folder(&folder.fd, ".")
        .map_err(|errno| StorageError::io("opening", &folder.path, errno))?;
    let device = device_of(root.as_fd(), &folder.path)?;
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(1024);
    let budget = usize::try_from(limit / 4)
        .unwrap_or(usize::MAX)
        .clamp(4, MOST_OPEN);
    let root = Arc::new(Folder {
        parent: None,
        name: CString::default(),
        fd: root,
        open: AtomicUsize::new(1),
        shared: AtomicBool::new(false),
        failed: AtomicBool::new(false),
        rounds: 0,
    });
    let purge = Purge {
        path: folder.path.clone(),
        device,
        budget,
        live: AtomicUsize::new(0),
        moved: AtomicU64::new(0),
        options,
        monitor,
        queue: Mutex::new(Queue {
            tasks: Vec::new(),
            running: 0,
            workers: 0,
        }),
        changed: Condvar::new(),
        report: Mutex::new(PurgeReport::default()),
        stopped: AtomicBool::new(false),
        root: Arc::clone(&root),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        {
            let mut queue = purge.lock();
            queue.tasks.push(Task::List(Arc::clone(&root)));
            queue.workers = cores.min(MOST_WORKERS);
        }
        for _ in 0..cores.min(MOST_WORKERS) {
            scope.spawn(|| Worker::new(&purge, scope, false).work());
        }
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

impl Purge<'_> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn leave(&self, task: &Task) {
        let (Task::List(folder) | Task::Enter(folder, ..) | Task::Unlink(folder, _)) = task;
        folder.failed.store(true, Ordering::Relaxed);
        self.finish(folder);
    }

    /// Ends one piece of work on a folder; the last one takes the folder away, and so on upwards.
    fn finish(&self, folder: &Arc<Folder>) {
        let mut folder = Arc::clone(folder);
        loop {
            if folder.open.fetch_sub(1, Ordering::AcqRel) > 1 {
                return;
            }
            let Some(parent) = folder.parent.clone() else {
                return;
            };
            self.live.fetch_sub(1, Ordering::Relaxed);
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
                        let task = Task::Enter(
                            Arc::clone(&parent),
                            folder.name.clone(),
                            folder.rounds + 1,
                        );
                        self.lock().tasks.push(task);
                        self.changed.notify_one();
                        return;
                    }
                    Err(errno) => self.fail(&parent, &folder.name, &errno.to_string()),
                }
            }
            folder = parent;
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

/// How fast the calls of a worker are answered.
struct Pace {
    since: Instant,
    calls: u32,
    is_slow: bool,
}

impl Pace {
    fn new(is_slow: bool) -> Self {
        Self {
            since: Instant::now(),
            calls: 0,
            is_slow,
        }
    }

    /// Counts a call. True where a window ends with it, and calls waited in that window.
    fn step(&mut self) -> bool {
        self.calls += 1;
        let passed = self.since.elapsed();
        if passed < WINDOW {
            return false;
        }
        *self = Self::new(passed > SLOW * self.calls);
        self.is_slow
    }
}

/// A thread that does tasks until none is left.
struct Worker<'scope, 'env, 'a> {
    purge: &'scope Purge<'a>,
    scope: &'scope Scope<'scope, 'env>,
    /// Tasks that follow from what it does, not handed out yet.
    more: Vec<Task>,
    pace: Pace,
}

impl<'scope, 'env, 'a: 'scope> Worker<'scope, 'env, 'a> {
    fn new(purge: &'scope Purge<'a>, scope: &'scope Scope<'scope, 'env>, is_slow: bool) -> Self {
        Self {
            purge,
            scope,
            more: Vec::new(),
            pace: Pace::new(is_slow),
        }
    }

    fn work(mut self) {
        let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
        while let Some(task) = self.take() {
            let mut next = Some(task);
            while let Some(task) = next.take() {
                if self.purge.is_late() {
                    self.purge.leave(&task);
                } else {
                    self.perform(task, &mut buffer);
                }
                // The last subfolder is entered at once, by this worker: a chain of folders never
                // goes through the queue.
                next = self.more.pop();
                self.hand_out();
            }
            let mut queue = self.purge.lock();
            queue.running -= 1;
            let idle = queue.running == 0;
            drop(queue);
            if idle {
                self.purge.changed.notify_all();
            }
        }
    }

    /// Waits for a task; none where all are done.
    fn take(&mut self) -> Option<Task> {
        let mut queue = self.purge.lock();
        loop {
            if let Some(task) = queue.tasks.pop() {
                queue.running += 1;
                drop(queue);
                self.pace = Pace::new(self.pace.is_slow);
                return Some(task);
            }
            if queue.running == 0 {
                self.purge.changed.notify_all();
                return None;
            }
            queue = self
                .purge
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts what follows where other workers find it. Where calls wait and no worker is free,
    /// one more is started.
    fn hand_out(&mut self) {
        let is_slow = self.pace.is_slow;
        if self.more.is_empty() && !is_slow {
            return;
        }
        let purge = self.purge;
        let mut queue = purge.lock();
        let found = self.more.len();
        queue.tasks.append(&mut self.more);
        let free = queue.workers - queue.running;
        if is_slow && queue.tasks.len() > free && queue.workers < MOST_WORKERS {
            queue.workers += 1;
            let scope = self.scope;
            scope.spawn(move || Worker::new(purge, scope, true).work());
        }
        drop(queue);
        (0..found.min(free)).for_each(|_| purge.changed.notify_one());
    }

    /// Notes that a call has returned; where calls wait, others get what there is to do.
    fn step(&mut self) {
        if self.pace.step() {
            self.hand_out();
        }
    }

    fn perform(&mut self, task: Task, buffer: &mut [MaybeUninit<u8>]) {
        match task {
            Task::List(folder) => {
                self.list(&folder, buffer);
                self.purge.finish(&folder);
            }
            Task::Enter(parent, name, rounds) => self.enter(&parent, name, rounds, buffer),
            Task::Unlink(folder, names) => {
                self.unlink(&folder, names);
                self.purge.finish(&folder);
            }
        }
    }

    fn enter(
        &mut self,
        parent: &Arc<Folder>,
        name: CString,
        rounds: u32,
        buffer: &mut [MaybeUninit<u8>],
    ) {
        let purge = self.purge;
        let opened = open_folder(&parent.fd, name.as_c_str());
        self.step();
        let fd = match opened {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return purge.finish(parent),
            // Swapped for something that is no folder since its name was read: a name to unlink.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                self.unlink(parent, vec![(0, name)]);
                return purge.finish(parent);
            }
            Err(errno) => {
                purge.fail(parent, &name, &errno.to_string());
                return purge.finish(parent);
            }
        };
        if device_of(fd.as_fd(), &purge.path).ok() != Some(purge.device) {
            purge.fail(parent, &name, "it is on another file system");
            return purge.finish(parent);
        }
        purge.live.fetch_add(1, Ordering::Relaxed);
        let folder = Arc::new(Folder {
            parent: Some(Arc::clone(parent)),
            name,
            fd,
            open: AtomicUsize::new(1),
            shared: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            rounds,
        });
        self.list(&folder, buffer);
        purge.finish(&folder);
    }

    /// Reads a folder: files are unlinked in chunks, subfolders become tasks.
    fn list(&mut self, folder: &Arc<Folder>, buffer: &mut [MaybeUninit<u8>]) {
        let is_root = folder.parent.is_none();
        let mut chunk = Vec::new();
        // Every listing has a descriptor that was opened for it, so it starts at the first entry.
        let mut entries = RawDir::new(&folder.fd, buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(errno) => {
                    self.purge.fail(folder, c".", &errno.to_string());
                    break;
                }
            };
            let name = entry.file_name();
            let bytes = name.to_bytes();
            if matches!(bytes, b"." | b"..")
                || (is_root && NOTES.iter().any(|note| note.as_bytes() == bytes))
            {
                continue;
            }
            let is_folder = match entry.file_type() {
                FileType::Directory => true,
                FileType::Unknown => statat(&folder.fd, name, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
                _ => false,
            };
            if is_folder {
                self.subfolder(folder, name.to_owned());
                if self.more.len() >= TOGETHER {
                    self.hand_out();
                }
                continue;
            }
            chunk.push((entry.ino(), name.to_owned()));
            if chunk.len() == CHUNK {
                self.hand_over(folder, std::mem::take(&mut chunk));
            }
        }
        if self.pace.is_slow {
            self.hand_out();
        }
        self.unlink(folder, chunk);
    }

    /// Lets another worker unlink a chunk, unless enough are waiting.
    fn hand_over(&mut self, folder: &Arc<Folder>, chunk: Vec<(u64, CString)>) {
        folder.shared.store(true, Ordering::Relaxed);
        let mut queue = self.purge.lock();
        if queue.tasks.len() >= MOST_WAITING {
            drop(queue);
            return self.unlink(folder, chunk);
        }
        folder.open.fetch_add(1, Ordering::Relaxed);
        queue.tasks.push(Task::Unlink(Arc::clone(folder), chunk));
        drop(queue);
        self.purge.changed.notify_one();
    }

    fn subfolder(&mut self, folder: &Arc<Folder>, name: CString) {
        let purge = self.purge;
        let parent =
            if folder.parent.is_some() && purge.live.load(Ordering::Relaxed) >= purge.budget {
                // Too many folders are open above this one: it goes up and no longer holds them.
                let up = format!(
                    "deep-{}-{}",
                    std::process::id(),
                    purge.moved.fetch_add(1, Ordering::Relaxed)
                );
                let Ok(up) = CString::new(up) else { return };
                let flags = RenameFlags::NOREPLACE;
                match renameat_with(
                    &folder.fd,
                    name.as_c_str(),
                    &purge.root.fd,
                    up.as_c_str(),
                    flags,
                ) {
                    Ok(()) => {
                        purge.root.open.fetch_add(1, Ordering::Relaxed);
                        self.more.push(Task::Enter(Arc::clone(&purge.root), up, 0));
                        return;
                    }
                    Err(_) => folder,
                }
            } else {
                folder
            };
        parent.open.fetch_add(1, Ordering::Relaxed);
        self.more.push(Task::Enter(Arc::clone(parent), name, 0));
    }

    fn unlink(&mut self, folder: &Arc<Folder>, mut names: Vec<(u64, CString)>) {
        names.sort_unstable_by_key(|(inode, _)| *inode);
        let is_shared = folder.shared.load(Ordering::Relaxed);
        let mut files = 0;
        for (_, name) in names {
            match unlinkat(&folder.fd, name.as_c_str(), AtFlags::empty()) {
                Ok(()) => files += 1,
                Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => self.subfolder(folder, name),
                Err(errno) => self.purge.fail(folder, &name, &errno.to_string()),
            }
            if !is_shared {
                self.step();
            }
        }
        if is_shared {
            self.pace = Pace::new(self.pace.is_slow);
        }
        if files == 0 {
            return;
        }
        self.purge
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .files += files;
        self.purge.monitor.advance(Progress {
            items: files,
            files,
            bytes: files * self.purge.options.mean_bytes,
        });
    }
}
